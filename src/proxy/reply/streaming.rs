//! A stream of events on its way to the caller: watched, metered, and ended as its dialect demands.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::Sleep;

use super::patience::{Overdue, Patience};
use super::run::Run;
use super::{Broken, FLUSH};
use crate::algo::tick::Tick;
use crate::dialect::Dialect;
use crate::dialect::classify::InBand;
use crate::dialect::trouble::{self, Kind, Trouble};
use crate::dialect::watch::{Beat, Ending};
use crate::proxy::drive;
use crate::proxy::peek::Peeked;
use crate::proxy::recall::Keepsake;
use crate::proxy::settle::Settle;
use crate::state::permit::{Permit, Repeat};
use crate::state::table::Channel;
use crate::telemetry::StreamOutcome;
use crate::upstream::Incoming;
use crate::vocab::{Fault, RateHint, Stage};

/// A stream of events, watched on its way.
pub struct Streaming {
    peeked: Peeked,
    stage: Flow,
    open: Option<(Permit, Settle)>,
    channel: Arc<Channel>,
    patience: Patience,
    dialect: Dialect,
    /// What is needed to remember the answer, until it is remembered.
    keepsake: Option<Keepsake>,
    /// When the last byte came, and the last content.
    last: Tick,
    last_content: Tick,
    /// When the caller last heard something, our own signs of life included.
    last_said: Tick,
    keep_alive: Option<&'static [u8]>,
    deadline: Tick,
}

/// To whom the answer is said.
pub struct Said {
    pub dialect: Dialect,
    /// For an answer that the caller may refer to later.
    pub keepsake: Option<Keepsake>,
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

/// A caller who hears nothing for this long is told that the stream goes on: proxies and load balancers
/// on his way close connections that are silent for a minute, some for half of one. How long the upstream
/// may be silent is another matter (`timeouts.idle`), and ends this too.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a terminated stream may still take to end by itself, for the sake of its connection.
const LINGER: Duration = Duration::from_secs(1);

impl Streaming {
    pub fn new(
        peeked: Peeked,
        upstream: Incoming,
        permit: Permit,
        settle: Settle,
        Said { dialect, keepsake }: Said,
        deadline: Tick,
    ) -> Self {
        let now = settle.gateway().live.now();
        let patience = Patience::new(&settle, now);
        let channel = Arc::clone(permit.channel());
        let stage = if peeked.ended { Flow::Ended } else { Flow::Open(upstream) };
        let open = Some((permit, settle));
        let keep_alive = trouble::keep_alive(dialect);
        let mut streaming = Self {
            peeked,
            stage,
            open,
            channel,
            patience,
            dialect,
            keepsake,
            last: now,
            last_content: now,
            last_said: now,
            keep_alive,
            deadline,
        };
        streaming.remember();
        if streaming.peeked.ended {
            streaming.finish(StreamOutcome::Complete);
        } else if let Some(in_band) = streaming.peeked.error.take() {
            streaming.upstream_failed(in_band);
        }
        streaming
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
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
        self.last_said = now;
        let before = self.peeked.watch.content_events();
        let stop = if self.peeked.is_translated() { self.translate(chunk) } else { self.forward(chunk) };
        self.remember();
        let after = self.peeked.watch.content_events();
        if after > before {
            self.last_content = now;
        }
        match stop {
            Some(Stop::Failed(in_band)) => self.upstream_failed(in_band),
            Some(Stop::Unframeable) => self.fail(Fault::Protocol, LastWord::Ours),
            None => {
                if let Some((permit, _)) = &mut self.open {
                    permit.keeps_going(after);
                }
            }
        }
    }

    /// Remembers the answer once it is whole, and before its end leaves: the caller may refer to it at once.
    fn remember(&mut self) {
        if let (Some((_, settle)), Some(whole)) = (&self.open, self.peeked.take_whole())
            && let Some(keepsake) = self.keepsake.take()
        {
            keepsake.remember(settle.gateway(), whole.as_bytes());
        }
    }

    /// Passes a chunk's events on as they are.
    fn forward(&mut self, chunk: Bytes) -> Option<Stop> {
        let mut run = Run::new(chunk.clone());
        self.peeked.splitter.push(chunk);
        let stop = loop {
            let frame = match self.peeked.splitter.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break None,
                Err(_) => break Some(Stop::Unframeable),
            };
            match self.peeked.watch.frame(&frame) {
                Beat::UsageOnly if self.peeked.strip_usage => continue,
                Beat::Error(in_band) => {
                    run.add(frame.raw, &mut self.peeked.ready);
                    break Some(Stop::Failed(in_band));
                }
                Beat::Broken => self.peeked.broken_events += 1,
                Beat::Lifecycle | Beat::Content | Beat::UsageOnly | Beat::Finish | Beat::Terminal => {}
            }
            run.add(frame.raw, &mut self.peeked.ready);
        };
        run.end(&mut self.peeked.ready);
        stop
    }

    /// Passes a chunk's events on as the caller's dialect says them.
    fn translate(&mut self, chunk: Bytes) -> Option<Stop> {
        self.peeked.splitter.push(chunk);
        loop {
            let frame = match self.peeked.splitter.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return None,
                Err(_) => return Some(Stop::Unframeable),
            };
            match self.peeked.watch.frame(&frame) {
                Beat::Error(in_band) => return Some(Stop::Failed(in_band)),
                Beat::Terminal => {
                    self.peeked.pass(&frame);
                    self.peeked.say_end();
                }
                Beat::Broken | Beat::Lifecycle | Beat::Content | Beat::UsageOnly | Beat::Finish => {
                    self.peeked.pass(&frame);
                }
            }
        }
    }

    /// The upstream said inside its stream that it failed. In the same dialect its own words have gone
    /// on; in another one they are said anew.
    fn upstream_failed(&mut self, in_band: InBand) {
        if self.peeked.is_translated() {
            let (kind, what) = drive::kind_of(in_band.fault);
            let mut trouble =
                Trouble::new(kind, format!("{}: {what} ({})", self.channel.label, in_band.message));
            trouble.code = in_band.code.or_else(|| Some(in_band.fault.name().into()));
            let sequence = self.peeked.next_sequence();
            self.peeked.ready.push_back(trouble::in_band(&trouble, self.dialect, sequence));
        }
        self.fail(Fault::StreamError, LastWord::Theirs);
    }

    /// Nothing comes for now; ready when that has lasted for too long.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((_, settle)) = &self.open else { return Poll::Ready(()) };
        let timeouts = &self.channel.config.timeouts;
        let terminated = self.peeked.watch.is_terminated();
        let silent = if terminated {
            self.last + LINGER
        } else {
            let empty = timeouts.content_idle.map_or(Tick::MAX, |limit| self.last_content + limit);
            empty.min(self.last + timeouts.idle)
        };
        let keep_alive = if terminated { None } else { self.keep_alive };
        let nudge = keep_alive.map_or(Tick::MAX, |_| self.last_said + KEEP_ALIVE);
        match ready!(self.patience.poll(settle, silent, self.deadline, nudge, cx)) {
            Overdue::Silent | Overdue::TooLate if terminated => self.finish(StreamOutcome::Complete),
            Overdue::Silent => self.fail(Fault::StreamStalled, LastWord::Ours),
            Overdue::TooLate => self.fail(Fault::DeadlineExceeded, LastWord::Ours),
            Overdue::CutOff => self.fail(Fault::Cancelled, LastWord::Ours),
            Overdue::Nudge => {
                self.last_said = settle.gateway().live.now();
                self.peeked.ready.extend(keep_alive.map(Bytes::from_static));
            }
        }
        Poll::Ready(())
    }

    fn upstream_ended(&mut self) {
        if let Some(rest) = self.peeked.splitter.leftover() {
            if let Beat::Error(in_band) = self.peeked.watch.frame(&rest) {
                if !self.peeked.is_translated() {
                    self.peeked.ready.push_back(rest.raw);
                }
                self.upstream_failed(in_band);
                return;
            }
            if let Ending::Truncated = self.peeked.watch.end() {
                // Half an event; the error event takes its place.
                self.fail(Fault::StreamCut, LastWord::Ours);
                return;
            }
            self.peeked.pass(&rest);
        }
        match self.peeked.watch.end() {
            Ending::Complete { missing_terminator } => {
                self.peeked.complete(missing_terminator);
                self.finish(if missing_terminator.is_none() {
                    StreamOutcome::Complete
                } else {
                    StreamOutcome::Unterminated
                });
            }
            Ending::Truncated => self.fail(Fault::StreamCut, LastWord::Ours),
        }
    }

    fn upstream_broke(&mut self, fault: Fault) {
        if self.peeked.watch.is_terminated() {
            self.finish(StreamOutcome::Complete);
        } else {
            self.fail(if fault == Fault::Truncated { Fault::StreamCut } else { fault }, LastWord::Ours);
        }
    }

    fn finish(&mut self, outcome: StreamOutcome) {
        self.stage = Flow::Ended;
        self.remember();
        self.book_usage();
        if let Some((permit, mut settle)) = self.open.take() {
            permit.finish();
            settle.stream_ends(outcome);
        }
    }

    fn fail(&mut self, fault: Fault, last_word: LastWord) {
        self.stage = Flow::Failing(fault);
        self.book_usage();
        if last_word == LastWord::Ours {
            let sequence = self.peeked.next_sequence();
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

/// Why no more of a stream can be passed on.
enum Stop {
    /// The upstream said so.
    Failed(InBand),
    Unframeable,
}

/// Whose words end a broken stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LastWord {
    /// The upstream has said it in its own error event.
    Theirs,
    Ours,
}

fn trouble_of(fault: Fault, channel: &str) -> Trouble {
    let (kind, what) = match fault {
        Fault::StreamStalled => (Kind::Timeout, "went silent in the middle of its answer"),
        Fault::DeadlineExceeded => (Kind::Timeout, "had not ended when the request's deadline passed"),
        Fault::Cancelled => (Kind::Unavailable, "was cut off because the gateway shuts down"),
        _ => (Kind::BadGateway, "broke off in the middle of its answer"),
    };
    let mut trouble =
        Trouble::new(kind, format!("the stream of {channel} {what}; what was sent is incomplete"));
    trouble.code = Some(fault.name().into());
    trouble
}
