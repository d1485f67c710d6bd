//! The keys, found by secret or by name.
//!
//! A secret is looked up by its SHA-256, ordered by the hash's beginning: what the search gives away by
//! the time it takes is of the hash, from which no secret follows. What is found is compared in constant time.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, SHA256};
use http::HeaderMap;
use metrics::Counter;

use super::presented::{self, Signing};
use super::standing::{Denied, Standing};
use crate::algo::sigv4::{Claim, Refused};
use crate::config::CallerKey;
use crate::telemetry::{Metrics, catalogue};
use crate::vocab::Secret;

/// A key that a caller may hold.
#[derive(Debug)]
pub struct Key {
    pub name: Arc<str>,
    /// The old one and the new one, while one replaces the other.
    pub(super) secrets: Vec<Secret>,
    pub(super) counts: Counts,
}

/// What is counted per key.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) allowed: Counter,
    bad_signature: Counter,
    stale: Counter,
}

impl Counts {
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

pub(super) struct Ring {
    /// In the order of their digests.
    entries: Box<[Entry]>,
    names: HashMap<Arc<str>, Arc<Key>>,
}

struct Entry {
    digest: [u8; digest::SHA256_OUTPUT_LEN],
    key: Arc<Key>,
}

impl Entry {
    fn beginning(&self) -> Option<&[u8; 8]> {
        self.digest.first_chunk()
    }
}

impl Ring {
    pub(super) fn new(keys: &[CallerKey], metrics: &Metrics) -> Self {
        let mut entries = Vec::new();
        let mut names = HashMap::new();
        for CallerKey { name, secrets, .. } in keys {
            let count = |result| metrics.counter(&catalogue::ACCESS, &[name, result]);
            let counts = Counts {
                allowed: count("allowed"),
                bad_signature: count("bad_signature"),
                stale: count("stale"),
            };
            let key = Arc::new(Key { name: Arc::clone(name), secrets: secrets.clone(), counts });
            for secret in secrets {
                let digest = hash(secret.expose().as_bytes());
                entries.push(Entry { digest, key: Arc::clone(&key) });
            }
            names.insert(Arc::clone(name), key);
        }
        entries.sort_unstable_by_key(|entry| entry.digest);
        Self { entries: entries.into(), names }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The key with this secret.
    pub(super) fn find(&self, secret: &[u8]) -> Option<&Arc<Key>> {
        if self.entries.is_empty() {
            return None;
        }
        let digest = hash(secret);
        let beginning = digest.first_chunk();
        let first = self.entries.partition_point(|entry| entry.beginning() < beginning);
        let alike = self.entries.iter().skip(first).take_while(|entry| entry.beginning() == beginning);
        let mut same = alike.filter(|entry| verify_slices_are_equal(&entry.digest, &digest).is_ok());
        same.next().map(|entry| &entry.key)
    }

    /// Everything that a request brings has to lead to one and the same key.
    pub(super) fn judge(
        &self,
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
        let signer = claim.iter().map(|claim| self.names.get(claim.access));
        let mut found = presented.secrets.iter().map(|secret| self.find(secret)).chain(signer);
        let Some(first) = found.next() else { return Err(Denied::Missing) };
        let name = |key: Option<&Arc<Key>>| key.map(|key| Arc::clone(&key.name));
        if found.any(|other| name(other) != name(first)) {
            return Err(Denied::Disagreeing);
        }
        let key = Arc::clone(first.ok_or(Denied::Unknown)?);
        Ok(if presented.signed { Standing::Signs(key) } else { Standing::Known(key) })
    }
}

fn hash(secret: &[u8]) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let mut out = [0; digest::SHA256_OUTPUT_LEN];
    for (to, from) in out.iter_mut().zip(digest::digest(&SHA256, secret).as_ref()) {
        *to = *from;
    }
    out
}
