//! What a beat says: enough to see at a glance what is broken and what callers notice of it. Whatever is as it should
//! be and has no traffic is left out of the long lists, so that a beat stays small with hundreds of models.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::Serialize;

use super::sampled::{Rates, Sampled};
use crate::admin::status::{self, CredentialStatus, LedgerStatus, SharedStatus, StoreStatus};
use crate::admin::{Phase, Running};
use crate::algo::breaker::{self, Snapshot};
use crate::algo::tick::Tick;
use crate::state::gate::{Gate, Standing};
use crate::state::model::{Model, Shape};
use crate::state::outcomes::Counted;
use crate::state::route::Route;
use crate::state::table::Table;
use crate::state::upstream::Upstream;
use crate::telemetry::RequestOutcome;

/// Most routes of one beat, the busiest.
const MOST_ROUTES: usize = 200;

#[derive(Serialize)]
pub(super) struct Picture {
    /// Unix time.
    at: f64,
    phase: Phase,
    connections: usize,
    in_flight: u32,
    revision: String,
    /// Whether what is on disk is not what is in force, because it cannot be used.
    refused: bool,
    /// That fire now.
    alerts: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<StoreStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared: Option<SharedStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<LedgerStatus>,
    /// What ended in the last second.
    now: Second,
    upstreams: Vec<UpstreamNow>,
    /// Those with traffic.
    routes: Vec<RouteNow>,
}

/// The seconds before the first beat, the oldest first.
#[derive(Serialize)]
pub(super) struct History {
    seconds: Vec<Second>,
}

/// Requests that ended in a second, by what their callers saw, and how many of the good ones had a failed attempt.
#[derive(Serialize)]
struct Second {
    ok: u64,
    client_fault: u64,
    refused: u64,
    failed: u64,
    broken: u64,
    cancelled: u64,
    saved: u64,
}

#[derive(Serialize)]
struct UpstreamNow {
    name: String,
    configured: bool,
    health: &'static str,
    #[serde(flatten)]
    breaker: BreakerNow,
    in_flight: u32,
    /// What an operator has said of all of it: `disabled`, `draining`, `forced_open`, `forced_closed`.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    overridden: Option<&'static str>,
    /// Keys that are not ready.
    resting: Vec<CredentialStatus>,
    /// Those with traffic, or with something wrong.
    models: Vec<ModelNow>,
}

#[derive(Serialize)]
struct BreakerNow {
    state: &'static str,
    /// Something failed here moments ago, and nothing has gone well since: others are asked first.
    failing: bool,
    /// Unix time at which the state was entered.
    since: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_seconds: Option<f64>,
    /// Attempts of the last seconds (the breaker's fast window).
    ok: u32,
    bad: u32,
}

#[derive(Serialize)]
struct ModelNow {
    model: String,
    #[serde(flatten)]
    breaker: BreakerNow,
    in_flight: u32,
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    overridden: Option<&'static str>,
    /// Smoothed time to first content.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
}

#[derive(Serialize)]
struct RouteNow {
    route: String,
    in_flight: u32,
    /// For room, or for a channel to come back.
    waiting: u32,
    per_second: f64,
    failed_per_second: f64,
    saved_per_second: f64,
}

/// A moment by both clocks.
#[derive(Clone, Copy)]
struct Moment {
    tick: Tick,
    unix: Duration,
}

pub(super) fn of(running: &dyn Running, sampled: &Sampled) -> Picture {
    let table = running.table();
    let live = &table.live;
    let moment = Moment { tick: live.now(), unix: live.clock.unix_now() };
    let applied = running.applied();
    Picture {
        at: moment.unix.as_secs_f64(),
        phase: running.phase(),
        connections: running.connections(),
        in_flight: running.in_flight(),
        revision: applied.revision,
        refused: applied.refused.is_some(),
        alerts: running.herald().firing(),
        store: running.store().map(|store| status::of_store(store.standing())),
        shared: running.shared().map(status::of_shared),
        ledger: running.ledger().map(status::of_ledger),
        now: Second::of(&sampled.last()),
        upstreams: table.upstreams.iter().map(|upstream| of_upstream(&table, upstream, moment)).collect(),
        routes: routes(&table, sampled),
    }
}

impl History {
    pub fn of(sampled: &Sampled) -> Self {
        Self { seconds: sampled.seconds().map(Second::of).collect() }
    }
}

impl Second {
    fn of(counted: &Counted) -> Self {
        Self {
            ok: counted.of(RequestOutcome::Ok),
            client_fault: counted.of(RequestOutcome::ClientFault),
            refused: counted.of(RequestOutcome::Refused),
            failed: counted.of(RequestOutcome::Failed),
            broken: counted.of(RequestOutcome::Broken),
            cancelled: counted.of(RequestOutcome::Cancelled),
            saved: counted.saved,
        }
    }
}

fn of_upstream(table: &Table, upstream: &Upstream, moment: Moment) -> UpstreamNow {
    let keys = upstream.credentials.iter().map(|key| status::of_credential(key, None, moment.tick));
    let models = upstream.memory.fixed_models(table);
    let name = &upstream.config.name;
    let said = |model: Option<&str>| Some(table.live.overrides.of(name, model, moment.tick)?.kind.name());
    UpstreamNow {
        name: name.to_string(),
        overridden: said(None),
        configured: upstream.is_configured(),
        health: upstream.memory.health().name(),
        breaker: of_gate(&upstream.memory.gate, moment),
        in_flight: upstream.memory.in_flight.load(Relaxed),
        resting: keys.filter(|key| key.state != "ready").collect(),
        models: models.iter().filter_map(|model| of_model(model, said(Some(&model.name)), moment)).collect(),
    }
}

fn of_model(model: &Model, overridden: Option<&'static str>, moment: Moment) -> Option<ModelNow> {
    let breaker = of_gate(model.gate.as_ref()?, moment);
    let in_flight = model.in_flight();
    let is_well = breaker.state == breaker::State::Closed.name() && !breaker.failing && overridden.is_none();
    if is_well && breaker.ok + breaker.bad + in_flight == 0 {
        return None;
    }
    let latency =
        model.latency(Shape::Stream, moment.tick).or_else(|| model.latency(Shape::Whole, moment.tick));
    let latency_ms = latency.map(|latency| latency.as_secs_f64() * 1e3);
    Some(ModelNow { model: model.name.to_string(), breaker, in_flight, overridden, latency_ms })
}

fn of_gate(gate: &Gate, moment: Moment) -> BreakerNow {
    let Snapshot { state, since, fast, .. } = gate.snapshot(moment.tick);
    let age = moment.tick.since(since);
    BreakerNow {
        state: state.name(),
        failing: matches!(gate.standing(moment.tick), Standing::Last | Standing::TryOne),
        since: moment.unix.saturating_sub(age).as_secs_f64(),
        until_seconds: match state {
            breaker::State::Open { until } => Some(until.since(moment.tick).as_secs_f64()),
            breaker::State::Closed
            | breaker::State::HalfOpen
            | breaker::State::ForcedClosed
            | breaker::State::ForcedOpen
            | breaker::State::MetricsOnly => None,
        },
        ok: fast.ok,
        bad: fast.fail + fast.overload + fast.stream_fail,
    }
}

fn routes(table: &Table, sampled: &Sampled) -> Vec<RouteNow> {
    let mut routes: Vec<RouteNow> =
        table.routes.iter().filter_map(|route| of_route(route, sampled)).collect();
    routes.sort_by(|a, b| b.per_second.total_cmp(&a.per_second));
    routes.truncate(MOST_ROUTES);
    routes
}

fn of_route(route: &Route, sampled: &Sampled) -> Option<RouteNow> {
    let name = &route.config.name;
    let Rates { all, failed, saved } = sampled.rates(name);
    let in_flight = route.memory.in_flight.load(Relaxed);
    let waiting = route.memory.waiting.load(Relaxed) + route.memory.queue.length();
    (all > 0.0 || in_flight + waiting > 0).then(|| RouteNow {
        route: name.to_string(),
        in_flight,
        waiting,
        per_second: all,
        failed_per_second: failed,
        saved_per_second: saved,
    })
}
