//! A breaker for the time between two processes: what it knows, without what only lives in one of them.
//!
//! Times are the clock's own; whoever continues with it sees to it that the clock has gone on meanwhile,
//! and then the pause is time without calls like any other.

use super::{Breaker, Evidence, Stage as Live};
use crate::algo::breaker::Settings;
use crate::algo::breaker::streak::Streak;
use crate::algo::ring::{Counts, KeptSlots, Ring};
use crate::algo::tick::Tick;

/// Where it stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Closed { decayed: Tick },
    Open { until: Tick },
    ForcedClosed,
    ForcedOpen,
    MetricsOnly,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub stage: Stage,
    pub since: Tick,
    pub generation: u32,
    pub level: u32,
    pub fast: KeptSlots<Counts>,
    pub slow: KeptSlots<Counts>,
    /// Failures since the last success.
    pub run: u32,
    /// When the last of them were, the oldest first.
    pub failures: Vec<Tick>,
    /// The same of streams that broke since one came to its end.
    pub broken_run: u32,
    pub broken: Vec<Tick>,
    /// When it last opened.
    pub opened: Tick,
}

impl Breaker {
    pub fn keep(&self) -> Kept {
        Kept {
            stage: match self.stage {
                Live::Closed { decayed } => Stage::Closed { decayed },
                Live::Open { until } => Stage::Open { until },
                // The trials end with the process and have said nothing: the next one is due at once.
                Live::HalfOpen(_) => Stage::Open { until: self.since },
                Live::ForcedClosed => Stage::ForcedClosed,
                Live::ForcedOpen => Stage::ForcedOpen,
                Live::MetricsOnly => Stage::MetricsOnly,
            },
            since: self.since,
            generation: self.generation,
            level: self.level,
            fast: self.evidence.fast.keep(),
            slow: self.evidence.slow.keep(),
            run: self.evidence.streak.run(),
            failures: self.evidence.streak.times(),
            broken_run: self.evidence.broken.run(),
            broken: self.evidence.broken.times(),
            opened: self.opened,
        }
    }

    /// Counts that were cut to another window are left out; a breaker that is switched off is closed.
    pub fn restore(settings: Settings, kept: &Kept) -> Self {
        let mut evidence = Evidence::new(&settings);
        if let Some(fast) = Ring::restore(settings.fast.window, &kept.fast) {
            evidence.fast = fast;
        }
        if let Some(slow) = Ring::restore(settings.slow.window, &kept.slow) {
            evidence.slow = slow;
        }
        evidence.streak = Streak::of(settings.consecutive.failures, kept.run, &kept.failures);
        evidence.broken = Streak::of(settings.consecutive.failures, kept.broken_run, &kept.broken);
        Self {
            stage: match kept.stage {
                Stage::Open { .. } if !settings.enabled => Live::closed(kept.since),
                Stage::Open { until } => Live::Open { until },
                Stage::Closed { decayed } => Live::Closed { decayed },
                Stage::ForcedClosed => Live::ForcedClosed,
                Stage::ForcedOpen => Live::ForcedOpen,
                Stage::MetricsOnly => Live::MetricsOnly,
            },
            since: kept.since,
            generation: kept.generation,
            level: kept.level,
            opened: kept.opened,
            evidence,
            settings,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::algo::breaker::commands::{Command, World, commands, settings};
    use crate::algo::breaker::{Admissible, State};

    proptest! {
        /// The same settings, the same future: whatever is done, and however long the pause was.
        #[test]
        fn a_breaker_that_was_kept_goes_on_as_if_nothing_had_been(
            past in commands(), pause in 0..10_000_u64, future in commands(),
        ) {
            let mut lived = World::new(settings());
            for command in past {
                lived.run(command);
            }
            let was_half_open = lived.breaker.state() == State::HalfOpen;
            let mut kept = lived.clone();
            kept.breaker = Breaker::restore(settings(), &kept.breaker.keep());
            for world in [&mut lived, &mut kept] {
                world.wait(std::time::Duration::from_millis(pause));
            }
            if was_half_open {
                prop_assert_eq!(kept.breaker.admissible(kept.now), Admissible::Trial);
                return Ok(());
            }
            prop_assert_eq!(kept.breaker.admissible(kept.now), lived.breaker.admissible(lived.now));
            for command in future {
                let (one, other) = (lived.run(command), kept.run(command));
                prop_assert_eq!(one, other, "{:?}", command);
                prop_assert_eq!(lived.breaker.snapshot(lived.now), kept.breaker.snapshot(kept.now));
            }
        }
    }

    #[test]
    fn other_windows_start_anew_and_a_breaker_that_is_switched_off_is_closed() {
        let mut world = World::new(settings());
        for _ in 0..3 {
            world.attempt(crate::algo::breaker::Signal::Failure);
        }
        assert!(matches!(world.breaker.state(), State::Open { .. }));
        let kept = world.breaker.keep();
        let mut other = settings();
        other.fast.window *= 2;
        let restored = Breaker::restore(other, &kept);
        assert_eq!(restored.fast(world.now), Counts::default());
        assert!(matches!(restored.state(), State::Open { .. }));
        let off = Settings { enabled: false, ..settings() };
        assert_eq!(Breaker::restore(off, &kept).state(), State::Closed);
        world.run(Command::Reset);
        assert_eq!(Breaker::restore(settings(), &world.breaker.keep()).state(), State::Closed);
    }
}
