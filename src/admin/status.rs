//! The state of everything, as JSON. Shows no secret: credentials go by their alias.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::form::Form;
use super::overridden::{self, ChangeStatus, OverrideStatus};
use super::{Applied, Phase, Seen, upstreams};
use crate::algo::breaker::{self, Snapshot};
use crate::algo::cooldown::Readiness;
use crate::algo::tick::Tick;
use crate::config;
use crate::ledger;
use crate::route::{self, Explained, Question};
use crate::shared::Standing;
use crate::state::credential::{Cell, Credential};
use crate::state::gate::Gate;
use crate::state::timeline::Timeline;
use crate::state::{Table, upstream};
use crate::store::{self, Presence};
use crate::upstream::PoolCounts;

pub(super) const STATUS: Form = Form::json::<Status>("how everything is");

#[derive(Serialize, JsonSchema)]
pub(super) struct Status {
    version: &'static str,
    phase: Phase,
    uptime_seconds: f64,
    configuration: Applied,
    connections: usize,
    in_flight: u32,
    memory: MemoryStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared: Option<SharedStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<StoreStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<LedgerStatus>,
    upstreams: Vec<UpstreamStatus>,
    routes: Vec<RouteStatus>,
}

/// How much is said of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Without its timelines.
    Brief,
    Whole,
}

/// What requests hold, and may hold.
#[derive(Serialize, JsonSchema)]
struct MemoryStatus {
    held_bytes: u64,
    limit_bytes: u64,
}

/// What the replicas share.
#[derive(Serialize, JsonSchema)]
pub(super) struct SharedStatus {
    connected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// What outlives the process.
#[derive(Serialize, JsonSchema)]
pub(super) struct StoreStatus {
    database: &'static str,
    here: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Unix time.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_write_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

/// How far the ledger is behind.
#[derive(Serialize, JsonSchema)]
pub(super) struct LedgerStatus {
    /// Requests that have ended and are neither in the store nor on disk.
    waiting: usize,
    /// On disk, until the store has them.
    spooled_batches: u64,
    spooled_bytes: u64,
    /// Age of the oldest that the store does not have.
    lag_seconds: f64,
    disk: &'static str,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct UpstreamStatus {
    name: String,
    provider: &'static str,
    /// Host and port; no path, because paths can hold account names.
    address: String,
    speaks: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    configured: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    missing: Vec<String>,
    health: &'static str,
    breaker: BreakerStatus,
    in_flight: u32,
    pool: PoolStatus,
    credentials: Vec<CredentialStatus>,
    models: Vec<ModelStatus>,
    /// What an operator has said of all of it.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    overridden: Option<OverrideStatus>,
    /// In the view of one upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<Vec<ChangeStatus>>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct BreakerStatus {
    state: &'static str,
    level: u32,
    consecutive_failures: u32,
    recent_ok: u32,
    recent_bad: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    opens_again_in_seconds: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
struct PoolStatus {
    idle: usize,
    in_use: usize,
    opening: usize,
    streams: usize,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct CredentialStatus {
    alias: String,
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    for_seconds: Option<f64>,
}

impl CredentialStatus {
    /// Whether it is not to be used now, or by few.
    pub(super) fn rests(&self) -> bool {
        self.state != "ready"
    }
}

#[derive(Serialize, JsonSchema)]
struct ModelStatus {
    model: String,
    breaker: BreakerStatus,
    in_flight: u32,
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    overridden: Option<OverrideStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<Vec<ChangeStatus>>,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RouteStatus {
    Model(Explained),
    Path { route: String, channels: Vec<String> },
}

pub(super) async fn status(State(running): Seen) -> Json<Status> {
    let table = running.table();
    let now = table.live.now();
    let of_each = upstreams::all(&*running, &table);
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        phase: running.phase(),
        uptime_seconds: now.since(Tick::ZERO).as_secs_f64(),
        configuration: running.applied(),
        connections: running.connections(),
        in_flight: running.in_flight(),
        memory: MemoryStatus {
            held_bytes: table.live.holdings.bytes(),
            limit_bytes: table.server.limits.memory,
        },
        shared: running.shared().map(of_shared),
        store: running.store().map(|store| of_store(store.standing())),
        ledger: running.ledger().map(of_ledger),
        upstreams: of_each,
        routes: (0..table.routes.len()).map(|index| of_route(&table, index)).collect(),
    })
}

pub(super) fn of_shared(standing: Standing) -> SharedStatus {
    match standing {
        Standing::Connected => SharedStatus { connected: true, why: None },
        Standing::Refuses { why } => SharedStatus { connected: true, why: Some(why) },
        Standing::Away { why } => SharedStatus { connected: false, why: Some(why) },
    }
}

pub(super) fn of_store(standing: store::Standing) -> StoreStatus {
    let store::Standing { database, presence, since, last_write, bytes } = standing;
    let (here, why) = match presence {
        Presence::Here => (true, None),
        Presence::Away { why } => (false, Some(why)),
    };
    let [since, last_write_seconds] = [since, last_write].map(|time| time.map(seconds));
    StoreStatus { database, here, why, since, last_write_seconds, bytes }
}

pub(super) fn of_ledger(standing: ledger::Standing) -> LedgerStatus {
    let ledger::Standing { waiting, spooled_batches, spooled_bytes, lag, disk } = standing;
    let disk = match disk {
        ledger::Disk::Works => "works",
        ledger::Disk::Fails => "fails",
    };
    LedgerStatus { waiting, spooled_batches, spooled_bytes, lag_seconds: seconds(lag), disk }
}

pub(super) fn of_upstream(
    table: &Table,
    upstream: &upstream::Upstream,
    pool: PoolCounts,
    view: View,
    now: Tick,
) -> UpstreamStatus {
    let settings = &upstream.config;
    let said = |model: Option<&str>| {
        let said = table.live.overrides.of(&settings.name, model, now)?;
        Some(OverrideStatus::of(&said, now))
    };
    let told = |timeline: &Timeline| match view {
        View::Brief => None,
        View::Whole => Some(overridden::told(timeline, &table.live)),
    };
    let mut models = upstream.memory.fixed_models(table);
    // Those that only callers name are shown where an operator has named them, too.
    let others = upstream.memory.models.iter().map(|model| Arc::clone(&model));
    let others: Vec<_> = others.filter(|model| said(Some(&model.name)).is_some()).collect();
    models.extend(others);
    models.sort_by(|a, b| a.name.cmp(&b.name));
    models.dedup_by(|a, b| a.name == b.name);
    UpstreamStatus {
        name: settings.name.to_string(),
        provider: settings.provider.name,
        address: settings.base.authority(),
        speaks: settings.speaks.iter().map(|dialect| dialect.name()).collect(),
        region: settings.region.clone(),
        configured: upstream.is_configured(),
        missing: match &settings.readiness {
            config::Readiness::Ready => Vec::new(),
            config::Readiness::Unconfigured { missing } => missing.clone(),
        },
        health: upstream.memory.health().name(),
        breaker: of_gate(&upstream.memory.gate, now),
        in_flight: upstream.memory.in_flight.load(Relaxed),
        pool: PoolStatus {
            idle: pool.idle,
            in_use: pool.in_use,
            opening: pool.opening,
            streams: pool.streams,
        },
        credentials: upstream.credentials.iter().map(|key| of_credential(key, None, now)).collect(),
        models: models
            .iter()
            .filter_map(|model| {
                let breaker = of_gate(model.gate.as_ref()?, now);
                Some(ModelStatus {
                    model: model.name.to_string(),
                    breaker,
                    in_flight: model.in_flight(),
                    overridden: said(Some(&model.name)),
                    timeline: told(&model.timeline),
                })
            })
            .collect(),
        overridden: said(None),
        timeline: told(&upstream.memory.timeline),
    }
}

/// The state of a key: at one model, where its `rate` there is given.
pub(super) fn of_credential(key: &Credential, rate: Option<&Cell>, now: Tick) -> CredentialStatus {
    let (state, until) = match key.readiness(rate, now) {
        Readiness::Ready => ("ready", None),
        Readiness::Trickle => ("trickle", None),
        Readiness::Cooling { until, .. } => ("cooling", Some(until)),
        Readiness::Disabled { recheck_at } => ("refused", Some(recheck_at)),
    };
    let for_seconds = until.map(|until| seconds(until.since(now)));
    CredentialStatus { alias: key.alias.clone(), state, for_seconds }
}

pub(super) fn of_gate(gate: &Gate, now: Tick) -> BreakerStatus {
    let Snapshot { state, level, consecutive, fast, .. } = gate.snapshot(now);
    BreakerStatus {
        state: state.name(),
        level,
        consecutive_failures: consecutive,
        recent_ok: fast.ok,
        recent_bad: fast.fail + fast.overload + fast.stream_fail,
        opens_again_in_seconds: match state {
            breaker::State::Open { until } => Some(seconds(until.since(now))),
            breaker::State::Closed
            | breaker::State::HalfOpen
            | breaker::State::ForcedClosed
            | breaker::State::ForcedOpen
            | breaker::State::MetricsOnly => None,
        },
    }
}

/// A pattern is explained by a name that it could be asked for by: the pattern itself.
pub(super) fn of_route(table: &Table, index: usize) -> RouteStatus {
    let route = &table.routes[index];
    let name = &route.config.name;
    match route.config.matcher {
        config::Matcher::Model { .. } => {
            let question = Question { model: name.to_string(), ..Question::default() };
            RouteStatus::Model(route::explain_route(table, index, &question))
        }
        config::Matcher::Path { .. } => RouteStatus::Path {
            route: name.to_string(),
            channels: route.channels.iter().map(|channel| channel.label.to_string()).collect(),
        },
    }
}

pub(super) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
