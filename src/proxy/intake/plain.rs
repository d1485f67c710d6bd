//! From the head and body of a plain HTTP request to a [`Guest`].

use std::sync::Arc;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Method};

use super::guest::Entrance;
use super::{Arrival, Guest, Load, body, deadline, is_retry};
use crate::access::{Shown, Standing};
use crate::dialect::Operation;
use crate::dialect::trouble::Kind;
use crate::proxy::memory::{self, content_length};
use crate::proxy::named::IDEMPOTENCY_KEY;
use crate::proxy::once::Once;
use crate::proxy::refuse::Refusal;
use crate::proxy::tunnel::Switch;
use crate::proxy::{Gateway, Snapshot, admission, byok, identity, leave};
use crate::route::Resend;
use crate::state::Table;
use crate::upstream::headers;

/// Reads as much of it as may be sent again; a larger body streams through.
pub async fn plain(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    mut arrival: Arrival,
    index: usize,
) -> Result<Box<Guest>, Box<Refusal>> {
    let table = &snapshot.table;
    let limits = &table.server.limits;
    let route = &table.routes[index];
    let access = &snapshot.access;
    let known = identity::judge(gateway, access, &arrival);
    let caller = access
        .decide(known.and_then(Standing::unsigned), route.config.access)
        .map_err(|denied| identity::refusal(gateway, access, &denied, &arrival).closing_if_body(&arrival))?;
    if let Some(lineage) = caller.lineage() {
        arrival.comes_from(gateway, snapshot, lineage);
    }
    leave::to_ask(&caller, &arrival, Some(Operation::Opaque))
        .and_then(|()| leave::to_route(table, &caller, &arrival, index))
        .and_then(|()| byok::none_here(&arrival))
        .map_err(|refusal| refusal.closing_if_body(&arrival))?;
    // Before our key is taken out of it: a tunnel ends with the key that it came with.
    let shown = caller.key().filter(|_| arrival.upgrade.is_some()).map(|key| {
        let head = &arrival.head;
        Shown::new(&head.headers, head.uri.query(), key)
    });
    access.strip(&mut arrival.head);
    let mut place = memory::place(gateway, snapshot, &arrival, caller.urgency(), limits.replay_body)?;
    let pace = body::Pace::new(&gateway.live, table.server.timeouts.body_read);
    let read = if content_length(&arrival.head.headers).is_some_and(|length| length > limits.max_body) {
        Err(body::Unread::TooLarge)
    } else {
        body::read_some(arrival.body.as_mut(), limits.replay_body, pace, &mut place.holding).await
    };
    let waited = pace.waited();
    let load = match read {
        Ok(whole) => Load::Whole(place.holding.keep(whole.unwrap_or_default())),
        Err(body::Unread::Larger(begin)) => Load::Once(Once::new(
            place.holding.keep(begin),
            arrival.body.take(),
            limits.max_body,
            table.server.timeouts.body_read,
        )),
        Err(error) => {
            return Err(error.into_refusal(gateway, snapshot, &arrival, &place));
        }
    };
    let method = &arrival.head.method;
    let safe = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE]
        .contains(method);
    let keyed = arrival.head.headers.contains_key(IDEMPOTENCY_KEY);
    let repeatable = matches!(load, Load::Whole(_)) && (safe || keyed) && arrival.upgrade.is_none();
    let is_retry = is_retry(&arrival.head.headers);
    let priority = admission::priority(snapshot, index, &caller, &arrival.head.headers, is_retry)
        .map_err(|message| arrival.refuse(Kind::BadRequest, message).closing_if_body(&arrival))?;
    let entrance = Entrance {
        caller,
        operation: Operation::Opaque,
        route: index,
        load,
        resend: if repeatable { Resend::Allowed } else { Resend::IfUnsent },
        is_retry,
        priority,
        deadline: deadline(gateway, snapshot, index, &arrival.head.headers, arrival.begun),
        waited,
    };
    say_origin(&mut arrival, table);
    let upgrade = arrival.upgrade.take().map(|caller| Switch { caller, shown });
    let mut guest = Guest::begin(gateway, snapshot, arrival, entrance);
    guest.upgrade = upgrade;
    Ok(guest)
}

/// For the service, which sees our address and the host that it is configured with.
fn say_origin(arrival: &mut Arrival, table: &Table) {
    let head = &mut arrival.head;
    // A target may have a user's name and password before its host.
    let place = |authority: &Authority| authority.as_str().rsplit('@').next().map(HeaderValue::from_str);
    let named = head.uri.authority().and_then(place).and_then(Result::ok);
    let host = named.or_else(|| head.headers.get(HOST).cloned()).filter(|host| !host.is_empty());
    let scheme = if table.server.tls.is_some() { "https" } else { "http" };
    headers::say_origin(&mut head.headers, arrival.from, host, scheme);
}
