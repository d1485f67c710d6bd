//! Mirrored requests: a share of a route's goes to another route as well, whose answers are read to their ends and
//! dropped (`mirror`).
//!
//! Nothing of it is in a caller's way: it is a task of its own, drawn and begun without a wait, one attempt at one
//! channel, bounded in number and in time, and not begun while the gateway or the other route is crowded. What its
//! upstream is like is learnt as from any attempt; callers' figures and callers' retries do not hear of it. A drain
//! ends it at once. What refers to state at an upstream, or would leave some there, is never sent twice.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use http::Response;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::attempt::{self, Attempted};
use super::intake::{Guest, Load};
use super::reply::Reply;
use super::{Gateway, Snapshot, drive, memory};
use crate::algo::tick::Tick;
use crate::config::Mirror;
use crate::dialect::{Dialect, Replay, left};
use crate::route::{Need, Plan, Resend, line};
use crate::state::route::Route;
use crate::telemetry::catalogue;
use crate::vocab::{Part, Priority};

/// All that are under way.
#[derive(Default)]
pub struct Mirrors(Mutex<Running>);

#[derive(Default)]
struct Running {
    tasks: JoinSet<()>,
    stopped: bool,
}

/// What became of a request that was drawn. The metric label `result` of `mainstay_mirrored_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Ok,
    Failed,
    /// The answer had begun and did not end well.
    Broken,
    /// The other route's `timeouts.total` was not enough.
    Late,
    /// By the drain.
    Cancelled,
    /// Nobody of the other route could be asked at once.
    NoChannel,
    /// It refers to something, or cannot be put to the other route as it is.
    Unsuitable,
    /// As many are under way as may be.
    Full,
    /// The gateway has no room to give away.
    Crowded,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Broken => "broken",
            Self::Late => "late",
            Self::Cancelled => "cancelled",
            Self::NoChannel => "no_channel",
            Self::Unsuitable => "unsuitable",
            Self::Full => "full",
            Self::Crowded => "crowded",
        }
    }
}

impl Mirrors {
    /// Ends all of them, and begins no more.
    pub fn stop(&self) {
        let mut running = self.0.lock();
        running.stopped = true;
        running.tasks.abort_all();
    }

    fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.0.lock();
        while running.tasks.try_join_next().is_some() {}
        if !running.stopped {
            running.tasks.spawn(work);
        }
    }
}

/// Mirrors `guest`, who is about to be served, if chance and the route will have it so.
pub fn cast(gateway: &Arc<Gateway>, snapshot: &Arc<Snapshot>, guest: &Guest) {
    let route = &snapshot.table.routes[guest.route];
    let Some(mirror) = &route.config.steering.mirror else { return };
    // It would be our account that is charged for what is no affair of ours.
    if guest.caller.own().is_some() {
        return;
    }
    if !gateway.live.dice().chance(mirror.share.share()) {
        return;
    }
    let begun = gateway.live.now();
    let to = &snapshot.table.routes[mirror.to];
    let mut tally = Tally {
        gateway: Arc::clone(gateway),
        route: Arc::clone(route),
        to: Arc::clone(to),
        begun,
        outcome: Outcome::Cancelled,
        place: Place::None,
    };
    if let Err(why) = tally.begin(snapshot, guest, mirror) {
        tally.outcome = why;
        return;
    }
    let Some(shadow) = shadow(guest, mirror.to, to, begun) else {
        tally.outcome = Outcome::Unsuitable;
        return;
    };
    gateway.mirrors.start(run(Arc::clone(gateway), Arc::clone(snapshot), shadow, tally));
}

/// Counts what became of one, however it ends, and frees its place.
struct Tally {
    gateway: Arc<Gateway>,
    route: Arc<Route>,
    to: Arc<Route>,
    begun: Tick,
    outcome: Outcome,
    place: Place,
}

/// One of the route's `max_in_flight`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    None,
    Taken,
}

impl Tally {
    fn begin(&mut self, snapshot: &Snapshot, guest: &Guest, mirror: &Mirror) -> Result<(), Outcome> {
        if !is_suitable(guest) {
            return Err(Outcome::Unsuitable);
        }
        let most = snapshot.table.server.limits.max_inflight;
        // As for callers who matter least; this one's caller is counted already.
        let others = self.gateway.in_flight().saturating_sub(1);
        if !line::may_come_in(others, most, Priority::Sheddable)
            || memory::scarce(&self.gateway, snapshot, Priority::Sheddable).is_some()
        {
            return Err(Outcome::Crowded);
        }
        let mirrors = &self.route.memory.mirrors;
        let more = |under_way: u32| (under_way < mirror.max_in_flight).then_some(under_way + 1);
        mirrors.fetch_update(Relaxed, Relaxed, more).map_err(|_| Outcome::Full)?;
        self.place = Place::Taken;
        Ok(())
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if self.place == Place::Taken {
            self.route.memory.mirrors.fetch_sub(1, Relaxed);
        }
        let (metrics, took) = (&self.gateway.live.metrics, self.gateway.live.now().since(self.begun));
        let (route, to) = (&*self.route.config.name, &*self.to.config.name);
        metrics.counter(&catalogue::MIRRORED, &[route, to, self.outcome.name()]).increment(1);
        if self.outcome == Outcome::Ok {
            metrics.histogram(&catalogue::MIRROR_SECONDS, &[route, to]).record(took.as_secs_f64());
        }
    }
}

/// What can be asked a second time, somewhere else, without a trace.
fn is_suitable(guest: &Guest) -> bool {
    let Load::Ask { body, scan } = &guest.load else { return false };
    let asks = guest.dialect != Dialect::Http
        && guest.operation.replay() == Replay::Allowed
        && !guest.operation.health_neutral();
    let refers = scan.is_stateful()
        || guest.bond.is_some()
        || guest.thoughts.is_some()
        || guest.errand.is_some()
        || guest.upgrade.is_some();
    asks && !refers && left::meant(body).is_ok_and(|names| names.is_empty())
}

/// The same request once more, for the route `index`. What its caller may not reach is not asked here either.
fn shadow(guest: &Guest, index: usize, to: &Arc<Route>, begun: Tick) -> Option<Box<Guest>> {
    let mut shadow = guest.twin(|| guest.settle.unheard(to, begun))?;
    shadow.head.headers.clone_from(&guest.head.headers);
    Some(Box::new(Guest {
        route: index,
        asked_for: index,
        resend: Resend::IfUnsent,
        begun,
        deadline: begun + to.config.longest_total(),
        is_retry: false,
        session: None,
        priority: Priority::Sheddable,
        ..shadow
    }))
}

async fn run(gateway: Arc<Gateway>, snapshot: Arc<Snapshot>, guest: Box<Guest>, mut tally: Tally) {
    let until = gateway.live.clock.instant(guest.deadline);
    let request_id = guest.request_id.clone();
    tally.outcome = timeout_at(until, ask(&gateway, &snapshot, guest)).await.unwrap_or(Outcome::Late);
    tracing::debug!(
        target: "mainstay::mirror",
        request = %request_id,
        route = &*tally.route.config.name,
        to = &*tally.to.config.name,
        outcome = tally.outcome.name(),
        "mirrored"
    );
}

async fn ask(gateway: &Arc<Gateway>, snapshot: &Arc<Snapshot>, mut guest: Box<Guest>) -> Outcome {
    let model = std::mem::take(&mut guest.model);
    let caller = guest.caller.clone();
    let need = Need { most_attempts: 1, ..drive::need(&guest, &model, &caller) };
    let mut plan = Plan::aside(&snapshot.table, guest.route);
    // Whoever waits there has a caller.
    if plan.is_behind_others() {
        return Outcome::NoChannel;
    }
    let Ok(mut permit) = plan.choose(&need) else { return Outcome::NoChannel };
    guest.settle.attempts = plan.attempts;
    guest.settle.channel = Some(Arc::clone(permit.channel()));
    guest.settle.saw(plan.take_look());
    guest.settle.book(&mut permit, Part::Mirror);
    let limits = plan.limits(&permit, &need);
    match attempt::attempt(gateway, snapshot, &guest, &plan, permit, limits).await {
        Attempted::Answered(answer) => read(attempt::respond(guest, &plan, snapshot, *answer)).await,
        Attempted::Untried(permit, _) => {
            plan.withdraw(permit);
            Outcome::Unsuitable
        }
        Attempted::Failed(permit, failed) => {
            plan.excuse(permit, failed.failure);
            Outcome::Failed
        }
    }
}

/// To the end, as a caller would.
async fn read(response: Response<Reply>) -> Outcome {
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return Outcome::Broken;
        }
    }
    Outcome::Ok
}
