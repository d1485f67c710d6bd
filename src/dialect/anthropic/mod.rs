//! Anthropic's messages.
//!
//! Beside the files that every dialect has: `block` reads what messages are made of, in requests and in
//! answers; `stop` names the reasons for an end; `flagged` leaves out what belongs to betas; `stand_in` is what stands
//! for things that the dialect cannot say.

mod block;
pub mod error;
pub mod flagged;
pub mod reply;
pub mod request;
pub(in crate::dialect) mod stand_in;
mod stop;
pub mod stream;
#[cfg(test)]
mod tests;
pub mod usage;
pub mod watch;
