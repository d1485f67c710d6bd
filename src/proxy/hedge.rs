//! One attempt, or two that race: while the first channel is silent, a second one is asked, and the
//! caller hears whoever has content first (RESILIENCE §4.11).
//!
//! An error never wins while the other attempt is pending. The loser is cancelled by dropping its future:
//! that is safe at every await of an attempt, for it is what a caller who hangs up does, and at once, for
//! the future owns the call (whose connection is closed, or stream reset) and the permit. Whether and whom
//! to ask is `route`'s decision; here are only the two futures and what becomes of the one that is too late. Where its
//! upstream has `on_hangup: drain`, it is not dropped but read to its end elsewhere (`unattended`).

use std::future::pending;
mod runner;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use runner::Runner;

use super::attempt::{self, Attempted, Failed};
use super::intake::Guest;
use super::reply::Audience;
use super::{Gateway, Snapshot};
use crate::dialect::Dialect;
use crate::ledger::Wait;
use crate::route::{Limits, Need, Plan};
use crate::state::Permit;
use crate::telemetry::Hedged;
use crate::vocab::{Class, Part};

/// An attempt with `permit`, and perhaps one beside it. What comes back is the winner's answer, or the
/// failure that decides what follows; any other one is settled.
pub async fn attempt(
    gateway: &Arc<Gateway>,
    snapshot: &Arc<Snapshot>,
    guest: &mut Guest,
    plan: &mut Plan<'_>,
    need: &Need<'_>,
    permit: Permit,
) -> Attempted {
    let begun = gateway.live.now();
    let limits = plan.limits(&permit, need);
    let delay = plan.hedge_delay(&permit, limits, need);
    let attempted = match delay {
        Ok(delay) if may_be_hedged(guest) => {
            let starters = Starters { gateway, snapshot, guest, need };
            // In a box, for the future of every request would be as large.
            let raced = Box::pin(race(starters, plan, permit, limits, delay)).await;
            guest.settle.attempts = plan.attempts;
            guest.settle.hedges += raced.needless;
            if let Attempted::Answered(answer) = &raced.attempted {
                guest.settle.channel = Some(Arc::clone(answer.permit().channel()));
            } else if let Attempted::Failed(permit, _) = &raced.attempted {
                guest.settle.channel = Some(Arc::clone(permit.channel()));
            }
            raced.attempted
        }
        Ok(_) | Err(_) => attempt::attempt(gateway, snapshot, guest, plan, permit, limits).await,
    };
    guest.settle.waited(Wait::Upstream, gateway.live.now().since(begun));
    attempted
}

/// A caller's own retry has had its chance. What plain HTTP may repeat one after the other (a DELETE) it may
/// still not do twice at the same time.
fn may_be_hedged(guest: &Guest) -> bool {
    // Who pays himself has not asked for a second one.
    !guest.is_retry
        && guest.caller.own().is_none()
        && (guest.dialect != Dialect::Http || guest.head.method.is_safe())
}

/// What both attempts are made of.
#[derive(Clone, Copy)]
struct Starters<'a> {
    gateway: &'a Arc<Gateway>,
    snapshot: &'a Arc<Snapshot>,
    guest: &'a Guest,
    need: &'a Need<'a>,
}

struct Raced {
    attempted: Attempted,
    /// Attempts that were made beside one that had not failed.
    needless: u32,
}

enum Came {
    First(Attempted),
    Second(Attempted),
}

async fn race(
    starters: Starters<'_>,
    plan: &mut Plan<'_>,
    mut permit: Permit,
    limits: Limits,
    delay: Duration,
) -> Raced {
    let Starters { gateway, guest, need, .. } = starters;
    let alone = |attempted| Raced { attempted, needless: 0 };
    let beaten = Arc::new(AtomicBool::new(false));
    permit.race(&beaten);
    let flows = Arc::new(Notify::new());
    permit.announce(&flows);
    let channel = Arc::clone(permit.channel());
    let mut first = Runner::start(starters, plan, permit, limits);
    // Whose answer has begun to come is not silent, however long it takes to be whole.
    let silent = async {
        if timeout(delay, flows.notified()).await.is_ok() {
            pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        attempted = &mut first => return alone(attempted),
        () = silent => {}
    }
    if guest.audience() == Audience::Nobody {
        return alone(first.await);
    }
    let Some(mut permit) = plan.choose_other(&channel, need) else { return alone(first.await) };
    tracing::debug!(
        request = %guest.request_id, silent = %channel.label, asked = %permit.channel().label, "hedged"
    );
    permit.race(&beaten);
    guest.settle.saw(plan.take_look());
    guest.settle.book(&mut permit, Part::Hedge);
    let limits = plan.limits(&permit, need);
    let route = plan.route();
    let count = |how| route.handles.hedged(&gateway.live.metrics, how);
    let mut second = Runner::start(starters, plan, permit, limits);
    let won = |attempted, how, loser: Runner<'_>| {
        beaten.store(true, Relaxed);
        loser.overtaken(starters);
        count(how);
        Raced { attempted, needless: 1 }
    };
    // Both are only polled here, so whichever is not ready is as it was.
    let came = tokio::select! {
        biased;
        attempted = &mut first => Some(Came::First(attempted)),
        attempted = &mut second => Some(Came::Second(attempted)),
        () = guest.hung_up() => None,
    };
    let came = if let Some(came) = came {
        came
    } else {
        first.hung_up();
        second.hung_up();
        tokio::select! {
            biased;
            attempted = &mut first => Came::First(attempted),
            attempted = &mut second => Came::Second(attempted),
        }
    };
    match came {
        Came::First(answered @ Attempted::Answered(_)) => won(answered, Hedged::Lost, second),
        Came::Second(answered @ Attempted::Answered(_)) => won(answered, Hedged::Won, first),
        Came::Second(Attempted::Untried(permit, _)) => {
            plan.withdraw_hedge(permit);
            alone(first.await)
        }
        Came::First(untried @ Attempted::Untried(..)) => alone(untried),
        Came::Second(Attempted::Failed(permit, failed)) => {
            count(Hedged::Failed);
            let held = hold(plan, starters, permit, failed);
            let attempted = first.await;
            let needless = u32::from(matches!(attempted, Attempted::Answered(_)));
            Raced { attempted: after(plan, starters, held, attempted), needless }
        }
        Came::First(Attempted::Failed(permit, failed)) => {
            let held = hold(plan, starters, permit, failed);
            let attempted = second.await;
            count(if matches!(attempted, Attempted::Answered(_)) { Hedged::Won } else { Hedged::Failed });
            alone(after(plan, starters, held, attempted))
        }
    }
}

/// One of the two has failed. What speaks against its channel is heard at once; what is about the request
/// itself is kept, for it decides what follows should the other one fail as well.
fn hold(
    plan: &mut Plan<'_>,
    starters: Starters<'_>,
    permit: Permit,
    failed: Box<Failed>,
) -> Option<(Permit, Box<Failed>)> {
    if failed.failure.fault.class() == Class::ClientFault {
        return Some((permit, failed));
    }
    note(plan, starters, permit, &failed);
    None
}

/// Both have ended.
fn after(
    plan: &mut Plan<'_>,
    starters: Starters<'_>,
    held: Option<(Permit, Box<Failed>)>,
    last: Attempted,
) -> Attempted {
    match (held, last) {
        (Some((permit, failed)), Attempted::Failed(other, others)) => {
            note(plan, starters, other, &others);
            Attempted::Failed(permit, failed)
        }
        (Some((permit, failed)), last) => {
            note(plan, starters, permit, &failed);
            last
        }
        (None, last) => last,
    }
}

fn note(plan: &mut Plan<'_>, starters: Starters<'_>, permit: Permit, failed: &Failed) {
    let Starters { guest, need, .. } = starters;
    tracing::debug!(
        request = %guest.request_id,
        channel = %permit.channel().label,
        fault = failed.failure.fault.name(),
        stage = failed.failure.stage.name(),
        detail = guest.settle.privacy.keeps(failed.detail.as_deref()),
        "attempt failed beside another"
    );
    plan.hear(failed.failure.fault);
    plan.note(permit, failed.failure, need);
}
