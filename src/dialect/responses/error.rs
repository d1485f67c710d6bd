//! Whole answers have the chat dialect's error; a stream ends with two events.

use bytes::Bytes;
use serde_json::json;

use super::begun::{self, Begun};
use crate::dialect::trouble::{Kind, Trouble};
use crate::dialect::{openai, write};

/// As on the real wire: `error`, then `response.failed`, with all that `begun` knows of the response. The
/// specification's flat form of `error` raises nothing in OpenAI's own SDK (WIRE §2.3).
pub fn in_band(trouble: &Trouble, next_sequence: u64, begun: Option<&Begun>) -> Bytes {
    let error = json!({
        "type": "error",
        "sequence_number": next_sequence,
        "error": openai::error::object(trouble),
    });
    let why = json!({"code": code(trouble), "message": trouble.message});
    let response = match begun {
        Some(begun) => begun.failed(&why),
        None => write::text(|out| write::object(out, |o| begun::end(o, &why))),
    };
    let failed = write::text(|out| {
        write::object(out, |o| {
            o.str("type", "response.failed").number("sequence_number", next_sequence.saturating_add(1));
            o.raw("response", &response);
        });
    });
    format!("event: error\ndata: {error}\n\nevent: response.failed\ndata: {failed}\n\n").into()
}

/// A response's own error has one of a few codes; the event before it has the exact one.
fn code(trouble: &Trouble) -> &'static str {
    match trouble.kind {
        Kind::RateLimited => "rate_limit_exceeded",
        Kind::BadRequest | Kind::ContextOverflow | Kind::ContentPolicy => "invalid_prompt",
        Kind::Unauthorized
        | Kind::UnknownKey
        | Kind::BadSignature
        | Kind::Forbidden
        | Kind::NotFound
        | Kind::MethodNotAllowed
        | Kind::RequestTimeout
        | Kind::TooLarge
        | Kind::HeadersTooLarge
        | Kind::UnsupportedMediaType
        | Kind::Unprocessable
        | Kind::QuotaExhausted
        | Kind::TooDear
        | Kind::Overloaded
        | Kind::BadGateway
        | Kind::Unavailable
        | Kind::Timeout
        | Kind::Internal => "server_error",
    }
}
