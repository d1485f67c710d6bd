//! How long the slowest reader of a shared answer may hold the others up.
//!
//! Once as much is kept as may be, the answer waits for whoever is behind. From the moment when somebody else has
//! read everything he has [`GRACE`] to read what is there by then, which is about `cache.max_entry`. So a reader
//! who is only slower than others keeps them to his pace, if that is a tenth of `max_entry` a second or more; one who
//! has stopped, or dribbles, costs them ten seconds, once. Where all are slow nobody is held up, and nobody left.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::{Standing, State};

/// A third of what callers' connections may stand still for (`server.timeouts.write_stall`).
const GRACE: Duration = Duration::from_secs(10);

/// The others wait for those who have not read this far.
pub(super) struct Lag {
    goal: usize,
    over: Pin<Box<Sleep>>,
}

impl State {
    /// Ready when the answer may go on.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.trim();
            let slowest = self.slowest();
            if self.lag.as_ref().is_some_and(|lag| slowest >= lag.goal) {
                self.lag = None;
            }
            if self.bytes <= self.most {
                return Poll::Ready(());
            }
            self.waits = Some(cx.waker().clone());
            let (end, somebody_waits) = (self.end(), self.places.iter().any(|place| place.at >= self.end()));
            if self.lag.is_none() && somebody_waits {
                self.lag = Some(Lag { goal: end, over: Box::pin(sleep(GRACE)) });
            }
            let Some(lag) = &mut self.lag else { return Poll::Pending };
            if lag.over.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let goal = lag.goal;
            self.lag = None;
            self.leave_behind(goal);
        }
    }

    /// The answer goes on without those who have not read this far, if there is anybody else.
    fn leave_behind(&mut self, goal: usize) {
        let reads = |standing| standing == Standing::Reads;
        if !self.places.iter().any(|place| reads(place.standing) && place.at >= goal) {
            return;
        }
        for place in self.places.iter_mut().filter(|place| place.at < goal) {
            place.standing = Standing::LeftBehind;
            if let Some(waker) = place.waker.take() {
                waker.wake();
            }
        }
    }
}
