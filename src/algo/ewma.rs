//! Peak EWMA: a moving average that rises at once and falls slowly.
//!
//! From Finagle's "Peak EWMA" balancer: for choosing a channel, news of slowness is worth more than news
//! of speed. Two things are ours (RESILIENCE 4.8, D9). A failure is recorded as a [penalty](PeakEwma::penalty),
//! so that an upstream which refuses fast does not look fast. And what nobody observes fades towards
//! `rest`, as e^(-t/tau): a channel shunned for one bad answer looks worth trying again after
//! `tau * ln(penalty / (1.2 * usual))`, 21 s for 5 s against 0.5 s with a tau of 10 s.

use std::time::Duration;

use super::tick::Tick;

#[derive(Clone, Debug, PartialEq)]
pub struct PeakEwma {
    tau: Duration,
    rest: Duration,
    last: Option<Observed>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Observed {
    at: Tick,
    seconds: f64,
}

impl PeakEwma {
    /// `tau` is the time to forget all but 1/e; `rest` is where silence leads.
    pub const fn new(tau: Duration, rest: Duration) -> Self {
        Self { tau, rest, last: None }
    }

    pub fn observe(&mut self, now: Tick, sample: Duration) {
        let sample = sample.as_secs_f64();
        let seconds = match self.last {
            None => sample,
            Some(last) if sample >= self.faded(last, now) => sample,
            Some(last) => {
                let keep = self.keep(last.at, now);
                last.seconds * keep + sample * (1.0 - keep)
            }
        };
        self.put(now, seconds);
    }

    /// A failure costs `penalty`, or what the average is already if that is more.
    pub fn penalty(&mut self, now: Tick, penalty: Duration) {
        let penalty = penalty.as_secs_f64();
        let seconds = self.last.map_or(penalty, |last| penalty.max(self.faded(last, now)));
        self.put(now, seconds);
    }

    /// `None` until the first observation.
    pub fn value(&self, now: Tick) -> Option<Duration> {
        self.last.map(|last| Duration::try_from_secs_f64(self.faded(last, now)).unwrap_or(Duration::MAX))
    }

    pub const fn reset(&mut self) {
        self.last = None;
    }

    /// What it knows: the average in seconds, as of its last observation.
    pub fn last(&self) -> Option<(Tick, f64)> {
        self.last.map(|last| (last.at, last.seconds))
    }

    /// An average of an earlier process, unless it is none.
    pub fn recall(&mut self, at: Tick, seconds: f64) {
        if seconds.is_finite() && seconds >= 0.0 {
            self.last = Some(Observed { at, seconds });
        }
    }

    fn put(&mut self, now: Tick, seconds: f64) {
        // A sample from an earlier moment must not make the next one count as older than it is.
        let at = self.last.map_or(now, |last| last.at.max(now));
        self.last = Some(Observed { at, seconds });
    }

    /// The average after the silence since its last observation.
    fn faded(&self, last: Observed, now: Tick) -> f64 {
        let floor = self.rest.as_secs_f64().min(last.seconds);
        (last.seconds * self.keep(last.at, now)).max(floor)
    }

    /// The share of the past that is not yet forgotten; without a `tau` all of it is.
    fn keep(&self, then: Tick, now: Tick) -> f64 {
        if self.tau.is_zero() {
            return 0.0;
        }
        let age = now.since(then).div_duration_f64(self.tau);
        // Under traffic samples lie close together, and there the line is the curve to six digits.
        if age < 1e-3 { 1.0 - age } else { (-age).exp() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAU: Duration = Duration::from_secs(10);
    const REST: Duration = Duration::from_millis(100);

    fn tick(ms: u64) -> Tick {
        Tick::ZERO + Duration::from_millis(ms)
    }

    fn ms(ewma: &PeakEwma, at: u64) -> u128 {
        ewma.value(tick(at)).expect("observed").as_millis()
    }

    #[test]
    fn it_rises_at_once_and_falls_slowly() {
        let mut ewma = PeakEwma::new(TAU, REST);
        assert_eq!(ewma.value(tick(0)), None);
        ewma.observe(tick(0), Duration::from_millis(500));
        ewma.observe(tick(0), Duration::from_secs(2));
        assert_eq!(ms(&ewma, 0), 2_000);
        ewma.observe(tick(10_000), Duration::from_millis(500));
        // 2,000/e + 500 (1 - 1/e)
        assert_eq!(ms(&ewma, 10_000), 1_051);
    }

    #[test]
    fn a_failure_costs_five_seconds_and_is_forgiven_after_twenty_one() {
        let mut ewma = PeakEwma::new(TAU, REST);
        ewma.observe(tick(0), Duration::from_millis(500));
        ewma.penalty(tick(0), Duration::from_secs(5));
        assert_eq!(ms(&ewma, 0), 5_000);
        assert!(ms(&ewma, 21_000) > 600 && ms(&ewma, 21_300) < 600);
        assert_eq!(ms(&ewma, 3_600_000), 100, "silence leads to rest");
    }

    #[test]
    fn a_penalty_below_the_average_costs_the_average() {
        let mut ewma = PeakEwma::new(TAU, REST);
        ewma.observe(tick(0), Duration::from_secs(9));
        ewma.penalty(tick(0), Duration::from_secs(5));
        assert_eq!(ms(&ewma, 0), 9_000);
    }

    #[test]
    fn after_a_reset_nothing_is_known() {
        let mut ewma = PeakEwma::new(TAU, REST);
        ewma.observe(tick(0), Duration::from_secs(9));
        ewma.reset();
        assert_eq!(ewma.value(tick(0)), None);
    }

    #[test]
    fn no_average_is_not_recalled() {
        let mut ewma = PeakEwma::new(TAU, REST);
        for seconds in [-1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            ewma.recall(tick(0), seconds);
            assert_eq!(ewma.last(), None, "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn what_was_kept_fades_and_learns_as_if_nothing_had_been(
            first in 0..60_000_u64, pause in 0..900_000_u64, then in 0..60_000_u64,
        ) {
            let mut lived = PeakEwma::new(TAU, REST);
            lived.observe(tick(5), Duration::from_millis(first));
            let mut kept = PeakEwma::new(TAU, REST);
            let (at, seconds) = lived.last().expect("observed");
            kept.recall(at, seconds);
            prop_assert_eq!(kept.value(tick(5 + pause)), lived.value(tick(5 + pause)));
            lived.observe(tick(5 + pause), Duration::from_millis(then));
            kept.observe(tick(5 + pause), Duration::from_millis(then));
            prop_assert_eq!(kept, lived);
        }

        #[test]
        fn p_s07_it_stays_between_the_extremes_of_what_it_saw(
            samples in prop::collection::vec((any::<u16>(), prop_oneof![0..100_u64, any::<u64>()], any::<bool>()), 1..60),
        ) {
            let (mut ewma, mut now) = (PeakEwma::new(TAU, REST), Tick::ZERO);
            let (mut low, mut high) = (REST, Duration::ZERO);
            for (sample, gap, failed) in samples {
                let sample = Duration::from_millis(u64::from(sample));
                (low, high) = (low.min(sample), high.max(sample));
                now = now + Duration::from_nanos(gap);
                if failed { ewma.penalty(now, sample) } else { ewma.observe(now, sample) }
                for at in [Tick::ZERO, now, now + TAU, Tick::MAX] {
                    let value = ewma.value(at).expect("observed");
                    let slack = Duration::from_nanos(10);
                    prop_assert!(value + slack >= low && value <= high + slack, "{:?} {:?} {:?}", low, value, high);
                }
            }
        }
    }
}
