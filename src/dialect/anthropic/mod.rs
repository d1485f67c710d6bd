//! Anthropic's messages.

pub mod error;
pub mod usage;
pub mod watch;
