//! How far a caller's key reaches, and what he is told who asks for more (403, in his dialect).
//!
//! It is asked before anything is looked up, so that the answer is the same whether what he may not have exists or
//! not. Which channels are left out of a route that he may use is `route::shortlist`'s affair; here he is refused
//! where that would leave none. Who he is has been settled (`identity`).

use super::Snapshot;
use super::intake::Arrival;
use super::refuse::{Refusal, in_short};
use crate::access::Caller;
use crate::config::{Level, Lineage, Member};
use crate::dialect::Operation;
use crate::dialect::trouble::Kind;
use crate::route::price::MAX_COST;
use crate::state::Table;

/// Whether the caller may ask for such a thing at all, from where he is. `None` is what everybody with a key may.
pub fn to_ask(caller: &Caller, arrival: &Arrival, operation: Option<Operation>) -> Result<(), Box<Refusal>> {
    let Some(lineage) = caller.lineage() else { return Ok(()) };
    if let Some(member) = lineage.bars_address(arrival.from) {
        let from = arrival.from.map_or_else(|| "an unknown address".to_owned(), |from| from.to_string());
        let what = format!("be used from {from}");
        return Err(refusal(caller, member, "networks", &what, arrival));
    }
    if let Some(operation) = operation
        && let Some(member) = lineage.bars_endpoint(operation)
    {
        let what = format!("be used for `{}`", operation.name());
        return Err(refusal(caller, member, "endpoints", &what, arrival));
    }
    Ok(())
}

/// Whether the caller may have `model`, to which `route` would lead if there is one.
pub fn to_model(
    table: &Table,
    caller: &Caller,
    arrival: &Arrival,
    model: &str,
    route: Option<usize>,
) -> Result<(), Box<Refusal>> {
    let Some(lineage) = caller.lineage() else { return Ok(()) };
    let Some((member, field)) = bars(table, lineage, model, route) else { return Ok(()) };
    let what = format!("be used for the model `{}`", in_short(model));
    Err(refusal(caller, member, field, &what, arrival))
}

/// Whether the caller may use a route that no model led to: by its path, or for what he leaves there.
pub fn to_route(table: &Table, caller: &Caller, arrival: &Arrival, route: usize) -> Result<(), Box<Refusal>> {
    let Some(lineage) = caller.lineage() else { return Ok(()) };
    let Some((member, field)) = bars_route(table, lineage, route) else { return Ok(()) };
    Err(refusal(caller, member, field, "be used for this", arrival))
}

/// Whether the caller may use a route that he names himself, if there is one of that name.
pub fn to_named(
    table: &Table,
    caller: &Caller,
    arrival: &Arrival,
    route: Option<usize>,
) -> Result<(), Box<Refusal>> {
    match route {
        Some(route) => to_route(table, caller, arrival, route),
        // Where some routes are allowed only, what is none is like one of the others.
        None => match caller.lineage().and_then(|lineage| lineage.bars_route(None)) {
            Some(member) => Err(refusal(caller, member, "routes", "be used for this", arrival)),
            None => Ok(()),
        },
    }
}

/// Whether the caller may make a batch: nobody looks into it for what it asks for, nor measures what that comes to.
pub fn to_batch(caller: &Caller, arrival: &Arrival) -> Result<(), Box<Refusal>> {
    if arrival.head.headers.contains_key(MAX_COST) {
        let message = format!(
            "nobody here knows what a batch costs, so none can be held to `{MAX_COST}`; leave it out, or send the requests one by one"
        );
        return Err(arrival.refuse(Kind::BadRequest, message));
    }
    let Some(lineage) = caller.lineage() else { return Ok(()) };
    if let Some((member, field)) = lineage.narrows_asking() {
        let what = match field {
            "models" => "be used for batches, which may ask for any model",
            _ => "be used for batches, which may ask for anything",
        };
        return Err(refusal(caller, member, field, what, arrival));
    }
    let Some((member, field)) = lineage.measures() else { return Ok(()) };
    if let Some(key) = caller.key() {
        key.out_of_reach();
    }
    let key = caller.name().unwrap_or_default();
    let whose = match member.level {
        Level::Key => "it has".to_owned(),
        Level::Organisation | Level::Team | Level::User => {
            format!("its {} `{}` has", member.level.name(), member.name)
        }
    };
    let message = format!(
        "the key `{key}` may not be used for batches, of which nobody here knows what they cost or how many tokens they have: {whose} `{field}`; send the requests one by one, or ask whoever gave you the key for one without"
    );
    Err(arrival.refuse(Kind::Forbidden, message))
}

/// Whether a batch may be made at a route's accounts, whoever makes it.
pub fn to_batch_on(table: &Table, arrival: &Arrival, route: usize) -> Result<(), Box<Refusal>> {
    let Some(field) = table.routes[route].config.measures() else { return Ok(()) };
    let message = format!(
        "this route takes no batches, of which nobody here knows what they cost or how many tokens they have: it has `{field}`; send the requests one by one, or name another route in `x-mainstay-route`"
    );
    Err(arrival.refuse(Kind::Forbidden, message))
}

/// Whether `model` is to be shown to whoever asks what there is.
pub fn may_have(table: &Table, caller: &Caller, model: &str, route: Option<usize>) -> bool {
    caller.lineage().is_none_or(|lineage| bars(table, lineage, model, route).is_none())
}

/// The names of models that the caller may hear of.
pub fn names<'a>(snapshot: &'a Snapshot, caller: &'a Caller) -> impl Iterator<Item = &'a str> {
    let table = &snapshot.table;
    table.model_names().filter(|name| may_have(table, caller, name, table.route_of_model(name)))
}

fn bars<'l>(
    table: &Table,
    lineage: &'l Lineage,
    model: &str,
    route: Option<usize>,
) -> Option<(&'l Member, &'static str)> {
    if let Some(member) = lineage.bars_model(model) {
        return Some((member, "models"));
    }
    match route {
        // Where some routes are allowed only, what has none is like one of the others.
        None => lineage.bars_route(None).map(|member| (member, "routes")),
        Some(route) => bars_route(table, lineage, route),
    }
}

fn bars_route<'l>(table: &Table, lineage: &'l Lineage, route: usize) -> Option<(&'l Member, &'static str)> {
    let route = &table.routes[route];
    if let Some(member) = lineage.bars_route(Some(&route.config.name)) {
        return Some((member, "routes"));
    }
    let member = lineage.narrows_upstreams()?;
    let fallbacks = route.config.fallback.iter().map(|&next| &table.routes[next]);
    let mut channels = [route].into_iter().chain(fallbacks).flat_map(|route| &route.channels);
    let is_left = channels.any(|channel| lineage.bars_upstream(&channel.upstream.config).is_none());
    (!is_left).then_some((member, "upstreams, providers, regions"))
}

fn refusal(caller: &Caller, member: &Member, field: &str, what: &str, arrival: &Arrival) -> Box<Refusal> {
    if let Some(key) = caller.key() {
        key.out_of_reach();
    }
    let key = caller.name().unwrap_or_default();
    let whose = match member.level {
        Level::Key => "it is not in its own `allow".to_owned(),
        Level::Organisation | Level::Team | Level::User => {
            format!("it is not in the `allow` of its {} `{}", member.level.name(), member.name)
        }
    };
    let message =
        format!("the key `{key}` may not {what}: {whose}` ({field}); ask whoever gave you the key for more");
    arrival.refuse(Kind::Forbidden, message)
}
