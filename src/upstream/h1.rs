//! An HTTP/1.1 connection without a task of its own.
//!
//! hyper's `Connection` is a future that moves the bytes. Here whoever waits for the head or reads the
//! body polls it, so a request over a kept connection costs no spawn and no wake-up between tasks, and
//! dropping the waiter closes the socket at once.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::body::{Broken, Incoming, Metered, Outgoing};
use super::call::{CallError, Failure};
use super::dial::Socket;
use super::gate::Gate;
use super::patience::{Patience, Sent};
use super::slot::Slot;
use super::upgrade::Upgraded;
use super::wire::{Meter, Wire};
use crate::vocab::{Fault, Stage};

/// Most bytes of a response's head: twice what large cookie-laden answers need, far below a memory risk.
const MAX_HEAD: usize = 64 * 1024;

pub(super) struct Connection {
    sender: http1::SendRequest<Metered>,
    inner: http1::Connection<TokioIo<Wire>, Metered>,
    /// `inner` has finished and must not be polled again.
    ended: bool,
    gate: Gate,
    meter: Arc<Meter>,
    pub(super) requests: u32,
    /// Not used again after this.
    pub(super) retire_at: Instant,
    /// What the peer's last `Keep-Alive: timeout` allows, a second taken off.
    pub(super) learned_idle: Option<Duration>,
    /// Held while in use.
    pub(super) slot: Option<Slot>,
}

impl Connection {
    pub(super) async fn open(
        socket: Box<dyn Socket>,
        slot: Slot,
        retire_at: Instant,
    ) -> Result<Box<Self>, String> {
        let meter = Arc::new(Meter::default());
        let wire = TokioIo::new(Wire::new(socket, Arc::clone(&meter)));
        let (sender, inner) = http1::Builder::new()
            .max_header_size(MAX_HEAD)
            .handshake(wire)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Box::new(Self {
            sender,
            inner,
            ended: false,
            gate: Gate::new(),
            meter,
            requests: 0,
            retire_at,
            learned_idle: None,
            slot: Some(slot),
        }))
    }

    /// Looks once whether the idle connection is still good: the peer has neither closed it nor sent
    /// anything. Forgets the task that used it last.
    pub(super) fn is_fit(&mut self) -> bool {
        let Self { gate, inner, ended, sender, .. } = self;
        gate.quietly(|cx| {
            if !*ended {
                *ended = inner.poll_without_shutdown(cx).is_ready();
            }
        });
        !*ended && sender.is_ready()
    }

    /// The same, with the kernel asked too: for one that has been idle for a while.
    pub(super) fn is_fit_after_a_while(&mut self) -> bool {
        self.meter.look_closely();
        self.is_fit()
    }

    fn learn(&mut self, headers: &HeaderMap) {
        self.learned_idle = headers
            .get("keep-alive")
            .and_then(|value| value.to_str().ok())
            .and_then(keep_alive_timeout)
            .map(|timeout| timeout.saturating_sub(Duration::from_secs(1)));
    }

    fn error(&self, error: &hyper::Error) -> CallError {
        let stage = self.meter.stage();
        let fault = if error.is_user() {
            // Only a streamed body can fail here, and its source is the caller.
            Fault::Cancelled
        } else if stage == Stage::NotSent {
            Fault::NotProcessed
        } else if error.is_parse() {
            Fault::Protocol
        } else {
            Fault::Reset
        };
        CallError { fault, stage, detail: with_cause(error) }
    }
}

/// Sends `request` and waits for the head of the response.
pub(super) async fn exchange(
    mut connection: Box<Connection>,
    request: Request<Outgoing>,
    headers: Duration,
) -> Result<Response<Incoming>, Failure> {
    let streamed = matches!(request.body(), Outgoing::Streamed(_));
    connection.meter.reset();
    connection.requests += 1;
    let request = request.map(|body| {
        if body.is_finished() {
            connection.meter.finish_body();
        }
        Metered { body, meter: Arc::clone(&connection.meter) }
    });
    let mut answer = pin!(connection.sender.try_send_request(request));
    let mut patience = pin!(Patience::new(headers, streamed));

    let outcome = poll_fn(|cx| {
        let Connection { gate, inner, ended, meter, .. } = &mut *connection;
        let polled = gate.poll(cx, |cx| {
            if !*ended {
                *ended = inner.poll_without_shutdown(cx).is_ready();
            }
            // Nobody but `inner` can answer, so nobody needs to be woken.
            match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(answer) => Poll::Ready(Outcome::Answer(answer)),
                Poll::Pending if *ended => Poll::Ready(Outcome::Ended),
                Poll::Pending => Poll::Pending,
            }
        });
        match polled {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => {
                let sent = Sent { bytes: meter.written(), finished: meter.body_finished() };
                patience.as_mut().poll_over(cx, sent).map(|()| Outcome::Silent)
            }
        }
    })
    .await;

    let failed = match outcome {
        Outcome::Answer(Ok(response)) => return Ok(accept(connection, response)),
        Outcome::Answer(Err(error)) => error,
        Outcome::Silent => {
            return Err(Failure::Failed(CallError {
                fault: Fault::HeadersTimeout,
                stage: connection.meter.stage(),
                detail: format!("no response headers within {headers:?}"),
            }));
        }
        Outcome::Ended => {
            // hyper gives back what it had not begun only when the connection goes.
            let stage = connection.meter.stage();
            drop(connection);
            match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Err(mut error)) => {
                    let detail = with_cause(error.error());
                    return Err(match error.take_message() {
                        Some(request) => {
                            Failure::Unsent(Box::new(request.map(|metered| metered.body)), detail)
                        }
                        None => Failure::Failed(lost(stage, detail)),
                    });
                }
                Poll::Ready(Ok(_)) | Poll::Pending => {
                    return Err(Failure::Failed(lost(stage, "the connection closed".into())));
                }
            }
        }
    };
    let mut failed = failed;
    let error = connection.error(failed.error());
    Err(match failed.take_message() {
        Some(request) => Failure::Unsent(Box::new(request.map(|metered| metered.body)), error.detail),
        None => Failure::Failed(error),
    })
}

enum Outcome<A> {
    Answer(A),
    Ended,
    Silent,
}

fn lost(stage: Stage, detail: String) -> CallError {
    let fault = if stage == Stage::NotSent { Fault::NotProcessed } else { Fault::Reset };
    CallError { fault, stage, detail }
}

/// Gives the connection to the response's body, or straight back to the pool where there is none.
fn accept(mut connection: Box<Connection>, response: Response<hyper::body::Incoming>) -> Response<Incoming> {
    connection.learn(response.headers());
    let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let (parts, body) = response.into_parts();
    let mut reading = Reading { body, connection: Some(connection), switching };
    let body =
        if !switching && reading.finish_if_ended() { Incoming::empty() } else { Incoming::http1(reading) };
    Response::from_parts(parts, body)
}

/// The part of a response that is still to come, and the connection that it comes on.
pub(super) struct Reading {
    body: hyper::body::Incoming,
    /// Taken when the response has ended.
    connection: Option<Box<Connection>>,
    switching: bool,
}

impl Reading {
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
        let Connection { gate, inner, ended, .. } = &mut **connection;
        let body = &mut self.body;
        let polled = ready!(gate.poll(cx, |cx| {
            let mut nobody = Context::from_waker(Waker::noop());
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(&mut nobody) {
                return Poll::Ready(frame.map(|frame| frame.map_err(|error| broken(&error))));
            }
            if *ended {
                return Poll::Ready(Some(Err(Broken::Cut)));
            }
            *ended = inner.poll_without_shutdown(cx).is_ready();
            match Pin::new(&mut *body).poll_frame(&mut nobody) {
                Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(|error| broken(&error)))),
                Poll::Pending if *ended => Poll::Ready(Some(Err(Broken::Cut))),
                Poll::Pending => Poll::Pending,
            }
        }));
        match &polled {
            Some(Ok(_)) => {}
            Some(Err(_)) => drop(self.connection.take()),
            None => self.give_back(),
        }
        Poll::Ready(polled)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.connection.is_none() || (!self.switching && self.body.is_end_stream())
    }

    /// Gives the connection back if the whole body has been read.
    pub(super) fn finish_if_ended(&mut self) -> bool {
        if self.is_ended() {
            self.give_back();
            true
        } else {
            false
        }
    }

    pub(super) fn hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn give_back(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && connection.is_fit()
            && let Some(slot) = connection.slot.take()
        {
            slot.shelve(connection);
        }
    }

    /// The bare connection, where the peer has switched protocols.
    pub(super) fn into_upgraded(mut self) -> Result<Upgraded, Self> {
        if !self.switching {
            return Err(self);
        }
        let Some(mut connection) = self.connection.take() else { return Err(self) };
        let slot = connection.slot.take();
        let Connection { inner, .. } = *connection;
        let parts = inner.into_parts();
        Ok(Upgraded::new(parts.io.into_inner(), parts.read_buf, slot))
    }
}

impl Drop for Reading {
    /// A reader that stopped at a stream's own terminator has often not seen the transport's end, which
    /// came with it. One look tells; anything else closes the connection.
    fn drop(&mut self) {
        if self.switching {
            return;
        }
        let Some(connection) = &mut self.connection else { return };
        let Connection { gate, inner, ended, .. } = &mut **connection;
        if !*ended {
            gate.quietly(|cx| *ended = inner.poll_without_shutdown(cx).is_ready());
        }
        let mut nobody = Context::from_waker(Waker::noop());
        if let Poll::Ready(None) = Pin::new(&mut self.body).poll_frame(&mut nobody) {
            self.give_back();
        }
    }
}

fn broken(error: &hyper::Error) -> Broken {
    let malformed = std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .is_some_and(|cause| {
            matches!(cause.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData)
        });
    if malformed { Broken::Malformed } else { Broken::Cut }
}

/// `timeout` of a `Keep-Alive` header (RFC 2068 §19.7.1.1, still what servers send).
fn keep_alive_timeout(value: &str) -> Option<Duration> {
    value.split(',').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let seconds = value.trim().trim_matches('"').parse::<u32>().ok()?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| Duration::from_secs(seconds.into()))
    })
}

/// An error with its causes, which hyper keeps out of its own text.
fn with_cause(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
