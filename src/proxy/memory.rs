//! Memory as a bound (`server.limits.memory`): who may make the gateway hold more, and what is said to those who
//! may not.
//!
//! A body has its place before a byte of it is read, by its `content-length`: what everybody who is let in may still
//! send is counted, or many slow uploads would together outgrow what each of them found free. One of unknown
//! length asks again as it grows. Who matters less is refused earlier, as with `server.limits.max_inflight`; while
//! a body is unread nobody knows its route, and it counts for the most that it may turn out to matter.
//! (What is counted is `state::holding`'s affair.)
//!
//! What is said in another dialect is read into a tree and written anew. That is paid for where it is much, and who
//! finds no room for it is refused as one whose body finds none.
//!
//! Answers are not refused here: an upstream was paid for them. What is held only for somebody's comfort is let go
//! of (`peek`, `attempt::read`, `reply::recorded`); what has to be whole before it can be said is counted, and
//! keeps further requests out.

use std::sync::Arc;

use http::HeaderMap;
use http::header::CONTENT_LENGTH;

use super::admission::{self, come_again};
use super::intake::Arrival;
use super::refuse::Refusal;
use super::{Gateway, Snapshot};
use crate::config::Urgency;
use crate::dialect::tree;
use crate::dialect::trouble::Kind;
use crate::route::line;
use crate::state::Table;
use crate::state::holding::{Holding, Holdings};
use crate::telemetry::{Metrics, Shed, catalogue};
use crate::vocab::Priority;

/// Trees that take no more than this are not counted: there are never more of them than twice the cores (`beside`).
const LARGE: u64 = 32 << 20;
/// What takes no more than this beside its body is let pass: bodies have paid, and this is about multiples of them.
const SMALL: u64 = 1 << 20;

/// A body's place in memory.
pub struct Place {
    pub holding: Holding,
    priority: Priority,
}

/// A place for the body of `arrival`, of which at most `most` bytes are kept, before any of it is read. `who` is
/// what is said of the key that it names, proven or not.
pub fn place(
    gateway: &Gateway,
    snapshot: &Snapshot,
    arrival: &Arrival,
    who: Urgency,
    most: u64,
) -> Result<Place, Box<Refusal>> {
    let headers = &arrival.head.headers;
    let limits = &snapshot.table.server.limits;
    let priority = admission::highest_priority(snapshot, who, headers);
    let within = line::share_of(limits.memory, priority);
    let holdings = &gateway.live.holdings;
    let mut place = Place { holding: Holding::within(holdings, within), priority };
    // What is too large is refused for that.
    let announced = content_length(headers).filter(|length| *length <= limits.max_body).unwrap_or(0);
    if holdings.bytes() > within || place.holding.try_hold(announced.min(most)).is_err() {
        return Err(place.refuse(gateway, snapshot, arrival));
    }
    Ok(place)
}

impl Place {
    /// The body does not fit any more, and the rest of it is not read.
    pub fn refuse(&self, gateway: &Gateway, snapshot: &Snapshot, arrival: &Arrival) -> Box<Refusal> {
        // Its route is not known yet.
        let labels = ["", Shed::Memory.name(), self.priority.name()];
        gateway.live.metrics.counter(&catalogue::SHED, &labels).increment(1);
        let mut refusal = arrival.refuse(Kind::Unavailable, message(gateway, &snapshot.table, self.priority));
        refusal.shed = Some(Shed::Memory);
        refusal.trouble.retry_after = Some(come_again(gateway));
        refusal.closing_if_body(arrival)
    }
}

/// Why a request of this priority, whose body is here, may not make the gateway hold more.
pub fn scarce(gateway: &Gateway, snapshot: &Snapshot, priority: Priority) -> Option<String> {
    let within = line::share_of(snapshot.table.server.limits.memory, priority);
    (gateway.live.holdings.bytes() > within).then(|| message(gateway, &snapshot.table, priority))
}

/// Room for saying a request of so many JSON values in another dialect, in about so many bytes; `None` where there is
/// none for one of this priority.
pub fn to_say(
    gateway: &Gateway,
    table: &Table,
    priority: Priority,
    values: usize,
    bytes: u64,
) -> Option<Holding> {
    let tree = Some(tree::cost(values)).filter(|cost| *cost > LARGE).unwrap_or(0);
    let wanted = tree.saturating_add(bytes);
    let mut room = room(gateway, table, priority);
    if wanted > SMALL {
        room.try_hold(wanted).ok()?;
    } else {
        room.hold(wanted);
    }
    Some(room)
}

/// Nothing yet; it grows while there is room for a request of this priority.
pub fn room(gateway: &Gateway, table: &Table, priority: Priority) -> Holding {
    Holding::within(&gateway.live.holdings, line::share_of(table.server.limits.memory, priority))
}

/// What is said to whoever finds no room.
pub fn message(gateway: &Gateway, table: &Table, priority: Priority) -> String {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    format!(
        "the gateway holds {:.1} of the {:.1} MiB for requests that server.limits.memory allows, and there is no room \
         for this one, of priority {}",
        mib(gateway.live.holdings.bytes()),
        mib(table.server.limits.memory),
        priority.name()
    )
}

/// What is held for an answer's comfort, and let go of where memory is scarce: before anybody but the least is
/// refused for it.
pub fn answers(gateway: &Gateway, snapshot: &Snapshot) -> Holding {
    let within = line::share_of(snapshot.table.server.limits.memory, Priority::Sheddable);
    Holding::within(&gateway.live.holdings, within)
}

/// What is held whatever it is: it cannot be said in part.
pub fn needed(holdings: &Arc<Holdings>) -> Holding {
    Holding::within(holdings, u64::MAX)
}

pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Lets the series of refusals begin at 0 that belong to no route.
pub fn expect(metrics: &Metrics) {
    for priority in Priority::ALL {
        metrics.counter(&catalogue::SHED, &["", Shed::Memory.name(), priority.name()]).increment(0);
    }
}
