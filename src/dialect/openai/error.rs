//! `{"error":{message,type,param,code}}`: whole, or as a `data:` event in a stream.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialect::trouble::{Kind, Trouble};

pub fn render(trouble: &Trouble) -> Bytes {
    json!({ "error": object(trouble) }).to_string().into()
}

pub fn in_band(trouble: &Trouble) -> Bytes {
    format!("data: {}\n\n", json!({ "error": object(trouble) })).into()
}

/// The error object, which the responses dialect shares.
pub fn object(trouble: &Trouble) -> Value {
    json!({
        "message": trouble.message,
        "type": kind(trouble.kind),
        "param": trouble.param,
        "code": code(trouble),
    })
}

/// Where we have no code of our own, the one that OpenAI's callers branch on.
pub fn code(trouble: &Trouble) -> Option<&str> {
    trouble.code.as_deref().or(match trouble.kind {
        Kind::RateLimited => Some("rate_limit_exceeded"),
        Kind::QuotaExhausted => Some("insufficient_quota"),
        Kind::TooDear => Some("max_cost_exceeded"),
        Kind::Overloaded => Some("server_is_overloaded"),
        Kind::ContextOverflow => Some("context_length_exceeded"),
        Kind::ContentPolicy => Some("content_filter"),
        Kind::Unauthorized | Kind::UnknownKey | Kind::BadSignature => Some("invalid_api_key"),
        Kind::BadRequest
        | Kind::Forbidden
        | Kind::NotFound
        | Kind::MethodNotAllowed
        | Kind::RequestTimeout
        | Kind::TooLarge
        | Kind::HeadersTooLarge
        | Kind::UnsupportedMediaType
        | Kind::Unprocessable
        | Kind::BadGateway
        | Kind::Unavailable
        | Kind::Timeout
        | Kind::Internal => None,
    })
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::RateLimited => "rate_limit_error",
        Kind::QuotaExhausted => "insufficient_quota",
        Kind::Overloaded | Kind::BadGateway | Kind::Unavailable | Kind::Timeout | Kind::Internal => {
            "server_error"
        }
        Kind::BadRequest
        | Kind::Unauthorized
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
        | Kind::TooDear
        | Kind::ContextOverflow
        | Kind::ContentPolicy => "invalid_request_error",
    }
}
