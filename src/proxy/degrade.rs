//! What becomes of a request that no channel can take: the items of its route's `on_exhausted`, in their order.
//!
//! Only outages and limits are degraded. What an upstream says of the request itself is the caller's to hear,
//! and nobody is told a stale answer in its place. The route that was asked for decides, also for its
//! fallbacks. A panic (`panic:`) comes before the items behind `fallback`, and before all of them where there
//! is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use tokio::time::sleep;

use super::Gateway;
use super::again::{self, Mark};
use super::attempt::{self, Failed};
use super::drive::Drive;
use super::intake::{Guest, Load};
use super::limits::Reached;
use super::refuse::name_request;
use super::reply::Reply;
use crate::config::Degradation;
use crate::dialect::hub::{Family, Keeping, Manner, Mode, Renamed, Stops};
use crate::dialect::{translate, tree};
use crate::ledger::Wait;
use crate::route::{Exhausted, Lack, Plan, Resend};
use crate::state::Permit;
use crate::state::model::Shape;
use crate::state::route::Route;
use crate::telemetry::{RequestOutcome, catalogue};
use crate::vocab::{Class, Fault};

/// How an answer came about that no upstream gave: `answer`.
const DEGRADED: HeaderName = HeaderName::from_static("x-mainstay-degraded");

/// How often somebody looks whose route does not know when it will be back.
const LOOK: Duration = Duration::from_millis(250);
/// A crowd that waits for the same moment does not move as one.
const SPREAD: Duration = Duration::from_millis(100);

/// How far a request has come in its route's list.
#[derive(Default)]
pub struct Descent {
    next: usize,
    waited: Duration,
    /// Attempts that were made before the first wait. Whoever has made more since does not wait again.
    attempts: Option<u32>,
}

/// Whether another channel may have the request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    Possible,
    /// Its retries are used up, or it must not be sent again.
    Impossible,
}

/// What follows.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for a request at a time, and it is taken apart at once"
)]
pub enum Rest {
    /// The plan has something to choose from again, or a permit that was forced.
    ChooseAgain(Box<Guest>, Option<Permit>),
    Over(Response<Reply>),
}

/// Goes on in the list of `guest`'s route, for nothing is eligible, or the last attempt was the last one.
pub async fn rest(
    drive: &mut Drive<'_>,
    mut guest: Box<Guest>,
    mut exhausted: Exhausted,
    elsewhere: Elsewhere,
) -> Rest {
    let gateway = drive.gateway;
    let asked = Arc::clone(&drive.plan.table().routes[guest.route]);
    let tries = &asked.config.exhausted.tries;
    let degradable = is_degradable(&guest, drive.last.as_deref(), exhausted);
    loop {
        let Drive { plan, need, descent, .. } = drive;
        let ahead = tries.get(descent.next..).unwrap_or_default();
        let falls_back = ahead.contains(&Degradation::Fallback);
        let may_panic = elsewhere == Elsewhere::Possible && plan.may_panic() && !falls_back;
        if may_panic {
            match plan.panic(need, exhausted) {
                Ok(permit) => return Rest::ChooseAgain(guest, Some(permit)),
                Err(still) => exhausted = still,
            }
        }
        match ahead.first() {
            Some(Degradation::Fallback) => {
                if elsewhere == Elsewhere::Possible && plan.fall_back() {
                    return Rest::ChooseAgain(guest, None);
                }
            }
            Some(Degradation::Stale) if degradable => {
                if let Some(kept) = again::stale(&guest) {
                    count(gateway, &asked, "stale");
                    guest.settle.attempts = plan.attempts;
                    return Rest::Over(again::say(guest, &asked, &kept, Mark::Stale));
                }
            }
            Some(Degradation::Wait) if degradable && may_wait(&guest, plan, descent) => {
                if wait(drive, &mut guest, &asked).await {
                    return Rest::ChooseAgain(guest, None);
                }
            }
            Some(Degradation::Answer) if degradable => {
                if let Some((body, content_type)) = answer(gateway, &guest, &asked) {
                    count(gateway, &asked, "answer");
                    return Rest::Over(say(guest, plan, body, content_type));
                }
            }
            Some(Degradation::Stale | Degradation::Wait | Degradation::Answer) => {}
            Some(Degradation::Fail) | None => break,
        }
        drive.descent.next += 1;
    }
    Rest::Over(drive.part(guest, exhausted).await)
}

fn count(gateway: &Gateway, route: &Route, how: &'static str) {
    gateway.live.metrics.counter(&catalogue::DEGRADED, &[&route.config.name, how]).increment(1);
}

/// Whether the failure is ours or an upstream's, and another answer is better than none. Counts of tokens are
/// made here (`count`).
fn is_degradable(guest: &Guest, last: Option<&Failed>, exhausted: Exhausted) -> bool {
    if guest.operation.health_neutral() || exhausted.lack == Lack::Model {
        return false;
    }
    let Some(failed) = last else {
        return match exhausted.lack {
            Lack::Configuration | Lack::Credentials | Lack::Room | Lack::Health => true,
            Lack::Dialect | Lack::Ability(_) | Lack::Bound | Lack::Model => false,
        };
    };
    let fault = failed.failure.fault;
    match fault.class() {
        Class::UpstreamFault
        | Class::Overload
        | Class::Throttled
        | Class::QuotaExhausted
        | Class::AuthFault
        | Class::ConfigFault => true,
        Class::LocalFault => matches!(fault, Fault::PoolFull | Fault::Starved),
        Class::ClientFault | Class::StreamFault | Class::Cancelled => false,
    }
}

/// Waiting means to be asked again, from the beginning of the plan, once.
fn may_wait(guest: &Guest, plan: &Plan<'_>, descent: &Descent) -> bool {
    let whole = !matches!(&guest.load, Load::Once(once) if once.is_spent());
    let resend = plan.attempts == 0 || guest.resend == Resend::Allowed;
    whole && resend && descent.attempts.is_none_or(|before| before == plan.attempts)
}

/// A place among those who wait.
struct Waiter<'r>(&'r AtomicU32);

impl<'r> Waiter<'r> {
    fn enter(waiting: &'r AtomicU32, most: u32) -> Option<Self> {
        let enter = |count: u32| (count < most).then_some(count + 1);
        waiting.fetch_update(Relaxed, Relaxed, enter).ok().map(|_| Self(waiting))
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Waits until the asked route has somebody to choose; then the plan begins anew. `false` where that takes
/// too long, or too many wait already.
async fn wait(drive: &mut Drive<'_>, guest: &mut Guest, asked: &Route) -> bool {
    let Drive { gateway, plan, need, descent, .. } = drive;
    let settings = &asked.config.exhausted;
    let Some(waiter) = Waiter::enter(&asked.memory.waiting, settings.waiters) else {
        count(gateway, asked, "wait_full");
        return false;
    };
    let table = plan.table();
    let back = loop {
        let begun = gateway.live.now();
        let left = settings.wait.saturating_sub(descent.waited).min(guest.deadline.since(begun));
        let soonest = Plan::begin(table, guest.route).outlook(need).soonest;
        let spread = SPREAD.mul_f64(gateway.live.dice().between(0.0, 1.0));
        let nap =
            soonest.map_or(LOOK, |soonest| soonest.max(Duration::from_millis(1))).saturating_add(spread);
        // Nobody is kept for what cannot help him.
        if nap > left {
            break false;
        }
        sleep(nap).await;
        let slept = gateway.live.now().since(begun);
        descent.waited += slept;
        guest.settle.waited(Wait::Recovery, slept);
        if Plan::begin(table, guest.route).has_untried(need) {
            break true;
        }
    };
    drop(waiter);
    count(gateway, asked, if back { "wait" } else { "wait_vain" });
    if back {
        *plan = plan.anew(guest.route);
        descent.attempts = Some(plan.attempts);
        descent.next = 0;
    }
    back
}

/// The configured text as an answer in the caller's dialect, and its content type. `None` for what is no
/// generation, and for requests that nobody could read.
fn answer(gateway: &Gateway, guest: &Guest, asked: &Route) -> Option<(bytes::Bytes, &'static str)> {
    let text = asked.config.exhausted.answer.as_deref()?;
    let Load::Ask { body, scan } = &guest.load else { return None };
    if !translate::generates(guest.operation) {
        return None;
    }
    let root = tree::request(body).ok()?;
    let ask = translate::read(guest.dialect, guest.operation, &scan.model, &root).ok()?;
    let manner = Manner {
        model: scan.model.clone(),
        nonce: gateway.live.nonce(),
        now: gateway.live.clock.unix_now().as_secs(),
        usage_wanted: !matches!(ask.mode, Mode::Stream { usage: false }),
        family: Family::Other,
        framing: attempt::framing(guest),
        echo: translate::echo(&ask, guest.dialect),
        keeping: Keeping::Passing,
        renamed: Renamed::default(),
        stops: Stops::default(),
    };
    if guest.shape == Shape::Stream {
        let content_type = translate::stream_type(guest.dialect, manner.framing);
        translate::said_in_stream(guest.dialect, text, manner).map(|body| (body, content_type))
    } else {
        Some((translate::said(guest.dialect, text, &manner), "application/json"))
    }
}

fn say(
    mut guest: Box<Guest>,
    plan: &Plan<'_>,
    body: bytes::Bytes,
    content_type: &'static str,
) -> Response<Reply> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(DEGRADED, HeaderValue::from_static("answer"));
    name_request(headers, guest.dialect, &guest.request_id, Some(plan.attempts));
    guest.settle.attempts = plan.attempts;
    guest.settle.channel = None;
    guest.settle.reached = Reached::Nobody;
    guest.settle.instead = Some("answer");
    guest.settle.first_byte(StatusCode::OK);
    guest.settle.ends(RequestOutcome::Ok);
    response.map(|()| Reply::whole(body, Some(guest.settle)))
}
