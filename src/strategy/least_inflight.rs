//! The channel with the least work in flight for its weight. A running stream costs a fifth of a
//! request that still waits for its first token: it occupies the upstream less than a prefill does.

use super::Contender;
use crate::algo::dice::Dice;

/// Share of a waiting request that a running stream costs (RESILIENCE §4.8).
pub(super) const STREAM_SHARE: f64 = 0.2;

pub fn pick(contenders: &[Contender], dice: &mut Dice) -> Option<usize> {
    super::cheapest(contenders, dice, |c| load(c) / f64::from(c.weight.max(1)))
}

/// Work in flight, counting the request that is to be placed.
pub(super) fn load(contender: &Contender) -> f64 {
    1.0 + f64::from(contender.waiting) + STREAM_SHARE * f64::from(contender.streaming)
}
