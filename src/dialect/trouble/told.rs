//! What an error's answer says, read back for whoever has to be told it inside a stream.

use http::StatusCode;
use serde_json::Value;

use super::{Kind, Trouble};

/// An error answer of ours, or of an upstream of the caller's own dialect.
pub fn told(status: StatusCode, body: &[u8]) -> Trouble {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = if body["error"].is_object() { &body["error"] } else { &body };
    let text = |key: &str| error[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let message = text("message").unwrap_or_else(|| format!("the answer has the status {}", status.as_u16()));
    let (code, param) = (text("code"), text("param"));
    Trouble { code, param, ..Trouble::new(kind(status, error), message) }
}

/// The kind that has this status and code, where several have the status.
fn kind(status: StatusCode, error: &Value) -> Kind {
    match (status.as_u16(), error["code"].as_str()) {
        (400, Some("context_length_exceeded")) => Kind::ContextOverflow,
        (400, Some("content_policy_violation" | "content_filter")) => Kind::ContentPolicy,
        (429, Some("insufficient_quota")) => Kind::QuotaExhausted,
        (401, _) => Kind::Unauthorized,
        (402, _) => Kind::TooDear,
        (403, _) => Kind::Forbidden,
        (404, _) => Kind::NotFound,
        (405, _) => Kind::MethodNotAllowed,
        (408, _) => Kind::RequestTimeout,
        (413, _) => Kind::TooLarge,
        (415, _) => Kind::UnsupportedMediaType,
        (422, _) => Kind::Unprocessable,
        (429, _) => Kind::RateLimited,
        (503 | 529, Some("server_is_overloaded")) | (529, _) => Kind::Overloaded,
        (431, _) => Kind::HeadersTooLarge,
        (500, _) => Kind::Internal,
        (503, _) => Kind::Unavailable,
        (504, _) => Kind::Timeout,
        (400..=499, _) => Kind::BadRequest,
        _ => Kind::BadGateway,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{in_band, render, status};
    use super::*;
    use crate::dialect::Dialect;

    /// Of our own errors a stream says what their answers would have said, but for what a body does not tell.
    #[test]
    fn an_error_is_the_same_in_a_stream_that_has_begun() {
        for dialect in [Dialect::OpenAi, Dialect::Responses, Dialect::Anthropic, Dialect::Cohere] {
            for kind in Kind::ALL {
                let mut trouble = Trouble::new(kind, "say \"why\"");
                trouble.param =
                    (dialect != Dialect::Anthropic && dialect != Dialect::Cohere).then(|| "p".into());
                let again = told(status(kind, dialect), &render(&trouble, dialect, "req_1"));
                let said = |trouble| in_band(trouble, dialect, 0, None);
                assert_eq!(said(&again), said(&trouble), "{dialect} {kind:?}");
            }
        }
    }

    #[test]
    fn a_page_is_told_by_its_status() {
        let trouble = told(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!((trouble.kind, &*trouble.message), (Kind::BadGateway, "the answer has the status 502"));
    }
}
