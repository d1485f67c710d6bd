//! The numbers of cooldowns, and how long a wait they make.

use std::time::Duration;

use super::words::Kind;
use crate::algo::dice::Dice;

/// The numbers of RESILIENCE 4.5.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The wait after the first throttle without a hint; doubles with each that follows.
    pub base: Duration,
    /// The longest wait we choose ourselves after a throttle.
    pub short_max: Duration,
    /// A throttle that asks for more than this is an exhausted quota in disguise (OpenAI's SDKs draw the
    /// same line and do not wait beyond it).
    pub long_after: Duration,
    /// The longest wait an upstream may ask for with a throttle.
    pub max: Duration,
    /// The waits after an exhausted quota of unknown end: first, second, every further one.
    pub long_steps: [Duration; 3],
    /// The longest wait for a quota that says when it ends: a day, and the hour that clocks may shift.
    pub quota_max: Duration,
    /// How long to leave a refused key before asking with a free request whether it works again.
    pub recheck: Duration,
    /// 0.1 is ±10 %.
    pub jitter: f64,
}

impl Default for Settings {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_hours(1);
        Self {
            base: Duration::from_secs(1),
            short_max: Duration::from_mins(1),
            long_after: Duration::from_mins(2),
            max: HOUR,
            long_steps: [Duration::from_mins(15), HOUR, Duration::from_hours(6)],
            quota_max: Duration::from_hours(25),
            recheck: Duration::from_mins(15),
            jitter: 0.1,
        }
    }
}

impl Settings {
    /// The wait we choose after so many throttles in a row.
    pub(super) fn own_wait(&self, throttles: u32, dice: &mut Dice) -> Duration {
        let factor = 2_u32.saturating_pow(throttles.saturating_sub(1));
        dice.jitter(self.base.saturating_mul(factor).min(self.short_max), self.jitter)
    }

    /// The wait an upstream asks for, bounded and never undercut.
    pub(super) fn asked_wait(&self, asked: Duration, dice: &mut Dice) -> (Wait, Duration) {
        let wait = if asked > self.long_after { Wait::Long } else { Wait::Short };
        (wait, dice.jitter_up(asked.min(self.max), self.jitter))
    }

    /// The wait after so many exhausted quotas in a row, the last of which ends after `reset`.
    pub(super) fn quota_wait(&self, reset: Option<Duration>, quotas: u32, dice: &mut Dice) -> Duration {
        let [first, second, further] = self.long_steps;
        match (reset, quotas) {
            (Some(reset), _) => dice.jitter_up(reset.min(self.quota_max), self.jitter),
            (None, 0 | 1) => dice.jitter(first, self.jitter),
            (None, 2) => dice.jitter(second, self.jitter),
            (None, 3..) => dice.jitter(further, self.jitter),
        }
    }
}

/// The kinds of a wait that ends by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wait {
    /// A short one that we chose, for want of a word from the upstream.
    Guess,
    Short,
    Long,
}

impl Wait {
    pub const fn kind(self) -> Kind {
        match self {
            Self::Guess | Self::Short => Kind::Short,
            Self::Long => Kind::Long,
        }
    }
}
