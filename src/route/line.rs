//! Who comes in and who waits: requests that are refused for a crowd, and the queue for room at a route's channels.
//!
//! Only the decisions: whoever waits is the caller's task, or a rehearsal's event. The order of the line is
//! `algo::line`'s, what a key takes `state::room`'s.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::need::Need;
use super::plan::{Exhausted, Lack, Plan};
use super::shortlist::limit;
use crate::state::Permit;
use crate::state::queue::{Called, Waiter};
use crate::vocab::Priority;

/// Most that wait on a route that does not say.
const MOST_WAITING: u32 = 1000;

/// From this share of `server.limits.max_inflight` and of `server.limits.memory` on, in percent, requests up to this
/// priority are refused.
const WATERMARKS: [(u64, Priority); 3] =
    [(95, Priority::Critical), (90, Priority::SheddablePlus), (80, Priority::Sheddable)];

/// What of a bound of the gateway's own requests of this priority may use up.
pub fn share_of(most: u64, priority: Priority) -> u64 {
    let percent = WATERMARKS.iter().rev().find(|(_, highest)| priority <= *highest);
    percent.map_or(most, |(percent, _)| most / 100 * percent)
}

/// Whether a request of this priority may come in beside `others`, of the `most` that the gateway takes.
pub fn may_come_in(others: u32, most: u32, priority: Priority) -> bool {
    let (others, most) = (u64::from(others), u64::from(most));
    let refused = WATERMARKS.iter().find(|(percent, _)| others * 100 >= most * percent);
    refused.is_none_or(|(_, highest)| priority > *highest)
}

/// What the turn of somebody who waits comes to.
#[derive(Debug)]
pub enum Turn {
    Served(Permit),
    /// There was nothing for him yet.
    NotYet(Waiter),
    /// Somebody more important has the place.
    Displaced,
    /// It is not room that is missing any more.
    Otherwise(Exhausted),
    /// Nobody waits for its answer any more: the process did not run when it should have given up.
    TooLate,
}

impl Plan<'_> {
    /// Whether others wait here already: whoever has not been asked of anybody yet does not overtake them.
    pub fn is_behind_others(&self) -> bool {
        self.attempts == 0 && self.route().memory.queue.length() > 0
    }

    /// A place in the queue of this route; `None` where it is full of requests that matter no less.
    pub fn line_up(&self, need: &Need<'_>, priority: Priority) -> Option<Waiter> {
        let route = self.route();
        let mut upstreams = SmallVec::new();
        let mut room = 0_u32;
        let now = self.table().live.now();
        for channel in &route.channels {
            let memory = &channel.upstream.memory;
            if !upstreams.iter().any(|known| Arc::ptr_eq(known, memory)) {
                upstreams.push(Arc::clone(memory));
            }
            room = room.saturating_add(limit(channel, &need.memory(route, channel, now)));
        }
        let most = route.config.queue.max.unwrap_or_else(|| room.saturating_mul(2).min(MOST_WAITING));
        route.memory.queue.join(priority, most as usize, upstreams)
    }

    /// How long somebody waits who lines up now.
    pub fn patience_in_line(&self, need: &Need<'_>) -> Duration {
        self.route().config.queue.timeout.min(need.deadline.since(self.table().live.now()))
    }

    /// The bell of `waiter` has rung.
    pub fn take_turn(&mut self, waiter: Waiter, need: &Need<'_>) -> Turn {
        if waiter.called() == Called::Displaced {
            return Turn::Displaced;
        }
        if self.table().live.now() >= need.deadline {
            return Turn::TooLate;
        }
        match self.choose(need) {
            Ok(permit) => {
                waiter.served();
                Turn::Served(permit)
            }
            Err(exhausted) if exhausted.lack == Lack::Room => {
                waiter.failed();
                Turn::NotYet(waiter)
            }
            Err(exhausted) => Turn::Otherwise(exhausted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_keeps_out_who_matters_least_first() {
        for (others, refused) in [(79, 0), (80, 1), (90, 2), (95, 3), (100, 3)] {
            let out = Priority::ALL.into_iter().filter(|priority| !may_come_in(others, 100, *priority));
            assert_eq!(out.count(), refused, "{others}");
        }
    }
}
