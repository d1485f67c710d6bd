//! A report for programs: `mainstay simulate --json`, and what the admin side answers. Times are seconds, money is
//! dollars, and what is unknown is null.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::page::{Held, Judged};
use super::report::{Attempts, Lane, Minute, Report, Span, Totals};

/// One rehearsal of one configuration.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RehearsedReport {
    /// What the configuration is called.
    config: String,
    totals: RehearsedTotals,
    minutes: Vec<RehearsedMinute>,
    /// Breakers and keys over time.
    timeline: Vec<RehearsedLane>,
    /// What a rehearsal of this configuration does not show.
    not_rehearsed: Vec<String>,
    /// Which outages befall nobody of this configuration.
    does_not_happen: Vec<String>,
}

/// A claim that was held to a report.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Claimed {
    /// What the configuration is called.
    config: String,
    /// The verdict, the claim and what was found.
    claim: String,
    holds: bool,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
struct RehearsedTotals {
    requests: u64,
    answered: u64,
    /// An error instead of an answer.
    failed: u64,
    /// The begin of an answer, and an error event.
    broken: u64,
    /// The caller's own wish.
    hung_up: u64,
    /// Share of whole answers among those who did not hang up.
    success: Option<f64>,
    p50_ttft: Option<f64>,
    p99_ttft: Option<f64>,
    attempts: u64,
    /// Attempts for each request.
    amplification: f64,
    cost_usd: Option<f64>,
    /// Attempts that cost something of which no price is known.
    unpriced_attempts: u64,
    /// From the end of an outage until its upstream had its share back.
    recovery: Option<f64>,
    probes: u64,
    hedges: u64,
    /// Hedges that were heard.
    hedges_won: u64,
    /// Requests that waited for room.
    queued: u64,
    p99_queue: Option<f64>,
    /// Streams that broke and were whole in the end.
    continued: u64,
    continued_in_vain: u64,
    continuation_cost_usd: Option<f64>,
    /// How requests failed or broke, and how many.
    reasons: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
struct RehearsedMinute {
    /// From 0.
    minute: usize,
    requests: u64,
    answered: u64,
    failed: u64,
    broken: u64,
    hung_up: u64,
    success: Option<f64>,
    p50_ttft: Option<f64>,
    p99_ttft: Option<f64>,
    /// By upstream.
    attempts: BTreeMap<String, RehearsedAttempts>,
    cost_usd: Option<f64>,
    unpriced_attempts: u64,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct RehearsedAttempts {
    good: u64,
    bad: u64,
    cancelled: u64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
struct RehearsedLane {
    /// `upstream`, `upstream/model` or `key upstream#1`.
    of: String,
    spans: Vec<RehearsedSpan>,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct RehearsedSpan {
    from: f64,
    to: f64,
    state: &'static str,
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

impl From<&Report> for RehearsedReport {
    fn from(report: &Report) -> Self {
        let minutes = report.minutes.iter().enumerate();
        Self {
            config: report.config.clone(),
            totals: RehearsedTotals::from(&report.totals),
            minutes: minutes.map(|(at, minute)| RehearsedMinute::of(at, minute, &report.upstreams)).collect(),
            timeline: report.lanes.iter().map(RehearsedLane::from).collect(),
            not_rehearsed: report.unmodelled.clone(),
            does_not_happen: report.does_not_happen.clone(),
        }
    }
}

impl From<&Judged> for Claimed {
    fn from(Judged { config, said, held }: &Judged) -> Self {
        Self { config: config.clone(), claim: said.clone(), holds: *held == Held::Yes }
    }
}

impl From<&Totals> for RehearsedTotals {
    fn from(totals: &Totals) -> Self {
        Self {
            requests: totals.requests,
            answered: totals.answered,
            failed: totals.failed,
            broken: totals.broken,
            hung_up: totals.hung_up,
            success: totals.success,
            p50_ttft: seconds(totals.p50_ttft),
            p99_ttft: seconds(totals.p99_ttft),
            attempts: totals.attempts,
            amplification: totals.amplification,
            cost_usd: totals.cost.usd(),
            unpriced_attempts: totals.cost.unpriced,
            recovery: seconds(totals.recovery),
            probes: totals.probes,
            hedges: totals.hedges,
            hedges_won: totals.hedges_won,
            queued: totals.queued,
            p99_queue: seconds(totals.p99_queue),
            continued: totals.continued,
            continued_in_vain: totals.continued_in_vain,
            continuation_cost_usd: totals.legs_cost.usd(),
            reasons: totals.reasons.iter().cloned().collect(),
        }
    }
}

impl RehearsedMinute {
    fn of(at: usize, minute: &Minute, upstreams: &[String]) -> Self {
        let attempts = upstreams.iter().cloned().zip(minute.attempts.iter().map(RehearsedAttempts::from));
        Self {
            minute: at,
            requests: minute.requests(),
            answered: minute.answered,
            failed: minute.failed,
            broken: minute.broken,
            hung_up: minute.hung_up,
            success: minute.success(),
            p50_ttft: seconds(minute.ttft(0.5)),
            p99_ttft: seconds(minute.ttft(0.99)),
            attempts: attempts.collect(),
            cost_usd: minute.cost.usd(),
            unpriced_attempts: minute.cost.unpriced,
        }
    }
}

impl From<&Attempts> for RehearsedAttempts {
    fn from(attempts: &Attempts) -> Self {
        Self { good: attempts.good, bad: attempts.bad, cancelled: attempts.cancelled }
    }
}

impl From<&Lane> for RehearsedLane {
    fn from(lane: &Lane) -> Self {
        let spans = lane.spans.iter().map(RehearsedSpan::from);
        Self { of: lane.label.clone(), spans: spans.collect() }
    }
}

impl From<&Span> for RehearsedSpan {
    fn from(span: &Span) -> Self {
        Self { from: span.from.as_secs_f64(), to: span.to.as_secs_f64(), state: span.state }
    }
}
