//! Every endpoint of the admin side: the one table from which the router, the index, the document and the tests are made.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, delete, get, patch, post, put};

use super::form::Form;
use super::{
    Running, alerts, budgets, cost, explain, health, index, keys, limits, metrics, reload, simulated, status,
    trail, usage,
};
use crate::vocab::OperatorScope as Scope;

/// One endpoint.
pub(super) struct Route {
    pub method: &'static str,
    pub path: &'static str,
    /// What an operator needs for it.
    pub scope: Scope,
    pub handler: fn() -> MethodRouter<Arc<dyn Running>>,
    /// What it takes and gives.
    pub form: &'static Form,
    /// What it is for.
    pub doc: &'static str,
}

/// In the order in which the index lists them.
pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/",
        scope: Scope::Open,
        handler: || get(index::index),
        form: &index::INDEX,
        doc: "this list",
    },
    Route {
        method: "GET",
        path: "/livez",
        scope: Scope::Open,
        handler: || get(health::livez),
        form: &health::LIVEZ,
        doc: "200 while the process runs",
    },
    Route {
        method: "GET",
        path: "/readyz",
        scope: Scope::Open,
        handler: || get(health::readyz),
        form: &health::READYZ,
        doc: "200 while callers should be sent here, else 503 and why",
    },
    Route {
        method: "GET",
        path: "/metrics",
        scope: Scope::Open,
        handler: || get(metrics::metrics),
        form: &metrics::METRICS,
        doc: "Prometheus text",
    },
    Route {
        method: "GET",
        path: "/admin/status",
        scope: Scope::Read,
        handler: || get(status::status),
        form: &status::STATUS,
        doc: "upstreams, credentials and channels with their state",
    },
    Route {
        method: "GET",
        path: "/admin/explain",
        scope: Scope::Read,
        handler: || get(explain::explain),
        form: &explain::EXPLAIN,
        doc: "which channels a model would go to now, and why not to the others",
    },
    Route {
        method: "GET",
        path: "/admin/cost",
        scope: Scope::Read,
        handler: || get(cost::cost),
        form: &cost::COST,
        doc: "what so many tokens would cost",
    },
    Route {
        method: "POST",
        path: "/admin/estimate",
        scope: Scope::Read,
        handler: || post(cost::estimate).layer(DefaultBodyLimit::max(cost::LONGEST)),
        form: &cost::ESTIMATE,
        doc: "what the request in the body would cost at each channel of its route",
    },
    Route {
        method: "GET",
        path: "/admin/limits",
        scope: Scope::Read,
        handler: || get(limits::limits),
        form: &limits::LIMITS,
        doc: "who has used how much of his limits, here and now",
    },
    Route {
        method: "GET",
        path: "/admin/alerts",
        scope: Scope::Read,
        handler: || get(alerts::alerts),
        form: &alerts::ALERTS,
        doc: "what fires now, how webhooks are, and what has begun and ended lately",
    },
    Route {
        method: "POST",
        path: "/admin/alerts/test",
        scope: Scope::Operate,
        handler: || post(alerts::test),
        form: &alerts::TEST,
        doc: "send a message that says it is a test",
    },
    Route {
        method: "GET",
        path: "/admin/budgets",
        scope: Scope::Usage,
        handler: || get(budgets::budgets),
        form: &budgets::BUDGETS,
        doc: "who may spend how much, what is spent and reserved, and until when that counts",
    },
    Route {
        method: "GET",
        path: "/admin/usage",
        scope: Scope::Usage,
        handler: || get(usage::usage),
        form: &usage::USAGE,
        doc: "what was used, in sums",
    },
    Route {
        method: "GET",
        path: "/admin/ledger",
        scope: Scope::Usage,
        handler: || get(usage::ledger),
        form: &usage::LEDGER,
        doc: "what was used, request by request",
    },
    Route {
        method: "POST",
        path: "/admin/reprice",
        scope: Scope::Operate,
        handler: || post(usage::reprice),
        form: &usage::REPRICE,
        doc: "what was used in these days is priced again",
    },
    Route {
        method: "POST",
        path: "/admin/reload",
        scope: Scope::Operate,
        handler: || post(reload::reload),
        form: &reload::RELOAD,
        doc: "read the configuration again",
    },
    Route {
        method: "GET",
        path: "/admin/audit",
        scope: Scope::Audit,
        handler: || get(trail::audit),
        form: &trail::AUDIT,
        doc: "who changed what, the newest first",
    },
    Route {
        method: "GET",
        path: "/admin/keys",
        scope: Scope::Keys,
        handler: || get(keys::list),
        form: &keys::LIST,
        doc: "callers' keys, those of the file and those made here; never a secret",
    },
    Route {
        method: "POST",
        path: "/admin/keys",
        scope: Scope::Keys,
        handler: || post(keys::create),
        form: &keys::CREATE,
        doc: "make one; its secret is in the answer, once",
    },
    Route {
        method: "GET",
        path: "/admin/keys/{name}",
        scope: Scope::Keys,
        handler: || get(keys::show),
        form: &keys::SHOW,
        doc: "one of them",
    },
    Route {
        method: "PATCH",
        path: "/admin/keys/{name}",
        scope: Scope::Keys,
        handler: || patch(keys::change),
        form: &keys::CHANGE,
        doc: "change what is said of it: what is not named stays, null takes out",
    },
    Route {
        method: "DELETE",
        path: "/admin/keys/{name}",
        scope: Scope::Keys,
        handler: || delete(keys::delete),
        form: &keys::DELETE,
        doc: "end it for good",
    },
    Route {
        method: "POST",
        path: "/admin/keys/{name}/rotate",
        scope: Scope::Keys,
        handler: || post(keys::rotate),
        form: &keys::ROTATE,
        doc: "a new secret; the old one goes on for a day, or for {\"overlap\": \"24h\"}",
    },
    Route {
        method: "POST",
        path: "/admin/keys/{name}/disable",
        scope: Scope::Keys,
        handler: || post(keys::disable),
        form: &keys::DISABLE,
        doc: "nobody calls with it from now on",
    },
    Route {
        method: "POST",
        path: "/admin/keys/{name}/enable",
        scope: Scope::Keys,
        handler: || post(keys::enable),
        form: &keys::ENABLE,
        doc: "whoever could before can again",
    },
    Route {
        method: "GET",
        path: "/admin/simulated/{upstream}",
        scope: Scope::Read,
        handler: || get(simulated::show),
        form: &simulated::SHOW,
        doc: "the faults of a simulated upstream, and what it has seen",
    },
    Route {
        method: "PUT",
        path: "/admin/simulated/{upstream}",
        scope: Scope::Operate,
        handler: || put(simulated::set),
        form: &simulated::SET,
        doc: "switch faults on: {\"fault\": \"refuse\"}, a rule, or a list of rules",
    },
    Route {
        method: "DELETE",
        path: "/admin/simulated/{upstream}",
        scope: Scope::Operate,
        handler: || delete(simulated::clear),
        form: &simulated::CLEAR,
        doc: "make it well again",
    },
];
