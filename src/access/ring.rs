//! The keys of the file, found by secret or by name. (Those of the store are `managed`'s.)

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest::{self, SHA256};
use http::HeaderMap;

use super::digests::{Digest, Digests};
use super::found::Found;
use super::presented::{self, Signing};
use super::standing::{Denied, Standing};
use crate::algo::sigv4::{Claim, Refused};
use crate::config::{CallerKey, Lineage, Urgency};
use crate::telemetry::{Counter, Metrics, catalogue};
use crate::vocab::Secret;

/// A key that a caller may hold.
#[derive(Debug)]
pub struct Key {
    pub name: Arc<str>,
    /// Whose what is left behind with it is: its name, which the file gives to one key only; for a managed key also
    /// its id, since a name is free again when a key is gone.
    pub scope: Arc<str>,
    /// Itself, and all above it.
    pub lineage: Lineage,
    pub urgency: Urgency,
    /// The old one and the new one, while one replaces the other.
    pub(super) secrets: Vec<Secret>,
    pub(super) state: State,
    pub(super) counts: Counts,
    /// Where what its requests use and spend is counted.
    pub(super) found: Found,
}

/// Whether anybody can call with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Good,
    Disabled,
}

/// What is counted per key.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) allowed: Counter,
    pub(super) over: Counter,
    out_of_reach: Counter,
    bad_signature: Counter,
    stale: Counter,
}

impl Key {
    /// Counts a request for what it does not reach.
    pub fn out_of_reach(&self) {
        self.counts.out_of_reach.increment(1);
    }
}

impl Counts {
    pub(super) fn of_key(name: &str, metrics: &Metrics) -> Self {
        let count = |result| metrics.counter(&catalogue::ACCESS, &[name, result]);
        Self {
            allowed: count("allowed"),
            over: count("over"),
            out_of_reach: count("out_of_reach"),
            bad_signature: count("bad_signature"),
            stale: count("stale"),
        }
    }

    pub(super) fn of(&self, why: Refused) -> &Counter {
        match why {
            Refused::Stale => &self.stale,
            Refused::Unsigned
            | Refused::Malformed
            | Refused::Uncovered
            | Refused::OtherBody
            | Refused::Mismatch => &self.bad_signature,
        }
    }
}

/// A secret that came along, and whose it is.
type Tried<'p> = (&'p [u8], Result<Arc<Key>, Denied>);

pub(super) struct Ring {
    by_secret: Digests<Arc<Key>>,
    names: HashMap<Arc<str>, Arc<Key>>,
}

impl Ring {
    pub(super) fn new(keys: &[CallerKey], metrics: &Metrics) -> Self {
        let mut entries = Vec::new();
        let mut names = HashMap::new();
        for CallerKey { name, secrets, lineage, urgency } in keys {
            let key = Arc::new(Key {
                name: Arc::clone(name),
                scope: Arc::clone(name),
                lineage: lineage.clone(),
                urgency: *urgency,
                secrets: secrets.clone(),
                state: State::Good,
                counts: Counts::of_key(name, metrics),
                found: Found::default(),
            });
            for secret in secrets {
                entries.push((hash(secret.expose().as_bytes()), Arc::clone(&key)));
            }
            names.insert(Arc::clone(name), key);
        }
        Self { by_secret: Digests::new(entries), names }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_secret.is_empty()
    }

    pub(super) fn named(&self, name: &str) -> Option<&Arc<Key>> {
        self.names.get(name)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.names.values()
    }

    /// The key with this secret, in use or not.
    pub(super) fn find(&self, secret: &[u8]) -> Option<Arc<Key>> {
        if self.is_empty() {
            return None;
        }
        self.by_secret.find(&hash(secret)).cloned()
    }

    /// Everything that a request brings has to lead to one and the same key. `find` knows whose a secret is, `is_good`
    /// whether a key is in use. What is said of several that differ is the same whether one of them is a key or none,
    /// and who signs with a name that is nobody's is told so when a wrong signature would be.
    pub(super) fn judge(
        &self,
        find: impl Fn(&[u8]) -> Result<Arc<Key>, Denied>,
        is_good: impl Fn(&Key) -> bool,
        headers: &HeaderMap,
        query: Option<&str>,
        signing: Signing,
    ) -> Result<Standing, Denied> {
        let presented = presented::read(headers, query, signing);
        let claim = if presented.signed {
            Some(Claim::read(headers).map_err(|why| Denied::Signature { why, key: None })?)
        } else {
            None
        };
        let checked = |key: Arc<Key>| if is_good(&key) { Ok(key) } else { Err(Denied::Over(key)) };
        let mut found: Option<Tried<'_>> = None;
        for secret in &presented.secrets {
            let own = || find(secret).and_then(checked);
            match &found {
                None => found = Some((secret, own())),
                Some((first, _)) if **first == **secret => {}
                Some((_, Ok(first))) if own().is_ok_and(|own| own.name == first.name) => {}
                Some(_) => return Err(Denied::Disagreeing),
            }
        }
        let known = found.map(|(_, known)| known);
        match (claim, known) {
            (None, None) => Err(Denied::Missing),
            (None, Some(known)) => known.map(Standing::Known),
            (Some(claim), Some(Ok(key))) if *claim.access == *key.name => Ok(Standing::Signs(key)),
            (Some(_), Some(_)) => Err(Denied::Disagreeing),
            (Some(claim), None) => {
                let signer = self.names.get(claim.access).filter(|key| is_good(key));
                Ok(signer.cloned().map_or(Standing::Stranger, Standing::Signs))
            }
        }
    }
}

fn hash(secret: &[u8]) -> Digest {
    let mut out = Digest::default();
    for (to, from) in out.iter_mut().zip(digest::digest(&SHA256, secret).as_ref()) {
        *to = *from;
    }
    out
}
