//! What a rehearsal came to, in numbers; how they are shown is the affair of `text`, `page` and `said`.

use std::time::Duration;

/// One rehearsal of one configuration.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The configuration's file.
    pub config: String,
    /// In the order of [`Minute::attempts`].
    pub upstreams: Vec<String>,
    pub minutes: Vec<Minute>,
    pub lanes: Vec<Lane>,
    pub totals: Totals,
    /// What a rehearsal of this configuration does not show, a line each.
    pub unmodelled: Vec<String>,
    /// Which outages befall nobody of this configuration, a line each.
    pub does_not_happen: Vec<String>,
}

/// What callers of one minute saw, and what was done for them in it.
#[derive(Clone, Debug, Default)]
pub struct Minute {
    pub answered: u64,
    /// An error instead of an answer.
    pub failed: u64,
    /// The begin of an answer, and an error event.
    pub broken: u64,
    /// The caller's own wish.
    pub hung_up: u64,
    /// Seconds from a caller's arrival to the first content.
    pub ttfts: Vec<f32>,
    pub attempts: Vec<Attempts>,
    pub cost: Cost,
}

/// Attempts on one upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    pub good: u64,
    pub bad: u64,
    pub cancelled: u64,
}

/// What providers bill for, attempts that failed halfway included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub femto_usd: u128,
    /// Attempts that cost something of which the catalog knows no price.
    pub unpriced: u64,
}

/// One breaker or key over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// `upstream`, `upstream/model` or `key upstream#1`.
    pub label: String,
    pub spans: Vec<Span>,
}

/// One state of a lane, in time since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Duration,
    pub to: Duration,
    pub state: &'static str,
}

/// The whole rehearsal.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub requests: u64,
    pub answered: u64,
    pub failed: u64,
    pub broken: u64,
    pub hung_up: u64,
    /// Of those who did not hang up; `None` when there was nobody.
    pub success: Option<f64>,
    pub p50_ttft: Option<Duration>,
    pub p99_ttft: Option<Duration>,
    pub attempts: u64,
    /// Attempts for each request.
    pub amplification: f64,
    pub cost: Cost,
    /// From the end of an outage until its upstream had its share back; `None` where that was not seen.
    pub recovery: Option<Duration>,
    pub probes: u64,
    /// Second attempts beside a silent one, and those that were heard.
    pub hedges: u64,
    pub hedges_won: u64,
    /// Requests that waited for room, and how long the slowest hundredth of them did.
    pub queued: u64,
    pub p99_queue: Option<Duration>,
    /// Streams that broke and were whole in the end, and those that broke all the same after somebody went on.
    pub continued: u64,
    pub continued_in_vain: u64,
    /// What going on cost, which is part of `cost`.
    pub legs_cost: Cost,
    /// How requests failed or broke, and how many.
    pub reasons: Vec<(String, u64)>,
}

impl Attempts {
    pub const fn all(&self) -> u64 {
        self.good + self.bad + self.cancelled
    }
}

impl Cost {
    /// Adds an attempt's bill in femto-USD; `None` where no price is known.
    pub fn add(&mut self, femto_usd: Option<u128>) {
        match femto_usd {
            Some(bill) => self.femto_usd += bill,
            None => self.unpriced += 1,
        }
    }

    /// Dollars, as far as prices are known; `None` where none is.
    pub fn usd(&self) -> Option<f64> {
        (self.femto_usd > 0 || self.unpriced == 0).then(|| self.femto_usd as f64 / 1e15)
    }
}

impl Lane {
    /// How often its state changed.
    pub fn changes(&self) -> usize {
        self.spans.len().saturating_sub(1)
    }

    /// The longest time in `state` at a stretch.
    pub fn longest(&self, state: &str) -> Duration {
        let of = self.spans.iter().filter(|span| span.state == state);
        of.map(|span| span.to.saturating_sub(span.from)).max().unwrap_or_default()
    }
}

impl Minute {
    pub const fn requests(&self) -> u64 {
        self.answered + self.failed + self.broken + self.hung_up
    }

    /// Share of those who did not hang up.
    pub fn success(&self) -> Option<f64> {
        let stayed = self.requests() - self.hung_up;
        (stayed > 0).then(|| self.answered as f64 / stayed as f64)
    }

    /// A quantile of the time to the first content, over all who got any.
    pub fn ttft(&self, quantile: f64) -> Option<Duration> {
        let mut sorted = self.ttfts.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let at = (sorted.len().saturating_sub(1) as f64 * quantile).round() as usize;
        sorted.get(at).map(|seconds| Duration::from_secs_f32(*seconds))
    }

    /// All of them as one.
    pub fn sum(minutes: &[Self], upstreams: usize) -> Self {
        let mut sum = Self { attempts: vec![Attempts::default(); upstreams], ..Self::default() };
        for minute in minutes {
            sum.answered += minute.answered;
            sum.failed += minute.failed;
            sum.broken += minute.broken;
            sum.hung_up += minute.hung_up;
            sum.ttfts.extend_from_slice(&minute.ttfts);
            sum.cost.femto_usd += minute.cost.femto_usd;
            sum.cost.unpriced += minute.cost.unpriced;
            for (sum, own) in sum.attempts.iter_mut().zip(&minute.attempts) {
                sum.good += own.good;
                sum.bad += own.bad;
                sum.cancelled += own.cancelled;
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_counts_everything_once_and_its_quantiles_are_those_of_all() {
        let minute = |answered, failed, ttfts: &[f32]| Minute {
            answered,
            failed,
            ttfts: ttfts.to_vec(),
            attempts: vec![Attempts { good: answered, bad: failed, cancelled: 0 }],
            ..Minute::default()
        };
        let sum = Minute::sum(&[minute(3, 1, &[0.1, 0.2, 0.3]), minute(1, 0, &[9.0])], 1);
        assert_eq!((sum.requests(), sum.success()), (5, Some(0.8)));
        assert_eq!(sum.attempts[0], Attempts { good: 4, bad: 1, cancelled: 0 });
        assert_eq!(sum.ttft(0.99), Some(Duration::from_secs(9)));
        assert_eq!(Minute::default().success(), None);
        assert_eq!(Minute { hung_up: 3, ..Minute::default() }.success(), None);
        assert_eq!(Minute::default().ttft(0.5), None);
    }

    #[test]
    fn cost_is_unknown_only_where_no_price_is_known() {
        assert_eq!(Cost::default().usd(), Some(0.0));
        assert_eq!(Cost { femto_usd: 0, unpriced: 1 }.usd(), None);
        assert_eq!(Cost { femto_usd: 5_000_000_000_000_000, unpriced: 1 }.usd(), Some(5.0));
    }
}
