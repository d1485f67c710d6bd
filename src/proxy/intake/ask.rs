//! A request that names a model, from its head and body to a [`Guest`]: heard, understood, and sent on its way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;

use super::fit::{Fit, Fitting};
use super::guest::Entrance;
use super::unwrap::own_body;
use super::{Arrival, Guest, Load, body, coding, is_retry};
use crate::access::{Caller, Denied, Key, Standing};
use crate::config::Urgency;
use crate::dialect::entry::{Entry, ModelAt};
use crate::dialect::scan::{self, Scan};
use crate::dialect::tree;
use crate::dialect::trouble::Kind;
use crate::proxy::recall::{self, Recall};
use crate::proxy::refuse::{Refusal, in_short};
use crate::proxy::thoughts::Thoughts;
use crate::proxy::{Gateway, Snapshot, beside, budgets, byok, identity, leave, left, memory, steer};
use crate::route::{closest, is_always_translated};
use crate::vocab::Secret;

/// # Errors
/// He is refused.
pub async fn ask(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    mut arrival: Arrival,
    entry: &Entry<'_>,
) -> Result<Box<Guest>, Box<Refusal>> {
    let heard = hear(gateway, snapshot, &mut arrival).await?;
    beside::work(heard.body.len(), || {
        let meant = understand(gateway, snapshot, &mut arrival, entry, heard)?;
        send_on(gateway, snapshot, arrival, entry, meant)
    })
}

/// A request that is all there.
struct Heard {
    body: Bytes,
    /// Who the caller is, by its head and, where that is signed, its body.
    proof: Result<Arc<Key>, Denied>,
    /// For the body.
    waited: Duration,
}

/// Reads the body, unless it is known before that nobody may send it.
async fn hear(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    arrival: &mut Arrival,
) -> Result<Heard, Box<Refusal>> {
    let (table, access) = (&snapshot.table, &snapshot.access);
    let limits = &table.server.limits;
    let known = identity::judge(gateway, access, arrival);
    if let Some(key) = known.as_ref().ok().and_then(Standing::named) {
        arrival.comes_from(gateway, snapshot, &key.lineage);
    }
    identity::turn_away(gateway, snapshot, &known, arrival)
        .map_err(|refusal| refusal.closing_if_body(arrival))?;
    let coding = coding::said(&arrival.head.headers).map_err(|coding| {
        let message = format!(
            "a body that is `{}` is not read; send it plain, or as {}",
            in_short(&coding),
            coding::TAKEN
        );
        arrival.refuse(Kind::UnsupportedMediaType, message).closing_if_body(arrival)
    })?;
    let mut place = memory::place(gateway, snapshot, arrival, urgency(&known), limits.max_body)?;
    let pace = body::Pace::new(&gateway.live, table.server.timeouts.body_read);
    let read = body::read_whole(
        arrival.body.as_mut(),
        &arrival.head.headers,
        limits.max_body,
        pace,
        &mut place.holding,
    );
    let refused = |error: body::Unread, arrival: &Arrival, place: &memory::Place| {
        error.into_refusal(gateway, snapshot, arrival, place)
    };
    let body = match read.await {
        Ok(body) => body,
        Err(error) => return Err(refused(error, arrival, &place)),
    };
    let waited = pace.waited();
    let received = identity::received(snapshot, arrival, &body, gateway.live.clock.unix_now());
    let proof = known.and_then(|standing| standing.proven(&received));
    identity::turn_away(gateway, snapshot, &proof, arrival)?;
    if let Ok(key) = &proof {
        arrival.comes_from(gateway, snapshot, &key.lineage);
    }
    let headers = &mut arrival.head.headers;
    let body = match coding::undo(coding, headers, body, limits.max_body, &mut place.holding).await {
        Ok(body) => place.holding.keep(body),
        Err(error) => return Err(refused(error, arrival, &place)),
    };
    Ok(Heard { body, proof, waited })
}

/// How much the requests of the key matter that the head proves. Anybody can name one.
fn urgency(known: &Result<Standing, Denied>) -> Urgency {
    known.as_ref().ok().and_then(Standing::known).map(|key| key.urgency).unwrap_or_default()
}

/// A request of which it is known what it asks for, and that its caller may.
struct Meant {
    caller: Caller,
    /// A provider's key that he brought.
    own: Option<Secret>,
    scan: Scan,
    /// With what it refers to, where that is kept here.
    body: Bytes,
    recall: Recall,
    /// The route of its model.
    asked_for: usize,
    /// For the body.
    waited: Duration,
}

fn understand(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    arrival: &mut Arrival,
    entry: &Entry<'_>,
    heard: Heard,
) -> Result<Meant, Box<Refusal>> {
    let Heard { body, proof, waited } = heard;
    let (table, access) = (&snapshot.table, &snapshot.access);
    let own = own_body(arrival, entry, &body);
    let arrival = &*arrival;
    let content_type = arrival.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let unread = |error: scan::ScanError| arrival.refuse(Kind::BadRequest, error.to_string());
    let body = match own.map_err(unread)? {
        Some(own) => memory::needed(&gateway.live.holdings).keep(own.into()),
        None => body,
    };
    let mut scan = scan::scan(entry, content_type, &body).map_err(unread)?;
    let index = table.route_of_model(&scan.model);
    let needed = index.map_or(access.whole(), |index| table.routes[index].config.access);
    let caller = access
        .decide(proof, needed)
        .map_err(|denied| identity::refusal(gateway, access, &denied, arrival))?;
    leave::to_ask(&caller, arrival, Some(entry.operation))?;
    leave::to_model(table, &caller, arrival, &scan.model, index)?;
    for other in &scan.others {
        leave::to_model(table, &caller, arrival, other, table.route_of_model(other))?;
    }
    let (caller, own) = byok::sent(gateway, caller, arrival)?;
    let (whole, recall) = recall::recall(gateway, snapshot, arrival, caller.scope(), entry, &scan, &body)?;
    let body = match whole {
        Some(whole) => {
            scan = scan::scan(entry, content_type, &whole).map_err(unread)?;
            memory::needed(&gateway.live.holdings).keep(whole)
        }
        None => body,
    };
    let Some(asked_for) = index else {
        return Err(unknown_model(snapshot, &caller, arrival, entry, &scan.model));
    };
    Ok(Meant { caller, own, scan, body, recall, asked_for, waited })
}

fn unknown_model(
    snapshot: &Snapshot,
    caller: &Caller,
    arrival: &Arrival,
    entry: &Entry<'_>,
    model: &str,
) -> Box<Refusal> {
    let near = closest(model, leave::names(snapshot, caller));
    let hint = match near.as_slice() {
        [] => "GET /v1/models lists the models that are".to_owned(),
        names => format!(
            "did you mean {}?",
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ),
    };
    let message = format!("model `{}` is not configured on this gateway; {hint}", in_short(model));
    let refusal = arrival.refuse(Kind::NotFound, message).code("model_not_found");
    if entry.model == ModelAt::Body { refusal.param("model") } else { refusal }
}

/// Finds the route that serves it, and what of it matters there.
fn send_on(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    arrival: Arrival,
    entry: &Entry<'_>,
    meant: Meant,
) -> Result<Box<Guest>, Box<Refusal>> {
    let Meant { caller, own, scan, body, recall, asked_for, waited } = meant;
    let (dialect, operation, table) = (entry.dialect, entry.operation, &snapshot.table);
    let asker = left::Asker {
        gateway,
        snapshot,
        arrival: &arrival,
        caller: &caller,
        unknown: if own.is_some() { left::Unknown::Passes } else { left::Unknown::of(&snapshot.access) },
    };
    let stored_at = scan.refers_to.and_then(|id| gateway.bond(&caller, dialect, id));
    let stored_at = stored_at.or(asker.bond(&body)?);
    let asks = (&arrival, caller.lineage());
    let course = steer::course(gateway, snapshot, asked_for, asks, entry, (&scan, &body), stored_at);
    if let Err(wrong) = tree::check(scan.values)
        && is_always_translated(&table.routes[course.route], (dialect, operation), &scan.model)
    {
        return Err(arrival.refuse(Kind::TooLarge, wrong.message));
    }
    let caller = byok::on_route(table, course.route, caller, own, &arrival)?;
    budgets::most_asked(&arrival.head.headers)
        .map_err(|message| arrival.refuse(Kind::BadRequest, message))?;
    let is_retry = is_retry(&arrival.head.headers);
    let thoughts = Thoughts::of(gateway, caller.scope(), dialect, operation, &scan.model, &body);
    let fitting = Fitting {
        head: &arrival.head,
        begun: arrival.begun,
        dialect,
        operation,
        caller: &caller,
        scan: &scan,
        body: &body,
        is_retry,
        stored_at,
        thoughts: thoughts.as_deref(),
    };
    let Fit { resend, priority, deadline, session, bond, abilities, least_window } = fitting
        .on(gateway, snapshot, course.route)
        .map_err(|message| arrival.refuse(Kind::BadRequest, message))?;
    let entrance = Entrance {
        caller,
        operation,
        route: course.route,
        load: Load::Ask { body, scan: Arc::new(scan) },
        resend,
        is_retry,
        priority,
        deadline,
        waited,
    };
    let mut guest = Guest::begin(gateway, snapshot, arrival, entrance);
    guest.settle.taken = course.arm;
    guest.settle.came_to(&table.routes[asked_for]);
    guest.asked_for = asked_for;
    (guest.session, guest.bond, guest.stored_at, guest.thoughts) = (session, bond, stored_at, thoughts);
    (guest.abilities, guest.least_window, guest.recall) = (abilities, least_window, recall);
    Ok(guest)
}
