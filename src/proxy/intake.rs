//! From a request's head and body to a [`Guest`]: whose dialect, which route, what may be sent again.
//!
//! Everything that is wrong with a request is found here, before any upstream hears of it.

mod ask;
pub(super) mod body;
pub(super) mod coding;
mod fit;
mod guest;
mod plain;
pub(super) mod rest;
mod twin;
mod unwrap;

use std::net::IpAddr;
use std::sync::Arc;

use http::header::UPGRADE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, request};
use hyper::body::{Body, Incoming};
use hyper::upgrade::OnUpgrade;

use super::recall;
use super::refuse::{Refusal, in_short};
use super::reply::Reply;
use super::{
    Gateway, Snapshot, admission, capture, cors, deadline, identity, leave, left, limits, models, privacy,
    trace,
};
use crate::access::{Caller, Standing};
use crate::algo::tick::Tick;
use crate::config::Urgency;
use crate::dialect::entry::{self, Entry, Miss, ModelAt, Ours, Wrapping};
use crate::dialect::trouble::Kind;
use crate::dialect::{Dialect, Operation};
use crate::state::Table;
use crate::telemetry::{Shed, catalogue};
use crate::vocab::{Privacy, RequestId, Trace};

pub use guest::{Entrance, Guest, Load};
pub use rest::Arriving;

const CALLERS_ID: HeaderName = HeaderName::from_static("x-request-id");

/// In which an SDK says how often it has tried before.
const RETRY_COUNT: HeaderName = HeaderName::from_static("x-stainless-retry-count");

/// A request as it came, with a name.
pub struct Arrival {
    pub head: request::Parts,
    pub(super) body: Option<Arriving>,
    upgrade: Option<OnUpgrade>,
    pub request_id: RequestId,
    /// In which its caller is answered; plain HTTP until it is known where it goes.
    pub dialect: Dialect,
    /// The model that its path named beside its body.
    deployment: Option<String>,
    /// How its cloud has what is Anthropic's.
    pub wrapping: Option<Wrapping>,
    /// What it asked for before it was put below our base, where its caller may have signed that.
    pub signed: Option<Uri>,
    /// The other end of its connection, where that is an address.
    pub from: Option<IpAddr>,
    pub begun: Tick,
    pub trace: Option<Trace>,
    /// What may be kept of it, as far as it is known whose it is.
    pub privacy: Privacy,
}

pub enum Admitted {
    Guest(Box<Guest>),
    /// Nothing had to be asked of an upstream.
    Answered(Box<Response<Reply>>),
}

/// Longest id that a caller may give a request.
const LONGEST_ID: usize = 64;

impl Arrival {
    pub fn new(
        gateway: &Gateway,
        snapshot: &Snapshot,
        mut request: Request<Incoming>,
        from: Option<IpAddr>,
    ) -> Self {
        let Below { deployment, wrapping, asked } =
            below_our_base(&snapshot.table, request.uri_mut()).unwrap_or_default();
        let signed = asked.filter(|_| matches!(wrapping, Some(Wrapping::Bedrock(_))));
        let from = from.map(|from| from.to_canonical());
        let upgrade = may_switch(request.headers()).then(|| hyper::upgrade::on(&mut request));
        let (head, body) = request.into_parts();
        let privacy = privacy::of(&snapshot.table, None);
        let request_id = privacy.keeps(callers_id(&head.headers));
        let request_id = request_id.unwrap_or_else(|| gateway.live.name_request());
        let said = privacy.keeps(trace::context(&head.headers));
        let trace = trace::of(gateway, snapshot, &head.method, said);
        let begun = gateway.live.now();
        let (body, dialect) = (Some(Arriving::new(body, head.version)), Dialect::Http);
        Self {
            head,
            body,
            upgrade,
            request_id,
            dialect,
            deployment,
            wrapping,
            signed,
            from,
            begun,
            trace,
            privacy,
        }
    }

    pub fn refuse(&self, kind: Kind, message: impl Into<String>) -> Box<Refusal> {
        let mut refusal = Refusal::new(kind, message, self.dialect, &self.request_id);
        refusal.trace = self.trace;
        refusal
    }
}

/// What a path said that came below another base.
#[derive(Default)]
struct Below {
    deployment: Option<String>,
    wrapping: Option<Wrapping>,
    /// As it came.
    asked: Option<Uri>,
}

/// Puts a path that came below another base below ours, unless a path route was written for it.
fn below_our_base(table: &Table, uri: &mut Uri) -> Option<Below> {
    let Ours { uri: ours, deployment, wrapping } =
        entry::ours(uri).filter(|_| table.route_of_path(uri.path()).is_none())?;
    let asked = Some(std::mem::replace(uri, ours));
    Some(Below { deployment, wrapping, asked })
}

/// Whether a request asks for another protocol on its connection, and for none that is HTTP again: through such a
/// tunnel requests would go to an upstream that no route and no key was held against.
fn may_switch(headers: &HeaderMap) -> bool {
    let is_http = |protocol: &str| {
        let name = protocol.split('/').next().unwrap_or_default().trim();
        ["h2c", "h2", "http", "tls"].iter().any(|http| name.eq_ignore_ascii_case(http))
    };
    let mut asked = headers.get_all(UPGRADE).iter().peekable();
    asked.peek().is_some()
        && asked.all(|value| value.to_str().is_ok_and(|text| !text.split(',').any(is_http)))
}

/// The caller's own name for the request, where it is harmless.
fn callers_id(headers: &HeaderMap) -> Option<RequestId> {
    let id = headers.get(CALLERS_ID)?.to_str().ok()?;
    let harmless = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    let fits = (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(harmless);
    (fits && RequestId::may_be_callers(id)).then(|| id.into())
}

/// Lets a request in, answers it at once, or says why not.
pub async fn admit(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    mut arrival: Arrival,
) -> Result<Admitted, Box<Refusal>> {
    if let Some(answered) = cors::preflight(&snapshot.table, &mut arrival)? {
        return Ok(Admitted::Answered(Box::new(answered)));
    }
    let path = arrival.head.uri.path().to_owned();
    let query = arrival.head.uri.query();
    let found = entry::find(&arrival.head.method, &path, query, &arrival.head.headers);
    arrival.dialect = match found {
        Ok(Entry { dialect, .. })
        | Err(Miss::NotFound { dialect } | Miss::MethodNotAllowed { dialect, .. }) => dialect,
    };
    match found {
        // A path route that was written for these paths goes before, but not where only this gateway has it.
        Ok(ref entry)
            if let ModelAt::Left(wanted) = &entry.model
                && (snapshot.table.route_of_path(&path).is_none() || recall::is_ours(entry, wanted)) =>
        {
            refuse_if_full(gateway, snapshot, &mut arrival)?;
            if let Some(answered) = left::answer(gateway, snapshot, &mut arrival, entry, wanted)? {
                return Ok(Admitted::Answered(Box::new(answered)));
            }
            let guest = left::guest(gateway, snapshot, arrival, entry, wanted).await?;
            come_in(gateway, snapshot, guest).await
        }
        Ok(Entry { model: ModelAt::Left(_), dialect, .. }) => {
            plain_or_nowhere(gateway, snapshot, arrival, Miss::NotFound { dialect }).await
        }
        Ok(entry) => {
            refuse_if_full(gateway, snapshot, &mut arrival)?;
            if matches!(entry.operation, Operation::Models | Operation::Model) {
                let caller = caller_of_the_whole(gateway, snapshot, &mut arrival)?;
                leave::to_ask(&caller, &arrival, None)?;
                return models::answer(snapshot, &caller, &arrival, &entry)
                    .map(|response| Admitted::Answered(Box::new(response)));
            }
            let guest = ask::ask(gateway, snapshot, arrival, &entry).await?;
            come_in(gateway, snapshot, guest).await
        }
        Err(miss) => plain_or_nowhere(gateway, snapshot, arrival, miss).await,
    }
}

/// Understood, a request comes in if there is room for it and its limits allow it.
async fn come_in(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    mut guest: Box<Guest>,
) -> Result<Admitted, Box<Refusal>> {
    capture::begin(gateway, snapshot, &mut guest);
    let guest = admission::let_in(gateway, snapshot, guest)?;
    limits::take(gateway, snapshot, guest).await.map(Admitted::Guest)
}

/// What has no way in may still belong to a path route.
async fn plain_or_nowhere(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    mut arrival: Arrival,
    miss: Miss,
) -> Result<Admitted, Box<Refusal>> {
    let path = arrival.head.uri.path();
    let Some(route) = snapshot.table.route_of_path(path) else {
        return Err(nowhere(gateway, snapshot, arrival, miss));
    };
    arrival.dialect = Dialect::Http;
    if may_lead_elsewhere(&snapshot.table, path, route) {
        let message = format!(
            "the path {} might lead elsewhere than to the route that it begins like, once its `.`, `..`, `//` or escapes are \
             resolved; send the path that is meant",
            in_short(path)
        );
        return Err(arrival.refuse(Kind::BadRequest, message).closing_if_body(&arrival));
    }
    refuse_if_full(gateway, snapshot, &mut arrival)?;
    let guest = plain::plain(gateway, snapshot, arrival, route).await?;
    come_in(gateway, snapshot, guest).await
}

/// Whether another route, or none, might be meant by a path that begins like those of `route`, where it is going: what
/// stands behind this gateway may read it otherwise.
fn may_lead_elsewhere(table: &Table, path: &str, route: usize) -> bool {
    let loose = entry::loosely(path);
    let as_read = loose.as_deref().unwrap_or(path.as_bytes());
    entry::wanders(as_read) || (loose.is_some() && table.route_of_loose_path(as_read) != Some(route))
}

/// Who asks for something that belongs to no route, and has no body that could be signed.
fn caller_of_the_whole(
    gateway: &Gateway,
    snapshot: &Snapshot,
    arrival: &mut Arrival,
) -> Result<Caller, Box<Refusal>> {
    let access = &snapshot.access;
    let known = identity::judge(gateway, access, arrival);
    if let Some(key) = known.as_ref().ok().and_then(Standing::known) {
        arrival.comes_from(gateway, snapshot, &key.lineage);
    }
    access
        .decide(known.and_then(Standing::unsigned), access.whole())
        .map_err(|denied| identity::refusal(gateway, access, &denied, arrival))
}

fn refuse_if_full(gateway: &Gateway, snapshot: &Snapshot, arrival: &mut Arrival) -> Result<(), Box<Refusal>> {
    let most = snapshot.table.server.limits.max_inflight;
    if gateway.in_flight() < most {
        return Ok(());
    }
    arrival.shows_whose_it_is(gateway, snapshot);
    let message = format!("the gateway serves {most} requests, as many as server.limits.max_inflight allows");
    // Its route is not known yet.
    let priority = admission::highest_priority(snapshot, Urgency::default(), &arrival.head.headers);
    let labels = ["", Shed::Priority.name(), priority.name()];
    gateway.live.metrics.counter(&catalogue::SHED, &labels).increment(1);
    let mut refusal = arrival.refuse(Kind::Unavailable, message).closing();
    refusal.shed = Some(Shed::Priority);
    refusal.trouble.retry_after = Some(admission::come_again(gateway));
    Err(refusal)
}

fn nowhere(gateway: &Gateway, snapshot: &Snapshot, mut arrival: Arrival, miss: Miss) -> Box<Refusal> {
    arrival.shows_whose_it_is(gateway, snapshot);
    let path = arrival.head.uri.path();
    match miss {
        Miss::NotFound { .. } => {
            let hint = entry::meant(path).map(|meant| format!("; did you mean {}?", in_short(&meant)));
            let hint = hint.unwrap_or_default();
            let message = format!("nothing is served at {} {}{hint}", arrival.head.method, in_short(path));
            arrival.refuse(Kind::NotFound, message)
        }
        Miss::MethodNotAllowed { allow, .. } => {
            // Codex asks for responses so at first, goes on without at once where it is told 426, and tries again for
            // seconds where it is told anything else.
            let in_vain = wants_websocket(&arrival.head);
            let message = if in_vain {
                format!("{} is served over plain HTTP, not over a WebSocket", in_short(path))
            } else {
                format!("{} takes {allow}, not {}", in_short(path), arrival.head.method)
            };
            let mut refusal = arrival.refuse(Kind::MethodNotAllowed, message);
            refusal.allow = Some(allow);
            refusal.status = in_vain.then_some(StatusCode::UPGRADE_REQUIRED);
            refusal
        }
    }
    .closing_if_body(&arrival)
}

fn wants_websocket(head: &request::Parts) -> bool {
    let upgrade = head.headers.get(UPGRADE).map(HeaderValue::as_bytes);
    head.method == Method::GET && upgrade.is_some_and(|to| to.eq_ignore_ascii_case(b"websocket"))
}

impl Refusal {
    pub fn closing_if_body(self: Box<Self>, arrival: &Arrival) -> Box<Self> {
        if arrival.body.as_ref().is_none_or(Body::is_end_stream) { self } else { self.closing() }
    }
}

/// The longest `total` of the route's channels, or what the caller allows if that is less.
pub(super) fn deadline(
    gateway: &Gateway,
    snapshot: &Snapshot,
    index: usize,
    headers: &HeaderMap,
    begun: Tick,
) -> Tick {
    let total = snapshot.table.routes[index].config.longest_total();
    let callers = deadline::from_headers(headers, gateway.live.clock.unix_now());
    begun + callers.map_or(total, |limit| limit.min(total))
}

pub(super) fn is_retry(headers: &HeaderMap) -> bool {
    let count = headers.get(RETRY_COUNT).and_then(|value| value.to_str().ok());
    count.and_then(|count| count.parse::<u32>().ok()).is_some_and(|count| count > 0)
}
