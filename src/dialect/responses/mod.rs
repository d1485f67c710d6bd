//! OpenAI's responses.

pub mod begun;
mod carry;
pub mod conversation;
pub mod encrypted;
pub mod error;
mod item;
pub mod reply;
pub mod request;
mod search;
pub mod stored;
pub mod stored_at;
pub mod stream;
#[cfg(test)]
mod tests;
pub mod usage;
pub mod watch;
