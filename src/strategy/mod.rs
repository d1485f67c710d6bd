//! Which eligible channel next: one file per strategy, and this table.
//!
//! A strategy sees contenders, never channels: it knows weights and latencies, not health. Whoever
//! is not eligible is not among them. Adding a strategy is a file, a variant and an arm.

mod least_cost;
mod least_inflight;
mod lowest_latency;
mod sticky;
mod weighted_round_robin;

use std::str::FromStr;
use std::time::Duration;

pub use sticky::Session;

use crate::algo::dice::Dice;
use crate::algo::wrr::Smooth;

/// The strategies, by the names they have in `routing.yaml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    #[default]
    WeightedRoundRobin,
    LowestLatency,
    LeastInflight,
    LeastCost,
    Sticky,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::WeightedRoundRobin, Self::LowestLatency, Self::LeastInflight, Self::LeastCost, Self::Sticky];

    pub const fn name(self) -> &'static str {
        match self {
            Self::WeightedRoundRobin => "weighted_round_robin",
            Self::LowestLatency => "lowest_latency",
            Self::LeastInflight => "least_inflight",
            Self::LeastCost => "least_cost",
            Self::Sticky => "sticky",
        }
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(())
    }
}

/// A channel as a strategy sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contender {
    /// The channel's place in its route.
    pub slot: usize,
    /// Configured weight times slow start, in thousandths.
    pub weight: u32,
    /// Smoothed time to first content, with failures counted as slow; `None` before the first sample.
    pub latency: Option<Duration>,
    /// Attempts that wait for their first content.
    pub waiting: u32,
    /// Attempts whose stream is running.
    pub streaming: u32,
    /// It takes the caller's bytes as they are; at equal cost it is preferred.
    pub native: bool,
    /// What it would charge for the request, in nano-USD as far as that can be guessed; `None` where
    /// nobody knows its prices.
    pub cost: Option<u64>,
    /// The channel's name as a number, the same after a reload and on every replica.
    pub identity: u64,
}

/// Picks one of `contenders` and returns its index in that slice; `None` when it is empty.
pub fn pick(
    kind: Kind,
    contenders: &[Contender],
    session: Option<Session>,
    smooth: &mut Smooth,
    dice: &mut Dice,
) -> Option<usize> {
    match contenders {
        [] => None,
        [_] => Some(0),
        _ => match kind {
            Kind::WeightedRoundRobin => weighted_round_robin::pick(contenders, smooth),
            Kind::LowestLatency => lowest_latency::pick(contenders, dice),
            Kind::LeastInflight => least_inflight::pick(contenders, dice),
            Kind::LeastCost => least_cost::pick(contenders, smooth),
            Kind::Sticky => sticky::pick(contenders, session, smooth),
        },
    }
}

/// The contender with the smallest cost; ties are broken at random, or one of them would take all.
fn cheapest(contenders: &[Contender], dice: &mut Dice, cost: impl Fn(&Contender) -> f64) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    let mut ties = 1;
    for (index, contender) in contenders.iter().enumerate() {
        let cost = cost(contender);
        match best {
            Some((_, least)) if cost > least => {}
            // Nothing is lost and nothing is spent on translation.
            Some((kept, least)) if cost == least && contender.native != contenders[kept].native => {
                if contender.native {
                    best = Some((index, cost));
                    ties = 1;
                }
            }
            Some((_, least)) if cost == least => {
                ties += 1;
                if dice.below(ties) == 0 {
                    best = Some((index, cost));
                }
            }
            Some(_) | None => {
                best = Some((index, cost));
                ties = 1;
            }
        }
    }
    best.map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn among_equals_the_one_that_needs_no_translation_goes_first() {
        let contender = |slot, native, waiting| Contender {
            slot,
            weight: 1000,
            latency: Some(Duration::from_millis(100)),
            waiting,
            streaming: 0,
            native,
            cost: None,
            identity: slot as u64,
        };
        let mut dice = Dice::seeded(1);
        let mut check = |contenders: &[Contender], expected: Option<usize>| {
            for _ in 0..50 {
                let picked = pick(Kind::LeastInflight, contenders, None, &mut Smooth::default(), &mut dice);
                assert_eq!(picked, expected);
            }
        };
        let (own, other) = (contender(0, true, 0), contender(1, false, 0));
        check(&[other, own, other], Some(1));
        check(&[own, other], Some(0));
        // Not when it costs more.
        check(&[contender(0, true, 1), other], Some(1));
    }

    fn contender(slot: usize, cost: Option<u64>) -> Contender {
        Contender {
            slot,
            weight: 1000,
            latency: None,
            waiting: 0,
            streaming: 0,
            native: true,
            cost,
            identity: slot as u64 + 100,
        }
    }

    #[test]
    fn the_cheapest_takes_all_and_equals_take_turns() {
        let mut smooth = Smooth::default();
        let mut dice = Dice::seeded(1);
        let mut check = |costs: &[Option<u64>], expected: &[usize]| {
            let contenders: Vec<_> = (0..).zip(costs).map(|(slot, &cost)| contender(slot, cost)).collect();
            let mut seen: Vec<_> = (0..20)
                .filter_map(|_| pick(Kind::LeastCost, &contenders, None, &mut smooth, &mut dice))
                .collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, expected, "{costs:?}");
        };
        check(&[Some(5), Some(3), Some(4)], &[1]);
        check(&[Some(3), Some(9), Some(3)], &[0, 2]);
        // Unknown is not free.
        check(&[None, Some(900)], &[1]);
        check(&[None, None], &[0, 1]);
    }

    #[test]
    fn a_conversation_stays_where_it_was_and_yields_when_that_is_gone() {
        let mut smooth = Smooth::default();
        let mut dice = Dice::seeded(1);
        let all = [contender(0, None), contender(1, None), contender(2, None)];
        let mut pick = |contenders: &[Contender], session: Option<Session>| {
            pick(Kind::Sticky, contenders, session, &mut smooth, &mut dice)
                .map(|index| contenders[index].slot)
        };
        for key in 0..100 {
            let new = Session { key, last: None };
            let first = pick(&all, Some(new)).expect("somebody is there");
            assert_eq!(pick(&all, Some(new)), Some(first), "another replica would say the same");
            let known = Session { key, last: Some(102) };
            assert_eq!(pick(&all, Some(known)), Some(2));
            assert_ne!(pick(&all[..2], Some(known)), Some(2));
        }
        // Who belongs to no conversation takes turns.
        let mut seen: Vec<_> = (0..3).filter_map(|_| pick(&all, None)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2]);
    }
}
