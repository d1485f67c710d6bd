//! OpenAI's responses.

pub mod error;
pub mod usage;
pub mod watch;
