//! `{"type":"error","error":{type,message},"request_id"}`: whole, or as an `error` event.

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use crate::dialect::tree::{self, Node};
use crate::dialect::trouble::{Kind, THREAD_NOT_FOUND, Trouble};

/// Anthropic's own status for overload; its SDKs have a class of error for it.
pub fn overloaded() -> StatusCode {
    StatusCode::from_u16(529).expect("529 is between 100 and 999")
}

pub fn render(trouble: &Trouble, request_id: &str) -> Bytes {
    let mut error = json!({ "type": kind(trouble.kind), "message": trouble.message });
    if trouble.code.as_deref() == Some(THREAD_NOT_FOUND) {
        error["details"] = json!({ "error_code": THREAD_NOT_FOUND });
    }
    json!({ "type": "error", "error": error, "request_id": request_id }).to_string().into()
}

/// Whether an error is in Google's words, as Vertex has some for Claude's callers too, whose SDKs do not know them:
/// `{"error":{code,message,status}}`, perhaps in an array.
pub fn is_googles(body: &[u8]) -> bool {
    let Ok(root) = tree::parse(body) else { return false };
    let said = root.elements().first().unwrap_or(&root);
    let error = said.at("error").filter(|_| said.at("type").is_none());
    error.is_some_and(|error| {
        error.at("code").and_then(Node::as_integer).is_some()
            && error.at("status").is_some_and(Node::is_string)
    })
}

/// The event's name is mandatory: without it both SDKs drop the data (WIRE §2.3).
pub fn in_band(trouble: &Trouble) -> Bytes {
    let error = json!({ "type": kind(trouble.kind), "message": trouble.message });
    format!("event: error\ndata: {}\n\n", json!({ "type": "error", "error": error })).into()
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::BadRequest
        | Kind::MethodNotAllowed
        | Kind::HeadersTooLarge
        | Kind::UnsupportedMediaType
        | Kind::Unprocessable
        | Kind::ContextOverflow
        | Kind::ContentPolicy => "invalid_request_error",
        Kind::Unauthorized | Kind::UnknownKey | Kind::BadSignature => "authentication_error",
        Kind::Forbidden => "permission_error",
        Kind::NotFound => "not_found_error",
        Kind::TooLarge => "request_too_large",
        Kind::RateLimited => "rate_limit_error",
        Kind::QuotaExhausted | Kind::TooDear => "billing_error",
        Kind::Overloaded => "overloaded_error",
        Kind::Timeout | Kind::RequestTimeout => "timeout_error",
        Kind::BadGateway | Kind::Unavailable | Kind::Internal => "api_error",
    }
}
