//! Ids of calls that have none.
//!
//! Cohere tells by its id which call a result answers; in some dialects the order tells. An id is made
//! from the request's nonce and the call's place, and a result without one answers the first call of
//! its tool that is still waiting.

use std::collections::VecDeque;

use crate::dialect::hub::{Call, Outcome, Text};

/// Ids for calls that have none, and for the results that answer them in their order.
pub struct Ids<'n> {
    nonce: &'n str,
    made: usize,
    /// Names and ids of calls that have no result so far.
    waiting: VecDeque<(String, String)>,
}

impl<'n> Ids<'n> {
    pub fn new(nonce: &'n str) -> Self {
        Self { nonce, made: 0, waiting: VecDeque::new() }
    }

    pub fn of_call<'c>(&mut self, call: &'c Call<'_>) -> Text<'c> {
        if !call.id.is_empty() {
            return Text::Borrowed(&call.id);
        }
        let id = self.make();
        self.waiting.push_back((call.name.clone().into_owned(), id.clone()));
        Text::Owned(id)
    }

    pub fn of_outcome<'o>(&mut self, outcome: &'o Outcome<'_>) -> Text<'o> {
        if !outcome.call_id.is_empty() {
            return Text::Borrowed(&outcome.call_id);
        }
        let named = self.waiting.iter().position(|(name, _)| outcome.name.as_deref() == Some(name));
        let found = self.waiting.remove(named.unwrap_or(0)).map(|(_, id)| id);
        Text::Owned(found.unwrap_or_else(|| self.make()))
    }

    fn make(&mut self) -> String {
        self.made += 1;
        format!("call_{}_{}", self.nonce, self.made)
    }
}
