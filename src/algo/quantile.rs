//! Quantiles of the durations of the last minute, from a histogram with logarithmic buckets.
//!
//! Bucket `i` holds durations from `SHORTEST * GROWTH^i`; an answer is a bucket's geometric middle, at most
//! `sqrt(GROWTH) - 1`, which is 9.6 %, off. Enough to choose a timeout by, for a fixed 2.5 KiB whatever
//! the traffic. (HdrHistogram is exact to three digits, ten times the size, and has no window.)

use std::sync::LazyLock;
use std::time::Duration;

use super::slots::Slots;
use super::tick::Tick;

/// Anything shorter counts as this.
const SHORTEST: f64 = 100e-6;
const GROWTH: f64 = 1.2;
/// Reaches `SHORTEST * GROWTH^96`, about an hour; anything longer counts as that.
const BUCKETS: usize = 96;
const WINDOW: Duration = Duration::from_mins(1);
const SLOTS: usize = 6;

#[derive(Clone, Debug, PartialEq)]
pub struct Quantile(Slots<Histogram, SLOTS>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Histogram([u32; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Default for Quantile {
    fn default() -> Self {
        Self::new()
    }
}

impl Quantile {
    pub fn new() -> Self {
        Self(Slots::new(WINDOW))
    }

    pub fn observe(&mut self, now: Tick, sample: Duration) {
        if let Some(count) = self.0.current(now).0.get_mut(bucket(sample)) {
            *count = count.saturating_add(1);
        }
    }

    /// Samples within the window.
    pub fn count(&self, now: Tick) -> u64 {
        self.0.live(now).flat_map(|slot| slot.0).map(u64::from).sum()
    }

    /// The duration that a share `q` of the samples does not exceed; `None` without samples.
    pub fn at(&self, now: Tick, q: f64) -> Option<Duration> {
        let mut merged = [0_u64; BUCKETS];
        for slot in self.0.live(now) {
            for (sum, &count) in merged.iter_mut().zip(&slot.0) {
                *sum += u64::from(count);
            }
        }
        let count: u64 = merged.iter().sum();
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let at = merged.iter().position(|&count| {
            seen += count;
            seen >= rank
        })?;
        BOUNDS.get(at).map(|bound| Duration::from_secs_f64(bound * GROWTH.sqrt()))
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// The lower bounds of the buckets, in seconds. Looked up instead of computed: a logarithm a sample was
/// a percent of a request.
static BOUNDS: LazyLock<[f64; BUCKETS]> =
    LazyLock::new(|| std::array::from_fn(|bucket| SHORTEST * GROWTH.powf(bucket as f64)));

fn bucket(sample: Duration) -> usize {
    let seconds = sample.as_secs_f64();
    BOUNDS.partition_point(|&bound| bound <= seconds).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tick(s: u64) -> Tick {
        Tick::ZERO + Duration::from_secs(s)
    }

    #[test]
    fn without_samples_there_is_no_quantile() {
        let mut quantile = Quantile::new();
        assert_eq!(quantile.at(tick(0), 0.5), None);
        quantile.observe(tick(0), Duration::from_secs(1));
        assert!(quantile.at(tick(49), 0.5).is_some());
        assert_eq!((quantile.at(tick(60), 0.5), quantile.count(tick(60))), (None, 0));
    }

    #[test]
    fn what_was_cleared_is_forgotten() {
        let mut quantile = Quantile::new();
        quantile.observe(tick(0), Duration::from_secs(1));
        quantile.clear();
        assert_eq!(quantile, Quantile::new());
    }

    #[test]
    fn the_shortest_and_the_longest_have_a_place() {
        let mut quantile = Quantile::new();
        quantile.observe(tick(0), Duration::ZERO);
        quantile.observe(tick(0), Duration::MAX);
        assert_eq!(quantile.count(tick(0)), 2);
        assert!(quantile.at(tick(0), 0.0) < Some(Duration::from_millis(1)));
        assert!(quantile.at(tick(0), f64::INFINITY) > Some(Duration::from_mins(50)));
        assert!(quantile.at(tick(0), f64::NAN).is_some());
    }

    proptest! {
        #[test]
        fn it_is_within_ten_percent_of_the_exact_quantile(
            mut samples in prop::collection::vec(100..3_600_000_000_u64, 1..200), q in 0.0..=1.0_f64,
        ) {
            let mut quantile = Quantile::new();
            for &micros in &samples {
                quantile.observe(tick(3), Duration::from_micros(micros));
            }
            samples.sort_unstable();
            let rank = ((q * samples.len() as f64).ceil() as usize).max(1);
            let exact = samples[rank - 1] as f64;
            let got = quantile.at(tick(3), q).expect("samples").as_micros() as f64;
            prop_assert!((got / exact - 1.0).abs() <= 0.1, "{} for {}", got, exact);
        }
    }
}
