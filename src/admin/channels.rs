//! Every channel of every route in one flat list: whether it is picked now or why not, and what is known of it.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::Seen;
use super::form::Form;
use super::overridden::{ChangeStatus, OverrideStatus};
use super::status::{BreakerStatus, CredentialStatus, of_credential, of_gate};
use crate::algo::tick::Tick;
use crate::config::Matcher;
use crate::dialect::Dialect;
use crate::route::{self, ExplainedChannel, Question};
use crate::state::model::{Model, Shape};
use crate::state::route::Route;
use crate::state::timeline::Subject;
use crate::state::{Channel, Table};

pub(super) const CHANNELS: Form = Form::json::<Channels>("in the order of the routes");

/// All of them.
#[derive(Serialize, JsonSchema)]
pub(super) struct Channels {
    channels: Vec<ChannelStatus>,
}

/// One channel of one route.
#[derive(Serialize, JsonSchema)]
struct ChannelStatus {
    route: String,
    /// `upstream/model`, as answers and logs show it.
    channel: String,
    upstream: String,
    /// Under a pattern, the pattern: callers name the model.
    model: String,
    tier: u8,
    weight: u32,
    /// Whether a request that came now might go there.
    eligible: bool,
    /// Whether it is in the tier and rank that have their turn.
    picked: bool,
    /// `ready`, `last`, `short_of_quota`, `trial`, or the reason against it.
    standing: &'static str,
    /// The same for people.
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovers_in_seconds: Option<f64>,
    health: &'static str,
    /// The model's, or the upstream's where the model has none.
    breaker: BreakerStatus,
    upstream_breaker: &'static str,
    /// The latest of the two breakers' changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_transition: Option<ChangeStatus>,
    in_flight: u32,
    /// What its keys take at the same moment.
    limit: u32,
    latency: Latencies,
    /// Its upstream's keys that rest, at this model.
    cooldowns: Vec<CredentialStatus>,
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    overridden: Option<Overridden>,
}

/// Times to first content: of streams, and of whole answers.
#[derive(Serialize, JsonSchema)]
struct Latencies {
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<Latency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    whole: Option<Latency>,
}

/// In milliseconds.
#[derive(Serialize, JsonSchema)]
struct Latency {
    /// Smoothed, failures counting as slow.
    #[serde(skip_serializing_if = "Option::is_none")]
    ewma_ms: Option<f64>,
    /// Percentiles of the last minute, and of how many answers.
    #[serde(flatten)]
    spread: Option<SpreadStatus>,
}

#[derive(Serialize, JsonSchema)]
struct SpreadStatus {
    samples: u64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
}

/// What an operator has said of its model, or else of its upstream.
#[derive(Serialize, JsonSchema)]
struct Overridden {
    of: &'static str,
    #[serde(flatten)]
    said: OverrideStatus,
}

pub(super) async fn channels(State(running): Seen) -> Json<Channels> {
    let table = running.table();
    let rows = table.routes.iter().enumerate().flat_map(|(index, route)| of_route(&table, index, route));
    Json(Channels { channels: rows.collect() })
}

fn of_route(table: &Table, index: usize, route: &Route) -> Vec<ChannelStatus> {
    // A pattern is explained by a name that it could be asked for by: the pattern itself.
    let dialect = match route.config.matcher {
        Matcher::Model { .. } => None,
        Matcher::Path { .. } => Some(Dialect::Http),
    };
    let question = Question { model: route.config.name.to_string(), dialect, ..Question::default() };
    let explained = route::explain_route(table, index, &question);
    let channels = route.channels.iter().zip(explained.channels);
    channels.map(|(channel, explained)| of_channel(table, route, channel, explained)).collect()
}

fn of_channel(table: &Table, route: &Route, channel: &Channel, explained: ExplainedChannel) -> ChannelStatus {
    let now = table.live.now();
    let upstream = &channel.upstream;
    let name = &upstream.config.name;
    let model = channel.model(&route.config, &route.config.name);
    let transitions = [&upstream.memory.timeline, &model.timeline];
    let last = transitions.into_iter().filter_map(|timeline| timeline.last(Subject::Breaker));
    let said = |of: &'static str, model: Option<&str>| {
        let said = table.live.overrides.of(name, model, now)?;
        Some(Overridden { of, said: OverrideStatus::of(&said, now) })
    };
    let keys = upstream.credentials.iter();
    let keys = keys.map(|key| of_credential(key, model.rate(&key.rate_key).as_deref(), now));
    let shown =
        channel.label.strip_prefix(&**name).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    ChannelStatus {
        route: route.config.name.to_string(),
        channel: explained.channel,
        upstream: name.to_string(),
        model: shown.to_owned(),
        tier: explained.tier,
        weight: explained.weight,
        eligible: explained.is_eligible,
        picked: explained.picked,
        standing: explained.standing,
        why: explained.detail,
        recovers_in_seconds: explained.recovers_in_seconds,
        health: explained.health,
        breaker: of_gate(model.gate.as_ref().unwrap_or(&upstream.memory.gate), now),
        upstream_breaker: upstream.memory.gate.state().name(),
        last_transition: last
            .max_by_key(|change| change.at)
            .map(|change| ChangeStatus::of(&change, &table.live)),
        in_flight: explained.in_flight,
        limit: explained.limit,
        latency: Latencies {
            stream: latency(&model, Shape::Stream, now),
            whole: latency(&model, Shape::Whole, now),
        },
        cooldowns: keys.filter(CredentialStatus::rests).collect(),
        overridden: said("model", Some(&model.name)).or_else(|| said("upstream", None)),
    }
}

fn latency(model: &Model, shape: Shape, now: Tick) -> Option<Latency> {
    let millis = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let ewma_ms = model.latency(shape, now).map(millis);
    let spread = model.spread(shape, now).map(|spread| SpreadStatus {
        samples: spread.count,
        p50_ms: millis(spread.p50),
        p95_ms: millis(spread.p95),
        p99_ms: millis(spread.p99),
    });
    (ewma_ms.is_some() || spread.is_some()).then_some(Latency { ewma_ms, spread })
}
