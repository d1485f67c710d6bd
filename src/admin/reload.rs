//! Reading the configuration again on demand.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::form::Form;
use super::trail::Note;
use super::{Refused, Reloaded, Seen, problem};

pub(super) const RELOAD: Form = Form::json::<Reloaded>("what is in force")
    .refuses(&[(422, "the file is not usable, with all that is wrong with it; what was in force stays")])
    .does("reload");

pub(super) async fn reload(State(running): Seen) -> Response {
    let result = running.reload().await;
    let note = |detail| Note::new(detail).about(running.applied().source);
    match result {
        Ok(reloaded) => note(json!(reloaded)).on(Json(reloaded)),
        Err(Refused(text)) => {
            note(json!({ "result": "refused" })).on(problem(StatusCode::UNPROCESSABLE_ENTITY, text))
        }
    }
}
