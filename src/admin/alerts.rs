//! What operators are told of: what fires, and whether it gets through.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::form::{Form, Kind, Parameter};
use super::trail::Note;
use super::{Seen, parameter, problem};
use crate::alerts::Standing;

pub(super) const ALERTS: Form = Form::json::<Standing>("what fires, webhooks, and what happened lately");
pub(super) const TEST: Form = Form::json::<Asked>("who is told; what came of it is in GET /admin/alerts")
    .status(202)
    .query(&[Parameter::optional("webhook", Kind::Text, "only this one of `alerts.webhooks`")])
    .refuses(&[(404, "there is no such webhook, or none at all")])
    .does("alerts.test");

/// Whom a test message is on its way to.
#[derive(Serialize, JsonSchema)]
struct Asked {
    webhooks: Vec<String>,
}

pub(super) async fn alerts(State(running): Seen) -> Json<Standing> {
    Json(running.herald().standing())
}

/// 202: what came of it is in the list.
pub(super) async fn test(State(running): Seen, RawQuery(query): RawQuery) -> Response {
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
    let note = Note::new(json!({ "webhooks": &webhooks })).about(subject);
    note.on((StatusCode::ACCEPTED, Json(Asked { webhooks })))
}
