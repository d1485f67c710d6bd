//! A stream of events on its way to the caller: watched, metered, and ended as its dialect demands. What of
//! it goes on is `passing`'s affair; what becomes of one that breaks off, `breaking`'s.

mod breaking;
mod passing;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::Sleep;

use breaking::{Break, Pending};

use super::attended::Lasting;
use super::patience::{Ends, Overdue, Patience};
use super::{Audience, Broken, FLUSH, KEEP_ALIVE};
use crate::algo::tick::Tick;
use crate::dialect::Dialect;
use crate::dialect::scan::Thinks;
use crate::dialect::trouble;
use crate::dialect::watch::{Beat, Ending};
use crate::proxy::Gateway;
use crate::proxy::onward::Party;
use crate::proxy::peek::{self, Peeked};
use crate::proxy::recall::Keepsake;
use crate::proxy::settle::Settle;
use crate::proxy::unattended::{LONGEST, is_read_on};
use crate::state::Channel;
use crate::state::permit::{Permit, STALLED};
use crate::telemetry::{Pace, StreamOutcome};
use crate::upstream::Incoming;
use crate::vocab::{Fault, Usage};

/// A stream of events, watched on its way.
pub struct Streaming {
    peeked: Peeked,
    stage: Flow,
    open: Option<(Permit, Party)>,
    gateway: Arc<Gateway>,
    channel: Arc<Channel>,
    patience: Patience,
    dialect: Dialect,
    thinks: Thinks,
    /// What is needed to remember the answer, until it is remembered.
    keepsake: Option<Keepsake>,
    /// When the last byte came, and the last content.
    last: Tick,
    last_content: Tick,
    /// Since when this channel's content flows, and the longest silence in it so far.
    flows_since: Tick,
    longest_gap: Duration,
    /// When the caller last heard something, our own signs of life included.
    last_said: Tick,
    keep_alive: Option<&'static [u8]>,
    deadline: Tick,
    audience: Audience,
    /// The answer has ended here, before the upstream's.
    is_stopped: bool,
}

/// To whom the answer is said.
pub struct Said {
    pub dialect: Dialect,
    pub thinks: Thinks,
    /// For an answer that the caller may refer to later.
    pub keepsake: Option<Keepsake>,
    pub audience: Audience,
}

enum Flow {
    Open(Incoming),
    /// It has ended here. What else comes is read when the caller has let go of it, for what it says of its usage.
    Stopped(Incoming),
    /// It broke off, and another channel is asked to go on.
    Onward(Box<Pending>),
    /// All is said; what is ready goes out, and then the clean end.
    Ended,
    /// The error event is among what is ready; then comes the abnormal end.
    Failing(Fault),
    /// Gives the connection time to flush the error event before it is torn down.
    Flushing(Fault, Pin<Box<Sleep>>),
    Over,
}

/// What a terminated stream may still take to end by itself, for the sake of its connection.
const LINGER: Duration = Duration::from_secs(1);

impl Streaming {
    pub fn new(
        peeked: Peeked,
        upstream: Incoming,
        permit: Permit,
        party: Party,
        Said { dialect, thinks, keepsake, audience }: Said,
        deadline: Tick,
    ) -> Self {
        let gateway = Arc::clone(party.settle().gateway());
        let now = gateway.live.now();
        let patience = Patience::new(&gateway, now);
        let channel = Arc::clone(permit.channel());
        let stage = if peeked.ended { Flow::Ended } else { Flow::Open(upstream) };
        let open = Some((permit, party));
        let keep_alive = match audience {
            Audience::Caller => trouble::keep_alive(dialect),
            Audience::Nobody => None,
        };
        let mut streaming = Self {
            peeked,
            stage,
            open,
            gateway,
            channel,
            patience,
            dialect,
            thinks,
            keepsake,
            last: now,
            last_content: now,
            flows_since: now,
            longest_gap: Duration::ZERO,
            last_said: now,
            keep_alive,
            deadline,
            audience,
            is_stopped: false,
        };
        streaming.remember();
        streaming.learn();
        streaming.begin();
        streaming
    }

    /// What nobody waits for has ended, well or not: a request whose caller hung up, or has all, and whose usage is
    /// known if it was told all of it.
    fn ends_unheard(&mut self) {
        self.book_usage();
        self.stage = Flow::Over;
        match self.open.take() {
            Some((permit, mut party)) if self.is_stopped => {
                permit.finish();
                party.settle_mut().stream_ends(StreamOutcome::Complete);
            }
            Some((_, mut party)) => party.settle_mut().stream_ends(StreamOutcome::Cancelled),
            None => {}
        }
    }

    /// The answer has ended at a stop sequence that the upstream was not told of. It is let go of at once, as when a
    /// caller hangs up, or is read to its end as then; the caller has all of his answer either way.
    fn stop(&mut self) {
        if self.audience == Audience::Nobody {
            return;
        }
        self.is_stopped = true;
        match std::mem::replace(&mut self.stage, Flow::Over) {
            Flow::Open(upstream) if self.is_read_on() => self.stage = Flow::Stopped(upstream),
            Flow::Open(_)
            | Flow::Stopped(_)
            | Flow::Onward(_)
            | Flow::Ended
            | Flow::Failing(_)
            | Flow::Flushing(..)
            | Flow::Over => self.finish(StreamOutcome::Complete),
        }
    }

    /// Whether the upstream's end is wanted though nobody waits for it.
    fn is_read_on(&self) -> bool {
        let heard = self.open.as_ref().is_some_and(|(_, party)| !party.settle().is_unheard());
        heard && is_read_on(&self.channel) && !self.peeked.watch.is_terminated()
    }

    /// What was held back may already tell how it ends.
    fn begin(&mut self) {
        if let Some((permit, _)) = &mut self.open {
            permit.came(self.peeked.watch.content_events());
        }
        if let Some(in_band) = self.peeked.error.take() {
            let at = self.peeked.error_at.min(self.peeked.ready.len());
            let raw = self.peeked.ready.split_off(at);
            self.breaks(Break::said(*in_band, raw));
        } else if self.peeked.is_stopped() {
            self.stop();
        } else if self.peeked.ended {
            self.finish(StreamOutcome::Complete);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if let Some(bytes) = self.peeked.next() {
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
                Flow::Onward(pending) => match pending.joining.as_mut().poll(cx) {
                    Poll::Ready(joined) => self.went_on(joined),
                    Poll::Pending => ready!(self.wait_for_another(cx)),
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
                Flow::Stopped(_) | Flow::Over => return Poll::Ready(None),
            }
        }
    }

    /// Nothing comes for now; ready when that has lasted for too long.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((permit, _)) = &mut self.open else { return Poll::Ready(()) };
        let timeouts = &self.channel.config.timeouts;
        let terminated = self.peeked.watch.is_terminated();
        let idle = peek::idle(timeouts, self.thinks);
        let mut ends = Ends { deadline: self.deadline, ..Ends::default() };
        let keep_alive = if terminated { None } else { self.keep_alive };
        if terminated {
            ends.silent = self.last + LINGER;
        } else {
            let empty = timeouts.content_idle.map_or(Tick::MAX, |limit| self.last_content + limit);
            ends.silent = empty.min(self.last + idle);
            ends.nudge = keep_alive.map_or(Tick::MAX, |_| self.last_said + KEEP_ALIVE);
            if !permit.is_stalled() {
                ends.stalled = self.last + idle / STALLED;
            }
        }
        match ready!(self.patience.poll(&self.gateway, ends, cx)) {
            Overdue::Silent | Overdue::TooLate if terminated => self.finish(StreamOutcome::Complete),
            Overdue::Silent => self.breaks(Break::of(Fault::StreamStalled)),
            Overdue::TooLate => self.fail_as(Break::of(Fault::DeadlineExceeded)),
            Overdue::CutOff => self.fail_as(Break::of(Fault::Cancelled)),
            Overdue::Stalled => permit.stalls(),
            Overdue::Nudge => {
                self.last_said = self.gateway.live.now();
                self.peeked.ready.extend(keep_alive.map(Bytes::from_static));
            }
        }
        Poll::Ready(())
    }

    fn upstream_ended(&mut self) {
        if let Some(rest) = self.peeked.splitter.leftover() {
            let beat = self.peeked.watch.frame(&rest);
            if let Beat::Error(in_band) = beat {
                let raw: Option<Bytes> = (!self.peeked.is_translated()).then_some(rest.raw);
                return self.breaks(Break::said(in_band, VecDeque::from_iter(raw)));
            }
            if let Ending::Truncated = self.peeked.watch.end() {
                // Half an event; the error event takes its place.
                self.breaks(Break::of(Fault::StreamCut));
                return;
            }
            if let Err(untold) = self.peeked.pass(&rest, &beat) {
                return self.breaks(untold.into());
            }
        }
        match self.peeked.watch.end() {
            Ending::Complete { missing_terminator } => {
                if let Err(untold) = self.peeked.complete(missing_terminator) {
                    return self.breaks(untold.into());
                }
                self.finish(if missing_terminator.is_none() {
                    StreamOutcome::Complete
                } else {
                    StreamOutcome::Unterminated
                });
            }
            Ending::Truncated => self.breaks(Break::of(Fault::StreamCut)),
        }
    }

    fn upstream_broke(&mut self, fault: Fault) {
        if self.peeked.watch.is_terminated() {
            self.finish(StreamOutcome::Complete);
        } else {
            self.breaks(Break::of(if fault == Fault::Truncated { Fault::StreamCut } else { fault }));
        }
    }

    fn finish(&mut self, outcome: StreamOutcome) {
        if self.audience == Audience::Nobody {
            // Where a dialect has no word for the end, its coming says that nothing more will be told.
            let is_whole = matches!(outcome, StreamOutcome::Complete | StreamOutcome::Unterminated);
            if let Some((permit, _)) = self.open.as_mut().filter(|_| is_whole) {
                permit.has_told_all();
            }
            return self.ends_unheard();
        }
        self.stage = Flow::Ended;
        self.remember();
        self.book_usage();
        if let Some((permit, mut party)) = self.open.take() {
            permit.finish();
            party.settle_mut().stream_ends(outcome);
        }
    }

    /// Whether the caller has had its last event: he may leave then, before the upstream's connection says that nothing
    /// more comes.
    pub(super) fn has_said_all(&self) -> bool {
        self.peeked.watch.is_terminated() && self.peeked.has_said_all()
    }

    /// The tokens of it, as far as it has come.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.peeked.watch.usage()
    }

    pub(super) fn settle(&self) -> Option<&Settle> {
        self.open.as_ref().map(|(_, party)| party.settle())
    }

    fn book_usage(&mut self) {
        if self.peeked.broken_events > 0 {
            self.channel
                .upstream
                .handles
                .broken_events
                .increment(std::mem::take(&mut self.peeked.broken_events));
        }
        let Some((permit, party)) = &mut self.open else { return };
        permit.streamed(Pace {
            took: self.last_content.since(self.flows_since),
            longest_gap: self.longest_gap,
            tokens: self.peeked.watch.usage().map(|usage| usage.output.saturating_sub(usage.reasoning)),
        });
        if self.peeked.watch.is_terminated() {
            permit.has_told_all();
        } else {
            let passed = &mut party.settle_mut().passed;
            *passed = passed.saturating_add(self.peeked.watch.content_events());
            if self.is_stopped {
                permit.was_stopped();
            }
        }
        if let Some(usage) = self.peeked.watch.usage() {
            permit.used(&usage);
            party.used(usage);
        }
    }
}

impl Lasting for Streaming {
    fn is_worth_its_end(&self) -> Option<&Arc<Gateway>> {
        let flows = matches!(self.stage, Flow::Open(_) | Flow::Stopped(_));
        (flows && self.is_read_on()).then_some(&self.gateway)
    }

    fn hung_up(&mut self) {
        self.deadline = self.deadline.min(self.gateway.live.now() + LONGEST);
        self.keep_alive = None;
        self.audience = Audience::Nobody;
        self.stage = match std::mem::replace(&mut self.stage, Flow::Over) {
            Flow::Stopped(upstream) => Flow::Open(upstream),
            other => other,
        };
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.poll(cx)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if self.has_said_all() && self.audience == Audience::Caller {
            return self.finish(StreamOutcome::Complete);
        }
        // What was consumed is booked all the same.
        self.ends_unheard();
    }
}
