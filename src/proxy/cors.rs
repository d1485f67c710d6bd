//! Web pages of other sites whose scripts ask the gateway, and what their browsers want to hear of it (CORS, Fetch
//! standard §3.3).
//!
//! `server.cors` speaks for what the gateway serves, and for services to which callers need a key: the question that a
//! browser asks beforehand brings none along, and would never reach them. Any other service says itself who may read it.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};

use super::intake::Arrival;
use super::recall;
use super::refuse::{Refusal, in_short, name_request};
use super::reply::Reply;
use crate::config::{Access, PageOrigin};
use crate::dialect::entry::{self, ModelAt};
use crate::dialect::trouble::Kind;
use crate::state::Table;

/// Seconds for which a browser need not ask again; Chromium keeps no answer for longer.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Who may read an answer beside who asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Nobody without it.
    with: Option<HeaderValue>,
    /// Another origin would have got another answer.
    varies: bool,
}

impl Sharing {
    pub fn of<B>(table: &Table, request: &Request<B>) -> Self {
        if table.server.cors.is_empty() {
            return Self::default();
        }
        let headers = request.headers();
        // Of a question beforehand, what is asked about.
        let method = asked_about(request.method(), headers).unwrap_or_else(|| request.method().clone());
        if is_a_services(table, &method, request.uri(), headers) {
            return Self::default();
        }
        let varies = !table.server.cors.contains(&PageOrigin::Any);
        let with = headers.get(ORIGIN).filter(|_| is_welcome(table, headers));
        Self { with: with.map(|origin| if varies { origin.clone() } else { ANY }), varies }
    }

    /// Tells browsers and caches. What a service said of it was said of an address of its own.
    pub fn say(self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        if let Some(with) = self.with {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, with);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, ANY);
        }
    }
}

/// Whether a page that `server.cors` names asks.
pub fn is_welcome(table: &Table, headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    origin.is_some_and(|origin| table.server.cors.iter().any(|known| known.allows(origin)))
}

/// Answers the question that a browser asks before it sends what a page wants it to send; `None` for everything else.
pub fn preflight(table: &Table, arrival: &mut Arrival) -> Result<Option<Response<Reply>>, Box<Refusal>> {
    let head = &arrival.head;
    let Some(method) = asked_about(&head.method, &head.headers) else { return Ok(None) };
    if is_a_services(table, &method, &head.uri, &head.headers) {
        return Ok(None);
    }
    arrival.dialect = entry::dialect_of(&method, &head.uri, &head.headers);
    if !is_welcome(table, &head.headers) {
        let origin = head.headers.get(ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()));
        let message = format!(
            "web pages of {} may not ask this gateway; whoever runs it can name them in `server.cors.origins`",
            in_short(&origin.unwrap_or_default())
        );
        return Err(arrival.refuse(Kind::Forbidden, message).closing_if_body(arrival));
    }
    let mut response = Response::new(Reply::whole(Bytes::new(), None));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    // Whether a method or a header is any good is found out when it comes.
    for (asked, granted) in [
        (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
        (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
    ] {
        for value in head.headers.get_all(asked) {
            headers.append(&granted, value.clone());
        }
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    name_request(headers, arrival.dialect, &arrival.request_id, None);
    Ok(Some(response))
}

/// The method that a browser asks about beforehand.
fn asked_about(method: &Method, headers: &HeaderMap) -> Option<Method> {
    let asked = headers.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| method == Method::OPTIONS)?;
    headers.get(ORIGIN).and_then(|_| Method::from_bytes(asked.as_bytes()).ok())
}

/// Whether a service answers there that says itself who may read it.
fn is_a_services(table: &Table, method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let route = table.route_of_path(uri.path());
    if route.is_none_or(|route| table.routes[route].config.access == Access::Keys) {
        return false;
    }
    match entry::find(method, uri.path(), uri.query(), headers) {
        Ok(entry) => matches!(&entry.model, ModelAt::Left(wanted) if !recall::is_ours(&entry, wanted)),
        Err(_) => true,
    }
}
