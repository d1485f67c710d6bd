//! The limits that an upstream itself has, as it says them: each as it was told, and as it was used since.
//!
//! Anthropic counts what goes in and what comes out apart, most others count both together. Each kind is held
//! against its own part of a request; whether that decides anything is the quota's affair.

use std::time::Duration;

use super::Told;
use crate::algo::tick::Tick;

/// A limit of whose window nothing is said is one of a minute.
const USUAL_WINDOW: Duration = Duration::from_mins(1);

/// One of each of the limits that providers have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerLimit<T> {
    pub requests: T,
    /// Tokens of prompts.
    pub input: T,
    /// Tokens of answers.
    pub output: T,
    /// Tokens of both together.
    pub tokens: T,
}

impl<T> PerLimit<T> {
    pub fn map<U>(self, change: impl Fn(T) -> U) -> PerLimit<U> {
        let Self { requests, input, output, tokens } = self;
        PerLimit {
            requests: change(requests),
            input: change(input),
            output: change(output),
            tokens: change(tokens),
        }
    }

    pub fn as_ref(&self) -> PerLimit<&T> {
        let Self { requests, input, output, tokens } = self;
        PerLimit { requests, input, output, tokens }
    }

    pub fn as_mut(&mut self) -> PerLimit<&mut T> {
        let Self { requests, input, output, tokens } = self;
        PerLimit { requests, input, output, tokens }
    }

    /// Each with its counterpart.
    pub fn zip<U>(self, others: PerLimit<U>) -> PerLimit<(T, U)> {
        PerLimit {
            requests: (self.requests, others.requests),
            input: (self.input, others.input),
            output: (self.output, others.output),
            tokens: (self.tokens, others.tokens),
        }
    }
}

impl<T> IntoIterator for PerLimit<T> {
    type Item = T;
    type IntoIter = std::array::IntoIter<T, 4>;

    fn into_iter(self) -> Self::IntoIter {
        let Self { requests, input, output, tokens } = self;
        [requests, input, output, tokens].into_iter()
    }
}

/// Tokens of one request, as estimated or as they were used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    pub input: u64,
    pub output: u64,
}

impl Tokens {
    pub const fn sum(self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// What one request takes of each limit.
    pub(super) const fn of_each(self) -> PerLimit<u64> {
        PerLimit { requests: 1, input: self.input, output: self.output, tokens: self.sum() }
    }
}

/// A limit of the upstream's, as it said and as it was used since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub told: Told,
    pub at: Tick,
    pub spent: u64,
}

impl Limit {
    /// What is left; `None` when what was said has had its time.
    pub fn left(&self, now: Tick) -> Option<u64> {
        let reset = self.told.reset_after.unwrap_or(USUAL_WINDOW);
        let passed = now.since(self.at);
        if passed >= reset {
            return None;
        }
        let missing = self.told.limit.map_or(0, |limit| limit.saturating_sub(self.told.remaining));
        // `passed < reset`, so `reset` is not zero.
        let back = missing as f64 * passed.as_secs_f64() / reset.as_secs_f64();
        Some(self.told.remaining.saturating_add(back as u64).saturating_sub(self.spent))
    }

    pub fn share(&self, left: u64) -> f64 {
        self.told.limit.map_or(1.0, |limit| left as f64 / limit.max(1) as f64)
    }
}
