//! Lowest expected time to first token: `latency x load / weight` (RESILIENCE §4.8).
//!
//! Pools here are small, so the textbook rule (sample two, take the cheaper) is deterministic for
//! two channels and herds on stale figures. Two channels are therefore drawn in proportion to the
//! inverse of their costs, clipped so that neither starves; three or more by two samples. One pick
//! in fifty is uniform, so that a channel that was slow once is measured again.

use std::time::Duration;

use super::{Contender, least_inflight::load};
use crate::algo::dice::Dice;

/// Share of picks that explore.
const EXPLORE: f64 = 0.02;
/// With two channels, neither gets less than this share.
const LEAST_SHARE: f64 = 0.1;
/// Assumed latency when no contender has a sample.
const UNKNOWN: Duration = Duration::from_secs(1);

pub fn pick(contenders: &[Contender], dice: &mut Dice) -> Option<usize> {
    let count = contenders.len();
    if dice.chance(EXPLORE) {
        return Some(dice.below(count as u64) as usize);
    }
    let assumed = median_known(contenders).unwrap_or(UNKNOWN);
    let cost = |c: &Contender| cost(c, assumed);
    if let [a, b] = contenders {
        let (a, b) = (cost(a), cost(b));
        let share_of_a = (b / (a + b)).clamp(LEAST_SHARE, 1.0 - LEAST_SHARE);
        return Some(usize::from(!dice.chance(share_of_a)));
    }
    let first = draw_by_weight(contenders, None, dice)?;
    let second = draw_by_weight(contenders, Some(first), dice)?;
    let (a, b) = (cost(&contenders[first]), cost(&contenders[second]));
    let (one, other) = (&contenders[first], &contenders[second]);
    let tie_for_first =
        a == b && ((one.native && !other.native) || (one.native == other.native && dice.chance(0.5)));
    Some(if a < b || tie_for_first { first } else { second })
}

/// Without a sample, one attempt at a time is enough to get one; a second would cost too much if the
/// channel turned out slow.
fn cost(contender: &Contender, assumed: Duration) -> f64 {
    let unproven = contender.latency.is_none() && contender.waiting > 0;
    let latency = contender.latency.unwrap_or(assumed).as_secs_f64().max(1e-6);
    let cost = latency * load(contender) / f64::from(contender.weight.max(1));
    if unproven { cost * 1e3 } else { cost }
}

fn median_known(contenders: &[Contender]) -> Option<Duration> {
    let known = contenders.iter().filter_map(|c| c.latency);
    let count = known.clone().count();
    // The k-th smallest without sorting: pools are small, and nothing is allocated.
    known.clone().find(|&candidate| {
        let below = known.clone().filter(|&other| other < candidate).count();
        let equal = known.clone().filter(|&other| other == candidate).count();
        below <= count / 2 && count / 2 < below + equal
    })
}

fn draw_by_weight(contenders: &[Contender], except: Option<usize>, dice: &mut Dice) -> Option<usize> {
    let weights = || {
        contenders
            .iter()
            .enumerate()
            .filter(move |(index, _)| Some(*index) != except)
            .map(|(index, c)| (index, u64::from(c.weight.max(1))))
    };
    let mut ticket = dice.below(weights().map(|(_, weight)| weight).sum());
    weights().find_map(|(index, weight)| {
        if ticket < weight {
            return Some(index);
        }
        ticket -= weight;
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(slot: usize, millis: Option<u64>, waiting: u32) -> Contender {
        Contender {
            slot,
            weight: 1000,
            latency: millis.map(Duration::from_millis),
            waiting,
            streaming: 0,
            native: true,
            cost: None,
            identity: slot as u64,
        }
    }

    fn shares(contenders: &[Contender]) -> Vec<f64> {
        let mut dice = Dice::seeded(3);
        let mut picks = vec![0_u32; contenders.len()];
        for _ in 0..20_000 {
            picks[pick(contenders, &mut dice).unwrap()] += 1;
        }
        picks.iter().map(|&n| f64::from(n) / 20_000.0).collect()
    }

    #[test]
    fn a_penalised_channel_keeps_a_trickle_and_no_more() {
        let shares = shares(&[contender(0, Some(5_000), 0), contender(1, Some(300), 0)]);
        assert!((0.05..0.13).contains(&shares[0]), "{shares:?}");
    }

    #[test]
    fn equals_share_equally() {
        for pool in [2, 3, 5] {
            let contenders: Vec<_> = (0..pool).map(|slot| contender(slot, Some(400), 1)).collect();
            let fair = 1.0 / pool as f64;
            for share in shares(&contenders) {
                assert!((share - fair).abs() < 0.02, "{share} of {fair}");
            }
        }
    }

    #[test]
    fn of_three_the_slow_one_is_only_explored() {
        let shares =
            shares(&[contender(0, Some(300), 0), contender(1, Some(5_000), 0), contender(2, Some(300), 0)]);
        assert!(shares[1] < 0.02, "{shares:?}");
        assert!(shares[1] > 0.002, "{shares:?}");
    }

    #[test]
    fn a_channel_without_a_sample_gets_one_attempt_at_a_time() {
        let busy = shares(&[contender(0, None, 1), contender(1, Some(300), 1), contender(2, Some(300), 1)]);
        assert!(busy[0] < 0.02, "{busy:?}");
        let idle = shares(&[contender(0, None, 0), contender(1, Some(300), 1), contender(2, Some(300), 1)]);
        assert!(idle[0] > 0.3, "{idle:?}");
    }
}
