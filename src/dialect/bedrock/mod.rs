//! Amazon Bedrock's converse, and how its invoke has Anthropic's answers.
//!
//! Source: the service model of `bedrock-runtime` in botocore 1.44 (`service-2.json`), which is what
//! every AWS SDK is made from.

mod block;
pub mod error;
pub mod flags;
pub mod invoke;
mod maker;
mod media;
pub mod reply;
pub mod request;
mod stop;
pub mod stream;
#[cfg(test)]
mod tests;
pub mod usage;
pub mod watch;

use crate::dialect::hub::Terms;

/// Does the model take sounds and videos?
pub fn hears(terms: &Terms<'_>) -> bool {
    !maker::Maker::of(terms).is_claude()
}

/// An id for a tool call that has none.
fn made_id(nonce: &str, count: usize) -> String {
    format!("call_{nonce}_{count}")
}
