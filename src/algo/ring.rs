//! Outcomes of the last while, counted in `B` buckets (RESILIENCE 4.3).
//!
//! It counts; what the counts mean is the breaker's business. With buckets of `width = window / B` an
//! event is certain to be counted for `window - width` and certain to be forgotten after `window`.
//! Totals are summed from the buckets when asked: `B` is at most a dozen, and a running total would be
//! one more thing that can be wrong (linkerd2-proxy made the same choice).

use std::time::Duration;

pub use super::slots::KeptSlots;
use super::slots::Slots;
use super::tick::Tick;

/// What can happen to a call, as far as a window cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Ok,
    Fail,
    Overload,
    /// A call that is counted already turned out slow.
    Slow,
    /// A call given up while it was slow: it has no other verdict.
    GivenUp,
    /// A call counted as [`Ok`](Event::Ok) broke in mid-stream.
    StreamFail,
}

/// How often each event happened; every count stops at `u32::MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub ok: u32,
    pub fail: u32,
    pub overload: u32,
    pub slow: u32,
    /// Those of `slow` that never got another verdict.
    pub given_up: u32,
    pub stream_fail: u32,
}

impl Counts {
    /// Calls that went wrong, those that broke in mid-stream included.
    pub const fn bad(&self) -> u32 {
        self.fail.saturating_add(self.overload).saturating_add(self.stream_fail)
    }

    /// Calls that went well: a stream that broke takes back the success its beginning earned.
    pub const fn good(&self) -> u32 {
        self.ok.saturating_sub(self.stream_fail)
    }

    /// Calls with a verdict.
    pub const fn total(&self) -> u32 {
        self.good().saturating_add(self.bad())
    }

    /// Share of calls that went wrong; 0 when there were none.
    pub fn bad_rate(&self) -> f64 {
        f64::from(self.bad()) / f64::from(self.total().max(1))
    }

    /// Calls whose speed is known, which includes those given up.
    pub const fn timed(&self) -> u32 {
        self.total().saturating_add(self.given_up)
    }

    /// Share of calls that were slow; 0 when there were none.
    pub fn slow_rate(&self) -> f64 {
        f64::from(self.slow) / f64::from(self.timed().max(1))
    }

    const fn count(&mut self, event: Event) {
        match event {
            Event::Ok => self.ok = self.ok.saturating_add(1),
            Event::Fail => self.fail = self.fail.saturating_add(1),
            Event::Overload => self.overload = self.overload.saturating_add(1),
            Event::Slow => self.slow = self.slow.saturating_add(1),
            Event::GivenUp => {
                self.slow = self.slow.saturating_add(1);
                self.given_up = self.given_up.saturating_add(1);
            }
            Event::StreamFail => self.stream_fail = self.stream_fail.saturating_add(1),
        }
    }

    const fn plus(self, other: &Self) -> Self {
        Self {
            ok: self.ok.saturating_add(other.ok),
            fail: self.fail.saturating_add(other.fail),
            overload: self.overload.saturating_add(other.overload),
            slow: self.slow.saturating_add(other.slow),
            given_up: self.given_up.saturating_add(other.given_up),
            stream_fail: self.stream_fail.saturating_add(other.stream_fail),
        }
    }
}

/// A window of events.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring<const B: usize>(Slots<Counts, B>);

impl<const B: usize> Ring<B> {
    pub fn new(window: Duration) -> Self {
        Self(Slots::new(window))
    }

    pub fn record(&mut self, now: Tick, event: Event) {
        self.0.current(now).count(event);
    }

    /// What happened within the window that ends at `now`.
    pub fn totals(&self, now: Tick) -> Counts {
        self.0.live(now).fold(Counts::default(), Counts::plus)
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn keep(&self) -> KeptSlots<Counts> {
        self.0.keep()
    }

    /// `None` where it was cut for another window.
    pub fn restore(window: Duration, kept: &KeptSlots<Counts>) -> Option<Self> {
        Slots::restore(window, kept).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CENTURY: Duration = Duration::from_hours(24 * 365 * 100);

    fn tick(ms: u64) -> Tick {
        Tick::ZERO + Duration::from_millis(ms)
    }

    /// A second in ten buckets.
    fn ring() -> Ring<10> {
        Ring::new(Duration::from_secs(1))
    }

    proptest! {
        #[test]
        fn p_w01_02_it_counts_what_a_list_of_times_would(
            gaps in prop::collection::vec(prop_oneof![3 => 0..40_u64, 1 => 40..1_500_u64], 1..100), idle in 0..1_500_u64,
        ) {
            let (mut ring, mut now, mut times) = (ring(), 0, vec![]);
            for gap in gaps {
                now += gap;
                ring.record(tick(now), Event::Fail);
                times.push(now);
                for later in [now, now + idle] {
                    let younger = |age: u64| times.iter().filter(|&&at| later - at < age).count() as u32;
                    let counted = ring.totals(tick(later)).fail;
                    prop_assert!(younger(900) <= counted && counted <= younger(1_000));
                }
            }
        }

        #[test]
        fn p_w03_looking_twice_or_on_the_way_changes_nothing(
            first in 0..3_000_u64, second in 0..3_000_u64, at in 0..1_000_u64,
        ) {
            let mut direct = ring();
            direct.record(tick(at), Event::Ok);
            let mut stepped = direct.clone();
            let (first, second) = (at + first, at + first + second);
            stepped.0.current(tick(first));
            stepped.0.current(tick(first));
            stepped.0.current(tick(second));
            direct.0.current(tick(second));
            prop_assert_eq!(stepped.totals(tick(second)), direct.totals(tick(second)));
        }

        #[test]
        fn p_w04_05_any_leap_of_time_in_either_direction_is_survived(times in prop::collection::vec(any::<u64>(), 1..50)) {
            let mut ring = ring();
            let mut newest = 0;
            for (done, time) in (1..).zip(times) {
                newest = newest.max(time);
                ring.record(Tick::from_nanos(time), Event::Slow);
                prop_assert!(ring.totals(Tick::from_nanos(newest)).slow <= done);
                prop_assert!(ring.totals(Tick::from_nanos(newest)).slow >= 1, "counted where time last was");
            }
        }
    }

    #[test]
    fn a_century_of_silence_leaves_an_empty_window_that_still_counts() {
        let mut ring = ring();
        ring.record(tick(5), Event::Ok);
        let then = tick(5) + CENTURY;
        assert_eq!(ring.totals(then), Counts::default());
        ring.record(then, Event::Ok);
        assert_eq!(ring.totals(then).ok, 1);
    }

    #[test]
    fn p_w05_time_that_runs_backwards_revives_nothing() {
        let mut ring = ring();
        ring.record(tick(0), Event::Fail);
        ring.record(tick(1_500), Event::Ok);
        assert_eq!(ring.totals(tick(0)), Counts { ok: 1, ..Counts::default() });
    }

    #[test]
    fn p_w06_counts_stop_at_their_limit() {
        let mut full =
            Counts { ok: u32::MAX, fail: u32::MAX, overload: u32::MAX, slow: u32::MAX, ..Counts::default() };
        for event in [Event::Ok, Event::Fail, Event::Overload, Event::Slow] {
            full.count(event);
        }
        assert_eq!((full.ok, full.fail, full.bad(), full.total()), (u32::MAX, u32::MAX, u32::MAX, u32::MAX));
        assert_eq!(full.plus(&full), full);
    }

    #[test]
    fn a_broken_stream_takes_back_its_success() {
        let counts = Counts { ok: 10, stream_fail: 6, ..Counts::default() };
        assert_eq!((counts.good(), counts.bad(), counts.total()), (4, 6, 10));
        let orphaned = Counts { ok: 2, stream_fail: 6, ..Counts::default() };
        assert_eq!((orphaned.total(), orphaned.bad_rate()), (6, 1.0), "its beginning has left the window");
    }

    #[test]
    fn calls_given_up_are_timed_and_have_no_verdict() {
        let counts = Counts { ok: 10, slow: 10, given_up: 10, ..Counts::default() };
        assert_eq!((counts.total(), counts.timed(), counts.slow_rate()), (10, 20, 0.5));
    }
}
