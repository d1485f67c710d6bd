//! An HTTP/1.1 connection without a task of its own (RFC 9112).
//!
//! Whoever waits for the head or reads the body moves the bytes, so a request over a kept connection
//! costs no spawn, no channel and no wake-up between tasks, and dropping the waiter closes the socket at
//! once. Nothing is buffered on a connection that waits: a request is let go as it leaves (`sending`), a
//! response handed out as it comes (`inbox`).

mod framing;
mod head;
mod inbox;
mod quiet;
mod reading;
mod sending;

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use tokio::time::Instant;

use super::body::{Incoming, Outgoing};
use super::call::{CallError, Doubt, Failure};
use super::dial::Socket;
use super::now;
use super::patience::{Patience, Sent};
use super::slot::Slot;
use crate::vocab::{Fault, Stage};
use head::{Asked, Head, Malformed, Parsed};
use inbox::Inbox;
pub(super) use reading::Reading;
use sending::Sending;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Interim responses before the real one: there are one or two where there are any.
const MAX_INTERIM: u8 = 16;

pub(super) struct Connection {
    socket: Box<dyn Socket>,
    inbox: Inbox,
    pub(super) requests: u32,
    pub(super) opened: Instant,
    /// Not used again after this.
    pub(super) retire_at: Instant,
    /// What the peer's last `Keep-Alive: timeout` allows, a second taken off.
    pub(super) learned_idle: Option<Duration>,
    /// Held while in use.
    pub(super) slot: Option<Slot>,
}

impl Connection {
    pub(super) fn new(socket: Box<dyn Socket>, slot: Slot, retire_at: Instant) -> Self {
        let (inbox, slot) = (Inbox::new(), Some(slot));
        Self { socket, inbox, requests: 0, opened: now(), retire_at, learned_idle: None, slot }
    }

    /// Looks once whether the idle connection is still good: the peer has neither closed it nor sent
    /// anything. Forgets the task that used it last.
    pub(super) fn is_fit(&mut self) -> bool {
        self.inbox.unread.is_empty() && quiet::seems_quiet(&mut self.socket)
    }

    /// The same, with the kernel asked too: for one that has been idle for a while.
    pub(super) fn is_fit_after_a_while(&mut self) -> bool {
        self.is_fit() && quiet::is_quiet(&*self.socket)
    }

    fn learn(&mut self, fields: &HeaderMap) {
        self.learned_idle = fields
            .get(KEEP_ALIVE)
            .and_then(|value| value.to_str().ok())
            .and_then(keep_alive_timeout)
            .map(|timeout| timeout.saturating_sub(Duration::from_secs(1)));
    }
}

/// Sends `request` and waits for the head of the response.
pub(super) async fn exchange(
    mut connection: Box<Connection>,
    request: Request<Outgoing>,
    headers: Duration,
) -> Result<Response<Incoming>, Failure> {
    connection.requests += 1;
    connection.inbox.expect_head();
    let streamed = matches!(request.body(), Outgoing::Streamed(_));
    let (parts, body) = request.into_parts();
    let mut answer = Answer { asked: Asked::by(&parts), interim: 0, looked_at: 0 };
    let mut sending = Sending::new(&parts, body);
    // Kept for as long as it may have to be given back.
    let mut unsent = Some(parts);
    let mut patience = pin!(Patience::new(headers, streamed));

    let outcome = poll_fn(|cx| {
        let Connection { socket, inbox, .. } = &mut *connection;
        // A peer that takes no more of a request has often said why, so its answer is read either way.
        if let Poll::Ready(Err(error)) = sending.poll(socket, cx) {
            return Poll::Ready(Err(Lost::Source(error.to_string())));
        }
        if sending.written() > 0 {
            unsent = None;
        }
        if let Poll::Ready(answered) = answer.poll(socket, inbox, cx) {
            return Poll::Ready(answered);
        }
        let sent = Sent { bytes: sending.written(), finished: sending.is_finished() };
        patience.as_mut().poll_over(cx, sent).map(|()| Err(Lost::Silent))
    })
    .await;

    let lost = match outcome {
        Ok(head) => return Ok(accept(connection, head, sending)),
        Err(lost) => lost,
    };
    let stage = sending.stage();
    let (fault, detail) = match lost {
        Lost::Closed(reason) => {
            let detail = sending.refused().map_or(reason, str::to_owned);
            if stage != Stage::NotSent {
                (Fault::Reset, detail)
            } else if let (Some(parts), Some(body)) = (unsent, sending.into_unsent()) {
                return Err(Failure::Unsent(Box::new(Request::from_parts(parts, body)), detail));
            } else {
                (Fault::NotProcessed, detail)
            }
        }
        Lost::Malformed(error) => (Fault::Protocol, error.to_string()),
        Lost::Source(error) => (Fault::Cancelled, format!("the request's body failed: {error}")),
        Lost::Silent => (Fault::HeadersTimeout, format!("no response headers within {headers:?}")),
    };
    let heard = answer.interim > 0 || !connection.inbox.unread.is_empty();
    let doubt = match fault {
        Fault::Reset | Fault::HeadersTimeout if !heard && connection.requests > 1 => Doubt::Connection,
        _ => Doubt::Upstream,
    };
    Err(Failure::Failed(CallError { fault, stage, detail, doubt }))
}

/// Why no head came.
enum Lost {
    Closed(String),
    Malformed(Malformed),
    /// The request's own body failed, and only its source, the caller, can make it.
    Source(String),
    Silent,
}

/// The head that is waited for.
struct Answer {
    asked: Asked,
    interim: u8,
    /// Bytes of an unfinished head that have been looked at.
    looked_at: usize,
}

impl Answer {
    fn poll(
        &mut self,
        socket: &mut Box<dyn Socket>,
        inbox: &mut Inbox,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, Lost>> {
        loop {
            if self.is_worth_a_look(&inbox.unread) {
                match head::parse(&mut inbox.unread, self.asked).map_err(Lost::Malformed)? {
                    Parsed::Whole(head) => return Poll::Ready(Ok(head)),
                    Parsed::Partial => self.looked_at = inbox.unread.len(),
                    Parsed::Interim if self.interim < MAX_INTERIM => {
                        (self.interim, self.looked_at) = (self.interim + 1, 0);
                        continue;
                    }
                    Parsed::Interim => {
                        return Poll::Ready(Err(Lost::Malformed(Malformed("interim responses without end"))));
                    }
                }
            }
            match ready!(inbox.poll_fill(socket, cx)) {
                Ok(0) => return Poll::Ready(Err(Lost::Closed("the connection closed".into()))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Lost::Closed(error.to_string()))),
            }
        }
    }

    /// A head that trickles in is parsed again with each line, of which it has few, and not with each
    /// byte.
    fn is_worth_a_look(&self, unread: &[u8]) -> bool {
        let news = unread.get(self.looked_at..).unwrap_or_default();
        !news.is_empty()
            && (self.looked_at == 0 || unread.len() > head::MAX_HEAD || memchr::memchr(b'\n', news).is_some())
    }
}

/// Gives the connection to the response's body, or straight back to the pool where there is none.
fn accept(mut connection: Box<Connection>, head: Head, sending: Sending) -> Response<Incoming> {
    connection.learn(&head.fields);
    let switching = head.status == StatusCode::SWITCHING_PROTOCOLS;
    let finished = sending.is_finished();
    // An answer that came early may want the rest of the request, as an echo does; a refusal does not
    // (RFC 9112 §9.5).
    let goes_on = !finished && sending.refused().is_none() && head.status.as_u16() < 400;
    let mut reading = Reading {
        connection: Some(connection),
        framing: head.framing,
        sending: goes_on.then(|| Box::new(sending)),
        persistent: head.persistent && (finished || goes_on),
        switching,
    };
    let body =
        if !switching && reading.finish_if_ended() { Incoming::empty() } else { Incoming::http1(reading) };
    let mut response = Response::new(body);
    (*response.status_mut(), *response.version_mut()) = (head.status, head.version);
    *response.headers_mut() = head.fields;
    response
}

/// `timeout` of a `Keep-Alive` header (RFC 2068 §19.7.1.1, still what servers send).
fn keep_alive_timeout(value: &str) -> Option<Duration> {
    value.split(',').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let seconds = value.trim().trim_matches('"').parse::<u32>().ok()?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| Duration::from_secs(seconds.into()))
    })
}
