//! Smooth weighted round robin, nginx's algorithm: shares exact to the pick, and evenly mixed.
//!
//! With weights 5, 1, 1 it gives a a b a c a a, where plain weighted round robin gives a a a a a b c. At
//! each pick every candidate earns its weight, the richest is taken and pays what all of them earned.
//! Who is no candidate neither earns nor pays, so a retry that leaves out what it tried takes nothing
//! from anybody.

/// The credit of each slot. A slot is whatever number its owner keeps for a channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Smooth {
    credits: Vec<i64>,
}

impl Smooth {
    pub fn new(slots: usize) -> Self {
        Self { credits: vec![0; slots] }
    }

    /// Which of `candidates`, pairs of slot and effective weight, is next: its index in the slice. A
    /// weight of 0 is never picked. Allocates only for a slot it has never seen.
    pub fn pick(&mut self, candidates: &[(usize, u32)]) -> Option<usize> {
        let total: i64 = candidates.iter().map(|&(_, weight)| i64::from(weight)).sum();
        let mut best: Option<(usize, usize, i64)> = None;
        for (index, &(slot, weight)) in candidates.iter().enumerate() {
            if weight == 0 {
                continue;
            }
            let credit = self.credit(slot);
            // Constant weights never leave these bounds. Weights that shrink would: a channel would be
            // paid, or made to pay, for a thousand picks by weights that no longer hold.
            *credit = (*credit).clamp(-total, total) + i64::from(weight);
            if best.is_none_or(|(_, _, most)| *credit > most) {
                best = Some((index, slot, *credit));
            }
        }
        let (index, slot, _) = best?;
        *self.credit(slot) -= total;
        Some(index)
    }

    /// The state for a new set of slots: `old(new slot)` names the slot a channel had, if it had one. The
    /// mean is taken out, so that what the departed owed is shared by all who stay.
    #[must_use]
    pub fn carry(&self, slots: usize, old: impl Fn(usize) -> Option<usize>) -> Self {
        let mut credits: Vec<i64> = (0..slots)
            .map(|slot| old(slot).and_then(|old| self.credits.get(old)).copied().unwrap_or(0))
            .collect();
        let sum: i64 = credits.iter().sum();
        let count = i64::try_from(slots).unwrap_or(i64::MAX).max(1);
        let (share, rest) = (sum.div_euclid(count), sum.rem_euclid(count));
        for (credit, index) in credits.iter_mut().zip(0..) {
            *credit -= share + i64::from(index < rest);
        }
        Self { credits }
    }

    fn credit(&mut self, slot: usize) -> &mut i64 {
        if slot >= self.credits.len() {
            self.credits.resize(slot + 1, 0);
        }
        &mut self.credits[slot]
    }
}
