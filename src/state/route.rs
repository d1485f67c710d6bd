//! Memory of one route, and a route as a table holds it.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use parking_lot::Mutex;

use super::channel::{Channel, Place};
use super::live::Live;
use super::outcomes::Outcomes;
use super::queue::Queue;
use super::recent::Recent;
use super::registry::Registry;
use super::upstream::Upstream;
use crate::algo::budget::Budget;
use crate::algo::share::Share;
use crate::algo::throttle::Throttle;
use crate::algo::wrr::Smooth;
use crate::config::{self, Blueprint, Continuation, Degradation, Matcher, ModelName, Origin};
use crate::dialect::Dialect;
use crate::dialect::tokens::Vocabulary;
use crate::strategy;
use crate::telemetry::{Metrics, RequestHandles};

/// What is known of a route. Survives reloads by the route's name.
#[derive(Debug)]
pub struct Memory {
    pub turn: Mutex<Smooth>,
    pub throttle: Mutex<Throttle>,
    pub budget: Mutex<Budget>,
    /// What hedges may have, beside `budget`, which they share with retries.
    pub hedges: Mutex<Share>,
    pub in_flight: AtomicU32,
    /// How its requests ended.
    pub outcomes: Outcomes,
    /// Requests that wait for a channel to come back.
    pub waiting: AtomicU32,
    /// Its requests that are mirrored now.
    pub mirrors: AtomicU32,
    /// For `select: sticky`: the identity of the channel that served a conversation last.
    pub affinity: Recent<u64>,
    /// Requests that wait for a place at one of its channels.
    pub queue: Arc<Queue>,
}

/// A route of one table.
pub struct Route {
    pub config: config::Route,
    pub memory: Arc<Memory>,
    pub channels: Box<[Arc<Channel>]>,
    pub handles: Arc<RequestHandles>,
    /// By which vocabulary its channels' models count.
    counts: Counts,
}

/// Whether prompts can be counted as a route's models count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    Known,
    /// Of one at least the vocabulary is not public.
    Unknown,
    /// It is the callers who name a model, and the others can be.
    AsAsked,
}

impl Counts {
    fn of(route: &config::Route, channels: &[Arc<Channel>]) -> Self {
        let by_name = |channel: &Channel| match &channel.config.model {
            // Nobody asks for it by another name than its own.
            ModelName::Fixed(_) | ModelName::AsAsked => channel.model_name(route, "").map(Vocabulary::of),
            ModelName::Suffix => None,
        };
        let of = |channel: &Arc<Channel>| match by_name(channel) {
            Some(Vocabulary::O200k) => Self::Known,
            Some(Vocabulary::Unknown) => Self::Unknown,
            None => Self::AsAsked,
        };
        let all: Vec<Self> = channels.iter().map(of).collect();
        let some = |counts| all.contains(&counts).then_some(counts);
        some(Self::Unknown).or_else(|| some(Self::AsAsked)).unwrap_or(Self::Known)
    }
}

impl Route {
    /// As `settings` describe it, one of `blueprint`'s.
    pub(super) fn compile(
        settings: &config::Route,
        blueprint: &Blueprint,
        upstreams: &[Arc<Upstream>],
        registry: &mut Registry,
        live: &Arc<Live>,
    ) -> Self {
        let compile = |(slot, channel)| {
            let place = Place { slot, route: settings, catalog: &blueprint.catalog };
            Arc::new(Channel::compile(&place, channel, upstreams, registry, live))
        };
        let channels: Box<[_]> = settings.channels.iter().enumerate().map(compile).collect();
        let memory = registry.route(settings);
        let handles = registry.requests(&live.metrics, &settings.name, &dialects(settings, &channels));
        expect(&handles, settings, blueprint, &live.metrics);
        let counts = Counts::of(settings, &channels);
        Self { config: settings.clone(), memory, channels, handles, counts }
    }

    /// Whether all its channels count a prompt for `asked` by the one vocabulary that is known.
    pub fn is_counted(&self, asked: &str) -> bool {
        let names = || self.channels.iter().map(|channel| channel.model_name(&self.config, asked));
        match self.counts {
            Counts::Known => true,
            Counts::Unknown => false,
            Counts::AsAsked => names().all(|name| Vocabulary::of(name.unwrap_or(asked)) == Vocabulary::O200k),
        }
    }
}

/// Lets the series of all that a route may come to begin at 0.
fn expect(handles: &RequestHandles, route: &config::Route, blueprint: &Blueprint, metrics: &Metrics) {
    let name = |index: usize| &*blueprint.routes[index].name;
    handles.expect_shedding(metrics, route.priority);
    if route.select == strategy::Kind::Sticky {
        handles.expect_sessions(metrics);
    }
    if route.cache.enabled {
        handles.expect_cache(metrics);
    }
    if route.origin == Origin::Written {
        handles.expect_failures(metrics, route.fallback.iter().map(|index| name(*index)));
    }
    handles.expect_rules(metrics, route.steering.rules.iter().map(|rule| name(rule.to)));
    if let Some(split) = &route.steering.split {
        handles.expect_arms(metrics, split.arms.iter().map(|arm| &*arm.name));
    }
    if let Some(mirror) = &route.steering.mirror {
        handles.expect_mirrors(metrics, name(mirror.to));
    }
    if route.coalesce {
        handles.expect_coalesced(metrics);
    }
    for way in &route.exhausted.tries {
        match way {
            Degradation::Stale | Degradation::Wait | Degradation::Answer => {
                handles.expect_degraded(metrics, way.name());
            }
            Degradation::Fallback | Degradation::Fail => {}
        }
    }
    if route.continuation != Continuation::Off {
        handles.expect_continuations(metrics);
    }
}

/// The dialects in which a route's callers may come.
fn dialects(route: &config::Route, channels: &[Arc<Channel>]) -> Vec<&'static str> {
    if let Matcher::Path { .. } = route.matcher {
        return vec![Dialect::Http.name()];
    }
    let spoken = |dialect: &Dialect| channels.iter().any(|c| c.upstream.config.speaks.contains(dialect));
    let asked = Dialect::ALL.into_iter().filter(|dialect| *dialect != Dialect::Http);
    asked.filter(spoken).map(Dialect::name).collect()
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Route").field("name", &self.config.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::Given;
    use crate::state::{Live, Registry, Table};

    const ROUTES: &str = "
version: 1
upstreams:
  one: {provider: openai, credentials: [sk-first-secret]}
routes:
  - {model: gpt-5.4, aliases: [smart], channels: [{upstream: one}, {upstream: one, model: o3}]}
  - {model: mixed, channels: [{upstream: one, model: gpt-5.4}, {upstream: one, model: llama}]}
  - {model: 'any-*', channels: [{upstream: one, model: '*'}, {upstream: one, model: gpt-5.4}]}
  - {model: 'g*', channels: [{upstream: one}]}
  - {model: safe, fallback: [next], channels: [{upstream: one, model: gpt-5.4}]}
  - {model: next, fallback: [mixed], channels: [{upstream: one, model: o3}]}
  - {model: sound, fallback: [smart], channels: [{upstream: one, model: gpt-5.4}]}
";

    #[test]
    fn a_prompt_is_counted_where_every_model_that_it_may_go_to_counts_alike() {
        let blueprint = config::load(ROUTES, &Given::default()).expect("a good file").blueprint;
        let table = Table::compile(&blueprint, &mut Registry::default(), &Arc::new(Live::seeded(1)));
        for (asked, by_itself, with_fallbacks) in [
            ("gpt-5.4", true, true),
            ("smart", true, true),
            ("mixed", false, false),
            ("any-gpt-5.4", true, true),
            ("any-llama", false, false),
            ("gpt-4o", true, true),
            ("gemini-3", false, false),
            ("safe", true, false),
            ("next", true, false),
            ("sound", true, true),
        ] {
            let route = table.route_of_model(asked).expect("a route has it");
            assert_eq!(table.routes[route].is_counted(asked), by_itself, "{asked}");
            assert_eq!(table.is_counted(route, asked), with_fallbacks, "{asked}");
            let names = table.routes[route]
                .channels
                .iter()
                .map(|channel| channel.model_name(&table.routes[route].config, asked).unwrap_or(asked));
            let asked_each = names.map(Vocabulary::of).all(|of| of == Vocabulary::O200k);
            assert_eq!(asked_each, by_itself, "{asked}");
        }
    }
}
