//! Tokens that were found to be good a moment ago, so that a signature is not checked for every request.
//!
//! They are found by their hash, hold until they end or the issuer's keys change, and are bounded in number.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::access::digests::Digest;
use crate::access::ring::Key;

const SHELVES: usize = 16;
/// Tokens on a shelf; about 1 KB each with what is known of their callers.
const MOST: usize = 512;

#[derive(Default)]
pub struct Proven([Mutex<HashMap<Digest, Entry>>; SHELVES]);

struct Entry {
    key: Arc<Key>,
    /// Since the Unix epoch.
    until: Duration,
    /// Which issuer's keys, and which of its sets of them, it was checked with.
    by: (usize, u64),
}

impl Proven {
    /// Whose token has this hash, if it still holds `now` and its issuer's keys are the same `generation` as then.
    pub fn find(
        &self,
        digest: &Digest,
        now: Duration,
        generation: impl Fn(usize) -> Option<u64>,
    ) -> Option<Arc<Key>> {
        let mut shelf = self.shelf(digest).lock();
        let entry = shelf.get(digest)?;
        let (issuer, then) = entry.by;
        if now < entry.until && generation(issuer) == Some(then) {
            return Some(Arc::clone(&entry.key));
        }
        shelf.remove(digest);
        None
    }

    pub fn keep(&self, digest: Digest, key: Arc<Key>, until: Duration, by: (usize, u64), now: Duration) {
        let mut shelf = self.shelf(&digest).lock();
        if shelf.len() >= MOST {
            shelf.retain(|_, entry| now < entry.until);
        }
        if shelf.len() >= MOST {
            // In no order that anybody could know: whoever it is, is checked once more.
            let some = shelf.keys().next().copied();
            some.map(|some| shelf.remove(&some));
        }
        shelf.insert(digest, Entry { key, until, by });
    }

    fn shelf(&self, digest: &Digest) -> &Mutex<HashMap<Digest, Entry>> {
        &self.0[usize::from(digest[0]) % SHELVES]
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.iter().map(|shelf| shelf.lock().len()).sum()
    }
}
