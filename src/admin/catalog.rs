//! What is known of a model: its limits, what it can do, and what it costs today.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::explain::parameter;
use super::form::{Form, Kind, Parameter};
use super::{Seen, problem};
use crate::catalog::{Date, Entry, MODES, cost};
use crate::route::quote;
use crate::vocab::{Ability, Mode};

pub(super) const CATALOG: Form = Form::json::<Catalog>("the model at each provider that has it")
    .query(&[Parameter::required("model", Kind::Text, "`provider/model` or the model alone")])
    .refuses(&[(400, "it asks for no model"), (404, "nobody is known to have it")]);

#[derive(Serialize, JsonSchema)]
struct Catalog {
    /// The day on which what the program brings was true.
    as_of: String,
    models: Vec<ModelFacts>,
}

/// One model at one provider. What is not there is not known.
#[derive(Serialize, JsonSchema)]
struct ModelFacts {
    provider: String,
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    /// Most tokens of prompt and answer together.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output: Option<u64>,
    /// Entries of an embedding.
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
    /// What it is known to do, and not to do.
    can: Vec<&'static str>,
    cannot: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_min_tokens: Option<u64>,
    /// The day on which the provider turns it off, or did.
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecated_on: Option<String>,
    prices: Vec<PriceStatus>,
}

/// What one of something costs today.
#[derive(Serialize, JsonSchema)]
struct PriceStatus {
    /// `input`, `output`, …
    unit: &'static str,
    tier: &'static str,
    /// For prompts of more thousands of tokens than this; 0 for all.
    above_thousand_tokens: u32,
    /// In US dollars, for a million (`/M`) or for one.
    price: String,
}

pub(super) async fn catalog(State(running): Seen, RawQuery(query): RawQuery) -> Response {
    let Some(name) = query.as_deref().and_then(|query| parameter(query, "model")) else {
        return problem(StatusCode::BAD_REQUEST, "which model? ask with ?model=NAME");
    };
    let table = running.table();
    match quote::named(table.catalog(), &name) {
        Ok(found) => {
            let today = table.live.clock.today();
            let models = found.into_iter().map(|(provider, entry)| of_entry(provider, &entry, today));
            let as_of = table.catalog().as_of().to_string();
            Json(Catalog { as_of, models: models.collect() }).into_response()
        }
        Err(unquoted) => problem(StatusCode::NOT_FOUND, unquoted.to_string()),
    }
}

fn of_entry(provider: &str, entry: &Entry<'_>, today: Date) -> ModelFacts {
    let facts = entry.facts();
    let prices = entry.prices(today);
    let mut prices: Vec<_> = prices.all().collect();
    prices.sort_unstable_by_key(|(meter, _)| *meter);
    ModelFacts {
        provider: provider.to_owned(),
        model: entry.name().to_owned(),
        mode: entry.mode().and_then(word_of),
        context: facts.context,
        max_output: facts.max_output,
        dimensions: facts.dimensions,
        can: Ability::ALL.into_iter().filter(|able| facts.has(*able)).map(Ability::name).collect(),
        cannot: Ability::ALL.into_iter().filter(|able| facts.lacks(*able)).map(Ability::name).collect(),
        cache_min_tokens: entry.cache_min_tokens(),
        deprecated_on: entry.deprecated_on().map(|day| day.to_string()),
        prices: prices
            .into_iter()
            .map(|(meter, price)| PriceStatus {
                unit: meter.unit.word(),
                tier: meter.tier.name(),
                above_thousand_tokens: meter.above,
                price: cost::rate(meter.unit, price).to_string(),
            })
            .collect(),
    }
}

fn word_of(mode: Mode) -> Option<&'static str> {
    MODES.iter().find(|(.., known)| *known == mode).map(|(_, word, _)| *word)
}
