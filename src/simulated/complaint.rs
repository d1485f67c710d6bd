//! What a provider says when it refuses, in each dialect's own shape.
//!
//! One table: the statuses and names are those of the providers' references and of recorded errors
//! (OpenAI error codes; Anthropic errors; `google.rpc.Status`). Deliberately not shared with the
//! gateway's own rendering, which would make its tests circular.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::ask::Dialect;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    BadRequest,
    BadKey,
    Billing,
    Forbidden,
    NotFound,
    TooLarge,
    Throttled,
    Quota,
    Server,
    BadGateway,
    Overloaded,
    Timeout,
}

/// The dialects' words for one complaint.
struct Row {
    /// Status, type and code at OpenAI.
    openai: (u16, &'static str, Option<&'static str>),
    /// Status and type at Anthropic.
    anthropic: (u16, &'static str),
    /// Status and its name at Google.
    gemini: (u16, &'static str),
    message: &'static str,
}

impl Complaint {
    /// The complaint that usually comes with a status.
    pub(super) fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::BadKey,
            402 => Self::Billing,
            403 => Self::Forbidden,
            404 | 405 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::Throttled,
            502 => Self::BadGateway,
            503 | 529 => Self::Overloaded,
            500..=599 => Self::Server,
            _ => Self::BadRequest,
        }
    }

    #[rustfmt::skip]
    const fn row(self) -> Row {
        let invalid = "invalid_request_error";
        match self {
            Self::BadRequest => Row { openai: (400, invalid, None), anthropic: (400, invalid), gemini: (400, "INVALID_ARGUMENT"), message: "the request is not valid" },
            Self::BadKey => Row { openai: (401, invalid, Some("invalid_api_key")), anthropic: (401, "authentication_error"), gemini: (401, "UNAUTHENTICATED"), message: "Incorrect API key provided" },
            Self::Billing => Row { openai: (402, "insufficient_quota", Some("insufficient_quota")), anthropic: (402, "billing_error"), gemini: (402, "FAILED_PRECONDITION"), message: "Your credit balance is too low" },
            Self::Forbidden => Row { openai: (403, invalid, Some("permission_denied")), anthropic: (403, "permission_error"), gemini: (403, "PERMISSION_DENIED"), message: "The caller does not have permission" },
            Self::NotFound => Row { openai: (404, invalid, Some("model_not_found")), anthropic: (404, "not_found_error"), gemini: (404, "NOT_FOUND"), message: "The model does not exist or you do not have access to it" },
            Self::TooLarge => Row { openai: (413, invalid, Some("request_too_large")), anthropic: (413, "request_too_large"), gemini: (413, "INVALID_ARGUMENT"), message: "Request exceeds the maximum allowed number of bytes" },
            Self::Throttled => Row { openai: (429, "rate_limit_error", Some("rate_limit_exceeded")), anthropic: (429, "rate_limit_error"), gemini: (429, "RESOURCE_EXHAUSTED"), message: "Rate limit reached" },
            Self::Quota => Row { openai: (429, "insufficient_quota", Some("insufficient_quota")), anthropic: (402, "billing_error"), gemini: (429, "RESOURCE_EXHAUSTED"), message: "You exceeded your current quota, please check your plan and billing details" },
            Self::Server => Row { openai: (500, "server_error", None), anthropic: (500, "api_error"), gemini: (500, "INTERNAL"), message: "The server had an error while processing your request" },
            Self::BadGateway => Row { openai: (502, "server_error", None), anthropic: (502, "api_error"), gemini: (502, "UNAVAILABLE"), message: "Bad gateway" },
            Self::Overloaded => Row { openai: (503, "server_error", Some("server_is_overloaded")), anthropic: (529, "overloaded_error"), gemini: (503, "UNAVAILABLE"), message: "Overloaded" },
            Self::Timeout => Row { openai: (504, "server_error", Some("timeout")), anthropic: (504, "timeout_error"), gemini: (504, "DEADLINE_EXCEEDED"), message: "The request timed out" },
        }
    }

    /// The status that this dialect has for it.
    pub(super) fn status(self, dialect: Dialect) -> StatusCode {
        let row = self.row();
        let code = match dialect {
            Dialect::OpenAi | Dialect::Responses | Dialect::Http => row.openai.0,
            Dialect::Anthropic => row.anthropic.0,
            Dialect::Gemini => row.gemini.0,
        };
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The error object in words: type, code and message, as OpenAI has it.
    pub(super) fn openai(self, message: Option<&str>) -> Value {
        let row = self.row();
        json!({"type": row.openai.1, "code": row.openai.2, "message": message.unwrap_or(row.message), "param": null})
    }

    /// The whole error body.
    pub(super) fn body(self, dialect: Dialect, said: Said<'_>) -> Value {
        let row = self.row();
        let message = said.message.unwrap_or(row.message);
        match dialect {
            Dialect::OpenAi | Dialect::Responses => json!({"error": self.openai(said.message)}),
            Dialect::Anthropic => json!({
                "type": "error",
                "error": {"type": row.anthropic.1, "message": message},
                "request_id": said.request_id,
            }),
            Dialect::Gemini => {
                let code = said.status.unwrap_or_else(|| self.status(dialect)).as_u16();
                let mut error = json!({"code": code, "message": message, "status": row.gemini.1});
                if let Some(details) = self.gemini_details(said.retry_after)
                    && let Some(error) = error.as_object_mut()
                {
                    error.insert("details".to_owned(), details);
                }
                json!({ "error": error })
            }
            Dialect::Http => json!({"error": message}),
        }
    }

    /// Google says in the body what others say in headers.
    fn gemini_details(self, retry_after: Option<Duration>) -> Option<Value> {
        if self == Self::Quota {
            return Some(json!([{
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{
                    "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
                    "quotaId": "GenerateRequestsPerDayPerProject-FreeTier",
                }],
            }]));
        }
        let delay = format!("{}s", retry_after?.as_secs_f64());
        Some(json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]))
    }
}

/// The particulars of one refusal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said<'a> {
    pub(super) message: Option<&'a str>,
    /// Where it differs from the complaint's usual one.
    pub(super) status: Option<StatusCode>,
    pub(super) retry_after: Option<Duration>,
    pub(super) request_id: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECTS: [Dialect; 5] =
        [Dialect::OpenAi, Dialect::Responses, Dialect::Anthropic, Dialect::Gemini, Dialect::Http];

    #[test]
    fn every_status_has_a_body_with_a_message_in_every_dialect() {
        for code in 400..=599 {
            let complaint = Complaint::of(StatusCode::from_u16(code).unwrap());
            for dialect in DIALECTS {
                let body = complaint.body(dialect, Said::default());
                let message = body["error"]["message"].as_str().or(body["error"].as_str());
                assert!(message.is_some_and(|text| !text.is_empty()), "{code} {dialect:?}");
                assert!(complaint.status(dialect).as_u16() >= 400);
            }
        }
    }

    #[test]
    fn quota_is_told_from_rate_limit_as_providers_do() {
        let openai = Complaint::Quota.body(Dialect::OpenAi, Said::default());
        assert_eq!(openai["error"]["code"], "insufficient_quota");
        assert_eq!(Complaint::Quota.status(Dialect::OpenAi), 429);
        assert_eq!(Complaint::Quota.status(Dialect::Anthropic), 402);
        let gemini = Complaint::Quota.body(Dialect::Gemini, Said::default());
        assert!(
            gemini["error"]["details"][0]["violations"][0]["quotaId"].as_str().unwrap().contains("PerDay")
        );
        let said = Said { retry_after: Some(Duration::from_millis(34_400)), ..Said::default() };
        let limited = Complaint::Throttled.body(Dialect::Gemini, said);
        assert_eq!(limited["error"]["details"][0]["retryDelay"], "34.4s");
        assert_eq!(Complaint::Overloaded.status(Dialect::Anthropic), 529);
    }
}
