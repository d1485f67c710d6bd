//! Who calls: which of the configured keys a request proves to hold, and whether that is enough for it.
//!
//! | file | job |
//! |---|---|
//! | [`budgets`] | what callers may spend, and have spent |
//! | `caller` | who it turned out to be |
//! | `desk` | managed keys made, changed, rotated |
//! | `found` | where what a key has used and spent is kept |
//! | `guesses` | who tries keys that are none |
//! | [`limits`] | what callers may use, and have used |
//! | `managed` | what is known of the keys in the store |
//! | `own` | keys to providers that callers bring along |
//! | `presented` | what a request brings along that could be a key, and taking ours out of it |
//! | `ring`, `digests` | the keys of the file: found by secret or by name |
//! | [`tokens`] | callers with signed tokens of an issuer |
//! | `shown` | what a caller showed who stays, to look at it again |
//! | `standing` | what the head proves, and what the body has to prove yet |
//!
//! Nothing is refused in words here, which is the proxy's job: a caller is a key with its place in the tree, or nobody.
//! Secrets are hashed before they are looked up and compared in constant time; only whoever checks a signature needs
//! one in clear.

pub mod budgets;
mod caller;
mod desk;
mod digests;
mod found;
mod guesses;
pub mod limits;
mod managed;
mod own;
mod presented;
mod ring;
mod shown;
mod standing;
#[cfg(test)]
mod tests;
pub mod tokens;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, request};
use parking_lot::Mutex;

pub use caller::Caller;
pub use desk::{Desk, Maker, OVERLAP, Refused};
pub use guesses::{Guesses, MOST as MOST_GUESSES};
pub use managed::Managed;
pub use own::{OwnKey, OwnKeys};
pub use presented::Signing;
pub use ring::Key;
pub use shown::Shown;
pub use standing::{Denied, Received, Standing};

use crate::algo::limit::Allowance;
use crate::config::{self, Blueprint, Issuer, Lineage, Matcher};
use crate::telemetry::{Counter, Metrics, catalogue};
use managed::Shelf;
use ring::{Ring, State};
use tokens::{Issuers, Publishers};

/// What decides who may call; immutable, made anew by every reload.
pub struct Access {
    ring: Ring,
    /// Whom the store's keys may belong to.
    members: Vec<Lineage>,
    /// What those of them may use that say nothing of it.
    key_limits: Allowance,
    managed: Option<Arc<Managed>>,
    shelf: ArcSwap<Shelf>,
    issuers: Issuers,
    /// Held by whoever makes another shelf, so that an older one never comes after a newer.
    stocking: Mutex<()>,
    /// There are no keys, and nothing needs one.
    idle: bool,
    whole: config::Access,
    models: Demand,
    refused: Refusals,
}

/// Whether a request that names a model needs a key, as far as that is known before its model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    Never,
    Always,
    /// On the route that its model leads to.
    ByRoute,
}

/// Counters of those who are nobody we know.
struct Refusals {
    missing: Counter,
    unknown: Counter,
    disagreeing: Counter,
    bad_signature: Counter,
}

impl Access {
    pub fn compile(blueprint: &Blueprint, metrics: &Metrics) -> Self {
        let count = |result| metrics.counter(&catalogue::ACCESS, &["", result]);
        let routes = || blueprint.routes.iter();
        let needed = blueprint.access == config::Access::Keys
            || routes().any(|route| route.access == config::Access::Keys);
        let models = routes().filter(|route| matches!(route.matcher, Matcher::Model { .. }));
        let mut wanted = models.map(|route| route.access).chain([blueprint.access]);
        let first = wanted.next().unwrap_or_default();
        Self {
            ring: Ring::new(&blueprint.keys, metrics),
            members: blueprint.members.clone(),
            key_limits: blueprint.key_limits,
            managed: None,
            shelf: ArcSwap::from_pointee(Shelf::empty()),
            issuers: Issuers::default(),
            stocking: Mutex::new(()),
            idle: blueprint.keys.is_empty() && !needed,
            whole: blueprint.access,
            models: match (first, wanted.all(|other| other == first)) {
                (_, false) => Demand::ByRoute,
                (config::Access::Open, true) => Demand::Never,
                (config::Access::Keys, true) => Demand::Always,
            },
            refused: Refusals {
                missing: count("missing"),
                unknown: count("unknown_key"),
                disagreeing: count("disagreeing"),
                bad_signature: count("bad_signature"),
            },
        }
    }

    /// The same, with the store's keys as far as they are known.
    #[must_use]
    pub fn with(mut self, managed: Option<&Arc<Managed>>, metrics: &Metrics) -> Self {
        self.managed = managed.cloned();
        self.idle &= managed.is_none();
        self.stock(metrics);
        self
    }

    /// The same, with tokens of these issuers taken in place of keys.
    #[must_use]
    pub fn trusting(mut self, issuers: &[Issuer], publishers: &Publishers, metrics: &Metrics) -> Self {
        self.issuers = Issuers::new(issuers, &self.members, publishers, metrics);
        self.idle &= self.issuers.is_empty();
        self
    }

    /// Puts what is known of the store's keys now in the place of what was known, where that is something else; says
    /// whether it was.
    pub fn stock(&self, metrics: &Metrics) -> bool {
        let Some(managed) = &self.managed else { return false };
        let _turn = self.stocking.lock();
        let before = self.shelf.load_full();
        let is_news = managed.generation() != before.generation;
        if is_news {
            let taken = |name: &str| self.ring.named(name).is_some();
            let shelf = managed.shelf(&before, (&self.members, self.key_limits), taken, metrics);
            self.shelf.store(Arc::new(shelf));
        }
        is_news
    }

    /// Whom keys may belong to.
    pub fn members(&self) -> &[Lineage] {
        &self.members
    }

    /// The keys of the file.
    pub fn written(&self) -> Vec<Arc<Key>> {
        let mut keys: Vec<_> = self.ring.keys().cloned().collect();
        keys.sort_by(|one, other| one.name.cmp(&other.name));
        keys
    }

    /// Everybody of the tree, and every key with all above it: those of the file, and the store's as far as they are
    /// known.
    pub fn lineages(&self) -> Vec<Lineage> {
        let shelf = self.shelf.load();
        let keys = self.ring.keys().chain(shelf.keys()).map(|key| key.lineage.clone());
        keys.chain(self.members.iter().cloned()).collect()
    }

    /// Whether nobody has told yet which keys the store has: one that is not known may be good.
    pub fn awaits_keys(&self) -> bool {
        self.managed.as_ref().is_some_and(|managed| managed.heard().is_none())
    }

    /// How many keys of the store there are.
    pub fn managed_keys(&self) -> usize {
        self.shelf.load().len()
    }

    /// Everybody of the tree, and every key, by their names.
    pub fn holders(&self) -> HashSet<Arc<str>> {
        let lineages = self.lineages();
        lineages.iter().flat_map(Lineage::members).map(|member| Arc::clone(&member.name)).collect()
    }

    /// Whose tokens are taken.
    pub fn issuers(&self) -> impl Iterator<Item = &Issuer> {
        self.issuers.all()
    }

    /// Who has this secret.
    fn find(&self, secret: &[u8], now: Duration) -> Result<Arc<Key>, Denied> {
        if let Some(judged) = self.issuers.judge(secret, now) {
            return judged.map_err(Denied::Token);
        }
        let key = self.ring.find(secret).or_else(|| {
            let managed =
                self.managed.as_ref().filter(|_| secret.starts_with(managed::BEGINNING.as_bytes()))?;
            self.shelf.load().find(&managed.hash(secret), now).cloned()
        });
        key.ok_or(Denied::Unknown)
    }

    /// Whether this is, or was, a secret of ours.
    fn knows(&self, secret: &[u8]) -> bool {
        let is_managed = || {
            let begins = secret.starts_with(managed::BEGINNING.as_bytes());
            let managed = self.managed.as_ref().filter(|_| begins);
            managed.is_some_and(|managed| self.shelf.load().knows(&managed.hash(secret)))
        };
        self.ring.find(secret).is_some() || is_managed() || self.issuers.knows(secret)
    }

    /// Whether callers are told apart at all, even if some route takes those whom nobody knows.
    pub fn tells_apart(&self) -> bool {
        !self.ring.is_empty() || self.managed.is_some() || !self.issuers.is_empty()
    }

    /// What holds where no route says otherwise.
    pub const fn whole(&self) -> config::Access {
        self.whole
    }

    /// What holds of requests that name a model, before it is known.
    pub const fn models(&self) -> Demand {
        self.models
    }

    /// What a request's head says about its caller; `now` since the Unix epoch.
    ///
    /// # Errors
    /// Why that is nobody we know.
    pub fn judge(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        signing: Signing,
        now: Duration,
    ) -> Result<Standing, Denied> {
        if self.idle {
            return Err(Denied::Missing);
        }
        let is_good = |key: &Key| key.state == State::Good && key.lineage.expired(now).is_none();
        self.ring.judge(|secret| self.find(secret, now), is_good, headers, query, signing)
    }

    /// Who the caller is, and whether he may go on; counts what is decided.
    ///
    /// # Errors
    /// A key is needed, and none was proven.
    pub fn decide(&self, proof: Result<Arc<Key>, Denied>, needed: config::Access) -> Result<Caller, Denied> {
        match (proof, needed) {
            (Ok(key), _) => {
                key.counts.allowed.increment(1);
                Ok(Caller::from(key))
            }
            (Err(_), config::Access::Open) => Ok(Caller::default()),
            (Err(denied), config::Access::Keys) => {
                self.count(&denied);
                Err(denied)
            }
        }
    }

    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<Arc<Key>> {
        self.ring.named(name).cloned().or_else(|| self.shelf.load().named(name).cloned())
    }

    /// Takes every key of ours out of a request, so that it can go to somebody who must not have it.
    pub fn strip(&self, head: &mut request::Parts) {
        if self.tells_apart() {
            presented::strip(head, |secret| self.knows(secret));
        }
    }

    fn count(&self, denied: &Denied) {
        match denied {
            Denied::Missing => &self.refused.missing,
            Denied::Unknown => &self.refused.unknown,
            Denied::Disagreeing => &self.refused.disagreeing,
            Denied::Signature { key: None, .. } => &self.refused.bad_signature,
            Denied::Signature { key: Some(key), why } => key.counts.of(*why),
            Denied::Token(rejected) => return rejected.count(),
            Denied::Over(key) => {
                let name = key.lineage.public_name();
                tracing::info!(target: "mainstay::access", key = %name, "a key that is over was sent");
                &key.counts.over
            }
        }
        .increment(1);
    }
}
