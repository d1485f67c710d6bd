//! The body that goes to the caller. It owns what the answer still holds upstream, so dropping it
//! cancels the upstream's work at once.
//!
//! A stream that breaks after the commit ends with the dialect's own error event and then with an
//! abnormal end of transport: most SDKs take a cleanly ended truncated stream for a whole one
//! (WIRE §0.4). Nothing here can try again.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep_until};

use super::peek::Peeked;
use super::settle::Settle;
use crate::algo::tick::Tick;
use crate::dialect::Dialect;
use crate::dialect::trouble::{self, Kind, Trouble};
use crate::dialect::watch::{Beat, Ending};
use crate::state::permit::{Permit, Repeat};
use crate::state::table::Channel;
use crate::telemetry::{RequestOutcome, StreamOutcome};
use crate::upstream::Incoming;
use crate::vocab::{Fault, RateHint, Stage};

/// Why a body ends abnormally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken(pub Fault);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer broke: {}", self.0.name())
    }
}

impl StdError for Broken {}

/// An answer's body.
pub struct Reply(Shape);

enum Shape {
    Whole { body: Bytes, settle: Option<Settle> },
    PassedOn { begin: Bytes, rest: Box<Incoming>, settle: Option<Settle> },
    Opaque(Box<Opaque>),
    Streaming(Box<Streaming>),
}

impl Reply {
    pub fn whole(body: Bytes, settle: Option<Settle>) -> Self {
        Self(Shape::Whole { body, settle })
    }

    pub fn empty() -> Self {
        Self::whole(Bytes::new(), None)
    }

    /// An upstream's error answer, of which `begin` was read.
    pub fn passed_on(begin: Bytes, rest: Incoming, settle: Settle) -> Self {
        Self(Shape::PassedOn { begin, rest: Box::new(rest), settle: Some(settle) })
    }

    pub fn opaque(opaque: Opaque) -> Self {
        Self(Shape::Opaque(Box::new(opaque)))
    }

    pub fn streaming(streaming: Streaming) -> Self {
        Self(Shape::Streaming(Box::new(streaming)))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.get_mut().0 {
            Shape::Whole { body, settle } => {
                drop(settle.take());
                let body = std::mem::take(body);
                Poll::Ready((!body.is_empty()).then(|| Ok(Frame::data(body))))
            }
            Shape::PassedOn { begin, rest, settle } => {
                if !begin.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(std::mem::take(begin)))));
                }
                let frame = ready!(Pin::new(&mut **rest).poll_frame(cx));
                if frame.is_none() {
                    drop(settle.take());
                }
                Poll::Ready(frame.map(|frame| frame.map_err(|error| Broken(error.fault))))
            }
            Shape::Opaque(opaque) => opaque.poll_frame(cx),
            Shape::Streaming(streaming) => streaming.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Shape::Whole { body, .. } => body.is_empty(),
            Shape::PassedOn { begin, rest, .. } => begin.is_empty() && rest.is_end_stream(),
            Shape::Opaque(opaque) => opaque.is_end(),
            Shape::Streaming(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Shape::Whole { body, .. } => SizeHint::with_exact(body.len() as u64),
            Shape::PassedOn { begin, rest, .. } => plus(rest.size_hint(), begin.len()),
            Shape::Opaque(opaque) => opaque.hint(),
            Shape::Streaming(_) => SizeHint::default(),
        }
    }
}

fn plus(rest: SizeHint, begin: usize) -> SizeHint {
    rest.exact().map_or_else(SizeHint::default, |rest| SizeHint::with_exact(rest + begin as u64))
}

/// Wakes a body that waits: at the end of its patience, or now and then to see whether the process is
/// about to end. Moving the deadline costs nothing; the timer finds out when it fires.
struct Patience {
    timer: Pin<Box<Sleep>>,
}

/// How often a waiting body looks up.
const LOOK_UP: Duration = Duration::from_secs(5);

impl Patience {
    fn new(settle: &Settle, now: Tick, until: Tick) -> Self {
        let clock = settle.gateway().live.clock;
        Self { timer: Box::pin(sleep_until(clock.instant(until.min(now + LOOK_UP)))) }
    }

    /// Ready when `until` has passed, or when everything has to end.
    fn poll(&mut self, settle: &Settle, until: Tick, cx: &mut Context<'_>) -> Poll<Overdue> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let live = &settle.gateway().live;
            let now = live.now();
            if settle.gateway().cut_off.load(std::sync::atomic::Ordering::Relaxed) {
                return Poll::Ready(Overdue::CutOff);
            }
            if now >= until {
                return Poll::Ready(Overdue::Silent);
            }
            self.timer.as_mut().reset(live.clock.instant(until.min(now + LOOK_UP)));
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Overdue {
    Silent,
    CutOff,
}

/// Bytes that pass without a look into them: plain HTTP, audio, answers too large to hold.
pub struct Opaque {
    begin: Option<Bytes>,
    upstream: Incoming,
    /// Until the end, whatever it is.
    open: Option<(Permit, Settle)>,
    patience: Patience,
    idle: Duration,
    last: Tick,
    deadline: Tick,
}

impl Opaque {
    pub fn new(
        begin: Option<Bytes>,
        upstream: Incoming,
        permit: Permit,
        settle: Settle,
        deadline: Tick,
    ) -> Self {
        let now = settle.gateway().live.now();
        let idle = permit.channel().config.timeouts.idle;
        let patience = Patience::new(&settle, now, now + idle);
        Self { begin, upstream, open: Some((permit, settle)), patience, idle, last: now, deadline }
            .ended_already()
    }

    /// A body without a byte has ended before anyone polls it.
    fn ended_already(mut self) -> Self {
        if self.begin.is_none() && self.upstream.is_end_stream() {
            self.end();
        }
        self
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(begin) = self.begin.take() {
            return Poll::Ready(Some(Ok(Frame::data(begin))));
        }
        match Pin::new(&mut self.upstream).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some((_, settle)) = &self.open {
                    self.last = settle.gateway().live.now();
                }
                if self.upstream.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(self.broke(error.fault)))),
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let Some((_, settle)) = &self.open else { return Poll::Pending };
                let until = (self.last + self.idle).min(self.deadline);
                let fault = match ready!(self.patience.poll(settle, until, cx)) {
                    Overdue::Silent => Fault::StreamStalled,
                    Overdue::CutOff => Fault::Cancelled,
                };
                Poll::Ready(Some(Err(self.broke(fault))))
            }
        }
    }

    fn end(&mut self) {
        if let Some((permit, mut settle)) = self.open.take() {
            permit.finish();
            settle.ends(RequestOutcome::Ok);
        }
    }

    fn broke(&mut self, fault: Fault) -> Broken {
        if let Some((permit, mut settle)) = self.open.take() {
            permit.fail(fault, Stage::Committed, &RateHint::default(), Repeat::First);
            settle.ends(RequestOutcome::Broken);
        }
        Broken(fault)
    }

    fn is_end(&self) -> bool {
        self.begin.is_none() && self.upstream.is_end_stream()
    }

    fn hint(&self) -> SizeHint {
        plus(self.upstream.size_hint(), self.begin.as_ref().map_or(0, Bytes::len))
    }
}

/// A stream of events, watched on its way.
pub struct Streaming {
    peeked: Peeked,
    stage: Flow,
    open: Option<(Permit, Settle)>,
    channel: Arc<Channel>,
    patience: Patience,
    dialect: Dialect,
    /// When the last byte came, and the last content.
    last: Tick,
    last_content: Tick,
    deadline: Tick,
}

enum Flow {
    Open(Incoming),
    /// All is said; what is ready goes out, and then the clean end.
    Ended,
    /// The error event is among what is ready; then comes the abnormal end.
    Failing(Fault),
    /// Gives the connection time to flush the error event before it is torn down.
    Flushing(Fault, Pin<Box<Sleep>>),
    Over,
}

/// Time for an error event to leave before its connection is cut: hyper drops what it has buffered
/// when a body fails.
const FLUSH: Duration = Duration::from_millis(20);
/// What a terminated stream may still take to end by itself, for the sake of its connection.
const LINGER: Duration = Duration::from_secs(1);

impl Streaming {
    pub fn new(
        peeked: Peeked,
        upstream: Incoming,
        permit: Permit,
        settle: Settle,
        dialect: Dialect,
        deadline: Tick,
    ) -> Self {
        let now = settle.gateway().live.now();
        let timeouts = &permit.channel().config.timeouts;
        let patience = Patience::new(&settle, now, now + timeouts.idle);
        let channel = Arc::clone(permit.channel());
        let stage = if peeked.ended { Flow::Ended } else { Flow::Open(upstream) };
        let open = Some((permit, settle));
        let mut streaming =
            Self { peeked, stage, open, channel, patience, dialect, last: now, last_content: now, deadline };
        if streaming.peeked.ended {
            streaming.finish(StreamOutcome::Complete);
        } else if let Some(fault) = streaming.peeked.error {
            streaming.fail(fault, Tail::Theirs);
        }
        streaming
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if let Some(bytes) = self.peeked.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            match &mut self.stage {
                Flow::Open(upstream) => match Pin::new(upstream).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        if let Ok(chunk) = frame.into_data() {
                            self.take(chunk);
                        }
                    }
                    Poll::Ready(Some(Err(error))) => self.upstream_broke(error.fault),
                    Poll::Ready(None) => self.upstream_ended(),
                    Poll::Pending => ready!(self.wait(cx)),
                },
                Flow::Ended => {
                    self.stage = Flow::Over;
                    return Poll::Ready(None);
                }
                Flow::Failing(fault) => {
                    self.stage = Flow::Flushing(*fault, Box::pin(tokio::time::sleep(FLUSH)));
                }
                Flow::Flushing(fault, timer) => {
                    ready!(timer.as_mut().poll(cx));
                    let fault = *fault;
                    self.stage = Flow::Over;
                    return Poll::Ready(Some(Err(Broken(fault))));
                }
                Flow::Over => return Poll::Ready(None),
            }
        }
    }

    /// Takes in a chunk: whole events go on as the slices of it that they are, side by side where they
    /// lie side by side; the begin of an event waits for its end, so that an error event can never
    /// land in the middle of another.
    fn take(&mut self, chunk: Bytes) {
        let Some((_, settle)) = &self.open else { return };
        let now = settle.gateway().live.now();
        self.last = now;
        let before = self.peeked.watch.content_events();
        let mut run = Run::new(chunk.clone());
        self.peeked.splitter.push(chunk);
        let fault = loop {
            let frame = match self.peeked.splitter.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break None,
                Err(_) => break Some((Fault::Protocol, Tail::Ours)),
            };
            match self.peeked.watch.frame(&frame) {
                Beat::UsageOnly if self.peeked.strip_usage => continue,
                Beat::Error(_) => {
                    run.add(frame.raw, &mut self.peeked.ready);
                    break Some((Fault::StreamError, Tail::Theirs));
                }
                Beat::Broken => self.peeked.broken_events += 1,
                Beat::Lifecycle | Beat::Content | Beat::UsageOnly | Beat::Finish | Beat::Terminal => {}
            }
            run.add(frame.raw, &mut self.peeked.ready);
        };
        run.end(&mut self.peeked.ready);
        let after = self.peeked.watch.content_events();
        if after > before {
            self.last_content = now;
        }
        match fault {
            Some((fault, tail)) => self.fail(fault, tail),
            None => {
                if let Some((permit, _)) = &mut self.open {
                    permit.keeps_going(after);
                }
            }
        }
    }

    /// Nothing comes for now; ready when that has lasted for too long.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((_, settle)) = &self.open else { return Poll::Ready(()) };
        let timeouts = &self.channel.config.timeouts;
        let terminated = self.peeked.watch.is_terminated();
        let until = if terminated {
            self.last + LINGER
        } else {
            let silent = self.last + timeouts.idle;
            let empty = timeouts.content_idle.map_or(Tick::MAX, |limit| self.last_content + limit);
            silent.min(empty).min(self.deadline)
        };
        match ready!(self.patience.poll(settle, until, cx)) {
            Overdue::Silent if terminated => self.finish(StreamOutcome::Complete),
            Overdue::Silent => self.fail(Fault::StreamStalled, Tail::Ours),
            Overdue::CutOff => self.fail(Fault::Cancelled, Tail::Ours),
        }
        Poll::Ready(())
    }

    fn upstream_ended(&mut self) {
        if let Some(rest) = self.peeked.splitter.leftover() {
            if let Beat::Error(_) = self.peeked.watch.frame(&rest) {
                self.peeked.ready.push_back(rest.raw);
                self.fail(Fault::StreamError, Tail::Theirs);
                return;
            }
            if let Ending::Truncated = self.peeked.watch.end() {
                // Half an event; the error event takes its place.
                self.fail(Fault::StreamCut, Tail::Ours);
                return;
            }
            self.peeked.ready.push_back(rest.raw);
        }
        match self.peeked.watch.end() {
            Ending::Complete { missing_terminator: None } => self.finish(StreamOutcome::Complete),
            Ending::Complete { missing_terminator: Some(terminator) } => {
                self.peeked.ready.push_back(Bytes::from_static(terminator));
                self.finish(StreamOutcome::Unterminated);
            }
            Ending::Truncated => self.fail(Fault::StreamCut, Tail::Ours),
        }
    }

    fn upstream_broke(&mut self, fault: Fault) {
        if self.peeked.watch.is_terminated() {
            self.finish(StreamOutcome::Complete);
        } else {
            self.fail(if fault == Fault::Truncated { Fault::StreamCut } else { fault }, Tail::Ours);
        }
    }

    fn finish(&mut self, outcome: StreamOutcome) {
        self.stage = Flow::Ended;
        self.book_usage();
        if let Some((permit, mut settle)) = self.open.take() {
            permit.finish();
            settle.stream_ends(outcome);
        }
    }

    fn fail(&mut self, fault: Fault, tail: Tail) {
        self.stage = Flow::Failing(fault);
        self.book_usage();
        if tail == Tail::Ours {
            let sequence = self.peeked.watch.next_sequence();
            let event = trouble::in_band(&trouble_of(fault, &self.channel.label), self.dialect, sequence);
            self.peeked.ready.push_back(event);
        }
        let Some((permit, mut settle)) = self.open.take() else { return };
        settle.stream_ends(match fault {
            Fault::StreamError => StreamOutcome::Error,
            Fault::StreamStalled => StreamOutcome::Stalled,
            _ => StreamOutcome::Cut,
        });
        let fault = if fault == Fault::Protocol { Fault::StreamCut } else { fault };
        permit.fail(fault, Stage::Committed, &RateHint::default(), Repeat::First);
    }

    fn book_usage(&mut self) {
        if self.peeked.broken_events > 0 {
            self.channel
                .upstream
                .handles
                .broken_events
                .increment(std::mem::take(&mut self.peeked.broken_events));
        }
        let Some((_, settle)) = &mut self.open else { return };
        if let Some(usage) = self.peeked.watch.usage() {
            self.channel.handles.used(&usage);
            settle.usage = Some(usage);
        }
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        // The caller hung up: what was consumed is booked all the same.
        self.book_usage();
        if let Some((_, settle)) = &mut self.open {
            settle.stream_ends(StreamOutcome::Cancelled);
        }
    }
}

/// Whose words end a broken stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// The upstream has said it in its own error event.
    Theirs,
    Ours,
}

fn trouble_of(fault: Fault, channel: &str) -> Trouble {
    let (kind, what) = match fault {
        Fault::StreamStalled => (Kind::Timeout, "went silent in the middle of its answer"),
        Fault::Cancelled => (Kind::Unavailable, "was cut off because the gateway shuts down"),
        _ => (Kind::BadGateway, "broke off in the middle of its answer"),
    };
    let mut trouble =
        Trouble::new(kind, format!("the stream of {channel} {what}; what was sent is incomplete"));
    trouble.code = Some(fault.name().into());
    trouble
}

/// Neighbouring slices of one chunk, joined again without a copy.
struct Run {
    chunk: Bytes,
    /// Offsets into `chunk`.
    open: Option<(usize, usize)>,
}

impl Run {
    fn new(chunk: Bytes) -> Self {
        Self { chunk, open: None }
    }

    fn add(&mut self, raw: Bytes, out: &mut VecDeque<Bytes>) {
        let begin = (raw.as_ptr() as usize).wrapping_sub(self.chunk.as_ptr() as usize);
        let end = begin.wrapping_add(raw.len());
        let inside = begin < self.chunk.len() && end <= self.chunk.len();
        match self.open {
            Some((first, last)) if inside && last == begin => self.open = Some((first, end)),
            _ => {
                self.end(out);
                if inside {
                    self.open = Some((begin, end));
                } else {
                    out.push_back(raw);
                }
            }
        }
    }

    fn end(&mut self, out: &mut VecDeque<Bytes>) {
        if let Some((first, last)) = self.open.take() {
            out.push_back(self.chunk.slice(first..last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_leave_together_and_strangers_apart() {
        let chunk = Bytes::from_static(b"aabbccdd");
        let mut out = VecDeque::new();
        let mut run = Run::new(chunk.clone());
        run.add(Bytes::from_static(b"held"), &mut out);
        run.add(chunk.slice(0..2), &mut out);
        run.add(chunk.slice(2..4), &mut out);
        run.add(chunk.slice(6..8), &mut out);
        run.end(&mut out);
        assert_eq!(out, [&b"held"[..], b"aabb", b"dd"]);
    }
}
