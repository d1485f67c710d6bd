//! How a route's requests ended, counted since the start: what alarms and operators compare with a moment ago. The
//! metrics of the same are told by dialect as well, and are for whoever scrapes them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::telemetry::RequestOutcome;

#[derive(Debug, Default)]
pub struct Outcomes {
    by_outcome: [AtomicU64; RequestOutcome::ALL.len()],
    saved: AtomicU64,
}

/// What was counted when somebody looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    by_outcome: [u64; RequestOutcome::ALL.len()],
    /// Requests that went well after a failed attempt.
    pub saved: u64,
}

impl Outcomes {
    pub fn add(&self, outcome: RequestOutcome) {
        self.by_outcome[outcome as usize].fetch_add(1, Relaxed);
    }

    /// One of those that went well did so after a failed attempt.
    pub fn save(&self) {
        self.saved.fetch_add(1, Relaxed);
    }

    pub fn counted(&self) -> Counted {
        let by_outcome = std::array::from_fn(|outcome| self.by_outcome[outcome].load(Relaxed));
        Counted { by_outcome, saved: self.saved.load(Relaxed) }
    }
}

impl Counted {
    pub const fn of(&self, outcome: RequestOutcome) -> u64 {
        self.by_outcome[outcome as usize]
    }

    /// Those that failed or broke off.
    pub const fn failed(&self) -> u64 {
        self.of(RequestOutcome::Failed) + self.of(RequestOutcome::Broken)
    }

    /// Those whose end was not their caller's doing, nor refused by us.
    pub const fn judged(&self) -> u64 {
        self.of(RequestOutcome::Ok) + self.of(RequestOutcome::ClientFault) + self.failed()
    }

    pub fn all(&self) -> u64 {
        self.by_outcome.iter().sum()
    }

    /// What has come since `before`, and what two of them have together.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    fn with(&self, other: &Self, both: impl Fn(u64, u64) -> u64) -> Self {
        let by_outcome =
            std::array::from_fn(|outcome| both(self.by_outcome[outcome], other.by_outcome[outcome]));
        Self { by_outcome, saved: both(self.saved, other.saved) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_counted_once_and_by_its_name() {
        let outcomes = Outcomes::default();
        for (times, outcome) in RequestOutcome::ALL.into_iter().enumerate() {
            (0..=times).for_each(|_| outcomes.add(outcome));
        }
        let before = outcomes.counted();
        let of_each = RequestOutcome::ALL.map(|outcome| before.of(outcome));
        assert_eq!((of_each, before.all()), ([1, 2, 3, 4, 5, 6], 21));
        assert_eq!((before.failed(), before.judged()), (4 + 5, 1 + 2 + 4 + 5));
        outcomes.add(RequestOutcome::Ok);
        outcomes.save();
        let since = outcomes.counted().since(&before);
        assert_eq!((since.all(), since.of(RequestOutcome::Ok), since.saved), (1, 1, 1));
        assert_eq!(before.plus(&since), outcomes.counted());
        assert_eq!(before.since(&outcomes.counted()), Counted::default(), "never less than nothing");
    }
}
