//! What the outside sees of the gateway.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::{BaseUrl, Capture};
use crate::config::percent::Percent;
use crate::telemetry::logs;
use crate::vocab::{Privacy, Secret};

#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    pub log: logs::Settings,
    /// What may be kept of all requests.
    pub privacy: Privacy,
    /// How many of the last requests are at hand.
    pub journal_requests: usize,
    /// Combinations of names that one metric may have.
    pub max_series: usize,
    pub otlp: Option<Otlp>,
    /// `None` where the file names no place for captures.
    pub capture: Option<Arc<Capture>>,
}

/// An OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq)]
pub struct Otlp {
    /// What a signal's path is put behind.
    pub endpoint: BaseUrl,
    pub headers: Vec<(HeaderName, Secret)>,
    /// Between two batches of metrics.
    pub interval: Duration,
    /// For an answer.
    pub timeout: Duration,
    pub compression: Compression,
    /// Whether it is told of metrics.
    pub metrics: bool,
    /// Of which requests, if of any.
    pub traces: Option<Traces>,
}

/// Which requests a collector is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traces {
    pub sample: Percent,
    /// Of those where something fails.
    pub failed: Percent,
    /// Those that take so long, all.
    pub slow: Option<Duration>,
    /// A second, because their callers trace them.
    pub followed: u32,
    pub propagate: Propagate,
}

/// Which upstreams hear of traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagate {
    /// Plain HTTP only.
    Services,
    All,
    None,
}

/// How bodies are made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    None,
}
