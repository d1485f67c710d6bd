//! What somebody of the tree may ask for: every name in it has to mean something.

use std::sync::Arc;

use super::Scene;
use crate::config::blueprint::{Names, Reach, Route, Upstream};
use crate::config::cidr::Cidr;
use crate::config::file::access::Allow;
use crate::config::file::names::endpoints;
use crate::config::nearest::{did_you_mean, listed};
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::dialect::Operation;
use crate::dialect::provider::PROVIDERS;

/// What a reach can name: `None` where that is not asked, or wrong and said elsewhere.
#[derive(Default)]
pub struct Known<'a> {
    upstreams: Option<Vec<&'a str>>,
    regions: Option<Vec<&'a str>>,
    routes: Option<Vec<&'a str>>,
}

impl<'a> Known<'a> {
    pub(super) fn of(scene: &Scene<'a>, routes: Option<&'a [Route]>, automatic: &'a [Route]) -> Self {
        let upstreams = &scene.file.upstreams.0;
        let names = |routes: &'a [Route]| routes.iter().chain(automatic).map(|route| &*route.name).collect();
        Self {
            upstreams: Some(upstreams.iter().map(|(name, _)| name.as_str()).collect()),
            regions: Some(upstreams.iter().filter_map(|(_, said)| said.region.as_deref()).collect()),
            routes: routes.map(names),
        }
    }

    /// What is in force.
    pub fn now(
        upstreams: impl Iterator<Item = &'a Upstream> + Clone,
        routes: impl Iterator<Item = &'a Route>,
    ) -> Self {
        Self {
            upstreams: Some(upstreams.clone().map(|upstream| &*upstream.name).collect()),
            regions: Some(upstreams.filter_map(|upstream| upstream.region.as_deref()).collect()),
            routes: Some(routes.map(|route| &*route.name).collect()),
        }
    }

    /// Whether a request can be given to the route of this name: it says which model that means.
    pub(super) fn has_route(&self, name: &str) -> bool {
        self.routes.is_none() || self.routes().any(|known| known == name)
    }

    /// The names of routes that say which model they mean.
    pub(super) fn routes(&self) -> impl Iterator<Item = &'a str> {
        let exact =
            |name: &&str| !name.ends_with('*') && !name.starts_with('/') && !name.starts_with("auto: ");
        self.routes.clone().unwrap_or_default().into_iter().filter(exact)
    }

    /// The names of all routes, patterns and prefixes included; `None` where a route is wrong, which is said elsewhere.
    pub(super) fn all_routes(&self) -> Option<&[&'a str]> {
        self.routes.as_deref()
    }

    /// Every name will do.
    pub fn anything() -> Self {
        Self::default()
    }
}

/// How far `said` lets one reach. What is wrong with it is reported.
pub fn reach(said: &Allow, path: &Path, known: &Known<'_>, findings: &mut Findings) -> Reach {
    let mut named = |key: &str, what: &str, said: Option<&Vec<String>>, names: Option<&[&str]>| {
        let said = said?;
        let unknown = |name: &&String| names.is_some_and(|names| !names.contains(&name.as_str()));
        for (index, name) in said.iter().enumerate().filter(|(_, name)| unknown(name)) {
            let names = names.unwrap_or_default();
            let hint = format!(
                "{}known: {}",
                did_you_mean(name, names.iter().copied()),
                listed(names.iter().copied())
            );
            findings.error(&path.key(key).index(index), format!("no {what} is called `{name}`"), hint);
        }
        Some(said.iter().map(|name| Arc::from(name.as_str())).collect())
    };
    let routes = named("routes", "route", said.routes.as_ref(), known.routes.as_deref());
    let upstreams = named("upstreams", "upstream", said.upstreams.as_ref(), known.upstreams.as_deref());
    let regions = named("regions", "upstream's region", said.regions.as_ref(), known.regions.as_deref());
    let networks = said.networks.as_ref().map(|said| {
        let block = |(index, text): (usize, &String)| {
            let block = Cidr::parse(text);
            if block.is_none() {
                findings.error(
                    &path.key("networks").index(index),
                    format!("`{text}` is no block of addresses"),
                    "write 10.1.0.0/16, 2001:db8::/32, or one address",
                );
            }
            block
        };
        said.iter().enumerate().filter_map(block).collect()
    });
    // The schema lets nothing else through; what comes by the admin API has not met it.
    let mut closed = |key: &str, said: Vec<&str>, names: Vec<&str>| {
        for (index, name) in said.iter().enumerate().filter(|(_, name)| !names.contains(name)) {
            let hint = format!("known: {}", listed(names.iter().copied()));
            findings.error(&path.key(key).index(index), format!("there is no `{name}`"), hint);
        }
    };
    let said_endpoints = said.endpoints.iter().flatten().map(|name| name.0.as_str()).collect();
    closed("endpoints", said_endpoints, endpoints().map(Operation::name).collect());
    let said_providers = said.providers.iter().flatten().map(|name| name.0.as_str()).collect();
    closed("providers", said_providers, PROVIDERS.iter().map(|row| row.name).collect());
    let models = said.models.as_ref().map(|said| {
        for (index, name) in said.iter().enumerate() {
            if name.is_empty() || name.trim_end_matches('*').contains('*') || name.ends_with("**") {
                findings.error(
                    &path.key("models").index(index),
                    format!("`{name}` is no model's name, nor the beginning of one and a `*`"),
                    "write gpt-5.4, gpt-*, or * for all",
                );
            }
        }
        said.iter().map(|name| Names::parse(name)).collect()
    });
    Reach {
        models,
        routes,
        endpoints: said.endpoints.as_ref().map(|said| {
            endpoints().filter(|endpoint| said.iter().any(|said| said.0 == endpoint.name())).collect()
        }),
        networks,
        upstreams,
        providers: said
            .providers
            .as_ref()
            .map(|said| said.iter().map(|name| Arc::from(name.0.as_str())).collect()),
        regions,
    }
}
