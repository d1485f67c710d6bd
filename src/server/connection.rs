//! One caller's connection, from its first byte to its last, in one task.
//!
//! hyper speaks the protocols; this file decides when a connection is over: its caller is silent for too
//! long, or while others need his place, does not read, or the process is leaving.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep, sleep_until, timeout};
use tower::Service;

use super::conduct::{Conduct, Patience};
use super::edge::{Answer, Edge, edge};
use super::front::Front;
use super::guard;
use super::lifecycle::Stage;
use super::line::{Line, Place};
use super::streams::Streams;
use crate::algo::tick::Tick;
use crate::config::Limits;
use crate::proxy::Arriving;
use crate::state::Live;

/// What hyper holds to by itself, without being told.
const HYPER_MAX_HEADERS: u32 = 100;
/// Least that hyper accepts.
const LEAST_BUFFER: usize = 8 * 1024;
/// Most that a connection ever holds of heads, whatever the limits say.
const MOST_BUFFER: usize = 4 * 1024 * 1024;
/// Beyond the limits for target and headers: so much of an oversized head is still parsed, to be
/// refused in the caller's dialect. hyper refuses what is larger, without a body.
const PARSED_EXCESS: usize = 16 * 1024;
/// Streams of one HTTP/2 connection (RFC 9113 §6.5.2 recommends at least 100).
const H2_STREAMS: u32 = 256;
/// Unread body bytes of one stream, and of all streams of a connection.
const H2_STREAM_WINDOW: u32 = 256 * 1024;
const H2_CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Unsent bytes of one stream.
const H2_SEND_BUFFER: usize = 64 * 1024;
/// Streams that a caller reset before we took them up, and streams that we reset for a caller's
/// mistakes: beyond these the connection is closed (CVE-2023-44487). h2's defaults, pinned.
const H2_PENDING_RESETS: usize = 20;
const H2_ERROR_RESETS: usize = 1024;
/// A caller that vanished without a word is noticed after the two together.
const H2_PING: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(20));
/// After a goodbye that nobody answers.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Serves a connection whose bytes come `from` there over `io`; `place` is held until they cannot any more.
pub(super) async fn serve<T>(front: Arc<Front>, io: T, from: Option<IpAddr>, place: Option<Place>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let snapshot = front.gateway.snapshot();
    let server = &snapshot.table.server;
    let (close_spread, write_stall) = (server.drain.close_spread, server.timeouts.write_stall);
    let buffer = buffer_of(&server.limits);
    // What hyper has read and not understood is at most one buffer; what it is reading is another.
    let conduct = Conduct::new(&front.gateway.live, &server.timeouts, 2 * buffer);
    let _entered = front.eviction.enter(&conduct);
    let streams = Streams::new(write_stall, Arc::clone(&front.lifecycle));
    let builder = builder(&server.limits, buffer, streams.clone());
    let caller = Caller {
        limits: server.limits.clone(),
        conduct: Arc::clone(&conduct),
        streams,
        edge: edge(Arc::clone(&front.gateway), from),
        front: Arc::clone(&front),
        since: front.lifecycle.stage(),
    };
    // A connection outlives tables; it must not keep one alive.
    drop(snapshot);
    let line = TokioIo::new(Line::new(io, Arc::clone(&conduct), write_stall, place));
    let mut served =
        pin!(builder.serve_connection_with_upgrades(line, service_fn(|request| caller.call(request))));
    let live = &front.gateway.live;
    // One after the other, so that there is one to look at.
    let mut awaited = Stage::Closing;
    let mut stage = pin!(front.lifecycle.reached(awaited));
    let mut alarm = pin!(Alarm::new(conduct.due().unwrap_or_else(|| live.now())));
    loop {
        // Nothing is lost with a branch: the connection is polled on, stages stay reached, and the
        // alarm is set anew.
        let event = poll_fn(|cx| {
            if served.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Ended);
            }
            if stage.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Stage);
            }
            if let Some(due) = conduct.due() {
                if conduct.hears_of_it(cx.waker()) {
                    return Poll::Ready(Event::Alarm);
                }
                alarm.as_mut().no_later_than(due, live);
            }
            alarm.as_mut().poll(cx).map(|()| Event::Alarm)
        });
        match event.await {
            Event::Stage if awaited == Stage::Closing => {
                awaited = Stage::CutOff;
                stage.set(front.lifecycle.reached(awaited));
                let spread = live.dice().between(0.0, close_spread.as_secs_f64());
                tokio::select! {
                    _ = served.as_mut() => return,
                    () = front.lifecycle.reached(Stage::CutOff) => {}
                    () = sleep(Duration::from_secs_f64(spread)) => {}
                }
                served.as_mut().graceful_shutdown();
            }
            // Its request has a look, which is asked with the connection.
            Event::Stage if awaited == Stage::CutOff => {
                awaited = Stage::Gone;
                stage.set(front.lifecycle.reached(awaited));
            }
            Event::Stage | Event::Ended => return,
            Event::Alarm => match conduct.patience(live.now()) {
                Patience::Until(tick) => alarm.as_mut().set(tick, live),
                Patience::Stuck => return,
                Patience::Idle => {
                    served.as_mut().graceful_shutdown();
                    let ended = timeout(LAST_WORDS, served.as_mut()).await.is_ok();
                    if ended || conduct.is_idle() {
                        return;
                    }
                }
            },
        }
    }
}

enum Event {
    Ended,
    /// The one that was awaited.
    Stage,
    /// It is time to look at the caller's conduct.
    Alarm,
}

pin_project! {
    /// A timer that is cheap to look at: set anew only to ring earlier, or after it has rung.
    struct Alarm {
        at: Tick,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Alarm {
    const fn new(at: Tick) -> Self {
        Self { at, sleep: None }
    }

    fn set(self: Pin<&mut Self>, at: Tick, live: &Live) {
        let mut this = self.project();
        *this.at = at;
        let instant = live.clock.instant(at);
        match this.sleep.as_mut().as_pin_mut() {
            Some(sleep) => sleep.reset(instant),
            None => this.sleep.set(Some(sleep_until(instant))),
        }
    }

    fn no_later_than(self: Pin<&mut Self>, due: Tick, live: &Live) {
        if due < self.at || self.sleep.is_none() {
            self.set(due, live);
        }
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.as_pin_mut().map_or(Poll::Pending, |sleep| sleep.poll(cx))
    }
}

/// Answers the requests of one connection.
struct Caller {
    front: Arc<Front>,
    limits: Limits,
    conduct: Arc<Conduct>,
    streams: Streams,
    edge: Edge,
    /// The stage in which the connection began.
    since: Stage,
}

impl Caller {
    fn call(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Answer>, Infallible>> + Send + use<> {
        let http1 = request.version() < Version::HTTP_2;
        let handed = (!http1).then(|| self.streams.arrive());
        let checked = guard::check(&request, &self.limits, &self.conduct);
        let exchange = self.conduct.begin();
        let answer = match checked {
            Ok(()) => Ok(self.edge.clone().call(request)),
            Err(refused) => {
                let answer = refused.answer(&request, &self.limits, &self.front.gateway.live);
                let version = request.version();
                drop(Arriving::new(request.into_body(), version));
                Err(answer)
            }
        };
        let (front, since) = (Arc::clone(&self.front), self.since);
        async move {
            let mut response = match answer {
                Ok(answer) => answer.await?.map(Either::Left),
                Err(refusal) => refusal.map(Either::Right),
            };
            // Whoever is told before it ends sends nothing more into it. Each is told once: those that come while this
            // process leaves may well come back to it.
            let now = front.lifecycle.stage();
            if http1 && (now >= Stage::Closing || (now >= Stage::Leaving && since < Stage::Leaving)) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|content| Answer::new(content, handed, exchange)))
        }
    }
}

/// Bytes of heads that hyper holds: everything that we may accept, and some that we refuse ourselves.
fn buffer_of(limits: &Limits) -> usize {
    let wanted = limits.max_header_bytes.saturating_add(limits.max_uri);
    usize::try_from(wanted)
        .unwrap_or(usize::MAX / 4)
        .saturating_add(PARSED_EXCESS)
        .clamp(LEAST_BUFFER, MOST_BUFFER)
}

fn builder(limits: &Limits, buffer: usize, streams: Streams) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(streams);
    let mut http1 = builder.http1();
    http1.max_buf_size(buffer);
    // Unless it is told a number, hyper keeps room for its own number on the stack, which is cheaper.
    if limits.max_headers > HYPER_MAX_HEADERS {
        http1.max_headers(limits.max_headers as usize);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS)
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .max_send_buf_size(H2_SEND_BUFFER)
        .max_header_list_size(u32::try_from(buffer).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(H2_PENDING_RESETS)
        .max_local_error_reset_streams(H2_ERROR_RESETS)
        .keep_alive_interval(H2_PING.0)
        .keep_alive_timeout(H2_PING.1);
    builder
}

#[cfg(test)]
mod tests;
