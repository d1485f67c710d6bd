//! OpenAI's chat completions and their family, as two dozen vendors speak them.

pub mod error;
pub mod reply;
pub mod request;
pub mod stream;
pub mod usage;
pub mod watch;
