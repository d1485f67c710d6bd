//! The heads of HTTP/1.1 messages (RFC 9112 §2 to §6, §9.3): a request's written, a response's read.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, request};

use super::framing::{Chunks, Framing};

/// Most bytes of a response's head: twice what large cookie-laden answers need, far below a memory risk.
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// Most fields of one.
const MAX_FIELDS: usize = 256;

/// How the peer broke the protocol, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// How a request's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimited {
    /// There is none, and the method does not lead to expect one.
    Absent,
    Length(u64),
    Chunked,
}

/// A request's head on the wire, `Host` first and the other fields in their order.
pub(super) fn write(parts: &request::Parts, delimited: Delimited) -> Vec<u8> {
    let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let fields: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let mut head = Vec::with_capacity(parts.method.as_str().len() + path.len() + fields + 64);
    for part in [parts.method.as_str(), " ", path, " HTTP/1.1\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    for host in parts.headers.get_all(HOST) {
        write_field(&mut head, &HOST, host);
    }
    for (name, value) in &parts.headers {
        // The body's framing is ours to tell; `TE` is for HTTP/2, where no `Connection` has to name it.
        if ![HOST, CONTENT_LENGTH, TRANSFER_ENCODING, TE].contains(name) {
            write_field(&mut head, name, value);
        }
    }
    match delimited {
        Delimited::Absent => {}
        Delimited::Length(length) => write_field(&mut head, &CONTENT_LENGTH, &length.into()),
        Delimited::Chunked => {
            write_field(&mut head, &TRANSFER_ENCODING, &HeaderValue::from_static("chunked"));
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn write_field(head: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    head.extend_from_slice(name.as_str().as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value.as_bytes());
    head.extend_from_slice(b"\r\n");
}

/// What of a request bears on how its response is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// By `HEAD`, whose answer has no body.
    head_only: bool,
    upgrade: bool,
    close: bool,
}

impl Asked {
    pub(super) fn by(parts: &request::Parts) -> Self {
        Self {
            head_only: parts.method == Method::HEAD,
            upgrade: parts.headers.contains_key(UPGRADE),
            close: lists(&parts.headers, "close"),
        }
    }
}

/// A response's head, and what follows from it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) fields: HeaderMap,
    pub(super) framing: Framing,
    /// The connection may be used again when the body has ended.
    pub(super) persistent: bool,
}

/// What the bytes at hand begin with.
#[derive(Debug)]
pub(super) enum Parsed {
    /// Not a whole head yet.
    Partial,
    /// A head of the kind that announces another (RFC 9110 §15.2).
    Interim,
    Whole(Head),
}

/// Takes one head off `input`, if it is all there.
pub(super) fn parse(input: &mut Bytes, asked: Asked) -> Result<Parsed, Malformed> {
    let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, input, &mut room)
        .map_err(|error| Malformed(explain(error)))?;
    let length = match parsed {
        httparse::Status::Complete(length) if length <= MAX_HEAD => length,
        httparse::Status::Partial if input.len() <= MAX_HEAD => return Ok(Parsed::Partial),
        _ => return Err(Malformed("the head is too long")),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Malformed("not a status"))?;
    let version = if response.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let switching = status == StatusCode::SWITCHING_PROTOCOLS;
    if switching && !asked.upgrade {
        return Err(Malformed("it switches protocols without having been asked to"));
    }
    if status.is_informational() && !switching {
        input.advance(length);
        return Ok(Parsed::Interim);
    }
    let mut fields = collect(input, response.headers)?;
    let (framing, sound) = framing(asked, status, version, &fields)?;
    if matches!(framing, Framing::Chunked(_)) {
        // The coding overrides it, and nobody may hear of it: it is not the body's length (RFC 9112 §6.3).
        fields.remove(CONTENT_LENGTH);
    }
    let kept = if version == Version::HTTP_10 {
        lists(&fields, "keep-alive") && !lists(&fields, "close")
    } else {
        !lists(&fields, "close")
    };
    let persistent = kept && sound && !asked.close && !switching && framing != Framing::UntilClose;
    input.advance(length);
    if input.is_empty() {
        *input = Bytes::new();
    }
    Ok(Parsed::Whole(Head { status, version, fields, framing, persistent }))
}

/// Fields up to an empty line, such as trailers.
pub(super) fn fields<const MAX: usize>(text: &Bytes) -> Result<HeaderMap, Malformed> {
    let mut room = [httparse::EMPTY_HEADER; MAX];
    match httparse::parse_headers(text, &mut room) {
        Ok(httparse::Status::Complete((_, fields))) => collect(text, fields),
        Ok(httparse::Status::Partial) => Err(Malformed("fields without an end")),
        Err(error) => Err(Malformed(explain(error))),
    }
}

/// Fields that the gateway is going to add for its caller, so that the map need not grow: id, channel, attempts, what
/// is left of his limits, a trace.
const OF_THE_GATEWAY: usize = 12;

/// The values stay where they are: slices of `text`.
fn collect(text: &Bytes, fields: &[httparse::Header<'_>]) -> Result<HeaderMap, Malformed> {
    let mut map = HeaderMap::with_capacity(fields.len() + OF_THE_GATEWAY);
    for field in fields {
        let name =
            HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed("not a field name"))?;
        let value = HeaderValue::from_maybe_shared(text.slice_ref(field.value))
            .map_err(|_| Malformed("not a field value"))?;
        map.append(name, value);
    }
    Ok(map)
}

/// RFC 9112 §6.3, and whether the connection can be trusted after it.
fn framing(
    asked: Asked,
    status: StatusCode,
    version: Version,
    fields: &HeaderMap,
) -> Result<(Framing, bool), Malformed> {
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if asked.head_only || bodiless || status.is_informational() {
        return Ok((Framing::Ended, true));
    }
    let mut codings = fields.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if version == Version::HTTP_10 {
            return Err(Malformed("a transfer coding in HTTP/1.0"));
        }
        if codings.next().is_some() || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(Malformed("a transfer coding other than chunked"));
        }
        // Both together is how responses are smuggled (§6.1).
        return Ok((Framing::Chunked(Chunks::START), !fields.contains_key(CONTENT_LENGTH)));
    }
    Ok(match content_length(fields)? {
        None => (Framing::UntilClose, true),
        Some(0) => (Framing::Ended, true),
        Some(length) => (Framing::Length(length), true),
    })
}

/// All of the lengths given, which must be one.
pub(super) fn content_length(fields: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut length = None;
    for value in fields.get_all(CONTENT_LENGTH) {
        for text in value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
            let stated = std::str::from_utf8(text).ok().filter(|_| digits).and_then(|text| text.parse().ok());
            let stated = stated.ok_or(Malformed("not a content length"))?;
            if length.is_some_and(|length: u64| length != stated) {
                return Err(Malformed("two content lengths"));
            }
            length = Some(stated);
        }
    }
    Ok(length)
}

/// Whether `Connection` lists an option.
fn lists(fields: &HeaderMap, option: &str) -> bool {
    fields.get_all(CONNECTION).iter().any(|value| {
        let mut options = value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        options.any(|listed| listed.eq_ignore_ascii_case(option.as_bytes()))
    })
}

fn explain(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "not a field name",
        httparse::Error::HeaderValue => "not a field value",
        httparse::Error::NewLine => "a broken line end",
        httparse::Error::Status => "not a status",
        httparse::Error::Token => "not a token",
        httparse::Error::TooManyHeaders => "too many fields",
        httparse::Error::Version => "not an answer in HTTP/1",
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Asked = Asked { head_only: false, upgrade: false, close: false };

    fn whole(text: &str, asked: Asked) -> Head {
        match parse(&mut Bytes::copy_from_slice(text.as_bytes()), asked) {
            Ok(Parsed::Whole(head)) => head,
            other => panic!("{text:?} is {other:?}"),
        }
    }

    /// A head with these lines after its first.
    fn answer(first: &str, lines: &[&str]) -> String {
        [&[first], lines, &["", ""]].concat().join("\r\n")
    }

    fn framed(first: &str, lines: &[&str], asked: Asked) -> (Framing, bool) {
        let head = whole(&answer(first, lines), asked);
        (head.framing, head.persistent)
    }

    fn chunks() -> Framing {
        Framing::Chunked(Chunks::START)
    }

    #[test]
    fn a_request_has_its_host_first_and_its_fields_in_order_with_the_framing_that_is_true() {
        let (parts, ()) = Request::post("/v1/chat?x=1")
            .header("b", "2")
            .header("content-length", "99")
            .header("a", "1")
            .header("transfer-encoding", "gzip")
            .header("host", "peer.test")
            .header("b", "3")
            .body(())
            .unwrap()
            .into_parts();
        let text = |delimited| String::from_utf8(write(&parts, delimited)).unwrap();
        let fields = "POST /v1/chat?x=1 HTTP/1.1\r\nhost: peer.test\r\nb: 2\r\nb: 3\r\na: 1\r\n";
        assert_eq!(text(Delimited::Absent), format!("{fields}\r\n"));
        assert_eq!(text(Delimited::Length(7)), format!("{fields}content-length: 7\r\n\r\n"));
        assert_eq!(text(Delimited::Chunked), format!("{fields}transfer-encoding: chunked\r\n\r\n"));
    }

    #[test]
    fn the_framing_is_what_the_head_says() {
        let ok = "HTTP/1.1 200 OK";
        for (lines, expected) in [
            (&[][..], (Framing::UntilClose, false)),
            (&["content-length: 0"], (Framing::Ended, true)),
            (&["content-length: 5"], (Framing::Length(5), true)),
            (&["content-length: 5, 5", "Content-Length:5"], (Framing::Length(5), true)),
            (&["content-length: 5", "connection: Close"], (Framing::Length(5), false)),
            (&["content-length: 5", "connection: x, close"], (Framing::Length(5), false)),
            (&["Transfer-Encoding: Chunked"], (chunks(), true)),
            (&["transfer-encoding: chunked", "content-length: 5"], (chunks(), false)),
        ] {
            assert_eq!(framed(ok, lines, PLAIN), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_length_beside_chunks_goes_to_nobody() {
        let both = answer("HTTP/1.1 200 OK", &["content-length: 5", "transfer-encoding: chunked"]);
        let head = whole(&both, PLAIN);
        assert!(!head.fields.contains_key(CONTENT_LENGTH) && !head.persistent);
    }

    #[test]
    fn some_answers_have_no_body_whatever_they_say() {
        let head = Asked { head_only: true, ..PLAIN };
        let lines = ["content-length: 5"];
        assert_eq!(framed("HTTP/1.1 200 OK", &lines, head), (Framing::Ended, true));
        assert_eq!(framed("HTTP/1.1 204 None", &lines, PLAIN), (Framing::Ended, true));
        assert_eq!(
            framed("HTTP/1.1 304 Same", &["transfer-encoding: chunked"], PLAIN),
            (Framing::Ended, true)
        );
    }

    #[test]
    fn a_connection_is_kept_only_where_both_sides_keep_it() {
        let (old, length) = ("HTTP/1.0 200 OK", "content-length: 5");
        assert_eq!(framed(old, &[length], PLAIN), (Framing::Length(5), false));
        assert_eq!(framed(old, &[length, "connection: Keep-Alive"], PLAIN), (Framing::Length(5), true));
        assert_eq!(whole(&answer(old, &[]), PLAIN).version, Version::HTTP_10);
        let close = Asked { close: true, ..PLAIN };
        assert_eq!(framed("HTTP/1.1 200 OK", &[length], close), (Framing::Length(5), false));
    }

    #[test]
    fn a_head_that_breaks_the_rules_is_malformed() {
        for (first, lines) in [
            ("HTTP/1.1 200 OK", &["content-length: 5", "content-length: 6"][..]),
            ("HTTP/1.1 200 OK", &["content-length: 5, 6"]),
            ("HTTP/1.1 200 OK", &["content-length: +5"]),
            ("HTTP/1.1 200 OK", &["content-length: "]),
            ("HTTP/1.1 200 OK", &["content-length: 18446744073709551616"]),
            ("HTTP/1.1 200 OK", &["transfer-encoding: gzip"]),
            ("HTTP/1.1 200 OK", &["transfer-encoding: gzip, chunked"]),
            ("HTTP/1.1 200 OK", &["transfer-encoding: chunked", "transfer-encoding: chunked"]),
            ("HTTP/1.0 200 OK", &["transfer-encoding: chunked"]),
            ("HTTP/1.1 200 OK", &["no colon"]),
            ("HTTP/1.1 200 OK", &["space : before colon"]),
            ("HTTP/1.1 200 OK", &["folded: 1", " 2"]),
            ("HTTP/1.1 099 Odd", &[]),
            ("HTTP/1.1 101 Switching", &[]),
            ("HTTP/2.0 200 OK", &[]),
            ("220 smtp.test ESMTP", &[]),
        ] {
            let text = answer(first, lines);
            let parsed = parse(&mut Bytes::from(text.clone()), PLAIN);
            assert!(parsed.is_err(), "{text:?} is {parsed:?}");
        }
    }

    #[test]
    fn a_head_may_be_large_but_not_too_large() {
        let fields = |n: usize, size: usize| {
            let line = format!("x: {}", "y".repeat(size));
            answer("HTTP/1.1 200 OK", &vec![&*line; n])
        };
        assert_eq!(whole(&fields(MAX_FIELDS, 200), PLAIN).fields.len(), MAX_FIELDS);
        let refused = |text: String| parse(&mut Bytes::from(text), PLAIN).is_err();
        assert!(refused(fields(MAX_FIELDS + 1, 1)));
        assert!(refused(fields(200, MAX_HEAD / 200)));
        assert!(refused(format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_HEAD))));
    }

    #[test]
    fn what_follows_a_head_stays_where_it_is() {
        let mut input =
            Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nx: y\r\n\r\nbody");
        assert!(matches!(parse(&mut input, PLAIN), Ok(Parsed::Interim)));
        let Ok(Parsed::Whole(head)) = parse(&mut input, PLAIN) else { panic!("no head") };
        assert_eq!((head.fields["x"].as_bytes(), &*input), (&b"y"[..], &b"body"[..]));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd_to_be_judged(bytes in prop::collection::vec(any::<u8>(), 0..300), sensible: bool) {
            let mut text = if sensible { b"HTTP/1.1 200 OK\r\n".to_vec() } else { Vec::new() };
            text.extend_from_slice(&bytes);
            text.extend_from_slice(b"\r\n\r\n");
            let before = text.len();
            let mut input = Bytes::from(text);
            if let Ok(Parsed::Whole(_) | Parsed::Interim) = parse(&mut input, PLAIN) {
                prop_assert!(input.len() < before);
            }
        }
    }
}
