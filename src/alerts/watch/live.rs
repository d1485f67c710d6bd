//! What live memory says of upstreams, models, routes, credentials and the store.
//!
//! A model of an upstream that is away says nothing of itself; overload and rate limits are no outage.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Kept;
use super::conditions::{AT_ONCE, Found, Is};
use crate::algo::alarm::lasting::Patience;
use crate::algo::breaker;
use crate::algo::cooldown::Readiness;
use crate::algo::health;
use crate::algo::tick::Tick;
use crate::state::gate::Gate;
use crate::state::upstream::Upstream;
use crate::state::{Channel, Table};
use crate::store::Presence;

/// What is back has to stay for as long.
const STAYS: Duration = Duration::from_secs(30);

/// Upstreams, models of them, and routes of which nothing is left.
pub fn channels(table: &Table, after: Duration) -> Vec<Found> {
    let patience = Patience { begins: after, ends: STAYS };
    let configured = || table.upstreams.iter().filter(|upstream| upstream.is_configured());
    let upstreams = configured().map(|upstream| {
        let is = amiss(upstream).map_or(Is::Well, |why| {
            Is::Amiss(format!(
                "Upstream {} is not asked any more: {why}. Its channels are left out.",
                upstream.config.name
            ))
        });
        Found { subject: format!("upstream {}", upstream.config.name).into(), is, patience }
    });
    let routes = table.routes.iter().filter_map(|route| {
        let mut configured =
            route.channels.iter().filter(|channel| channel.upstream.is_configured()).peekable();
        // One that was never served is no news.
        configured.peek()?;
        let is = if configured.any(|channel| is_served(channel)) {
            Is::Well
        } else {
            let name = &route.config.name;
            Is::Amiss(format!("Route {name} has no channel left: its requests go to its fallback, or fail."))
        };
        let subject = format!("route {}", route.config.name).into();
        Some(Found { subject, is, patience: Patience { begins: AT_ONCE, ends: STAYS } })
    });
    let mut seen = BTreeSet::new();
    let channels = table.routes.iter().flat_map(|route| route.channels.iter());
    let models = channels.filter_map(|channel| {
        let model = channel.own_model()?;
        let gate = model.gate.as_ref()?;
        if !channel.upstream.is_configured() || !seen.insert((channel.upstream_index, &*model.name)) {
            return None;
        }
        let (upstream, name) = (&channel.upstream.config.name, &model.name);
        let is = if amiss(&channel.upstream).is_some() {
            Is::Unsure
        } else if is_open(gate) {
            Is::Amiss(format!(
                "Model {name} of upstream {upstream} is not asked any more: its breaker is open."
            ))
        } else {
            Is::Well
        };
        Some(Found { subject: format!("model {upstream}/{name}").into(), is, patience })
    });
    upstreams.chain(routes).chain(models).collect()
}

/// Keys of upstreams.
pub fn credentials(table: &Table, now: Tick) -> Vec<Found> {
    let patience = Patience { begins: AT_ONCE, ends: AT_ONCE };
    let of = |upstream: &Upstream| {
        let found = upstream.credentials.iter().map(|key| {
            let is = match key.readiness(None, now) {
                Readiness::Disabled { .. } => Is::Amiss(format!(
                    "The provider of upstream {} refuses credential {}: replace it, or see to its account. It is asked again from time to time.",
                    upstream.config.name, key.alias
                )),
                Readiness::Ready => Is::Well,
                // It rests, or has still to prove itself.
                Readiness::Trickle | Readiness::Cooling { .. } => Is::Unsure,
            };
            Found { subject: format!("credential {}", key.alias).into(), is, patience }
        });
        found.collect::<Vec<_>>()
    };
    table.upstreams.iter().flat_map(|upstream| of(upstream)).collect()
}

pub fn store(kept: &Kept, after: Duration) -> Found {
    let (bytes, most) = kept.spooled;
    let half = bytes > most / 2;
    let full = format!("{bytes} of {most} bytes (ledger.spool.max_bytes) are taken");
    let is = match &kept.presence {
        Presence::Away { why } => Is::Amiss(format!(
            "The store takes no rows ({why}). They are kept on disk meanwhile, of which {full}; what comes beyond that is lost."
        )),
        Presence::Here if half => Is::Amiss(format!(
            "The store is so far behind that of the rows on disk {full}; what comes beyond that is lost."
        )),
        Presence::Here => Is::Well,
    };
    // Half a spool did not come about in a moment.
    let begins = if half { AT_ONCE } else { after };
    Found { subject: "store".into(), is, patience: Patience { begins, ends: STAYS } }
}

/// Why it is not asked, if it is not.
fn amiss(upstream: &Upstream) -> Option<&'static str> {
    if upstream.memory.health() == health::State::Down {
        return Some("its probes fail");
    }
    is_open(&upstream.memory.gate).then_some("its breaker is open")
}

/// What somebody has forced open is his affair.
fn is_open(gate: &Gate) -> bool {
    match gate.state() {
        breaker::State::Open { .. } | breaker::State::HalfOpen => true,
        breaker::State::Closed
        | breaker::State::ForcedClosed
        | breaker::State::ForcedOpen
        | breaker::State::MetricsOnly => false,
    }
}

/// Whether requests can be sent there, as far as outages go.
fn is_served(channel: &Channel) -> bool {
    let upstream = &channel.upstream;
    let now = upstream.live.now();
    let is_refused = |readiness| matches!(readiness, Readiness::Disabled { .. });
    let keys = &upstream.credentials;
    let has_key = keys.is_empty() || keys.iter().any(|key| !is_refused(key.readiness(None, now)));
    let model = channel.own_model().and_then(|model| model.gate.as_ref());
    has_key && amiss(upstream).is_none() && !model.is_some_and(is_open)
}
