//! The list of models, in the shape of whoever asks: what this gateway serves, asked of nobody.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};

use super::Snapshot;
use super::intake::Arrival;
use super::refuse::{Refusal, in_short, name_request};
use super::reply::Reply;
use crate::config::{Matcher, Pattern};
use crate::dialect::Operation;
use crate::dialect::entry::{Entry, ModelAt};
use crate::dialect::models::{self, Card};
use crate::dialect::trouble::Kind;
use crate::route::closest;
use crate::state::Table;
use crate::state::route::Route;

pub fn answer(
    snapshot: &Snapshot,
    arrival: &Arrival,
    entry: &Entry<'_>,
) -> Result<Response<Reply>, Box<Refusal>> {
    let table = &snapshot.table;
    let body = match &entry.model {
        ModelAt::Path(model) if entry.operation == Operation::Model => {
            let served = table
                .route_of_model(model)
                .map(|index| &table.routes[index])
                .filter(|route| is_served(route));
            let Some(route) = served else { return Err(unknown(table, arrival, entry, model)) };
            models::one(entry.dialect, &card(model, route))
        }
        ModelAt::Path(_) | ModelAt::Body | ModelAt::Multipart | ModelAt::Nowhere => {
            models::list(entry.dialect, &cards(table))
        }
    };
    let mut response = Response::new(Reply::whole(Bytes::from(body), None));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    name_request(response.headers_mut(), &arrival.request_id, None);
    Ok(response)
}

/// Names that can be asked for: exact ones and their aliases, of routes with a configured channel.
fn cards(table: &Table) -> Vec<Card<'_>> {
    let mut cards = Vec::new();
    for route in table.routes.iter().filter(|route| is_served(route)) {
        if let Matcher::Model { pattern: Pattern::Exact(name) } = &route.config.matcher {
            cards.push(card(name, route));
            cards.extend(route.config.aliases.iter().map(|alias| card(alias, route)));
        }
    }
    cards
}

fn is_served(route: &Route) -> bool {
    route.channels.iter().any(|channel| channel.upstream.is_configured())
}

fn card<'a>(model: &'a str, route: &'a Route) -> Card<'a> {
    let first = route.channels.iter().find(|channel| channel.upstream.is_configured());
    Card { id: model, owner: first.map_or("mainstay", |channel| channel.upstream.config.provider.name) }
}

fn unknown(table: &Table, arrival: &Arrival, entry: &Entry<'_>, model: &str) -> Box<Refusal> {
    let near = closest(model, table.model_names()).join(", ");
    let hint = if near.is_empty() { String::new() } else { format!("; the closest are {near}") };
    let message = format!("model `{}` is not configured on this gateway{hint}", in_short(model));
    Refusal::new(Kind::NotFound, message, entry.dialect, &arrival.request_id).code("model_not_found")
}
