//! The operators' side: health, metrics, and a look inside. Its own listener, loopback unless the file
//! says otherwise; it knows no keys yet, so `check` warns of an address that others can reach.
//!
//! Every endpoint is a row of [`ROUTES`] and a function in a file of this room. The gateway itself is
//! seen through [`Running`] only.

mod cost;
mod explain;
mod health;
mod metrics;
mod reload;
mod running;
mod simulated;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};

pub use running::{Applied, Phase, Refused, Reloaded, Running};

/// What every handler is given.
pub type Seen = State<Arc<dyn Running>>;

/// One endpoint.
struct Route {
    method: &'static str,
    path: &'static str,
    handler: fn() -> MethodRouter<Arc<dyn Running>>,
    doc: &'static str,
}

/// Every endpoint, in the order in which the index lists them.
const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/", handler: || get(index), doc: "this list" },
    Route {
        method: "GET",
        path: "/livez",
        handler: || get(health::livez),
        doc: "200 while the process runs",
    },
    Route {
        method: "GET",
        path: "/readyz",
        handler: || get(health::readyz),
        doc: "200 while callers should be sent here, else 503 and why",
    },
    Route { method: "GET", path: "/metrics", handler: || get(metrics::metrics), doc: "Prometheus text" },
    Route {
        method: "GET",
        path: "/admin/status",
        handler: || get(status::status),
        doc: "upstreams, credentials and channels with their state",
    },
    Route {
        method: "GET",
        path: "/admin/explain",
        handler: || get(explain::explain),
        doc: "?model=M[&dialect=D]: which channels M would go to now, and why not to the others",
    },
    Route {
        method: "GET",
        path: "/admin/cost",
        handler: || get(cost::cost),
        doc: "?model=M[,M2]&input=N&output=N[&cached=N&tier=T]: what that would cost",
    },
    Route {
        method: "POST",
        path: "/admin/estimate",
        handler: || post(cost::estimate).layer(DefaultBodyLimit::max(cost::LONGEST)),
        doc: "[?path=/v1/messages]: what the request in the body would cost at each channel of its route",
    },
    Route {
        method: "POST",
        path: "/admin/reload",
        handler: || post(reload::reload),
        doc: "read the configuration again; 422 with the problems if it is not usable",
    },
    Route {
        method: "GET",
        path: "/admin/simulated/{upstream}",
        handler: || get(simulated::show),
        doc: "the faults of a simulated upstream, and what it has seen",
    },
    Route {
        method: "PUT",
        path: "/admin/simulated/{upstream}",
        handler: || put(simulated::set),
        doc: "switch faults on: {\"fault\": \"refuse\"}, a rule, or a list of rules",
    },
    Route {
        method: "DELETE",
        path: "/admin/simulated/{upstream}",
        handler: || delete(simulated::clear),
        doc: "make it well again",
    },
];

/// The admin listener's service.
pub fn router(running: Arc<dyn Running>) -> Router {
    let routes =
        ROUTES.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handler)()));
    routes.fallback(nowhere).with_state(running)
}

async fn index() -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], list()).into_response()
}

fn list() -> String {
    let row = |route: &Route| format!("{:<7}{:<30}{}\n", route.method, route.path, route.doc);
    ROUTES.iter().map(row).collect()
}

async fn nowhere() -> Response {
    problem(StatusCode::NOT_FOUND, "no such endpoint; GET / lists them")
}

/// A refusal, as JSON.
fn problem(status: StatusCode, message: impl Into<String>) -> Response {
    (status, axum::Json(serde_json::json!({ "error": message.into() }))).into_response()
}

#[cfg(test)]
mod tests;
