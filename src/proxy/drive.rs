//! The attempt loop: choose, try, judge, until there is an answer or nothing left to try. What it asks of a plan,
//! `sim::drive` asks in the same order.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use tokio::time::sleep;

use super::attempt::{self, Attempted, Failed, Untried};
use super::degrade::{self, Descent, Onward, Rest};
use super::intake::{Guest, Load};
use super::limits::Reached;
use super::refuse::{DEFAULT_RETRY_AFTER, Refusal, in_short};
use super::reply::Reply;
use super::{Gateway, Snapshot, admission, again, count, hedge, left, media, mirror, thoughts};
use crate::access::Caller;
use crate::algo::throttle;
use crate::dialect::trouble::{self, Kind, THREAD_NOT_FOUND};
use crate::dialect::{Dialect, entry, translate};
use crate::ledger::Wait;
use crate::route::{Exhausted, Hold, Lack, Need, Plan, Verdict, is_of_own_key};
use crate::state::Permit;
use crate::vocab::{Class, Fault, Part, Stage};

/// Attempts for a request whose caller retries by itself; both retrying in full would multiply.
const ATTEMPTS_OF_RETRY: u32 = 2;

/// What `guest`, who asks for `model`, needs of a channel.
pub fn need<'m>(guest: &Guest, model: &'m str, caller: &'m Caller) -> Need<'m> {
    Need {
        dialect: guest.dialect,
        operation: guest.operation,
        model,
        narrow: guest.dialect == Dialect::Gemini && entry::is_narrow(guest.head.uri.path()),
        shape: guest.shape,
        resend: guest.resend,
        deadline: guest.deadline,
        prompt_tokens: guest.prompt_tokens,
        thinks: guest.thinks,
        most_output: guest.most_output,
        session: guest.session,
        bond: guest.bond,
        least_window: guest.least_window,
        abilities: guest.abilities,
        lineage: caller.lineage(),
        own: caller.own().map(|own| &*own.taker),
        most_cost: guest.most_cost,
        most_attempts: if guest.is_retry { ATTEMPTS_OF_RETRY } else { u32::MAX },
    }
}

/// Answers `guest`.
pub async fn drive(
    gateway: &Arc<Gateway>,
    snapshot: &Arc<Snapshot>,
    mut guest: Box<Guest>,
) -> Response<Reply> {
    mirror::cast(gateway, snapshot, &guest);
    let model = std::mem::take(&mut guest.model);
    let caller = guest.caller.clone();
    let mut drive = Drive {
        gateway,
        snapshot,
        plan: Plan::begin(&snapshot.table, guest.route),
        need: need(&guest, &model, &caller),
        descent: Descent::default(),
        last: None,
    };
    drive.run(guest).await
}

/// A request on its way from channel to channel.
pub struct Drive<'a> {
    pub(super) gateway: &'a Arc<Gateway>,
    snapshot: &'a Arc<Snapshot>,
    pub(super) plan: Plan<'a>,
    pub(super) need: Need<'a>,
    pub(super) descent: Descent,
    /// The attempt that failed last.
    pub(super) last: Option<Box<Failed>>,
}

impl Drive<'_> {
    async fn run(&mut self, mut guest: Box<Guest>) -> Response<Reply> {
        let mut permit = None;
        loop {
            let next = match permit {
                Some(permit) => self.attempt(guest, permit).await,
                None => self.choose(guest).await,
            };
            (guest, permit) = match next {
                Rest::Onward(guest, permit) => (guest, permit),
                Rest::Over(response) => return response,
            };
        }
    }

    /// A channel that may be asked now; without one, what else can be done.
    async fn choose(&mut self, mut guest: Box<Guest>) -> Rest {
        guest.is_attended().await;
        if self.gateway.live.now() >= guest.deadline {
            return Rest::Over(self.too_late(guest));
        }
        let choice = admission::choose(self.gateway, &mut guest, &mut self.plan, &self.need).await;
        guest.settle.saw(self.plan.take_look());
        match choice {
            Ok(permit) => Rest::Onward(guest, Some(permit)),
            Err(_) if left::passes_over(&mut guest) => {
                self.need.bond = guest.bond;
                Rest::Onward(guest, None)
            }
            Err(exhausted) => {
                if left::may_be_there(&guest) {
                    self.last = None;
                }
                let mut rest = degrade::rest(self, guest, exhausted, Onward::Anywhere).await;
                if let Rest::Onward(guest, _) = &mut rest {
                    guest.shed = None;
                    guest.settle.saw(self.plan.take_look());
                }
                rest
            }
        }
    }

    async fn attempt(&mut self, mut guest: Box<Guest>, mut permit: Permit) -> Rest {
        let Self { gateway, snapshot, plan, need, last, .. } = self;
        guest.settle.attempts = plan.attempts;
        guest.settle.channel = Some(Arc::clone(permit.channel()));
        guest.settle.book(&mut permit, Part::Turn);
        let attempted = hedge::attempt(gateway, snapshot, &mut guest, plan, need, permit).await;
        if let Attempted::Failed(_, failed) = &attempted
            && failed.failure.stage != Stage::NotSent
        {
            guest.settle.reached = Reached::Upstream;
        }
        match attempted {
            Attempted::Answered(answer) => {
                record(plan, gateway, throttle::Outcome::Ok);
                guest.settle.reached = Reached::Upstream;
                plan.keep(need, answer.permit());
                let kept = guest.again.take();
                let response = attempt::respond(guest, plan, snapshot, *answer);
                return Rest::Over(again::record(kept, plan.route(), response));
            }
            Attempted::Untried(permit, untried) => {
                plan.withdraw(permit);
                guest.settle.attempts = plan.attempts;
                let there = match untried {
                    Untried::Unfetched(urls) => media::fetch(gateway, snapshot, &mut guest, urls).await,
                    Untried::NoRoom => Err(media::NoRoom),
                };
                if there.is_err() {
                    let refusal = admission::no_room(gateway, &snapshot.table, guest);
                    return Rest::Over(refusal.into_response(&gateway.live));
                }
            }
            Attempted::Failed(permit, failed) if left::seeks_on(&mut guest, &failed) => {
                plan.excuse(permit, failed.failure);
                need.bond = guest.bond;
                *last = Some(failed);
            }
            Attempted::Failed(permit, failed)
                if thoughts::gives_up(&mut guest, &plan.route().config, &failed) =>
            {
                plan.excuse(permit, failed.failure);
                *last = Some(failed);
            }
            Attempted::Failed(permit, failed) => return self.fail(guest, permit, failed).await,
        }
        Rest::Onward(guest, None)
    }

    /// What follows a failure: the next channel after a pause, another route, or the end.
    async fn fail(&mut self, mut guest: Box<Guest>, permit: Permit, failed: Box<Failed>) -> Rest {
        let Self { gateway, plan, need, .. } = self;
        let of_own_key = is_of_own_key(failed.failure.fault, need);
        if !of_own_key {
            hear(plan, gateway, &failed);
        }
        let verdict = plan.verdict(permit, failed.failure, need);
        let again = !matches!(&guest.load, Load::Once(once) if once.is_spent());
        tracing::debug!(
            request = %guest.request_id,
            channel = guest.settle.channel.as_ref().map(|channel| &*channel.label),
            fault = failed.failure.fault.name(),
            stage = failed.failure.stage.name(),
            detail = guest.settle.privacy.keeps(failed.detail.as_deref()),
            ?verdict,
            "attempt failed"
        );
        let refused = failed.failure.fault.class() == Class::ClientFault;
        if let Load::Once(once) = &guest.load
            && let Some(told) = once.unread().and_then(|unread| unread.told(self.snapshot))
        {
            guest.settle.attempts = self.plan.attempts;
            let refusal = refuse(guest, &self.plan, told, None, false).closing();
            return Rest::Over(refusal.into_response(&self.gateway.live));
        }
        self.last = Some(failed);
        if of_own_key {
            let outlook = self.plan.outlook(&self.need);
            return Rest::Over(self.give_up(guest, outlook));
        }
        let onward = match verdict {
            Verdict::Retry { wait } if again => {
                if !wait.is_zero() {
                    let begun = self.gateway.live.now();
                    sleep(wait).await;
                    guest.settle.waited(Wait::Backoff, self.gateway.live.now().since(begun));
                }
                return Rest::Onward(guest, None);
            }
            Verdict::NextRoute if again && refused && self.plan.fall_back() => {
                return Rest::Onward(guest, None);
            }
            Verdict::NextRoute if again && !refused => Onward::Anywhere,
            Verdict::Retry { .. } | Verdict::NextRoute | Verdict::GiveUp => Onward::Nowhere,
        };
        let outlook = self.plan.outlook(&self.need);
        degrade::rest(self, guest, outlook, onward).await
    }

    /// Nobody answered. What can be had here is had here.
    pub(super) async fn part(&mut self, guest: Box<Guest>, exhausted: Exhausted) -> Response<Reply> {
        if count::can(&guest, self.last.as_deref(), exhausted) {
            return count::answer(&self.gateway.live, guest, &self.plan).await;
        }
        self.give_up(guest, exhausted)
    }

    /// The caller gets the upstream's own words where they are about the caller's request, or where we
    /// are only a reverse proxy; else ours, which say what was tried.
    fn give_up(&mut self, mut guest: Box<Guest>, exhausted: Exhausted) -> Response<Reply> {
        let Self { gateway, plan, need, last, .. } = self;
        guest.settle.attempts = plan.attempts;
        if exhausted.lack == Lack::Model {
            let said = nothing_eligible(plan, exhausted, &guest, need);
            return refuse(guest, plan, said, None, true)
                .code("model_not_found")
                .into_response(&gateway.live);
        }
        // Who was turned away while waiting for somebody better is told of that.
        let Some(mut failed) = last.take().filter(|_| guest.shed.is_none()) else {
            let said = nothing_eligible(plan, exhausted, &guest, need);
            return refuse(guest, plan, said, exhausted.soonest, true).into_response(&gateway.live);
        };
        let fault = failed.failure.fault;
        let of_own_key = is_of_own_key(fault, need);
        let about_request = fault.class() == Class::ClientFault || fault == Fault::Unsayable;
        // Of what cannot be said to it an upstream may have words of its own: not of its account with us, nor to come
        // again.
        let is_ours = |status: StatusCode| matches!(status.as_u16(), 401 | 402 | 429);
        let has_words = failed.spare.as_ref().is_some_and(|spare| !is_ours(spare.status()));
        let theirs = fault.class() == Class::ClientFault
            || (fault == Fault::Unsayable && has_words)
            || guest.dialect == Dialect::Http
            || of_own_key;
        if theirs && let Some(spare) = failed.spare.take() {
            return attempt::pass_on(guest, *spare, fault);
        }
        let (kind, what) = if of_own_key { of_own_key_kind(fault) } else { kind_of(fault) };
        // It needs no story of ours.
        if about_request && let Some(message) = failed.message.take() {
            let is_thread = failed.param.as_deref() == Some(translate::THREAD);
            let kind = if is_thread { Kind::NotFound } else { kind };
            let mut refusal = refuse(guest, plan, (kind, message), None, true);
            refusal.trouble.param = failed.param.take();
            refusal.trouble.code = match fault {
                // With which its SDKs send all of it.
                _ if is_thread => Some(THREAD_NOT_FOUND.to_owned()),
                Fault::ContextOverflow => Some("context_length_exceeded".to_owned()),
                Fault::ContentPolicy => Some("content_policy_violation".to_owned()),
                _ => None,
            };
            return refusal.into_response(&gateway.live);
        }
        let mut message =
            format!("{what} after {} on route `{}`", times(plan.attempts), plan.route().config.name);
        if let Some(channel) = &guest.settle.channel {
            message = format!("{message}; last tried {}: {}", channel.label, fault.name().replace('_', " "));
        }
        if let Some(words) = failed.message.as_deref() {
            message = format!("{message} ({words})");
        }
        // A refused credential rests as well, but no caller has to slow down for it.
        let limited = exhausted.lack == Lack::Credentials && fault.class() != Class::AuthFault && !of_own_key;
        let kind = if limited { Kind::RateLimited } else { kind };
        let retry_after = match kind {
            Kind::RateLimited => exhausted.soonest.or(failed.failure.hint.retry_after),
            _ => failed.failure.hint.retry_after.or(exhausted.soonest),
        };
        refuse(guest, plan, (kind, message), retry_after, true).into_response(&gateway.live)
    }

    /// The request's time is up: nobody is asked for what nobody waits for.
    fn too_late(&mut self, guest: Box<Guest>) -> Response<Reply> {
        if self.last.is_some() {
            let outlook = self.plan.outlook(&self.need);
            return self.give_up(guest, outlook);
        }
        let message = "the request's deadline had passed before an upstream could be asked".to_owned();
        refuse(guest, &self.plan, (Kind::Timeout, message), None, true).into_response(&self.gateway.live)
    }
}

/// Tells the throttle of a panic how an attempt failed.
pub fn hear(plan: &Plan<'_>, gateway: &Gateway, failed: &Failed) {
    match failed.failure.fault.class() {
        Class::UpstreamFault => record(plan, gateway, throttle::Outcome::Fail),
        Class::Overload | Class::Throttled => record(plan, gateway, throttle::Outcome::Overload),
        Class::ClientFault => record(plan, gateway, throttle::Outcome::Ok),
        Class::QuotaExhausted
        | Class::AuthFault
        | Class::ConfigFault
        | Class::StreamFault
        | Class::Cancelled
        | Class::LocalFault => {}
    }
}

/// The throttle of a panic judges by what was forwarded before it, too.
fn record(plan: &Plan<'_>, gateway: &Gateway, outcome: throttle::Outcome) {
    plan.route().memory.throttle.lock().record(gateway.live.now(), outcome);
}

fn refuse(
    guest: Box<Guest>,
    plan: &Plan<'_>,
    (kind, message): (Kind, String),
    retry_after: Option<Duration>,
    exhausted: bool,
) -> Box<Refusal> {
    let message = trouble::known_by(kind, guest.dialect, message);
    let mut refusal = Refusal::new(kind, message, guest.dialect, &guest.request_id);
    let temporary =
        matches!(kind, Kind::RateLimited | Kind::Unavailable | Kind::Overloaded | Kind::BadGateway);
    // Many callers come back at the same second they were all told, so each is told a little later.
    let spread = plan.table().live.dice().between(1.0, 1.2);
    refusal.trouble.retry_after =
        temporary.then(|| retry_after.unwrap_or(DEFAULT_RETRY_AFTER).mul_f64(spread));
    refusal.exhausted = exhausted;
    if let Some(shed) = guest.shed {
        // Nobody failed: the caller may well come again, a little later.
        let asked = &plan.table().routes[guest.route];
        asked.handles.shed(&plan.table().live.metrics, shed, guest.priority);
        refusal.shed = Some(shed);
        refusal.exhausted = false;
        refusal.trouble.retry_after = Some(admission::come_again(guest.settle.gateway()));
    }
    refusal.settle = Some(guest.settle);
    refusal
}

fn nothing_eligible(plan: &Plan<'_>, exhausted: Exhausted, guest: &Guest, need: &Need<'_>) -> (Kind, String) {
    let name = &plan.route().config.name;
    let bound = guest.bond.is_some_and(|bond| bond.hold == Hold::Firm);
    let refused = || {
        let mut keys = plan.route().channels.iter().flat_map(|channel| &channel.upstream.credentials);
        keys.all(|key| key.is_refused())
    };
    match exhausted.lack {
        Lack::Bound if guest.errand.is_some() => (
            Kind::BadRequest,
            format!(
                "what the request is about was left at an upstream that has no channel on route `{name}`"
            ),
        ),
        Lack::Credentials if bound => (
            Kind::RateLimited,
            format!(
                "the one account of route `{name}` that has what the request refers to is rate limited or out of quota"
            ),
        ),
        Lack::Room | Lack::Health if bound => (
            Kind::Unavailable,
            format!(
                "the one account of route `{name}` that has what the request refers to cannot be asked right now"
            ),
        ),
        Lack::Dialect => {
            let message = format!(
                "no channel of route `{name}` speaks the dialect of this endpoint; see GET /admin/explain"
            );
            (Kind::BadRequest, message)
        }
        Lack::Ability(ability) => (
            Kind::BadRequest,
            format!(
                "no model of route `{name}` can take what the request brings ({}); see GET /admin/explain",
                ability.name()
            ),
        ),
        Lack::Bound => (
            Kind::BadRequest,
            format!(
                "what the request goes on from is stored at an upstream that has no channel on route `{name}`; ask for the model that it was asked for, or send the whole conversation in `input`"
            ),
        ),
        Lack::Configuration => (
            Kind::Unavailable,
            format!("no channel of route `{name}` has its credentials; see `mainstay check`"),
        ),
        Lack::Model => (
            Kind::NotFound,
            format!(
                "no upstream of route `{name}` serves a model `{}`; GET /v1/models lists those that can be asked for by name",
                in_short(need.model)
            ),
        ),
        Lack::Credentials if refused() => {
            (Kind::Unavailable, format!("every credential of route `{name}` is refused by its provider"))
        }
        Lack::Credentials => {
            (Kind::RateLimited, format!("every credential of route `{name}` is rate limited or out of quota"))
        }
        Lack::Room => (
            Kind::Unavailable,
            format!(
                "who could serve on route `{name}` is as busy as `max_inflight` or what its keys take allows, and none came free in time"
            ),
        ),
        Lack::Health => (Kind::Unavailable, format!("no channel of route `{name}` is healthy right now")),
    }
}

pub fn kind_of(fault: Fault) -> (Kind, &'static str) {
    match fault {
        Fault::BadRequest => (Kind::BadRequest, "the upstream refused the request"),
        Fault::ContextOverflow => (Kind::ContextOverflow, "the prompt is too long"),
        Fault::ContentPolicy => (Kind::ContentPolicy, "the upstream refused the content"),
        Fault::ForeignReasoning => {
            (Kind::BadRequest, "the upstream cannot read the encrypted reasoning in the request")
        }
        Fault::Throttled => (Kind::RateLimited, "rate limited"),
        Fault::QuotaExhausted => (Kind::RateLimited, "the gateway's quota at its providers is used up"),
        Fault::AuthRefused => (Kind::Unavailable, "the provider refuses the gateway's credential"),
        Fault::ModelMissing => (Kind::BadGateway, "the provider does not serve the configured model"),
        Fault::Overloaded | Fault::Busy => (Kind::Overloaded, "the upstream is overloaded"),
        Fault::ConnectTimeout | Fault::HeadersTimeout | Fault::FirstEventTimeout => {
            (Kind::Timeout, "no answer in time")
        }
        Fault::DeadlineExceeded => (Kind::Timeout, "the request's deadline passed"),
        Fault::Unsayable => (Kind::BadRequest, "the request cannot be put to this model"),
        Fault::PoolFull | Fault::Starved => (Kind::Unavailable, "the gateway is at its own limits"),
        Fault::Dns
        | Fault::Connect
        | Fault::Tls
        | Fault::Reset
        | Fault::NotProcessed
        | Fault::Protocol
        | Fault::BadGateway
        | Fault::ServerError
        | Fault::Truncated
        | Fault::StreamError
        | Fault::StreamCut
        | Fault::StreamStalled
        | Fault::Cancelled => (Kind::BadGateway, "no channel could answer"),
    }
}

/// The same of what is between a caller with a key of his own and his provider.
fn of_own_key_kind(fault: Fault) -> (Kind, &'static str) {
    match fault.class() {
        Class::AuthFault => (Kind::UnknownKey, "the provider refuses your own key"),
        Class::QuotaExhausted => (Kind::QuotaExhausted, "your own account at the provider is used up"),
        Class::ConfigFault => (Kind::NotFound, "the provider has no such model for your own key"),
        Class::Throttled
        | Class::ClientFault
        | Class::UpstreamFault
        | Class::Overload
        | Class::StreamFault
        | Class::Cancelled
        | Class::LocalFault => kind_of(fault),
    }
}

fn times(attempts: u32) -> String {
    if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") }
}
