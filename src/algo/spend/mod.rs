//! Money that somebody may spend in a day, a week, a month or at all.
//!
//! | file | job |
//! |---|---|
//! | `calendar` | which day, week or month a moment is in, in UTC |
//! | `purse` | what was spent and is reserved in one of them, held against a limit |
//!
//! Plain values, in nano-USD: whose the money is, and that several are asked at once, is `access`' affair. Retries
//! have a budget of another kind (`budget`).

mod calendar;
#[cfg(test)]
mod laws;
mod purse;

pub use calendar::{Per, Span, day};
pub use purse::{Entry, Grant, Purse};

/// The largest amount, in nano-USD, that replicas can spend together: Redis counts in numbers that are exact below
/// 2^53, and sums of two have to be. 4.5 million dollars.
pub const LARGEST_SHARED: u64 = 1 << 52;
