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
use crate::dialect::trouble::{self, Kind, Trouble};
use crate::dialect::watch::{Beat, Ending};
use crate::proxy::peek::Peeked;
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
        let patience = Patience::new(&settle, now);
        let channel = Arc::clone(permit.channel());
        let stage = if peeked.ended { Flow::Ended } else { Flow::Open(upstream) };
        let open = Some((permit, settle));
        let mut streaming =
            Self { peeked, stage, open, channel, patience, dialect, last: now, last_content: now, deadline };
        if streaming.peeked.ended {
            streaming.finish(StreamOutcome::Complete);
        } else if let Some(fault) = streaming.peeked.error {
            streaming.fail(fault, LastWord::Theirs);
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
        let before = self.peeked.watch.content_events();
        let mut run = Run::new(chunk.clone());
        self.peeked.splitter.push(chunk);
        let fault = loop {
            let frame = match self.peeked.splitter.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break None,
                Err(_) => break Some((Fault::Protocol, LastWord::Ours)),
            };
            match self.peeked.watch.frame(&frame) {
                Beat::UsageOnly if self.peeked.strip_usage => continue,
                Beat::Error(_) => {
                    run.add(frame.raw, &mut self.peeked.ready);
                    break Some((Fault::StreamError, LastWord::Theirs));
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
            Some((fault, last_word)) => self.fail(fault, last_word),
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
        let silent = if terminated {
            self.last + LINGER
        } else {
            let empty = timeouts.content_idle.map_or(Tick::MAX, |limit| self.last_content + limit);
            empty.min(self.last + timeouts.idle)
        };
        match ready!(self.patience.poll(settle, silent, self.deadline, cx)) {
            Overdue::Silent | Overdue::TooLate if terminated => self.finish(StreamOutcome::Complete),
            Overdue::Silent => self.fail(Fault::StreamStalled, LastWord::Ours),
            Overdue::TooLate => self.fail(Fault::DeadlineExceeded, LastWord::Ours),
            Overdue::CutOff => self.fail(Fault::Cancelled, LastWord::Ours),
        }
        Poll::Ready(())
    }

    fn upstream_ended(&mut self) {
        if let Some(rest) = self.peeked.splitter.leftover() {
            if let Beat::Error(_) = self.peeked.watch.frame(&rest) {
                self.peeked.ready.push_back(rest.raw);
                self.fail(Fault::StreamError, LastWord::Theirs);
                return;
            }
            if let Ending::Truncated = self.peeked.watch.end() {
                // Half an event; the error event takes its place.
                self.fail(Fault::StreamCut, LastWord::Ours);
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
