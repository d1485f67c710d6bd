//! Keys to providers that callers bring along, to pay with instead of the gateway's.
//!
//! Nothing of one is kept: it goes into the request that it came with, and out of memory with it. What its bearer
//! leaves behind (kept answers, what is remembered of responses) is told from others' by a hash that means nothing to
//! the next process.

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
        // No other scope begins with a blank, and the tag is always as long: whatever is in a caller's name, such as
        // what an issuer has put there, no two pairs of caller and key come to the same.
        let mut scope = String::from(" ");
        for byte in tag.as_ref().iter().take(16) {
            let _ = write!(scope, "{byte:02x}");
        }
        scope.push_str(caller.scope().unwrap_or_default());
        scope.into()
    }
}
