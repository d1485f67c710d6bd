//! Who is at the admin side: whoever has `server.admin_token`, where there is one; else whoever is on this machine, but
//! for the pages that a browser there shows.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::{Running, problem};
use crate::access::Guesses;
use crate::vocab::Secret;

/// Somebody who may do this, as the audit trail calls him: his address, and how he has proven himself.
#[derive(Clone, Debug)]
pub struct Operator(pub Arc<str>);

/// What the door knows.
#[derive(Clone)]
pub(super) struct Door {
    running: Arc<dyn Running>,
    guesses: Arc<Guesses>,
}

impl Door {
    pub(super) fn of(running: &Arc<dyn Running>) -> Self {
        Self { running: Arc::clone(running), guesses: Arc::default() }
    }
}

/// Lets operators through, with their names in the request.
pub(super) async fn admit(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let table = door.running.table();
    let from = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(from)| from.ip());
    let proof = match &table.server.admin_token {
        Some(token) if has(request.headers(), token) => "admin_token",
        Some(_) => {
            let guesses = request.headers().contains_key(AUTHORIZATION);
            let guesser = from.filter(|_| guesses);
            return stranger(guesser.and_then(|from| door.guesses.wrong(from, table.live.now())));
        }
        None if is_led_here(&request) => return misled(),
        None => "no token",
    };
    let address = from.map_or_else(|| "somewhere".to_owned(), |from| from.to_string());
    request.extensions_mut().insert(Operator(format!("{address} ({proof})").into()));
    next.run(request).await
}

/// Whether another site's page asks, through the browser of somebody on this machine: it says so itself, or it came
/// by a name that was made to lead here.
fn is_led_here(request: &Request) -> bool {
    let headers = request.headers();
    let elsewhere = |site: &HeaderValue| !matches!(site.as_bytes(), b"same-origin" | b"none");
    let names = headers.get_all(HOST).iter().map(|host| host.to_str().ok());
    let named = request.uri().authority().map(|authority| Some(authority.as_str()));
    headers.contains_key(ORIGIN)
        || headers.get_all("sec-fetch-site").iter().any(elsewhere)
        || names.chain(named).any(|host| !host.is_some_and(is_own_address))
}

/// An address, or the one name that nobody else can give away; with a port or without.
fn is_own_address(host: &str) -> bool {
    let Ok(host) = host.parse::<Authority>() else { return false };
    let name = host.host();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

fn misled() -> Response {
    let message = "a page of a browser, or a host's name other than `localhost`, is no way in here without a token;                    ask by the address, or set `server.admin_token` and send it";
    problem(StatusCode::FORBIDDEN, message)
}

/// Both are hashed first, so that the comparison tells nothing of the length either.
fn has(headers: &HeaderMap, token: &Secret) -> bool {
    let sent = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, sent) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(sent.trim_ascii())
    });
    let hash = |text: &[u8]| digest(&SHA256, text);
    sent.is_some_and(|sent| {
        verify_slices_are_equal(hash(sent).as_ref(), hash(token.expose().as_bytes()).as_ref()).is_ok()
    })
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
    let message = "this takes the gateway's `server.admin_token`, as `Authorization: Bearer TOKEN`";
    let mut response = problem(StatusCode::UNAUTHORIZED, message);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}
