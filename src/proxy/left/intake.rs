//! From the head and body of a request for what was left to a [`Guest`], or to an answer where it is stored here.
//!
//! A file streams through and is never held whole. What makes a batch is, for the files that it names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};

use super::{Asker, Errand, Unknown};
use crate::access::{Caller, Standing};
use crate::config::Urgency;
use crate::dialect::Operation;
use crate::dialect::entry::{Entry, Left, Want};
use crate::dialect::trouble::Kind;
use crate::proxy::intake::body::{Pace, Unread, read_some, read_whole};
use crate::proxy::intake::{Arrival, Entrance, Guest, Load, deadline, is_retry};
use crate::proxy::memory::{self, content_length};
use crate::proxy::named::IDEMPOTENCY_KEY;
use crate::proxy::once::Once;
use crate::proxy::refuse::Refusal;
use crate::proxy::reply::Reply;
use crate::proxy::{Gateway, Snapshot, admission, byok, identity, leave, recall};
use crate::route::Resend;
use crate::state::holding::Holding;

/// The answer to a request for a response that is stored here; `None` for what was left at an upstream.
pub fn answer(
    gateway: &Gateway,
    snapshot: &Snapshot,
    arrival: &mut Arrival,
    entry: &Entry<'_>,
    left: &Left<'_>,
) -> Result<Option<Response<Reply>>, Box<Refusal>> {
    let access = &snapshot.access;
    let Some(id) = left.id.filter(|_| entry.operation == Operation::StoredResponses) else { return Ok(None) };
    let known = identity::judge(gateway, access, arrival);
    if let Some(key) = known.as_ref().ok().and_then(Standing::known) {
        arrival.comes_from(gateway, snapshot, &key.lineage);
    }
    let caller = match access.decide(known.and_then(Standing::unsigned), access.whole()) {
        Ok(caller) => caller,
        // Whoever has none may be let in by the route that led to an upstream, and not by what is stored here.
        Err(_) if !recall::is_ours(entry, left) => return Ok(None),
        Err(denied) => return Err(identity::refusal(gateway, access, &denied, arrival)),
    };
    leave::to_ask(&caller, arrival, Some(entry.operation))?;
    let (caller, _) = byok::sent(gateway, caller, arrival)?;
    recall::answer(gateway, snapshot, arrival, &caller, id, left.want)
}

/// Lets a request for what is left in, or says why not.
pub async fn guest(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    mut arrival: Arrival,
    entry: &Entry<'_>,
    left: &Left<'_>,
) -> Result<Box<Guest>, Box<Refusal>> {
    let (entrance, errand) = match admit(gateway, snapshot, &mut arrival, entry, left).await {
        Ok(admitted) => admitted,
        Err(refusal) => return Err(refusal.closing_if_body(&arrival)),
    };
    let mut guest = Guest::begin(gateway, snapshot, arrival, entrance);
    guest.bond = errand.bond;
    guest.errand = Some(Box::new(errand));
    Ok(guest)
}

/// How it comes in, and what it is for.
async fn admit(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    arrival: &mut Arrival,
    entry: &Entry<'_>,
    left: &Left<'_>,
) -> Result<(Entrance, Errand), Box<Refusal>> {
    let (table, access) = (&snapshot.table, &snapshot.access);
    let operation = entry.operation;
    let known = identity::judge(gateway, access, arrival);
    let known = known.and_then(Standing::unsigned);
    identity::turn_away(gateway, snapshot, &known, arrival)?;
    let makes_batch = operation == Operation::Batches && left.want == Want::Create;
    let holder = known.as_ref().ok().cloned();
    if let Some(key) = &holder {
        arrival.comes_from(gateway, snapshot, &key.lineage);
        may(&Caller::from(Arc::clone(key)), arrival, entry, makes_batch)?;
    }
    let whose = holder.clone().map(Caller::from).unwrap_or_default();
    let (whose, own) = if operation.is_of_responses() {
        byok::sent(gateway, whose, arrival)?
    } else {
        byok::none_here(arrival)?;
        (whose, None)
    };
    // Before anything is read, or said of the route that he names.
    if let Some((_, index)) = super::named(table, arrival) {
        let needed = index.map_or(access.whole(), |index| table.routes[index].config.access);
        let caller = match &holder {
            Some(key) => Caller::from(Arc::clone(key)),
            None => access
                .decide(known.clone(), needed)
                .map_err(|denied| identity::refusal(gateway, access, &denied, arrival))?,
        };
        leave::to_named(table, &caller, arrival, index)?;
    }
    let urgency = known.as_ref().map(|key| key.urgency).unwrap_or_default();
    let (load, waited) = load(gateway, snapshot, arrival, urgency, makes_batch).await?;
    let unknown = if own.is_some() { Unknown::Passes } else { Unknown::of(access) };
    let asker = Asker { gateway, snapshot, arrival: &*arrival, caller: &whose, unknown };
    let body = match &load {
        Load::Whole(body) => &body[..],
        Load::Ask { .. } | Load::Once(_) => &[],
    };
    let errand = asker.errand(entry, left, body)?;
    let index = errand.route;
    access
        .decide(known, table.routes[index].config.access)
        .map_err(|denied| identity::refusal(gateway, access, &denied, arrival))?;
    leave::to_route(table, &whose, arrival, index)?;
    if makes_batch {
        leave::to_batch_on(table, arrival, index)?;
    }
    let caller =
        if operation.is_of_responses() { byok::on_route(table, index, whose, own, arrival)? } else { whose };
    let headers = &arrival.head.headers;
    let is_retry = is_retry(headers);
    let priority = admission::priority(snapshot, index, &caller, headers, is_retry)
        .map_err(|message| arrival.refuse(Kind::BadRequest, message))?;
    let safe = [Method::GET, Method::DELETE].contains(&arrival.head.method);
    let keyed = headers.contains_key(IDEMPOTENCY_KEY) && matches!(load, Load::Whole(_));
    let entrance = Entrance {
        caller,
        operation,
        route: index,
        load,
        resend: if safe || keyed { Resend::Allowed } else { Resend::IfUnsent },
        is_retry,
        priority,
        deadline: deadline(gateway, snapshot, index, headers, arrival.begun),
        waited,
    };
    Ok((entrance, errand))
}

/// What it brings: a small body whole, a file as it comes; and how long that was waited for.
async fn load(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    arrival: &mut Arrival,
    urgency: Urgency,
    makes_batch: bool,
) -> Result<(Load, Duration), Box<Refusal>> {
    let server = &snapshot.table.server;
    let held = if makes_batch { server.limits.max_body } else { server.limits.replay_body };
    let mut place = memory::place(gateway, snapshot, arrival, urgency, held)?;
    let pace = Pace::new(&gateway.live, server.timeouts.body_read);
    let load = match body(snapshot, arrival, makes_batch, pace, &mut place.holding).await {
        Ok(whole) => Load::Whole(place.holding.keep(whole)),
        Err(Unread::Larger(begin)) => Load::Once(Once::new(
            place.holding.keep(begin),
            arrival.body.take(),
            server.limits.max_body,
            server.timeouts.body_read,
        )),
        Err(unread) => return Err(unread.into_refusal(gateway, snapshot, arrival, &place)),
    };
    Ok((load, pace.waited()))
}

/// Whether the caller's key reaches so far, wherever that may be.
fn may(caller: &Caller, arrival: &Arrival, entry: &Entry<'_>, makes_batch: bool) -> Result<(), Box<Refusal>> {
    leave::to_ask(caller, arrival, Some(entry.operation))?;
    if makes_batch {
        leave::to_batch(caller, arrival)?;
    }
    Ok(())
}

/// The whole of a small body, or of one that has to be read; [`Unread::Larger`] of a file.
async fn body(
    snapshot: &Snapshot,
    arrival: &mut Arrival,
    makes_batch: bool,
    pace: Pace<'_>,
    holding: &mut Holding,
) -> Result<Bytes, Unread> {
    let limits = &snapshot.table.server.limits;
    if makes_batch {
        let headers = &arrival.head.headers;
        return read_whole(arrival.body.as_mut(), headers, limits.max_body, pace, holding).await;
    }
    if content_length(&arrival.head.headers).is_some_and(|length| length > limits.max_body) {
        return Err(Unread::TooLarge);
    }
    let whole = read_some(arrival.body.as_mut(), limits.replay_body, pace, holding).await?;
    Ok(whole.unwrap_or_default())
}
