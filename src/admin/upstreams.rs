//! Upstreams and routes one by one: as `/admin/status` has them, and what has befallen an upstream lately.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::form::Form;
use super::status::{self, RouteStatus, UpstreamStatus, View};
use super::{Running, Seen, problem};
use crate::route;
use crate::state::Table;

pub(super) const LIST: Form = Form::json::<Upstreams>("in the order of the file");
pub(super) const SHOW: Form = Form::json::<UpstreamStatus>("with `timeline`, its own and its models'")
    .refuses(&[(404, "no upstream is called so")]);
pub(super) const ROUTES: Form = Form::json::<Routes>("in the order of the file, automatic ones behind");
pub(super) const ROUTE: Form =
    Form::json::<RouteStatus>("as `/admin/status` has it").refuses(&[(404, "no route is called so")]);

#[derive(Serialize, JsonSchema)]
pub(super) struct Upstreams {
    upstreams: Vec<UpstreamStatus>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Routes {
    routes: Vec<RouteStatus>,
}

pub(super) async fn list(State(running): Seen) -> Json<Upstreams> {
    Json(Upstreams { upstreams: all(&*running, &running.table()) })
}

pub(super) async fn show(State(running): Seen, Path(name): Path<String>) -> Response {
    match one(&*running, &running.table(), &name) {
        Some(upstream) => Json(upstream).into_response(),
        None => unknown(&running.table(), &name),
    }
}

pub(super) async fn routes(State(running): Seen) -> Json<Routes> {
    let table = running.table();
    Json(Routes { routes: (0..table.routes.len()).map(|index| status::of_route(&table, index)).collect() })
}

pub(super) async fn route(State(running): Seen, Path(name): Path<String>) -> Response {
    let table = running.table();
    let Some(index) = table.routes.iter().position(|route| *route.config.name == *name) else {
        let names = table.routes.iter().map(|route| &*route.config.name);
        return problem(StatusCode::NOT_FOUND, format!("no route is called {name}{}", near(&name, names)));
    };
    Json(status::of_route(&table, index)).into_response()
}

/// Every upstream, briefly.
pub(super) fn all(running: &dyn Running, table: &Table) -> Vec<UpstreamStatus> {
    let now = table.live.now();
    let pools = running.pools();
    let upstreams = table.upstreams.iter().zip(pools);
    upstreams
        .map(|(upstream, pool)| status::of_upstream(table, upstream, pool.counts(), View::Brief, now))
        .collect()
}

/// The upstream of this name, with its timelines.
pub(super) fn one(running: &dyn Running, table: &Table, name: &str) -> Option<UpstreamStatus> {
    let index = table.upstreams.iter().position(|upstream| *upstream.config.name == *name)?;
    let counts = running.pools().get(index)?.counts();
    Some(status::of_upstream(table, &table.upstreams[index], counts, View::Whole, table.live.now()))
}

pub(super) fn unknown(table: &Table, name: &str) -> Response {
    let names = table.upstreams.iter().map(|upstream| &*upstream.config.name);
    problem(StatusCode::NOT_FOUND, format!("no upstream is called {name}{}", near(name, names)))
}

/// `; near it: …`, where something is.
pub(super) fn near<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> String {
    let near = route::closest(name, names);
    if near.is_empty() { String::new() } else { format!("; near it: {}", near.join(", ")) }
}
