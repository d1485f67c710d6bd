//! An upstream's failure -> whose fault it is, and how long to wait.
//!
//! A pure function of status, headers and the beginning of the body, total over any bytes. Two tables of what vendors
//! say, first match wins: what their codes mean (`rules`) and how their refusals of an account or a model begin
//! (`refusals`). Where nobody says anything telling, the status decides (`by_status`). Sources: RESILIENCE §5.1, WIRE
//! §3.5, the recorded errors of the golden test; each vendor's error reference.

mod hints;
mod moments;
mod refusals;
mod rules;
mod said;

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::Dialect;
use super::provider::{Models, Provider};
use crate::vocab::{Fault, RateHint};
pub use hints::{MAX_WAIT, asked_wait, hints};
pub use moments::instant;
use refusals::REFUSALS;
use rules::{MINIMAX, RULES};
pub(super) use said::Said;

/// What an upstream's failure means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub fault: Fault,
    pub hint: RateHint,
    /// The upstream's own sentence: at most 500 characters, no control characters.
    pub message: Option<String>,
    /// The upstream's own code.
    pub code: Option<String>,
}

/// An error inside a 200: in a stream, or an answer that is an error in spite of its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InBand {
    /// As if it had come before content; after content it is the proxy's `StreamError`.
    pub fault: Fault,
    /// How long to wait, as the upstream asked.
    pub retry_after: Option<Duration>,
    /// What is exhausted is a day's.
    pub daily: bool,
    pub message: String,
    pub code: Option<String>,
}

impl InBand {
    /// A failure that says nothing of itself but this.
    pub fn unnamed(message: &str) -> Self {
        let message = message.to_owned();
        Self { fault: Fault::ServerError, retry_after: None, daily: false, message, code: None }
    }
}

/// What went wrong in an answer that is no success. `body` may be cut off (16 KiB are plenty);
/// `now_unix` is the wall clock since 1970, for dates in headers.
pub fn classify(
    provider: &Provider,
    dialect: Dialect,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now_unix: Duration,
) -> Finding {
    let code = status.as_u16();
    let mut hint = hints(headers, now_unix);
    if dialect == Dialect::Http {
        hint.retry_after = asked_wait(code, headers, now_unix);
        return Finding { fault: plain(code), hint, message: None, code: None };
    }
    let mut said = Said::read(body);
    if let (Some(said), Some(kind)) = (&mut said, headers.get("x-amzn-errortype")) {
        said.name(kind.to_str().unwrap_or_default());
    }
    let mut fault = match &said {
        Some(said) => judge(Some(code), said),
        None => by_status(code, Shape::Foreign),
    };
    let relayed = said.as_ref().is_some_and(|said| said.relayed) && provider.models == Models::Relayed;
    if relayed && matches!(fault, Fault::Throttled | Fault::AuthRefused) {
        fault = Fault::Overloaded;
    }
    if let Some(said) = &said {
        hint.daily = said.daily;
    }
    if hints::WAITING.contains(&code) {
        hint.retry_after = asked_wait(code, headers, now_unix)
            .or_else(|| said.as_ref().and_then(|said| said.retry_after))
            .or_else(|| hints::exhausted_until(&hint, headers, now_unix));
    }
    match said {
        Some(said) => Finding { fault, hint, message: said.message, code: said.code },
        None => Finding { fault, hint, message: said::plain_text(body), code: None },
    }
}

/// What an error inside a 200 means. `json` is the event's or answer's own text; `None` when there
/// is no error in it after all.
pub(super) fn in_band(json: &[u8]) -> Option<InBand> {
    Said::read(json).map(InBand::from)
}

/// The same for a message that has its kind outside of its text: an exception of Amazon's.
pub(super) fn exception(kind: &[u8], json: &[u8]) -> Option<InBand> {
    let mut said = Said::read(json)?;
    said.name(std::str::from_utf8(kind).unwrap_or_default());
    Some(InBand::from(said))
}

impl InBand {
    /// There are no headers in the middle of an answer, so it knows of no limits.
    pub fn hint(&self) -> RateHint {
        RateHint { retry_after: self.retry_after, daily: self.daily, ..RateHint::default() }
    }
}

impl From<Said> for InBand {
    fn from(said: Said) -> Self {
        let fault = judge(implied_status(&said), &said);
        let message = said.message.unwrap_or_else(|| "the upstream reported an error".to_owned());
        Self { fault, retry_after: said.retry_after, daily: said.daily, message, code: said.code }
    }
}

/// `status` is `None` for an error inside a 200 that names none.
fn judge(status: Option<u16>, said: &Said) -> Fault {
    if let Some((_, fault)) = MINIMAX.iter().find(|(code, _)| said.minimax == Some(*code)) {
        return *fault;
    }
    let refusal = REFUSALS.iter().find(|refusal| {
        status.is_none_or(|status| refusal.statuses.contains(&status)) && refusal.says(said.own_words())
    });
    if let Some(refusal) = refusal {
        return refusal.fault;
    }
    if status.is_none_or(|status| matches!(status, 400 | 403 | 404)) && said.misses_model() {
        return Fault::ModelMissing;
    }
    let status = status.unwrap_or(500);
    let found = RULES.iter().find(|rule| {
        (rule.statuses.is_empty() || rule.statuses.contains(&status))
            && (said.tagged(rule.tags) || said.mentions(rule.texts))
    });
    match found {
        Some(rule) => rule.fault,
        // A day's limit is a quota to whoever waits seconds (Gemini's PerDay). One model's is a rate limit: those are
        // kept for a key and a model.
        None if status == 429 && said.daily && !said.of_model => Fault::QuotaExhausted,
        // The path itself is unknown there: a wrong base URL or an operation it does not serve.
        None if status == 404 && matches!(said.text.as_str(), "not found" | "resource not found") => {
            Fault::ModelMissing
        }
        // All that some say of a wrong key (Doubleword, recorded).
        None if status == 403 && said.text == "forbidden" => Fault::AuthRefused,
        None => by_status(status, Shape::Own),
    }
}

/// Whose words a body is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// The provider's: it answered itself.
    Own,
    /// Anything else: a proxy, a CDN, or nothing at all.
    Foreign,
}

fn by_status(status: u16, shape: Shape) -> Fault {
    match (status, shape) {
        (401, _) => Fault::AuthRefused,
        // It may be about the file, the operation or the feature that this request asks for: no caller may have a key
        // or a model rest with that. Whose words are about either is in the tables.
        // So may a 410, as a rule that of a model which was taken away.
        (403, Shape::Own) | (410, _) => Fault::Unsayable,
        (402, _) => Fault::QuotaExhausted,
        // A firewall in front of it; the credential never arrived.
        (403, Shape::Foreign) => Fault::BadGateway,
        (404, Shape::Foreign) | (501, _) => Fault::ModelMissing,
        (408 | 409 | 425, _) => Fault::Busy,
        (429, _) => Fault::Throttled,
        (503 | 529, _) => Fault::Overloaded,
        (400..=499, _) => Fault::BadRequest,
        (520..=526 | 530, _) | (500..=599, Shape::Foreign) => Fault::BadGateway,
        (500..=599, Shape::Own) => Fault::ServerError,
        // Neither success nor failure: a redirect, or a status that HTTP does not have.
        _ => Fault::Protocol,
    }
}

/// A plain HTTP service's 4xx are its answers; only what proxies say about it counts as transport.
fn plain(status: u16) -> Fault {
    match status {
        429 => Fault::Throttled,
        // Cohere's, for input or output that it holds unsafe.
        498 => Fault::ContentPolicy,
        408 | 425 => Fault::Busy,
        503 | 529 => Fault::Overloaded,
        502 | 504 | 520..=526 | 530 => Fault::BadGateway,
        400..=499 | 501 | 505 => Fault::BadRequest,
        500..=599 => Fault::ServerError,
        _ => Fault::Protocol,
    }
}

/// The status that an in-band error would have had, as far as it says so.
fn implied_status(said: &Said) -> Option<u16> {
    const IMPLIED: &[(u16, &[&str])] = &[
        (429, &["rate_limit_error", "rate_limit_exceeded", "resource_exhausted", "requests", "tokens"]),
        (429, &["throttlingexception"]),
        (400, &["validationexception"]),
        (403, &["accessdeniedexception"]),
        (404, &["resourcenotfoundexception"]),
        (401, &["authentication_error", "unauthenticated"]),
        (403, &["permission_error", "permission_denied"]),
        (404, &["not_found_error", "not_found"]),
        (413, &["request_too_large"]),
        (400, &["invalid_request_error", "invalid_argument", "failed_precondition", "invalid_prompt"]),
    ];
    let by_name = || IMPLIED.iter().find(|(_, tags)| said.tagged(tags)).map(|(status, _)| *status);
    said.status.or_else(by_name)
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::super::provider::{self, PROVIDERS};
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn find(provider: &str, dialect: Dialect, status: u16, headers: &[(&str, &str)], body: &str) -> Finding {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::try_from(*name).expect("a name"),
                    HeaderValue::try_from(*value).expect("a value"),
                )
            })
            .collect();
        let provider = provider::find(provider).expect("a row");
        let status = StatusCode::from_u16(status).expect("a status");
        classify(provider, dialect, status, &headers, body.as_bytes(), NOW)
    }

    fn check(status: u16, body: &str, fault: Fault) {
        assert_eq!(find("openai", Dialect::OpenAi, status, &[], body).fault, fault, "{status} {body}");
    }

    #[test]
    fn quota_rate_and_overload_are_told_apart() {
        check(
            429,
            r#"{"error":{"code":"rate_limit_exceeded","type":"requests","message":"slow"}}"#,
            Fault::Throttled,
        );
        check(
            429,
            r#"{"error":{"code":"insufficient_quota","message":"You exceeded"}}"#,
            Fault::QuotaExhausted,
        );
        check(429, r#"{"error":{"message":"The system is experiencing high demand"}}"#, Fault::Overloaded);
        check(
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
            Fault::QuotaExhausted,
        );
        check(429, "", Fault::Throttled);
        check(402, "", Fault::QuotaExhausted);
        check(
            400,
            r#"{"error":{"message":"Your credit balance is too low to access the API"}}"#,
            Fault::QuotaExhausted,
        );
        check(503, "<html>", Fault::Overloaded);
        check(
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            Fault::Overloaded,
        );
        check(500, r#"{"error":{"code":"server_is_overloaded","message":"x"}}"#, Fault::Overloaded);
        check(409, "", Fault::Busy);
    }

    #[test]
    fn a_proxys_page_blames_the_transport_and_the_vendors_words_the_model() {
        check(500, r#"{"error":{"type":"server_error","message":"oops"}}"#, Fault::ServerError);
        check(500, "Internal Server Error", Fault::BadGateway);
        check(502, "<html><title>502 Bad Gateway</title>", Fault::BadGateway);
        check(522, "", Fault::BadGateway);
        check(403, "<html>Attention Required! | Cloudflare", Fault::BadGateway);
        check(302, "", Fault::Protocol);
    }

    #[test]
    fn gemini_says_in_its_details_what_its_status_does_not() {
        let key = r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[
            {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#;
        assert_eq!(find("gemini", Dialect::Gemini, 400, &[], key).fault, Fault::AuthRefused);
        let limit = |window: &str| {
            format!(
                r#"[{{"error":{{"code":429,"message":"You exceeded your current quota. Please retry in 34.07s.",
                "status":"RESOURCE_EXHAUSTED","details":[{{"@type":"type.googleapis.com/google.rpc.QuotaFailure",
                "violations":[{{"quotaId":"GenerateRequests{window}PerProject"}}]}},
                {{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.074824224s"}}]}}}}]"#
            )
        };
        let minute = find("gemini", Dialect::Gemini, 429, &[], &limit("PerMinute"));
        assert_eq!((minute.fault, minute.hint.daily), (Fault::Throttled, false));
        assert_eq!(minute.hint.retry_after, Some(Duration::from_nanos(34_074_824_224)));
        let day = find("gemini", Dialect::Gemini, 429, &[], &limit("PerDay"));
        assert_eq!((day.fault, day.hint.daily), (Fault::QuotaExhausted, true));
        // The key's other models have quotas of their own.
        let models = limit("PerDay").replace("PerProject", "PerProjectPerModel-FreeTier");
        let day = find("gemini", Dialect::Gemini, 429, &[], &models);
        assert_eq!((day.fault, day.hint.daily), (Fault::Throttled, true));
    }

    #[test]
    fn a_relays_vendor_is_not_the_relays_credential() {
        let body = r#"{"error":{"code":429,"message":"Provider returned error","metadata":{"provider_name":"Google",
            "raw":"gemini is limited"}}}"#;
        assert_eq!(find("openrouter", Dialect::OpenAi, 429, &[], body).fault, Fault::Overloaded);
        assert_eq!(find("custom", Dialect::OpenAi, 429, &[], body).fault, Fault::Throttled);
    }

    #[test]
    fn what_is_the_callers_stays_the_callers() {
        check(
            400,
            r#"{"error":{"message":"Invalid 'temperature'","code":"decimal_above_max_value"}}"#,
            Fault::BadRequest,
        );
        check(413, "", Fault::BadRequest);
        check(400, r#"{"error":{"code":"context_length_exceeded","message":"x"}}"#, Fault::ContextOverflow);
        check(
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 2 > 1"}}"#,
            Fault::ContextOverflow,
        );
        check(
            400,
            r#"{"error":{"code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
            Fault::ContentPolicy,
        );
        check(
            400,
            r#"{"error":{"code":"invalid_encrypted_content","message":"x"}}"#,
            Fault::ForeignReasoning,
        );
        check(
            404,
            r#"{"error":{"message":"No such File object: file-1","type":"invalid_request_error","param":"id"}}"#,
            Fault::BadRequest,
        );
        check(
            404,
            r#"{"error":{"message":"Response with id 'resp_1' not found.","type":"invalid_request_error"}}"#,
            Fault::BadRequest,
        );
        check(404, r#"{"detail":"Not Found"}"#, Fault::ModelMissing);
    }

    #[test]
    fn plain_http_is_judged_by_its_status_alone() {
        let http = |status| {
            find("http", Dialect::Http, status, &[], r#"{"error":{"code":"insufficient_quota"}}"#).fault
        };
        assert_eq!([401, 404, 409, 422].map(http), [Fault::BadRequest; 4]);
        assert_eq!([500, 502, 503].map(http), [Fault::ServerError, Fault::BadGateway, Fault::Overloaded]);
    }

    #[test]
    fn a_wait_is_believed_only_where_it_means_one() {
        let wait = |status, name, value| {
            find("openai", Dialect::OpenAi, status, &[(name, value)], "").hint.retry_after
        };
        assert_eq!(wait(429, "retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(wait(503, "retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(wait(400, "retry-after", "7"), None);
        let body = r#"{"error":{"message":"Rate limit reached. Please try again in 1m2.5s."}}"#;
        let finding = find("openai", Dialect::OpenAi, 429, &[], body);
        assert_eq!(finding.hint.retry_after, Some(Duration::from_millis(62_500)));
    }

    #[test]
    fn in_band_errors_are_judged_by_their_names() {
        for (event, fault) in [
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                Fault::Overloaded,
            ),
            (r#"{"error":{"type":"rate_limit_error","message":"x"}}"#, Fault::Throttled),
            (r#"{"error":{"message":"x"}}"#, Fault::ServerError),
            (r#"{"error":{"code":502,"message":"x"}}"#, Fault::ServerError),
            (
                r#"{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#,
                Fault::QuotaExhausted,
            ),
            (r#"{"base_resp":{"status_code":1000,"status_msg":"unknown"}}"#, Fault::ServerError),
        ] {
            assert_eq!(in_band(event.as_bytes()).map(|error| error.fault), Some(fault), "{event}");
        }
        assert_eq!(in_band(br#"{"base_resp":{"status_code":0}}"#), None);
        assert_eq!(in_band(br#"{"error":null,"id":"x"}"#), None);
    }

    #[test]
    fn exceptions_are_judged_by_their_kind() {
        let check = |kind: &str, fault| {
            let found = exception(kind.as_bytes(), br#"{"message":"x"}"#);
            assert_eq!(found.map(|error| error.fault), Some(fault), "{kind}");
        };
        check("throttlingException", Fault::Throttled);
        check("serviceUnavailableException", Fault::Overloaded);
        check("modelStreamErrorException", Fault::ServerError);
        check("internalServerException", Fault::ServerError);
        check("validationException", Fault::BadRequest);
    }

    proptest! {
        #[test]
        fn any_answer_is_classified_within_the_caps(
            row in 0..PROVIDERS.len(), dialect in 0..Dialect::ALL.len(), status in 100u16..1000,
            name in prop_oneof![Just("retry-after"), Just("retry-after-ms"), Just("x-ratelimit-reset-tokens"),
                Just("anthropic-ratelimit-requests-reset"), Just("x-ratelimit-remaining-requests")],
            value in "[ -~]{0,30}",
            body in prop_oneof![proptest::collection::vec(any::<u8>(), 0..100),
                "[{}\":,a-z0-9\\[\\]]{0,60}".prop_map(String::into_bytes),
                "\\{\"error\":\\{\"message\":\"(try again in|retry in) [0-9.a-zE+-]{0,12}\"\\}\\}".prop_map(String::into_bytes)],
            now in any::<u32>())
        {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::try_from(value).expect("visible"))]);
            let status = StatusCode::from_u16(status).expect("in range");
            let finding = classify(&PROVIDERS[row], Dialect::ALL[dialect], status, &headers, &body, Duration::from_secs(now.into()));
            prop_assert!(finding.hint.retry_after.unwrap_or_default() <= MAX_WAIT);
            for allowance in [finding.hint.requests, finding.hint.tokens].into_iter().flatten() {
                prop_assert!(allowance.reset_after.unwrap_or_default() <= MAX_WAIT);
            }
            if let Some(message) = finding.message {
                prop_assert!(message.chars().count() <= 500 && !message.contains(char::is_control));
            }
        }
    }
}
