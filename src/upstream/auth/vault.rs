//! Tokens, each kept until shortly before its end.
//!
//! Whoever finds a token old gets the next one; nobody else waits for that while the old one still
//! lives, and should it fail nobody notices. Without a living token all wait for the same one, and if
//! there is none to be had they share the reason.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::exchange::{Token, exchange};
use super::refused;
use crate::dialect::provider::grant::{Cloud, Grant};
use crate::state::clock::Clock;
use crate::upstream::call::{CallError, CallLimits};
use crate::upstream::now;
use crate::upstream::pool::Pool;
use crate::vocab::{Fault, Secret};

/// How long an authority may take from the request to its answer.
pub(super) const ANSWER: Duration = Duration::from_secs(5);
/// How long before its end a token is replaced; the machines of Google's cloud give out no new one any
/// earlier. Short-lived tokens are replaced after three quarters of their life.
const EARLY: Duration = Duration::from_mins(5);
/// A token this close to its end is not sent any more: it has to live until it is looked at.
const SLACK: Duration = Duration::from_secs(10);
/// How long a request waits for a new token that it could do without.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the old token serves before the next try after a failed one.
const PAUSE: Duration = Duration::from_secs(30);
/// Longest life that is believed.
const MAX_LIFE: Duration = Duration::from_hours(24);

/// The tokens of one pool's credentials.
pub(in crate::upstream) struct Vault {
    /// Few: an upstream's credentials, and those that a reload has just replaced.
    cells: Mutex<Vec<(Secret, Arc<Cell>)>>,
    clock: Clock,
}

/// One credential's token.
#[derive(Default)]
struct Cell {
    held: Mutex<Held>,
    /// Whose turn it is to get the next one.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Held {
    token: Option<Kept>,
    /// The last exchange, if it failed.
    failed: Option<(Instant, CallError)>,
}

struct Kept {
    token: Token,
    fresh_until: Instant,
    lives_until: Instant,
}

enum Look {
    Fresh(Token),
    /// Good, and to be replaced now.
    Aging(Token),
    Nothing,
}

impl Vault {
    pub(in crate::upstream) fn new() -> Self {
        Self { cells: Mutex::new(Vec::new()), clock: Clock::start() }
    }

    pub(super) fn unix_now(&self) -> Duration {
        self.clock.unix_now()
    }

    fn cell(&self, secret: &Secret) -> Arc<Cell> {
        let mut cells = self.cells.lock();
        if let Some((_, cell)) = cells.iter().find(|(known, _)| known == secret) {
            return Arc::clone(cell);
        }
        // Nobody at it and nothing alive: a credential that is gone, or as good as new.
        let now = now();
        cells.retain(|(_, cell)| Arc::strong_count(cell) > 1 || cell.lives(now));
        let cell = Arc::new(Cell::default());
        cells.push((secret.clone(), Arc::clone(&cell)));
        cell
    }

    fn forget(&self, secret: &Secret) {
        self.cells.lock().retain(|(known, _)| known != secret);
    }
}

impl Pool {
    pub(in crate::upstream) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Drops the token that was got for this credential, for an upstream that refused it.
    pub fn forget_token(&self, secret: &Secret) {
        self.vault.forget(secret);
    }

    /// A living token for a credential that has to be exchanged.
    pub(super) async fn token(
        &self,
        cloud: Cloud,
        secret: &Secret,
        limits: &CallLimits,
    ) -> Result<Token, CallError> {
        let arrived = now();
        let cell = self.vault.cell(secret);
        match cell.look(arrived) {
            Look::Fresh(token) => Ok(token),
            Look::Aging(token) => Ok(self.replace(&cell, cloud, secret, limits).await.unwrap_or(token)),
            Look::Nothing => {
                let limit = limits.connect.saturating_add(limits.tls).saturating_add(ANSWER);
                let late = || CallError::unsent(Fault::ConnectTimeout, format!("no token within {limit:?}"));
                let got = timeout(limit, self.first(&cell, cloud, secret, limits, arrived)).await;
                got.unwrap_or_else(|_| Err(late()))
            }
        }
    }

    /// The next token, if it is to be had soon and nobody else is at it.
    async fn replace(
        &self,
        cell: &Cell,
        cloud: Cloud,
        secret: &Secret,
        limits: &CallLimits,
    ) -> Option<Token> {
        let _turn = cell.turn.try_lock().ok()?;
        if cell.rests(now()) {
            return None;
        }
        let got = timeout(PATIENCE, self.get(cloud, secret, limits)).await;
        let late = |_| Err(CallError::unsent(Fault::ConnectTimeout, format!("no token within {PATIENCE:?}")));
        let got = got.unwrap_or_else(late);
        if let Err(error) = &got {
            tracing::warn!(upstream = %self.name(), error = %error.detail, "a token was not renewed; the old one still lives");
        }
        cell.keep(got).ok()
    }

    /// The first token, or the one that somebody else has got meanwhile.
    async fn first(
        &self,
        cell: &Cell,
        cloud: Cloud,
        secret: &Secret,
        limits: &CallLimits,
        arrived: Instant,
    ) -> Result<Token, CallError> {
        let _turn = cell.turn.lock().await;
        match cell.look(now()) {
            Look::Fresh(token) | Look::Aging(token) => return Ok(token),
            Look::Nothing => {}
        }
        if let Some(error) = cell.failed_after(arrived) {
            return Err(error);
        }
        let got = self.get(cloud, secret, limits).await;
        cell.keep(got)
    }

    async fn get(&self, cloud: Cloud, secret: &Secret, limits: &CallLimits) -> Result<Token, CallError> {
        let grant = Grant::read(secret.expose(), cloud)
            .map_err(|why| refused(format!("no token: the credential {why}")))?;
        exchange(self, &grant, limits).await
    }
}

impl Cell {
    fn look(&self, now: Instant) -> Look {
        match &self.held.lock().token {
            Some(kept) if now < kept.fresh_until => Look::Fresh(kept.token.clone()),
            Some(kept) if now < kept.lives_until => Look::Aging(kept.token.clone()),
            Some(_) | None => Look::Nothing,
        }
    }

    fn lives(&self, now: Instant) -> bool {
        self.held.lock().token.as_ref().is_some_and(|kept| now < kept.lives_until)
    }

    /// Whether the last exchange failed a moment ago.
    fn rests(&self, now: Instant) -> bool {
        self.held.lock().failed.as_ref().is_some_and(|(at, _)| now.saturating_duration_since(*at) < PAUSE)
    }

    /// Why the last exchange failed, if it ended no earlier than this.
    fn failed_after(&self, moment: Instant) -> Option<CallError> {
        let held = self.held.lock();
        held.failed.as_ref().filter(|(at, _)| *at >= moment).map(|(_, error)| error.clone())
    }

    fn keep(&self, got: Result<Token, CallError>) -> Result<Token, CallError> {
        let now = now();
        let mut held = self.held.lock();
        match &got {
            Ok(token) => {
                let life = token.life.min(MAX_LIFE);
                held.failed = None;
                held.token = Some(Kept {
                    token: token.clone(),
                    fresh_until: now + life.saturating_sub(EARLY.min(life / 4)),
                    lives_until: now + life.saturating_sub(SLACK),
                });
            }
            Err(error) => held.failed = Some((now, error.clone())),
        }
        got
    }
}
