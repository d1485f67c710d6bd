//! The only source of seeds. One atomic word serves all threads without a lock: SplitMix64's state
//! is a counter, so every draw of a fresh [`Dice`] steps it once.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::algo::dice::Dice;

#[derive(Debug)]
pub struct Chance(AtomicU64);

/// An odd constant far from SplitMix64's own step, so that neighbouring dice do not overlap.
const STEP: u64 = 0xd134_2543_de82_ef95;

impl Default for Chance {
    /// Seeded by the operating system.
    fn default() -> Self {
        Self::seeded(RandomState::new().hash_one(STEP))
    }
}

impl Chance {
    pub const fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub fn dice(&self) -> Dice {
        let mut mixer = Dice::seeded(self.0.fetch_add(STEP, Relaxed));
        Dice::seeded(mixer.next_u64())
    }
}
