//! Who asks, towards the caller: what he is told when he is nobody we know, in his dialect.
//!
//! What proves whom is `access`' business; that a key's secret is never said back is this file's.

use std::net::IpAddr;

use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderName, Method, request};

use super::intake::Arrival;
use super::refuse::{DEFAULT_RETRY_AFTER, Refusal};
use super::{Gateway, Snapshot, cors, wrapped};
use crate::access::tokens::{Rejected, Unfit};
use crate::access::{Access, Demand, Denied, MOST_GUESSES, Received, Signing, Standing};
use crate::algo::sigv4::{Payload, Refused};
use crate::dialect::Dialect;
use crate::dialect::trouble::Kind;
use crate::vocab::host::is_own_address;

/// What a request's head says about its caller.
pub fn judge(gateway: &Gateway, access: &Access, arrival: &Arrival) -> Result<Standing, Denied> {
    // Callers of Bedrock's may sign instead of sending their key.
    let told = wrapped::told_in(arrival.wrapping, arrival.dialect);
    let signing = if told == Dialect::Bedrock { Signing::Aws } else { Signing::Foreign };
    let now = gateway.live.clock.unix_now();
    access.judge(&arrival.head.headers, arrival.head.uri.query(), signing, now)
}

/// The request with its body, for those who sign.
pub fn received<'a>(
    snapshot: &Snapshot,
    arrival: &'a Arrival,
    body: &'a [u8],
    now: std::time::Duration,
) -> Received<'a> {
    let secured = snapshot.table.server.tls.is_some();
    let payload = if secured { Payload::MayBeUnsigned } else { Payload::Signed };
    let uri = arrival.signed.as_ref().unwrap_or(&arrival.head.uri);
    Received { head: &arrival.head, uri, body, payload, now }
}

/// Refuses whoever is nobody we know where every model needs a key, whichever it turns out to be.
pub fn turn_away<T>(
    gateway: &Gateway,
    snapshot: &Snapshot,
    known: &Result<T, Denied>,
    arrival: &Arrival,
) -> Result<(), Box<Refusal>> {
    let access = &snapshot.access;
    match (access.models(), known) {
        (Demand::Always, Err(denied)) => access
            .decide(Err(denied.clone()), access.whole())
            .map(drop)
            .map_err(|denied| refusal(gateway, access, &denied, arrival)),
        // Its page is one that the operator has named.
        (Demand::ByRoute | Demand::Never, Err(_))
            if cors::is_welcome(&snapshot.table, &arrival.head.headers) =>
        {
            Ok(())
        }
        (Demand::ByRoute | Demand::Never, Err(_)) if is_rebound(&arrival.head, arrival.from) => {
            let message = "a web page had a browser on this machine send this to a name that is none of this machine's, as pages do \
                 that may not reach it; ask `localhost` or an address, as a proxy in front may do in `Host`, or send one of this gateway's keys"
                .to_owned();
            Err(arrival.refuse(Kind::Forbidden, message))
        }
        (Demand::ByRoute | Demand::Never, Err(_)) if is_drive_by(&arrival.head) => {
            let message = "a web page of another site had a browser send this, which asks nobody before it sends such a content type; \
                 send `content-type: application/json`, or one of this gateway's keys"
                .to_owned();
            Err(arrival.refuse(Kind::Forbidden, message))
        }
        (Demand::Always | Demand::ByRoute | Demand::Never, _) => Ok(()),
    }
}

/// Whether any page that somebody looks at can have had his browser send this, to a gateway that only he reaches: a
/// POST of a kind that is sent without a preflight (Fetch standard, CORS-safelisted), by a page that is not the
/// gateway's. Nobody but a browser says `Sec-Fetch-Site`; where it does not, as without TLS beyond loopback, its
/// `Origin` tells.
fn is_drive_by(head: &request::Parts) -> bool {
    const UNASKED: [&str; 4] = ["", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded"];
    let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text(CONTENT_TYPE).unwrap_or_default();
    let essence = kind.split_once(';').map_or(kind, |(essence, _)| essence).trim();
    if head.method != Method::POST || !UNASKED.iter().any(|unasked| essence.eq_ignore_ascii_case(unasked)) {
        return false;
    }
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return site == "cross-site";
    }
    let host = text(HOST).or_else(|| head.uri.authority().map(Authority::as_str));
    text(ORIGIN).is_some_and(|origin| match origin.split_once("://") {
        Some(("http" | "https", origin)) => host != Some(origin),
        // A program's own scheme; what has none is `null`.
        Some(_) => false,
        None => true,
    })
}

/// Whether a page can have had a browser on this machine send this by a name of its own that it led here (DNS
/// rebinding): to the browser it then asks nobody but itself.
fn is_rebound(head: &request::Parts, from: Option<IpAddr>) -> bool {
    let is_browsers = head.headers.contains_key("sec-fetch-site") || head.headers.contains_key(ORIGIN);
    if !is_browsers || !from.is_some_and(|from| from.is_loopback()) {
        return false;
    }
    let said = || head.headers.get(HOST)?.to_str().ok();
    let host = head.uri.authority().map(Authority::as_str).or_else(said);
    !host.is_some_and(is_own_address)
}

/// What a caller is told who may not go on. Whoever sends wrong keys again and again is told to wait; what is right
/// never comes here.
pub fn refusal(gateway: &Gateway, access: &Access, denied: &Denied, arrival: &Arrival) -> Box<Refusal> {
    if matches!(denied, Denied::Unknown) && access.awaits_keys() {
        let message = "this gateway's keys are not known yet, since its store has not answered; come again";
        let mut refusal = arrival.refuse(Kind::Unavailable, message);
        refusal.trouble.retry_after = Some(DEFAULT_RETRY_AFTER);
        return refusal;
    }
    let is_guess = match denied {
        Denied::Unknown | Denied::Over(_) | Denied::Disagreeing => true,
        Denied::Signature { why, .. } => *why == Refused::Mismatch,
        Denied::Token(rejected) => rejected.why == Unfit::Unproven,
        Denied::Missing => false,
    };
    let guessed = arrival.from.filter(|_| is_guess);
    if let Some(wait) = guessed.and_then(|from| gateway.guesses.wrong(from, gateway.live.now())) {
        let message = format!(
            "more than {MOST_GUESSES} wrong API keys came from your address within a minute; wait, and send the right one"
        );
        let mut refusal = arrival.refuse(Kind::RateLimited, message);
        refusal.trouble.retry_after = Some(wait);
        // To try again would be to guess again.
        refusal.hopeless = true;
        return refusal;
    }
    let dialect = wrapped::told_in(arrival.wrapping, arrival.dialect);
    let way = way(dialect);
    let (kind, message) = match denied {
        Denied::Missing => (
            Kind::Unauthorized,
            format!("no API key came with the request; send one of this gateway's keys {way}"),
        ),
        Denied::Unknown | Denied::Over(_) => (
            Kind::UnknownKey,
            format!(
                "{}the API key is not one of this gateway's, where a provider's own key does not count; \
                 send one of those in `keys:` of its configuration {way}",
                known_by(dialect)
            ),
        ),
        Denied::Disagreeing => (
            Kind::UnknownKey,
            format!("several API keys came with the request, and they are not the same; send one, {way}"),
        ),
        Denied::Signature { why, .. } => (Kind::BadSignature, format!("{why}; {}", mending(*why))),
        Denied::Token(rejected) => return of_token(rejected, arrival),
    };
    arrival.refuse(kind, message)
}

/// The words by which clients know a wrong key whose vendor has no other sign of it.
fn known_by(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi | Dialect::Responses => "Incorrect API key provided: ",
        Dialect::Anthropic
        | Dialect::Gemini
        | Dialect::Cohere
        | Dialect::Bedrock
        | Dialect::Ollama
        | Dialect::Http => "",
    }
}

/// Where callers of a dialect put their key.
fn way(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi | Dialect::Responses | Dialect::Cohere | Dialect::Ollama | Dialect::Http => {
            "as `Authorization: Bearer KEY`"
        }
        Dialect::Anthropic => "as `x-api-key: KEY`",
        Dialect::Gemini => "as `x-goog-api-key: KEY`",
        Dialect::Bedrock => {
            "as `Authorization: Bearer KEY`, or sign with its name as access key id and it as secret access key"
        }
    }
}

fn mending(why: Refused) -> &'static str {
    match why {
        Refused::Unsigned | Refused::Malformed | Refused::Uncovered => {
            "sign as AWS SDKs do, or send the key as `Authorization: Bearer KEY`"
        }
        Refused::Stale => "set the clock of whoever signs",
        Refused::OtherBody => "sign the body; it may stay unsigned only over the gateway's own TLS",
        Refused::Mismatch => {
            "sign with the secret of a key of this gateway and its name as access key id, and let nothing in between change the host, the path or what is signed"
        }
    }
}

/// What is told to somebody whose token is no way in. What is wrong with one that holds is said as it is: he who has
/// it can read it.
fn of_token(rejected: &Rejected, arrival: &Arrival) -> Box<Refusal> {
    let issuer = &*rejected.issuer;
    let name = &issuer.name;
    let (kind, message) = match rejected.why {
        Unfit::Unproven => (
            Kind::UnknownKey,
            format!(
                "the token's signature does not hold for any key of the issuer `{name}`; get another one there"
            ),
        ),
        Unfit::Expired => {
            (Kind::UnknownKey, format!("the token's time is over; get another one from the issuer `{name}`"))
        }
        Unfit::Early => {
            (Kind::UnknownKey, "the token does not hold yet; set the clock of its issuer".to_owned())
        }
        Unfit::Elsewhere => (
            Kind::UnknownKey,
            format!("the token is for another audience; ask the issuer `{name}` for one for this gateway"),
        ),
        Unfit::Nameless => (
            Kind::UnknownKey,
            format!(
                "the token has no `sub` of at most 255 bytes, or no `exp`; see what the issuer `{name}` puts into it"
            ),
        ),
        Unfit::Unplaced => {
            let claims: Vec<String> = issuer.claims.iter().map(|(_, claim)| format!("`{claim}`")).collect();
            let message = format!(
                "the token names nobody that this gateway knows (claims {}); ask whoever runs it for a place",
                claims.join(", ")
            );
            (Kind::Forbidden, message)
        }
        Unfit::Barred => {
            (Kind::Forbidden, "this gateway does not serve you; ask whoever runs it why".to_owned())
        }
        Unfit::Unknown => (
            Kind::Unavailable,
            format!(
                "the keys of the issuer `{name}` are not known yet, or not the one of this token; come again"
            ),
        ),
    };
    let mut refusal = arrival.refuse(kind, message);
    if rejected.why == Unfit::Unknown {
        refusal.trouble.retry_after = Some(DEFAULT_RETRY_AFTER);
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drive_by(fields: &[(&'static str, &'static str)]) -> bool {
        let request =
            fields.iter().fold(http::Request::post("/v1/chat/completions"), |request, (name, value)| {
                request.header(*name, *value)
            });
        is_drive_by(&request.body(()).expect("a request").into_parts().0)
    }

    #[test]
    fn a_browser_of_this_machine_asks_by_no_name_but_its_own() {
        let rebound = |from: &str, host: &'static str, mark: (&'static str, &'static str)| {
            let request =
                http::Request::post("/v1/chat/completions").header("host", host).header(mark.0, mark.1);
            let request = request.body(()).expect("a request").into_parts().0;
            is_rebound(&request, Some(from.parse().expect("an address")))
        };
        let same = ("sec-fetch-site", "same-origin");
        for host in ["evil.example:8080", "evil.example", "localhost.evil.example", "127.0.0.1.nip.io", ""] {
            assert!(rebound("127.0.0.1", host, same), "{host}");
            assert!(rebound("::1", host, ("origin", "http://evil.example:8080")), "{host}");
            assert!(!rebound("192.0.2.7", host, same), "{host}");
            assert!(!rebound("127.0.0.1", host, ("accept", "*/*")), "{host}");
        }
        for host in
            ["localhost:8080", "LOCALHOST.", "ui.localhost", "127.0.0.1:8080", "[::1]:8080", "192.0.2.7"]
        {
            assert!(!rebound("127.0.0.1", host, same), "{host}");
        }
    }

    #[test]
    fn only_what_a_page_of_another_site_has_sent_unasked_is_a_drive_by() {
        const HOST: (&str, &str) = ("host", "127.0.0.1:4000");
        for kind in ["text/plain", "Text/Plain; charset=utf-8", "multipart/form-data; boundary=x"] {
            let kind = ("content-type", kind);
            for from in
                [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
            {
                assert!(drive_by(&[HOST, kind, from]), "{kind:?} {from:?}");
                assert!(!drive_by(&[HOST, ("content-type", "application/json"), from]), "{from:?}");
            }
            // No browser, a program with a browser in it, the gateway's own host, and who typed it in.
            let fine: [&[(&str, &str)]; 5] = [
                &[],
                &[("origin", "app://obsidian.md")],
                &[("origin", "http://127.0.0.1:4000")],
                &[("sec-fetch-site", "same-origin"), ("origin", "https://behind.a.proxy")],
                &[("sec-fetch-site", "none")],
            ];
            for from in fine {
                assert!(!drive_by(&[&[HOST, kind], from].concat()), "{kind:?} {from:?}");
            }
        }
        assert!(drive_by(&[HOST, ("origin", "https://evil.example")]), "a body without a type");
    }
}
