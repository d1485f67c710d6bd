//! A capture as it lies on disk, and as operators are shown it: one line of JSON, which begins with the request's id.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::body::{Body, Language, Seen};
use super::redact;
use crate::config::{self, Redact};
use crate::telemetry::RequestOutcome;

/// Headers of requests that say nothing of who asks; all others stay out.
const ASKED: [&str; 10] = [
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "content-encoding",
    "content-length",
    "content-type",
    "openai-beta",
    "user-agent",
    "x-stainless-package-version",
    "x-stainless-retry-count",
];
/// The same of answers.
const ANSWERED: [&str; 14] = [
    "content-encoding",
    "content-length",
    "content-type",
    "retry-after",
    "x-mainstay-arm",
    "x-mainstay-attempts",
    "x-mainstay-cache",
    "x-mainstay-channel",
    "x-mainstay-cost",
    "x-mainstay-dropped",
    "x-mainstay-estimated",
    "x-mainstay-request-id",
    "x-mainstay-shed",
    "x-should-retry",
];

/// A request that has ended, as it was seen.
pub(super) struct Taken {
    pub request_id: Box<str>,
    /// When it came, since the Unix epoch.
    pub at: Duration,
    pub key: Option<Box<str>>,
    pub route: Box<str>,
    pub language: Language,
    pub outcome: RequestOutcome,
    pub channel: Option<Box<str>>,
    pub method: http::Method,
    pub path: Box<str>,
    /// Those that are kept.
    pub headers: HeaderMap,
    pub body: Seen,
    pub answer: Option<Answer>,
}

/// What its caller got.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Seen,
}

/// What a caller asked, and what he was answered, without what was struck out of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Capture")]
pub struct Record<'t> {
    /// As it stands in the answer's `x-mainstay-request-id`.
    pub request: &'t str,
    /// When it came, Unix time in seconds.
    pub at: f64,
    /// What the caller's key is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'t str>,
    /// The one that it came to.
    pub route: &'t str,
    /// The last one that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'t str>,
    pub dialect: &'static str,
    pub operation: &'static str,
    /// ok, client_fault, refused, failed, broken, cancelled.
    pub outcome: &'static str,
    pub asked: Asked<'t>,
    /// Absent where the caller got no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<Answered>,
}

/// The request.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CaptureAsked")]
pub struct Asked<'t> {
    pub method: &'t str,
    /// Without its query, which may hold a key.
    pub path: String,
    /// Those that say nothing of who asks.
    pub headers: BTreeMap<String, String>,
    pub body: Body,
}

/// The answer, as it went to the caller.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CaptureAnswered")]
pub struct Answered {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Body,
}

/// How a line about the request of this id begins.
pub(super) fn beginning(request_id: &str) -> String {
    format!("{{\"request\":\"{request_id}\",")
}

impl Taken {
    /// Its line, its end included.
    pub fn line(&self, settings: &config::Capture) -> String {
        let what = &settings.redact;
        let body = |seen, headers| Body::of(seen, headers, self.language, settings.max_body, what);
        let record = Record {
            request: &self.request_id,
            at: self.at.as_secs_f64(),
            key: self.key.as_deref(),
            route: &self.route,
            channel: self.channel.as_deref(),
            dialect: self.language.dialect.name(),
            operation: self.language.operation.name(),
            outcome: self.outcome.name(),
            asked: Asked {
                method: self.method.as_str(),
                path: redact::clean(&self.path, what).into_owned(),
                headers: shown(&self.headers, what),
                body: body(&self.body, &self.headers),
            },
            answered: self.answer.as_ref().map(|answer| Answered {
                status: answer.status.as_u16(),
                headers: shown(&answer.headers, what),
                body: body(&answer.body, &answer.headers),
            }),
        };
        // A record is always JSON.
        let mut line = serde_json::to_string(&record).unwrap_or_default();
        line.push('\n');
        line
    }
}

/// Those of a request's headers that are kept. The others hold who asks, and with what.
pub(super) fn of_request(headers: &HeaderMap) -> HeaderMap {
    among(headers, &ASKED)
}

/// The same of an answer's.
pub(super) fn of_answer(headers: &HeaderMap) -> HeaderMap {
    among(headers, &ANSWERED)
}

fn among(headers: &HeaderMap, names: &[&'static str]) -> HeaderMap {
    let kept =
        names.iter().filter_map(|name| Some((HeaderName::from_static(name), headers.get(*name)?.clone())));
    kept.collect()
}

fn shown(headers: &HeaderMap, what: &Redact) -> BTreeMap<String, String> {
    let said = headers.iter().filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?)));
    said.map(|(name, value)| (name, redact::clean(value, what).into_owned())).collect()
}
