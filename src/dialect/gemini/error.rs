//! `{"error":{code,message,status}}`, with `error` as the first key.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::dialect::trouble::{self, Kind, Trouble};

pub fn render(trouble: &Trouble) -> Bytes {
    object(trouble).to_string().into()
}

/// Bare JSON in a chunk of its own: the one form that every version of Google's SDKs raises on
/// (WIRE §2.3).
pub fn in_band(trouble: &Trouble) -> Bytes {
    object(trouble).to_string().into()
}

fn object(trouble: &Trouble) -> Value {
    let mut error = json!({
        "code": trouble::status(trouble.kind, Dialect::Gemini).as_u16(),
        "message": trouble.message,
        "status": status(trouble.kind),
    });
    // Google's one error that only its reason tells from others of its status.
    if trouble.kind == Kind::UnknownKey {
        error["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
        }]);
    } else if let Some(wait) = trouble.retry_after {
        // Its clients look here, and at no header.
        error["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", wait.as_secs_f64().ceil()),
        }]);
    }
    json!({ "error": error })
}

fn status(kind: Kind) -> &'static str {
    match kind {
        Kind::BadRequest
        | Kind::MethodNotAllowed
        | Kind::TooLarge
        | Kind::HeadersTooLarge
        | Kind::UnsupportedMediaType
        | Kind::Unprocessable
        | Kind::UnknownKey
        | Kind::ContextOverflow
        | Kind::ContentPolicy => "INVALID_ARGUMENT",
        Kind::Unauthorized | Kind::BadSignature => "UNAUTHENTICATED",
        Kind::Forbidden => "PERMISSION_DENIED",
        Kind::NotFound => "NOT_FOUND",
        Kind::RateLimited | Kind::QuotaExhausted => "RESOURCE_EXHAUSTED",
        Kind::TooDear => "FAILED_PRECONDITION",
        Kind::Overloaded | Kind::BadGateway | Kind::Unavailable => "UNAVAILABLE",
        Kind::Timeout | Kind::RequestTimeout => "DEADLINE_EXCEEDED",
        Kind::Internal => "INTERNAL",
    }
}
