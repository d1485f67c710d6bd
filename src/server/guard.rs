//! What is refused before anybody looks at the request's meaning: heads that are too long or too large,
//! and heads from which two readers could take two different requests (RFC 9112 §11.2).
//!
//! hyper itself answers, without a body, what it cannot parse at all: differing `Content-Length`s,
//! codings that do not end in `chunked`, obsolete line folding, `Transfer-Encoding` in HTTP/1.0, heads
//! beyond its buffer. The tests of `connection` hold it to that.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::Full;

use super::conduct::Conduct;
use super::framing::{Body, Doubt};
use crate::config::Limits;
use crate::dialect::entry;
use crate::dialect::trouble::{self, Kind, Trouble};
use crate::state::Live;
use crate::telemetry::catalogue;

/// As the rest of our answers has it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-mainstay-request-id");

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Smuggling(&'static str),
    UriTooLong,
    HeadersTooLarge,
}

/// Looks at a head. Must be called once for every request of a connection, in their order.
pub(super) fn check<B: http_body::Body>(
    request: &Request<B>,
    limits: &Limits,
    conduct: &Conduct,
) -> Result<(), Refused> {
    let headers = request.headers();
    if request.version() < Version::HTTP_2 {
        let chunked = headers.contains_key(TRANSFER_ENCODING);
        // hyper has parsed the length; a body without one has none, or is chunked.
        let length = request.body().size_hint().exact().unwrap_or_default();
        let seen = conduct.head_seen(if chunked { Body::Chunked } else { Body::Sized(length) });
        seen.map_err(|doubt| Refused::Smuggling(sentence(doubt)))?;
        if chunked && !is_plainly_chunked(headers) {
            return Err(Refused::Smuggling("transfer-encoding must be chunked, once, and nothing else"));
        }
        let mut hosts = headers.get_all(HOST).iter();
        // RFC 9112 §3.2: a 400 for each of these.
        match hosts.next() {
            None if request.version() == Version::HTTP_11 => {
                return Err(Refused::Smuggling("no host"));
            }
            Some(host) if !is_host(host) => return Err(Refused::Smuggling("a host that is none")),
            Some(_) | None => {}
        }
        if hosts.next().is_some() {
            return Err(Refused::Smuggling("more than one host"));
        }
    }
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target as u64 > limits.max_uri {
        return Err(Refused::UriTooLong);
    }
    // As HTTP/1.1 writes them: `name: value` and a line end.
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if headers.len() > limits.max_headers as usize || bytes as u64 > limits.max_header_bytes {
        return Err(Refused::HeadersTooLarge);
    }
    Ok(())
}

/// A name or an address, and perhaps a port; empty where the target has none.
fn is_host(value: &HeaderValue) -> bool {
    value.as_bytes().iter().all(|byte| IN_HOSTS[usize::from(*byte)])
}

/// Bytes that a name, an address or a port may have, by their numbers.
static IN_HOSTS: [bool; 256] = {
    let mut fine = [false; 256];
    let mut byte: u8 = b'!';
    while byte <= b'~' {
        fine[byte as usize] = !matches!(byte, b'/' | b'\\' | b'@' | b'?' | b'#' | b',' | b'<' | b'>' | b'"');
        byte += 1;
    }
    fine
};

const fn sentence(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::TwoLengths => "both content-length and transfer-encoding",
        Doubt::BareLineFeed => "a header line ends without a carriage return",
        Doubt::Unseen => "the request cannot be told from the one before it",
    }
}

fn is_plainly_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = codings.next().is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    first && codings.next().is_none()
}

impl Refused {
    const fn reason(self) -> &'static str {
        match self {
            Self::Smuggling(_) => "smuggling",
            Self::UriTooLong => "uri_too_long",
            Self::HeadersTooLarge => "headers_too_large",
        }
    }

    /// The answer, in the dialect that the path means. Counts the refusal.
    pub(super) fn answer<B>(
        self,
        request: &Request<B>,
        limits: &Limits,
        live: &Live,
    ) -> Response<Full<Bytes>> {
        live.metrics.counter(&catalogue::REJECTED, &[self.reason()]).increment(1);
        let (status, kind, message) = match self {
            Self::Smuggling(why) => {
                (StatusCode::BAD_REQUEST, Kind::BadRequest, format!("ambiguous request: {why}"))
            }
            Self::UriTooLong => (
                StatusCode::URI_TOO_LONG,
                Kind::BadRequest,
                format!("the request target is longer than {} bytes", limits.max_uri),
            ),
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                Kind::HeadersTooLarge,
                format!(
                    "more than {} headers or {} bytes of them",
                    limits.max_headers, limits.max_header_bytes
                ),
            ),
        };
        let request_id = live.name_request();
        let trouble = Trouble::new(kind, message);
        let body = trouble::render(
            &trouble,
            entry::dialect_of(request.method(), request.uri(), request.headers()),
            &request_id,
        );
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(id) = HeaderValue::try_from(&*request_id) {
            headers.insert(REQUEST_ID, id);
        }
        if request.version() < Version::HTTP_2 {
            // What follows on this connection cannot be trusted, or is not worth reading.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
