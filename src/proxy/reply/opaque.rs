//! An answer whose bytes pass without a look into them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::patience::{Overdue, Patience};
use super::{Broken, plus};
use crate::algo::tick::Tick;
use crate::proxy::settle::Settle;
use crate::proxy::tail::Tail;
use crate::state::permit::{Permit, Repeat};
use crate::telemetry::RequestOutcome;
use crate::upstream::Incoming;
use crate::vocab::{Fault, RateHint, Stage};

/// Bytes that pass without a look into them: plain HTTP, audio, answers too large to hold.
pub struct Opaque {
    begin: Option<Bytes>,
    upstream: Incoming,
    /// Watches for the usage of an AI answer.
    tail: Option<Tail>,
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
        tail: Option<Tail>,
        permit: Permit,
        settle: Settle,
        deadline: Tick,
    ) -> Self {
        let now = settle.gateway().live.now();
        let idle = permit.channel().config.timeouts.idle;
        let patience = Patience::new(&settle, now, now + idle);
        let open = Some((permit, settle));
        Self { begin, upstream, tail, open, patience, idle, last: now, deadline }.ended_already()
    }

    /// A body without a byte has ended before anyone polls it.
    fn ended_already(mut self) -> Self {
        if self.begin.is_none() && self.upstream.is_end_stream() {
            self.end();
        }
        self
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(begin) = self.begin.take() {
            return Poll::Ready(Some(Ok(Frame::data(begin))));
        }
        match Pin::new(&mut self.upstream).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some((_, settle)) = &self.open {
                    self.last = settle.gateway().live.now();
                }
                if let (Some(tail), Some(data)) = (&mut self.tail, frame.data_ref()) {
                    tail.push(data);
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
            if let Some(usage) = self.tail.as_ref().and_then(Tail::usage) {
                permit.channel().handles.used(&usage);
                settle.usage = Some(usage);
            }
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

    pub(super) fn is_end(&self) -> bool {
        self.begin.is_none() && self.upstream.is_end_stream()
    }

    pub(super) fn hint(&self) -> SizeHint {
        plus(self.upstream.size_hint(), self.begin.as_ref().map_or(0, Bytes::len))
    }
}
