//! What probes said, for the time between two processes.

use super::{Health, Settings, Stage, State, Tick};

/// The state, the results in a row that speak against it, and how often it was asked while down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub state: State,
    /// Failures while it is up or unknown, passes while it is down.
    pub against: u32,
    pub probes: u32,
    pub since: Tick,
}

impl Health {
    pub const fn keep(&self) -> Kept {
        let (against, probes) = match self.stage {
            Stage::Unknown { fails } | Stage::Up { fails } => (fails, 0),
            Stage::Down { passes, probes } => (passes, probes),
        };
        Kept { state: self.state(), against, probes, since: self.since }
    }

    pub const fn restore(settings: Settings, kept: &Kept) -> Self {
        let Kept { state, against, probes, since } = *kept;
        let stage = match state {
            State::Unknown => Stage::Unknown { fails: against },
            State::Up => Stage::Up { fails: against },
            State::Down => Stage::Down { passes: against, probes },
        };
        Self { settings, stage, since }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Verdict;
    use super::*;

    proptest! {
        #[test]
        fn health_that_was_kept_is_the_same(results in prop::collection::vec(any::<bool>(), 0..30)) {
            let mut health = Health::new(Settings::default());
            for pass in results {
                let verdict = if pass { Verdict::Pass } else { Verdict::Fail };
                health.record(verdict, Tick::from_nanos(7));
                prop_assert_eq!(&Health::restore(Settings::default(), &health.keep()), &health);
            }
        }
    }
}
