//! Reading the configuration again on demand.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Refused, Seen, problem};

pub(super) async fn reload(State(running): Seen) -> Response {
    match running.reload().await {
        Ok(reloaded) => Json(reloaded).into_response(),
        Err(Refused(text)) => problem(StatusCode::UNPROCESSABLE_ENTITY, text),
    }
}
