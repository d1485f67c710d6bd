//! `{"type":"error","error":{type,message},"request_id"}`: whole, or as an `error` event.

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

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
