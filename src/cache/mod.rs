//! What is kept of answers between requests.
//!
//! | file | holds |
//! |---|---|
//! | `conversation` | what a translated response is remembered as |
//! | `memory` | the responses that callers may refer to: bounded, and each caller's his own |
//! | `likeness` | what two requests share that are the same |
//! | `replies` | whole answers, to be said again to the same request: bounded, and for a time |
//!
//! In memory only: a restart forgets all of it, and no other instance knows it. Responses that passed in the
//! caller's own dialect are at their vendor and not in `memory`.

mod conversation;
mod likeness;
mod memory;
mod replies;
#[cfg(test)]
mod tests;

pub use conversation::{Conversation, Item};
pub use likeness::{Likeness, Likening};
pub use memory::{Held, Memory, Remembered, Scope};
pub use replies::{Kept, KeptNow, Replies, Stored};
