//! One failure is a hint (E10): a channel that has just failed is picked last for a moment.
//!
//! A breaker needs evidence, and until there is enough every caller pays for some of it. So after a fault
//! a channel is chosen only where no other will do, for 1 s, then 2, 4 and 5 s while it keeps failing;
//! then one request tries it. It says nothing about eligibility and never touches the breaker.

use std::time::Duration;

use super::tick::Tick;

/// How long to stay away after the first, second, third and every further fault. The last step is what
/// a heal can go unnoticed for.
const STEPS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(5)];

/// A try that says nothing for this long does not keep the next one from trying.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);

/// Where nobody who may has tried for this long, everybody may: a hint is not for ever. [`Shun::claim`] still
/// lets one in at a time.
const STALE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shun {
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Stage {
    #[default]
    Clear,
    /// Picked last until then; `fault` is when the fault was that began it, `step` how long it is.
    Away { fault: Tick, until: Tick, step: usize },
    /// One request is trying it, and has until then to say something.
    Trying { fault: Tick, until: Tick, step: usize },
}

/// How a channel should be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Clear,
    /// After all others.
    Last,
    /// By the next request that can go elsewhere should it fail, if it [claims](Shun::claim) the try.
    TryOne,
}

impl Shun {
    pub const fn new() -> Self {
        Self { stage: Stage::Clear }
    }

    pub fn standing(&self, now: Tick) -> Standing {
        match self.stage {
            Stage::Clear => Standing::Clear,
            Stage::Away { until, .. } | Stage::Trying { until, .. } if now >= until + STALE => {
                Standing::Clear
            }
            Stage::Away { until, .. } | Stage::Trying { until, .. } if now >= until => Standing::TryOne,
            Stage::Away { .. } | Stage::Trying { .. } => Standing::Last,
        }
    }

    /// Takes the one try, if there is one to take.
    pub fn claim(&mut self, now: Tick) -> bool {
        match self.stage {
            Stage::Away { fault, until, step } | Stage::Trying { fault, until, step } if now >= until => {
                self.stage = Stage::Trying { fault, until: now + TRY_TIMEOUT, step };
                true
            }
            Stage::Clear | Stage::Away { .. } | Stage::Trying { .. } => false,
        }
    }

    /// The try ended without a word about the channel: the next request may have it.
    pub fn release(&mut self, now: Tick) {
        match self.stage {
            Stage::Trying { fault, step, .. } => self.stage = Stage::Away { fault, until: now, step },
            Stage::Clear | Stage::Away { .. } => {}
        }
    }

    /// An attempt that began at `began` failed. Attempts of one burst fail together and count as one:
    /// only what began after the last fault makes the next absence longer.
    pub fn fault(&mut self, began: Tick, now: Tick) {
        let step = match self.stage {
            Stage::Clear => 0,
            Stage::Away { fault, step, .. } | Stage::Trying { fault, step, .. } if began >= fault => {
                (step + 1).min(STEPS.len() - 1)
            }
            Stage::Away { .. } | Stage::Trying { .. } => return,
        };
        let until = now + STEPS.get(step).copied().unwrap_or_default();
        self.stage = Stage::Away { fault: now, until, step };
    }

    /// An attempt that began at `began` went well. What began before the last fault proves nothing.
    pub fn success(&mut self, began: Tick) {
        match self.stage {
            Stage::Away { fault, .. } | Stage::Trying { fault, .. } if began >= fault => {
                self.stage = Stage::Clear;
            }
            Stage::Clear | Stage::Away { .. } | Stage::Trying { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(ms: u64) -> Tick {
        Tick::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn it_stays_away_for_one_two_four_and_then_five_seconds() {
        let (mut shun, mut now) = (Shun::new(), 0);
        assert_eq!(shun.standing(tick(now)), Standing::Clear);
        shun.fault(tick(now), tick(now));
        for away in [1_000, 2_000, 4_000, 5_000, 5_000] {
            assert_eq!(shun.standing(tick(now + away - 1)), Standing::Last);
            now += away;
            assert_eq!(shun.standing(tick(now)), Standing::TryOne);
            assert!(shun.claim(tick(now)));
            shun.fault(tick(now), tick(now));
        }
        now += 5_000;
        assert!(shun.claim(tick(now)));
        shun.success(tick(now));
        assert_eq!(shun.standing(tick(now)), Standing::Clear);
        shun.fault(tick(now), tick(now));
        assert_eq!(shun.standing(tick(now + 1_000)), Standing::TryOne, "a success forgives");
    }

    #[test]
    fn one_request_tries_and_the_next_when_it_says_nothing() {
        let mut shun = Shun::new();
        shun.fault(tick(0), tick(0));
        assert!(!shun.claim(tick(999)));
        assert!(shun.claim(tick(1_000)) && !shun.claim(tick(1_000)));
        assert_eq!(shun.standing(tick(1_000)), Standing::Last);
        shun.release(tick(1_100));
        assert!(shun.claim(tick(1_100)), "the first gave it back");
        assert!(!shun.claim(tick(6_099)) && shun.claim(tick(6_100)), "the second never spoke");
    }

    #[test]
    fn a_hint_that_nobody_tries_grows_stale_and_then_anybody_is_the_one_who_tries() {
        let mut shun = Shun::new();
        shun.fault(tick(0), tick(0));
        assert_eq!(shun.standing(tick(10_999)), Standing::TryOne);
        assert_eq!(shun.standing(tick(11_000)), Standing::Clear);
        assert!(shun.claim(tick(11_000)) && !shun.claim(tick(11_000)));
        assert_eq!(shun.standing(tick(11_000)), Standing::Last, "one at a time");
        shun.fault(tick(11_000), tick(11_100));
        assert_eq!(shun.standing(tick(13_099)), Standing::Last, "the hint was not forgotten");
    }

    #[test]
    fn what_began_before_the_fault_neither_adds_nor_clears() {
        let mut shun = Shun::new();
        for _ in 0..10 {
            shun.fault(tick(0), tick(500));
        }
        shun.success(tick(499));
        assert_eq!(shun.standing(tick(1_499)), Standing::Last);
        assert_eq!(shun.standing(tick(1_500)), Standing::TryOne);
        shun.success(tick(500));
        assert_eq!(shun.standing(tick(600)), Standing::Clear);
    }
}
