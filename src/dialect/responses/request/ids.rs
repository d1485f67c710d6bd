//! Ids as this wire takes them.

use std::collections::VecDeque;

use crate::dialect::hub::Text;
use crate::dialect::openai::ids::shortened;

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
