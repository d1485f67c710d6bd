//! What an upstream says about its limits, from any provider's headers or body, in one form.

use std::time::Duration;

/// All durations count from the moment the response was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateHint {
    /// How long to wait, as the upstream asked (`retry-after-ms`, `retry-after`, `RetryInfo`, text).
    pub retry_after: Option<Duration>,
    pub requests: Option<Allowance>,
    /// Tokens of prompts, where they are counted apart.
    pub input: Option<Allowance>,
    /// Tokens of answers, where they are counted apart.
    pub output: Option<Allowance>,
    /// Tokens of both together.
    pub tokens: Option<Allowance>,
    /// The exhausted window is a day or longer, so that seconds of waiting are pointless.
    pub daily: bool,
}

/// What is left of one limit and when it is full again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub remaining: u64,
    /// What there is when it is full.
    pub limit: Option<u64>,
    pub reset_after: Option<Duration>,
}
