//! What happens at this moment, as a stream of events: one beat a second, for a page that is left open.
//!
//! ```text
//! server's task ── Pulse::beat ── sampled (counts of the last minutes) ── a bell
//!                                     └─ picture (what a beat says) ── every listener's answer
//! ```
//!
//! Traffic is sampled whether somebody listens or not, so that a page that has just been opened shows the last minutes.
//! What a beat says is written once for all listeners, and not at all while there are none.

mod picture;
mod sampled;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::form::{Content, Form};
use super::{Running, Seen, problem};
use crate::state::Table;
use sampled::Sampled;

pub(super) const LIVE: Form = Form::gives(
    Content::Text(&["text/event-stream"]),
    "`history`, the traffic of the last minutes, and then a `beat` every second, without end",
)
.refuses(&[(503, "as many listen as may")]);

/// Pages that listen at the same moment: operators are few, and each has a connection.
const MOST: usize = 16;

/// Tells listeners once a second.
#[derive(Debug)]
pub struct Pulse {
    sampled: Mutex<Sampled>,
    /// What the beat of this number says, once somebody wants to know.
    said: Mutex<(u64, Bytes)>,
    bell: watch::Sender<Beat>,
    places: Arc<Semaphore>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beat {
    Number(u64),
    /// There will be no more.
    Over,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            sampled: Mutex::default(),
            said: Mutex::default(),
            bell: watch::Sender::new(Beat::Number(0)),
            places: Arc::new(Semaphore::new(MOST)),
        }
    }
}

impl Pulse {
    /// To be called once a second.
    pub fn beat(&self, table: &Table) {
        self.sampled.lock().take(table);
        self.bell.send_modify(|beat| {
            if let Beat::Number(number) = beat {
                *number += 1;
            }
        });
    }

    /// Lets every listener go: the process ends.
    pub fn end(&self) {
        self.bell.send_replace(Beat::Over);
    }

    /// What beat `number` says. Whoever comes first writes it for the others.
    fn said(&self, number: u64, running: &dyn Running) -> Bytes {
        let mut said = self.said.lock();
        if said.0 != number || said.1.is_empty() {
            let picture = picture::of(running, &self.sampled.lock());
            *said = (number, event("beat", &picture));
        }
        said.1.clone()
    }
}

fn event(name: &str, content: &impl serde::Serialize) -> Bytes {
    let content = serde_json::to_string(content).expect("counts and names are JSON");
    format!("event: {name}\ndata: {content}\n\n").into()
}

pub(super) async fn live(State(running): Seen) -> Response {
    let pulse = running.pulse();
    let Ok(place) = Arc::clone(&pulse.places).try_acquire_owned() else {
        let message = format!("{MOST} pages listen already; close one, or ask /admin/status");
        return problem(StatusCode::SERVICE_UNAVAILABLE, message);
    };
    let (events, taken) = mpsc::channel(1);
    tokio::spawn(tell(running, pulse, events, place));
    let head = [(CONTENT_TYPE, "text/event-stream; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (head, Body::new(Events(taken))).into_response()
}

/// Until the listener or the gateway leaves, or other operators are known: a page that still may comes back at once,
/// and proves itself. Who is slow to take a beat misses some.
async fn tell(
    running: Arc<dyn Running>,
    pulse: Arc<Pulse>,
    events: mpsc::Sender<Bytes>,
    _place: OwnedSemaphorePermit,
) {
    let mut bell = pulse.bell.subscribe();
    let operators = || running.table().server.operators();
    let known = operators();
    let history = event("history", &picture::History::of(&pulse.sampled.lock()));
    if events.send(history).await.is_err() {
        return;
    }
    loop {
        let beat = *bell.borrow_and_update();
        let Beat::Number(number) = beat else { return };
        if operators() != known || events.send(pulse.said(number, &*running)).await.is_err() {
            return;
        }
        // Waiting again loses nothing: the bell keeps its last beat.
        tokio::select! {
            () = events.closed() => return,
            changed = bell.changed() => if changed.is_err() { return },
        }
    }
}

/// What is told, as a body.
struct Events(mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

#[cfg(test)]
mod tests;
