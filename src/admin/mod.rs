//! The operators' side: health, metrics, a look inside, and callers' keys. Its own listener, loopback unless the file
//! says otherwise; where others can reach it, what is not for probes and Prometheus takes `server.admin_token`.
//!
//! Every endpoint is a row of [`ROUTES`] and a function in a file of this room. The gateway itself is
//! seen through [`Running`] only.

mod alerts;
mod budgets;
mod cost;
mod explain;
mod health;
mod keys;
mod limits;
mod metrics;
mod operator;
mod reload;
mod running;
mod simulated;
mod status;
mod trail;
mod usage;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post, put};

use explain::parameter;
pub use operator::Operator;
pub use running::{Applied, Phase, Refused, Reloaded, Running};
pub use trail::{Deed, Trail};

/// What every handler is given.
pub type Seen = State<Arc<dyn Running>>;

/// One endpoint.
struct Route {
    method: &'static str,
    path: &'static str,
    handler: fn() -> MethodRouter<Arc<dyn Running>>,
    doc: &'static str,
}

/// What nobody has to prove anything for: probes and Prometheus have no token.
const OPEN: [&str; 4] = ["/", "/livez", "/readyz", "/metrics"];

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
        doc: "?model=M[&dialect=D][&key=K]: which channels M would go to now, and why not to the others",
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
        method: "GET",
        path: "/admin/limits",
        handler: || get(limits::limits),
        doc: "who has used how much of his limits, here and now",
    },
    Route {
        method: "GET",
        path: "/admin/alerts",
        handler: || get(alerts::alerts),
        doc: "what fires now, how webhooks are, and what has begun and ended lately",
    },
    Route {
        method: "POST",
        path: "/admin/alerts/test",
        handler: || post(alerts::test),
        doc: "[?webhook=NAME]: send a message that says it is a test",
    },
    Route {
        method: "GET",
        path: "/admin/budgets",
        handler: || get(budgets::budgets),
        doc: "who may spend how much, what is spent and reserved, and until when that counts",
    },
    Route {
        method: "GET",
        path: "/admin/usage",
        handler: || get(usage::usage),
        doc: "?by=team,day[&from=DAY&to=DAY&last=7d&month=2026-10&only=NAME=VALUE&at=MODEL&format=csv]: what was used",
    },
    Route {
        method: "GET",
        path: "/admin/ledger",
        handler: || get(usage::ledger),
        doc: "?rows=requests|attempts[&from=DAY&to=DAY&format=csv]: all of them, one by one",
    },
    Route {
        method: "POST",
        path: "/admin/reprice",
        handler: || post(usage::reprice),
        doc: "?from=DAY&to=DAY[&model=M&dry_run=true]: what was used then is priced again",
    },
    Route {
        method: "POST",
        path: "/admin/reload",
        handler: || post(reload::reload),
        doc: "read the configuration again; 422 with the problems if it is not usable",
    },
    Route {
        method: "GET",
        path: "/admin/audit",
        handler: || get(trail::audit),
        doc: "[?before=ID]: who changed what, the newest first",
    },
    Route {
        method: "GET",
        path: "/admin/keys",
        handler: || get(keys::list),
        doc: "callers' keys, those of the file and those made here; never a secret",
    },
    Route {
        method: "POST",
        path: "/admin/keys",
        handler: || post(keys::create),
        doc: "make one: {\"name\": …, \"team\": …, \"allow\": {…}, \"expires\": …}; its secret is in the answer, once",
    },
    Route { method: "GET", path: "/admin/keys/{name}", handler: || get(keys::show), doc: "one of them" },
    Route {
        method: "PATCH",
        path: "/admin/keys/{name}",
        handler: || patch(keys::change),
        doc: "change what is said of it: what is not named stays, null takes out",
    },
    Route {
        method: "DELETE",
        path: "/admin/keys/{name}",
        handler: || delete(keys::delete),
        doc: "end it for good",
    },
    Route {
        method: "POST",
        path: "/admin/keys/{name}/rotate",
        handler: || post(keys::rotate),
        doc: "a new secret; the old one goes on for {\"overlap\": \"24h\"}",
    },
    Route {
        method: "POST",
        path: "/admin/keys/{name}/disable",
        handler: || post(keys::disable),
        doc: "nobody calls with it from now on",
    },
    Route {
        method: "POST",
        path: "/admin/keys/{name}/enable",
        handler: || post(keys::enable),
        doc: "whoever could before can again",
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
    let door = operator::Door::of(&running);
    let routes = ROUTES.iter().fold(Router::new(), |router, route| {
        let handler = (route.handler)();
        let handler = if OPEN.contains(&route.path) {
            handler
        } else {
            handler.layer(from_fn_with_state(door.clone(), operator::admit))
        };
        router.route(route.path, handler)
    });
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
