//! Who is served when not all can be: priorities, the wait for room, and what is said to those who are refused.
//!
//! A request waits here while every channel that could serve it is busy, and only for that: what is down is no
//! reason to wait. Who is refused is nobody's failure; no channel hears of it. (What a key takes is learnt in
//! `state::room`, the order of the wait is `algo::line`'s.)

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tokio::time::timeout;

use super::Gateway;
use super::Snapshot;
use super::intake::Guest;
use super::memory;
use super::refuse::Refusal;
use super::unattended::{MOST_IN_BACKGROUND, Place};
use crate::access::Caller;
use crate::config::Urgency;
use crate::dialect::trouble::Kind;
use crate::ledger::Wait;
use crate::route::line::{self, Turn};
use crate::route::{Exhausted, Lack, Need, Plan};
use crate::state::queue::Waiter;
use crate::state::{Permit, Table};
use crate::telemetry::Shed;
use crate::vocab::Priority;

/// By which a caller asks for another priority than his key's or the route's.
const PRIORITY: HeaderName = HeaderName::from_static("x-mainstay-priority");

/// How much a request matters. Who comes again makes the crowd larger, and matters a class less.
pub fn priority(
    snapshot: &Snapshot,
    route: usize,
    caller: &Caller,
    headers: &HeaderMap,
    is_retry: bool,
) -> Result<Priority, String> {
    let priority = snapshot.table.priority(route, caller.urgency(), asked(headers)?);
    Ok(if is_retry { priority.lower() } else { priority })
}

/// The most that a request may turn out to matter, as far as its head tells: its route may not be known yet, nor
/// whether the key of this `who` is proven.
pub fn highest_priority(snapshot: &Snapshot, who: Urgency, headers: &HeaderMap) -> Priority {
    // What cannot be read is refused when the request is there.
    snapshot.table.highest_priority(who, asked(headers).unwrap_or_default())
}

fn asked(headers: &HeaderMap) -> Result<Option<Priority>, String> {
    match headers.get(PRIORITY).map(|value| value.to_str().map(str::parse)) {
        None => Ok(None),
        Some(Ok(Ok(asked))) => Ok(Some(asked)),
        Some(Ok(Err(())) | Err(_)) => {
            let names = Priority::ALL.map(Priority::name).join(", ");
            Err(format!("the header {PRIORITY} is one of {names}"))
        }
    }
}

/// Refuses who matters least while the gateway is near its own limits, and what it could not follow.
pub fn let_in(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    mut guest: Box<Guest>,
) -> Result<Box<Guest>, Box<Refusal>> {
    let most = snapshot.table.server.limits.max_inflight;
    // This one is counted already.
    let others = gateway.in_flight().saturating_sub(1);
    let crowded = !line::may_come_in(others, most, guest.priority);
    let crowd = || {
        format!(
            "the gateway serves {others} of the {most} requests that server.limits.max_inflight allows, and leaves the \
         rest to those of a higher priority than {}",
            guest.priority.name()
        )
    };
    let (shed, message) = if crowded {
        (Shed::Priority, crowd())
    } else if let Some(message) = memory::scarce(gateway, snapshot, guest.priority) {
        (Shed::Memory, message)
    } else if guest.asks_for_background() {
        // Before anybody is asked: what nobody follows would be booked as nothing.
        guest.followed = Place::in_background(gateway);
        if guest.followed.is_some() {
            return Ok(guest);
        }
        let message = format!(
            "{MOST_IN_BACKGROUND} responses are made in the background, as many as this gateway follows; come again, or ask without `background`"
        );
        (Shed::Background, message)
    } else {
        return Ok(guest);
    };
    Err(turned_away(gateway, &snapshot.table, guest, shed, message))
}

/// The refusal of one that came in, and finds no room for what is to be made of it.
pub fn no_room(gateway: &Gateway, table: &Table, guest: Box<Guest>) -> Box<Refusal> {
    let message = memory::message(gateway, table, guest.priority);
    turned_away(gateway, table, guest, Shed::Memory, message)
}

fn turned_away(
    gateway: &Gateway,
    table: &Table,
    guest: Box<Guest>,
    shed: Shed,
    message: String,
) -> Box<Refusal> {
    let mut refusal = Refusal::new(Kind::Unavailable, message, guest.dialect, &guest.request_id);
    table.routes[guest.route].handles.shed(&gateway.live.metrics, shed, guest.priority);
    refusal.shed = Some(shed);
    refusal.trouble.retry_after = Some(come_again(gateway));
    // What is left of its body is not read.
    refusal.close = matches!(guest.load, super::intake::Load::Once(_));
    refusal.settle = Some(guest.settle);
    refusal
}

/// A channel of the plan's route for `guest`: at once, or in the order of the queue where there is one, or no room.
pub async fn choose(
    gateway: &Gateway,
    guest: &mut Guest,
    plan: &mut Plan<'_>,
    need: &Need<'_>,
) -> Result<Permit, Exhausted> {
    let behind = if plan.is_behind_others() { plan.line_up(need, guest.priority) } else { None };
    if let Some(waiter) = behind {
        return wait(gateway, guest, plan, need, waiter).await;
    }
    let exhausted = match plan.choose(need) {
        Err(exhausted) if exhausted.lack == Lack::Room => exhausted,
        choice => return choice,
    };
    let Some(waiter) = plan.line_up(need, guest.priority) else {
        guest.shed = Some(Shed::QueueFull);
        return Err(exhausted);
    };
    wait(gateway, guest, plan, need, waiter).await
}

async fn wait(
    gateway: &Gateway,
    guest: &mut Guest,
    plan: &mut Plan<'_>,
    need: &Need<'_>,
    waiter: Waiter,
) -> Result<Permit, Exhausted> {
    let begun = gateway.live.now();
    let outcome = timeout(plan.patience_in_line(need), in_line(waiter, plan, need)).await;
    let waited = gateway.live.now().since(begun);
    guest.settle.waited(Wait::Queue, waited);
    plan.route().handles.queue_seconds.record(waited.as_secs_f64());
    guest.shed = Some(match outcome {
        Ok(Ok(permit)) => return Ok(permit),
        Ok(Err(Parted::Otherwise(exhausted))) => return Err(exhausted),
        Ok(Err(Parted::Displaced)) => Shed::QueueFull,
        Ok(Err(Parted::TooLate)) | Err(_) => Shed::QueueTimeout,
    });
    Err(Exhausted { lack: Lack::Room, ..plan.outlook(need) })
}

enum Parted {
    Displaced,
    TooLate,
    /// It is not room that is missing any more.
    Otherwise(Exhausted),
}

async fn in_line(mut waiter: Waiter, plan: &mut Plan<'_>, need: &Need<'_>) -> Result<Permit, Parted> {
    loop {
        waiter.bell().notified().await;
        waiter = match plan.take_turn(waiter, need) {
            Turn::Served(permit) => return Ok(permit),
            Turn::NotYet(waiter) => waiter,
            Turn::Displaced => return Err(Parted::Displaced),
            Turn::Otherwise(exhausted) => return Err(Parted::Otherwise(exhausted)),
            Turn::TooLate => return Err(Parted::TooLate),
        }
    }
}

/// When a refused caller may come again: not all at once.
pub fn come_again(gateway: &Gateway) -> Duration {
    // Said in whole seconds, rounded up.
    Duration::from_secs_f64(gateway.live.dice().between(0.001, 3.0))
}
