//! Finds the memory of a name, over reloads. Used only while a table is compiled.
//!
//! A soft change (weights, timeouts, limits, thresholds) keeps the memory; a change of transport
//! (URL, TLS, HTTP version) makes the upstream a new one, because what was learnt of the old address
//! says nothing about the new (RESILIENCE §4.15).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::credential::Cell;
use super::fate::Fates;
use super::memoir::{Memoir, Recall, hash12};
use super::outcomes::Outcomes;
use super::recent::Recent;
use super::{route, upstream};
use crate::algo::budget::{self, Budget};
use crate::algo::cooldown;
use crate::algo::share::Share;
use crate::algo::throttle::Throttle;
use crate::algo::tick::Tick;
use crate::algo::wrr::Smooth;
use crate::config::{self, BaseUrl, Http2, UpstreamTls};
use crate::telemetry::{AttemptHandles, Metrics, RequestHandles};

#[derive(Default)]
pub struct Registry {
    upstreams: HashMap<Arc<str>, Known>,
    cells: HashMap<(Arc<str>, String), Arc<Cell>>,
    routes: HashMap<Arc<str>, Arc<route::Memory>>,
    /// Registering a series costs more than all else in compiling a table, so handles are kept.
    requests: HashMap<Arc<str>, (Vec<&'static str>, Arc<RequestHandles>)>,
    attempts: HashMap<[Arc<str>; 3], Arc<AttemptHandles>>,
    /// The global retry budget.
    budget: Option<Arc<Mutex<Budget>>>,
    pub(super) fates: Fates,
    /// What an earlier process knew, until the first table is compiled.
    recall: Recall,
}

/// Whether a table is the first of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    Yes,
    No,
}

#[derive(Debug)]
struct Known {
    transport: Transport,
    memory: Arc<upstream::Memory>,
}

/// What makes an upstream another one when it changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Transport {
    base: BaseUrl,
    tls: UpstreamTls,
    http2: Http2,
}

impl Transport {
    /// The same for the same transport, in another process too. A simulated upstream has another port each
    /// time.
    pub fn fingerprint(&self, upstream: &config::Upstream) -> String {
        if upstream.simulated.is_some() { "simulated".to_owned() } else { hash12(&format!("{self:?}")) }
    }

    pub fn of(upstream: &config::Upstream) -> Self {
        Self { base: upstream.base.clone(), tls: upstream.tls.clone(), http2: upstream.pool.http2 }
    }
}

impl Registry {
    /// `first` is the table that the process starts with.
    pub fn upstream(
        &mut self,
        settings: &config::Upstream,
        first: First,
        now: Tick,
    ) -> Arc<upstream::Memory> {
        let transport = Transport::of(settings);
        if let Some(known) = self.upstreams.get(&settings.name)
            && known.transport == transport
        {
            known.memory.gate.reconfigure(&settings.breaker, now);
            known.memory.health.lock().reconfigure(settings.probe.settings.clone());
            for model in &known.memory.models {
                model.reconfigure_rooms(settings.concurrency);
            }
            return Arc::clone(&known.memory);
        }
        let name = Arc::clone(&settings.name);
        let memory = Arc::new(match self.recall.upstream(&name, &transport.fingerprint(settings)) {
            Some(kept) => upstream::Memory::recalled(name, settings, kept, now),
            None => upstream::Memory::new(name, settings),
        });
        // A first table starts at full weight; whoever joins a running gateway ramps up.
        if first == First::No {
            memory.ramp(now);
        }
        let known = Known { transport, memory: Arc::clone(&memory) };
        self.upstreams.insert(Arc::clone(&settings.name), known);
        memory
    }

    /// The cooldown called `key` of `upstream`.
    pub fn cell(
        &mut self,
        upstream: &Arc<str>,
        key: &str,
        settings: &cooldown::Settings,
        now: Tick,
    ) -> Arc<Cell> {
        let recall = &mut self.recall;
        let made = || {
            Arc::new(match recall.cell(upstream, key) {
                Some(kept) => Cell::recalled(settings.clone(), &kept, now),
                None => Cell::new(settings.clone()),
            })
        };
        let cell = self.cells.entry((Arc::clone(upstream), key.to_owned())).or_insert_with(made);
        cell.reconfigure(settings);
        Arc::clone(cell)
    }

    pub fn route(&mut self, settings: &config::Route) -> Arc<route::Memory> {
        let made = || {
            Arc::new(route::Memory {
                turn: Mutex::new(Smooth::default()),
                throttle: Mutex::new(Throttle::default()),
                budget: Mutex::new(Budget::new(settings.retry.budget)),
                hedges: Mutex::new(Share::new(settings.hedge.max_share, settings.retry.budget.window)),
                in_flight: 0.into(),
                outcomes: Outcomes::default(),
                waiting: 0.into(),
                mirrors: 0.into(),
                affinity: Recent::default(),
                queue: Arc::default(),
            })
        };
        let memory = self.routes.entry(Arc::clone(&settings.name)).or_insert_with(made);
        memory.budget.lock().reconfigure(settings.retry.budget);
        memory.hedges.lock().reconfigure(settings.hedge.max_share, settings.retry.budget.window);
        Arc::clone(memory)
    }

    /// What is counted on `route`, whose callers speak `dialects`.
    pub fn requests(
        &mut self,
        metrics: &Metrics,
        route: &Arc<str>,
        dialects: &[&'static str],
    ) -> Arc<RequestHandles> {
        if let Some((known, handles)) = self.requests.get(route)
            && known == dialects
        {
            return Arc::clone(handles);
        }
        let handles = Arc::new(RequestHandles::new(metrics, route, dialects));
        self.requests.insert(Arc::clone(route), (dialects.to_vec(), Arc::clone(&handles)));
        handles
    }

    /// What is counted on the channel of `route` to `model` of `upstream`.
    pub fn attempts(&mut self, metrics: &Metrics, names: [Arc<str>; 3]) -> Arc<AttemptHandles> {
        let made = |[route, upstream, model]: &[Arc<str>; 3]| {
            Arc::new(AttemptHandles::new(metrics, route, upstream, model))
        };
        Arc::clone(self.attempts.entry(names).or_insert_with_key(made))
    }

    pub fn budget(&mut self, settings: budget::Settings) -> Arc<Mutex<Budget>> {
        let budget = self.budget.get_or_insert_with(|| Arc::new(Mutex::new(Budget::new(settings))));
        budget.lock().reconfigure(settings);
        Arc::clone(budget)
    }

    /// Takes what an earlier process knew. Before the first table.
    pub fn recall(&mut self, memoir: Memoir) {
        self.recall = Recall::of(memoir);
    }

    /// The first table has taken what it could use.
    pub(super) fn recalled(&mut self) {
        self.recall = Recall::default();
    }

    /// Whether no table was compiled with this registry before.
    pub fn first(&self) -> First {
        if self.upstreams.is_empty() && self.routes.is_empty() { First::Yes } else { First::No }
    }

    /// Forgets what `blueprint` no longer names. Requests in flight keep what they hold.
    pub fn retain(&mut self, blueprint: &config::Blueprint) {
        let upstreams: HashSet<&Arc<str>> = blueprint.upstreams.iter().map(|u| &u.name).collect();
        let routes: HashSet<&Arc<str>> = blueprint.routes.iter().map(|r| &r.name).collect();
        self.upstreams.retain(|name, _| upstreams.contains(name));
        self.cells.retain(|(name, _), _| upstreams.contains(name));
        self.routes.retain(|name, _| routes.contains(name));
        self.requests.retain(|name, _| routes.contains(name));
        self.attempts
            .retain(|[route, upstream, _], _| routes.contains(route) && upstreams.contains(upstream));
    }
}
