//! Who is served when not all can be: priorities, the wait for room, and what is said to those who are refused.
//!
//! A request waits here while every channel that could serve it is busy, and only for that: what is down is no
//! reason to wait. Who is refused is nobody's failure; no channel hears of it. (What a key takes is learnt in
//! `state::room`, the order of the wait is `algo::line`'s.)

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;
use tokio::time::timeout;

use super::Gateway;
use super::Snapshot;
use super::intake::Guest;
use super::memory;
use super::refuse::Refusal;
use crate::dialect::trouble::Kind;
use crate::route::{Exhausted, Lack, Need, Plan, limit};
use crate::state::Permit;
use crate::state::queue::{Called, Waiter};
use crate::telemetry::Shed;
use crate::vocab::Priority;

/// By which a caller asks for another priority than his key's or the route's.
const PRIORITY: HeaderName = HeaderName::from_static("x-mainstay-priority");

/// Most that wait on a route that does not say.
const MOST_WAITING: u32 = 1000;

/// From this share of `server.limits.max_inflight` and of `server.limits.memory` on, in percent, requests up to this priority are refused.
const WATERMARKS: [(u64, Priority); 3] =
    [(95, Priority::Critical), (90, Priority::SheddablePlus), (80, Priority::Sheddable)];

/// How much a request matters. Who comes again makes the crowd larger, and matters a class less.
pub fn priority(
    snapshot: &Snapshot,
    route: usize,
    caller: Option<&str>,
    headers: &HeaderMap,
    is_retry: bool,
) -> Result<Priority, String> {
    let priority = snapshot.table.priority(route, caller, asked(headers)?);
    Ok(if is_retry { priority.lower() } else { priority })
}

/// The most that a request may turn out to matter, as far as its head tells: its route may not be known yet, nor
/// whether `who` is proven.
pub fn highest_priority(snapshot: &Snapshot, who: Option<&str>, headers: &HeaderMap) -> Priority {
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

/// What of a bound of the gateway's own requests of this priority may use up.
pub fn share_of(most: u64, priority: Priority) -> u64 {
    let percent = WATERMARKS.iter().rev().find(|(_, highest)| priority <= *highest);
    percent.map_or(most, |(percent, _)| most / 100 * percent)
}

/// Refuses who matters least while the gateway is near its own limits.
pub fn let_in(gateway: &Gateway, snapshot: &Snapshot, guest: Guest) -> Result<Box<Guest>, Box<Refusal>> {
    let most = u64::from(snapshot.table.server.limits.max_inflight);
    // This one is counted already.
    let others = u64::from(gateway.in_flight().saturating_sub(1));
    let refused = WATERMARKS.iter().find(|(percent, _)| others * 100 >= most * percent);
    let crowded = refused.is_some_and(|(_, highest)| guest.priority <= *highest);
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
    } else {
        return Ok(Box::new(guest));
    };
    let mut refusal = Refusal::new(Kind::Unavailable, message, guest.dialect, &guest.request_id);
    snapshot.table.routes[guest.route].handles.shed(&gateway.live.metrics, shed, guest.priority);
    refusal.shed = Some(shed);
    refusal.retry_after = Some(come_again(gateway));
    // What is left of its body is not read.
    refusal.close = matches!(guest.load, super::intake::Load::Once(_));
    refusal.settle = Some(guest.settle);
    Err(refusal)
}

/// Waits until a channel of the plan's route has room, in the order of the queue.
pub async fn wait(
    gateway: &Gateway,
    guest: &mut Guest,
    plan: &mut Plan<'_>,
    need: &Need<'_>,
    exhausted: Exhausted,
) -> Result<Permit, Exhausted> {
    let route = plan.route();
    let begun = gateway.live.now();
    let patience = route.config.queue.timeout.min(guest.deadline.since(begun));
    let mut upstreams = SmallVec::new();
    let mut room = 0_u32;
    for channel in &route.channels {
        let memory = &channel.upstream.memory;
        if !upstreams.iter().any(|known| std::sync::Arc::ptr_eq(known, memory)) {
            upstreams.push(std::sync::Arc::clone(memory));
        }
        room = room.saturating_add(limit(channel, &need.memory(route, channel)));
    }
    let most = route.config.queue.max.unwrap_or_else(|| room.saturating_mul(2).min(MOST_WAITING));
    let Some(waiter) = route.memory.queue.join(guest.priority, most as usize, upstreams) else {
        guest.shed = Some(Shed::QueueFull);
        route.handles.shed(&gateway.live.metrics, Shed::QueueFull, guest.priority);
        return Err(exhausted);
    };
    let outcome = timeout(patience, in_line(waiter, plan, need)).await;
    let waited = gateway.live.now().since(begun);
    guest.settle.waited(waited);
    route.handles.queue_seconds.record(waited.as_secs_f64());
    let shed = match outcome {
        Ok(Ok(permit)) => return Ok(permit),
        Ok(Err(Parted::Otherwise(exhausted))) => return Err(exhausted),
        Ok(Err(Parted::Displaced)) => Shed::QueueFull,
        Err(_) => Shed::QueueTimeout,
    };
    guest.shed = Some(shed);
    route.handles.shed(&gateway.live.metrics, shed, guest.priority);
    Err(exhausted)
}

enum Parted {
    Displaced,
    /// It is not room that is missing any more.
    Otherwise(Exhausted),
}

async fn in_line(waiter: Waiter, plan: &mut Plan<'_>, need: &Need<'_>) -> Result<Permit, Parted> {
    loop {
        waiter.bell().notified().await;
        match waiter.called() {
            Called::Displaced => return Err(Parted::Displaced),
            Called::Turn => {}
        }
        match plan.choose(need) {
            Ok(permit) => {
                waiter.served();
                return Ok(permit);
            }
            Err(exhausted) if exhausted.lack == Lack::Room => waiter.failed(),
            Err(exhausted) => return Err(Parted::Otherwise(exhausted)),
        }
    }
}

/// When a refused caller may come again: not all at once.
pub fn come_again(gateway: &Gateway) -> Duration {
    // Said in whole seconds, rounded up.
    Duration::from_secs_f64(gateway.live.dice().between(0.001, 3.0))
}
