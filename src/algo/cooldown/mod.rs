//! Cooldowns of one credential: how long a key that was refused is left alone (RESILIENCE 4.5).
//!
//! ```text
//!   Ready ── throttled ─► Cooling(short) ─┐ until passed
//!     ▲ ──── quota ─────► Cooling(long) ──┴─► Trickle(1, 2, 4 … in flight) ── enough passed ─► Ready
//!     └ ──── auth ──────► Disabled ── accepted again, by a free request or an operator ─► Trickle
//! ```
//!
//! Apart from the breaker on purpose: a key without quota says nothing about the upstream's health, and
//! an overloaded upstream nothing about the key (D7). Three rules keep it honest:
//!
//! - a deadline is never brought nearer; only [`Cooldown::reset`] shortens a wait;
//! - what an upstream asks for is never undercut, but bounded: it can bench one key for an hour, not for
//!   a year, unless it is a quota that says when it ends;
//! - when the wait is over one request goes first. The crowd that waited for the same instant would
//!   only be throttled again.

mod kept;
mod settings;
mod shared;
#[cfg(test)]
mod tests;
mod words;

pub use self::kept::{Kept, Stage as KeptStage};
pub use self::settings::Settings;
use self::settings::Wait;
pub use self::shared::{Heard, News};
pub use self::words::{Change, Kind, Lease, Readiness, Recheck, Signal, State};
use super::dice::Dice;
use super::tick::Tick;

/// The cooldown of one credential, or of the quota group it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Cooldown {
    settings: Settings,
    stage: Stage,
    /// Begins anew with every change of stage: a lease of an older one was taken under other rules.
    epoch: u32,
    /// Leases of this epoch.
    in_flight: u32,
    /// How many requests were in flight when the trouble began: what a trickle grows back to.
    before: u32,
    /// Throttles in a row.
    throttles: u32,
    /// Exhausted quotas in a row.
    quotas: u32,
    /// Until when the other replicas know it to rest.
    known: Tick,
    /// Until when another replica's word has it rest; what is found out here has another end.
    heard: Tick,
    /// Replicas have told each other that it is refused, and want to hear when it is not any more.
    refusal_known: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Ready,
    Cooling {
        until: Tick,
        wait: Wait,
    },
    Trickle {
        limit: u32,
    },
    /// Since then, or since the last question whether it still is.
    Disabled {
        recheck_at: Tick,
        since: Tick,
    },
}

impl Cooldown {
    pub const fn new(settings: Settings) -> Self {
        Self {
            settings,
            stage: Stage::Ready,
            epoch: 0,
            in_flight: 0,
            before: 1,
            throttles: 0,
            quotas: 0,
            known: Tick::ZERO,
            heard: Tick::ZERO,
            refusal_known: false,
        }
    }

    pub const fn state(&self) -> State {
        match self.stage {
            Stage::Ready => State::Ready,
            Stage::Trickle { .. } => State::Trickle,
            Stage::Cooling { wait, .. } => State::Cooling(wait.kind()),
            Stage::Disabled { .. } => State::Cooling(Kind::Auth),
        }
    }

    /// What asking for a lease would bring.
    pub fn readiness(&self, now: Tick) -> Readiness {
        match self.stage {
            Stage::Disabled { recheck_at, .. } => Readiness::Disabled { recheck_at },
            Stage::Cooling { until, wait } if now < until => Readiness::Cooling { until, kind: wait.kind() },
            Stage::Ready => Readiness::Ready,
            Stage::Trickle { limit } if self.in_flight >= limit => {
                Readiness::Cooling { until: now, kind: Kind::Short }
            }
            Stage::Trickle { .. } | Stage::Cooling { .. } => Readiness::Trickle,
        }
    }

    /// Leave to use the credential once, or what stands against it.
    pub fn admit(&mut self, now: Tick) -> Result<Lease, Readiness> {
        match self.readiness(now) {
            Readiness::Ready | Readiness::Trickle => {}
            refused @ (Readiness::Cooling { .. } | Readiness::Disabled { .. }) => return Err(refused),
        }
        match self.stage {
            Stage::Cooling { .. } => self.enter(Stage::Trickle { limit: 1 }),
            Stage::Ready | Stage::Trickle { .. } | Stage::Disabled { .. } => {}
        }
        self.in_flight = self.in_flight.saturating_add(1);
        Ok(Lease { epoch: self.epoch })
    }

    /// Ends a lease. The change, if any, is from what the credential was to what it is now.
    pub fn settle(&mut self, lease: Lease, signal: Signal, now: Tick, dice: &mut Dice) -> Option<Change> {
        let from = self.state();
        match self.weight(lease) {
            Weight::Full => self.weigh(signal, now, dice),
            Weight::Lengthens => self.lengthen(signal, now, dice),
            Weight::None => {}
        }
        if lease.epoch == self.epoch {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        let to = self.state();
        (from != to).then_some(Change { from, to })
    }

    /// Whether it is time to ask with a free request if a refused key is accepted again.
    pub fn wants_recheck(&self, now: Tick) -> bool {
        match self.stage {
            Stage::Disabled { recheck_at, .. } => now >= recheck_at,
            Stage::Ready | Stage::Cooling { .. } | Stage::Trickle { .. } => false,
        }
    }

    /// What that request said. Of no interest unless the key stands refused.
    pub fn rechecked(&mut self, recheck: Recheck, now: Tick, dice: &mut Dice) -> Option<Change> {
        let from = self.state();
        match (self.stage, recheck) {
            (Stage::Disabled { .. }, Recheck::Accepted) => self.enter(Stage::Trickle { limit: 1 }),
            (Stage::Disabled { .. }, Recheck::Refused) => {
                let wait = dice.jitter(self.settings.recheck, self.settings.jitter);
                self.stage = Stage::Disabled { recheck_at: now + wait, since: now };
            }
            (Stage::Ready | Stage::Cooling { .. } | Stage::Trickle { .. }, _) => {}
        }
        let to = self.state();
        (from != to).then_some(Change { from, to })
    }

    /// Forgets everything held against the credential.
    pub fn reset(&mut self) -> Option<Change> {
        let from = self.state();
        self.recover();
        (from != State::Ready).then_some(Change { from, to: State::Ready })
    }

    /// New numbers; running waits stay as they are.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// What a lease may say. One taken before the last change neither begins a wait nor escalates one:
    /// ten throttles of one burst are one. While the wait lasts, what it was told still holds.
    const fn weight(&self, lease: Lease) -> Weight {
        match self.stage {
            _ if lease.epoch == self.epoch => Weight::Full,
            Stage::Cooling { .. } => Weight::Lengthens,
            Stage::Ready | Stage::Trickle { .. } | Stage::Disabled { .. } => Weight::None,
        }
    }

    fn weigh(&mut self, signal: Signal, now: Tick, dice: &mut Dice) {
        match signal {
            Signal::Ok => self.pass(),
            Signal::Throttled { retry_after } => {
                self.throttles = self.throttles.saturating_add(1);
                let ours = self.settings.own_wait(self.throttles, dice);
                let (asked, theirs) = self.settings.asked_wait(retry_after.unwrap_or_default(), dice);
                let wait = if asked == Wait::Short && theirs < ours { Wait::Guess } else { asked };
                self.cool(wait, now + theirs.max(ours));
            }
            Signal::Quota { reset } => {
                self.quotas = self.quotas.saturating_add(1);
                let wait = self.settings.quota_wait(reset, self.quotas, dice);
                self.cool(Wait::Long, now + wait);
            }
            Signal::Auth => self.disable(now, dice),
            Signal::Neutral => {}
        }
    }

    fn lengthen(&mut self, signal: Signal, now: Tick, dice: &mut Dice) {
        match signal {
            Signal::Throttled { retry_after: Some(asked) } => {
                let (wait, theirs) = self.settings.asked_wait(asked, dice);
                self.cool(wait, now + theirs);
            }
            Signal::Quota { reset } => {
                self.quotas = self.quotas.max(1);
                let wait = self.settings.quota_wait(reset, self.quotas, dice);
                self.cool(Wait::Long, now + wait);
            }
            // A key that is refused besides will be found out when its wait is over.
            Signal::Auth | Signal::Ok | Signal::Neutral | Signal::Throttled { retry_after: None } => {}
        }
    }

    fn pass(&mut self) {
        match self.stage {
            Stage::Trickle { limit } if limit >= self.before => self.recover(),
            Stage::Trickle { limit } => self.stage = Stage::Trickle { limit: limit.saturating_mul(2) },
            Stage::Ready => (self.throttles, self.quotas) = (0, 0),
            Stage::Cooling { .. } | Stage::Disabled { .. } => {}
        }
    }

    fn recover(&mut self) {
        (self.throttles, self.quotas, self.before) = (0, 0, 1);
        match self.stage {
            Stage::Ready => {}
            Stage::Cooling { .. } | Stage::Trickle { .. } | Stage::Disabled { .. } => {
                self.enter(Stage::Ready);
            }
        }
    }

    /// Begins a wait, or lengthens the one that runs. The later deadline also says of which kind it is.
    fn cool(&mut self, wait: Wait, until: Tick) {
        match self.stage {
            Stage::Cooling { until: old, .. } if until <= old => {}
            Stage::Cooling { .. } => self.stage = Stage::Cooling { until, wait },
            Stage::Ready | Stage::Trickle { .. } => {
                self.before = self.before.max(self.in_flight);
                self.enter(Stage::Cooling { until, wait });
            }
            // A key that is not accepted has no quota to wait for.
            Stage::Disabled { .. } => {}
        }
    }

    fn disable(&mut self, now: Tick, dice: &mut Dice) {
        match self.stage {
            Stage::Disabled { .. } | Stage::Cooling { .. } => {}
            Stage::Ready | Stage::Trickle { .. } => {
                self.before = self.before.max(self.in_flight);
                let wait = dice.jitter(self.settings.recheck, self.settings.jitter);
                self.enter(Stage::Disabled { recheck_at: now + wait, since: now });
            }
        }
    }

    fn enter(&mut self, stage: Stage) {
        self.in_flight = 0;
        self.epoch = self.epoch.wrapping_add(1);
        self.stage = stage;
    }
}

/// How much a lease has to say.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Weight {
    Full,
    Lengthens,
    None,
}
