//! The routing table: one immutable compilation of a blueprint, with `Arc`s to live memory.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use smallvec::{SmallVec, smallvec};

use super::credential::Credential;
use super::listed::Listed;
use super::live::Live;
use super::model::Model;
use super::registry::{First, Registry};
use super::route::Route;
use super::served::{self, Served};
use super::upstream::{self, Upstream};
use crate::algo::budget::Budget;
use crate::algo::name;
use crate::catalog::Catalog;
use crate::config::{self, Blueprint, Matcher, Origin, Pattern, Urgency};
use crate::dialect::entry;
use crate::telemetry::{CredentialHandles, UpstreamHandles};
use crate::vocab::Priority;

#[derive(Debug)]
pub struct Table {
    pub upstreams: Box<[Arc<Upstream>]>,
    pub routes: Box<[Arc<Route>]>,
    pub live: Arc<Live>,
    /// The retry budget that all routes share.
    pub budget: Arc<Mutex<Budget>>,
    pub server: config::Server,
    pub ledger: config::Ledger,
    pub telemetry: config::Telemetry,
    pub alerts: config::Alerts,
    /// How much the requests of callers matter, by the names of the file's keys; for rehearsals, which have names only.
    urgencies: HashMap<Arc<str>, Urgency>,
    /// Of all routes.
    highest: Priority,
    pub revision: String,
    /// What is known of models.
    pub catalog: Arc<Catalog>,
    models: HashMap<Box<str>, usize>,
    /// Prefix and route, longest prefix first; those of automatic routes behind all others.
    patterns: Box<[(String, usize)]>,
    listed: Listed,
    /// Made when it is first asked for: with automatic routes it may have thousands of names.
    served: OnceLock<Box<[Served]>>,
    paths: Box<[(String, usize)]>,
}

impl Table {
    pub fn compile(blueprint: &Blueprint, registry: &mut Registry, live: &Arc<Live>) -> Self {
        // Before anything is forgotten: a registry that is empty by that is not new.
        let first = registry.first();
        registry.retain(blueprint);
        registry.fates.follow(blueprint, &live.metrics);
        live.network.follow(blueprint);
        let upstreams: Box<[_]> = blueprint
            .upstreams
            .iter()
            .map(|settings| Arc::new(compile_upstream(settings, first, registry, live)))
            .collect();
        let routes: Box<[_]> = blueprint
            .routes
            .iter()
            .map(|settings| Arc::new(Route::compile(settings, blueprint, &upstreams, registry, live)))
            .collect();
        registry.recalled();
        let budget = registry.budget(blueprint.retry_budget);
        let mut table = Self {
            upstreams,
            routes,
            live: Arc::clone(live),
            budget,
            server: blueprint.server.clone(),
            ledger: blueprint.ledger.clone(),
            telemetry: blueprint.telemetry.clone(),
            alerts: blueprint.alerts.clone(),
            highest: blueprint.routes.iter().map(|route| route.priority).max().unwrap_or_default(),
            urgencies: blueprint.keys.iter().map(|key| (Arc::clone(&key.name), key.urgency)).collect(),
            revision: blueprint.revision.clone(),
            catalog: Arc::clone(&blueprint.catalog),
            models: HashMap::new(),
            patterns: Box::default(),
            listed: Listed::default(),
            served: OnceLock::new(),
            paths: Box::default(),
        };
        table.index(blueprint);
        // What operators have said holds for what is new as well.
        live.overrides.unsettle();
        table.uphold();
        table
    }

    fn index(&mut self, blueprint: &Blueprint) {
        let (mut patterns, mut paths) = (Vec::new(), Vec::new());
        for (index, route) in blueprint.routes.iter().enumerate() {
            match &route.matcher {
                Matcher::Model { pattern: Pattern::Exact(name) } => {
                    self.models.insert(name.as_str().into(), index);
                }
                Matcher::Model { pattern: Pattern::Prefix(prefix) } => patterns.push((prefix.clone(), index)),
                Matcher::Model { pattern: Pattern::Listed(providers) } => self.listed.add(providers, index),
                Matcher::Path { prefix, .. } => paths.push((prefix.clone(), index)),
            }
            for alias in &route.aliases {
                self.models.insert(alias.as_str().into(), index);
            }
        }
        let longest_first = |a: &(String, usize), b: &(String, usize)| b.0.len().cmp(&a.0.len());
        patterns.sort_by(longest_first);
        patterns.sort_by_key(|(_, index)| blueprint.routes[*index].origin == Origin::Automatic);
        paths.sort_by(longest_first);
        self.patterns = patterns.into();
        self.paths = paths.into();
    }

    /// The route that a model's name means: an exact name or alias, else the longest pattern, else the
    /// automatic route for it.
    pub fn route_of_model(&self, model: &str) -> Option<usize> {
        let by_pattern = || self.patterns.iter().find(|(prefix, _)| model.starts_with(prefix.as_str()));
        let written = self.models.get(model).copied().or_else(|| by_pattern().map(|(_, index)| *index));
        written.or_else(|| self.listed.route_of(&self.catalog, model))
    }

    /// The path route with the longest prefix of `path`. `/orders` means `/orders/` too.
    pub fn route_of_path(&self, path: &str) -> Option<usize> {
        let takes = |prefix: &str| path.starts_with(prefix) || prefix.strip_suffix('/') == Some(path);
        self.paths.iter().find(|(prefix, _)| takes(prefix)).map(|(_, index)| *index)
    }

    /// The same of a path that is [loose](entry::loosely): the route that is meant by it where it is going.
    pub fn route_of_loose_path(&self, path: &[u8]) -> Option<usize> {
        let takes = |prefix: &str| {
            let prefix = entry::loosely(prefix).unwrap_or_else(|| prefix.into());
            path.starts_with(&prefix) || prefix.strip_suffix(b"/") == Some(path)
        };
        self.paths.iter().find(|(prefix, _)| takes(prefix)).map(|(_, index)| *index)
    }

    /// Whether a channel that a request for `model` may come to, by this route or its fallbacks, is known to
    /// lack something that requests may need.
    pub fn is_choosy(&self, route: usize, model: &str) -> bool {
        let lacks = |route: &Arc<Route>| {
            route.channels.iter().any(|channel| channel.facts(&route.config, model).is_choosy())
        };
        self.reach(route).any(lacks)
    }

    /// Whether all channels that a request for `model` may come to, by this route or whatever it falls back to, count
    /// its prompt by the one vocabulary that is known.
    pub fn is_counted(&self, route: usize, model: &str) -> bool {
        self.reach(route).all(|route| route.is_counted(model))
    }

    /// This route, whatever it falls back to, and whatever those do, each once.
    pub fn reach(&self, route: usize) -> impl Iterator<Item = &Arc<Route>> {
        let (mut routes, mut at): (SmallVec<[usize; 4]>, usize) = (smallvec![route], 0);
        std::iter::from_fn(move || {
            let next = &self.routes[*routes.get(at)?];
            for &fallback in &next.config.fallback {
                if !routes.contains(&fallback) {
                    routes.push(fallback);
                }
            }
            at += 1;
            Some(next)
        })
    }

    /// How much a request matters that came to `route` with a key of this `urgency`, and asks for `asked`: whoever
    /// has no leave to ask for more may ask for less.
    pub fn priority(&self, route: usize, urgency: Urgency, asked: Option<Priority>) -> Priority {
        urgency.of(self.routes[route].config.priority, asked)
    }

    /// The most that a request may turn out to matter while its route is not known.
    pub fn highest_priority(&self, urgency: Urgency, asked: Option<Priority>) -> Priority {
        urgency.of(self.highest, asked)
    }

    /// How much requests of the key `name` matter, where the file has it.
    pub fn urgency(&self, name: Option<&str>) -> Urgency {
        name.and_then(|name| self.urgencies.get(name)).copied().unwrap_or_default()
    }

    /// Every model name that can be asked for by name: routes and aliases, patterns not.
    pub fn model_names(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(AsRef::as_ref)
    }

    /// The models that can be asked for by name, each with the index of its route.
    pub fn served_models(&self) -> &[Served] {
        self.served.get_or_init(|| served::models(self))
    }

    /// What is known of models.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Whether a route has exactly this name or alias.
    pub fn is_named(&self, model: &str) -> bool {
        self.models.contains_key(model)
    }

    /// Whether `model` is a name of the configuration's or the catalog's, and none that a caller made up.
    pub fn knows(&self, model: &str) -> bool {
        let is_known = |route: &Route| {
            route.channels.iter().any(|channel| {
                let name = channel.model_name(&route.config, model).unwrap_or(model);
                !channel.has_own_model() && channel.knows(name)
            })
        };
        self.is_named(model) || self.route_of_model(model).is_some_and(|route| is_known(&self.routes[route]))
    }

    /// Every name of the catalog that automatic routes are there for, in order. A written route may take it.
    pub fn listed_names(&self) -> Vec<&str> {
        self.listed.names(&self.catalog)
    }

    /// Lets time act on every breaker. Called a few times a second.
    pub fn expire(&self) {
        let (now, mut dice) = (self.live.now(), self.live.dice());
        for upstream in &self.upstreams {
            upstream.expire(now, &mut dice);
        }
        self.uphold();
    }
}

fn compile_upstream(
    settings: &config::Upstream,
    first: First,
    registry: &mut Registry,
    live: &Arc<Live>,
) -> Upstream {
    let now = live.now();
    let memory = registry.upstream(settings, first, now);
    let credentials = settings
        .credentials
        .iter()
        .map(|key| {
            let own = registry.cell(&settings.name, &key.fingerprint, &settings.cooldown, now);
            let quota = key
                .quota_group
                .as_ref()
                .map(|group| registry.cell(&settings.name, &quota_cell(group), &settings.cooldown, now));
            let rate_key = key.quota_group.clone().unwrap_or_else(|| key.fingerprint.as_str().into());
            Arc::new(Credential {
                alias: key.alias.clone(),
                secret: key.secret.clone(),
                identity: name::number(key.fingerprint.as_bytes()),
                account: name::number(rate_key.as_bytes()),
                rate_key,
                quota: quota.unwrap_or_else(|| Arc::clone(&own)),
                own,
                handles: CredentialHandles::new(&live.metrics, &key.alias),
            })
        })
        .collect();
    Upstream {
        config: settings.clone(),
        memory,
        fate: registry.fates.member(settings),
        way: live.network.way_of(settings),
        credentials,
        handles: UpstreamHandles::new(&live.metrics, &settings.name),
        live: Arc::clone(live),
        identity: name::number(settings.name.as_bytes()),
        cursor: AtomicUsize::new(0),
        keyless: "".into(),
    }
}

/// The name of a quota group's cooldown. The prefix keeps it from ever meaning a fingerprint.
pub(super) fn quota_cell(group: &str) -> String {
    format!("group {group}")
}

impl upstream::Memory {
    /// Models whose names come from the configuration, for labels.
    pub fn fixed_models(&self, table: &Table) -> Vec<Arc<Model>> {
        let mut models: Vec<Arc<Model>> = table
            .routes
            .iter()
            .flat_map(|route| route.channels.iter())
            .filter(|channel| std::ptr::eq(&raw const *channel.upstream.memory, self))
            .filter_map(|channel| channel.fixed.clone())
            .filter(|model| model.gate.is_some())
            .collect();
        models.sort_by(|a, b| a.name.cmp(&b.name));
        models.dedup_by(|a, b| a.name == b.name);
        models
    }
}
