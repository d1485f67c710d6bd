//! `usage` of a response: the chat dialect's under newer names; cached and reasoning tokens are inside.

pub use crate::dialect::openai::usage::read;
