//! An answer that is shared, on its way to one of those who share it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Sleep, sleep, sleep_until};

use super::{Broken, FLUSH};
use crate::algo::tick::Tick;
use crate::dialect::Dialect;
use crate::dialect::trouble::{self, Kind, Trouble};
use crate::proxy::again;
use crate::proxy::flight::{Lost, Seat};
use crate::proxy::settle::Settle;
use crate::state::route::Route;
use crate::telemetry::{RequestOutcome, StreamOutcome};
use crate::vocab::{Fault, Usage};

/// A caller of a shared answer. Who asked for it has no `Follower`: his end is booked by the attempt itself.
pub struct Followed {
    seat: Seat,
    dialect: Dialect,
    in_pieces: bool,
    follower: Option<Follower>,
    failing: Option<(Fault, Pin<Box<Sleep>>)>,
    over: bool,
}

/// One who came later, with his own end and his own deadline.
pub struct Follower {
    settle: Settle,
    deadline: Pin<Box<Sleep>>,
    route: Arc<Route>,
}

impl Follower {
    pub fn new(settle: Settle, deadline: Tick, route: &Arc<Route>) -> Self {
        let deadline = Box::pin(sleep_until(settle.gateway().live.clock.instant(deadline)));
        Self { settle, deadline, route: Arc::clone(route) }
    }
}

impl Followed {
    pub fn new(seat: Seat, dialect: Dialect, in_pieces: bool, follower: Option<Follower>) -> Self {
        Self { seat, dialect, in_pieces, follower, failing: None, over: false }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if let Some((fault, timer)) = &mut self.failing {
            ready!(timer.as_mut().poll(cx));
            self.over = true;
            return Poll::Ready(Some(Err(Broken(*fault))));
        }
        match self.seat.poll_chunk(cx) {
            Poll::Ready(Some(Ok(chunk))) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            Poll::Ready(None) => {
                self.over = true;
                self.book(StreamOutcome::Complete, RequestOutcome::Ok);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(Lost::Broken(fault)))) => {
                self.book(StreamOutcome::Cut, RequestOutcome::Broken);
                self.fail(fault, cx)
            }
            Poll::Ready(Some(Err(Lost::LeftBehind))) => self.leave(
                Fault::Cancelled,
                "the shared answer was read too slowly, and others waited for it",
                cx,
            ),
            Poll::Pending => {
                let Some(follower) = &mut self.follower else { return Poll::Pending };
                ready!(follower.deadline.as_mut().poll(cx));
                self.leave(
                    Fault::DeadlineExceeded,
                    "the shared answer had not ended when the request's deadline passed",
                    cx,
                )
            }
        }
    }

    /// The answer may go on, but not for this caller, who is told so.
    fn leave(
        &mut self,
        fault: Fault,
        why: &str,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.book(StreamOutcome::Cut, RequestOutcome::Broken);
        if !self.in_pieces {
            return self.fail(fault, cx);
        }
        self.failing = Some((fault, Box::pin(sleep(FLUSH))));
        let event = last_word(self.dialect, fault, why);
        Poll::Ready(Some(Ok(Frame::data(event))))
    }

    fn fail(&mut self, fault: Fault, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let (_, timer) = self.failing.insert((fault, Box::pin(sleep(FLUSH))));
        ready!(timer.as_mut().poll(cx));
        self.over = true;
        Poll::Ready(Some(Err(Broken(fault))))
    }

    fn book(&mut self, stream: StreamOutcome, whole: RequestOutcome) {
        let Some(Follower { mut settle, route, .. }) = self.follower.take() else { return };
        if whole == RequestOutcome::Ok {
            again::saved(settle.gateway(), &route.config.name, self.seat.usage().as_ref());
        }
        if self.in_pieces {
            settle.stream_ends(stream);
        } else {
            settle.ends(whole);
        }
    }

    pub(super) fn is_in_pieces(&self) -> bool {
        self.in_pieces
    }

    pub(super) fn settle(&self) -> Option<&Settle> {
        self.follower.as_ref().map(|follower| &follower.settle)
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.seat.usage()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        // Whoever knows an answer's length does not ask for its end.
        let ended = self.seat.is_read();
        let (stream, whole) = if ended {
            (StreamOutcome::Complete, RequestOutcome::Ok)
        } else {
            (StreamOutcome::Cancelled, RequestOutcome::Cancelled)
        };
        self.book(stream, whole);
    }
}

fn last_word(dialect: Dialect, fault: Fault, why: &str) -> Bytes {
    let mut trouble = Trouble::new(Kind::Timeout, format!("{why}; what was sent is incomplete"));
    trouble.code = Some(fault.name().into());
    trouble::in_band(&trouble, dialect, 0, None)
}
