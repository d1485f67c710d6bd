//! Which of a message's header fields go on to the other side.
//!
//! Sources: RFC 9110 §7.6.1 (`Connection` and what it names stay on their hop), §11.7 (`Proxy-*`
//! credentials); RESILIENCE B39 for what goes wrong without the protected set.

use std::net::IpAddr;

use http::header::{
    ALT_SVC, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, PUBLIC_KEY_PINS, PUBLIC_KEY_PINS_REPORT_ONLY, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

/// Fields of one hop. `Upgrade` and `Connection: upgrade` are put back for a protocol switch.
static HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Fields that `Connection` cannot name away: without them the message would mean something else, or a
/// caller could strip what the gateway or the upstream relies on.
static PROTECTED: [HeaderName; 11] = [
    HOST,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    AUTHORIZATION,
    HeaderName::from_static("content-encoding"),
    COOKIE,
    HeaderName::from_static("x-api-key"),
    FORWARDED_FOR,
    FORWARDED_HOST,
    FORWARDED_PROTO,
    HeaderName::from_static("x-request-id"),
];

/// What a caller authenticates to the gateway with. The last three belong to a signature of AWS's.
static CALLER_CREDENTIALS: [HeaderName; 7] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-content-sha256"),
];

/// What of a caller's fields a provider gets; everything else says who or where the caller is, whose account pays
/// (`openai-organization`, `x-goog-user-project`), or something between him and what stands before the gateway. What an
/// upstream wants besides stands in its `headers`. Sources: the providers' API references and SDKs, as of 2026-11.
const FOR_PROVIDERS: [&str; 23] = [
    "accept",
    "accept-language",
    "content-encoding",
    "content-language",
    "content-type",
    "http-referer",
    "idempotency-key",
    "openai-beta",
    "prefer",
    "range",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-client-name",
    "x-client-request-id",
    "x-codex-beta-features",
    "x-goog-api-client",
    "x-grok-conv-id",
    "x-ms-client-request-id",
    "x-openai-internal-codex-responses-lite",
    "x-request-id",
    "x-session-affinity",
    "x-title",
];

/// How further ones begin: versions and betas of Anthropic's, guardrails and traces of Bedrock's, what SDKs say of
/// themselves.
const BEGINNINGS_FOR_PROVIDERS: [&str; 3] = ["anthropic-", "x-amzn-bedrock-", "x-stainless-"];

/// Fields that the gateway is going to add, so that the map need not grow: host, length, id, attempt, key.
const OF_THE_GATEWAY: usize = 6;

/// Prefix of the fields that are between callers and this gateway.
const OURS: &str = "x-mainstay-";

/// Whom a request's fields are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    /// A provider, with the gateway's own credential: the caller's must not reach it.
    Provider,
    /// A plain service behind the gateway, which authenticates its callers itself.
    Service,
}

/// Whether a message asks for (or agrees to) another protocol on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switching {
    No,
    Yes,
}

/// What an upstream should see of a caller's request. `Host` goes, so that the pool names its own;
/// `Content-Length` goes, since the body that is sent has its own. A provider gets what is meant for it and nothing
/// else: not `Accept-Encoding` either, since its answers are read on the way.
pub fn for_upstream(callers: &HeaderMap, towards: Towards, switching: Switching) -> HeaderMap {
    let nominated = if callers.contains_key(CONNECTION) { nominated(callers) } else { Vec::new() };
    let passes = |name: &HeaderName| match towards {
        // None of these is a hop's, or ours.
        Towards::Provider => is_for_providers(name),
        Towards::Service => {
            !(name == HOST
                || name == CONTENT_LENGTH
                || HOP_BY_HOP.contains(name)
                || name.as_str().starts_with(OURS))
        }
    };
    let mut passing = HeaderMap::with_capacity(callers.len() + OF_THE_GATEWAY);
    for (name, value) in callers.iter().filter(|(name, _)| passes(name) && !nominated.contains(name)) {
        passing.append(name, value.clone());
    }
    if towards == Towards::Service {
        join_cookies(&mut passing);
        // Trailers are passed on, and gRPC's services insist on being told so. HTTP/1.1 leaves it out again.
        if takes_trailers(callers) {
            passing.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
    if let (Switching::Yes, Some(upgrade)) = (switching, callers.get(UPGRADE)) {
        passing.insert(UPGRADE, upgrade.clone());
        passing.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    passing
}

fn takes_trailers(callers: &HeaderMap) -> bool {
    let said = callers.get_all(TE).iter().filter_map(|said| said.to_str().ok());
    said.flat_map(|said| said.split(',')).any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

/// Cookies come in several fields over HTTP/2, and everywhere else have to be one (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(COOKIE, whole);
    }
}

/// Tells a service where a request came from, as reverse proxies do: the address behind those that are said already, of
/// which only the last is known to be true; and, where nobody in front has said them, the host and the scheme that it
/// was sent to.
pub fn say_origin(
    headers: &mut HeaderMap,
    from: Option<IpAddr>,
    host: Option<HeaderValue>,
    scheme: &'static str,
) {
    if let Some(from) = from {
        let said = headers.get_all(FORWARDED_FOR).iter().filter_map(|said| said.to_str().ok());
        let chain: Vec<String> = said.map(str::to_owned).chain([from.to_string()]).collect();
        if let Ok(chain) = HeaderValue::from_str(&chain.join(", ")) {
            headers.insert(FORWARDED_FOR, chain);
        }
    }
    if let Some(host) = host {
        headers.entry(FORWARDED_HOST).or_insert(host);
    }
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static(scheme));
}

/// A caller's credentials are not among them.
fn is_for_providers(name: &HeaderName) -> bool {
    let name = name.as_str();
    FOR_PROVIDERS.binary_search(&name).is_ok()
        || BEGINNINGS_FOR_PROVIDERS.iter().any(|begin| name.starts_with(begin))
}

/// Leaves of an upstream's response what the caller should see.
pub fn for_caller(headers: &mut HeaderMap, switching: Switching) {
    strip_hop_by_hop(headers, switching);
    strip_ours(headers);
    // Ports of another host.
    headers.remove(ALT_SVC);
}

/// What of a provider's answer is between it and the gateway: whose account pays, and cookies, which callers' requests
/// would bring to nobody.
static OF_ACCOUNT: [HeaderName; 4] = [
    SET_COOKIE,
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("anthropic-organization-id"),
];

/// What a provider's host says of itself, which a browser would take for the gateway's word about its own.
static OF_HOST: [HeaderName; 8] = [
    STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("nel"),
    HeaderName::from_static("report-to"),
    HeaderName::from_static("reporting-endpoints"),
    HeaderName::from_static("expect-ct"),
    PUBLIC_KEY_PINS,
    PUBLIC_KEY_PINS_REPORT_ONLY,
    HeaderName::from_static("clear-site-data"),
];

/// Who may read the answers of a host.
const TO_WHOM: &str = "access-control-";

/// Takes all that out of an answer.
pub fn strip_providers(headers: &mut HeaderMap) {
    strip(headers, &OF_ACCOUNT);
    strip(headers, &OF_HOST);
    strip_beginning(headers, TO_WHOM);
}

fn strip(headers: &mut HeaderMap, names: &[HeaderName]) {
    // A message has fewer names than the table, and comparing known names is cheaper than hashing them.
    let present: SmallVec<[HeaderName; 4]> =
        headers.keys().filter(|name| names.contains(name)).cloned().collect();
    for name in present {
        headers.remove(name);
    }
}

fn strip_hop_by_hop(headers: &mut HeaderMap, switching: Switching) {
    let upgrade = match switching {
        Switching::Yes => headers.get(UPGRADE).cloned(),
        Switching::No => None,
    };
    if headers.contains_key(CONNECTION) {
        for name in nominated(headers) {
            headers.remove(name);
        }
    }
    strip(headers, &HOP_BY_HOP);
    if let Some(upgrade) = upgrade {
        headers.insert(UPGRADE, upgrade);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// What `Connection` names, less what it may not.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .filter(|name| !PROTECTED.contains(name) && !CALLER_CREDENTIALS.contains(name))
        .collect()
}

fn strip_ours(headers: &mut HeaderMap) {
    strip_beginning(headers, OURS);
}

fn strip_beginning(headers: &mut HeaderMap, begin: &str) {
    // The common message has none, and looking costs no allocation.
    if headers.keys().any(|name| name.as_str().starts_with(begin)) {
        let names: Vec<HeaderName> =
            headers.keys().filter(|name| name.as_str().starts_with(begin)).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn fields_of_the_hop_and_what_connection_names_stay_behind() {
        let message = headers(&[
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Basic eA=="),
            ("proxy-connection", "keep-alive"),
            ("upgrade", "websocket"),
            ("trailer", "x"),
            ("accept", "*/*"),
        ]);
        let message = for_upstream(&message, Towards::Service, Switching::No);
        assert_eq!(names(&message), ["accept", "te"]);
        let asked = headers(&[("te", "gzip"), ("accept", "*/*")]);
        assert_eq!(names(&for_upstream(&asked, Towards::Service, Switching::No)), ["accept"]);
        let asked = headers(&[("te", "gzip, trailers"), ("accept", "*/*")]);
        assert_eq!(for_upstream(&asked, Towards::Service, Switching::No)[TE], "trailers", "and nothing else");
        assert_eq!(names(&for_upstream(&asked, Towards::Provider, Switching::No)), ["accept"]);
    }

    #[test]
    fn protected_fields_cannot_be_named_away() {
        let message = headers(&[
            ("connection", "content-type, authorization, cookie, x-forwarded-for, api-key, close"),
            ("content-type", "application/json"),
            ("authorization", "Bearer caller"),
            ("cookie", "a=b"),
            ("api-key", "k"),
            ("x-forwarded-for", "10.0.0.1"),
        ]);
        let message = for_upstream(&message, Towards::Service, Switching::No);
        assert_eq!(
            names(&message),
            ["api-key", "authorization", "content-type", "cookie", "x-forwarded-for"]
        );
    }

    #[test]
    fn the_callers_credentials_never_reach_a_provider() {
        let message = headers(&[
            ("authorization", "Bearer caller"),
            ("x-api-key", "caller"),
            ("api-key", "caller"),
            ("x-goog-api-key", "caller"),
            ("cookie", "session=1"),
            ("x-mainstay-route", "a"),
            ("host", "gateway"),
            ("content-length", "3"),
            ("anthropic-version", "2023-06-01"),
        ]);
        let message = for_upstream(&message, Towards::Provider, Switching::No);
        assert_eq!(names(&message), ["anthropic-version"]);
    }

    #[test]
    fn a_provider_gets_what_is_meant_for_it_and_nothing_else() {
        assert!(FOR_PROVIDERS.is_sorted(), "it is searched");
        let meant = [
            ("anthropic-beta", "a"),
            ("content-type", "application/json"),
            ("openai-beta", "assistants=v2"),
            ("traceparent", "00-1-2-01"),
            ("user-agent", "sdk"),
            ("x-amzn-bedrock-trace", "ENABLED"),
            ("x-codex-beta-features", "remote_compaction_v2"),
            ("x-openai-internal-codex-responses-lite", "true"),
            ("x-stainless-lang", "python"),
        ];
        let private = [
            ("accept-encoding", "gzip"),
            ("forwarded", "for=10.0.0.1"),
            ("origin", "https://shop.example"),
            ("openai-organization", "org-of-the-caller"),
            ("x-amz-security-token", "t"),
            ("x-codex-turn-metadata", "{}"),
            ("x-customer-email", "ada@example.com"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-goog-user-project", "p"),
            ("x-real-ip", "10.0.0.1"),
        ];
        let message = headers(&[&meant[..], &private[..]].concat());
        let expected = meant.map(|(name, _)| name);
        assert_eq!(names(&for_upstream(&message, Towards::Provider, Switching::No)), expected);
        // A service behind the gateway is the operator's own.
        let whole = for_upstream(&message, Towards::Service, Switching::No);
        assert_eq!(whole.len(), meant.len() + private.len());
    }

    #[test]
    fn cookies_are_one_field() {
        let message = headers(&[("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2; c=3")]);
        let message = for_upstream(&message, Towards::Service, Switching::No);
        let cookies: Vec<_> = message.get_all("cookie").iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c=3"]);
    }

    #[test]
    fn a_service_is_told_where_a_request_came_from() {
        let from = Some([192, 0, 2, 7].into());
        let host = |name| Some(HeaderValue::from_static(name));
        let mut message = HeaderMap::new();
        say_origin(&mut message, from, host("shop.example:8080"), "http");
        assert_eq!(message[FORWARDED_FOR], "192.0.2.7");
        assert_eq!(message[FORWARDED_HOST], "shop.example:8080");
        assert_eq!(message[FORWARDED_PROTO], "http");
        // Behind a proxy in front of us, whose words stay.
        let mut message = headers(&[
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-for", "198.51.100.2"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-proto", "https"),
        ]);
        say_origin(&mut message, from, host("inner"), "http");
        let chain: Vec<_> = message.get_all(FORWARDED_FOR).iter().collect();
        assert_eq!(chain, ["198.51.100.1, 198.51.100.2, 192.0.2.7"], "one field, and the last is ours");
        assert_eq!(message[FORWARDED_HOST], "shop.example");
        assert_eq!(message[FORWARDED_PROTO], "https");
        // Nobody knows the address of a connection in memory.
        let mut message = HeaderMap::new();
        say_origin(&mut message, None, None, "https");
        assert_eq!(names(&message), ["x-forwarded-proto"]);
    }

    #[test]
    fn a_protocol_switch_keeps_its_two_fields_and_only_those() {
        let message = headers(&[
            ("connection", "keep-alive, Upgrade, x-private"),
            ("upgrade", "websocket"),
            ("x-private", "1"),
            ("sec-websocket-key", "k"),
        ]);
        let message = for_upstream(&message, Towards::Service, Switching::Yes);
        assert_eq!(names(&message), ["connection", "sec-websocket-key", "upgrade"]);
        assert_eq!(message[CONNECTION], "upgrade");
    }

    #[test]
    fn an_upstream_cannot_pretend_to_be_the_gateway() {
        let mut message =
            headers(&[("x-mainstay-channel", "a"), ("x-request-id", "r"), ("connection", "close")]);
        for_caller(&mut message, Switching::No);
        assert_eq!(names(&message), ["x-request-id"]);
    }
}
