//! What is kept of answers between requests.
//!
//! | file | holds |
//! |---|---|
//! | `conversation` | what a translated response is remembered as |
//! | `memory` | the responses that callers may refer to: bounded, and each caller's his own |
//!
//! In memory only: a restart forgets all of it, and no other instance knows it. What passes in the
//! caller's own dialect is at its vendor and not here.

mod conversation;
mod memory;
#[cfg(test)]
mod tests;

pub use conversation::{Conversation, Item};
pub use memory::{Held, Memory, Remembered, Scope};
