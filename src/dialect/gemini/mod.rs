//! Google's generateContent.
//!
//! | file | what |
//! |---|---|
//! | `request` | requests: read from callers, written to upstreams |
//! | `reply`, `stream` | answers: in one piece, and in chunks |
//! | `embed`, `media` | vectors, pictures and speech |
//! | `part` | the parts of contents, which requests and answers share |
//! | `names` | members by either spelling (`fileUri`, `file_uri`), and both kinds of base64 |
//! | `named` | the model in bodies whose path names it as well |
//! | `schema` | Google's own schemas as JSON Schema |
//! | `stop`, `logprobs`, `signature` | Google's words for what others say differently |
//! | `watch`, `usage`, `error` | frames, token counts and our errors, for traffic that is not translated, too |

pub mod embed;
pub mod error;
mod logprobs;
pub mod media;
pub mod named;
mod names;
mod part;
pub mod reply;
pub mod request;
mod schema;
mod signature;
mod stop;
pub mod stream;
#[cfg(test)]
mod tests;
pub mod usage;
pub mod watch;

pub use part::opens;
