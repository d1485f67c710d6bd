//! What the outside sees, where the file does not say.

use std::time::Duration;

use super::span;
use crate::config::blueprint::{Propagate, Traces};
use crate::config::file::telemetry::{self, PropagateName};
use crate::config::percent::Percent;
use crate::telemetry::MOST_SERIES;

pub fn max_series(said: &telemetry::Metrics) -> usize {
    said.max_series.map_or(MOST_SERIES, |most| most as usize)
}

/// As OpenTelemetry's SDKs have it (`OTEL_METRIC_EXPORT_INTERVAL`).
pub fn otlp_interval(said: &telemetry::Otlp) -> Duration {
    span(said.interval, Duration::from_mins(1))
}

/// As they have it, too (`OTEL_EXPORTER_OTLP_TIMEOUT`).
pub fn otlp_timeout(said: &telemetry::Otlp) -> Duration {
    span(said.timeout, Duration::from_secs(10))
}

/// Few of what goes well, and all that does not: what is asked about later.
pub fn otlp_traces(said: &telemetry::Traces) -> Option<Traces> {
    said.enabled.unwrap_or(false).then(|| Traces {
        sample: said.sample.unwrap_or(Percent::whole(1)),
        failed: said.failed.unwrap_or(Percent::whole(100)),
        slow: said.slow.map(|slow| span(Some(slow), Duration::ZERO)),
        followed: said.followed.unwrap_or(100),
        propagate: match said.propagate {
            None | Some(PropagateName::Services) => Propagate::Services,
            Some(PropagateName::All) => Propagate::All,
            Some(PropagateName::None) => Propagate::None,
        },
    })
}

/// Of the last requests, so many are at hand: some minutes of a busy gateway.
const JOURNAL_REQUESTS: u32 = 10_000;

pub fn journal_requests(said: &telemetry::Journal) -> usize {
    said.requests.unwrap_or(JOURNAL_REQUESTS) as usize
}
