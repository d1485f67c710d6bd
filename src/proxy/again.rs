//! Requests that were asked before: answers that are kept, and requests that callers name.
//!
//! A route's `cache` keeps whole, successful answers under all that makes a difference to a request, and says
//! them again. A caller's `Idempotency-Key` means the first answer that it got, for a while. Neither holds
//! for plain HTTP, whose answers say themselves how long they are good for, nor the cache for requests that
//! refer to state or leave some. Canonical JSON is not made: the same request is the same bytes.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::flight::Flights;
use super::intake::{Guest, Load};
use super::limits::Reached;
use super::named::{self, Claim, Claimed, Named};
use super::refuse::{DROPPED, ESTIMATED, Refusal, name_request};
use super::reply::{Recorded, Replayed, Reply};
use super::{Gateway, Snapshot, budgets, memory, share, steer, unattended};
use crate::access::Caller;
use crate::algo::tick::Tick;
use crate::cache::{Kept, KeptNow, Likeness, Likening, Replies, Stored};
use crate::config::{Cache, CacheScope, Lineage};
use crate::dialect::trouble::{self, Kind};
use crate::dialect::{Dialect, Replay};
use crate::ledger::Wait;
use crate::state::route::Route;
use crate::telemetry::{Metrics, RequestOutcome, catalogue};
use crate::vocab::Usage;

/// `hit` or `stale`.
const CACHE: HeaderName = HeaderName::from_static("x-mainstay-cache");
/// As Stripe says that a key was there before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Headers that change what a request means.
const MEANT: [&str; 4] = ["content-type", "anthropic-version", "anthropic-beta", "openai-beta"];

/// What all requests share of those before them.
#[derive(Default)]
pub struct Before {
    replies: Replies,
    pub(super) named: named::Names,
    pub(super) flights: Flights,
}

/// What is to be done with a request's answer once it is there.
pub struct Again {
    gateway: Arc<Gateway>,
    route: Arc<Route>,
    dialect: Dialect,
    cache: Option<Cacheable>,
    claim: Option<Claim>,
}

/// A request whose answer may be kept.
struct Cacheable {
    likeness: Likeness,
    /// `no-cache`: it wants an answer of its own.
    answered_anew: bool,
}

/// Why a caller gets what was said before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Hit,
    Stale,
    Repeat,
}

impl Mark {
    const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Repeat => "repeat",
        }
    }
}

impl Before {
    /// What routes keep, and what is kept under names.
    pub fn held(&self, gateway: &Gateway) -> [(&'static str, KeptNow); 2] {
        let (now, snapshot) = (gateway.live.now(), gateway.snapshot());
        let server = &snapshot.table.server;
        [
            ("cache", self.replies.held(now, server.cache_memory)),
            ("idempotency", self.named.held(now, server.idempotency.memory)),
        ]
    }
}

/// Answers `guest`, from what is kept where that may be. Such an answer costs nothing: no budget is asked for it.
pub async fn serve(gateway: &Arc<Gateway>, snapshot: &Arc<Snapshot>, guest: Box<Guest>) -> Response<Reply> {
    let asked = Marks::of(&guest);
    let (guest, claim) = match first_of_its_name(gateway, snapshot, guest).await {
        Ok(first) => first,
        Err(response) => return asked.on(*response),
    };
    let look = Look::at(gateway, snapshot, &guest, guest.route);
    let (guest, look) = if look.kept.is_some() {
        (guest, look)
    } else {
        match budgets::charge(gateway, snapshot, guest).await {
            Ok((guest, elsewhere)) => (guest, elsewhere.unwrap_or(look)),
            Err(refusal) => return asked.on(refusal.into_response(&gateway.live)),
        }
    };
    let served = Marks::of(&guest);
    served.on(answer(gateway, snapshot, guest, claim, look).await)
}

/// Waits for the first request of the same name, where it has one.
///
/// # Errors
/// What that was answered, or why this one gets no answer.
async fn first_of_its_name(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    mut guest: Box<Guest>,
) -> Result<(Box<Guest>, Option<Claim>), Box<Response<Reply>>> {
    // A rule may send the same request elsewhere a minute later; what its caller names is what he asked for.
    let asked_for = &snapshot.table.routes[guest.asked_for];
    let Some(named) = Named::of(&snapshot.table.server.idempotency, &guest, asked_for) else {
        return Ok((guest, None));
    };
    let begun = gateway.live.now();
    let standing = named.stand(gateway, guest.deadline).await;
    guest.settle.waited(Wait::Another, gateway.live.now().since(begun));
    Err(Box::new(match standing {
        named::Standing::First(first) => return Ok((guest, Some(first))),
        named::Standing::Answered(kept) => {
            gateway.live.metrics.counter(&catalogue::IDEMPOTENT_REPLAYS, &[]).increment(1);
            let route = &snapshot.table.routes[guest.route];
            say(guest, route, &kept, Mark::Repeat)
        }
        named::Standing::Different => {
            let message = "this Idempotency-Key came with another request before; give every request a key of its own, and the same one to its retries only";
            let code = "idempotency_error";
            refuse(gateway, guest, Kind::Unprocessable, message, Some(code))
        }
        named::Standing::TooLate => too_late(gateway, guest),
    }))
}

/// Which route serves a request, as its caller is told.
struct Marks {
    arm: Option<Arc<str>>,
    downgraded: Option<Arc<str>>,
}

impl Marks {
    fn of(guest: &Guest) -> Self {
        Self {
            arm: guest.settle.taken.as_ref().map(|taken| Arc::clone(&taken.arm)),
            downgraded: guest.settle.downgraded.clone(),
        }
    }

    fn on(&self, mut response: Response<Reply>) -> Response<Reply> {
        steer::say(self.arm.as_deref(), &mut response);
        budgets::say(self.downgraded.as_deref(), response.headers_mut());
        response
    }
}

/// What a route has for a request before anybody is asked.
pub struct Look {
    route: Arc<Route>,
    cache: Option<Cacheable>,
    /// By which others join it.
    shared: Option<Likeness>,
    pub kept: Option<Arc<Kept>>,
}

impl Look {
    /// On the route of this number.
    pub fn at(gateway: &Gateway, snapshot: &Snapshot, guest: &Guest, index: usize) -> Self {
        let route = Arc::clone(&snapshot.table.routes[index]);
        let (cache, shared) = Cacheable::of(guest, &route).map_or((None, None), |cacheable| {
            let shared = (route.config.coalesce && !cacheable.answered_anew).then_some(cacheable.likeness);
            (route.config.cache.enabled.then_some(cacheable), shared)
        });
        let kept = cache.as_ref().and_then(|cacheable| cacheable.find(gateway, route.config.cache.ttl));
        if cache.is_some() {
            count(gateway, &route, if kept.is_some() { "hit" } else { "miss" });
        }
        Self { route, cache, shared, kept }
    }
}

async fn answer(
    gateway: &Arc<Gateway>,
    snapshot: &Arc<Snapshot>,
    mut guest: Box<Guest>,
    claim: Option<Claim>,
    look: Look,
) -> Response<Reply> {
    let Look { route, cache, shared, kept } = look;
    if let Some(kept) = kept {
        if let Some(claim) = claim {
            claim.keep(&kept);
        }
        return say(guest, &route, &kept, Mark::Hit);
    }
    if cache.is_some() || claim.is_some() {
        let dialect = guest.dialect;
        let route = Arc::clone(&route);
        guest.again = Some(Box::new(Again { gateway: Arc::clone(gateway), route, dialect, cache, claim }));
    }
    if let Some(likeness) = shared {
        return share::share(gateway, snapshot, guest, &route, likeness).await;
    }
    unattended::drive(gateway, snapshot, guest).await
}

/// The answer that is kept for `guest` and too old to be said without need.
pub fn stale(guest: &Guest) -> Option<Arc<Kept>> {
    let again = guest.again.as_ref()?;
    let Cache { ttl, stale_if_error, .. } = again.route.config.cache;
    again.cache.as_ref()?.find(&again.gateway, ttl.saturating_add(stale_if_error))
}

/// Says `kept` to `guest`.
pub fn say(mut guest: Box<Guest>, route: &Route, kept: &Arc<Kept>, mark: Mark) -> Response<Reply> {
    let gateway = Arc::clone(guest.settle.gateway());
    let mut response = Response::new(());
    *response.status_mut() = kept.status;
    let headers = response.headers_mut();
    headers.clone_from(&kept.fields);
    match mark {
        Mark::Hit | Mark::Stale => {
            headers.insert(CACHE, HeaderValue::from_static(mark.name()));
            headers.insert(AGE, HeaderValue::from(gateway.live.now().since(kept.at).as_secs()));
        }
        Mark::Repeat => {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
    }
    name_request(headers, guest.dialect, &guest.request_id, Some(guest.settle.attempts));
    saved(&gateway, &route.config.name, kept.usage.as_ref());
    guest.settle.channel = None;
    guest.settle.replayed = Some(mark.name());
    guest.settle.reached = Reached::Nobody;
    guest.settle.first_byte(kept.status);
    guest.settle.ends(RequestOutcome::Ok);
    let settle = guest.settle;
    response.map(|()| match &kept.pieces {
        None => Reply::whole(kept.body.clone(), Some(settle)),
        Some(_) => Reply::replayed(Replayed::new(Arc::clone(kept), settle)),
    })
}

/// Counts tokens that were not paid for again.
pub fn saved(gateway: &Gateway, route: &str, usage: Option<&Usage>) {
    let Some(usage) = usage else { return };
    for (kind, count) in [("input", usage.input), ("output", usage.output)] {
        if count > 0 {
            gateway.live.metrics.counter(&catalogue::TOKENS_SAVED, &[route, kind]).increment(count);
        }
    }
}

fn count(gateway: &Gateway, route: &Route, result: &'static str) {
    gateway.live.metrics.counter(&catalogue::CACHE, &[&route.config.name, result]).increment(1);
}

fn refuse(
    gateway: &Gateway,
    guest: Box<Guest>,
    kind: Kind,
    message: &str,
    code: Option<&'static str>,
) -> Response<Reply> {
    let mut refusal = Refusal::new(kind, message, guest.dialect, &guest.request_id);
    if let Some(code) = code {
        refusal = refusal.code(code);
    }
    refusal.settle = Some(guest.settle);
    refusal.into_response(&gateway.live)
}

/// The deadline passed while the same request of somebody else was under way.
pub fn too_late(gateway: &Gateway, guest: Box<Guest>) -> Response<Reply> {
    let message = "the same request was under way already, and had no answer when the deadline passed";
    refuse(gateway, guest, Kind::Timeout, message, None)
}

/// An attempt that was made for several ended without a word.
pub fn gone(dialect: Dialect, request_id: &str) -> Box<Refusal> {
    let message = "the request was given up within the gateway; send it again";
    Refusal::new(Kind::Internal, message, dialect, request_id)
}

/// All of a request that makes a difference to its answer. `None` for what is not kept in memory.
pub fn likeness(what: &str, scope: Option<&str>, guest: &Guest, route: &Route) -> Option<Likeness> {
    let Load::Ask { body, .. } = &guest.load else { return None };
    let mut likening = Likening::begin(what);
    likening.add_or_none(scope.map(str::as_bytes));
    for part in [guest.dialect.name(), guest.operation.name(), &route.config.name, guest.head.uri.path()] {
        likening.add(part.as_bytes());
    }
    // A key in the query says who asks, which the scope says already.
    let query = guest.head.uri.query().unwrap_or_default();
    for param in query.split('&').filter(|param| !param.is_empty() && !param.starts_with("key=")) {
        likening.add(param.as_bytes());
    }
    for name in MEANT {
        likening.add_or_none(guest.head.headers.get(name).map(HeaderValue::as_bytes));
    }
    likening.add(body);
    Some(likening.end())
}

impl Cacheable {
    fn of(guest: &Guest, route: &Route) -> Option<Self> {
        let cache = &route.config.cache;
        let Load::Ask { scan, .. } = &guest.load else { return None };
        let asked = (cache.enabled || route.config.coalesce)
            && guest.dialect != Dialect::Http
            && guest.operation.replay() == Replay::Allowed
            && !guest.operation.health_neutral()
            && !scan.is_stateful();
        if !asked || says(&guest.head.headers, "no-store") {
            return None;
        }
        let (what, scope) = match cache.scope {
            CacheScope::Key => ("answers of a caller", guest.caller.scope()),
            CacheScope::Route if keeps_apart(&guest.caller) => ("answers of a caller", guest.caller.scope()),
            CacheScope::Route => ("answers of a route", None),
        };
        let likeness = likeness(what, scope, guest, route)?;
        Some(Self { likeness, answered_anew: says(&guest.head.headers, "no-cache") })
    }

    /// The kept answer, if it is younger than `age`.
    fn find(&self, gateway: &Gateway, age: std::time::Duration) -> Option<Arc<Kept>> {
        if self.answered_anew {
            return None;
        }
        let now = gateway.live.now();
        let memory = gateway.snapshot().table.server.cache_memory;
        let (kept, _) = gateway.before.replies.find(&self.likeness, now, memory)?;
        (now.since(kept.at) < age).then_some(kept)
    }
}

/// Whether others' answers are not for him: he may not use all of the route's upstreams, or pays for his own.
fn keeps_apart(caller: &Caller) -> bool {
    caller.own().is_some() || caller.lineage().and_then(Lineage::narrows_upstreams).is_some()
}

/// Whether the caller's `Cache-Control` has this word.
fn says(headers: &HeaderMap, word: &str) -> bool {
    let fields = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    fields.flat_map(|field| field.split(',')).any(|said| said.trim().eq_ignore_ascii_case(word))
}

/// Sees to it that an answer of an upstream is kept once it has come to its end. Another route's is not what
/// this one is asked for, so only its name means it.
pub fn record(
    again: Option<Box<Again>>,
    answered_by: &Arc<Route>,
    response: Response<Reply>,
) -> Response<Reply> {
    let Some(mut again) = again else { return response };
    if !Arc::ptr_eq(answered_by, &again.route) {
        again.cache = None;
    }
    let headers = response.headers();
    if !response.status().is_success() || headers.contains_key(ESTIMATED) {
        return response;
    }
    let most = again.most();
    if most == 0 {
        return response;
    }
    let fields = [CONTENT_TYPE, CONTENT_ENCODING, DROPPED]
        .into_iter()
        .filter_map(|name| headers.get(&name).cloned().map(|value| (name, value)))
        .collect();
    let nudge = trouble::keep_alive(again.dialect);
    let keep = Box::new(Keep { again: *again, status: response.status(), fields });
    let usage = response.body().usage();
    let gateway = &keep.again.gateway;
    let holding = memory::answers(gateway, &gateway.snapshot());
    match response.body().as_whole() {
        Some(body) if body.len() as u64 > most => keep.too_large(),
        // A copy, since what is kept is the store's affair from here on and does not count as held any more.
        Some(body) => keep.whole(Bytes::copy_from_slice(body), None, usage),
        None => {
            let recorded = |reply| Reply::recorded(Recorded::new(reply, keep, most, holding, nudge));
            return response.map(recorded);
        }
    }
    response
}

impl Again {
    /// Keeps an answer for the caller's name of it alone.
    pub fn for_its_name(&mut self) {
        self.cache = None;
    }

    /// The claim to the request's name, where it has one.
    pub fn claimed(&self) -> Option<Claimed> {
        self.claim.as_ref().map(Claim::claimed)
    }

    /// Most bytes of an answer that anybody wants to keep.
    fn most(&self) -> u64 {
        let cache = self.cache.as_ref().map_or(0, |_| self.route.config.cache.max_entry);
        cache.max(self.claim.as_ref().map_or(0, Claim::most))
    }
}

/// An answer that is being written down.
pub struct Keep {
    again: Again,
    status: StatusCode,
    fields: HeaderMap,
}

impl Keep {
    /// It is larger than anybody wants to keep.
    pub fn too_large(self) {
        if self.again.cache.is_some() {
            count(&self.again.gateway, &self.again.route, "too_large");
        }
    }

    /// The answer has come to its end; this is all of it.
    pub fn whole(self, body: Bytes, pieces: Option<Box<[u32]>>, usage: Option<Usage>) {
        let Self { again: Again { gateway, route, cache, claim, .. }, status, fields } = self;
        let now = gateway.live.now();
        let length = body.len() as u64;
        let kept = Arc::new(Kept { status, fields, body, pieces, usage, at: now });
        if let Some(Cacheable { likeness, .. }) = cache {
            let result = if length > route.config.cache.max_entry {
                Stored::TooLarge
            } else {
                let until = until(&route.config.cache, now);
                let memory = gateway.snapshot().table.server.cache_memory;
                let names = (likeness, likeness);
                gateway.before.replies.keep(names, Arc::clone(&kept), until, now, memory)
            };
            let word = match result {
                Stored::Yes => "stored",
                Stored::TooLarge => "too_large",
            };
            count(&gateway, &route, word);
        }
        if let Some(claim) = claim {
            claim.keep(&kept);
        }
    }
}

/// When nobody wants it any more.
fn until(cache: &Cache, now: Tick) -> Tick {
    now + cache.ttl.saturating_add(cache.stale_if_error)
}

/// Lets the count of repeated keys begin at 0.
pub fn expect(metrics: &Metrics) {
    metrics.counter(&catalogue::IDEMPOTENT_REPLAYS, &[]).increment(0);
}
