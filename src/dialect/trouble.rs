//! Our own errors, said in the caller's dialect, so that his SDK raises what it would raise at home.
//!
//! Status codes and shapes are WIRE §2.2 and §3.5; mid-stream errors are §2.3. The words of a message
//! are the proxy's.

mod told;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, StatusCode};

pub use told::told;

use super::{Begun, Dialect, anthropic, bedrock, cohere, gemini, http as plain, openai, responses};

/// What we have to tell a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub kind: Kind,
    /// For people: what happened and, if anything, what to do.
    pub message: String,
    /// For code: a closed word of ours, or the upstream's own code.
    pub code: Option<String>,
    /// The request's field that is wrong.
    pub param: Option<String>,
    /// When it is worth coming again.
    pub retry_after: Option<Duration>,
}

/// The code of what goes on from a conversation that Anthropic keeps, and that cannot be had: with it the SDKs send all
/// of it anew. Source: the Messages API, beta `message-threads-2026-08-12`.
pub const THREAD_NOT_FOUND: &str = "thread_not_found";

impl Trouble {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None, param: None, retry_after: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    BadRequest,
    /// Nothing says who asks.
    Unauthorized,
    /// What says who asks is no key of ours.
    UnknownKey,
    /// A signature that does not hold.
    BadSignature,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    /// The caller was too slow to send its request.
    RequestTimeout,
    TooLarge,
    HeadersTooLarge,
    /// The body is in a form that is not read.
    UnsupportedMediaType,
    Unprocessable,
    RateLimited,
    QuotaExhausted,
    /// The request may cost more than is allowed.
    TooDear,
    Overloaded,
    BadGateway,
    Unavailable,
    Timeout,
    Internal,
    ContextOverflow,
    ContentPolicy,
}

impl Kind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 22] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::UnknownKey,
        Self::BadSignature,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::TooLarge,
        Self::HeadersTooLarge,
        Self::UnsupportedMediaType,
        Self::Unprocessable,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::TooDear,
        Self::Overloaded,
        Self::BadGateway,
        Self::Unavailable,
        Self::Timeout,
        Self::Internal,
        Self::ContextOverflow,
        Self::ContentPolicy,
    ];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::TooLarge => "too_large",
            Self::HeadersTooLarge => "headers_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Unprocessable => "unprocessable",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::TooDear => "too_dear",
            Self::Overloaded => "overloaded",
            Self::BadGateway => "bad_gateway",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
            Self::ContextOverflow => "context_overflow",
            Self::ContentPolicy => "content_policy",
        }
    }
}

/// Whether an upstream's error is in words that no SDK of its dialect knows: Vertex has Google's for Claude's callers.
pub fn is_strange(dialect: Dialect, body: &[u8]) -> bool {
    dialect == Dialect::Anthropic && anthropic::error::is_googles(body)
}

/// The status that goes with it.
pub fn status(kind: Kind, dialect: Dialect) -> StatusCode {
    match kind {
        Kind::BadRequest | Kind::ContextOverflow | Kind::ContentPolicy => StatusCode::BAD_REQUEST,
        // As AWS answers, and as Google does where a key is none of its own (WIRE §2.2).
        Kind::Unauthorized | Kind::UnknownKey | Kind::BadSignature if dialect == Dialect::Bedrock => {
            StatusCode::FORBIDDEN
        }
        Kind::UnknownKey if dialect == Dialect::Gemini => StatusCode::BAD_REQUEST,
        Kind::Unauthorized | Kind::UnknownKey | Kind::BadSignature => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Kind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::QuotaExhausted if dialect == Dialect::Anthropic => StatusCode::PAYMENT_REQUIRED,
        Kind::TooDear => StatusCode::PAYMENT_REQUIRED,
        Kind::RateLimited | Kind::QuotaExhausted => StatusCode::TOO_MANY_REQUESTS,
        Kind::Overloaded if dialect == Dialect::Anthropic => anthropic::error::overloaded(),
        Kind::Overloaded | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::BadGateway => StatusCode::BAD_GATEWAY,
        Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The body of an error answer; its content type is `application/json`.
pub fn render(trouble: &Trouble, dialect: Dialect, request_id: &str) -> Bytes {
    match dialect {
        Dialect::OpenAi | Dialect::Responses => openai::error::render(trouble),
        Dialect::Anthropic => anthropic::error::render(trouble, request_id),
        Dialect::Gemini => gemini::error::render(trouble),
        Dialect::Cohere => cohere::error::render(trouble, request_id),
        Dialect::Bedrock => bedrock::error::render(trouble),
        // No caller speaks Ollama's.
        Dialect::Ollama | Dialect::Http => plain::error::render(trouble, request_id),
    }
}

/// What goes into a stream that has begun and cannot go on. Behind it the transport has to end
/// abnormally: a clean end is taken for a complete answer by most SDKs (WIRE §0.4).
/// `next_sequence` is [`Watch::next_sequence`](super::watch::Watch::next_sequence).
/// `begun` is what the stream's first event said of a response.
pub fn in_band(trouble: &Trouble, dialect: Dialect, next_sequence: u64, begun: Option<&Begun>) -> Bytes {
    match dialect {
        Dialect::OpenAi => openai::error::in_band(trouble),
        Dialect::Responses => responses::error::in_band(trouble, next_sequence, begun),
        Dialect::Anthropic => anthropic::error::in_band(trouble),
        Dialect::Gemini => gemini::error::in_band(trouble),
        Dialect::Cohere => cohere::error::in_band(trouble),
        Dialect::Bedrock => bedrock::error::in_band(trouble),
        // Nothing can be said inside a stream that we do not understand.
        Dialect::Ollama | Dialect::Http => Bytes::new(),
    }
}

/// Words of somebody else for what is wrong, after those by which the dialect's callers know it: that a prompt is too long
/// most clients find out by a sentence and nothing else.
pub fn known_by(kind: Kind, dialect: Dialect, words: String) -> String {
    let sentence = match (kind, dialect) {
        (Kind::ContextOverflow, Dialect::OpenAi | Dialect::Responses) => {
            "This model's maximum context length is exceeded"
        }
        (Kind::ContextOverflow, Dialect::Anthropic) => "prompt is too long",
        (Kind::ContextOverflow, Dialect::Gemini) => {
            "The input token count exceeds the maximum number of tokens allowed"
        }
        (Kind::ContextOverflow, Dialect::Cohere) => "too many tokens",
        (Kind::ContextOverflow, Dialect::Bedrock) => "Input is too long for requested model",
        _ => return words,
    };
    let said = words.to_ascii_lowercase().contains(&sentence.to_ascii_lowercase());
    if said { words } else { format!("{sentence}: {words}") }
}

/// What an error's kind is called in a header, where the dialect has one: `x-amzn-errortype`.
pub fn kind_header(kind: Kind, dialect: Dialect) -> Option<(&'static str, &'static str)> {
    (dialect == Dialect::Bedrock).then(|| ("x-amzn-errortype", bedrock::error::error_type(kind)))
}

/// The header in which a vendor of the dialect names a request, where its SDKs look for one.
pub const fn request_id_header(dialect: Dialect) -> Option<HeaderName> {
    match dialect {
        Dialect::OpenAi | Dialect::Responses => Some(HeaderName::from_static("x-request-id")),
        Dialect::Anthropic => Some(HeaderName::from_static("request-id")),
        Dialect::Bedrock => Some(HeaderName::from_static("x-amzn-requestid")),
        Dialect::Gemini | Dialect::Cohere | Dialect::Ollama | Dialect::Http => None,
    }
}

/// What a silent stream may say meanwhile, between two events: it means nothing, and every SDK takes it
/// (WIRE §2.3). A comment is one line, without a blank one behind it: some take that for the end of an event whatever
/// stands before it (OpenAI's for Go before 3.43), and read JSON in nothing. Google's chokes on whatever is no data,
/// and Bedrock's has no such message.
pub const fn keep_alive(dialect: Dialect) -> Option<&'static [u8]> {
    match dialect {
        Dialect::OpenAi | Dialect::Responses | Dialect::Cohere => Some(b": keep-alive\n"),
        Dialect::Anthropic => Some(b"event: ping\ndata: {\"type\": \"ping\"}\n\n"),
        Dialect::Gemini | Dialect::Bedrock | Dialect::Ollama | Dialect::Http => None,
    }
}

/// Whether callers of this dialect leave out comments in a stream, as they have to (HTML standard, server-sent
/// events): Google's for JavaScript takes what comes after the last
/// answer for half of one, and the streams of the others are no such events.
pub const fn has_comments(dialect: Dialect) -> bool {
    match dialect {
        Dialect::OpenAi | Dialect::Responses | Dialect::Cohere | Dialect::Anthropic => true,
        Dialect::Gemini | Dialect::Bedrock | Dialect::Ollama | Dialect::Http => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn trouble(kind: Kind) -> Trouble {
        Trouble { code: Some("c".into()), ..Trouble::new(kind, "say \"why\"") }
    }

    fn rendered(kind: Kind, dialect: Dialect) -> Value {
        serde_json::from_slice(&render(&trouble(kind), dialect, "req_1")).expect("JSON")
    }

    #[test]
    fn every_kind_is_an_error_in_every_dialect() {
        for dialect in Dialect::ALL {
            for kind in Kind::ALL {
                let status = status(kind, dialect);
                assert!(status.is_client_error() || status.is_server_error());
                let body = rendered(kind, dialect);
                let message = body.get("message").unwrap_or(&body["error"]["message"]);
                assert_eq!(message, "say \"why\"", "{dialect} {kind:?}");
            }
        }
    }

    #[test]
    fn the_fields_that_sdks_branch_on_are_there() {
        assert_eq!(
            rendered(Kind::RateLimited, Dialect::OpenAi),
            json!({"error": {"message": "say \"why\"", "type": "rate_limit_error", "param": null, "code": "c"}})
        );
        assert_eq!(
            rendered(Kind::Overloaded, Dialect::Anthropic),
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "say \"why\""}, "request_id": "req_1"})
        );
        assert_eq!(status(Kind::Overloaded, Dialect::Anthropic).as_u16(), 529);
        assert_eq!(
            rendered(Kind::NotFound, Dialect::Gemini)["error"],
            json!({"code": 404, "message": "say \"why\"", "status": "NOT_FOUND"})
        );
    }

    #[test]
    fn a_prompt_that_is_too_long_is_told_in_the_words_that_clients_look_for() {
        let words = "input length of 9 exceeds the context window";
        let told = |dialect, words: &str| known_by(Kind::ContextOverflow, dialect, words.to_owned());
        assert_eq!(told(Dialect::Anthropic, words), format!("prompt is too long: {words}"));
        assert_eq!(told(Dialect::Anthropic, "Prompt is too long: 9 > 8"), "Prompt is too long: 9 > 8");
        assert_eq!(known_by(Kind::BadRequest, Dialect::Anthropic, words.to_owned()), words);
        assert_eq!(told(Dialect::Http, words), words);
        for dialect in
            [Dialect::OpenAi, Dialect::Responses, Dialect::Gemini, Dialect::Cohere, Dialect::Bedrock]
        {
            let said = told(dialect, words);
            assert!(said.ends_with(words) && said.len() > words.len(), "{dialect} {said}");
        }
    }

    #[test]
    fn googles_clients_read_in_the_body_when_to_come_again() {
        let error = Trouble { retry_after: Some(Duration::from_millis(1_500)), ..trouble(Kind::RateLimited) };
        let body: Value = serde_json::from_slice(&render(&error, Dialect::Gemini, "req_1")).expect("JSON");
        let detail = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"});
        assert_eq!(body["error"]["details"], json!([detail]));
    }

    /// As OpenAI's SDK for Go counted events before 3.43: by blank lines, with data or without.
    #[test]
    fn no_comment_is_an_event_to_those_who_count_blank_lines() {
        for dialect in Dialect::ALL {
            let Some(sign) = keep_alive(dialect) else { continue };
            let text =
                String::from_utf8([b"data: {}\n\n", sign, b"data: {}\n\n", sign].concat()).expect("text");
            let mut data = "";
            for line in text.lines() {
                if let Some(said) = line.strip_prefix("data: ") {
                    data = said;
                } else if line.is_empty() {
                    assert!(!std::mem::take(&mut data).is_empty(), "{dialect}: {text:?}");
                }
            }
            assert!(text.ends_with('\n') && data.is_empty(), "{dialect}");
        }
    }

    #[test]
    fn mid_stream_errors_are_what_the_sdks_raise_on() {
        let said = |dialect| {
            let bytes = in_band(&trouble(Kind::BadGateway), dialect, 7, None);
            String::from_utf8(bytes.to_vec()).expect("text")
        };
        assert!(said(Dialect::OpenAi).starts_with("data: {\"error\":{"));
        assert!(said(Dialect::Anthropic).starts_with("event: error\ndata: {"));
        assert!(said(Dialect::Gemini).starts_with("{\"error\":{"));
        assert!(said(Dialect::Http).is_empty());
        let responses = said(Dialect::Responses);
        let events: Vec<_> = responses.split_terminator("\n\n").collect();
        let [error, failed] = events[..] else { panic!("{responses}") };
        let data = |event: &str| -> Value {
            serde_json::from_str(event.split_once("data: ").expect("data").1).expect("JSON")
        };
        assert!(error.starts_with("event: error\n") && failed.starts_with("event: response.failed\n"));
        assert_eq!(
            (&data(error)["sequence_number"], &data(failed)["sequence_number"]),
            (&json!(7), &json!(8))
        );
        assert_eq!(data(error)["error"]["message"], data(failed)["response"]["error"]["message"]);
    }
}
