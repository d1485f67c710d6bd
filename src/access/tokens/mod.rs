//! Callers with signed tokens (JWT) of an issuer that the configuration trusts, in place of a key.
//!
//! | file | job |
//! |---|---|
//! | `jws` | what a token says, and whether its signature holds |
//! | `jwk` | an issuer's public keys, as it publishes them |
//! | `claims` | whether a token is meant for here and now, and whose place in the tree it names |
//! | `published` | what is known of issuers' keys, over reloads |
//! | `proven` | tokens that were checked a moment ago |
//!
//! No request waits for an issuer: who cannot be judged with the keys that are known is refused with a word of when to
//! come again, and somebody else (`server::issuers`) asks meanwhile. A token ends when it says so; nobody is asked
//! whether it was revoked.

mod claims;
mod jwk;
mod jws;
mod proven;
mod published;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{self, SHA256};

pub use jwk::{KeySet, Unreadable};
pub use published::{Published, Publishers};

use super::digests::Digest;
use super::found::Found;
use super::ring::{Counts, Key};
use crate::config::{Issuer, Lineage};
use crate::telemetry::{Counter, Metrics, catalogue};
use claims::Tree;
use proven::Proven;

/// Longest token that is looked at.
const LONGEST: usize = 16 * 1024;
/// How long a token may be believed without looking at its signature again.
const BELIEVED: Duration = Duration::from_hours(1);

/// Why a token of a known issuer is no way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Its signature holds for none of the issuer's keys, or is of a kind that is not taken.
    Unproven,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    Early,
    /// It is meant for somebody else.
    Elsewhere,
    /// It does not say who the caller is, or until when.
    Nameless,
    /// Its claims name nobody of the tree.
    Unplaced,
    /// The configuration refuses this caller.
    Barred,
    /// The issuer's keys, or the one that it was signed with, are not known yet.
    Unknown,
}

impl Unfit {
    pub const ALL: [Self; 8] = [
        Self::Unproven,
        Self::Expired,
        Self::Early,
        Self::Elsewhere,
        Self::Nameless,
        Self::Unplaced,
        Self::Barred,
        Self::Unknown,
    ];

    /// As metrics have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unproven => "bad_signature",
            Self::Expired => "expired",
            Self::Early => "early",
            Self::Elsewhere => "other_audience",
            Self::Nameless => "nameless",
            Self::Unplaced => "unplaced",
            Self::Barred => "barred",
            Self::Unknown => "keys_unknown",
        }
    }
}

/// A token that is no way in, and whose it says to be.
#[derive(Clone, Debug)]
pub struct Rejected {
    pub issuer: Arc<Issuer>,
    pub why: Unfit,
    counter: Counter,
}

impl Rejected {
    pub(super) fn count(&self) {
        self.counter.increment(1);
    }
}

/// Everybody whose tokens are taken; made anew by every reload.
#[derive(Default)]
pub(super) struct Issuers {
    trusted: Box<[Trusted]>,
    tree: Tree,
    proven: Proven,
}

struct Trusted {
    issuer: Arc<Issuer>,
    published: Arc<Published>,
    /// What is counted of all its callers together: they are no names of the configuration.
    counts: Counts,
    rejected: [Counter; Unfit::ALL.len()],
}

impl Issuers {
    pub(super) fn new(
        issuers: &[Issuer],
        members: &[Lineage],
        publishers: &Publishers,
        metrics: &Metrics,
    ) -> Self {
        let trusted = issuers.iter().map(|issuer| {
            let label = format!("{}:*", issuer.name);
            for result in ["ok", "failed"] {
                metrics.counter(&catalogue::ISSUER_FETCHES, &[&issuer.name, result]).increment(0);
            }
            Trusted {
                published: publishers.of(issuer),
                counts: Counts::of_key(&label, metrics),
                rejected: Unfit::ALL.map(|why| metrics.counter(&catalogue::ACCESS, &[&label, why.name()])),
                issuer: Arc::new(issuer.clone()),
            }
        });
        Self { trusted: trusted.collect(), tree: Tree::new(members), proven: Proven::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.trusted.is_empty()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Issuer> {
        self.trusted.iter().map(|trusted| &*trusted.issuer)
    }

    /// Whether this says to be of one of them, true or not.
    pub(super) fn knows(&self, secret: &[u8]) -> bool {
        self.is_candidate(secret) && jws::read(secret).is_some_and(|token| self.of(token.iss()).is_some())
    }

    /// Who has this token; `None` where it is none of theirs. `now` since the Unix epoch.
    pub(super) fn judge(&self, secret: &[u8], now: Duration) -> Option<Result<Arc<Key>, Rejected>> {
        if !self.is_candidate(secret) {
            return None;
        }
        let digest = hash(secret);
        let generation = |place: usize| self.trusted.get(place).map(|trusted| trusted.published.generation());
        if let Some(key) = self.proven.find(&digest, now, generation) {
            return Some(Ok(key));
        }
        let token = jws::read(secret)?;
        let (place, trusted) = self.of(token.iss())?;
        let rejected = |why: Unfit| Rejected {
            issuer: Arc::clone(&trusted.issuer),
            why,
            counter: trusted.rejected[why as usize].clone(),
        };
        Some(self.check(trusted, &token, now).map_err(rejected).map(|(key, generation, until)| {
            let until = until.min(now.saturating_add(BELIEVED));
            self.proven.keep(digest, Arc::clone(&key), until, (place, generation), now);
            key
        }))
    }

    /// The caller, with which generation of keys that was found out, and until when it holds.
    fn check(
        &self,
        trusted: &Trusted,
        token: &jws::Token<'_>,
        now: Duration,
    ) -> Result<(Arc<Key>, u64, Duration), Unfit> {
        let issuer = &*trusted.issuer;
        let generation = trusted.published.generation();
        trusted.published.verify(token, &issuer.algorithms, now)?;
        let until = claims::until(&token.claims, issuer, now)?;
        let (lineage, urgency) = self.tree.place(&token.claims, issuer)?;
        let name = Arc::clone(&lineage.members().last().ok_or(Unfit::Unplaced)?.name);
        let key = Key {
            scope: Arc::clone(&name),
            name,
            lineage,
            urgency,
            secrets: Vec::new(),
            state: super::ring::State::Good,
            counts: trusted.counts.clone(),
            found: Found::default(),
        };
        Ok((Arc::new(key), generation, until))
    }

    fn of(&self, iss: Option<&str>) -> Option<(usize, &Trusted)> {
        let iss = iss?;
        self.trusted.iter().enumerate().find(|(_, trusted)| *trusted.issuer.iss == *iss)
    }

    /// Whether it is worth a look: `eyJ` is how the Base64 of a JSON object begins.
    fn is_candidate(&self, secret: &[u8]) -> bool {
        !self.trusted.is_empty() && secret.starts_with(b"eyJ") && secret.len() <= LONGEST
    }
}

fn hash(secret: &[u8]) -> Digest {
    let mut out = Digest::default();
    for (to, from) in out.iter_mut().zip(digest::digest(&SHA256, secret).as_ref()) {
        *to = *from;
    }
    out
}
