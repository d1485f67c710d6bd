//! A cooldown for the time between two processes. Leases end with theirs.

use super::{Cooldown, Kind, Settings, Stage as Live, Tick, Wait};

/// Where it stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Ready,
    /// A wait of this kind; [`Kind::Auth`] is a refused key, to be asked again then.
    Waiting {
        until: Tick,
        kind: Kind,
    },
    Trickle {
        limit: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub stage: Stage,
    pub before: u32,
    pub throttles: u32,
    pub quotas: u32,
}

impl Cooldown {
    pub const fn keep(&self) -> Kept {
        let stage = match self.stage {
            Live::Ready => Stage::Ready,
            Live::Cooling { until, wait } => Stage::Waiting { until, kind: wait.kind() },
            Live::Disabled { recheck_at, .. } => Stage::Waiting { until: recheck_at, kind: Kind::Auth },
            Live::Trickle { limit } => Stage::Trickle { limit },
        };
        Kept { stage, before: self.before, throttles: self.throttles, quotas: self.quotas }
    }

    pub fn restore(settings: Settings, kept: &Kept) -> Self {
        let stage = match kept.stage {
            Stage::Ready => Live::Ready,
            // Who chose it is not kept.
            Stage::Waiting { until, kind: Kind::Short } => Live::Cooling { until, wait: Wait::Guess },
            Stage::Waiting { until, kind: Kind::Long } => Live::Cooling { until, wait: Wait::Long },
            Stage::Waiting { until, kind: Kind::Auth } => {
                Live::Disabled { recheck_at: until, since: Tick::ZERO }
            }
            Stage::Trickle { limit } => Live::Trickle { limit },
        };
        Self {
            stage,
            before: kept.before,
            throttles: kept.throttles,
            quotas: kept.quotas,
            ..Self::new(settings)
        }
    }

    /// Whether there is anything to remember.
    pub fn is_blank(&self) -> bool {
        let Self { stage, throttles, quotas, .. } = self;
        *stage == Live::Ready && (*throttles, *quotas) == (0, 0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::{Recheck, Signal};
    use super::*;
    use crate::algo::dice::Dice;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Hit(Signal),
        Wait(u64),
        Recheck(Recheck),
    }

    fn step() -> impl Strategy<Value = Step> {
        let wait = || prop::option::of(0..9_000_u64).prop_map(|secs| secs.map(Duration::from_secs));
        prop_oneof![
            3 => Just(Step::Hit(Signal::Ok)),
            3 => wait().prop_map(|retry_after| Step::Hit(Signal::Throttled { retry_after })),
            1 => wait().prop_map(|reset| Step::Hit(Signal::Quota { reset })),
            1 => Just(Step::Hit(Signal::Auth)),
            1 => Just(Step::Hit(Signal::Neutral)),
            4 => (0..4_000_u64).prop_map(Step::Wait),
            1 => prop_oneof![Just(Recheck::Accepted), Just(Recheck::Refused)].prop_map(Step::Recheck),
        ]
    }

    /// One step, and how the credential stands after it.
    fn run(cooldown: &mut Cooldown, step: Step, now: &mut Tick, dice: &mut Dice) -> super::super::Readiness {
        match step {
            Step::Hit(signal) => {
                if let Ok(lease) = cooldown.admit(*now) {
                    cooldown.settle(lease, signal, *now, dice);
                }
            }
            Step::Wait(secs) => *now = *now + Duration::from_secs(secs),
            Step::Recheck(recheck) => drop(cooldown.rechecked(recheck, *now, dice)),
        }
        cooldown.readiness(*now)
    }

    #[test]
    fn a_trickle_grows_to_what_was_in_flight_before_the_restart() {
        let mut lived = Cooldown::new(Settings::default());
        let leases: Vec<_> = (0..5).map(|_| lived.admit(Tick::ZERO).expect("ready")).collect();
        lived.settle(leases[0], Signal::Quota { reset: None }, Tick::ZERO, &mut Dice::seeded(1));
        let kept = Cooldown::restore(Settings::default(), &lived.keep());
        assert_eq!((kept.keep(), kept.keep().before), (lived.keep(), 5));
    }

    #[test]
    fn blank_is_who_has_nothing_held_against_him() {
        let new = || Cooldown::new(Settings::default());
        assert!(new().is_blank());
        for signal in [Signal::Throttled { retry_after: None }, Signal::Quota { reset: None }, Signal::Auth] {
            let (mut cooldown, mut now, mut dice) = (new(), Tick::ZERO, Dice::seeded(3));
            run(&mut cooldown, Step::Hit(signal), &mut now, &mut dice);
            assert!(!cooldown.is_blank(), "{signal:?}");
        }
    }

    proptest! {
        #[test]
        fn a_cooldown_that_was_kept_goes_on_as_if_nothing_had_been(
            past in prop::collection::vec(step(), 0..30), pause in 0..8_000_u64, future in prop::collection::vec(step(), 0..30),
        ) {
            let (mut lived, mut now, mut dice) = (Cooldown::new(Settings::default()), Tick::ZERO, Dice::seeded(3));
            for step in past {
                run(&mut lived, step, &mut now, &mut dice);
            }
            let mut kept = Cooldown::restore(Settings::default(), &lived.keep());
            prop_assert_eq!(kept.keep(), lived.keep());
            prop_assert_eq!(kept.is_blank(), lived.is_blank());
            now = now + Duration::from_secs(pause);
            let (mut other_now, mut other_dice) = (now, dice.clone());
            prop_assert_eq!(kept.readiness(now), lived.readiness(now));
            for step in future {
                let expected = run(&mut lived, step, &mut now, &mut dice);
                prop_assert_eq!(run(&mut kept, step, &mut other_now, &mut other_dice), expected);
            }
        }
    }
}
