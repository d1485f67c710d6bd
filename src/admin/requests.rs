//! The last requests: what became of each, and why.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::explain::pairs;
use super::form::{Form, Kind, Parameter};
use super::{Seen, problem};
use crate::ledger::{Decision, Wanted};

/// Most that are told at once.
const MOST: usize = 1000;

pub(super) static SEARCH: Form =
    Form::json::<Found<Decision<'static>>>("the newest first, as many as `limit` says")
        .query(&[
            Parameter::optional("key", Kind::Text, "what the caller's key is called"),
            Parameter::optional("team", Kind::Text, "of the caller's key"),
            Parameter::optional(
                "model",
                Kind::Text,
                "as the caller named it, or as an upstream that was asked does",
            ),
            Parameter::optional("route", Kind::Text, "the one that served it, or the one that it came to"),
            Parameter::optional(
                "channel",
                Kind::Text,
                "one that was asked, as `upstream/model` or by the upstream's name",
            ),
            Parameter::optional(
                "outcome",
                Kind::Text,
                "ok, client_fault, refused, failed, broken, cancelled, mirrored",
            ),
            Parameter::optional("verdict", Kind::Text, "of one of its attempts: ok, cancelled, or a fault"),
            Parameter::optional("status", Kind::Text, "of its answer, as 429 or 5xx"),
            Parameter::optional("from", Kind::Text, "came then or later, Unix time in seconds"),
            Parameter::optional("to", Kind::Text, "came before, Unix time in seconds"),
            Parameter::optional("slower_than", Kind::Text, "took so many milliseconds, or more"),
            Parameter::optional("limit", Kind::Count, "1 to 1000 (100)"),
            Parameter::optional(
                "before",
                Kind::Count,
                "go on there: what the page before said as `next_before`",
            ),
        ])
        .refuses(&[(400, "what is looked for cannot be understood")]);

pub(super) static SHOW: Form =
    Form::json::<Decision<'static>>("what became of it").refuses(&[(404, "it is not among the last ones")]);

/// What was looked for.
#[derive(Serialize, JsonSchema)]
struct Found<T> {
    requests: Vec<T>,
    /// Null where there are no more.
    next_before: Option<u64>,
    /// Among how many it was looked for.
    at_hand: usize,
}

pub(super) async fn search(State(running): Seen, RawQuery(query): RawQuery) -> Response {
    let wanted = match wanted(&query.unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(why) => return problem(StatusCode::BAD_REQUEST, why),
    };
    let journal = running.journal();
    let (requests, next_before) = journal.search(&wanted, whole);
    Json(Found { requests, next_before, at_hand: journal.length() }).into_response()
}

pub(super) async fn show(State(running): Seen, Path(id): Path<String>) -> Response {
    let journal = running.journal();
    if let Some(decision) = journal.find(&id, whole) {
        return Json(decision).into_response();
    }
    let message = format!(
        "no request of this id is among the last {}; it may be older, still under way, or another replica's",
        journal.length()
    );
    problem(StatusCode::NOT_FOUND, message)
}

fn whole(decision: &Decision<'_>) -> Value {
    json!(decision)
}

/// # Errors
/// What of the query cannot be understood.
fn wanted(query: &str) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    for (name, value) in pairs(query) {
        let number = || value.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        let moment = || {
            let seconds = number().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            seconds.ok_or_else(|| format!("{name} is a Unix time in seconds, not `{value}`"))
        };
        match name.as_str() {
            "key" => wanted.key = Some(value),
            "team" => wanted.team = Some(value),
            "model" => wanted.model = Some(value),
            "route" => wanted.route = Some(value),
            "channel" => wanted.channel = Some(value),
            "outcome" => wanted.outcome = Some(value),
            "verdict" => wanted.verdict = Some(value),
            "status" => {
                let status = value.trim_end_matches("xx").parse().ok();
                wanted.status = Some(status.ok_or_else(|| format!("status is 429 or 5xx, not `{value}`"))?);
            }
            "from" => wanted.from = Some(moment()?),
            "to" => wanted.to = Some(moment()?),
            "slower_than" => {
                let millis = number().and_then(|millis| Duration::try_from_secs_f64(millis / 1e3).ok());
                let said = || format!("slower_than is a number of milliseconds, not `{value}`");
                wanted.slower_than = Some(millis.ok_or_else(said)?);
            }
            "before" => {
                let number = value.parse().ok();
                wanted.before = Some(number.ok_or_else(|| format!("before is a number, not `{value}`"))?);
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                wanted.most = limit.ok_or_else(|| format!("limit is 1 to {MOST}, not `{value}`"))?;
            }
            other => {
                return Err(format!(
                    "{other} is nothing to look for; there are key, team, model, route, channel, outcome, verdict, status, \
                     from, to, slower_than, before and limit"
                ));
            }
        }
    }
    Ok(wanted)
}
