//! The models that can be asked for by name: what a list of models lists.

use std::collections::{BTreeSet, HashSet};

use super::route::Route;
use super::table::Table;
use crate::catalog::Date;
use crate::config::{Matcher, ModelName, Origin, Pattern};

/// A name, and the index of the route that takes it.
pub type Served = (Box<str>, usize);

/// Names and aliases of routes with a configured channel, in the order of the file, and in the places of patterns what
/// they stand for: every model of the catalog that one of the route's configured channels has. Behind them, where there
/// are automatic routes, every other one that a configured channel of its route has.
pub fn models(table: &Table) -> Box<[Served]> {
    let mut models: Vec<Served> = Vec::new();
    for (index, route) in table.routes.iter().enumerate().filter(|(_, route)| route.is_configured()) {
        let Matcher::Model { pattern } = &route.config.matcher else { continue };
        match pattern {
            Pattern::Exact(name) => {
                models.push((name.as_str().into(), index));
                models.extend(route.config.aliases.iter().map(|alias| (alias.as_str().into(), index)));
            }
            Pattern::Prefix(prefix) if route.config.origin != Origin::Automatic => {
                models
                    .extend(meant(table, route, prefix, index).into_iter().map(|name| (name.into(), index)));
            }
            Pattern::Prefix(_) | Pattern::Listed(_) => {}
        }
    }
    if table.routes.iter().any(|route| route.config.origin == Origin::Automatic) {
        let known: HashSet<Box<str>> = models.iter().map(|(name, _)| name.clone()).collect();
        for name in table.listed_names() {
            let index = table.route_of_model(name).filter(|_| !known.contains(name) && !table.is_named(name));
            models.extend(index.filter(|index| has(table, *index, name)).map(|index| (name.into(), index)));
        }
    }
    models.into()
}

/// Every name that begins like the pattern of the route `index`, comes to it, and is one that the catalog has at a
/// configured channel; in order.
fn meant(table: &Table, route: &Route, prefix: &str, index: usize) -> Vec<String> {
    let mut names = BTreeSet::new();
    for channel in route.channels.iter().filter(|channel| channel.upstream.is_configured()) {
        for (name, _) in table.catalog().models_of(channel.upstream.config.provider.name) {
            match &channel.config.model {
                ModelName::AsAsked if name.starts_with(prefix) => names.insert(name.to_owned()),
                ModelName::Suffix => names.insert(format!("{prefix}{name}")),
                // Asked for by any name, it is one model.
                ModelName::AsAsked | ModelName::Fixed(_) => false,
            };
        }
    }
    let comes_here = |name: &String| table.route_of_model(name) == Some(index) && has(table, index, name);
    names.into_iter().filter(comes_here).collect()
}

/// Whether a configured channel of the route serves `model` as far as the catalog knows. A written pattern
/// may send a model's name to somebody who does not have it; what was turned off before the catalog's day is
/// asked for in vain.
fn has(table: &Table, route: usize, model: &str) -> bool {
    let route = &table.routes[route];
    route.channels.iter().filter(|channel| channel.upstream.is_configured()).any(|channel| {
        let name = channel.model_name(&route.config, model).unwrap_or(model);
        let entry = table.catalog.find(channel.upstream.config.provider.name, name);
        let is_on = |day: Date| day > table.catalog.as_of();
        entry.is_some_and(|entry| entry.deprecated_on().is_none_or(is_on))
    })
}

impl Route {
    /// Some channel can be used.
    pub fn is_configured(&self) -> bool {
        self.channels.iter().any(|channel| channel.upstream.is_configured())
    }
}
