//! What something would cost: counts at models by name, or a request's body at every channel of its route.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::explain::parameter;
use super::{Seen, problem};
use crate::route::quote::{self, COUNTS, Unquoted};
use crate::vocab::{Tier, Usage};

/// Longest request that is estimated: as long as a caller's may be (`server.limits.max_body`, unless the file says otherwise).
pub(super) const LONGEST: usize = 64 << 20;
/// What chat callers post to.
const USUAL_PATH: &str = "/v1/chat/completions";

pub(super) async fn cost(State(running): Seen, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let Some(models) = parameter(&query, "model") else {
        return problem(StatusCode::BAD_REQUEST, "which model? ask with ?model=NAME, or several with commas");
    };
    let models: Vec<String> = models.split(',').map(str::to_owned).collect();
    let word = parameter(&query, "tier").unwrap_or_else(|| Tier::Standard.name().to_owned());
    let Some(tier) = Tier::parse(&word) else {
        let known = Tier::ALL.map(Tier::name).join(", ");
        return problem(StatusCode::BAD_REQUEST, format!("{word} is no tier; there are {known}"));
    };
    let mut usage = Usage::default();
    for (name, set) in COUNTS {
        let Some(said) = parameter(&query, name) else { continue };
        let Ok(count) = said.parse() else {
            return problem(StatusCode::BAD_REQUEST, format!("{name}={said} is no number"));
        };
        set(&mut usage, count);
    }
    let table = running.table();
    match quote::quotes(table.catalog(), &models, tier, &usage, table.live.clock.today()) {
        Ok(quotes) => {
            let as_of = table.catalog().as_of().to_string();
            Json(serde_json::json!({ "prices_as_of": as_of, "quotes": quotes })).into_response()
        }
        Err(unquoted) => refused(&unquoted),
    }
}

pub(super) async fn estimate(State(running): Seen, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let path = query.as_deref().and_then(|query| parameter(query, "path"));
    let table = running.table();
    let counting = tokio::task::spawn_blocking(move || {
        quote::estimate(&table, path.as_deref().unwrap_or(USUAL_PATH), &body)
    });
    match counting.await {
        Ok(Ok(estimate)) => Json(estimate).into_response(),
        Ok(Err(unquoted)) => refused(&unquoted),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the request could not be counted"),
    }
}

fn refused(unquoted: &Unquoted) -> Response {
    let status = match unquoted {
        Unquoted::Wrong(_) => StatusCode::BAD_REQUEST,
        Unquoted::Unknown(_) => StatusCode::NOT_FOUND,
    };
    problem(status, unquoted.to_string())
}
