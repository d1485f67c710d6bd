//! From a request's head and body to a [`Guest`]: whose dialect, which route, what may be sent again.
//!
//! Everything that is wrong with a request is found here, before any upstream hears of it.

pub(super) mod body;
mod copy;
mod fit;
mod plain;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use fit::{Fit, Fitting};
use http::header::{CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, HeaderName, Request, Response, request};
use hyper::body::{Body, Incoming};
use hyper::upgrade::OnUpgrade;

use super::again::Again;
use super::media::Contents;
use super::memory;
use super::once::Once;
use super::recall::{self, Recall};
use super::refuse::{Refusal, in_short};
use super::reply::Reply;
use super::settle::{Asked, Settle};
use super::thoughts::Thoughts;
use super::tunnel::Switch;
use super::unattended::Attendance;
use super::{
    Gateway, Snapshot, admission, budgets, byok, capture, deadline, identity, leave, left, limits, models,
    privacy, steer, trace,
};
use crate::access::{Caller, Denied, Standing};
use crate::algo::tick::Tick;
use crate::config::Urgency;
use crate::dialect::billed::Wish;
use crate::dialect::continuation::Asking;
use crate::dialect::entry::{self, Entry, Miss, ModelAt};
use crate::dialect::scan::{self, Scan};
use crate::dialect::trouble::Kind;
use crate::dialect::{Dialect, Operation};
use crate::ledger::Wait;
use crate::route::price::MostCost;
use crate::route::{Bond, Resend, closest};
use crate::state::model::Shape;
use crate::telemetry::Shed;
use crate::vocab::{Abilities, Priority, Privacy, RequestId, Trace};

const CALLERS_ID: HeaderName = HeaderName::from_static("x-request-id");

/// In which an SDK says how often it has tried before.
const RETRY_COUNT: HeaderName = HeaderName::from_static("x-stainless-retry-count");

/// A request as it came, with a name.
pub struct Arrival {
    pub head: request::Parts,
    pub(super) body: Option<Incoming>,
    upgrade: Option<OnUpgrade>,
    pub request_id: RequestId,
    /// The other end of its connection, where that is an address.
    pub from: Option<IpAddr>,
    pub begun: Tick,
    pub trace: Option<Trace>,
    /// What may be kept of it, as far as it is known whose it is.
    pub privacy: Privacy,
}

/// A request that may come in: whole, understood, and with a route.
pub struct Guest {
    pub head: request::Parts,
    pub request_id: RequestId,
    /// The key that the caller proved to hold.
    pub caller: Caller,
    pub dialect: Dialect,
    pub operation: Operation,
    /// The route that serves it.
    pub route: usize,
    /// The one that it asked for, where rules or a split sent it elsewhere.
    pub asked_for: usize,
    pub model: String,
    pub shape: Shape,
    pub resend: Resend,
    pub begun: Tick,
    pub deadline: Tick,
    /// The caller's SDK retries by itself, and this is one of its retries.
    pub is_retry: bool,
    pub prompt_tokens: u64,
    /// The caller's limit on the answer's tokens.
    pub most_output: Option<u64>,
    /// The conversation that it belongs to, on a route that cares.
    pub session: Option<u64>,
    /// Where what it refers to is stored, if that was seen.
    pub stored_at: Option<Bond>,
    /// That, or where what is encrypted in it was made.
    pub bond: Option<Bond>,
    /// What is encrypted in it.
    pub thoughts: Option<Box<Thoughts>>,
    /// Channels where it could cost more are not asked.
    pub most_cost: Option<MostCost>,
    /// For what was left at an upstream.
    pub errand: Option<Box<left::Errand>>,
    /// A window of fewer tokens cannot hold the prompt; 0 where that cannot be told.
    pub least_window: u64,
    /// What the model has to be able to do.
    pub abilities: Abilities,
    pub load: Load,
    /// What it refers to, and whether its answer may be referred to.
    pub recall: Recall,
    /// What is asked is to go on with an answer that broke off.
    pub onward: Option<Box<Asking>>,
    pub upgrade: Option<Switch>,
    /// For an answer that is to be kept.
    pub again: Option<Box<Again>>,
    /// Of the URLs that were fetched for it.
    pub contents: Contents,
    /// How much it matters.
    pub priority: Priority,
    /// It was refused for want of room.
    pub shed: Option<Shed>,
    pub settle: Settle,
    /// Whether somebody waits for the answer, where that is not all.
    pub attendance: Option<Arc<Attendance>>,
}

impl Guest {
    /// What it asks for that has a price.
    pub fn wish(&self) -> Wish {
        match &self.load {
            Load::Ask { scan, .. } => scan.wish,
            Load::Whole(_) | Load::Once(_) => Wish::default(),
        }
    }
}

/// What goes upstream.
pub enum Load {
    /// An AI request: the body is whole, and `scan` knows where its model stands.
    Ask { body: Bytes, scan: Arc<Scan> },
    /// Plain HTTP, whole.
    Whole(Bytes),
    /// Plain HTTP too large to keep: it can be sent once.
    Once(Once),
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
        let from = from.map(|from| from.to_canonical());
        let upgrade = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
        let (head, body) = request.into_parts();
        let privacy = privacy::of(&snapshot.table, None);
        let request_id = privacy.keeps(callers_id(&head.headers));
        let request_id = request_id.unwrap_or_else(|| gateway.live.name_request());
        let said = privacy.keeps(trace::context(&head.headers));
        let trace = trace::of(gateway, snapshot, &head.method, said);
        Self { head, body: Some(body), upgrade, request_id, from, begun: gateway.live.now(), trace, privacy }
    }

    pub fn refuse(&self, kind: Kind, message: impl Into<String>, dialect: Dialect) -> Box<Refusal> {
        let mut refusal = Refusal::new(kind, message, dialect, &self.request_id);
        refusal.trace = self.trace;
        refusal
    }
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
    let limits = &snapshot.table.server.limits;
    let busy = gateway.in_flight() >= limits.max_inflight;
    let path = arrival.head.uri.path().to_owned();
    let query = arrival.head.uri.query();
    let found = entry::find(&arrival.head.method, &path, query, &arrival.head.headers);
    match found {
        // A path route that was written for these paths goes before.
        Ok(ref entry)
            if let ModelAt::Left(wanted) = &entry.model
                && snapshot.table.route_of_path(&path).is_none() =>
        {
            if busy {
                return Err(overloaded(gateway, snapshot, arrival, entry.dialect));
            }
            let guest = left::guest(gateway, snapshot, arrival, entry, wanted).await?;
            come_in(gateway, snapshot, guest).await
        }
        Ok(Entry { model: ModelAt::Left(_), dialect, .. }) => {
            plain_or_nowhere(gateway, snapshot, arrival, Miss::NotFound { dialect }, (&path, busy)).await
        }
        Ok(entry) => {
            if busy {
                return Err(overloaded(gateway, snapshot, arrival, entry.dialect));
            }
            if matches!(entry.operation, Operation::Models | Operation::Model) {
                let caller = caller_of_the_whole(gateway, snapshot, &mut arrival, entry.dialect)?;
                leave::to_ask(&caller, &arrival, entry.dialect, None)?;
                return models::answer(snapshot, &caller, &arrival, &entry)
                    .map(|response| Admitted::Answered(Box::new(response)));
            }
            let guest = ask(gateway, snapshot, arrival, &entry).await?;
            come_in(gateway, snapshot, guest).await
        }
        Err(_) if let Some(way) = recall::asked(snapshot, &arrival, &path) => {
            if busy {
                return Err(overloaded(gateway, snapshot, arrival, Dialect::Responses));
            }
            let caller = caller_of_the_whole(gateway, snapshot, &mut arrival, Dialect::Responses)?;
            leave::to_ask(&caller, &arrival, Dialect::Responses, Some(Operation::Responses))?;
            let (caller, _) = byok::sent(gateway, caller, &arrival, Dialect::Responses)?;
            let answered = recall::answer(gateway, snapshot, (&arrival, caller.scope()), way);
            answered.map(|response| Admitted::Answered(Box::new(response)))
        }
        Err(miss) => plain_or_nowhere(gateway, snapshot, arrival, miss, (&path, busy)).await,
    }
}

/// Understood, a request comes in if there is room for it and its limits allow it.
async fn come_in(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    mut guest: Guest,
) -> Result<Admitted, Box<Refusal>> {
    capture::begin(gateway, snapshot, &mut guest);
    let guest = admission::let_in(gateway, snapshot, guest)?;
    limits::take(gateway, snapshot, guest).await.map(Admitted::Guest)
}

/// What has no way in may still belong to a path route.
async fn plain_or_nowhere(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    arrival: Arrival,
    miss: Miss,
    (path, busy): (&str, bool),
) -> Result<Admitted, Box<Refusal>> {
    match snapshot.table.route_of_path(path) {
        Some(_) if busy => Err(overloaded(gateway, snapshot, arrival, Dialect::Http)),
        Some(route) => {
            let guest = plain::plain(gateway, snapshot, arrival, route).await?;
            come_in(gateway, snapshot, guest).await
        }
        None => Err(nowhere(gateway, snapshot, arrival, (miss, path))),
    }
}

/// Who asks for something that belongs to no route, and has no body that could be signed.
fn caller_of_the_whole(
    gateway: &Gateway,
    snapshot: &Snapshot,
    arrival: &mut Arrival,
    dialect: Dialect,
) -> Result<Caller, Box<Refusal>> {
    let access = &snapshot.access;
    let signing = identity::signing(dialect);
    let known = identity::judge(gateway, access, arrival, signing);
    if let Some(key) = known.as_ref().ok().and_then(Standing::known) {
        arrival.comes_from(gateway, snapshot, &key.lineage);
    }
    access
        .decide(known.and_then(Standing::unsigned), access.whole())
        .map_err(|denied| identity::refusal(gateway, &denied, arrival, dialect))
}

fn overloaded(
    gateway: &Gateway,
    snapshot: &Snapshot,
    mut arrival: Arrival,
    dialect: Dialect,
) -> Box<Refusal> {
    arrival.shows_whose_it_is(gateway, snapshot, dialect);
    let message = format!(
        "the gateway serves {} requests, as many as server.limits.max_inflight allows",
        snapshot.table.server.limits.max_inflight
    );
    let mut refusal = arrival.refuse(Kind::Unavailable, message, dialect).closing();
    refusal.retry_after = Some(super::refuse::DEFAULT_RETRY_AFTER);
    refusal
}

fn nowhere(
    gateway: &Gateway,
    snapshot: &Snapshot,
    mut arrival: Arrival,
    (miss, path): (Miss, &str),
) -> Box<Refusal> {
    let (Miss::NotFound { dialect } | Miss::MethodNotAllowed { dialect, .. }) = miss;
    arrival.shows_whose_it_is(gateway, snapshot, dialect);
    match miss {
        Miss::NotFound { dialect } => {
            let message = format!("nothing is served at {} {}", arrival.head.method, in_short(path));
            arrival.refuse(Kind::NotFound, message, dialect)
        }
        Miss::MethodNotAllowed { dialect, allow } => {
            let message = format!("{} takes {allow}, not {}", in_short(path), arrival.head.method);
            let mut refusal = arrival.refuse(Kind::MethodNotAllowed, message, dialect);
            refusal.allow = Some(allow);
            refusal
        }
    }
    .closing_if_body(&arrival)
}

impl Refusal {
    pub fn closing_if_body(self: Box<Self>, arrival: &Arrival) -> Box<Self> {
        if arrival.body.as_ref().is_none_or(Body::is_end_stream) { self } else { self.closing() }
    }
}

async fn ask(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    mut arrival: Arrival,
    entry: &Entry<'_>,
) -> Result<Guest, Box<Refusal>> {
    let table = &snapshot.table;
    let (dialect, operation) = (entry.dialect, entry.operation);
    let limits = &table.server.limits;
    let access = &snapshot.access;
    let signing = identity::signing(dialect);
    let known = identity::judge(gateway, access, &arrival, signing);
    if let Some(key) = known.as_ref().ok().and_then(Standing::named) {
        arrival.comes_from(gateway, snapshot, &key.lineage);
    }
    identity::turn_away(gateway, access, &known, (&arrival, dialect))
        .map_err(|refusal| refusal.closing_if_body(&arrival))?;
    let mut place = memory::place(gateway, snapshot, &arrival, dialect, urgency(&known), limits.max_body)?;
    let body_begun = gateway.live.now();
    let body = match body::read_whole(
        arrival.body.as_mut(),
        &arrival.head.headers,
        limits.max_body,
        table.server.timeouts.body_read,
        &mut place.holding,
    )
    .await
    {
        Ok(body) => place.holding.keep(body),
        Err(error) => return Err(error.into_refusal(gateway, snapshot, (&arrival, dialect), &place)),
    };
    let waited = gateway.live.now().since(body_begun);
    let received = identity::received(snapshot, &arrival, &body, gateway.live.clock.unix_now());
    let proof = known.and_then(|standing| standing.proven(&received));
    identity::turn_away(gateway, access, &proof, (&arrival, dialect))?;
    if let Ok(key) = &proof {
        arrival.comes_from(gateway, snapshot, &key.lineage);
    }
    let content_type = arrival.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let unread = |error: scan::ScanError| arrival.refuse(Kind::BadRequest, error.to_string(), dialect);
    let mut scan = scan::scan(entry, content_type, &body).map_err(unread)?;
    let index = table.route_of_model(&scan.model);
    let needed = index.map_or(access.whole(), |index| table.routes[index].config.access);
    let caller = access
        .decide(proof, needed)
        .map_err(|denied| identity::refusal(gateway, &denied, &arrival, dialect))?;
    leave::to_ask(&caller, &arrival, dialect, Some(operation))?;
    leave::to_model(table, &caller, &arrival, dialect, (&scan.model, index))?;
    for other in &scan.others {
        leave::to_model(table, &caller, &arrival, dialect, (other, table.route_of_model(other)))?;
    }
    let (caller, own) = byok::sent(gateway, caller, &arrival, dialect)?;
    let (whole, recall) =
        recall::recall(gateway, snapshot, (&arrival, caller.scope()), entry, (&scan, &body))?;
    let body = match whole {
        Some(whole) => {
            scan = scan::scan(entry, content_type, &whole).map_err(unread)?;
            memory::needed(&gateway.live.holdings).keep(whole)
        }
        None => body,
    };
    let Some(asked_for) = index else {
        return Err(unknown_model(snapshot, &caller, &arrival, entry, &scan.model));
    };
    let asker = left::Asker {
        gateway,
        snapshot,
        arrival: &arrival,
        caller: caller.scope(),
        lineage: caller.lineage(),
        unknown: if own.is_some() { left::Unknown::Passes } else { left::Unknown::of(access) },
    };
    let stored_at = scan.refers_to.and_then(|id| gateway.bond(&caller, id));
    let stored_at = stored_at.or(asker.bond(dialect, &body)?);
    let asks = (&arrival, caller.lineage());
    let course = steer::course(gateway, snapshot, asked_for, asks, entry, (&scan, &body), stored_at);
    let caller = byok::on_route(table, course.route, (caller, own), &arrival, dialect)?;
    budgets::most_asked(&arrival.head.headers)
        .map_err(|message| arrival.refuse(Kind::BadRequest, message, dialect))?;
    let index = course.route;
    let route = &table.routes[index];
    let is_retry = is_retry(&arrival.head.headers);
    let thoughts = Thoughts::of(gateway, caller.scope(), (dialect, operation), (&scan.model, &body));
    let fitting = Fitting {
        head: &arrival.head,
        begun: arrival.begun,
        dialect,
        operation,
        caller: &caller,
        scan: &scan,
        body: &body,
        is_retry,
        stored_at,
        thoughts: thoughts.as_deref(),
    };
    let Fit { resend, priority, deadline, session, bond, abilities, least_window } = fitting
        .on(gateway, snapshot, index)
        .map_err(|message| arrival.refuse(Kind::BadRequest, message, dialect))?;
    let shape = if scan.stream { Shape::Stream } else { Shape::Whole };
    let asked = Asked::new(operation, (&scan.model, route), shape, priority, scan.prompt_tokens);
    let mut settle = Settle::begin(gateway, route, dialect.name(), &arrival.request_id, arrival.begun, asked);
    settle.trace = arrival.trace;
    settle.waited(Wait::Body, waited);
    settle.comes_from(&caller, &snapshot.table, &arrival.head.headers);
    settle.taken = course.arm;
    settle.came_to(&table.routes[asked_for]);
    Ok(Guest {
        caller,
        dialect,
        operation,
        route: index,
        asked_for,
        model: scan.model.clone(),
        shape,
        resend,
        begun: arrival.begun,
        deadline,
        is_retry,
        prompt_tokens: scan.prompt_tokens,
        most_output: scan.max_output_tokens,
        most_cost: None,
        session,
        stored_at,
        bond,
        thoughts,
        errand: None,
        least_window,
        abilities,
        load: Load::Ask { body, scan: Arc::new(scan) },
        recall,
        onward: None,
        upgrade: None,
        again: None,
        contents: Contents::default(),
        priority,
        shed: None,
        settle,
        attendance: None,
        head: arrival.head,
        request_id: arrival.request_id,
    })
}

fn unknown_model(
    snapshot: &Snapshot,
    caller: &Caller,
    arrival: &Arrival,
    entry: &Entry<'_>,
    model: &str,
) -> Box<Refusal> {
    let near = closest(model, leave::names(snapshot, caller));
    let hint = match near.as_slice() {
        [] => "GET /v1/models lists the models that are".to_owned(),
        names => format!(
            "did you mean {}?",
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ),
    };
    let message = format!("model `{}` is not configured on this gateway; {hint}", in_short(model));
    let refusal = arrival.refuse(Kind::NotFound, message, entry.dialect).code("model_not_found");
    if entry.model == ModelAt::Body { refusal.param("model") } else { refusal }
}

/// The longest `total` of the route's channels, or what the caller allows if that is less.
pub(super) fn deadline(
    gateway: &Gateway,
    snapshot: &Snapshot,
    index: usize,
    (headers, begun): (&HeaderMap, Tick),
) -> Tick {
    let channels = &snapshot.table.routes[index].config.channels;
    let total = channels.iter().map(|channel| channel.timeouts.total).max().unwrap_or_default();
    let callers = deadline::from_headers(headers, gateway.live.clock.unix_now());
    begun + callers.map_or(total, |limit| limit.min(total))
}

pub(super) fn is_retry(headers: &HeaderMap) -> bool {
    let count = headers.get(RETRY_COUNT).and_then(|value| value.to_str().ok());
    count.and_then(|count| count.parse::<u32>().ok()).is_some_and(|count| count > 0)
}

/// How much the requests of the key matter that the head proves. Anybody can name one.
fn urgency(known: &Result<Standing, Denied>) -> Urgency {
    known.as_ref().ok().and_then(Standing::known).map(|key| key.urgency).unwrap_or_default()
}
