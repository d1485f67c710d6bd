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

/// A set of channel slots, which takes no memory of its own for the first 64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slots {
    first: u64,
    /// Those behind them.
    more: Vec<u64>,
}

impl Slots {
    pub(super) fn add(&mut self, slot: usize) {
        let (word, bit) = (slot / 64, 1 << (slot % 64));
        let Some(behind) = word.checked_sub(1) else {
            self.first |= bit;
            return;
        };
        if self.more.len() <= behind {
            self.more.resize(behind + 1, 0);
        }
        self.more[behind] |= bit;
    }

    pub(super) fn has(&self, slot: usize) -> bool {
        let bits = match (slot / 64).checked_sub(1) {
            None => self.first,
            Some(behind) => self.more.get(behind).copied().unwrap_or(0),
        };
        bits >> (slot % 64) & 1 == 1
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn slots_are_a_set(slots in proptest::collection::vec(0..300_usize, 0..40)) {
            let (mut set, known) = (Slots::default(), slots.iter().copied().collect::<BTreeSet<_>>());
            for slot in slots {
                set.add(slot);
            }
            for slot in 0..400 {
                prop_assert_eq!(set.has(slot), known.contains(&slot), "{}", slot);
            }
        }
    }
}
