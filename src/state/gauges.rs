//! Writes every gauge from live memory. Called when somebody scrapes, so that no gauge is ever
//! counted up and down along the path of a request, and none can drift.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::channel::Channel;
use super::credential::Credential;
use super::gate::{Gate, Standing};
use super::model::Model;
use super::table::Table;
use crate::algo::breaker::State;
use crate::algo::cooldown::Readiness;
use crate::algo::health;
use crate::algo::quota::PerLimit;
use crate::algo::tick::Tick;
use crate::telemetry::{Gauges, catalogue as c};

const BREAKER_STATES: [&str; 6] =
    ["closed", "open", "half_open", "forced_closed", "forced_open", "metrics_only"];
/// Of limits, as a label has them.
const KINDS: PerLimit<&str> =
    PerLimit { requests: "requests", input: "input", output: "output", tokens: "tokens" };
const CREDENTIAL_STATES: [&str; 3] = ["ready", "cooling", "dead"];
const HEALTH_STATES: [&str; 3] = ["unknown", "up", "down"];

impl Table {
    pub fn export(&self) {
        let gauges = Gauges(&self.live.metrics);
        let now = self.live.now();
        let age = self.live.clock.unix_now().as_secs_f64() - self.catalog.as_of().unix_seconds() as f64;
        gauges.set(&c::CATALOG_AGE, &[], age.max(0.0));
        gauges.set(&c::CATALOG_MODELS, &[], self.catalog.models() as f64);
        gauges.set(&c::NETWORK_SUSPECTED, &[], f64::from(u8::from(self.live.network.is_suspected(now))));
        gauges.set(&c::MEMORY_HELD, &[], self.live.holdings.bytes() as f64);
        gauges.set(&c::MEMORY_LIMIT, &[], self.server.limits.memory as f64);
        gauges.set(&c::SERIES, &[], self.live.metrics.len() as f64);
        self.export_overrides(&gauges, now);
        for route in &self.routes {
            let name: &str = &route.config.name;
            let all = route.channels.len();
            let available = route.channels.iter().filter(|channel| is_available(channel, now)).count();
            gauges.set(&c::ROUTE_CHANNELS, &[name, "available"], available as f64);
            gauges.set(&c::ROUTE_CHANNELS, &[name, "unavailable"], (all - available) as f64);
            gauges.set(&c::IN_FLIGHT, &[name], f64::from(route.memory.in_flight.load(Relaxed)));
            if route.config.steering.mirror.is_some() {
                gauges.set(&c::MIRRORS, &[name], f64::from(route.memory.mirrors.load(Relaxed)));
            }
            gauges.set(&c::WAITING, &[name], f64::from(route.memory.waiting.load(Relaxed)));
            gauges.set(&c::QUEUE_DEPTH, &[name], f64::from(route.memory.queue.length()));
            gauges.set(&c::RETRY_TOKENS, &[name], route.memory.budget.lock().balance(now));
        }
        for upstream in &self.upstreams {
            let name: &str = &upstream.config.name;
            let health = upstream.memory.health();
            gauges.one_of(&c::UPSTREAM_HEALTH, &[name], &HEALTH_STATES, health.name());
            breaker(&gauges, &[name, ""], &upstream.memory.gate, now);
            let mut others = upstream.memory.in_flight.load(Relaxed);
            let models = upstream.memory.fixed_models(self);
            for model in &models {
                if let Some(gate) = &model.gate {
                    breaker(&gauges, &[name, &model.name], gate, now);
                }
                let in_flight = model.in_flight();
                others = others.saturating_sub(in_flight);
                gauges.set(&c::ATTEMPTS_IN_FLIGHT, &[name, &model.name], f64::from(in_flight));
            }
            gauges.set(&c::ATTEMPTS_IN_FLIGHT, &[name, "other"], f64::from(others));
            for credential in &upstream.credentials {
                let (state, seconds) = match credential.readiness(None, now) {
                    Readiness::Ready | Readiness::Trickle => ("ready", 0.0),
                    Readiness::Cooling { until, .. } => ("cooling", seconds_until(until, now)),
                    Readiness::Disabled { recheck_at } => ("dead", seconds_until(recheck_at, now)),
                };
                gauges.set(&c::COOLDOWN_SECONDS, &[&credential.alias], seconds);
                gauges.one_of(&c::CREDENTIAL_STATE, &[&credential.alias], &CREDENTIAL_STATES, state);
                quotas(&gauges, &credential.alias, &credential.rate_key, &models, now);
                for model in &models {
                    let room = model.room(&credential.rate_key, upstream.config.concurrency);
                    let labels = [&*credential.alias, &*model.name];
                    gauges.set(&c::CONCURRENCY_LIMIT, &labels, f64::from(room.most()));
                }
            }
            if upstream.credentials.is_empty() {
                quotas(&gauges, name, &upstream.keyless, &models, now);
                for model in &models {
                    let room = model.room(&upstream.keyless, upstream.config.concurrency);
                    gauges.set(&c::CONCURRENCY_LIMIT, &[name, &model.name], f64::from(room.most()));
                }
            }
        }
    }
}

/// A breaker's state, and when it lets a trial pass.
fn breaker(gauges: &Gauges<'_>, labels: &[&str; 2], gate: &Gate, now: Tick) {
    let state = gate.state();
    gauges.one_of(&c::BREAKER_STATE, labels, &BREAKER_STATES, state.name());
    let until_trial = match state {
        State::Open { until } => seconds_until(until, now),
        State::Closed | State::HalfOpen | State::ForcedClosed | State::ForcedOpen | State::MetricsOnly => 0.0,
    };
    gauges.set(&c::BREAKER_TRIAL, labels, until_trial);
}

/// Whether a request could be given to it, as far as that does not follow from the request.
fn is_available(channel: &Channel, now: Tick) -> bool {
    let (upstream, model) = (&channel.upstream, channel.own_model());
    let passes = |gate: &Gate| !matches!(gate.standing(now), Standing::Refused { .. });
    let is_ready =
        |key: &Arc<Credential>| matches!(key.readiness(None, now), Readiness::Ready | Readiness::Trickle);
    upstream.is_configured()
        && upstream.memory.health() != health::State::Down
        && passes(&upstream.memory.gate)
        && model.and_then(|model| model.gate.as_ref()).is_none_or(passes)
        && (upstream.credentials.is_empty() || upstream.credentials.iter().any(is_ready))
}

fn quotas(gauges: &Gauges<'_>, alias: &str, key: &Arc<str>, models: &[Arc<Model>], now: Tick) {
    for model in models {
        let Some(quota) = model.quota(key) else { continue };
        let left = quota.lock().left(now);
        for (left, kind) in left.zip(KINDS) {
            // What was said has had its time, and nobody knows more.
            gauges.set(
                &c::QUOTA_LEFT,
                &[alias, &model.name, kind],
                left.map_or(f64::NAN, |left| left as f64),
            );
        }
    }
}

fn seconds_until(tick: Tick, now: Tick) -> f64 {
    tick.since(now).as_secs_f64()
}
