//! What becomes of a request when nothing of its route is eligible, and what is kept of answers for it.

use std::sync::Arc;
use std::time::Duration;

/// One thing that is tried for a request that no channel can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Degradation {
    /// An answer to the same request that was kept, though it is no longer fresh.
    Stale,
    /// The route's `fallback`.
    Fallback,
    /// A wait for the soonest recovery.
    Wait,
    /// A configured text.
    Answer,
    /// An error that says when to come back.
    Fail,
}

impl Degradation {
    pub const ALL: [Self; 5] = [Self::Stale, Self::Fallback, Self::Wait, Self::Answer, Self::Fail];

    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Fallback => "fallback",
            Self::Wait => "wait",
            Self::Answer => "answer",
            Self::Fail => "fail",
        }
    }
}

/// `on_exhausted` and `exhausted` of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhenExhausted {
    /// In this order. Behind the last one the request fails.
    pub tries: Vec<Degradation>,
    /// Longest wait of one request, all told.
    pub wait: Duration,
    /// Most requests of the route that wait at the same moment.
    pub waiters: u32,
    /// What `answer` says.
    pub answer: Option<Arc<str>>,
}

/// What is kept of a route's answers, to be said again to the same request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    pub enabled: bool,
    /// How long one is as good as new.
    pub ttl: Duration,
    /// How long after that it may still stand in for an error.
    pub stale_if_error: Duration,
    /// Most bytes of one answer.
    pub max_entry: u64,
    pub scope: CacheScope,
}

/// To whom an answer may be said again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheScope {
    /// Callers with the same key.
    Key,
    /// Whoever may use the route.
    Route,
}

/// What is kept for callers who name their requests (`Idempotency-Key`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    pub enabled: bool,
    /// How long after its answer a key means that answer.
    pub ttl: Duration,
    /// Most bytes of all such answers.
    pub memory: u64,
}

impl Idempotency {
    /// One answer may take this part of the memory.
    const SHARE: u64 = 8;

    /// Most bytes of one answer.
    pub fn share(&self) -> u64 {
        self.memory / Self::SHARE
    }
}
