//! OpenAI's chat completions and their family, as two dozen vendors speak them.
//!
//! | file | holds |
//! |---|---|
//! | [`request`], [`reply`], [`stream`] | the dialect and the hub, both ways |
//! | `calls`, `thoughts`, `stops`, [`usage`] | what requests, answers and streams say alike |
//! | [`strict`] | which tools of other dialects may be strict here |
//! | [`ids`] | ids and names as they are taken |
//! | `nested` | members of inner objects that only this dialect knows |
//! | [`embed`], [`rerank`], [`media`] | vectors, rankings, pictures and speech |
//! | [`error`], [`watch`] | our errors in its shape; what the frames of a stream mean |

mod calls;
pub mod embed;
pub mod error;
pub mod ids;
pub mod media;
mod nested;
pub mod reply;
pub mod request;
pub mod rerank;
mod stops;
pub mod stream;
pub mod strict;
#[cfg(test)]
mod tests;
mod thoughts;
pub mod usage;
pub mod watch;
