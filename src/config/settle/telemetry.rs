//! What the outside sees, where the file does not say.

use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::{KIB, MIB, span};
use crate::config::blueprint::{Captured, Propagate, Traces};
use crate::config::file::telemetry::{
    self, CapturedName, FormatName, LevelName, PropagateName, RequestsName,
};
use crate::config::percent::Percent;
use crate::config::units::Size;
use crate::telemetry::MOST_SERIES;
use crate::telemetry::logs::{self, Choice, Requests};
use crate::vocab::Privacy;

pub fn privacy(said: &telemetry::Telemetry) -> Privacy {
    if said.zero_log.unwrap_or(false) { Privacy::ZeroLog } else { Privacy::Usual }
}

pub fn log(said: &telemetry::Telemetry) -> logs::Settings {
    let telemetry::Log { format, requests, level } = said.log;
    logs::Settings {
        format: match format {
            None | Some(FormatName::Auto) => Choice::Auto,
            Some(FormatName::Json) => Choice::Json,
            Some(FormatName::Pretty) => Choice::Plain,
        },
        requests: match requests {
            None | Some(RequestsName::All) => Requests::All,
            Some(RequestsName::Failed) => Requests::Failed,
            Some(RequestsName::None) => Requests::None,
        },
        level: match level {
            Some(LevelName::Off) => LevelFilter::OFF,
            Some(LevelName::Error) => LevelFilter::ERROR,
            Some(LevelName::Warn) => LevelFilter::WARN,
            None | Some(LevelName::Info) => LevelFilter::INFO,
            Some(LevelName::Debug) => LevelFilter::DEBUG,
            Some(LevelName::Trace) => LevelFilter::TRACE,
        },
        privacy: privacy(said),
    }
}

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

/// Few, where somebody wants any: they are for looking into, and every one is somebody's words.
pub fn capture_share(said: &telemetry::Capture) -> Percent {
    said.share.unwrap_or(Percent::whole(1))
}

pub fn captured(said: &telemetry::Capture) -> Captured {
    match said.only {
        None | Some(CapturedName::All) => Captured::All,
        Some(CapturedName::Failed) => Captured::Failed,
    }
}

/// A long conversation; documents and histories of agents are larger.
pub fn capture_body(said: &telemetry::Capture) -> u64 {
    said.max_body.map_or(64 * KIB, |Size(bytes)| bytes)
}

/// Some hundred thousand usual requests.
pub fn capture_total(said: &telemetry::Capture) -> u64 {
    said.max_total.map_or(1024 * MIB, |Size(bytes)| bytes)
}

/// Long enough to look into what somebody reports after a weekend.
pub fn capture_retention(said: &telemetry::Capture) -> Duration {
    span(said.retention, Duration::from_hours(7 * 24))
}
