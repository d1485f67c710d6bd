//! Reports of what was used: sums, rows, and costs put right. Words and forms are `report`'s.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use schemars::{Schema, SchemaGenerator, json_schema};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::explain::pairs;
use super::form::{Content, Form, Kind, Parameter};
use super::trail::Note;
use super::{Running, Seen, problem};
use crate::report::{self, Export, Failed, Words};
use crate::store::{Error, Store};

/// The store's part in what may go wrong.
const NO_STORE: (u16, &str) = (409, "nothing is booked: routing.yaml has no `store`");
const AWAY: (u16, &str) = (503, "the store is away");
const WRONG: (u16, &str) = (400, "a word of the query is not understood");
const FROM: Parameter = Parameter::optional("from", Kind::Text, "a day or a time (UTC): 2026-11-01");
const TO: Parameter = Parameter::optional("to", Kind::Text, "up to it, without it");
const LAST: Parameter = Parameter::optional("last", Kind::Text, "instead of both: 24h, 7d");
const MONTH: Parameter = Parameter::optional("month", Kind::Text, "instead of both: 2026-11");

pub(super) const USAGE: Form = Form::gives(Content::Either(sums, &["text/csv", "text/plain"]), "sums")
    .query(&[
        Parameter::optional("by", Kind::Texts, "what is told apart, with commas: hour or day, organisation, team, user, key, route, arm, upstream, provider, model, part, tag:NAME"),
        Parameter::optional("only", Kind::Texts, "NAME=VALUE: only what is of it"),
        Parameter::optional("at", Kind::Texts, "what the same would have cost at these models, with commas"),
        FROM,
        TO,
        LAST,
        MONTH,
        Parameter::optional("format", Kind::Word(&["json", "csv", "table"]), "json, unless said"),
    ])
    .refuses(&[WRONG, NO_STORE, AWAY]);
pub(super) const LEDGER: Form = Form::gives(Content::Either(rows, &["text/csv"]), "rows, the oldest first")
    .query(&[
        Parameter::optional("rows", Kind::Word(&["requests", "attempts"]), "requests, unless said"),
        FROM,
        TO,
        LAST,
        MONTH,
        Parameter::optional("format", Kind::Word(&["json", "csv"]), "json, unless said"),
    ])
    .refuses(&[WRONG, NO_STORE, AWAY]);
pub(super) const REPRICE: Form = Form::gives(Content::Json(repriced), "what has become of each model")
    .query(&[
        Parameter::required("from", Kind::Text, "the first day (UTC)").like("2026-11-01"),
        Parameter::optional("to", Kind::Text, "up to that day, without it"),
        Parameter::optional("model", Kind::Texts, "only of these, with commas"),
        Parameter::optional("dry_run", Kind::Truth, "to say what would change, and change nothing")
            .like("true"),
    ])
    .refuses(&[WRONG, NO_STORE, AWAY])
    .does("reprice");

fn sums(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["from", "to", "rows", "total"],
        "properties": {
            "from": { "type": "string" },
            "to": { "type": "string" },
            "rows": { "type": "array", "items": { "type": "object" } },
            "total": { "type": "object" }
        }
    })
}

fn rows(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "object" } })
}

fn repriced(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["from", "to", "dry_run", "models", "total", "attempts_without_rows"],
        "properties": {
            "from": { "type": "string" },
            "to": { "type": "string" },
            "dry_run": { "type": "boolean" },
            "models": { "type": "array", "items": { "type": "object" } },
            "total": { "type": "object" },
            "attempts_without_rows": { "type": "integer", "minimum": 0 }
        }
    })
}

pub(super) async fn usage(State(running): Seen, RawQuery(query): RawQuery) -> Response {
    let (store, words, table) = match asked(&running, query) {
        Ok(asked) => (asked.0, asked.1, running.table()),
        Err(refusal) => return *refusal,
    };
    let asked = match words.usage(table.live.clock.unix_now()) {
        Ok(asked) => asked,
        Err(failed) => return refused(&failed),
    };
    let format = asked.format;
    let work = beside(async move { report::usage(&store, table.catalog(), &asked).await });
    match work.await {
        Ok(Ok(text)) => ([(CONTENT_TYPE, format.media_type())], text).into_response(),
        Ok(Err(failed)) => refused(&failed),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the report broke off"),
    }
}

/// On a thread that may take its time: a long report is work that no caller's request should wait behind.
fn beside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(work))
}

/// Rows, written as they are taken: a page or two are in memory, however many there are.
pub(super) async fn ledger(State(running): Seen, RawQuery(query): RawQuery) -> Response {
    let (store, words) = match asked(&running, query) {
        Ok(asked) => asked,
        Err(refusal) => return *refusal,
    };
    let asked = match words.rows(running.table().live.clock.unix_now()) {
        Ok(asked) => asked,
        Err(failed) => return refused(&failed),
    };
    let format = asked.format;
    let mut export = Export::new(store, asked);
    // What is wrong with the store is an answer of its own, as long as nothing was said.
    let first = match export.next().await {
        Some(Ok(text)) => text,
        Some(Err(error)) => return refused(&error.into()),
        None => String::new(),
    };
    let (pages, taken) = mpsc::channel(1);
    beside(async move {
        let mut next = Some(Ok(first));
        while let Some(page) = next {
            // Whoever went away takes no more.
            if pages.send(page.map(Bytes::from)).await.is_err() {
                return;
            }
            next = export.next().await;
        }
    });
    ([(CONTENT_TYPE, format.media_type())], Body::new(Pages(taken))).into_response()
}

pub(super) async fn reprice(State(running): Seen, RawQuery(query): RawQuery) -> Response {
    let (store, words) = match asked(&running, query) {
        Ok(asked) => asked,
        Err(refusal) => return *refusal,
    };
    let table = running.table();
    let asked = match words.reprice(table.live.clock.unix_now()) {
        Ok(asked) => asked,
        Err(failed) => return refused(&failed),
    };
    let subject = asked.subject();
    let work = beside(async move {
        let done = report::reprice(&store, table.catalog(), &asked).await;
        done.map(|outcome| outcome.json(&asked))
    });
    match work.await {
        Ok(Ok(outcome)) => Note::new(outcome.clone()).about(subject).on(axum::Json(outcome)),
        // Some of it may have been done; beginning again does the rest.
        Ok(Err(failed)) => {
            let note = Note::new(serde_json::json!({ "failed": failed.to_string() }));
            note.about(subject).on(refused(&failed))
        }
        Err(_) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "it broke off; what was not done is done by asking again",
        ),
    }
}

fn asked(running: &Arc<dyn Running>, query: Option<String>) -> Result<(Arc<Store>, Words), Box<Response>> {
    let store = running.store().ok_or_else(|| {
        let why = "nothing is booked: reports are made of the ledger, which is kept once routing.yaml has a `store`";
        Box::new(problem(StatusCode::CONFLICT, why))
    })?;
    Ok((store, Words(pairs(&query.unwrap_or_default()))))
}

fn refused(failed: &Failed) -> Response {
    let status = match failed {
        Failed::Wrong(_) => StatusCode::BAD_REQUEST,
        Failed::Store(Error::Taken | Error::Changed) => StatusCode::CONFLICT,
        Failed::Store(Error::Away(_) | Error::Late | Error::Refused(_)) => StatusCode::SERVICE_UNAVAILABLE,
    };
    problem(status, failed.to_string())
}

/// What is written meanwhile. An error ends the connection, so that nobody takes half of the rows for all.
struct Pages(mpsc::Receiver<Result<Bytes, Error>>);

impl http_body::Body for Pages {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.poll_recv(context).map(|page| page.map(|page| page.map(Frame::data)))
    }
}
