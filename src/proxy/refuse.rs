//! Our own errors, in the caller's dialect, with what the caller needs to act on them.

use std::time::Duration;

use http::header::{
    ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::intake::coding::TAKEN;
use super::reply::Reply;
use super::settle::Settle;
use crate::dialect::Dialect;
use crate::dialect::allowance::{self, Standing};
use crate::dialect::trouble::{self, Kind, Trouble};
use crate::state::Live;
use crate::telemetry::{Metrics, RequestOutcome, Shed, answered_nowhere, catalogue};
use crate::vocab::{RequestId, Trace};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-mainstay-request-id");
pub const CHANNEL: HeaderName = HeaderName::from_static("x-mainstay-channel");
/// Names of what the channel's dialect could not say.
pub const DROPPED: HeaderName = HeaderName::from_static("x-mainstay-dropped");
/// What of an answer is our own estimate: `tokens`, the counts of them.
pub const ESTIMATED: HeaderName = HeaderName::from_static("x-mainstay-estimated");
pub const ATTEMPTS: HeaderName = HeaderName::from_static("x-mainstay-attempts");
/// Why there was no room.
pub const SHED: HeaderName = HeaderName::from_static("x-mainstay-shed");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Retry-After that we ask for when nothing better is known.
pub const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);
/// SDKs retry by themselves up to this (WIRE §2.2); beyond it they are told not to.
const WORTH_RETRYING: Duration = Duration::from_secs(20);

/// Characters of a path or a model's name that are said back; as many as a model's name may have.
const LONGEST_QUOTE: usize = 256;

/// Where a refusal without a [`Settle`] is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Here,
    /// Its request is under way, and counts how it ends itself.
    ByRequest,
}

/// An answer without an upstream's words. Boxed, since it is rare and large.
pub struct Refusal {
    pub trouble: Trouble,
    pub dialect: Dialect,
    pub request_id: RequestId,
    /// Where it stands in a trace, as long as no route books it.
    pub trace: Option<Trace>,
    /// Channels were tried, or could have been: the caller's SDK would only repeat our work.
    pub exhausted: bool,
    pub allow: Option<&'static str>,
    /// Where it is not that of its kind.
    pub status: Option<StatusCode>,
    /// What is left of the request's body is not read, so the connection cannot go on.
    pub close: bool,
    pub settle: Option<Settle>,
    /// There was no room for it.
    pub shed: Option<Shed>,
    /// The same request would be refused again, whenever it comes.
    pub hopeless: bool,
    pub counted: Counted,
    /// Its caller, or its route, has used a limit up; how all of them stand.
    pub limited: Option<Box<Standing>>,
}

impl Refusal {
    pub fn new(kind: Kind, message: impl Into<String>, dialect: Dialect, request_id: &str) -> Box<Self> {
        Box::new(Self {
            trouble: Trouble::new(kind, message),
            dialect,
            request_id: request_id.into(),
            trace: None,
            exhausted: false,
            allow: None,
            status: None,
            close: false,
            settle: None,
            shed: None,
            hopeless: false,
            counted: Counted::Here,
            limited: None,
        })
    }

    #[must_use]
    pub fn code(mut self: Box<Self>, code: &'static str) -> Box<Self> {
        self.trouble.code = Some(code.into());
        self
    }

    #[must_use]
    pub fn param(mut self: Box<Self>, param: &str) -> Box<Self> {
        self.trouble.param = Some(param.to_owned());
        self
    }

    #[must_use]
    pub fn closing(mut self: Box<Self>) -> Box<Self> {
        self.close = true;
        self
    }

    /// What its caller is told.
    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| trouble::status(self.trouble.kind, self.dialect))
    }

    pub fn into_response(mut self, live: &Live) -> Response<Reply> {
        let status = self.status();
        let attempts = self.settle.as_ref().map(|settle| settle.attempts);
        let channel = self.settle.as_ref().and_then(|settle| settle.channel.clone());
        if let Some(settle) = &mut self.settle {
            settle.ends(match self.trouble.kind {
                Kind::BadRequest
                | Kind::ContextOverflow
                | Kind::ContentPolicy
                | Kind::NotFound
                | Kind::TooDear => RequestOutcome::ClientFault,
                _ if self.exhausted => RequestOutcome::Failed,
                _ => RequestOutcome::Refused,
            });
            settle.error = Some(self.trouble.kind.name());
            settle.shed = self.shed;
            settle.first_byte(status);
        } else if self.counted == Counted::Here {
            live.metrics.counter(&catalogue::REJECTED, &[self.trouble.kind.name()]).increment(1);
            answered_nowhere(&live.metrics, status.as_u16());
        }
        let body = trouble::render(&self.trouble, self.dialect, &self.request_id);
        let mut response = Response::new(Reply::whole(body, self.settle));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((name, value)) = trouble::kind_header(self.trouble.kind, self.dialect) {
            headers.insert(name, HeaderValue::from_static(value));
        }
        name_request(headers, self.dialect, &self.request_id, attempts);
        if let Some(channel) = channel {
            headers.insert(CHANNEL, channel.label_header.clone());
        }
        if let Some(wait) = self.trouble.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs_f64().ceil() as u64));
        }
        if let Some(shed) = self.shed {
            headers.insert(SHED, HeaderValue::from_static(shed.name()));
        }
        if let Some(standing) = &self.limited {
            allowance::say(headers, self.dialect, standing, live.clock.unix_now());
        }
        // Where money is missing, coming again changes nothing.
        let poor = matches!(self.trouble.kind, Kind::QuotaExhausted | Kind::TooDear);
        if self.exhausted || self.hopeless || self.limited.is_some() || poor {
            let soon = !self.hopeless
                && self.trouble.retry_after.is_some_and(|wait| wait <= WORTH_RETRYING)
                && status.as_u16() == 429;
            headers.insert(SHOULD_RETRY, HeaderValue::from_static(if soon { "true" } else { "false" }));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.trouble.kind == Kind::UnsupportedMediaType {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(TAKEN));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        // To what one has to switch (RFC 9110 §15.5.22).
        if status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(UPGRADE, HeaderValue::from_static("HTTP/1.1"));
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Lets the series of refusals begin at 0.
pub fn expect(metrics: &Metrics) {
    for kind in Kind::ALL {
        metrics.counter(&catalogue::REJECTED, &[kind.name()]).increment(0);
    }
}

/// What a request is told that waited for its answer when the process had to go.
pub fn too_late(dialect: Dialect, request_id: &str) -> Box<Refusal> {
    let message = "the gateway shuts down, and nobody answered before (server.drain.timeout); ask again";
    let mut refusal = Refusal::new(Kind::Unavailable, message, dialect, request_id);
    refusal.trouble.retry_after = Some(DEFAULT_RETRY_AFTER);
    refusal.counted = Counted::ByRequest;
    refusal.closing()
}

/// A caller's own words in a message to him: enough to know them again.
pub fn in_short(words: &str) -> &str {
    words.char_indices().nth(LONGEST_QUOTE).and_then(|(end, _)| words.get(..end)).unwrap_or(words)
}

/// Puts our own headers on an answer. SDKs show their users the name that stands where their vendor writes it; there it
/// is the upstream's own, unless it has none.
pub fn name_request(headers: &mut HeaderMap, dialect: Dialect, request_id: &str, attempts: Option<u32>) {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        if let Some(theirs) = trouble::request_id_header(dialect) {
            headers.entry(theirs).or_insert_with(|| id.clone());
        }
        headers.insert(REQUEST_ID, id);
    }
    if let Some(attempts) = attempts {
        headers.insert(ATTEMPTS, HeaderValue::from(attempts));
    }
}
