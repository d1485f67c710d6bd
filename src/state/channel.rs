//! A channel: one upstream that serves one model in a route, as the routing table has it.

use std::sync::Arc;

use http::HeaderValue;

use super::live::Live;
use super::model::Model;
use super::registry::Registry;
use super::upstream::Upstream;
use crate::algo::name;
use crate::algo::tick::Tick;
use crate::catalog::{self, Catalog, Cost, Date, Rates, Tier};
use crate::config::{self, Matcher, ModelName, Origin, Pattern};
use crate::telemetry::AttemptHandles;
use crate::vocab::{Facts, Usage};

/// One upstream serving one model in a route.
pub struct Channel {
    /// Its place among the route's channels.
    pub slot: usize,
    /// Index into [`Table::upstreams`](super::Table::upstreams).
    pub upstream_index: usize,
    pub upstream: Arc<Upstream>,
    pub config: config::Channel,
    /// `upstream/model`, as answers and logs show it.
    pub label: Box<str>,
    pub handles: Arc<AttemptHandles>,
    /// The label as a number: the same after a reload, and on every replica.
    pub identity: u64,
    /// The label, ready to be an answer's header.
    pub label_header: HeaderValue,
    /// What is known of the channel's own model.
    facts: Facts,
    /// And its prices, if they are.
    rates: Option<Rates>,
    catalog: Arc<Catalog>,
    /// The memory of the channel's own model; under a pattern, callers name the model.
    pub(super) fixed: Option<Arc<Model>>,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("label", &self.label).finish_non_exhaustive()
    }
}

/// Where a channel stands.
pub(super) struct Place<'a> {
    pub slot: usize,
    pub route: &'a config::Route,
    pub catalog: &'a Arc<Catalog>,
}

impl Channel {
    pub(super) fn compile(
        place: &Place<'_>,
        settings: &config::Channel,
        upstreams: &[Arc<Upstream>],
        registry: &mut Registry,
        live: &Arc<Live>,
    ) -> Self {
        let Place { slot, route, catalog } = *place;
        let upstream = Arc::clone(&upstreams[settings.upstream]);
        let name = match (&settings.model, &route.matcher) {
            (ModelName::Fixed(name), Matcher::Model { .. }) => Some(&**name),
            (ModelName::AsAsked, Matcher::Model { pattern: Pattern::Exact(name) }) => Some(name.as_str()),
            (_, Matcher::Path { .. }) => Some(""),
            (ModelName::AsAsked | ModelName::Suffix, Matcher::Model { .. }) => None,
        };
        let fixed = name.map(|name| {
            let breaker = matches!(route.matcher, Matcher::Model { .. }).then_some(&settings.breaker);
            let model = upstream.memory.model(name, breaker);
            model.configure();
            if let Some(gate) = &model.gate {
                gate.reconfigure(&settings.breaker, live.now());
            }
            model
        });
        let provider = upstream.config.provider.name;
        let facts = name.map(|name| catalog.facts(provider, name)).unwrap_or_default();
        let rates = name.and_then(|name| catalog.find(provider, name)).map(|entry| Rates::of(&entry));
        let pattern = match route.origin {
            Origin::Written => &*route.name,
            Origin::Automatic => "*",
        };
        let shown = name.unwrap_or(pattern);
        let upstream_name = &upstream.config.name;
        let label =
            if shown.is_empty() { upstream_name.to_string() } else { format!("{upstream_name}/{shown}") };
        let names = [Arc::clone(&route.name), Arc::clone(upstream_name), shown.into()];
        Self {
            slot,
            upstream_index: settings.upstream,
            // Names with anything but visible ASCII are shown in logs only.
            label_header: HeaderValue::from_str(&label).unwrap_or(HeaderValue::from_static("-")),
            identity: name::number(label.as_bytes()),
            label: label.into(),
            handles: registry.attempts(&live.metrics, names),
            config: settings.clone(),
            facts,
            rates,
            catalog: Arc::clone(catalog),
            fixed,
            upstream,
        }
    }

    /// The name under which the upstream knows what the caller calls `asked`; `None` leaves it.
    pub fn model_name<'a>(&'a self, route: &'a config::Route, asked: &'a str) -> Option<&'a str> {
        match &self.config.model {
            // An alias, and a fallback from another route, mean the route's own model.
            ModelName::AsAsked => match &route.matcher {
                Matcher::Model { pattern: Pattern::Exact(name) } => Some(name),
                Matcher::Model { pattern: Pattern::Prefix(_) | Pattern::Listed(_) }
                | Matcher::Path { .. } => None,
            },
            ModelName::Fixed(name) => Some(name),
            ModelName::Suffix => match &route.matcher {
                Matcher::Model { pattern } => pattern.rest(asked).filter(|rest| !rest.is_empty()),
                Matcher::Path { .. } => None,
            },
        }
    }

    /// Whether this name of a model is one of the configuration's or the catalog's, whoever says it.
    pub fn knows(&self, model: &str) -> bool {
        self.fixed.is_some() || self.catalog.exactly(self.upstream.config.provider.name, model).is_some()
    }

    /// The name that tells which model its upstream has under this one.
    pub fn known_as<'a>(&'a self, model: &'a str) -> &'a str {
        self.catalog.known_as(self.upstream.config.provider.name, model)
    }

    /// What is known of the model that this channel would serve for `asked`.
    pub fn facts(&self, route: &config::Route, asked: &str) -> Facts {
        if self.fixed.is_some() {
            return self.facts;
        }
        let name = self.model_name(route, asked).unwrap_or(asked);
        self.catalog.facts(self.upstream.config.provider.name, name)
    }

    /// What the model would charge for a prompt and an answer of so many tokens, in nano-USD at standard
    /// prices and with nothing cached; `None` where nobody knows its prices.
    pub fn cost(&self, route: &config::Route, asked: &str, prompt: u64, answer: u64) -> Option<u64> {
        let name = self.model_name(route, asked).unwrap_or(asked);
        let entry = self.catalog.find(self.upstream.config.provider.name, name)?;
        let prices = entry.prices(self.upstream.live.clock.today());
        let usage = Usage { input: prompt, output: answer, ..Usage::default() };
        catalog::cost(&prices, Tier::Standard, &usage).map(|cost| cost.money.as_nano_usd())
    }

    /// What its upstream's provider charges for `usage` of the model of this name, by an attempt that began at `begun`;
    /// `None` where nobody knows.
    pub fn charge(&self, model: &str, usage: &Usage, begun: Tick) -> Option<Cost> {
        let clock = &self.upstream.live.clock;
        self.charge_on(model, usage, Date::of_unix(clock.unix_at(begun).as_secs()))
    }

    /// The same by an attempt that began on a day.
    pub fn charge_on(&self, model: &str, usage: &Usage, on: Date) -> Option<Cost> {
        if self.fixed.is_some() {
            return catalog::charge(usage, || self.rates.as_ref().map(|rates| rates.prices(on)));
        }
        self.catalog.cost(self.upstream.config.provider.name, model, usage, on)
    }

    /// The memory of its own model, where the configuration names it.
    pub const fn own_model(&self) -> Option<&Arc<Model>> {
        self.fixed.as_ref()
    }

    /// Whether the configuration names its model; else callers do.
    pub const fn has_own_model(&self) -> bool {
        self.fixed.is_some()
    }

    /// The memory of the model that this channel would serve for `asked`.
    pub fn model(&self, route: &config::Route, asked: &str) -> Arc<Model> {
        self.fixed.clone().unwrap_or_else(|| {
            let name = self.model_name(route, asked).unwrap_or(asked);
            self.upstream.memory.model(name, Some(&self.config.breaker))
        })
    }
}
