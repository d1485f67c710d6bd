//! From the file's structs to a [`Blueprint`], with everything that only shows when its parts are
//! seen together: names that refer to nothing, loops, URLs, doubles, routes that cannot work.
//!
//! Nothing stops at the first problem. A part that is wrong is left out and the others go on; a
//! `Blueprint` comes out only when nothing was wrong. Ranges and types are [`shape`](super::shape)'s,
//! what is merely unwise is [`lint`](super::lint)'s.

mod access;
mod alerts;
mod automatic;
mod budgets;
mod capture;
mod cors;
mod fallback;
pub mod issuers;
mod ledger;
mod media;
mod operators;
pub mod reach;
mod redis;
mod routes;
mod server;
mod steer;
pub mod store;
mod telemetry;
pub mod tree;
mod upstreams;

use std::sync::Arc;

use reach::Known;

use super::Env;
use super::blueprint::{Blueprint, Route, Telemetry};
use super::file::File;
use super::path::Path;
use super::problem::Findings;
use super::settle;
use super::tree::Node;
use crate::catalog::Catalog;

/// What every check sees: the whole file, as structs and as the tree with its places.
pub struct Scene<'a> {
    pub file: &'a File,
    pub root: &'a Node,
    pub env: &'a dyn Env,
}

pub use server::admin_side;

/// Checks everything. `None` when something has to be mended first.
pub fn check(
    scene: &Scene<'_>,
    catalog: Catalog,
    revision: String,
    findings: &mut Findings,
) -> Option<Blueprint> {
    let server = server::check(scene, findings);
    let ledger = ledger::check(scene, findings);
    let alerts = alerts::check(scene, findings);
    let telemetry = telemetry::check(scene, findings);
    let upstreams = upstreams::check(scene, findings);
    let routes = routes::check(scene, &upstreams, findings);
    let automatic = automatic::routes(scene, &upstreams, &catalog, findings);
    let known = Known::of(scene, routes.as_deref(), &automatic);
    let telemetry = Telemetry { capture: capture::check(scene, &known, findings), ..telemetry };
    let members = tree::tree(scene, &known, findings);
    let keys = access::keys(scene, &members, &known, findings);
    let issuers = issuers::issuers(scene, &members, &known, findings);
    let routes_said = scene.file.routes.iter().enumerate();
    let route_budgets: Vec<_> =
        routes_said.map(|(index, said)| budgets::of_route(said, index, &known, findings)).collect();
    let store = store::check(scene, findings);
    if findings.any_error() {
        return None;
    }
    Some(Blueprint {
        server: server?,
        ledger,
        alerts,
        telemetry,
        access: access::access(scene.file.access),
        members,
        keys,
        issuers,
        key_limits: settle::allowance(&scene.file.defaults.key_limits),
        // A missing one was reported, so that this collects all of them.
        upstreams: upstreams.into_iter().collect::<Option<_>>()?,
        routes: routes?
            .into_iter()
            .zip(route_budgets)
            .map(|(route, budgets)| Route { budgets, ..route })
            .chain(automatic)
            .collect(),
        catalog: Arc::new(catalog),
        retry_budget: settle::budget(&scene.file.server.retry_budget),
        store: store.ok()?,
        revision,
    })
}

/// Where the upstream of this name stands.
pub fn upstream_path(name: &str) -> Path {
    Path::root().key("upstreams").key(name)
}

/// Where the route of this number stands.
pub fn route_path(index: usize) -> Path {
    Path::root().key("routes").index(index)
}

/// Where a channel of a route stands.
pub fn channel_path(route: usize, channel: usize) -> Path {
    route_path(route).key("channels").index(channel)
}

/// Where something about a channel may be said, topmost first.
pub fn channel_layers(route: usize, channel: usize, upstream: &str) -> [Path; 4] {
    [channel_path(route, channel), route_path(route), upstream_path(upstream), Path::root().key("defaults")]
}

/// Names a text: the first 12 hex digits of its SHA-256.
pub fn revision(text: &str) -> String {
    upstreams::short_hash(text)
}
