//! Reports of what was used: sums, rows, and costs put right. Words and forms are `report`'s.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::explain::pairs;
use super::trail::Deed;
use super::{Operator, Running, Seen, problem};
use crate::report::words::Mode;
use crate::report::{self, Export, Failed, Words};
use crate::store::{Error, Store};

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

/// What is done is done to its end, whether somebody still waits for the answer or not.
pub(super) async fn reprice(
    State(running): Seen,
    Extension(operator): Extension<Operator>,
    RawQuery(query): RawQuery,
) -> Response {
    let (store, words) = match asked(&running, query) {
        Ok(asked) => asked,
        Err(refusal) => return *refusal,
    };
    let table = running.table();
    let asked = match words.reprice(table.live.clock.unix_now()) {
        Ok(asked) => asked,
        Err(failed) => return refused(&failed),
    };
    let trail = running.trail();
    let work = beside(async move {
        let done = report::reprice(&store, table.catalog(), &asked).await;
        if asked.mode == Mode::Correct {
            let (detail, subject) = match &done {
                Ok(outcome) => (outcome.json(&asked), asked.subject()),
                // Some of it may have been done; beginning again does the rest.
                Err(failed) => (serde_json::json!({ "failed": failed.to_string() }), asked.subject()),
            };
            trail.note(Deed { actor: &operator.0, action: "reprice", subject: &subject, detail }).await;
        }
        done.map(|outcome| outcome.json(&asked))
    });
    match work.await {
        Ok(Ok(outcome)) => axum::Json(outcome).into_response(),
        Ok(Err(failed)) => refused(&failed),
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
