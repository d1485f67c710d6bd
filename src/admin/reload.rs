//! Reading the configuration again on demand.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use super::trail::{Deed, to_its_end};
use super::{Operator, Refused, Seen, problem};

pub(super) async fn reload(State(running): Seen, Extension(operator): Extension<Operator>) -> Response {
    to_its_end(async move {
        let result = running.reload().await;
        let detail = match &result {
            Ok(reloaded) => json!(reloaded),
            Err(_) => json!({ "result": "refused" }),
        };
        let source = running.applied().source;
        running.trail().note(Deed { actor: &operator.0, action: "reload", subject: &source, detail }).await;
        match result {
            Ok(reloaded) => Json(reloaded).into_response(),
            Err(Refused(text)) => problem(StatusCode::UNPROCESSABLE_ENTITY, text),
        }
    })
    .await
}
