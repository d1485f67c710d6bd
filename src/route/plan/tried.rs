//! What a request remembers of its own attempts: which channels failed it and how, which must not be asked again, and
//! which windows were too small. What follows from a failure is `verdict`'s affair.

use super::Plan;
use crate::route::need::Need;
use crate::route::verdict::Failure;
use crate::state::Channel;
use crate::state::permit::{Permit, Repeat};
use crate::vocab::Fault;

/// Each of them is another reading of the whole body, or another question in vain.
const MOST_UNASKED: u32 = 8;

/// A small set of channel slots. `config` allows at most 64 channels in a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slots(u64);

impl Slots {
    pub(super) fn add(&mut self, slot: usize) {
        self.0 |= 1_u64.checked_shl(slot as u32).unwrap_or(0);
    }

    pub(super) fn has(self, slot: usize) -> bool {
        self.0.checked_shr(slot as u32).is_some_and(|bits| bits & 1 == 1)
    }
}

impl Plan<'_> {
    /// Remembers a failure, and whether another channel had failed this request in the same way.
    pub(in crate::route) fn remember(&mut self, channel: &Channel, fault: Fault) -> Repeat {
        let (route, slot) = (self.route, channel.slot);
        let alike = self.failures.iter().any(|&(r, s, f)| f == fault && (r, s) != (route, slot));
        self.failures.push((route, slot, fault));
        if alike { Repeat::OnAnotherChannel } else { Repeat::First }
    }

    pub(in crate::route) fn has_tried(&self, channel: &Channel) -> bool {
        self.tried.has(channel.slot)
    }

    pub(in crate::route) fn mark_tried(&mut self, channel: &Channel) {
        self.tried.add(channel.slot);
    }

    /// The request could not be put to a channel, or the channel has not what its caller names: that takes no
    /// attempt from those who can be asked.
    pub(in crate::route) fn mark_unasked(&mut self, channel: &Channel) {
        self.mark_spent(channel);
        if self.unasked < MOST_UNASKED {
            self.unasked += 1;
            self.attempts_in_route = self.attempts_in_route.saturating_sub(1);
        }
    }

    /// Settles a failed attempt that is to be made again otherwise: nobody's failure, and no retry.
    pub fn excuse(&mut self, permit: Permit, failure: Failure) {
        permit.fail(failure.fault, failure.stage, &failure.hint, Repeat::First);
        self.attempts_in_route = self.attempts_in_route.saturating_sub(1);
    }

    /// Never again within this request.
    pub(in crate::route) fn mark_spent(&mut self, channel: &Channel) {
        self.tried.add(channel.slot);
        self.spent.add(channel.slot);
    }

    /// Remembers that a prompt did not fit, and says whether a channel of this route is known to have more
    /// room.
    pub(in crate::route) fn overflew(&mut self, channel: &Channel, need: &Need<'_>) -> bool {
        let route = self.route();
        let window = channel.facts(&route.config, need.model).context.unwrap_or(0);
        self.overflown = self.overflown.max(window);
        let roomier = |other: &Channel| {
            let window = other.facts(&route.config, need.model).context;
            !self.tried.has(other.slot) && window.is_some_and(|window| window > self.overflown)
        };
        self.overflown > 0 && route.channels.iter().any(|other| roomier(other)) && self.has_untried(need)
    }

    /// Leaves channels of this route out of it, for good. A fallback's have to be left out once it is come to.
    pub fn leave_out(&mut self, which: impl Fn(&Channel) -> bool) {
        for channel in &self.route().channels {
            if which(channel) {
                self.mark_spent(channel);
            }
        }
    }
}
