//! The request as one channel's upstream gets it: its path, its model's name, its key.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Uri};

use crate::config::{self, Matcher};
use crate::dialect::Dialect;
use crate::dialect::entry::{self, Entry};
use crate::dialect::provider::StreamUsage;
use crate::dialect::splice::{self, Rewrite};
use crate::proxy::intake::{Guest, Load};
use crate::route::Plan;
use crate::state::Permit;
use crate::upstream::headers::{self, Switching, Towards};
use crate::upstream::{Outgoing, auth};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ATTEMPT: HeaderName = HeaderName::from_static("x-attempt");

/// The request as this channel's upstream gets it.
pub fn build(guest: &Guest, plan: &Plan<'_>, permit: &Permit) -> Result<Request<Outgoing>, String> {
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
    let target = PathAndQuery::from_maybe_shared(Bytes::from(target))
        .map_err(|_| "the path cannot be sent".to_owned())?;
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = fields;
    Ok(request)
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
