//! The sections that can stand on several levels: breaker, probe, timeouts and so on.
//!
//! Defaults in the descriptions are RESILIENCE §4's; the values themselves are set in
//! [`settle`](super::super::settle), and a test holds the two together.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};

use super::names::{Http2Name, PanicModeName, ProbeKindName, ReplayName};
use crate::config::layer::section;
use crate::config::units::Span;

section! {
    /// When an upstream or model is taken out of use, and how it comes back.
    pub struct Breaker {
        /// Off: nothing is ever taken out of use (true).
        pub enabled: Option<bool>,
        /// Failures in a row.
        pub consecutive: Consecutive,
        /// Failure rate over a short window (10s, at least 20 requests, 0.5).
        pub fast: FastRule,
        /// Failure rate over a long window (60s, at least 50 requests, 0.4).
        pub slow: SlowRule,
        /// Slow answers; off unless `ttfb` is set.
        pub slow_call: SlowCall,
        /// How long it stays open.
        pub open: Open,
        /// How it is tried out again.
        pub half_open: HalfOpen,
        /// Closed time after which the next opening is one step shorter again (30s).
        pub decay_interval: Option<Span>,
        /// Least open time before a passing probe may shorten it (1s).
        pub min_open: Option<Span>,
    }

    /// Failures in a row.
    pub struct Consecutive {
        /// How many open the breaker (5).
        #[schemars(range(min = 1, max = 1000))]
        pub failures: Option<u32>,
        /// Failures longer apart do not count as a row (10m).
        pub max_age: Option<Span>,
    }

    /// Failure rate over the short window.
    pub struct FastRule {
        /// Length of the window (10s).
        pub window: Option<Span>,
        /// Fewest requests in it that prove anything (20).
        #[schemars(range(min = 1))]
        pub min: Option<u32>,
        /// Share of failures that opens the breaker (0.5).
        #[schemars(range(min = 0.01, max = 1.0))]
        pub rate: Option<f64>,
    }

    /// Failure rate over the long window.
    pub struct SlowRule {
        /// Length of the window (60s).
        pub window: Option<Span>,
        /// Fewest requests in it that prove anything (50).
        #[schemars(range(min = 1))]
        pub min: Option<u32>,
        /// Share of failures that opens the breaker (0.4).
        #[schemars(range(min = 0.01, max = 1.0))]
        pub rate: Option<f64>,
    }

    /// Answers that come, but late.
    pub struct SlowCall {
        /// An answer whose first byte takes longer is slow (off).
        pub ttfb: Option<Span>,
        /// Share of slow answers that opens the breaker (0.8).
        #[schemars(range(min = 0.01, max = 1.0))]
        pub rate: Option<f64>,
        /// Fewest requests in the long window that prove anything (20).
        #[schemars(range(min = 1))]
        pub min: Option<u32>,
    }

    /// How long a breaker stays open.
    pub struct Open {
        /// The first time (5s).
        pub base: Option<Span>,
        /// Factor for each further time (2).
        #[schemars(range(min = 1.0, max = 10.0))]
        pub mult: Option<f64>,
        /// The longest (60s).
        pub max: Option<Span>,
        /// Random share by which each opening differs (0.2).
        #[schemars(range(min = 0.0, max = 1.0))]
        pub jitter: Option<f64>,
        /// Longest Retry-After that an opening follows (300s).
        pub retry_after_cap: Option<Span>,
    }

    /// How an open breaker is tried out.
    pub struct HalfOpen {
        /// Trial requests at the same moment (1).
        #[schemars(range(min = 1))]
        pub max_concurrent: Option<u8>,
        /// Successes that close the breaker (3).
        #[schemars(range(min = 1))]
        pub success_threshold: Option<u8>,
        /// A trial without a verdict counts as failed after this (30s, or `ttfb` if that is less).
        pub probe_timeout: Option<Span>,
        /// How long a stream must run to count as a success (2s); where streams broke, until it has come twice as far
        /// as they did, or half of `probe_timeout` has passed. And how long such a one is held back at most, from its
        /// first content on, lest it breaks at its caller's.
        pub hold: Option<Span>,
        /// Trials without a verdict before a synthetic probe decides (5).
        #[schemars(range(min = 1))]
        pub max_neutral: Option<u8>,
    }

    /// Background checks of an upstream.
    pub struct Probe {
        /// What is done (by provider; `http` where a `path` is given).
        pub kind: Option<ProbeKindName>,
        /// Method of an http probe (GET).
        #[schemars(length(min = 1))]
        pub method: Option<String>,
        /// Path of an http or list_models probe, from the host's root.
        #[schemars(length(min = 1))]
        pub path: Option<String>,
        /// Statuses that pass an http probe (200 to 399).
        pub expect: Option<Vec<Status>>,
        /// While it is up (10s).
        pub interval: Option<Span>,
        /// While it is changing (2s).
        pub fast_interval: Option<Span>,
        /// While it is down (5s), growing ...
        pub down_interval: Option<Span>,
        /// ... by this factor (1.5) ...
        #[schemars(range(min = 1.0, max = 10.0))]
        pub down_factor: Option<f64>,
        /// ... up to this (10s).
        pub down_max: Option<Span>,
        /// Longest wait for one probe (5s).
        pub timeout: Option<Span>,
        /// Passes in a row that mean up (2).
        #[schemars(range(min = 1, max = 100))]
        pub rise: Option<u32>,
        /// Failures in a row that mean down (3).
        #[schemars(range(min = 1, max = 100))]
        pub fall: Option<u32>,
        /// Random share of each interval (0.2).
        #[schemars(range(min = 0.0, max = 1.0))]
        pub jitter: Option<f64>,
        /// While nobody uses it (60s).
        pub no_traffic_interval: Option<Span>,
        /// Whether a recent success of real traffic saves the probe (true).
        pub suppress_when_traffic: Option<bool>,
    }

    /// How long a credential rests after a 429, an empty quota or a refusal.
    pub struct Cooldown {
        /// After the first 429 without a Retry-After, doubling (1s) ...
        pub base: Option<Span>,
        /// ... up to this (60s).
        pub short_max: Option<Span>,
        /// A Retry-After longer than this means an empty quota (2m).
        pub long_after: Option<Span>,
        /// Longest Retry-After that is believed (1h).
        pub max: Option<Span>,
        /// After an empty quota without a known reset: the first, the second, all further rests
        /// ([15m, 1h, 6h]).
        #[schemars(length(min = 3, max = 3))]
        pub long_steps: Option<Vec<Span>>,
        /// Longest rest until a known reset of a quota (25h).
        pub quota_max: Option<Span>,
        /// How often a refused key is checked again (15m).
        pub recheck: Option<Span>,
        /// Random share by which a rest differs (0.1).
        #[schemars(range(min = 0.0, max = 1.0))]
        pub jitter: Option<f64>,
    }

    /// Connections to an upstream.
    pub struct Pool {
        /// Most connections (512).
        #[schemars(range(min = 1))]
        pub max_connections: Option<u32>,
        /// Most unused connections that are kept (64).
        pub max_idle: Option<u32>,
        /// How long an unused one is kept (60s).
        pub idle_timeout: Option<Span>,
        /// Age after which one is not used again (10m).
        pub max_lifetime: Option<Span>,
        /// Random share by which that age differs (0.1).
        #[schemars(range(min = 0.0, max = 0.9))]
        pub lifetime_jitter: Option<f64>,
        /// Requests after which one is not used again (10000).
        #[schemars(range(min = 1))]
        pub max_requests: Option<u32>,
        /// Requests that must not be sent twice use only connections idle for less than this (4s).
        pub reuse_safe_idle: Option<Span>,
        pub http2: Option<Http2Name>,
    }

    /// Deadlines of a request.
    pub struct Timeouts {
        /// Name resolution and TCP (3s; plain HTTP 2s).
        pub connect: Option<Span>,
        /// TLS handshake (5s; plain HTTP 3s).
        pub tls: Option<Span>,
        /// For a free connection (2s; plain HTTP 1s).
        pub pool_wait: Option<Span>,
        /// To the response's headers of a stream (30s; plain HTTP 15s, of any answer). The last attempt that there can be waits as
        /// long as for its first content, and those of an answer that is not streamed come with all of it.
        pub ttfb: Option<Span>,
        /// To the first content of a stream, or to all of an answer that is not streamed: a duration, or auto (auto). With auto a
        /// stream has, while there is somewhere else to go, four times the channel's usual (p95), 10s at least, and 1s for each
        /// 10,000 tokens of its prompt, or 120s at a model that thinks; the last attempt has 60s, or 300s. An answer that is not streamed
        /// has four times the usual, 60s at least, once that is known and while there is somewhere else to go; else all of `total`.
        pub first_event: Option<SpanOrAuto>,
        /// Longest silence after that (30s; reasoning models 90s).
        pub idle: Option<Span>,
        /// Longest time without content while other bytes come (180s).
        pub content_idle: Option<Span>,
        /// The whole request with all its attempts (600s; plain HTTP 60s): the longest of the route's channels holds, or what the
        /// caller has left (`x-request-deadline`, `grpc-timeout`, `x-stainless-timeout`).
        pub total: Option<Span>,
    }

    /// How often a request is tried.
    pub struct Retry {
        /// Attempts, the first one included (3). The same channel is asked again once at most, and an SDK's own retry has two.
        #[schemars(range(min = 1, max = 20))]
        pub max_attempts: Option<u32>,
        /// Longest Retry-After that is waited out within a request (3s).
        pub wait: Option<Span>,
        /// Random pause before another channel is asked after an overload (25ms to 250ms); after other failures there is none.
        pub other_channel: Backoff,
        /// Random pause before the only channel is asked again, once: `base` at least, four times that or `cap` at most (250ms, 1s).
        pub same_channel: Backoff,
        pub replay: Option<ReplayName>,
        /// How much of the traffic may be retries.
        pub budget: Budget,
    }

    /// A random pause, which may be the longer the more attempts have failed.
    pub struct Backoff {
        /// What it begins with.
        pub base: Option<Span>,
        /// Longest pause before any retry.
        pub cap: Option<Span>,
    }

    /// Retries allowed in proportion to first attempts.
    pub struct Budget {
        /// What counts as now (10s).
        pub window: Option<Span>,
        /// Retries per first attempt (0.2).
        #[schemars(range(min = 0.0, max = 10.0))]
        pub ratio: Option<f64>,
        /// Retries per second that are always allowed (2).
        #[schemars(range(min = 0.0, max = 100_000.0))]
        pub reserve_per_sec: Option<f64>,
    }

    /// A second channel is asked while the first lets a request wait for long, and whoever answers first is
    /// heard; the other one is cancelled, and may have to be paid for all the same.
    pub struct Hedge {
        /// Whether it is done (false).
        pub enabled: Option<bool>,
        /// How long the first channel is waited for: a duration, or auto, which is its 95th percentile of
        /// the last minute, of at least 100 answers, and at least 500ms (auto).
        pub delay: Option<SpanOrAuto>,
        /// Hedges per first attempt, within the retry budget's window (0.05).
        #[schemars(range(min = 0.0, max = 1.0))]
        pub max_share: Option<f64>,
    }

    /// What happens when no channel of a route is eligible.
    pub struct WhenNone {
        pub mode: Option<PanicModeName>,
    }

    /// How a channel that comes back gets its share again.
    pub struct SlowStart {
        /// Time to its full share (30s).
        pub window: Option<Span>,
        /// Share that it begins with (0.1).
        #[schemars(range(min = 0.01, max = 1.0))]
        pub floor: Option<f64>,
        /// Shape: 1 is a straight line, more starts faster (1).
        #[schemars(range(min = 0.1, max = 10.0))]
        pub aggression: Option<f64>,
    }

    /// How many requests may be with each key at each model (with the upstream, where it has no keys) at the same
    /// moment: as many as it takes, which is learnt from its words of overload.
    pub struct Concurrency {
        /// Whether the limit follows what the upstream takes; if not, it is `max` (true).
        pub adaptive: Option<bool>,
        /// Where the limit begins with the first overload, if no more was in flight; until then it is `max` (32).
        #[schemars(range(min = 1))]
        pub start: Option<u32>,
        /// It never falls below this (1).
        #[schemars(range(min = 1))]
        pub min: Option<u32>,
        /// It never grows beyond this (`max_inflight`).
        #[schemars(range(min = 1))]
        pub max: Option<u32>,
        /// First tokens that come, on average, after so many times their usual time are a slight overload (never).
        #[schemars(range(min = 1.1, max = 100.0))]
        pub ttft_rise: Option<f64>,
    }

    /// Where requests wait while every channel that could serve them is as busy as it may be.
    pub struct Queue {
        /// Most requests that wait; 0 refuses at once (twice what the channels take, at most 1000).
        #[schemars(range(max = 100_000))]
        pub max: Option<u32>,
        /// Longest wait (1s).
        pub timeout: Option<Span>,
    }

    /// What each key may be used for at each model, so that its provider need not refuse anything. None by
    /// default; what a provider says of its own limits is heeded anyway.
    pub struct Quota {
        /// Requests in any minute.
        #[schemars(range(min = 1))]
        pub rpm: Option<u64>,
        /// Tokens of prompts and answers in any minute: as estimated before, and as used once that is known.
        #[schemars(range(min = 1))]
        pub tpm: Option<u64>,
        /// Requests in any 24 hours.
        #[schemars(range(min = 1))]
        pub rpd: Option<u64>,
        /// Tokens in any 24 hours.
        #[schemars(range(min = 1))]
        pub tpd: Option<u64>,
    }

    /// For `select: sticky`.
    pub struct Sticky {
        /// How long a conversation stays where it was served last (5m, as long as prompt caches usually last).
        pub ttl: Option<Span>,
    }

    /// How the certificate of an upstream is checked, and what it is shown.
    pub struct Tls {
        /// PEM file of the roots to trust instead of the system's.
        pub ca_file: Option<String>,
        /// The name to ask for, where it is not the host of `base_url`.
        pub server_name: Option<String>,
        /// PEM file of the certificate that the upstream is shown, its chain behind it; or a reference to such a text.
        pub client_cert: Option<String>,
        /// PEM file of its private key; or a reference to such a text.
        pub client_key: Option<String>,
    }

    /// The built-in upstream.
    pub struct Simulated {
        /// To the first token (50ms).
        pub ttft: Option<Span>,
        /// Between tokens (10ms).
        pub pace: Option<Span>,
        /// Words in an answer (30).
        #[schemars(range(min = 1, max = 1_000_000))]
        pub words: Option<u32>,
        /// Seed of its chances (1).
        pub seed: Option<u64>,
    }
}

/// A status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Status(#[schemars(range(min = 100, max = 599))] pub u16);

/// A type for a duration or a word in its place.
macro_rules! span_or {
    ($(#[$doc:meta])* $name:ident, $variant:ident = $word:literal, $title:literal, $description:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $variant,
            Fixed(Span),
        }

        impl $name {
            pub const FORMAT: &str = concat!("mainstay-duration-or-", $word);

            pub fn parse(text: &str) -> Result<Self, String> {
                if text == $word { Ok(Self::$variant) } else { Span::parse(text).map(Self::Fixed) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(|why| de::Error::custom(format!("the value {why}")))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $title.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": $description,
                    "type": "string",
                    "format": Self::FORMAT,
                    "pattern": concat!("^(", $word, r"|0|([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+)$"),
                })
            }
        }
    };
}

span_or! {
    /// `auto`, or a duration.
    SpanOrAuto, Auto = "auto", "DurationOrAuto", "A duration, or auto: what experience says."
}

span_or! {
    /// `off`, or a duration.
    SpanOrOff, Off = "off", "DurationOrOff", "A duration, or off."
}
