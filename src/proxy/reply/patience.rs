//! How long a body waits for its upstream, with one timer for all of its limits.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep_until};

use crate::algo::tick::Tick;
use crate::proxy::Gateway;

/// Wakes a body that waits: at the end of its patience, or now and then to see whether the process is
/// about to end. Moving the end further away costs nothing; the timer finds out when it fires.
pub struct Patience {
    timer: Pin<Box<Sleep>>,
}

/// What a wait comes to an end by.
#[derive(Clone, Copy)]
pub struct Ends {
    /// The silence has lasted for too long.
    pub silent: Tick,
    /// The request's own.
    pub deadline: Tick,
    /// It has lasted for so long that others had better not wait for the same.
    pub stalled: Tick,
    /// The caller should hear that all is not over.
    pub nudge: Tick,
}

impl Default for Ends {
    fn default() -> Self {
        Self { silent: Tick::MAX, deadline: Tick::MAX, stalled: Tick::MAX, nudge: Tick::MAX }
    }
}

/// How often a waiting body looks up.
const LOOK_UP: Duration = Duration::from_secs(5);

impl Patience {
    pub fn new(gateway: &Gateway, now: Tick) -> Self {
        let clock = &gateway.live.clock;
        Self { timer: Box::pin(sleep_until(clock.instant(now + LOOK_UP))) }
    }

    /// Ready when one of these has come, or when everything has to end.
    pub fn poll(&mut self, gateway: &Gateway, ends: Ends, cx: &mut Context<'_>) -> Poll<Overdue> {
        let live = &gateway.live;
        let Ends { silent, deadline, stalled, nudge } = ends;
        let until = silent.min(deadline).min(stalled).min(nudge);
        let due = live.clock.instant(until);
        if due < self.timer.deadline() {
            self.timer.as_mut().reset(due);
        }
        loop {
            if gateway.is_cut_off() {
                return Poll::Ready(Overdue::CutOff);
            }
            ready!(self.timer.as_mut().poll(cx));
            let now = live.now();
            if now >= deadline {
                return Poll::Ready(Overdue::TooLate);
            }
            if now >= silent {
                return Poll::Ready(Overdue::Silent);
            }
            if now >= stalled {
                return Poll::Ready(Overdue::Stalled);
            }
            if now >= nudge {
                return Poll::Ready(Overdue::Nudge);
            }
            self.timer.as_mut().reset(live.clock.instant(until.min(now + LOOK_UP)));
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    Silent,
    /// The time was the request's own, so it says nothing about the upstream.
    TooLate,
    CutOff,
    /// Nothing has come for a while, and may come yet.
    Stalled,
    /// The upstream is silent, and may be for longer.
    Nudge,
}
