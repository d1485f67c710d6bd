//! The request as one channel's upstream gets it: its path, its model's name, its key.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

use super::anew::Said;
use super::betas;
use super::spoken::{self, Letter, Occasion, Spoken, Unsayable, Unwritten};
use crate::access::Caller;
use crate::config::{self, Matcher, Unsupported};
use crate::dialect::continuation::{Learnt, Put};
use crate::dialect::entry::{self, Entry};
use crate::dialect::flagged;
use crate::dialect::hub::Keeping;
use crate::dialect::provider::{Betas, Call, Delivery, Place, StreamUsage};
use crate::dialect::scan;
use crate::dialect::splice::{self, Rewrite};
use crate::dialect::{Dialect, Operation, encrypted, named, tree};
use crate::proxy::intake::{Guest, Load};
use crate::proxy::{Gateway, beside, memory, thoughts, trace};
use crate::route::Plan;
use crate::state::Permit;
use crate::state::model::Shape;
use crate::upstream::Outgoing;
use crate::upstream::headers::{self, Switching, Towards};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const ATTEMPT: HeaderName = HeaderName::from_static("x-attempt");

/// The request as this channel's upstream gets it, and how it is spoken.
pub struct Built {
    pub request: Request<Outgoing>,
    pub spoken: Spoken,
}

/// Why there is no request.
pub enum Unbuilt {
    /// It cannot be written, though it should be possible; for logs.
    Unsendable(String),
    /// For the caller.
    Unsayable(Unsayable),
    /// The content of these URLs has to be there first.
    Unfetched(Vec<String>),
    /// There is no memory to write it in.
    NoRoom,
}

/// The request as this channel's upstream gets it.
pub fn build(gateway: &Gateway, guest: &Guest, plan: &Plan<'_>, permit: &Permit) -> Result<Built, Unbuilt> {
    let channel = permit.channel();
    let upstream = &channel.upstream.config;
    let route = &plan.route().config;
    let uri = &guest.head.uri;
    let asked = match &guest.load {
        Load::Ask { scan, .. } => scan.model.as_str(),
        Load::Whole(_) | Load::Once(_) => "",
    };
    let model = channel.model_name(route, asked);
    let mut spoken = Spoken::native(guest);
    let (target, body) = match &guest.load {
        Load::Ask { body, scan } => {
            let name = model.unwrap_or(asked);
            let facts = || channel.facts(route, asked);
            let dialect = spoken::dialect_for(guest, scan, body, upstream, name, facts);
            let dialect = dialect.unwrap_or(guest.dialect);
            let said = Said { dialect, name, asked, scan, body };
            if dialect == guest.dialect && !said.is_to_be_said_anew(guest, plan, permit) {
                let unflagged = unflagged(guest, upstream, route, body, &mut spoken)?;
                let lessened = match unflagged {
                    None => lessened(guest, permit, route, body, &mut spoken)?,
                    unflagged => unflagged,
                };
                let rewrite = Rewrite {
                    model,
                    ask_usage: upstream.stream_usage == StreamUsage::Ask,
                    newer_limit: said.wants_newer_limit(plan, permit),
                };
                native(gateway, guest, upstream, &said, rewrite, lessened)?
            } else {
                let bytes = body.len() as u64 + guest.contents.size();
                tree::check(scan.values).map_err(|wrong| Unbuilt::Unsayable(wrong.into()))?;
                let room = memory::to_say(gateway, plan.table(), guest.priority, scan.values, bytes);
                let room = room.ok_or(Unbuilt::NoRoom)?;
                let say = || translated(gateway, guest, plan, permit, &said);
                let mut letter = beside::work(bytes as usize, say)?;
                spoken = letter.spoken;
                if dialect == guest.dialect
                    && let Some(less) = unflagged(guest, upstream, route, &letter.body, &mut spoken)?
                {
                    letter.body = less.into();
                }
                let call = call(guest, upstream, spoken.dialect, spoken.operation, name, None);
                let base = spoken.put.and_then(Put::base).unwrap_or(&upstream.base.path);
                let target = match upstream.provider.place(base, &call) {
                    Place::At(target) => Some(target),
                    Place::Below(base) => entry::own_path(spoken.dialect, spoken.operation, &base, name),
                };
                let target = target.ok_or_else(|| Unbuilt::unsendable("the operation has no path"))?;
                let vendors = upstream
                    .provider
                    .body_of(spoken.dialect, spoken.operation)
                    .apply(spoken.operation, &letter.body);
                let whole = vendors.unwrap_or(letter.body).into();
                (target, Outgoing::Whole(room.keep(whole)))
            }
        }
        Load::Whole(body) if guest.errand.is_some() => {
            (left_path(guest, upstream)?, Outgoing::Whole(body.clone()))
        }
        Load::Once(once) if guest.errand.is_some() => (left_path(guest, upstream)?, once.lend()),
        Load::Whole(body) => (plain_path(route, upstream, uri), Outgoing::Whole(body.clone())),
        Load::Once(once) => (plain_path(route, upstream, uri), once.lend()),
    };
    let switching = if guest.upgrade.is_some() { Switching::Yes } else { Switching::No };
    let towards = if guest.dialect == Dialect::Http { Towards::Service } else { Towards::Provider };
    let ours;
    let callers = if spoken.is_native() {
        &guest.head.headers
    } else {
        ours = of_our_own(guest);
        &ours
    };
    let mut fields = headers::for_upstream(callers, towards, switching);
    if spoken.dialect == Dialect::Anthropic {
        // Mandatory there, and callers of other dialects have none.
        fields.entry(VERSION).or_insert(HeaderValue::from_static("2023-06-01"));
    }
    trace::tell(&mut fields, plan.table(), guest, permit, towards);
    add_fixed(&mut fields, upstream, &guest.caller);
    if let Ok(id) = HeaderValue::from_str(&guest.request_id) {
        fields.insert(REQUEST_ID, id);
    }
    fields.insert(ATTEMPT, HeaderValue::from(plan.attempts));
    if spoken.dialect == Dialect::Anthropic {
        betas::take(&mut fields, upstream, route, &mut spoken);
    }
    let mut request = Request::new(body);
    *request.method_mut() = guest.head.method.clone();
    let target = PathAndQuery::from_maybe_shared(Bytes::from(target))
        .map_err(|_| Unbuilt::unsendable("the path cannot be sent"))?;
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = fields;
    Ok(Built { request, spoken })
}

/// What the vendor and the operator want on every request.
pub fn add_fixed(fields: &mut HeaderMap, upstream: &config::Upstream, caller: &Caller) {
    for (name, value) in upstream.provider.headers {
        fields.entry(*name).or_insert(HeaderValue::from_static(value));
    }
    // Whoever brings his own key pays with it alone, wherever ours stands.
    let pays_himself = caller.own().is_some();
    for (name, value) in &upstream.headers {
        if !pays_himself || !config::carries_credential(name) {
            fields.insert(name.clone(), value.clone());
        }
    }
}

/// The body without what belongs to betas that the host does not take, if there is any.
fn unflagged(
    guest: &Guest,
    upstream: &config::Upstream,
    route: &config::Route,
    body: &[u8],
    spoken: &mut Spoken,
) -> Result<Option<Bytes>, Unbuilt> {
    if spoken.dialect != Dialect::Anthropic || upstream.provider.betas == Betas::All {
        return Ok(None);
    }
    let Some(flags) = betas::asked(&guest.head.headers) else { return Ok(None) };
    let dropped = upstream.provider.betas.filter(&flags).dropped;
    if dropped.is_empty() {
        return Ok(None);
    }
    let lessen = || flagged::without(body, &dropped);
    let Some((less, names)) = beside::work(body.len(), lessen) else { return Ok(None) };
    match route.unsupported {
        Unsupported::Reject => {
            return Err(Unbuilt::Unsayable(Unsayable {
                message: format!(
                    "the channel takes no beta that has {}; leave it out, or set `unsupported: warn` on the route",
                    names.join(", ")
                ),
                param: names.first().map(ToString::to_string),
            }));
        }
        Unsupported::Warn => spoken.also_dropped(&names),
        Unsupported::Drop => {}
    }
    Ok(Some(less.into()))
}

/// The body without what is encrypted in it and this channel cannot read, if there is any.
fn lessened(
    guest: &Guest,
    permit: &Permit,
    route: &config::Route,
    body: &Bytes,
    spoken: &mut Spoken,
) -> Result<Option<Bytes>, Unbuilt> {
    let goes = left_out(guest, permit);
    let Some(lessened) = encrypted::without(body, &goes) else { return Ok(None) };
    match route.unsupported {
        Unsupported::Reject => Err(Unbuilt::Unsayable(Unsayable {
            message: "the encrypted reasoning in `input` comes from several accounts, none of which can read it all; send only the last one's, or set `unsupported: warn` on the route".to_owned(),
            param: Some("input".to_owned()),
        })),
        Unsupported::Warn => {
            spoken.also_dropped(&[thoughts::NAME]);
            Ok(Some(lessened.into()))
        }
        Unsupported::Drop => Ok(Some(lessened.into())),
    }
}

fn left_out(guest: &Guest, permit: &Permit) -> Vec<u64> {
    guest.thoughts.as_ref().map(|thoughts| thoughts.left_out(permit)).unwrap_or_default()
}

/// The caller's own bytes, but for the model's name and what the vendor wants otherwise.
fn native(
    gateway: &Gateway,
    guest: &Guest,
    upstream: &config::Upstream,
    said: &Said<'_>,
    rewrite: Rewrite<'_>,
    lessened: Option<Bytes>,
) -> Result<(String, Outgoing), Unbuilt> {
    let Said { name, scan, body, .. } = *said;
    let model = rewrite.model;
    let uri = &guest.head.uri;
    let entry = entry::find(&guest.head.method, uri.path(), uri.query(), &guest.head.headers)
        .map_err(|_| Unbuilt::unsendable("the path was one of ours at intake"))?;
    let call = call(guest, upstream, guest.dialect, guest.operation, name, Some(uri.query().unwrap_or("")));
    let target = match upstream.provider.place(&upstream.base.path, &call) {
        Place::At(target) => target,
        Place::Below(base) => entry.upstream_path(&base, model, uri.query()),
    };
    let keep = |whole: Vec<u8>| memory::needed(&gateway.live.holdings).keep(whole.into());
    let other = model.filter(|model| guest.dialect == Dialect::Gemini && *model != scan.model);
    let renamed = other.and_then(|model| named::renamed(guest.operation, body, model)).map(keep);
    let body = renamed.as_ref().unwrap_or(body);
    let pieces = match lessened {
        None => splice::splice(body, scan, rewrite),
        Some(body) => {
            let scan = scan::scan(&entry, None, &body)
                .map_err(|_| Unbuilt::unsendable("a request that was read cannot be read with less in it"))?;
            splice::splice(&body, &scan, rewrite)
        }
    };
    let rule = upstream.provider.body_of(guest.dialect, guest.operation);
    if !rule.may_change(body) {
        return Ok((target, Outgoing::pieces(pieces)));
    }
    let whole = pieces.into_iter().flatten().collect::<Vec<u8>>();
    let vendors = rule.apply(guest.operation, &whole);
    Ok((target, Outgoing::Whole(keep(vendors.unwrap_or(whole)))))
}

fn call<'c>(
    guest: &Guest,
    upstream: &'c config::Upstream,
    dialect: Dialect,
    operation: Operation,
    model: &'c str,
    query: Option<&'c str>,
) -> Call<'c> {
    let delivery = if guest.shape == Shape::Stream { Delivery::Streamed } else { Delivery::Whole };
    Call { dialect, operation, model, delivery, query, api_version: upstream.api_version.as_deref() }
}

impl Unbuilt {
    fn unsendable(detail: &str) -> Self {
        Self::Unsendable(detail.to_owned())
    }
}

/// The request in another dialect.
fn translated(
    gateway: &Gateway,
    guest: &Guest,
    plan: &Plan<'_>,
    permit: &Permit,
    said: &Said<'_>,
) -> Result<Letter, Unbuilt> {
    let Said { dialect: to, asked, body, .. } = *said;
    let channel = permit.channel();
    let upstream = &channel.upstream.config;
    let kept = if to == guest.dialect { None } else { guest.recall.nonce() };
    let keeping = if kept.is_some() { Keeping::Kept } else { Keeping::Passing };
    let nonce = kept.unwrap_or_else(|| gateway.live.nonce());
    let occasion = Occasion {
        asked,
        terms: said.terms(plan, permit, &nonce),
        to,
        provider: upstream.provider,
        unsupported: plan.route().config.unsupported,
        media: &plan.table().server.media,
        keeping,
        learnt: learnt(gateway, guest, permit),
        left_out: &left_out(guest, permit),
        now: gateway.live.clock.unix_now().as_secs(),
    };
    spoken::write(guest, body, &occasion).map_err(|unwritten| match unwritten {
        Unwritten::Unsayable(why) => Unbuilt::Unsayable(why),
        Unwritten::Unfetched(urls) => Unbuilt::Unfetched(urls),
    })
}

/// What the channel's model has taught, for a while or for this stream.
fn learnt(gateway: &Gateway, guest: &Guest, permit: &Permit) -> Learnt {
    let label = &permit.channel().label;
    let refused = guest.onward.as_ref().is_some_and(|onward| onward.has_refused_prefill(label));
    if refused || permit.model().refuses_prefill(gateway.live.now()) {
        Learnt::RefusesPrefill
    } else {
        Learnt::Nothing
    }
}

/// What goes on of the head of a request that is said anew: the caller's dialect has headers of its own,
/// and another vendor has no use for them.
fn of_our_own(guest: &Guest) -> HeaderMap {
    let theirs = &guest.head.headers;
    let passing = [USER_AGENT, HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];
    let mut fields = HeaderMap::new();
    for name in passing {
        if let Some(value) = theirs.get(&name) {
            fields.insert(name, value.clone());
        }
    }
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(ACCEPT, HeaderValue::from_static("*/*"));
    fields
}

/// The same path at the upstream.
fn left_path(guest: &Guest, upstream: &config::Upstream) -> Result<String, Unbuilt> {
    let uri = &guest.head.uri;
    let entry = entry::find(&guest.head.method, uri.path(), uri.query(), &guest.head.headers)
        .map_err(|_| Unbuilt::unsendable("the path was one of ours at intake"))?;
    Ok(path_there(&entry, upstream, uri.query()))
}

/// The path of a stored response at the upstream; `None` where that cannot be its name.
pub fn path_of_stored(upstream: &config::Upstream, id: &str) -> Option<String> {
    let path = format!("/v1/responses/{id}");
    let entry = entry::find(&Method::GET, &path, None, &HeaderMap::new()).ok()?;
    Some(path_there(&entry, upstream, None))
}

fn path_there(entry: &Entry<'_>, upstream: &config::Upstream, query: Option<&str>) -> String {
    let call = Call {
        dialect: entry.dialect,
        operation: entry.operation,
        model: "",
        delivery: Delivery::Whole,
        query,
        api_version: upstream.api_version.as_deref(),
    };
    let mut path = match upstream.provider.place(&upstream.base.path, &call) {
        Place::At(target) => target,
        Place::Below(base) => entry.upstream_path(&base, None, query),
    };
    if let Some(version) = upstream.provider.version_of(&call) {
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str("api-version=");
        path.push_str(version);
    }
    path
}

fn plain_path(route: &config::Route, upstream: &config::Upstream, uri: &Uri) -> String {
    let path = match &route.matcher {
        Matcher::Path { prefix, strip: true } => {
            // Keeps the slash that ends the prefix.
            uri.path().get(prefix.len().saturating_sub(1)..).unwrap_or("/")
        }
        Matcher::Path { strip: false, .. } | Matcher::Model { .. } => uri.path(),
    };
    Entry::opaque(path).upstream_path(&upstream.base.path, None, uri.query())
}
