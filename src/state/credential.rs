//! One API key of an upstream, and the memory of what it may not do for now.
//!
//! Three memories, because three things run out apart: the key itself (refused), its account's
//! money or day quota (shared by a `quota_group`), and its rate on one model (kept by the model).

use std::sync::Arc;
use std::time::Duration;

use super::sync::Mutex;
use super::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use crate::algo::cooldown::{
    Cooldown, Heard, Kept, Kind, Lease, News, Readiness, Recheck, Settings, Signal, State,
};
use crate::algo::dice::Dice;
use crate::algo::tick::Tick;
use crate::telemetry::CredentialHandles;
use crate::vocab::Secret;

/// A cooldown that many threads share. While nothing cools, asking costs one atomic load.
#[derive(Debug)]
pub struct Cell {
    clear: AtomicBool,
    cooldown: Mutex<Cooldown>,
}

impl Cell {
    pub fn new(settings: Settings) -> Self {
        Self { clear: AtomicBool::new(true), cooldown: Mutex::new(Cooldown::new(settings)) }
    }

    /// As an earlier process left it.
    pub fn recalled(settings: Settings, kept: &Kept, now: Tick) -> Self {
        let cooldown = Cooldown::restore(settings, kept);
        let clear = cooldown.readiness(now) == Readiness::Ready;
        Self { clear: AtomicBool::new(clear), cooldown: Mutex::new(cooldown) }
    }

    /// `None` where there is nothing to remember.
    pub fn keep(&self) -> Option<Kept> {
        let cooldown = self.cooldown.lock();
        (!cooldown.is_blank()).then(|| cooldown.keep())
    }

    pub fn readiness(&self, now: Tick) -> Readiness {
        if self.clear.load(Acquire) { Readiness::Ready } else { self.cooldown.lock().readiness(now) }
    }

    fn admit(&self, now: Tick) -> Result<Lease, Readiness> {
        let mut cooldown = self.cooldown.lock();
        let lease = cooldown.admit(now);
        self.publish(&cooldown, now);
        lease
    }

    /// The kind of cooldown that this began, if it began one.
    fn settle(&self, lease: Lease, signal: Signal, now: Tick, dice: &mut Dice) -> Option<Kind> {
        let mut cooldown = self.cooldown.lock();
        let change = cooldown.settle(lease, signal, now, dice);
        self.publish(&cooldown, now);
        match change?.to {
            State::Cooling(kind) => Some(kind),
            State::Ready | State::Trickle => None,
        }
    }

    pub fn state(&self) -> State {
        self.cooldown.lock().state()
    }

    /// Whether it is time to ask, at no cost, if a refused key is accepted again.
    pub fn wants_recheck(&self, now: Tick) -> bool {
        !self.clear.load(Acquire) && self.cooldown.lock().wants_recheck(now)
    }

    pub fn rechecked(&self, recheck: Recheck, now: Tick, dice: &mut Dice) {
        let mut cooldown = self.cooldown.lock();
        cooldown.rechecked(recheck, now, dice);
        self.publish(&cooldown, now);
    }

    /// What other replicas do not know yet.
    pub fn news(&self, now: Tick) -> Option<News> {
        self.cooldown.lock().news(now)
    }

    /// They know it now.
    pub fn told(&self, news: News) {
        self.cooldown.lock().told(news);
    }

    /// Another replica says so.
    pub fn hear(&self, news: News, now: Tick, dice: &mut Dice) -> Heard {
        let mut cooldown = self.cooldown.lock();
        let heard = cooldown.hear(news, now, dice);
        self.publish(&cooldown, now);
        heard
    }

    /// Whether it rests because another replica has said that it must.
    pub fn rests_on_hearsay(&self, now: Tick) -> bool {
        !self.clear.load(Acquire) && self.cooldown.lock().rests_on_hearsay(now)
    }

    /// Forgets everything held against it.
    pub fn reset(&self, now: Tick) {
        let mut cooldown = self.cooldown.lock();
        cooldown.reset();
        self.publish(&cooldown, now);
    }

    pub fn reconfigure(&self, settings: &Settings) {
        self.cooldown.lock().reconfigure(settings.clone());
    }

    fn publish(&self, cooldown: &Cooldown, now: Tick) {
        self.clear.store(cooldown.readiness(now) == Readiness::Ready, Release);
    }
}

/// One key as a table holds it.
pub struct Credential {
    pub alias: String,
    pub secret: Secret,
    /// Identity of this key's rate memory at a model: the quota group, or else the fingerprint.
    pub rate_key: Arc<str>,
    /// The fingerprint as a number.
    pub identity: u64,
    /// The account, as far as it is known, as a number: its quota group, or else the key itself.
    pub account: u64,
    pub own: Arc<Cell>,
    pub quota: Arc<Cell>,
    pub handles: CredentialHandles,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("alias", &self.alias).finish_non_exhaustive()
    }
}

impl Credential {
    /// Whether its provider does not accept it.
    pub fn is_refused(&self) -> bool {
        self.own.state() == State::Cooling(Kind::Auth)
    }

    /// The worst of its three memories; `rate` is the one at the model that is asked for.
    pub fn readiness(&self, rate: Option<&Cell>, now: Tick) -> Readiness {
        let mut worst = Readiness::Ready;
        for cell in [Some(&*self.own), Some(&*self.quota), rate].into_iter().flatten() {
            let readiness = cell.readiness(now);
            if badness(&readiness) > badness(&worst) {
                worst = readiness;
            }
        }
        worst
    }

    /// Whether one of those memories is another replica's; `rate` is the one at the model that is asked for.
    pub fn rests_on_hearsay(&self, rate: Option<&Cell>, now: Tick) -> bool {
        let cells = [Some(&*self.own), Some(&*self.quota), rate];
        cells.into_iter().flatten().any(|cell| cell.rests_on_hearsay(now))
    }
}

/// For comparison only: later recovery is worse, and a key that is refused is worst.
fn badness(readiness: &Readiness) -> (u8, Tick) {
    match readiness {
        Readiness::Ready => (0, Tick::ZERO),
        Readiness::Trickle => (1, Tick::ZERO),
        Readiness::Cooling { until, .. } => (2, *until),
        Readiness::Disabled { recheck_at } => (3, *recheck_at),
    }
}

/// What an attempt holds of a credential. Settled once by the permit that owns it.
#[derive(Debug)]
pub struct Held {
    cells: [Option<(Arc<Cell>, Lease)>; 3],
}

const OWN: usize = 0;
const QUOTA: usize = 1;
const RATE: usize = 2;

impl Held {
    /// Enters all of the credential's memories, or none.
    pub fn admit(
        credential: &Credential,
        rate: Option<Arc<Cell>>,
        now: Tick,
        dice: &mut Dice,
    ) -> Result<Self, Readiness> {
        let shared = !Arc::ptr_eq(&credential.own, &credential.quota);
        let wanted = [Some(Arc::clone(&credential.own)), shared.then(|| Arc::clone(&credential.quota)), rate];
        let mut held = Self { cells: [None, None, None] };
        for (slot, cell) in wanted.into_iter().enumerate() {
            let Some(cell) = cell else { continue };
            match cell.admit(now) {
                Ok(lease) => held.cells[slot] = Some((cell, lease)),
                Err(readiness) => {
                    held.settle_all(Signal::Neutral, now, dice);
                    return Err(readiness);
                }
            }
        }
        Ok(held)
    }

    pub fn ok(self, now: Tick, dice: &mut Dice) {
        self.settle_all(Signal::Ok, now, dice);
    }

    pub fn neutral(self, now: Tick, dice: &mut Dice) {
        self.settle_all(Signal::Neutral, now, dice);
    }

    /// The rate on this model is used up. Without a memory for it yet, `rate` makes one.
    pub fn throttled(
        mut self,
        rate: impl FnOnce() -> Arc<Cell>,
        wait: Option<Duration>,
        now: Tick,
        dice: &mut Dice,
    ) -> Option<Kind> {
        let taken = self.cells[RATE].take();
        self.settle_all(Signal::Ok, now, dice);
        let (cell, lease) = if let Some(taken) = taken {
            taken
        } else {
            let cell = rate();
            // Refused only where another request has just been throttled: it says it all.
            let lease = cell.admit(now).ok()?;
            (cell, lease)
        };
        cell.settle(lease, Signal::Throttled { retry_after: wait }, now, dice)
    }

    /// Money or a day's quota of the whole account is used up.
    pub fn out_of_quota(mut self, reset: Option<Duration>, now: Tick, dice: &mut Dice) -> Option<Kind> {
        let slot = if self.cells[QUOTA].is_some() { QUOTA } else { OWN };
        let taken = self.cells[slot].take();
        self.settle_all(Signal::Ok, now, dice);
        let (cell, lease) = taken?;
        cell.settle(lease, Signal::Quota { reset }, now, dice)
    }

    /// The key itself was refused.
    pub fn refused(mut self, now: Tick, dice: &mut Dice) -> Option<Kind> {
        let taken = self.cells[OWN].take();
        self.settle_all(Signal::Neutral, now, dice);
        let (cell, lease) = taken?;
        cell.settle(lease, Signal::Auth, now, dice)
    }

    fn settle_all(self, signal: Signal, now: Tick, dice: &mut Dice) {
        for (cell, lease) in self.cells.into_iter().flatten() {
            cell.settle(lease, signal, now, dice);
        }
    }
}
