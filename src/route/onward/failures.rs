//! How channels failed that were asked to go on with one broken stream: how often, and until when they are to be left
//! alone.
//!
//! A stream looks again and again who goes on, each time with a new plan, and a plan knows its own failures alone. Here
//! they are added up, so that what holds of a request's attempts holds of all looks together. What a failure says of
//! a channel's health is the permit's affair.

use crate::algo::tick::Tick;
use crate::route::Failure;
use crate::vocab::{Fault, Stage};

/// After so many failures a channel is not asked again until the stream breaks anew.
const MOST: u32 = 2;

/// Of the channels that were asked since the stream broke last; as many as the routes have, at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    channels: Vec<Failed>,
    /// On each route, by its index.
    routes: Vec<(usize, u32)>,
}

#[derive(Clone, Debug)]
struct Failed {
    label: Box<str>,
    times: u32,
    /// As the channel said itself.
    not_before: Tick,
}

impl Failures {
    /// The stream broke anew: everybody may be asked who does not want to be left alone.
    pub fn forget(&mut self) {
        self.routes.clear();
        self.channels.iter_mut().for_each(|failed| failed.times = 0);
    }

    /// The channel of this label failed on this route, and is not to be asked before `not_before`. What never reached
    /// it costs it nothing, and is bounded by how often one looks.
    pub fn note(&mut self, label: &str, route: usize, failure: &Failure, not_before: Tick) {
        let at = self.channels.iter().position(|failed| *failed.label == *label).unwrap_or_else(|| {
            self.channels.push(Failed { label: label.into(), times: 0, not_before: Tick::ZERO });
            self.channels.len() - 1
        });
        let failed = &mut self.channels[at];
        failed.not_before = failed.not_before.max(not_before);
        if failure.fault == Fault::Unsayable {
            // It will be no more sayable a moment later.
            failed.times = MOST;
        }
        if failure.stage == Stage::NotSent || failure.fault == Fault::NotProcessed {
            return;
        }
        failed.times += 1;
        match self.routes.iter_mut().find(|(known, _)| *known == route) {
            Some((_, attempts)) => *attempts += 1,
            None => self.routes.push((route, 1)),
        }
    }

    /// Whether an attempt has failed since the stream broke.
    pub fn any(&self) -> bool {
        !self.routes.is_empty()
    }

    /// Failed attempts on a route.
    pub fn on(&self, route: usize) -> u32 {
        self.routes.iter().find(|(known, _)| *known == route).map_or(0, |(_, attempts)| *attempts)
    }

    /// Whether the channel of this label is not asked any more.
    pub fn is_out(&self, label: &str) -> bool {
        self.of(label).is_some_and(|failed| failed.times >= MOST)
    }

    /// When the channel of this label may be asked.
    pub fn not_before(&self, label: &str) -> Tick {
        self.of(label).map_or(Tick::ZERO, |failed| failed.not_before)
    }

    fn of(&self, label: &str) -> Option<&Failed> {
        self.channels.iter().find(|failed| *failed.label == *label)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vocab::RateHint;

    fn failure(fault: Fault, stage: Stage) -> Failure {
        Failure { fault, stage, hint: RateHint::default() }
    }

    #[test]
    fn a_channel_is_out_after_two_failures_until_the_stream_breaks_anew() {
        let mut failures = Failures::default();
        let later = Tick::ZERO + Duration::from_secs(3);
        for (route, not_before) in [(0, later), (4, Tick::ZERO)] {
            assert!(!failures.is_out("a"));
            failures.note("a", route, &failure(Fault::Overloaded, Stage::Headers), not_before);
        }
        assert!(failures.is_out("a") && !failures.is_out("b"));
        assert_eq!([0, 4, 1].map(|route| failures.on(route)), [1, 1, 0]);
        assert_eq!((failures.not_before("a"), failures.not_before("b")), (later, Tick::ZERO));
        failures.forget();
        assert!(!failures.is_out("a"));
        assert_eq!((failures.on(0), failures.not_before("a")), (0, later), "what it asked for holds");
    }

    #[test]
    fn what_never_reached_a_channel_does_not_count_and_what_cannot_be_said_is_not_said_again() {
        let mut failures = Failures::default();
        for _ in 0..9 {
            failures.note("a", 0, &failure(Fault::Connect, Stage::NotSent), Tick::ZERO);
            failures.note("a", 0, &failure(Fault::NotProcessed, Stage::Headers), Tick::ZERO);
        }
        assert!(!failures.is_out("a"));
        failures.note("b", 0, &failure(Fault::Unsayable, Stage::NotSent), Tick::ZERO);
        assert!(failures.is_out("b"));
        assert_eq!(failures.on(0), 0);
    }
}
