//! The numbers themselves: what whoever counts holds, and what a scrape reads. Each is one or a few atomics behind an
//! `Arc`, so that counting takes no lock, waits for nobody and needs nothing done to it later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    pub fn increment(&self, by: u64) {
        self.0.fetch_add(by, Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// Counts samples by how large they are.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    /// In order; a sample belongs to the first that is not below it.
    bounds: &'static [f64],
    /// One for each bound, and one for what is above them all.
    counts: Box<[AtomicU64]>,
    /// Of all samples, as the bits of an `f64`.
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0) }))
    }

    pub fn record(&self, sample: f64) {
        let Buckets { bounds, counts, sum } = &*self.0;
        let place = bounds.iter().position(|bound| sample <= *bound).unwrap_or(bounds.len());
        counts[place].fetch_add(1, Relaxed);
        let add = |bits| Some((f64::from_bits(bits) + sample).to_bits());
        // It always adds.
        let _ = sum.fetch_update(Relaxed, Relaxed, add);
    }

    /// How many samples each bucket has by itself, the last being above every bound.
    pub(super) fn counts(&self) -> impl Iterator<Item = u64> {
        self.0.counts.iter().map(|count| count.load(Relaxed))
    }

    pub(super) fn sum(&self) -> f64 {
        f64::from_bits(self.0.sum.load(Relaxed))
    }

    pub(super) fn bounds(&self) -> &'static [f64] {
        self.0.bounds
    }
}

/// Any of them, as a family keeps it.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Cell {
    /// Whether anybody but the family has it.
    pub(super) fn is_held(&self) -> bool {
        let holders = match self {
            Self::Counter(Counter(cell)) | Self::Gauge(Gauge(cell)) => Arc::strong_count(cell),
            Self::Histogram(Histogram(cell)) => Arc::strong_count(cell),
        };
        holders > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_in_the_first_bucket_that_is_not_below_it() {
        let histogram = Histogram::new(&[0.1, 1.0]);
        for sample in [0.0, 0.1, 0.100_01, 1.0, 1.5, f64::INFINITY] {
            histogram.record(sample);
        }
        assert_eq!(histogram.counts().collect::<Vec<_>>(), [2, 2, 2]);
        assert_eq!(histogram.sum(), f64::INFINITY);
    }

    #[test]
    fn samples_of_many_threads_are_all_there() {
        let (histogram, counter) = (Histogram::new(&[1.0]), Counter::default());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        histogram.record(0.5);
                        counter.increment(1);
                    }
                });
            }
        });
        assert_eq!((histogram.counts().sum::<u64>(), histogram.sum()), (40_000, 20_000.0));
        assert_eq!(counter.value(), 40_000);
    }
}
