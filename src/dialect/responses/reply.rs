//! Answers in one piece. Sources: as for requests; WIRE §3.2, §3.3.

mod read;
mod write;

pub use read::read;
pub use write::write;

pub(super) use read::{Said, call_kind, cite, logprobs, parts, signature, stop, usage};
