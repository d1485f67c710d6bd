//! Whether the network here is to blame: nobody can be reached, by whatever way.
//!
//! One provider that cannot be reached is its own guilt. When all of those that were in use cannot, within
//! seconds of each other, and nobody has been heard since, it is hardly all of theirs. What follows from
//! it is decided elsewhere; here is only the evidence, and nothing is remembered.

use std::time::Duration;

use super::tick::Tick;

/// Failures further apart than this have nothing to do with each other.
pub const TOGETHER: Duration = Duration::from_secs(5);

/// A provider that was not heard of for so long is not in use, and says nothing.
pub const TRAFFIC: Duration = Duration::from_secs(10);

/// A suspicion without anything new for so long is dropped: nobody tries, so nobody knows.
pub const FORGET: Duration = Duration::from_mins(1);

/// What is known of one provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// When it last answered anything at all, be it a refusal.
    pub heard: Option<Tick>,
    /// When it last could not be reached.
    pub failed: Option<Tick>,
    /// Which host that was.
    pub host: u64,
}

impl Sight {
    fn is_in_use(&self, now: Tick) -> bool {
        self.heard.max(self.failed).is_some_and(|at| now.since(at) < TRAFFIC)
    }
}

/// Whether none of the providers in use can be reached: at least two of them, at two hosts.
pub fn is_everywhere(sights: &[Sight], now: Tick) -> bool {
    let heard = sights.iter().filter_map(|sight| sight.heard).max();
    let is_cut = |sight: &Sight| {
        sight.failed.is_some_and(|at| now.since(at) < TOGETHER && heard.is_none_or(|heard| heard < at))
    };
    let mut used = sights.iter().filter(|sight| sight.is_in_use(now));
    let Some(first) = used.next() else { return false };
    let mut others = used.clone();
    is_cut(first) && used.all(is_cut) && others.any(|other| other.host != first.host)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tick(ms: u64) -> Tick {
        Tick::ZERO + Duration::from_millis(ms)
    }

    fn sight(heard: Option<u64>, failed: Option<u64>, host: u64) -> Sight {
        Sight { heard: heard.map(tick), failed: failed.map(tick), host }
    }

    #[test]
    fn it_takes_all_that_are_in_use_at_the_same_time() {
        let check = |sights: &[Sight], expected| assert_eq!(is_everywhere(sights, tick(20_000)), expected);
        let (a, b) = (sight(Some(18_000), Some(19_000), 1), sight(Some(17_000), Some(20_000), 2));
        check(&[a, b], true);
        check(&[a], false);
        check(&[a, sight(Some(17_000), Some(20_000), 1)], false);
        check(&[a, b, sight(Some(12_000), None, 3)], false);
        check(&[a, b, sight(Some(10_000), None, 3)], true);
        check(&[a, sight(None, Some(15_000), 2)], false);
        check(&[a, sight(Some(19_500), Some(20_000), 2)], false);
        check(&[sight(None, Some(15_000), 1), sight(None, Some(20_000), 2)], false);
        check(&[sight(None, Some(15_001), 1), sight(None, Some(20_000), 2)], true);
        check(&[sight(Some(19_000), Some(19_000), 1), sight(None, Some(20_000), 2)], false);
    }

    proptest! {
        #[test]
        fn whoever_is_heard_ends_it(
            sights in prop::collection::vec((prop::option::of(0..20_000_u64), prop::option::of(0..20_000_u64), 0..3_u64), 0..6),
            which in 0_usize..6,
        ) {
            let mut sights: Vec<_> = sights.into_iter().map(|(heard, failed, host)| sight(heard, failed, host)).collect();
            let now = tick(20_000);
            if is_everywhere(&sights, now) {
                prop_assert!(sights.len() >= 2);
                let which = which % sights.len();
                sights[which].heard = Some(now);
                prop_assert!(!is_everywhere(&sights, now));
            }
        }
    }
}
