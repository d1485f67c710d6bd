//! Who is at the admin side, and what he may do: whoever has `server.admin_token` everything, whoever has one of
//! `server.admin_tokens`, or a certificate of one of `server.admin_tls.clients`, what its scopes say; where there are
//! none, whoever is on this machine, but for the pages that a browser there shows, save our own console.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::routes::Route;
use super::{Running, problem, trail};
use crate::access::Guesses;
use crate::config::Server;
use crate::vocab::host::is_own_address;
use crate::vocab::{OperatorScope, OperatorScopes, Secret};

/// Bytes of a refusal's text.
const LONGEST_TEXT: usize = 4096;

/// Somebody who may do this, as the audit trail calls him: his address, and how he has proven himself.
#[derive(Clone, Debug)]
pub struct Operator(pub Arc<str>);

/// What the certificate calls its holder that a connection has shown: its common name and its alternative names. In a
/// request's extensions, where whoever holds the listener has found it to be good.
#[derive(Clone, Debug)]
pub struct Certified(pub Arc<[String]>);

/// What the door knows.
#[derive(Clone)]
pub(super) struct Door {
    running: Arc<dyn Running>,
    guesses: Arc<Guesses>,
}

/// The door at one endpoint.
#[derive(Clone)]
pub(super) struct Post {
    pub door: Door,
    pub route: &'static Route,
}

/// How somebody has proven himself, and what he may do for it.
struct Proof {
    what: String,
    scopes: OperatorScopes,
}

impl Door {
    pub(super) fn of(running: &Arc<dyn Running>) -> Self {
        Self { running: Arc::clone(running), guesses: Arc::default() }
    }

    /// Who asks; else what he is told.
    fn who(&self, request: &Request) -> Result<Proof, Box<Response>> {
        let table = self.running.table();
        if !table.server.knows_operators() {
            return if is_led_here(request) {
                Err(Box::new(misled()))
            } else {
                Ok(Proof { what: "no token".to_owned(), scopes: OperatorScopes::all() })
            };
        }
        let headers = request.headers();
        // A token is meant by whoever sends it; a certificate is shown by a browser for whatever page asks it to.
        if !headers.contains_key(AUTHORIZATION)
            && let Some(proof) = by_certificate(request, &table.server)
        {
            return if is_elsewheres(request) { Err(Box::new(misled())) } else { Ok(proof) };
        }
        by_token(headers, &table.server).ok_or_else(|| {
            let guesser = from(request).filter(|_| headers.contains_key(AUTHORIZATION));
            Box::new(stranger(guesser.and_then(|from| self.guesses.wrong(from, table.live.now()))))
        })
    }
}

/// Lets operators through who may do this, with their names in the request. What changes something goes into the audit
/// trail, done or refused, as soon as somebody has proven who he is.
pub(super) async fn admit(State(post): State<Post>, mut request: Request, next: Next) -> Response {
    let Post { door, route } = post;
    let proof = match door.who(&request) {
        Ok(proof) => proof,
        Err(refusal) => return *refusal,
    };
    let address = from(&request).map_or_else(|| "somewhere".to_owned(), |from| from.to_string());
    let operator = Operator(format!("{address} ({})", proof.what).into());
    let is_allowed = proof.scopes.allow(route.scope);
    request.extensions_mut().insert(operator.clone());
    let subject = trail::subject(route.path, request.uri().path());
    let answer = async move {
        if !is_allowed {
            return out_of_scope(route.scope);
        }
        match request.uri().query().and_then(|query| route.form.unknown_in(query)) {
            Some(message) => problem(StatusCode::BAD_REQUEST, message),
            None => in_one_form(next.run(request).await).await,
        }
    };
    match route.form.deed {
        None => answer.await,
        Some(action) => {
            let trail = door.running.trail();
            trail::to_its_end(async move {
                // Whatever becomes of the handler, what came of it is said.
                let response = trail::to_its_end(answer).await;
                trail.conclude(&operator, action, &subject, response).await
            })
            .await
        }
    }
}

/// What is refused before a handler sees it is said as text; from here on it is said as everything is.
async fn in_one_form(response: Response) -> Response {
    let status = response.status();
    let is_text =
        response.headers().get(CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"text/plain"));
    if !is_text || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let said = to_bytes(response.into_body(), LONGEST_TEXT).await.unwrap_or_default();
    problem(status, String::from_utf8_lossy(&said))
}

fn from(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(from)| from.ip())
}

/// Whose token was sent. All are compared, whichever it is; both sides are hashed first, so that the comparison tells
/// nothing of the lengths either.
fn by_token(headers: &HeaderMap, server: &Server) -> Option<Proof> {
    let sent = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, sent) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(sent.trim_ascii())
    })?;
    let sent = digest(&SHA256, sent);
    let is_it = |token: &Secret| {
        let own = digest(&SHA256, token.expose().as_bytes());
        verify_slices_are_equal(sent.as_ref(), own.as_ref()).is_ok()
    };
    let mut found = None;
    for operator in &server.admin_tokens {
        if is_it(&operator.token) {
            found = Some(Proof { what: format!("token {}", operator.name), scopes: operator.scopes });
        }
    }
    if server.admin_token.as_ref().is_some_and(is_it) {
        found = Some(Proof { what: "admin_token".to_owned(), scopes: OperatorScopes::all() });
    }
    found
}

/// Whom the certificate names that the connection has shown; of several the first in the file.
fn by_certificate(request: &Request, server: &Server) -> Option<Proof> {
    let Certified(names) = request.extensions().get::<Certified>()?;
    let clients = &server.admin_tls.as_ref()?.clients;
    let client = clients.iter().find(|client| names.iter().any(|name| **name == *client.subject))?;
    Some(Proof { what: format!("certificate {}", client.name), scopes: client.scopes })
}

/// Whether another site's page asks, through the browser of somebody on this machine: it says so itself, or it came
/// by a name that was made to lead here.
fn is_led_here(request: &Request) -> bool {
    let names = request.headers().get_all(HOST).iter().map(|host| host.to_str().ok());
    let named = request.uri().authority().map(|authority| Some(authority.as_str()));
    is_elsewheres(request) || names.chain(named).any(|host| !host.is_some_and(is_own_address))
}

/// Whether a page of another site asks, by what its browser says of it. A page of this listener's own is none.
fn is_elsewheres(request: &Request) -> bool {
    let headers = request.headers();
    let elsewhere = |site: &HeaderValue| !matches!(site.as_bytes(), b"same-origin" | b"none");
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let foreign = |origin: &HeaderValue| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        origin.is_none_or(|(_, origin)| Some(origin) != host)
    };
    headers.get_all("sec-fetch-site").iter().any(elsewhere) || headers.get_all(ORIGIN).iter().any(foreign)
}

fn misled() -> Response {
    let message = "a page of another site, or a host's name other than `localhost`, is no way in here without a token; \
                   ask by the address, or set `server.admin_token` and send it";
    problem(StatusCode::FORBIDDEN, message)
}

/// Who he is is known, and that he may not do this (RFC 6750, section 3.1).
fn out_of_scope(needed: OperatorScope) -> Response {
    let name = needed.name();
    let message = format!("this takes the scope `{name}`, which yours are not among: {}", needed.about());
    let mut response = problem(StatusCode::FORBIDDEN, message);
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{name}\"");
    if let Ok(challenge) = HeaderValue::try_from(challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// `wait` is for whoever has tried too many.
fn stranger(wait: Option<Duration>) -> Response {
    if let Some(wait) = wait {
        let message = "too many wrong tokens came from your address; wait, and send the right one";
        let mut response = problem(StatusCode::TOO_MANY_REQUESTS, message);
        let seconds = HeaderValue::from(wait.as_secs_f64().ceil() as u64);
        response.headers_mut().insert(RETRY_AFTER, seconds);
        return response;
    }
    let message = "this takes the gateway's `server.admin_token`, or one of its `server.admin_tokens`, as \
                   `Authorization: Bearer TOKEN`, or the certificate of one of its `server.admin_tls.clients`";
    let mut response = problem(StatusCode::UNAUTHORIZED, message);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}
