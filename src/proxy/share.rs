//! Identical requests that are under way at the same moment share one attempt (`coalesce`).
//!
//! Only good answers are shared: where the attempt fails, everybody else asks for himself.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Response};
use tokio::time::timeout_at;

use super::flight::{Boarding, Head, Seat};
use super::intake::Guest;
use super::refuse::{REQUEST_ID, name_request};
use super::reply::{Followed, Follower, Reply};
use super::{Gateway, Snapshot, again, unattended};
use crate::cache::Likeness;
use crate::dialect::Dialect;
use crate::ledger::Wait;
use crate::state::route::Route;
use crate::telemetry::catalogue;

const COALESCED: HeaderName = HeaderName::from_static("x-mainstay-coalesced");

/// Answers `guest` along with all others who ask the same now.
pub async fn share(
    gateway: &Arc<Gateway>,
    snapshot: &Arc<Snapshot>,
    mut guest: Box<Guest>,
    route: &Arc<Route>,
    likeness: Likeness,
) -> Response<Reply> {
    let seat = match gateway.before.flights.board(gateway, likeness, route.config.cache.max_entry) {
        Boarding::Follows(seat) => seat,
        Boarding::Leads(seat, landing) => {
            let (dialect, request_id) = (guest.dialect, guest.request_id.clone());
            landing.lead(snapshot, guest);
            return match seat.head().await {
                Some(head) => respond(head, seat, dialect, None),
                None => again::gone(dialect, &request_id).into_response(&gateway.live),
            };
        }
    };
    let begun = gateway.live.now();
    let head = timeout_at(gateway.live.clock.instant(guest.deadline), seat.head()).await;
    guest.settle.waited(Wait::Another, gateway.live.now().since(begun));
    match head {
        Err(_) => again::too_late(gateway, guest),
        Ok(Some(head)) if head.status.is_success() => {
            gateway.live.metrics.counter(&catalogue::COALESCED, &[&route.config.name]).increment(1);
            follow(guest, route, head, seat)
        }
        Ok(_) => {
            drop(seat);
            unattended::drive(gateway, snapshot, guest).await
        }
    }
}

fn follow(mut guest: Box<Guest>, route: &Arc<Route>, mut head: Head, seat: Seat) -> Response<Reply> {
    head.fields.remove(REQUEST_ID);
    name_request(&mut head.fields, guest.dialect, &guest.request_id, None);
    head.fields.insert(COALESCED, HeaderValue::from_static("true"));
    guest.settle.instead = Some("shared");
    guest.settle.first_byte(head.status);
    // Whoever asked pays, and keeps it for the route.
    guest.settle.owes_nothing();
    let mut kept = guest.again.take();
    if let Some(kept) = &mut kept {
        kept.for_its_name();
    }
    let dialect = guest.dialect;
    let follower = Follower::new(guest.settle, guest.deadline, route);
    again::record(kept, route, respond(head, seat, dialect, Some(follower)))
}

fn respond(head: Head, seat: Seat, dialect: Dialect, follower: Option<Follower>) -> Response<Reply> {
    let followed = Followed::new(seat, dialect, head.in_pieces, follower);
    let mut response = Response::new(Reply::followed(followed));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.fields;
    response
}
