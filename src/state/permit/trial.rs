//! When a trial that streams has held for long enough to count as good.
//!
//! A stream is not waited for to its end, since an answer may take ten minutes. But where streams broke, that a few
//! events came says nothing: they always came. Then a trial has to get well past where the others broke, and the
//! next caller is not let in before.

use std::time::Duration;

use crate::algo::breaker::HalfOpen;

/// Content events after which a trial counts as good (RESILIENCE §4.4).
const EVENTS: u64 = 5;
/// How much further than the streams that broke a trial has to come.
const FURTHER: u64 = 2;

/// How far a trial has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct SoFar {
    pub events: u64,
    /// From the attempt's beginning to its first content.
    pub ttft: Duration,
    /// Since its first content.
    pub flowed: Duration,
}

/// Whether that is far enough. `broke_after` is how many events came of the streams that broke, where any did and none
/// has come to its end since.
///
/// Time alone is enough at last in either case: half of what the lease has left after the first content, or `hold`
/// before that where no stream broke. The other half is for the next event, lest a trial that is well outlasts its
/// lease, which may be shorter than `hold`.
pub(super) fn has_held(so_far: SoFar, settings: &HalfOpen, broke_after: Option<u64>) -> bool {
    let SoFar { events, ttft, flowed } = so_far;
    let half = settings.probe_timeout.saturating_sub(ttft) / 2;
    let (enough, hold) = match broke_after {
        None => (EVENTS, settings.hold.min(half)),
        Some(broke_after) => (well_past(broke_after), half),
    };
    events >= enough || flowed >= hold
}

/// After how many content events a stream is well past where others broke.
pub(super) fn well_past(broke_after: u64) -> u64 {
    EVENTS.max(broke_after.saturating_mul(FURTHER))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn so_far(events: u64, ttft: u64, flowed: u64) -> SoFar {
        SoFar { events, ttft: Duration::from_millis(ttft), flowed: Duration::from_millis(flowed) }
    }

    fn held(events: u64, ttft: u64, flowed: u64, broke_after: Option<u64>) -> bool {
        has_held(so_far(events, ttft, flowed), &HalfOpen::default(), broke_after)
    }

    #[test]
    fn five_events_or_two_seconds_are_enough_where_no_stream_broke() {
        assert!(!held(4, 500, 1_999, None));
        assert!(held(5, 500, 0, None) && held(1, 500, 2_000, None));
    }

    #[test]
    fn where_streams_broke_a_trial_comes_twice_as_far_or_flows_for_half_of_its_lease() {
        assert!(!held(19, 2_000, 13_999, Some(10)));
        assert!(held(20, 2_000, 0, Some(10)) && held(1, 2_000, 14_000, Some(10)));
        assert!(!held(4, 500, 0, Some(0)) && held(5, 500, 0, Some(1)));
    }

    proptest! {
        #[test]
        fn a_trial_passes_while_its_lease_lasts_and_broken_streams_only_make_it_later(
            events in 0..200_u64, lease in 1..60_000_u64, ttft in 0..60_000_u64, flowed in 0..60_000_u64,
            broke_after in any::<u64>(),
        ) {
            let settings = HalfOpen { probe_timeout: Duration::from_millis(lease), ..HalfOpen::default() };
            let held = |broke_after| has_held(so_far(events, ttft, flowed), &settings, broke_after);
            let (usual, strict) = (held(None), held(Some(broke_after)));
            prop_assert!(usual || !strict);
            // Half of the lease is left for the event that says so, however short the lease is.
            let left = lease.saturating_sub(ttft);
            prop_assert!(strict || flowed < left / 2 + 1, "{left}");
        }
    }
}
