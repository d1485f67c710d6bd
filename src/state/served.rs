//! The models that can be asked for by name: what a list of models lists.

use super::route::Route;
use super::table::Table;
use crate::catalog::Date;
use crate::config::{Matcher, Origin, Pattern};

/// A name, and the index of the route that takes it.
pub type Served = (Box<str>, usize);

/// Names and aliases of routes with a configured channel, in the order of the file; behind them, where there
/// are automatic routes, every model of the catalog that a configured channel of its route has.
pub fn models(table: &Table) -> Box<[Served]> {
    let mut models: Vec<Served> = Vec::new();
    for (index, route) in table.routes.iter().enumerate().filter(|(_, route)| route.is_configured()) {
        if let Matcher::Model { pattern: Pattern::Exact(name) } = &route.config.matcher {
            models.push((name.as_str().into(), index));
            models.extend(route.config.aliases.iter().map(|alias| (alias.as_str().into(), index)));
        }
    }
    if table.routes.iter().any(|route| route.config.origin == Origin::Automatic) {
        for name in table.listed_names() {
            let index = table.route_of_model(name).filter(|_| !table.is_named(name));
            models.extend(index.filter(|index| has(table, *index, name)).map(|index| (name.into(), index)));
        }
    }
    models.into()
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
