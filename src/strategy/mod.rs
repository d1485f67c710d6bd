//! Which eligible channel next: one file per strategy, and this table.
//!
//! A strategy sees contenders, never channels: it knows weights and latencies, not health. Whoever
//! is not eligible is not among them. Adding a strategy is a file, a variant and an arm.

mod least_inflight;
mod lowest_latency;
mod weighted_round_robin;

use std::str::FromStr;
use std::time::Duration;

use crate::algo::dice::Dice;
use crate::algo::wrr::Smooth;

/// The strategies, by the names they have in `routing.yaml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    #[default]
    WeightedRoundRobin,
    LowestLatency,
    LeastInflight,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::WeightedRoundRobin, Self::LowestLatency, Self::LeastInflight];

    pub const fn name(self) -> &'static str {
        match self {
            Self::WeightedRoundRobin => "weighted_round_robin",
            Self::LowestLatency => "lowest_latency",
            Self::LeastInflight => "least_inflight",
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
}

/// Picks one of `contenders` and returns its index in that slice; `None` when it is empty.
pub fn pick(kind: Kind, contenders: &[Contender], smooth: &mut Smooth, dice: &mut Dice) -> Option<usize> {
    match contenders {
        [] => None,
        [_] => Some(0),
        _ => match kind {
            Kind::WeightedRoundRobin => weighted_round_robin::pick(contenders, smooth),
            Kind::LowestLatency => lowest_latency::pick(contenders, dice),
            Kind::LeastInflight => least_inflight::pick(contenders, dice),
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
        };
        let mut dice = Dice::seeded(1);
        let mut check = |contenders: &[Contender], expected: Option<usize>| {
            for _ in 0..50 {
                let picked = pick(Kind::LeastInflight, contenders, &mut Smooth::default(), &mut dice);
                assert_eq!(picked, expected);
            }
        };
        let (own, other) = (contender(0, true, 0), contender(1, false, 0));
        check(&[other, own, other], Some(1));
        check(&[own, other], Some(0));
        // Not when it costs more.
        check(&[contender(0, true, 1), other], Some(1));
    }
}
