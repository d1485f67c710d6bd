//! An answer whose bytes pass without a look into them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::attended::Lasting;
use super::patience::{Ends, Overdue, Patience};
use super::{Audience, Broken, FLUSH};
use crate::algo::tick::Tick;
use crate::proxy::settle::Settle;
use crate::proxy::strike::Striker;
use crate::proxy::tail::Counted;
use crate::proxy::unattended::{LONGEST, is_read_on};
use crate::proxy::{Gateway, metering};
use crate::state::books::Metering;
use crate::state::permit::{Permit, Repeat};
use crate::telemetry::RequestOutcome;
use crate::upstream::Incoming;
use crate::vocab::{Fault, RateHint, Stage, Usage};

/// Bytes that pass without a look into them: plain HTTP, audio, answers too large to hold, and error
/// answers that are passed on.
pub struct Opaque {
    begin: Option<Bytes>,
    upstream: Incoming,
    /// Keeps our keys out of what an error answer says.
    veil: Option<Box<Veil>>,
    /// What an answer uses; nothing is counted of an error.
    counted: Option<Counted>,
    /// Until the end, whatever it is. An error answer's permit was settled before.
    open: Option<(Option<Permit>, Settle)>,
    /// It broke; the connection gets this long to flush what came before.
    failing: Option<(Fault, Pin<Box<Sleep>>)>,
    patience: Patience,
    idle: Duration,
    last: Tick,
    deadline: Tick,
    audience: Audience,
}

/// What of an error answer cannot go on yet.
struct Veil {
    striker: Striker,
    /// They go behind what is held back.
    trailers: Option<Frame<Bytes>>,
}

impl Opaque {
    pub fn new(
        begin: Option<Bytes>,
        upstream: Incoming,
        counted: Counted,
        permit: Permit,
        settle: Settle,
        audience: Audience,
        deadline: Tick,
    ) -> Self {
        let idle = permit.channel().config.timeouts.idle;
        let open = (Some(permit), settle);
        Self::open((begin, upstream, None), Some(counted), open, idle, audience, deadline)
    }

    /// An upstream's error answer, of which `begin` was read; `striker` looks through it. `settle` knows its outcome
    /// already.
    pub fn passed_on(
        begin: Bytes,
        upstream: Incoming,
        striker: Option<Striker>,
        settle: Settle,
        idle: Duration,
        deadline: Tick,
    ) -> Self {
        let mut veil = striker.map(|striker| Box::new(Veil { striker, trailers: None }));
        let begin = match &mut veil {
            Some(veil) => {
                let seen = veil.striker.push(&begin);
                // Most are all there, and go on in one piece.
                if upstream.is_end_stream() { [seen, veil.striker.finish()].concat().into() } else { seen }
            }
            None => begin,
        };
        let begin = (!begin.is_empty()).then_some(begin);
        Self::open((begin, upstream, veil), None, (None, settle), idle, Audience::Caller, deadline)
    }

    fn open(
        (begin, upstream, veil): (Option<Bytes>, Incoming, Option<Box<Veil>>),
        counted: Option<Counted>,
        open: (Option<Permit>, Settle),
        idle: Duration,
        audience: Audience,
        deadline: Tick,
    ) -> Self {
        let now = open.1.gateway().live.now();
        let patience = Patience::new(open.1.gateway(), now);
        let open = Some(open);
        let (failing, last) = (None, now);
        let mut opaque =
            Self { begin, upstream, veil, counted, open, failing, patience, idle, last, deadline, audience };
        // A body without a byte has ended before anyone polls it.
        opaque.end_if_all_is_said();
        opaque
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(begin) = self.begin.take() {
            self.end_if_all_is_said();
            return Poll::Ready(Some(Ok(Frame::data(begin))));
        }
        while self.failing.is_none() {
            match Pin::new(&mut self.upstream).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.take_in(&frame);
                    if let Some(frame) = self.veiled(frame) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(None) => {
                    self.end();
                    return Poll::Ready(self.unveiled().map(Ok));
                }
                Poll::Ready(Some(Err(error))) => self.broke(error.fault),
                Poll::Pending => {
                    let Some((_, settle)) = &self.open else { return Poll::Pending };
                    let silent = self.last + self.idle;
                    let ends = Ends { silent, deadline: self.deadline, ..Ends::default() };
                    match ready!(self.patience.poll(settle.gateway(), ends, cx)) {
                        Overdue::Silent => self.broke(Fault::StreamStalled),
                        Overdue::TooLate => self.broke(Fault::DeadlineExceeded),
                        Overdue::CutOff => self.broke(Fault::Cancelled),
                        // Nothing can be said between bytes that we do not understand.
                        Overdue::Nudge | Overdue::Stalled => break,
                    }
                }
            }
        }
        if let Some(frame) = self.unveiled() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let Some((fault, timer)) = &mut self.failing else { return Poll::Ready(None) };
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(Broken(*fault))))
    }

    /// What of a frame may go on; none where all of it is held back.
    fn veiled(&mut self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let Some(veil) = &mut self.veil else { return Some(frame) };
        match frame.into_data() {
            Ok(data) => {
                let seen = veil.striker.push(&data);
                if seen.is_empty() && self.upstream.is_end_stream() {
                    return self.unveiled();
                }
                (!seen.is_empty()).then(|| Frame::data(seen))
            }
            Err(trailers) => {
                veil.trailers = Some(trailers);
                self.unveiled()
            }
        }
    }

    /// What was held back, piece by piece, once nothing more comes.
    fn unveiled(&mut self) -> Option<Frame<Bytes>> {
        let veil = self.veil.as_mut()?;
        let rest = veil.striker.finish();
        if rest.is_empty() { veil.trailers.take() } else { Some(Frame::data(rest)) }
    }

    fn take_in(&mut self, frame: &Frame<Bytes>) {
        if let Some((_, settle)) = &self.open {
            self.last = settle.gateway().live.now();
        }
        if let (Some(counted), Some(data)) = (&mut self.counted, frame.data_ref()) {
            counted.push(data);
        }
        self.end_if_all_is_said();
    }

    /// By its length, too: a caller over HTTP/1.1 asks for nothing behind the last byte, where HTTP/2 has its end.
    fn end_if_all_is_said(&mut self) {
        let nothing_to_come = self.begin.is_none() && self.upstream.size_hint().exact() == Some(0);
        if self.is_end() || (nothing_to_come && self.failing.is_none()) {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some((Some(mut permit), mut settle)) = self.open.take() {
            if let Some(usage) = self.usage() {
                permit.used(&usage);
                settle.usage = Some(usage);
            }
            match self.audience {
                Audience::Caller => {
                    permit.finish();
                    settle.ends(RequestOutcome::Ok);
                }
                // Cancelled, both of them, and yet it is known what was used.
                Audience::Nobody => permit.has_told_all(),
            }
        }
    }

    fn broke(&mut self, fault: Fault) {
        if let Some((permit, mut settle)) = self.open.take()
            && self.audience == Audience::Caller
        {
            if let Some(permit) = permit {
                permit.fail(fault, Stage::Committed, &RateHint::default(), Repeat::First);
            }
            settle.ends(RequestOutcome::Broken);
        }
        self.failing = Some((fault, Box::pin(sleep(FLUSH))));
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.counted.as_ref().and_then(Counted::usage)
    }

    pub(super) fn settle(&self) -> Option<&Settle> {
        self.open.as_ref().map(|(_, settle)| settle)
    }

    pub(super) fn is_end(&self) -> bool {
        let is_held = |veil: &Veil| veil.striker.held() > 0 || veil.trailers.is_some();
        self.begin.is_none()
            && self.failing.is_none()
            && !self.veil.as_deref().is_some_and(is_held)
            && self.upstream.is_end_stream()
    }

    pub(super) fn hint(&self) -> SizeHint {
        let held = self.veil.as_ref().map_or(0, |veil| veil.striker.held());
        let begin = (self.begin.as_ref().map_or(0, Bytes::len) + held) as u64;
        let rest = self.upstream.size_hint().exact();
        rest.map_or_else(SizeHint::default, |rest| SizeHint::with_exact(rest + begin))
    }
}

impl Lasting for Opaque {
    fn is_worth_its_end(&self) -> Option<&Arc<Gateway>> {
        let (Some((Some(permit), settle)), Some(counted)) = (&self.open, &self.counted) else { return None };
        let costs = metering::of(counted.operation, 0) != Metering::Free;
        (costs && is_read_on(permit.channel()) && !settle.is_unheard()).then_some(settle.gateway())
    }

    fn hung_up(&mut self) {
        if let Some((_, settle)) = &self.open {
            self.deadline = self.deadline.min(settle.gateway().live.now() + LONGEST);
        }
        self.audience = Audience::Nobody;
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.poll(cx)
    }
}
