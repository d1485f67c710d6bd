//! Ollama's own API (docs.ollama.com/api/chat). Nobody calls us in it; upstreams speak it.
//!
//! | file | job |
//! |---|---|
//! | [`request`] | how an upstream is asked |
//! | [`reply`] | answers in one piece |
//! | [`stream`] | streamed answers, line by line |
//! | [`embed`] | vectors |
//! | [`watch`], [`usage`] | what a line means, what it cost |

pub mod embed;
pub mod reply;
pub mod request;
pub mod stream;
#[cfg(test)]
mod tests;
pub mod usage;
pub mod watch;
