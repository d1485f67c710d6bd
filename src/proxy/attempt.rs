//! One try on one channel, up to the commit: build the request, send it, read as much of the answer
//! as it takes to know whether it is one.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, UPGRADE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Version, response};
use http_body_util::BodyExt;
use tokio::time::{timeout, timeout_at};

use super::intake::{Guest, Load};
use super::peek::{self, Peeked};
use super::refuse::{CHANNEL, name_request};
use super::reply::{Opaque, Reply, Streaming};
use super::{Gateway, Snapshot, tunnel};
use crate::algo::tick::Tick;
use crate::config::Matcher;
use crate::dialect::classify::{self, Finding};
use crate::dialect::entry::{self, Entry};
use crate::dialect::framing::Framing;
use crate::dialect::provider::StreamUsage;
use crate::dialect::scan::IncludeUsage;
use crate::dialect::splice::{self, Rewrite};
use crate::dialect::{Dialect, meter};
use crate::route::{Failure, Limits, Plan};
use crate::state::Permit;
use crate::telemetry::RequestOutcome;
use crate::upstream::headers::{self, Switching, Towards};
use crate::upstream::{CallLimits, Incoming, Outgoing, Reuse, auth};
use crate::vocab::{Fault, RateHint, Stage, Usage};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ATTEMPT: HeaderName = HeaderName::from_static("x-attempt");

/// Most of an error's body that is read to understand it (RESILIENCE §4.2).
const ERROR_PREFIX: usize = 16 * 1024;
/// An upstream that answers with an error is not waited for much longer.
const ERROR_PATIENCE: Duration = Duration::from_secs(5);

pub enum Attempted {
    Answered(Box<Answer>),
    Failed(Permit, Failed),
}

/// A failed attempt, with what it left to tell the caller.
pub struct Failed {
    pub failure: Failure,
    /// The upstream's own words.
    pub message: Option<String>,
    /// For logs: what our side of the connection saw.
    pub detail: Option<String>,
    /// The upstream's answer, should it have to be passed on.
    pub spare: Option<Box<Spare>>,
}

/// An error answer of which the begin was read.
pub struct Spare {
    head: response::Parts,
    begin: Bytes,
    rest: Incoming,
    channel: Box<str>,
}

/// An answer that is going to the caller.
pub struct Answer {
    head: response::Parts,
    permit: Permit,
    body: Content,
}

enum Content {
    /// All of it.
    Whole { body: Bytes, usage: Option<Usage> },
    /// A stream that has shown its first content.
    Stream { peeked: Box<Peeked>, upstream: Incoming },
    /// Bytes that we do not look into, `begin` first.
    Opaque { begin: Option<Bytes>, upstream: Incoming },
    /// The connection changes hands.
    Tunnel { upstream: Incoming },
}

pub async fn attempt(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    guest: &mut Guest,
    plan: &Plan<'_>,
    permit: Permit,
    limits: Limits,
) -> Attempted {
    let begun = gateway.live.now();
    let attempted = try_once(gateway, snapshot, guest, plan, permit, limits, begun).await;
    guest.settle.waited(gateway.live.now().since(begun));
    attempted
}

async fn try_once(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    guest: &Guest,
    plan: &Plan<'_>,
    permit: Permit,
    limits: Limits,
    begun: Tick,
) -> Attempted {
    let pool = &snapshot.pools[permit.channel().upstream_index];
    let request = match build(guest, plan, &permit) {
        Ok(request) => request,
        Err(detail) => {
            let failure =
                Failure { fault: Fault::AuthRefused, stage: Stage::NotSent, hint: RateHint::default() };
            return Attempted::Failed(
                permit,
                Failed { failure, message: None, detail: Some(detail), spare: None },
            );
        }
    };
    let timeouts = &permit.channel().config.timeouts;
    let left = guest.deadline.since(begun);
    let call_limits = CallLimits {
        connect: timeouts.connect.min(left),
        tls: timeouts.tls.min(left),
        pool_wait: timeouts.pool_wait.min(left),
        headers: limits.headers,
        reuse: if guest.resend == crate::route::Resend::Allowed { Reuse::Any } else { Reuse::SafeOnly },
    };
    let judge = |fault: Fault| fair(gateway, guest, begun, fault);
    let response = match pool.call(request, call_limits).await {
        Ok(response) => response,
        Err(error) => {
            let failure =
                Failure { fault: judge(error.fault), stage: error.stage, hint: RateHint::default() };
            return Attempted::Failed(
                permit,
                Failed { failure, message: None, detail: Some(error.detail), spare: None },
            );
        }
    };
    let (head, upstream) = response.into_parts();
    let first_event = limits.first_event.saturating_sub(gateway.live.now().since(begun));
    match read(gateway, snapshot, guest, &permit, head, upstream, first_event).await {
        Ok((head, body)) => {
            let mut permit = permit;
            permit.first_content();
            Attempted::Answered(Box::new(Answer { head, permit, body }))
        }
        Err(mut failed) => {
            failed.failure.fault = judge(failed.failure.fault);
            Attempted::Failed(permit, *failed)
        }
    }
}

/// A wait that ended while this process did not run, or because the request's own time was up, is
/// nobody else's failure.
fn fair(gateway: &Gateway, guest: &Guest, begun: Tick, fault: Fault) -> Fault {
    let waited = fault.silent() || matches!(fault, Fault::Tls | Fault::PoolFull);
    if waited && gateway.live.starved_since(begun) {
        return Fault::Starved;
    }
    if fault.silent() && gateway.live.now() >= guest.deadline {
        return Fault::DeadlineExceeded;
    }
    fault
}

/// The request as this channel's upstream gets it.
fn build(guest: &Guest, plan: &Plan<'_>, permit: &Permit) -> Result<Request<Outgoing>, String> {
    let channel = permit.channel();
    let upstream = &channel.upstream.config;
    let route = &plan.route().config;
    let uri = &guest.head.uri;
    let asked = match &guest.load {
        Load::Ask { scan, .. } => scan.model.as_str(),
        Load::Whole(_) | Load::Once(_) => "",
    };
    let model = channel.model_name(route, asked);
    let (mut target, body) = match &guest.load {
        Load::Ask { body, scan } => {
            let entry = entry::find(&guest.head.method, uri.path(), uri.query(), &guest.head.headers)
                .map_err(|_| "the path was one of ours at intake".to_owned())?;
            let ask_usage = upstream.stream_usage == StreamUsage::Ask;
            let pieces = splice::splice(body, scan, Rewrite { model, ask_usage });
            (entry.upstream_path(&upstream.base.path, model, uri.query()), Outgoing::pieces(pieces))
        }
        Load::Whole(body) => (plain_path(route, upstream, uri), Outgoing::Whole(body.clone())),
        Load::Once(once) => (plain_path(route, upstream, uri), once.lend()),
    };
    let switching = if guest.upgrade.is_some() { Switching::Yes } else { Switching::No };
    let towards = if guest.dialect == Dialect::Http { Towards::Service } else { Towards::Provider };
    let mut fields = guest.head.headers.clone();
    headers::for_upstream(&mut fields, towards, switching);
    for (name, value) in upstream.provider.headers {
        fields.entry(*name).or_insert(HeaderValue::from_static(value));
    }
    for (name, value) in &upstream.headers {
        fields.insert(name.clone(), value.clone());
    }
    if let Ok(id) = HeaderValue::from_str(&guest.request_id) {
        fields.insert(REQUEST_ID, id);
    }
    fields.insert(ATTEMPT, HeaderValue::from(plan.attempts));
    if let Some(credential) = permit.credential() {
        let auth = upstream.provider.auth_in(guest.dialect);
        auth::apply(&mut fields, auth, &credential.secret)
            .map_err(|_| "the credential is no header value".to_owned())?;
        target = auth::query(target, auth, &credential.secret);
    }
    let mut request = Request::new(body);
    *request.method_mut() = guest.head.method.clone();
    *request.uri_mut() = target.parse().map_err(|_| "the path cannot be sent".to_owned())?;
    *request.headers_mut() = fields;
    Ok(request)
}

fn plain_path(route: &crate::config::Route, upstream: &crate::config::Upstream, uri: &http::Uri) -> String {
    let path = match &route.matcher {
        Matcher::Path { prefix, strip: true } => {
            // Keeps the slash that ends the prefix.
            uri.path().get(prefix.len().saturating_sub(1)..).unwrap_or("/")
        }
        Matcher::Path { strip: false, .. } | Matcher::Model { .. } => uri.path(),
    };
    Entry::opaque(path).upstream_path(&upstream.base.path, None, uri.query())
}

/// From the response's head to something that may go to the caller, or to a failure.
#[expect(clippy::too_many_arguments, reason = "one step of one function, apart for its length")]
async fn read(
    gateway: &Gateway,
    snapshot: &Snapshot,
    guest: &Guest,
    permit: &Permit,
    head: response::Parts,
    upstream: Incoming,
    first_event: Duration,
) -> Result<(response::Parts, Content), Box<Failed>> {
    let limits = &snapshot.table.server.limits;
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return if guest.upgrade.is_some() {
            Ok((head, Content::Tunnel { upstream }))
        } else {
            Err(failed(Fault::Protocol, "switched protocols unasked"))
        };
    }
    if is_error(guest.dialect, head.status) {
        return Err(read_error(gateway, guest, permit, head, upstream).await);
    }
    if guest.dialect == Dialect::Http {
        return Ok((head, Content::Opaque { begin: None, upstream }));
    }
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match Framing::of(guest.dialect, guest.operation, content_type) {
        framing @ (Framing::Sse | Framing::JsonArray) => {
            let strip_usage = asked_for_usage(guest, permit);
            let peeked = peek::peek(guest, framing, upstream, strip_usage, limits, first_event).await?;
            let (peeked, upstream) = peeked;
            Ok((head, Content::Stream { peeked: Box::new(peeked), upstream }))
        }
        Framing::Opaque => {
            let json = content_type.is_some_and(|kind| kind.contains("json"));
            let (begin, upstream) = hold(upstream, limits.unary_buffer, first_event).await?;
            let Some(upstream) = upstream else {
                let facts =
                    json.then(|| meter::reply(guest.dialect, guest.operation, &begin)).unwrap_or_default();
                if let Some(in_band) = facts.in_band {
                    let failure = Failure { fault: in_band.fault, stage: Stage::Headers, hint: in_band.hint };
                    return Err(Box::new(Failed {
                        failure,
                        message: Some(in_band.message),
                        detail: None,
                        spare: None,
                    }));
                }
                if json && !facts.whole {
                    return Err(failed(Fault::Truncated, "the answer is cut short"));
                }
                return Ok((head, Content::Whole { body: begin, usage: facts.usage }));
            };
            Ok((head, Content::Opaque { begin: Some(begin), upstream }))
        }
    }
}

/// Plain HTTP keeps its 4xx to itself: they are between the caller and the service.
fn is_error(dialect: Dialect, status: StatusCode) -> bool {
    match dialect {
        Dialect::Http => status.is_server_error(),
        Dialect::OpenAi | Dialect::Responses | Dialect::Anthropic | Dialect::Gemini => !status.is_success(),
    }
}

async fn read_error(
    gateway: &Gateway,
    guest: &Guest,
    permit: &Permit,
    head: response::Parts,
    mut upstream: Incoming,
) -> Box<Failed> {
    let mut begin = BytesMut::new();
    let reading = async {
        while begin.len() < ERROR_PREFIX {
            match upstream.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        begin.extend_from_slice(data);
                    }
                }
                Some(Err(_)) | None => break,
            }
        }
    };
    // Whatever has come until then has to do.
    let _ = timeout(ERROR_PATIENCE, reading).await;
    let begin = begin.freeze();
    let provider = permit.channel().upstream.config.provider;
    let prefix = &begin[..begin.len().min(ERROR_PREFIX)];
    let now = gateway.live.clock.unix_now();
    let Finding { fault, hint, message, .. } =
        classify::classify(provider, guest.dialect, head.status, &head.headers, prefix, now);
    let detail = Some(format!("status {}", head.status.as_u16()));
    let channel = permit.channel().label.clone();
    let spare = Some(Box::new(Spare { head, begin, rest: upstream, channel }));
    Box::new(Failed { failure: Failure { fault, stage: Stage::Headers, hint }, message, detail, spare })
}

/// Reads up to `most` bytes of an answer in one piece. The body comes back when there is more.
async fn hold(
    mut upstream: Incoming,
    most: u64,
    patience: Duration,
) -> Result<(Bytes, Option<Incoming>), Box<Failed>> {
    let mut first = Bytes::new();
    let mut joined: Option<BytesMut> = None;
    let begun = tokio::time::sleep(patience).deadline();
    loop {
        let frame = match timeout_at(begun, upstream.frame()).await {
            Err(_) => return Err(failed(Fault::FirstEventTimeout, "the answer did not come to its end")),
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                let fault = if error.fault == Fault::StreamCut { Fault::Truncated } else { error.fault };
                return Err(failed(fault, "the answer is cut short"));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        match &mut joined {
            Some(joined) => joined.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => {
                let mut both = BytesMut::with_capacity(first.len() + data.len());
                both.extend_from_slice(&first);
                both.extend_from_slice(&data);
                joined = Some(both);
            }
        }
        let length = joined.as_ref().map_or(first.len(), BytesMut::len);
        if length as u64 > most {
            return Ok((joined.map_or(first, BytesMut::freeze), Some(upstream)));
        }
    }
    Ok((joined.map_or(first, BytesMut::freeze), None))
}

pub(super) fn failed(fault: Fault, detail: &str) -> Box<Failed> {
    let failure = Failure { fault, stage: Stage::Headers, hint: RateHint::default() };
    Box::new(Failed { failure, message: None, detail: Some(detail.to_owned()), spare: None })
}

/// Usage was asked for on our account, so the chunk that carries it is not the caller's.
fn asked_for_usage(guest: &Guest, permit: &Permit) -> bool {
    let Load::Ask { scan, .. } = &guest.load else { return false };
    permit.channel().upstream.config.stream_usage == StreamUsage::Ask
        && scan.stream
        && matches!(scan.include_usage, IncludeUsage::No(_))
}

/// The response for an answer. From here on its body owns the permit; nothing can be tried again.
pub fn respond(mut guest: Box<Guest>, plan: &Plan<'_>, answer: Answer) -> Response<Reply> {
    let Answer { mut head, permit, body } = answer;
    let channel = Arc::clone(permit.channel());
    let switching = if matches!(body, Content::Tunnel { .. }) { Switching::Yes } else { Switching::No };
    dress(&mut head, &guest.request_id, plan.attempts, &channel.label, switching);
    guest.settle.first_byte();
    let reply = match body {
        Content::Whole { body, usage } => {
            if let Some(usage) = &usage {
                channel.handles.used(usage);
            }
            permit.finish();
            guest.settle.usage = usage;
            guest.settle.ends(RequestOutcome::Ok);
            Reply::whole(body, Some(guest.settle))
        }
        Content::Stream { peeked, upstream } => {
            head.headers.remove(http::header::CONTENT_LENGTH);
            let deadline = guest.deadline;
            Reply::streaming(Streaming::new(*peeked, upstream, permit, guest.settle, guest.dialect, deadline))
        }
        Content::Opaque { begin, upstream } => {
            Reply::opaque(Opaque::new(begin, upstream, permit, guest.settle, guest.deadline))
        }
        Content::Tunnel { upstream } => {
            tunnel::join(guest.upgrade.take(), upstream, permit, guest.settle);
            Reply::empty()
        }
    };
    Response::from_parts(head, reply)
}

/// The upstream's own error answer, passed on.
pub fn pass_on(mut guest: Box<Guest>, spare: Spare, fault: Fault) -> Response<Reply> {
    let Spare { mut head, begin, rest, channel } = spare;
    let attempts = guest.settle.attempts;
    dress(&mut head, &guest.request_id, attempts, &channel, Switching::No);
    let theirs = fault.class() == crate::vocab::Class::ClientFault;
    guest.settle.ends(if theirs { RequestOutcome::ClientFault } else { RequestOutcome::Failed });
    guest.settle.first_byte();
    Response::from_parts(head, Reply::passed_on(begin, rest, guest.settle))
}

fn dress(head: &mut response::Parts, request_id: &str, attempts: u32, channel: &str, switching: Switching) {
    // The version is each connection's own affair.
    head.version = Version::HTTP_11;
    let fields = &mut head.headers;
    headers::for_caller(fields, switching);
    if switching == Switching::No {
        fields.remove(UPGRADE);
    }
    name_request(fields, request_id, Some(attempts));
    if let Ok(channel) = HeaderValue::from_str(channel) {
        fields.insert(CHANNEL, channel);
    }
}
