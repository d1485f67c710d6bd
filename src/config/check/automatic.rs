//! `auto_routes: true`: routes that nobody has to write.
//!
//! For each provider of an upstream there is `provider/*` over all of its upstreams, which passes on names
//! that the catalog does not have, since new models appear every day. A bare model's name goes to whoever
//! has it by the catalog: one route for each set of providers that share models, so their number does not
//! grow with that of the models. A route carries the set's name in metrics, never the model's.

use std::collections::BTreeMap;

use super::Scene;
use super::routes::{name, route};
use crate::catalog::Catalog;
use crate::config::blueprint::{Matcher, Origin, Pattern, Route, Upstream};
use crate::config::file;
use crate::config::problem::Findings;
use crate::dialect::Dialect;
use crate::dialect::provider::Models;

/// Routes behind the written ones; none without `auto_routes: true`.
pub fn routes(
    scene: &Scene<'_>,
    upstreams: &[Option<Upstream>],
    catalog: &Catalog,
    findings: &mut Findings,
) -> Vec<Route> {
    if scene.file.auto_routes != Some(true) {
        return Vec::new();
    }
    let providers = providers(upstreams, catalog);
    let taken = |pattern: &str| scene.file.routes.iter().any(|said| said.model.as_deref() == Some(pattern));
    let below = providers.iter().filter(|provider| !taken(&format!("{}/*", provider.name))).map(|provider| {
        let matcher = Matcher::Model { pattern: Pattern::Prefix(format!("{}/", provider.name)) };
        (matcher, vec![provider], Some("*"))
    });
    let bare = sets(&providers, catalog).into_iter().map(|set| {
        let names = set.iter().map(|provider| provider.name).collect();
        (Matcher::Model { pattern: Pattern::Listed(names) }, set, None)
    });
    let first = scene.file.routes.len();
    let made = below.chain(bare).enumerate().filter_map(|(number, (matcher, providers, model))| {
        let channel = |upstream: &&str| file::Channel {
            upstream: Some((*upstream).to_owned()),
            model: model.map(str::to_owned),
            ..file::Channel::default()
        };
        let upstreams_of = providers.iter().flat_map(|provider| provider.upstreams.iter());
        let said = file::Route { channels: upstreams_of.map(channel).collect(), ..file::Route::default() };
        let name = format!("auto: {}", name(&matcher));
        let route = route(scene, upstreams, &said, first + number, matcher, findings)?;
        Some(Route { name: name.into(), origin: Origin::Automatic, ..route })
    });
    made.collect()
}

/// A provider of upstreams, and those upstreams.
struct Served<'a> {
    name: &'static str,
    upstreams: Vec<&'a str>,
}

/// The providers whose models the catalog knows, and those who relay to others, in the order of the file.
fn providers<'a>(upstreams: &'a [Option<Upstream>], catalog: &Catalog) -> Vec<Served<'a>> {
    let mut providers: Vec<Served<'a>> = Vec::new();
    for upstream in upstreams.iter().flatten() {
        let row = upstream.provider;
        if upstream.speaks.iter().all(|dialect| *dialect == Dialect::Http) {
            continue;
        }
        if let Some(known) = providers.iter_mut().find(|known| known.name == row.name) {
            known.upstreams.push(&upstream.name);
        } else if row.models == Models::Relayed || catalog.knows(row.name) {
            providers.push(Served { name: row.name, upstreams: vec![&upstream.name] });
        }
    }
    providers
}

/// Every set of providers that have a model of the same name.
fn sets<'p, 'u>(providers: &'p [Served<'u>], catalog: &Catalog) -> Vec<Vec<&'p Served<'u>>> {
    let mut having: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, provider) in providers.iter().enumerate() {
        for (model, _) in catalog.models_of(provider.name) {
            having.entry(model).or_default().push(index);
        }
    }
    let mut sets: Vec<Vec<usize>> = having.into_values().collect();
    sets.sort();
    sets.dedup();
    sets.into_iter().map(|set| set.into_iter().map(|index| &providers[index]).collect()).collect()
}
