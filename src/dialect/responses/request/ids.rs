//! Ids as this wire takes them.

use std::collections::VecDeque;

use sha2::{Digest, Sha256};

use crate::dialect::hub::Text;

/// The longest id that is taken: of a call, of a user, of a prompt's cache.
const MAX_ID: usize = 64;

/// The ids of calls as this wire takes them: made up where there is none, shortened where they are too
/// long, and always the same for a call and its result.
pub struct Ids<'t> {
    nonce: &'t str,
    made: usize,
    /// Calls without an id whose results are yet to come, in their order.
    unanswered: VecDeque<usize>,
}

impl<'t> Ids<'t> {
    pub fn new(nonce: &'t str) -> Self {
        Self { nonce, made: 0, unanswered: VecDeque::new() }
    }

    pub fn of_call<'i>(&mut self, id: &'i str) -> Text<'i> {
        if id.is_empty() {
            self.unanswered.push_back(self.made);
            self.made += 1;
            return self.made_up(self.made - 1);
        }
        shortened("call_", id)
    }

    pub fn of_outcome<'i>(&mut self, id: &'i str) -> Text<'i> {
        if !id.is_empty() {
            return shortened("call_", id);
        }
        let number = self.unanswered.pop_front().unwrap_or(self.made);
        self.made_up(number)
    }

    fn made_up(&self, number: usize) -> Text<'static> {
        Text::Owned(format!("call_{}_{number}", self.nonce))
    }
}

/// An id, or a digest of it where it is longer than this wire takes.
pub fn shortened<'i>(prefix: &str, id: &'i str) -> Text<'i> {
    if id.len() <= MAX_ID {
        return Text::Borrowed(id);
    }
    let digest = Sha256::digest(id);
    let name = u128::from_be_bytes(std::array::from_fn(|at| digest.get(at).copied().unwrap_or_default()));
    Text::Owned(format!("{prefix}{name:032x}"))
}
