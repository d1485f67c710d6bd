//! What a request and its answer said, where that was captured. Whoever looks is in the audit trail: it is somebody's
//! words.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::form::Form;
use super::{Seen, problem};
use crate::capture::Record;

pub(super) static SHOW: Form = Form::json::<Record<'static>>("what was asked and answered, redacted")
    .refuses(&[(404, "it was not captured, or is gone again"), (503, "the disk says nothing, or too slowly")])
    .does("capture.read");

pub(super) async fn show(State(running): Seen, Path(id): Path<String>) -> Response {
    let captures = running.captures();
    if !captures.is_anywhere() {
        let message = "nothing is captured here; telemetry.capture in routing.yaml says whether anything is";
        return problem(StatusCode::NOT_FOUND, message);
    }
    match captures.find(&id).await {
        Ok(Some(capture)) => Json(capture).into_response(),
        Ok(None) => problem(
            StatusCode::NOT_FOUND,
            "no capture has this id: the request was not among those that telemetry.capture names, its caller refused, it \
             has not ended, or it is older than `retention` and `max_total` allow",
        ),
        Err(error) => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("captures cannot be looked through: {error}; see telemetry.capture.path"),
        ),
    }
}
