//! What a caller showed of himself, for whoever has to look at it again while he stays (a tunnel). It holds secrets: in
//! memory, for as long as that, and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::presented::{FIELDS, Signing};
use super::ring::Key;
use super::{Access, Standing};

/// The fields of a request that prove its key, and the key.
pub struct Shown {
    headers: HeaderMap,
    query: Option<Box<str>>,
    key: Arc<Key>,
}

impl Shown {
    /// Of a request that proved `key` without a signature.
    pub fn new(headers: &HeaderMap, query: Option<&str>, key: &Arc<Key>) -> Self {
        let mut kept = HeaderMap::new();
        for name in FIELDS.iter().chain([&AUTHORIZATION]) {
            for value in headers.get_all(name) {
                kept.append(name, value.clone());
            }
        }
        Self { headers: kept, query: query.map(Into::into), key: Arc::clone(key) }
    }

    pub fn key(&self) -> &Key {
        &self.key
    }
}

impl Access {
    /// Whether what was shown proves the same key still; `now` since the Unix epoch.
    pub fn still_takes(&self, shown: &Shown, now: Duration) -> bool {
        let judged = self.judge(&shown.headers, shown.query.as_deref(), Signing::Foreign, now);
        judged.and_then(Standing::unsigned).is_ok_and(|key| key.scope == shown.key.scope)
    }
}
