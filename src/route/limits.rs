//! How long an attempt may stay silent: shorter while there is somewhere else to go (E3).

use std::time::Duration;

use smallvec::SmallVec;

use super::need::Need;
use super::plan::Plan;
use super::shortlist;
use super::withheld::Withheld;
use crate::algo::tick::Tick;
use crate::config::FirstEvent;
use crate::dialect::scan::Thinks;
use crate::state::model::Shape;
use crate::state::permit::Permit;

/// Deadlines of one attempt, measured from its begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// To the response's headers.
    pub headers: Duration,
    /// To the first content; as long as the request may last where content is not told apart.
    pub first_event: Duration,
    /// How much of its stream is held back behind the first content.
    pub withheld: Option<Withheld>,
}

/// The shortest limit while an alternative exists.
const LEAST: Duration = Duration::from_secs(10);
/// Whole answers take as long as they are long, so their least is more generous.
const LEAST_WHOLE: Duration = Duration::from_mins(1);
/// Multiple of the p95 that is still patience and not stubbornness.
const P95_FACTOR: u32 = 4;
/// How many times slower than its neighbours a channel may be before its own history counts no longer.
const PEER_FACTOR: u32 = 4;
/// Each ten thousand prompt tokens take the prefill about this much longer.
const PER_10K_TOKENS: Duration = Duration::from_secs(1);
const REASONING: Duration = Duration::from_mins(2);
const LAST: Duration = Duration::from_mins(1);
const LAST_REASONING: Duration = Duration::from_mins(5);

impl Plan<'_> {
    /// The 95th percentile of its latency that patience with a channel is measured by: its own, as long as that
    /// is about what the route's other channels do. `None` before there are enough samples of it.
    fn usual(&self, permit: &Permit, need: &Need<'_>, now: Tick) -> Option<Duration> {
        let own = permit.model().p95(need.shape, now)?;
        // Under the least of all limits it makes no difference what others do.
        if own * P95_FACTOR <= LEAST {
            return Some(own);
        }
        let route = self.route();
        let mut others: SmallVec<[Duration; 8]> = route
            .channels
            .iter()
            .filter(|other| other.slot != permit.channel().slot)
            .filter_map(|other| {
                let model = need.memory(route, other, now);
                shortlist::judge(route, other, &model, need, now).ok()?;
                model.p95(need.shape, now)
            })
            .collect();
        Some(among(own, &mut others))
    }

    pub fn limits(&self, permit: &Permit, need: &Need<'_>) -> Limits {
        Limits { withheld: self.withheld(permit, need), ..self.silence(permit, need) }
    }

    /// How long it may say nothing.
    fn silence(&self, permit: &Permit, need: &Need<'_>) -> Limits {
        let of = |headers, first_event| Limits { headers, first_event, withheld: None };
        let channel = permit.channel();
        let timeouts = &channel.config.timeouts;
        let now = self.table().live.now();
        let left = need.deadline.since(now);
        let p95 = || self.usual(permit, need, now).map(|p95| p95 * P95_FACTOR);
        // How long a file takes says nothing about the next one.
        if need.operation.is_left() {
            return of(left, left);
        }
        match (timeouts.first_event, need.shape) {
            (FirstEvent::Off, _) => of(timeouts.ttfb.min(left), left),
            (FirstEvent::Fixed(limit), Shape::Stream) => {
                // Content without headers there is none.
                of(timeouts.ttfb.min(limit).min(left), limit.min(left))
            }
            (FirstEvent::Auto, Shape::Stream) => {
                let elsewhere = self.has_other(channel, need, now);
                let model = channel.model_name(&self.route().config, need.model).unwrap_or(need.model);
                let thinks = need.thinks == Thinks::Yes || channel.config.reasoning.of(model);
                let limit = match (elsewhere, thinks) {
                    (true, true) => REASONING,
                    (true, false) => {
                        let prefill = PER_10K_TOKENS.mul_f64(need.prompt_tokens as f64 / 10_000.0);
                        p95().unwrap_or(LEAST).max(LEAST) + prefill
                    }
                    (false, true) => LAST_REASONING,
                    (false, false) => LAST,
                };
                // Many upstreams send their headers with the first token, so the last possible attempt
                // must not be ended by the limit for headers.
                let headers = if elsewhere { timeouts.ttfb.min(limit) } else { timeouts.ttfb.max(limit) };
                of(headers.min(left), limit.min(left))
            }
            // The headers of a whole answer come when it is whole, so only the total bounds it, unless
            // experience says that this channel is usually much faster and another one is waiting.
            (FirstEvent::Auto, Shape::Whole) => {
                let experience = p95().filter(|_| self.has_other(channel, need, now));
                let limit = experience.map_or(left, |limit| limit.max(LEAST_WHOLE)).min(left);
                of(limit, limit)
            }
            (FirstEvent::Fixed(limit), Shape::Whole) => {
                let limit = limit.min(left);
                of(limit, limit)
            }
        }
    }
}

/// The p95 that counts for a channel whose own is `own`, among others that could be asked: a channel that gets
/// slower and slower would else earn more and more patience, each slow answer paying for the next. Of an even
/// number of others the faster middle one counts.
fn among(own: Duration, others: &mut [Duration]) -> Duration {
    if others.is_empty() {
        return own;
    }
    let middle = (others.len() - 1) / 2;
    let (_, median, _) = others.select_nth_unstable(middle);
    own.min(median.saturating_mul(PEER_FACTOR))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(own: u64, others: &[u64]) -> u64 {
        let mut others: Vec<Duration> = others.iter().copied().map(Duration::from_secs).collect();
        among(Duration::from_secs(own), &mut others).as_secs()
    }

    #[test]
    fn a_channel_is_measured_by_four_times_its_neighbours_median_at_most() {
        assert_eq!(counts(20, &[]), 20, "nobody to compare it with");
        assert_eq!(counts(20, &[1]), 4);
        assert_eq!(counts(3, &[1]), 3, "somewhat slower is as it is");
        assert_eq!(counts(20, &[30, 1, 2]), 8);
        assert_eq!(counts(20, &[2, 1]), 4, "the faster middle one");
        assert_eq!(counts(20, &[18, 25, 16]), 20, "all of them are slow");
    }

    proptest! {
        #[test]
        fn what_counts_is_never_more_than_its_own_and_grows_with_no_outlier(
            own in 0..1_000_u64, others in prop::collection::vec(0..1_000_u64, 1..9), outlier in 0..1_000_000_u64,
        ) {
            let counted = counts(own, &others);
            prop_assert!(counted <= own);
            let slowest = others.iter().copied().max().unwrap_or_default();
            prop_assert!(counted <= slowest * u64::from(PEER_FACTOR));
            let mut more = others.clone();
            more.extend([outlier, 0]);
            prop_assert!(counts(own, &more) <= slowest * u64::from(PEER_FACTOR));
        }
    }
}
