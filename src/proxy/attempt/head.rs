//! The head of a request as one channel's upstream gets it.

use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::betas;
use super::spoken::Spoken;
use crate::access::Caller;
use crate::config;
use crate::dialect::Dialect;
use crate::proxy::intake::Guest;
use crate::proxy::trace;
use crate::route::Plan;
use crate::state::Permit;
use crate::upstream::headers::{self, Switching, Towards};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const ATTEMPT: HeaderName = HeaderName::from_static("x-attempt");

/// What goes on of the caller's fields, with the vendor's, the operator's and our own.
pub fn fields(guest: &Guest, plan: &Plan<'_>, permit: &Permit, spoken: &mut Spoken) -> HeaderMap {
    let upstream = &permit.channel().upstream.config;
    let switching = if guest.upgrade.is_some() { Switching::Yes } else { Switching::No };
    let towards = if guest.dialect == Dialect::Http { Towards::Service } else { Towards::Provider };
    let mut fields = if spoken.is_native() {
        headers::for_upstream(&guest.head.headers, towards, switching)
    } else {
        headers::for_upstream(&of_our_own(guest), towards, switching)
    };
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
        betas::take(&mut fields, upstream, &plan.route().config, spoken);
    }
    fields
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
