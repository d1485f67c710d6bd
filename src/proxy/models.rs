//! The list of models, in the shape of whoever asks: what this gateway serves, asked of nobody.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};

use super::intake::Arrival;
use super::refuse::{Refusal, in_short, name_request};
use super::reply::Reply;
use super::{Snapshot, leave};
use crate::access::Caller;
use crate::dialect::entry::{Entry, ModelAt};
use crate::dialect::models::{self, BadPage, Card, Page};
use crate::dialect::trouble::Kind;
use crate::dialect::{Dialect, Operation};
use crate::route::closest;
use crate::state::Table;
use crate::state::route::Route;
use crate::state::upstream::Upstream;
use crate::vocab::Facts;

pub fn answer(
    snapshot: &Snapshot,
    caller: &Caller,
    arrival: &Arrival,
    entry: &Entry<'_>,
) -> Result<Response<Reply>, Box<Refusal>> {
    let table = &snapshot.table;
    let body = match &entry.model {
        ModelAt::Path(model) if entry.operation == Operation::Model => {
            let route = table.route_of_model(model);
            leave::to_model(table, caller, arrival, model, route)?;
            let served = route.map(|index| &table.routes[index]);
            let Some(route) = served.filter(|route| route.is_configured()) else {
                return Err(unknown(snapshot, caller, arrival, model));
            };
            models::one(entry.dialect, &card(table, caller, model, route))
        }
        ModelAt::Path(_) | ModelAt::Body | ModelAt::Multipart | ModelAt::Left(_) | ModelAt::Nowhere => {
            list(table, caller, entry.dialect, arrival.head.uri.query())
                .map_err(|bad| arrival.refuse(Kind::BadRequest, bad.message()).param(bad.param))?
        }
    };
    let mut response = Response::new(Reply::whole(Bytes::from(body), None));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    name_request(response.headers_mut(), entry.dialect, &arrival.request_id, None);
    Ok(response)
}

fn list(table: &Table, caller: &Caller, dialect: Dialect, query: Option<&str>) -> Result<String, BadPage> {
    let page = Page::parse(dialect, query)?;
    let all = table.served_models().iter();
    let wanted = |id, route: usize| {
        let facts = || card(table, caller, id, &table.routes[route]).facts;
        leave::may_have(table, caller, id, Some(route)) && page.wants(facts)
    };
    let served: Vec<_> = all.filter(|(id, route)| wanted(id, *route)).collect();
    let ids: Vec<&str> = served.iter().map(|(id, _)| &**id).collect();
    let cut = page.cut(&ids)?;
    let shown = served.get(cut.places.clone()).unwrap_or_default();
    let cards: Vec<Card<'_>> =
        shown.iter().map(|(id, route)| card(table, caller, id, &table.routes[*route])).collect();
    Ok(models::list(dialect, &cards, &page, &cut))
}

/// What is known of a model is what is known of it at the first configured channel that the caller may use.
fn card<'a>(table: &Table, caller: &Caller, model: &'a str, route: &'a Route) -> Card<'a> {
    let may = |upstream: &Upstream| {
        caller.lineage().is_none_or(|lineage| lineage.bars_upstream(&upstream.config).is_none())
    };
    let mut usable = route.channels.iter().filter(|channel| channel.upstream.is_configured());
    let Some(first) = usable.find(|channel| may(&channel.upstream)) else {
        return Card { id: model, owner: "mainstay", facts: Facts::default(), retires_on: None };
    };
    let owner = first.upstream.config.provider.name;
    let name = first.model_name(&route.config, model).unwrap_or(model);
    let known = table.catalog.find(owner, name);
    Card {
        id: model,
        owner,
        facts: first.facts(&route.config, model),
        retires_on: known.and_then(|entry| entry.deprecated_on()).map(|day| day.to_string()),
    }
}

fn unknown(snapshot: &Snapshot, caller: &Caller, arrival: &Arrival, model: &str) -> Box<Refusal> {
    let near = closest(model, leave::names(snapshot, caller)).join(", ");
    let hint = if near.is_empty() { String::new() } else { format!("; the closest are {near}") };
    let message = format!("model `{}` is not configured on this gateway{hint}", in_short(model));
    arrival.refuse(Kind::NotFound, message).code("model_not_found")
}
