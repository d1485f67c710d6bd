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
    /// Further names of routes, each with the route's own.
    aliases: Vec<(&'a str, &'a str)>,
    /// Whether what is said is kept as it is said, so that an alias would be known to nobody later.
    kept: Kept,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kept {
    #[default]
    AsItIsMeant,
    AsItIsSaid,
}

/// Which routes a setting can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// Those that say which model they mean.
    OneModel,
    /// Patterns and prefixes too.
    Any,
}

impl<'a> Known<'a> {
    pub(super) fn of(scene: &Scene<'a>, routes: Option<&'a [Route]>, automatic: &'a [Route]) -> Self {
        let upstreams = &scene.file.upstreams.0;
        let names = |routes: &'a [Route]| routes.iter().chain(automatic).map(|route| &*route.name).collect();
        Self {
            upstreams: Some(upstreams.iter().map(|(name, _)| name.as_str()).collect()),
            regions: Some(upstreams.iter().filter_map(|(_, said)| said.region.as_deref()).collect()),
            routes: routes.map(names),
            aliases: aliases(routes.unwrap_or_default().iter()),
            kept: Kept::AsItIsMeant,
        }
    }

    /// What is in force.
    pub fn now(
        upstreams: impl Iterator<Item = &'a Upstream> + Clone,
        routes: impl Iterator<Item = &'a Route> + Clone,
    ) -> Self {
        Self {
            upstreams: Some(upstreams.clone().map(|upstream| &*upstream.name).collect()),
            regions: Some(upstreams.filter_map(|upstream| upstream.region.as_deref()).collect()),
            routes: Some(routes.clone().map(|route| &*route.name).collect()),
            aliases: aliases(routes),
            kept: Kept::AsItIsSaid,
        }
    }

    /// The own name of the route that is called `name`, by that or an alias.
    ///
    /// # Errors
    /// What to write instead.
    pub(super) fn route<'n>(&self, name: &'n str, sort: Sort) -> Result<&'n str, String>
    where
        'a: 'n,
    {
        // A route is wrong, which is said elsewhere.
        let Some(routes) = &self.routes else { return Ok(name) };
        let fits = |name: &str| sort == Sort::Any || says_its_model(name);
        let own = self.aliases.iter().find(|(alias, own)| *alias == name && fits(own)).map(|(_, own)| *own);
        match (own, self.kept) {
            (Some(own), Kept::AsItIsMeant) => Ok(own),
            (Some(own), Kept::AsItIsSaid) => Err(format!("it is an alias: write `{own}`")),
            (None, _) if routes.contains(&name) && fits(name) => Ok(name),
            (None, _) => {
                let known = || routes.iter().copied().filter(|name| fits(name));
                Err(format!("{}known: {}", did_you_mean(name, known()), listed(known())))
            }
        }
    }

    /// Every name will do.
    pub fn anything() -> Self {
        Self::default()
    }
}

fn aliases<'a>(routes: impl Iterator<Item = &'a Route>) -> Vec<(&'a str, &'a str)> {
    routes.flat_map(|route| route.aliases.iter().map(|alias| (&**alias, &*route.name))).collect()
}

fn says_its_model(route: &str) -> bool {
    !route.ends_with('*') && !route.starts_with('/') && !route.starts_with("auto: ")
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
    let upstreams = named("upstreams", "upstream", said.upstreams.as_ref(), known.upstreams.as_deref());
    let regions = named("regions", "upstream's region", said.regions.as_ref(), known.regions.as_deref());
    let routes = said.routes.as_ref().map(|said| {
        let route = |(index, name): (usize, &String)| {
            let route = known.route(name, Sort::Any);
            let own = route.unwrap_or_else(|hint| {
                let message = format!("no route is called `{name}`");
                findings.error(&path.key("routes").index(index), message, hint);
                name
            });
            Arc::from(own)
        };
        said.iter().enumerate().map(route).collect()
    });
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
