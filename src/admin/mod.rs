//! The operators' side: health, metrics, a look inside, and callers' keys. Its own listener, loopback unless the file
//! says otherwise; where others can reach it, what is not for probes and Prometheus takes a token.
//!
//! Every endpoint is a row of [`routes::ROUTES`] and a function, with its form, in a file of this room. The gateway
//! itself is seen through [`Running`] only.

mod alerts;
mod attempt;
mod budgets;
mod capture;
mod catalog;
mod channels;
mod configuration;
mod console;
mod cost;
mod document;
mod editing;
mod explain;
mod form;
mod health;
mod index;
mod keys;
mod limits;
mod live;
mod log;
mod metrics;
mod operate;
mod operator;
mod overridden;
mod reload;
mod requests;
mod routes;
mod running;
mod simulate;
mod simulated;
mod status;
mod trail;
mod upstreams;
mod usage;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

pub use document::document;
pub use editing::{Compared, Editing, Later, NotTaken, Past, Written};
use explain::parameter;
pub use live::Pulse;
pub use metrics::gathered;
pub use operator::{Certified, Operator};
use operator::{Door, Post};
use routes::ROUTES;
pub use running::{Applied, Calling, Phase, Probed, Refused, Reloaded, Running, Uncalled};
pub use trail::{Deed, Trail};

use crate::vocab::OperatorScope;

/// What every handler is given.
pub type Seen = State<Arc<dyn Running>>;

/// The admin listener's service.
pub fn router(running: Arc<dyn Running>) -> Router {
    let door = Door::of(&running);
    let routes = ROUTES.iter().fold(Router::new(), |router, route| {
        let handler = (route.handler)();
        let handler = if route.scope == OperatorScope::Open {
            handler
        } else {
            handler.layer(from_fn_with_state(Post { door: door.clone(), route }, operator::admit))
        };
        router.route(route.path, handler)
    });
    routes.fallback(nowhere).method_not_allowed_fallback(no_such_method).with_state(running)
}

async fn nowhere() -> Response {
    problem(StatusCode::NOT_FOUND, "no such endpoint; GET / lists them")
}

async fn no_such_method() -> Response {
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "nothing of this path is done by this method; GET / lists what is",
    )
}

/// What every refusal looks like.
#[derive(Serialize, JsonSchema)]
struct Problem {
    /// What is wrong, and how to mend it.
    error: String,
}

/// A refusal, as JSON.
fn problem(status: StatusCode, message: impl Into<String>) -> Response {
    (status, axum::Json(Problem { error: message.into() })).into_response()
}

#[cfg(test)]
mod tests;
