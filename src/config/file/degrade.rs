//! The sections about what happens when nothing is eligible, and about answers that are kept.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::layer::section;
use crate::config::units::{Size, Span};

section! {
    /// Answers that are kept for a while, to be said again to the very same request of the same caller.
    /// `Cache-Control: no-cache` and `no-store` of a request are heeded.
    pub struct Cache {
        /// Whether any are (false). Models need not say the same twice; with this they do.
        pub enabled: Option<bool>,
        /// How long one answers by itself (5m). 0: never, it is kept for `on_exhausted: [stale]` only.
        pub ttl: Option<Span>,
        /// How long after that it may stand in for an error, where `on_exhausted` has `stale` (1h).
        pub stale_if_error: Option<Span>,
        /// Largest answer that is kept (1MiB).
        pub max_entry: Option<Size>,
        pub scope: Option<CacheScopeName>,
    }

    /// For the items of `on_exhausted`.
    pub struct WhenExhausted {
        /// Longest wait of a request for the first channel to come back (10s).
        pub wait: Option<Span>,
        /// Most requests of a route that wait at the same moment (100).
        #[schemars(range(min = 1, max = 100_000))]
        pub waiters: Option<u32>,
        /// The text that callers get as an ordinary answer, in their dialect (none).
        #[schemars(length(min = 1))]
        pub answer: Option<String>,
    }
}

/// To whom a kept answer may be said again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "scope"))]
pub enum CacheScopeName {
    /// To callers with the same key (the default); those without one count as one caller.
    Key,
    /// To everybody who may use the route.
    Route,
}

/// What is tried when no channel of a route is eligible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "way out"))]
pub enum DegradationName {
    /// An older answer to the same request, marked as such; needs `cache`.
    Stale,
    /// The routes of `fallback`.
    Fallback,
    /// A wait for the soonest recovery (`exhausted.wait`).
    Wait,
    /// A text of your own (`exhausted.answer`).
    Answer,
    /// A 429 or 503 with the time at which it is worth trying again; 502 or 504 where an attempt failed last.
    Fail,
}

/// Answers that are kept for callers who name their requests by an `Idempotency-Key`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Idempotency {
    /// Whether the header is heeded (true).
    pub enabled: Option<bool>,
    /// How long a key means the answer that it got (10m).
    pub ttl: Option<Span>,
    /// Most bytes of them in memory; one may take an eighth (16MiB).
    pub memory: Option<Size>,
}
