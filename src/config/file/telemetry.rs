//! The `telemetry:` section.

use schemars::JsonSchema;
use serde::Deserialize;

use super::indexed::Named;
use crate::config::percent::Percent;
use crate::config::units::{Size, Span};

/// What the outside sees of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    pub log: Log,
    /// Whether nothing that stands in requests or answers is written down anywhere (false). Organisations, teams, users, keys
    /// and issuers may say so of theirs.
    pub zero_log: Option<bool>,
    pub journal: Journal,
    pub metrics: Metrics,
    /// An OpenTelemetry collector that is told of it (none).
    pub otlp: Option<Otlp>,
    /// Requests and answers themselves, redacted, on disk for a while (none).
    pub capture: Capture,
}

/// What the process says on standard error. `MAINSTAY_LOG` and the admin side go before it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: Option<FormatName>,
    pub requests: Option<RequestsName>,
    pub level: Option<LevelName>,
}

/// How lines are written: as JSON, for people, or (auto) for people on a terminal and as JSON elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum FormatName {
    Auto,
    Json,
    Pretty,
}

/// Which requests have a line (all): failed are those that failed or broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum RequestsName {
    All,
    Failed,
    None,
}

/// How much is said (info); of other people's code `info` at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "level"))]
pub enum LevelName {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The last requests: what became of each, and why; never a prompt or an answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// How many are at hand in memory, some 1.2 KB each (10000; 0: none).
    #[schemars(range(max = 1_000_000))]
    pub requests: Option<u32>,
}

/// What Prometheus scrapes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Combinations of names (of routes, upstreams, models, keys) that one metric may have; what is counted of others
    /// goes to `__overflow__` (2000).
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_series: Option<u32>,
}

/// Where to, and what.
#[derive(Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["endpoint"]))]
pub struct Otlp {
    /// Its address for OTLP over HTTP, such as `http://collector:4318`: `/v1/metrics` is put behind it.
    pub endpoint: Option<String>,
    /// Sent along each time, as `authorization: "Bearer ${NAME}"` (none).
    pub headers: Named<String>,
    /// Between two batches of metrics (60s).
    pub interval: Option<Span>,
    /// For the collector to answer (10s).
    pub timeout: Option<Span>,
    pub compression: Option<CompressionName>,
    /// Whether it is told of metrics (true).
    pub metrics: Option<bool>,
    /// And of requests, as spans (not).
    pub traces: Traces,
}

/// Which requests it is told of, with a span for each and for each of its attempts; never a prompt or an answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// Whether it is told of any (false).
    pub enabled: Option<bool>,
    /// Of requests that nobody else traces, so many (1%).
    pub sample: Option<Percent>,
    /// Of those where something fails, the request or an attempt that no caller saw fail, so many (100%).
    pub failed: Option<Percent>,
    /// Those that take so long, or longer, all (none).
    pub slow: Option<Span>,
    /// Requests a second that are told of because their callers trace them; the others are sampled (100).
    #[schemars(range(max = 100_000))]
    pub followed: Option<u32>,
    /// Which upstreams hear of the trace (services).
    pub propagate: Option<PropagateName>,
}

/// Who gets `traceparent` and `tracestate`: plain HTTP services only, for a vendor of models has no use for it; AI upstreams as
/// well; or nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum PropagateName {
    Services,
    All,
    None,
}

impl std::fmt::Debug for Otlp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Otlp")
            .field("interval", &self.interval)
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

/// How bodies are made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum CompressionName {
    Gzip,
    None,
}

/// What callers ask and are answered: redacted, on disk, for a while.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Capture {
    /// Whether any is captured (false).
    pub enabled: Option<bool>,
    /// A directory of its own, beside this file; it is made where there is none.
    pub path: Option<String>,
    /// Only requests that come to these routes, or are served by them (all).
    pub routes: Vec<String>,
    /// Only requests with these keys (all).
    pub keys: Vec<String>,
    /// Of all those, so many (1%).
    pub share: Option<Percent>,
    pub only: Option<CapturedName>,
    /// Of a request or an answer, so much of its beginning (64KiB).
    pub max_body: Option<Size>,
    /// Of all that is on disk; what is oldest goes (1GiB).
    pub max_total: Option<Size>,
    /// What is older goes (7d).
    pub retention: Option<Span>,
    /// Whether callers may refuse with `x-mainstay-no-capture: 1` (true).
    pub opt_out: Option<bool>,
    pub redact: Redact,
}

/// Which requests are kept: all, or those that went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum CapturedName {
    All,
    Failed,
}

/// What is struck out before anything is written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redact {
    /// Keys of providers and of this gateway, tokens, passwords in addresses (true).
    pub keys: Option<bool>,
    /// E-mail addresses (true).
    pub email: Option<bool>,
    /// Numbers of payment cards (true).
    pub cards: Option<bool>,
    /// Telephone numbers (true).
    pub phone: Option<bool>,
    /// Whatever else: regular expressions, in the syntax of Rust's `regex` (none).
    pub patterns: Vec<String>,
}
