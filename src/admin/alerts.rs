//! What operators are told of: what fires, and whether it gets through.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use super::trail::Deed;
use super::{Operator, Seen, parameter, problem};
use crate::alerts::Standing;

pub(super) async fn alerts(State(running): Seen) -> Json<Standing> {
    Json(running.herald().standing())
}

/// 202: what came of it is in the list.
pub(super) async fn test(
    State(running): Seen,
    Extension(operator): Extension<Operator>,
    RawQuery(query): RawQuery,
) -> Response {
    let webhook = query.as_deref().and_then(|query| parameter(query, "webhook"));
    let webhooks = running.herald().test(webhook.as_deref());
    if webhooks.is_empty() {
        let message = match webhook {
            Some(name) => format!("there is no webhook {name} under `alerts.webhooks`"),
            None => "there is no webhook; name one under `alerts.webhooks`".to_owned(),
        };
        return problem(StatusCode::NOT_FOUND, message);
    }
    let subject = webhooks.join(", ");
    let detail = json!({ "webhooks": &webhooks });
    running.trail().note(Deed { actor: &operator.0, action: "alerts.test", subject: &subject, detail }).await;
    (StatusCode::ACCEPTED, Json(json!({ "webhooks": webhooks }))).into_response()
}
