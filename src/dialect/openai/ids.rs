//! Ids and names as OpenAI's wires take them.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// The longest that is taken: of a user, of a prompt's cache, and in responses of a call (OpenAI's API reference).
const MAX_ID: usize = 64;

/// An id, or a digest of it where it is longer than these wires take.
pub fn shortened<'i>(prefix: &str, id: &'i str) -> Cow<'i, str> {
    if id.len() <= MAX_ID {
        return Cow::Borrowed(id);
    }
    let digest = Sha256::digest(id);
    let name = u128::from_be_bytes(std::array::from_fn(|at| digest.get(at).copied().unwrap_or_default()));
    Cow::Owned(format!("{prefix}{name:032x}"))
}
