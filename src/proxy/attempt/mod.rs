//! One try on one channel, up to the commit: build the request, send it, read as much of the answer
//! as it takes to know whether it is one.

mod anew;
mod background;
mod betas;
mod build;
mod head;
mod read;
mod spoken;
mod unheard;
mod unnamed;

use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Request, Response, Version, response};

pub use betas::asked as betas_asked;
pub use read::{Failed, Spare, failed};
pub use spoken::{Spoken, framing, manner_at_home};

use background::Made;
use build::{Built, Unbuilt};
use read::{Content, Leg, Reading};
use unheard::book;

use super::intake::{Guest, Load};
use super::onward::{self, Party};
use super::peek::{NotJoined, Peeked, Unjoined};
use super::recall::Keepsake;
use super::refuse::{CHANNEL, DROPPED, ESTIMATED, name_request};
use super::reply::{Audience, Opaque, Reply, Said, Streaming};
use super::strike::{self, Striker};
use super::tail::Counted;
use super::unattended::{Attendance, is_read_on};
use super::{Gateway, Snapshot, left, thoughts, tunnel};
use crate::access::Caller;
use crate::algo::tick::Tick;
use crate::dialect::continuation::Method;
use crate::dialect::hub::Keeping;
use crate::dialect::task::Tokens;
use crate::dialect::{Dialect, stored_at, translate};
use crate::route::{Failure, Limits, Plan, Resend, fair};
use crate::state::{Channel, Permit};
use crate::telemetry::RequestOutcome;
use crate::upstream::auth;
use crate::upstream::headers::{self, Switching};
use crate::upstream::{CallError, CallLimits, Doubt, Incoming, Outgoing, Pool, Reuse};
use crate::vocab::{Class, Fault, RateHint, Stage, Usage};

pub enum Attempted {
    Answered(Box<Answer>),
    Failed(Permit, Box<Failed>),
    /// Nothing was tried.
    Untried(Permit, Untried),
}

/// What is missing to a request that a channel would get.
pub enum Untried {
    /// The channel's upstream takes only what these URLs hold.
    Unfetched(Vec<String>),
    /// Memory, to write it.
    NoRoom,
}

/// An answer that is going to the caller.
pub struct Answer {
    head: response::Parts,
    permit: Permit,
    body: Content,
    spoken: Spoken,
}

impl Answer {
    pub fn permit(&self) -> &Permit {
        &self.permit
    }
}

/// Writes the request here and now, and is the attempt to send it. Meanwhile `plan` may go on.
pub fn attempt<'a>(
    gateway: &'a Arc<Gateway>,
    snapshot: &'a Snapshot,
    guest: &'a Guest,
    plan: &Plan<'_>,
    permit: Permit,
    limits: Limits,
) -> impl Future<Output = Attempted> + use<'a> {
    let begun = gateway.live.now();
    let built = build::build(gateway, guest, plan, &permit);
    try_once(gateway, snapshot, guest, built, permit, limits, begun)
}

/// As [`attempt`], of one that may go on without its request.
pub fn apart(
    gateway: &Arc<Gateway>,
    snapshot: &Arc<Snapshot>,
    guest: &Guest,
    twin: Box<Guest>,
    plan: &Plan<'_>,
    permit: Permit,
    limits: Limits,
) -> impl Future<Output = Attempted> + Send + use<> {
    let begun = gateway.live.now();
    let built = build::build(gateway, guest, plan, &permit);
    let (gateway, snapshot) = (Arc::clone(gateway), Arc::clone(snapshot));
    async move { try_once(&gateway, &snapshot, &twin, built, permit, limits, begun).await }
}

async fn try_once(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    guest: &Guest,
    built: Result<Built, Unbuilt>,
    permit: Permit,
    limits: Limits,
    begun: Tick,
) -> Attempted {
    let attendance = guest.attendance.as_ref().filter(|_| is_read_on(permit.channel()));
    // Kept to the end of this.
    let mut under_way = None;
    let leaves = || under_way = attendance.map(Attendance::begin);
    let Sent { permit, spoken, head, upstream } =
        match send(gateway, snapshot, guest, built, permit, (limits, begun), leaves).await {
            Ok(sent) => sent,
            Err(unsent) => return (*unsent).into(),
        };
    let first = begun + limits.first_event;
    let withheld = limits.withheld;
    let reading = Reading { gateway, snapshot, guest, permit: &permit, spoken: &spoken, first, withheld };
    match reading.read(head, upstream).await {
        Ok((head, body)) => {
            let mut permit = permit;
            let first = match &body {
                Content::Stream { peeked, .. } => peeked.first_content,
                Content::Whole { .. } | Content::Opaque { .. } | Content::Tunnel { .. } => None,
            };
            permit.first_content(first.unwrap_or_else(|| gateway.live.now()));
            Attempted::Answered(Box::new(Answer { head, permit, body, spoken }))
        }
        Err(mut failed) => {
            weigh(gateway, snapshot, guest, &permit, &mut failed, begun);
            let mut permit = permit;
            if let Some(at) = failed.flowed {
                // For its channel it broke off as any other does.
                permit.first_content(at);
                permit.came(failed.events);
                failed.failure.fault = failed.failure.fault.behind_content();
            }
            permit.used_in_vain(failed.usage.as_ref(), failed.events);
            if failed.is_whole && failed.usage.is_some() {
                permit.has_told_all();
            }
            failed.detail.iter().for_each(|detail| permit.complains(detail));
            Attempted::Failed(permit, failed)
        }
    }
}

/// A request that is on its way, with the head of its answer.
struct Sent {
    permit: Permit,
    spoken: Spoken,
    head: response::Parts,
    upstream: Incoming,
}

/// Why a request did not leave.
enum Unsent {
    Failed(Permit, Box<Failed>),
    Untried(Permit, Untried),
}

impl From<Unsent> for Attempted {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Failed(permit, failed) => Self::Failed(permit, failed),
            Unsent::Untried(permit, untried) => Self::Untried(permit, untried),
        }
    }
}

async fn send(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    guest: &Guest,
    built: Result<Built, Unbuilt>,
    mut permit: Permit,
    (limits, begun): (Limits, Tick),
    mut leaves: impl FnMut(),
) -> Result<Sent, Box<Unsent>> {
    let pool = &snapshot.pools[permit.channel().upstream_index];
    let Built { mut request, spoken } = match built {
        Ok(built) => built,
        Err(unbuilt) => return Err(Box::new(unbuilt.by(permit))),
    };
    let timeouts = &permit.channel().config.timeouts;
    let left = guest.deadline.since(begun);
    let resend = match spoken.manner {
        Some(_) => guest.resend.translated(),
        None => guest.resend.native(),
    };
    let call_limits = CallLimits {
        connect: timeouts.connect.min(left),
        tls: timeouts.tls.min(left),
        pool_wait: timeouts.pool_wait.min(left),
        headers: limits.headers,
        reuse: if permit.is_in_silence() {
            Reuse::Never
        } else if resend == Resend::Allowed {
            Reuse::Any
        } else {
            Reuse::SafeOnly
        },
    };
    let refused = |mut permit: Permit, error: CallError| {
        if error.doubt == Doubt::Connection {
            permit.doubt_connection();
        }
        permit.complains(&error.detail);
        let fault = fair(&gateway.live, error.fault, begun, guest.deadline);
        let failure = Failure { fault, stage: error.stage, hint: RateHint::default() };
        let failed = Failed { detail: Some(error.detail), ..Failed::new(failure) };
        Err(Box::new(Unsent::Failed(permit, Box::new(failed))))
    };
    let authorized = authorize(pool, &mut request, &guest.caller, &permit, spoken.dialect, &call_limits);
    if let Err(error) = authorized.await {
        return refused(permit, error);
    }
    let mut sent = None;
    let leaves = || {
        sent = Some(gateway.live.now());
        leaves();
    };
    let called = pool.call_noting(request, call_limits, leaves).await;
    permit.left(sent);
    match called {
        Ok(response) => {
            let (head, upstream) = response.into_parts();
            permit.headed(gateway.live.now(), head.status.as_u16());
            Ok(Sent { permit, spoken, head, upstream })
        }
        Err(error) => refused(permit, error),
    }
}

/// Puts on a request the key that it is asked with: the caller's own, if he brings one, else the permit's.
async fn authorize(
    pool: &Arc<Pool>,
    request: &mut Request<Outgoing>,
    caller: &Caller,
    permit: &Permit,
    dialect: Dialect,
    limits: &CallLimits,
) -> Result<(), CallError> {
    let auth = permit.channel().upstream.config.provider.auth_in(dialect);
    match (caller.own(), permit.credential()) {
        (Some(own), _) => auth::carry(request, auth, &own.secret),
        (None, Some(key)) => pool.authorize(request, auth, &key.secret, limits).await,
        (None, None) => Ok(()),
    }
}

/// Says whose failure it is, and keeps our keys out of its words.
fn weigh(
    gateway: &Gateway,
    snapshot: &Snapshot,
    guest: &Guest,
    permit: &Permit,
    failed: &mut Failed,
    begun: Tick,
) {
    failed.failure.fault = fair(&gateway.live, failed.failure.fault, begun, guest.deadline);
    // Who asks with his own key may read of his own account.
    if guest.caller.own().is_none() {
        let channel = permit.channel();
        if let Some(words) = &mut failed.message {
            strike::text(channel, words);
        }
    }
    if let (Fault::AuthRefused, Some(credential)) = (failed.failure.fault, permit.credential()) {
        // Should it be a token that was got for the credential, the next one is asked for anew.
        snapshot.pools[permit.channel().upstream_index].forget_token(&credential.secret);
    }
}

/// What came of asking a channel to go on.
pub enum Continued {
    Joined { permit: Permit, peeked: Box<Peeked>, upstream: Incoming, method: Method },
    Not { permit: Permit, unjoined: Unjoined, method: Option<Method> },
}

/// One try to have a channel go on with `stream`; `before` is what was used for it so far.
pub async fn go_on(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    guest: &Guest,
    plan: &Plan<'_>,
    permit: Permit,
    limits: Limits,
    (stream, before): (Box<translate::Stream>, Usage),
) -> Continued {
    let begun = gateway.live.now();
    let built = build::build(gateway, guest, plan, &permit);
    let Sent { permit, spoken, head, upstream } =
        match send(gateway, snapshot, guest, built, permit, (limits, begun), || ()).await {
            Ok(sent) => sent,
            Err(unsent) => {
                let (permit, failed) = match *unsent {
                    Unsent::Failed(permit, failed) => (permit, failed),
                    // The stream waits: whoever has what the URLs hold already, or takes URLs, may go on.
                    Unsent::Untried(permit, Untried::Unfetched(_)) => {
                        (permit, failed(Fault::Unsayable, "what its URLs hold was not fetched"))
                    }
                    Unsent::Untried(permit, Untried::NoRoom) => {
                        (permit, failed(Fault::PoolFull, "there is no room to write the request"))
                    }
                };
                let unjoined = Unjoined { why: NotJoined::Failed(failed), stream, used: None };
                return Continued::Not { permit, unjoined, method: None };
            }
        };
    let method = spoken.put.map(|put| put.method);
    let (Some(asking), Some(put)) = (&guest.onward, method) else {
        let why = NotJoined::Failed(failed(Fault::Protocol, "it was not asked to go on"));
        return Continued::Not { permit, unjoined: Unjoined { why, stream, used: None }, method };
    };
    let leg = Leg { asking, stream, before, first: begun + limits.first_event, deadline: guest.deadline };
    match read::join(gateway, &permit, &spoken, head, upstream, leg).await {
        Ok((peeked, upstream)) => {
            let mut permit = permit;
            permit.first_content(peeked.first_content.unwrap_or_else(|| gateway.live.now()));
            Continued::Joined { permit, peeked: Box::new(peeked), upstream, method: put }
        }
        Err(mut unjoined) => {
            if let NotJoined::Failed(failed) = &mut unjoined.why {
                weigh(gateway, snapshot, guest, &permit, failed, begun);
            }
            Continued::Not { permit, unjoined, method }
        }
    }
}

impl Unbuilt {
    fn by(self, permit: Permit) -> Unsent {
        let failed = |fault| Failed::new(Failure { fault, stage: Stage::NotSent, hint: RateHint::default() });
        let failed = match self {
            Self::Unfetched(urls) => return Unsent::Untried(permit, Untried::Unfetched(urls)),
            Self::NoRoom => return Unsent::Untried(permit, Untried::NoRoom),
            // A request that nobody can write here is no failure of whoever would have got it.
            Self::Unsendable(detail) => {
                tracing::error!(detail, "a request cannot be put to a channel");
                Failed { detail: Some(detail), ..failed(Fault::Unsayable) }
            }
            Self::Unsayable(why) => {
                Failed { message: Some(why.message), param: why.param, ..failed(Fault::Unsayable) }
            }
        };
        Unsent::Failed(permit, Box::new(failed))
    }
}

/// The response for an answer. From here on its body owns the permit; nothing can be tried again.
pub fn respond(
    mut guest: Box<Guest>,
    plan: &Plan<'_>,
    snapshot: &Arc<Snapshot>,
    answer: Answer,
) -> Response<Reply> {
    let Answer { mut head, mut permit, body, spoken } = answer;
    let channel = Arc::clone(permit.channel());
    let switching = if matches!(body, Content::Tunnel { .. }) { Switching::Yes } else { Switching::No };
    dress(&mut head, guest.dialect, &guest.request_id, plan.attempts, &channel, switching);
    let keeping = keeping(&guest, snapshot, &body, &spoken);
    let keepsake = Keepsake::of(&mut guest, keeping);
    bind(&guest, &permit, &body, spoken.is_native());
    thoughts::answered(&guest, &permit);
    let is_native = spoken.is_native();
    if let Some(dropped) = spoken.dropped {
        head.headers.insert(DROPPED, dropped);
    }
    let audience = guest.audience();
    if audience == Audience::Caller {
        guest.settle.first_byte(head.status);
    }
    let reply = match body {
        Content::Whole { body, usage, tokens } => {
            let usage = guest.wish().complete(spoken.operation, usage);
            if let Some(keepsake) = keepsake.filter(|_| audience == Audience::Caller) {
                keepsake.remember(guest.settle.gateway(), &body);
            }
            if tokens == Tokens::Estimated {
                head.headers.insert(ESTIMATED, HeaderValue::from_static("tokens"));
            }
            if let Some(id) = background::goes_on(&guest, is_native, &body) {
                let (wish, place) = (guest.wish(), guest.followed.take());
                match Made::follow(permit, guest.settle, wish, place, &id) {
                    Ok(()) => return Response::from_parts(head, Reply::whole(body, None)),
                    Err(back) => (permit, guest.settle) = *back,
                }
            }
            book(&mut permit, usage.as_ref(), spoken.operation, &body);
            guest.settle.usage = usage;
            match audience {
                Audience::Caller => {
                    permit.finish();
                    guest.settle.ends(RequestOutcome::Ok);
                }
                // Cancelled, both of them, and yet it is known what was used.
                Audience::Nobody => permit.has_told_all(),
            }
            Reply::whole(body, Some(guest.settle))
        }
        Content::Stream { peeked, upstream } => {
            head.headers.remove(CONTENT_LENGTH);
            let deadline = guest.end();
            let said = Said { dialect: guest.dialect, thinks: guest.thinks, keepsake, audience };
            let party = Party::of(guest, plan, snapshot, &permit);
            Reply::streaming(Streaming::new(*peeked, upstream, permit, party, said, deadline))
        }
        Content::Opaque { begin, upstream, tail } => {
            let counted = Counted { tail, operation: spoken.operation, wish: guest.wish() };
            let deadline = guest.end();
            Reply::opaque(Opaque::new(begin, upstream, counted, permit, guest.settle, audience, deadline))
        }
        Content::Tunnel { upstream } => {
            tunnel::join(guest.upgrade.take(), upstream, permit, guest.settle);
            Reply::empty()
        }
    };
    Response::from_parts(head, reply)
}

/// Whether the answer is remembered here. What its own upstream stores is not, unless it breaks off: somebody else's
/// end of it is stored nowhere (`onward`).
fn keeping(guest: &Guest, snapshot: &Snapshot, body: &Content, spoken: &Spoken) -> Keeping {
    match body {
        Content::Stream { .. } if spoken.is_native() => {
            let route = &snapshot.table.routes[guest.route].config;
            onward::wanted(guest, route).map_or(Keeping::Passing, |_| guest.recall.keeping())
        }
        Content::Stream { .. } | Content::Whole { .. } | Content::Opaque { .. } | Content::Tunnel { .. } => {
            spoken.keeping()
        }
    }
}

/// Remembers where an upstream stored an answer that callers may go on from.
fn bind(guest: &Guest, permit: &Permit, body: &Content, is_native: bool) {
    let Load::Ask { scan, .. } = &guest.load else { return };
    let may_be = matches!(guest.dialect, Dialect::Responses | Dialect::Anthropic);
    if !may_be || !is_native || !scan.is_stateful() {
        return;
    }
    let names = match body {
        Content::Whole { body, .. } => stored_at::of_answer(body),
        Content::Stream { peeked, .. } => {
            peeked.ready.front().map_or([None, None], |frame| stored_at::of_first_event(frame))
        }
        // Too large to be looked into, or no answer of this kind.
        Content::Opaque { .. } | Content::Tunnel { .. } => return,
    };
    let gateway = guest.settle.gateway();
    let bond = left::here(permit);
    for name in names.into_iter().flatten() {
        gateway.bonds.put(&guest.caller, name, bond, guest.settle.privacy, gateway.live.now());
    }
}

/// The upstream's own error answer, passed on.
pub fn pass_on(mut guest: Box<Guest>, spare: Spare, fault: Fault) -> Response<Reply> {
    let Spare { mut head, begin, rest, channel, idle } = spare;
    let attempts = guest.settle.attempts;
    dress(&mut head, guest.dialect, &guest.request_id, attempts, &channel, Switching::No);
    let theirs = fault.class() == Class::ClientFault || fault == Fault::Unsayable;
    guest.settle.ends(if theirs { RequestOutcome::ClientFault } else { RequestOutcome::Failed });
    guest.settle.first_byte(head.status);
    // Who asks with his own key may read of his own account, and a service that needs no key has none of ours to quote.
    let ours = guest.caller.own().is_none()
        && (guest.dialect != Dialect::Http || !channel.upstream.credentials.is_empty());
    let striker = ours.then(|| Striker::new(&channel));
    let opaque = Opaque::passed_on(begin, rest, striker, guest.settle, idle, guest.deadline);
    Response::from_parts(head, Reply::opaque(opaque))
}

fn dress(
    head: &mut response::Parts,
    dialect: Dialect,
    request_id: &str,
    attempts: u32,
    channel: &Channel,
    switching: Switching,
) {
    // The version is each connection's own affair.
    head.version = Version::HTTP_11;
    let fields = &mut head.headers;
    headers::for_caller(fields, switching);
    if !channel.upstream.config.speaks.contains(&Dialect::Http) {
        headers::strip_providers(fields);
    }
    name_request(fields, dialect, request_id, Some(attempts));
    fields.insert(CHANNEL, channel.label_header.clone());
}
