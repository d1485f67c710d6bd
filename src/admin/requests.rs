//! The last requests: what became of each, and why. What is older than those at hand, or another replica's, is found in
//! the store, where there is one, as far as its columns have it.

mod asked;
mod stored;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use self::asked::Asked;
use super::form::{Form, Kind, Parameter};
use super::{Seen, problem};
use crate::ledger::Decision;
use crate::store::Error;

/// Most that are told at once.
const MOST: usize = 1000;

pub(super) static SEARCH: Form = Form::json::<Found<Told>>("the newest first, as many as `limit` says")
    .query(&[
        Parameter::optional("key", Kind::Text, "what the caller's key is called"),
        Parameter::optional("team", Kind::Text, "of the caller's key"),
        Parameter::optional(
            "model",
            Kind::Text,
            "as the caller named it, or (of those at hand) as an upstream that was asked does",
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
        Parameter::optional("status", Kind::Text, "of its answer, as 429 or 5xx (of those at hand)"),
        Parameter::optional(
            "from",
            Kind::Text,
            "came then or later, Unix time in seconds; before what is at hand, the store is asked",
        ),
        Parameter::optional("to", Kind::Text, "came before, Unix time in seconds"),
        Parameter::optional("slower_than", Kind::Text, "took so many milliseconds, or more"),
        Parameter::optional("limit", Kind::Count, "1 to 1000 (100)"),
        Parameter::optional("before", Kind::Text, "go on there: what the page before said as `next_before`"),
    ])
    .refuses(&[(400, "what is looked for cannot be understood"), (503, "it is in the store, which is away")]);

pub(super) static SHOW: Form = Form::json::<Told>("what became of it")
    .refuses(&[(404, "nobody knows it"), (503, "it is not at hand, and the store is away")]);

/// What was looked for.
#[derive(Serialize, JsonSchema)]
struct Found<T> {
    requests: Vec<T>,
    /// For the next page; null where there are no more.
    next_before: Option<String>,
    /// How many are at hand.
    at_hand: usize,
    /// Where it was looked.
    from: Whence,
}

/// A request, and who knows of it.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it is the form of what is told, for the document of the admin side")]
struct Told {
    #[serde(flatten)]
    decision: Decision<'static>,
    from: Whence,
}

/// Who knows of a request: those at hand tell all, the store what it has columns for.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Whence {
    Journal,
    Store,
}

pub(super) async fn search(State(running): Seen, RawQuery(query): RawQuery) -> Response {
    let asked = match Asked::read(&query.unwrap_or_default()) {
        Ok(asked) => asked,
        Err(why) => return problem(StatusCode::BAD_REQUEST, why),
    };
    let journal = running.journal();
    let is_older = asked.wanted.from.is_some_and(|from| journal.oldest().is_none_or(|oldest| from < oldest));
    if let Some(store) =
        running.store().filter(|_| asked.cursor.is_some() || is_older && asked.wanted.before.is_none())
    {
        return match stored::search(&store, &journal, &asked).await {
            Ok((requests, next_before)) => {
                let from = Whence::Store;
                Json(Found { requests, next_before, at_hand: journal.length(), from }).into_response()
            }
            Err(stored::Failed::Wrong(why)) => problem(StatusCode::BAD_REQUEST, why),
            Err(stored::Failed::Store(error)) => away(&error),
        };
    }
    let (requests, next_before) = journal.search(&asked.wanted, |decision| told(decision, Whence::Journal));
    let next_before = next_before.map(|number| number.to_string());
    Json(Found { requests, next_before, at_hand: journal.length(), from: Whence::Journal }).into_response()
}

pub(super) async fn show(State(running): Seen, Path(id): Path<String>) -> Response {
    let journal = running.journal();
    if let Some(told) = journal.find(&id, |decision| told(decision, Whence::Journal)) {
        return Json(told).into_response();
    }
    let Some(store) = running.store() else {
        let message = format!(
            "no request of this id is among the last {}; it may be older, still under way, or another replica's, which a \
             `store` in routing.yaml would know",
            journal.length()
        );
        return problem(StatusCode::NOT_FOUND, message);
    };
    match stored::find(&store, &id).await {
        Ok(Some(told)) => Json(told).into_response(),
        Ok(None) => problem(
            StatusCode::NOT_FOUND,
            "no request of this id is at hand or in the store; it may be still under way, or so old that its row is gone",
        ),
        Err(error) => away(&error),
    }
}

fn told(decision: &Decision<'_>, from: Whence) -> Value {
    let mut told = json!(decision);
    told["from"] = json!(from);
    told
}

fn away(error: &Error) -> Response {
    let message = format!("{error}; what is at hand is told without `from` and `before`");
    problem(StatusCode::SERVICE_UNAVAILABLE, message)
}
