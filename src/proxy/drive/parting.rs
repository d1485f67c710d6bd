//! What a request is told that nobody has answered: whose words, which kind of error, and when to come again.

use std::time::Duration;

use http::{Response, StatusCode};

use super::Drive;
use crate::dialect::trouble::{self, Kind, THREAD_NOT_FOUND};
use crate::dialect::{Dialect, translate};
use crate::proxy::intake::Guest;
use crate::proxy::refuse::{DEFAULT_RETRY_AFTER, Refusal, in_short};
use crate::proxy::reply::Reply;
use crate::proxy::{admission, attempt};
use crate::route::{Exhausted, Hold, Lack, Need, Plan, is_of_own_key};
use crate::vocab::{Class, Fault};

impl Drive<'_> {
    /// The caller gets the upstream's own words where they are about the caller's request, or where we
    /// are only a reverse proxy; else ours, which say what was tried.
    pub(super) fn give_up(&mut self, mut guest: Box<Guest>, exhausted: Exhausted) -> Response<Reply> {
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
}

pub(super) fn refuse(
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
