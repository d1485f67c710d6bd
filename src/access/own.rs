//! Keys to providers that callers bring along, to pay with instead of the gateway's.
//!
//! Nothing of one is kept: it goes into the request that it came with, and out of memory with it. What its bearer leaves
//! behind (kept answers, what is remembered of responses) is told from others' by a hash that means nothing to the
//! next process.

use std::fmt::Write as _;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use super::caller::Caller;
use crate::vocab::Secret;

/// A key of a caller's own.
#[derive(Debug)]
pub struct OwnKey {
    pub secret: Secret,
    /// Whose it is, as `Upstream::taker` has it.
    pub taker: Arc<str>,
}

/// Tells one caller's own key from another's.
pub struct OwnKeys(hmac::Key);

impl Default for OwnKeys {
    fn default() -> Self {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).expect("a system without randomness had no hash maps either");
        Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
    }
}

impl OwnKeys {
    /// Whose what `caller` leaves behind with this key is.
    pub fn scope(&self, caller: &Caller, secret: &Secret) -> Arc<str> {
        let tag = hmac::sign(&self.0, secret.expose().as_bytes());
        // No name of a key, and nothing behind it, has two blanks in a row.
        let mut scope = format!("{}  ", caller.scope().unwrap_or_default());
        for byte in tag.as_ref().iter().take(16) {
            let _ = write!(scope, "{byte:02x}");
        }
        scope.into()
    }
}
