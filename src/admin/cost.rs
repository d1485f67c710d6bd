//! What something would cost: counts at models by name, or a request's body at every channel of its route.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use schemars::JsonSchema;
use serde::Serialize;

use super::explain::parameter;
use super::form::{Body, Form, Kind, Need, Parameter, anything};
use super::{Seen, problem};
use crate::route::quote::{self, COUNTS, Estimate, Quote, Unquoted};
use crate::vocab::{Tier, Usage};

/// Longest request that is estimated: as long as a caller's may be (`server.limits.max_body`, unless the file says otherwise).
pub(super) const LONGEST: usize = 64 << 20;
/// What chat callers post to.
const USUAL_PATH: &str = "/v1/chat/completions";

/// The names of `COUNTS`, and of what else is asked for.
const QUERY: &[Parameter] = &[
    Parameter::required("model", Kind::Text, "`provider/model` or the model alone; several with commas")
        .like("openai/gpt-5.4"),
    Parameter::optional("tier", Kind::Text, "`standard`, `batch`, `flex` or `priority` (standard)"),
    Parameter::optional("input", Kind::Count, "tokens of the prompt, cached ones included (0)"),
    Parameter::optional("output", Kind::Count, "tokens of the answer, reasoning included (0)"),
    Parameter::optional("cached", Kind::Count, "tokens of the input that come from a cache (0)"),
    Parameter::optional("cache_write", Kind::Count, "tokens of the input that are written to a cache (0)"),
    Parameter::optional(
        "cache_write_1h",
        Kind::Count,
        "tokens of the input that are written to a cache for an hour (0)",
    ),
    Parameter::optional("reasoning", Kind::Count, "tokens of the output that are reasoning (0)"),
    Parameter::optional("images", Kind::Count, "pictures (0)"),
    Parameter::optional("searches", Kind::Count, "searches of the web (0)"),
    Parameter::optional("characters", Kind::Count, "characters, for what is paid by them (0)"),
    Parameter::optional("seconds", Kind::Count, "seconds of sound (0)"),
];
pub(super) const COST: Form = Form::json::<Quotes>("what each of the models would charge")
    .query(QUERY)
    .refuses(&[(400, "a word of the query is not understood"), (404, "there is no such model")]);
pub(super) const ESTIMATE: Form = Form::json::<Estimate>("the request at each channel of its route")
    .query(&[Parameter::optional("path", Kind::Text, "where callers would post it (/v1/chat/completions)")
        .like("/v1/chat/completions")])
    .body(Body {
        media: "application/json",
        shape: anything,
        need: Need::Required,
        doc: "the request, as a caller would send it",
    })
    .example(r#"{"model": "demo", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}"#)
    .refuses(&[
        (400, "the body is no such request"),
        (404, "no route takes its model"),
        (413, "it is too long"),
    ]);

/// What so many tokens would cost.
#[derive(Serialize, JsonSchema)]
struct Quotes {
    /// The day that the catalog's prices are of.
    prices_as_of: String,
    quotes: Vec<Quote>,
}

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
            Json(Quotes { prices_as_of: as_of, quotes }).into_response()
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
