//! The response to one request, good or bad, as hyper will write it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version, header};
use hyper::upgrade::OnUpgrade;

use super::ask::{Ask, Dialect};
use super::complaint::{Complaint, Said};
use super::echo;
use super::line::{End, Orders};
use super::reply::{Ending, Reply, Step, Steps};
use super::rule::{Canned, Fault, How, InBand};
use super::server::Core;
use super::speech::{Answer, Events, JSON, Part, Speech, request_id};
use super::text::hex;
use super::visit::Visit;

/// What answers to one request are made with.
pub(super) struct Desk {
    pub(super) visit: Visit,
    pub(super) orders: Arc<Orders>,
    pub(super) dialect: Dialect,
    pub(super) version: Version,
    /// The answer's body is never sent (`HEAD`).
    pub(super) bodiless: bool,
}

/// The particulars of an error answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusal {
    pub(super) message: Option<String>,
    /// Instead of the dialect's own.
    pub(super) body: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

/// Where a fault leads.
pub(super) enum Course {
    /// To an answer that begins like a good one.
    Answer,
    Refuse(Complaint, StatusCode, Refusal),
    Replay(Canned),
    Reset,
    Silence,
}

impl Course {
    pub(super) fn of(fault: &Fault, dialect: Dialect) -> Self {
        let usual = |complaint: Complaint, retry_after| {
            let refusal = Refusal { retry_after, ..Refusal::default() };
            Self::Refuse(complaint, complaint.status(dialect), refusal)
        };
        match fault {
            Fault::Status { status, body, retry_after } => {
                let refusal = Refusal { message: None, body: body.clone(), retry_after: *retry_after };
                Self::Refuse(Complaint::of(*status), *status, refusal)
            }
            Fault::RateLimited { retry_after } => usual(Complaint::Throttled, *retry_after),
            Fault::QuotaExhausted => usual(Complaint::Quota, None),
            Fault::Canned(canned) => Self::Replay(canned.clone()),
            // Refusing is the listener's; a request that slipped in between ends with its connection.
            Fault::Reset { .. } | Fault::Refuse => Self::Reset,
            Fault::Hang => Self::Silence,
            Fault::Slow { .. }
            | Fault::Drip { .. }
            | Fault::Cut { .. }
            | Fault::Stall { .. }
            | Fault::InBandError { .. }
            | Fault::EmptyStream => Self::Answer,
        }
    }
}

/// A good answer on its way to becoming the wanted one.
struct Draft {
    content_type: &'static str,
    steps: Steps,
    /// Announced length of a whole body.
    length: Option<u64>,
    ending: Ending,
    version: Version,
}

impl Desk {
    /// End the connection by RST instead of answering.
    pub(super) async fn reset(mut self, fault: &Fault) -> Response<Reply> {
        self.visit.suffer(fault);
        self.visit.end();
        self.orders.end_now(End::Rst);
        pending().await
    }

    /// An error answer.
    pub(super) fn refuse(
        self,
        complaint: Complaint,
        status: StatusCode,
        refusal: &Refusal,
    ) -> Response<Reply> {
        let request_id = self.request_id();
        let body = refusal.body.clone().unwrap_or_else(|| {
            let said = Said {
                message: refusal.message.as_deref(),
                status: Some(status),
                retry_after: refusal.retry_after,
                request_id: &request_id,
            };
            complaint.body(self.dialect, said).to_string()
        });
        let dialect = self.dialect;
        let mut response = self.whole(status, JSON, body.into());
        if let Some(wait) = refusal.retry_after {
            retry_after(response.headers_mut(), dialect, wait);
        }
        response
    }

    /// What is wrong with what was asked.
    pub(super) fn refuse_as_bad(self, message: String) -> Response<Reply> {
        let said = Refusal { message: Some(message), ..Refusal::default() };
        self.refuse(Complaint::BadRequest, StatusCode::BAD_REQUEST, &said)
    }

    /// Bytes as they were given.
    pub(super) fn replay(self, canned: Canned) -> Response<Reply> {
        let steps = canned.chunks.into_iter().map(|(gap, bytes)| Step { gap, part: Part::Content, bytes });
        let mut response = Response::new(self.body(Box::new(steps), Ending::Clean, None, canned.status));
        *response.status_mut() = canned.status;
        for (name, value) in &canned.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }

    /// 101, and from then on every byte comes back.
    pub(super) fn upgrade(mut self, core: &Core, asked: &HeaderMap, upgrade: OnUpgrade) -> Response<Reply> {
        core.crew.send(echo::echo_bytes(upgrade, core.control.evictions()));
        self.visit.end();
        let mut response = Response::new(Reply::bodiless(self.visit, self.orders));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        echo::accept_websocket(asked, response.headers_mut());
        response
    }

    /// A good answer, or one that begins like it.
    pub(super) fn speak(
        self,
        speech: Speech,
        pace: Duration,
        fault: Option<&Fault>,
        ask: &Ask,
        answer: &Answer,
    ) -> Response<Reply> {
        let http2 = self.version == Version::HTTP_2;
        let draft = match speech {
            Speech::Whole { content_type, body } => whole(content_type, body, fault, http2, |error| {
                let said = Said { request_id: &self.request_id(), ..Said::default() };
                Complaint::from(error).body(self.dialect, said).to_string().into()
            }),
            Speech::Stream { content_type, events } => {
                stream(content_type, events, pace, fault, http2, |error, sent| {
                    Speech::in_band(ask, answer, error, sent)
                })
            }
        };
        if let Some(Fault::Drip { gap }) = fault {
            self.orders.drip(Some(*gap));
        }
        let Draft { content_type, steps, length, ending, version } = draft;
        let (dialect, id) = (self.dialect, self.request_id());
        let mut response = Response::new(self.body(steps, ending, length, StatusCode::OK));
        *response.version_mut() = version;
        identify(response.headers_mut(), dialect, &id);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if ask.stream {
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        response
    }

    fn request_id(&self) -> String {
        request_id(&hex(&self.visit.serial().to_be_bytes()))
    }

    fn whole(self, status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Reply> {
        let (dialect, id) = (self.dialect, self.request_id());
        let length = body.len() as u64;
        let step = Step { gap: Duration::ZERO, part: Part::Tail, bytes: body };
        let mut response =
            Response::new(self.body(Box::new(std::iter::once(step)), Ending::Clean, Some(length), status));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        identify(response.headers_mut(), dialect, &id);
        response
    }

    fn body(self, steps: Steps, ending: Ending, length: Option<u64>, status: StatusCode) -> Reply {
        let never = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if self.bodiless || never {
            return Reply::bodiless(self.visit, self.orders);
        }
        Reply::new(steps, ending, length, self.visit, self.orders)
    }
}

/// A whole body, perhaps with half of it missing.
fn whole(
    content_type: &'static str,
    body: Bytes,
    fault: Option<&Fault>,
    http2: bool,
    in_band: impl FnOnce(InBand) -> Bytes,
) -> Draft {
    let half = body.slice(..body.len() / 2);
    let full = body.len() as u64;
    let (bytes, length, ending, version) = match fault {
        Some(Fault::InBandError { error, .. }) => {
            let body = in_band(*error);
            let length = body.len() as u64;
            (body, Some(length), Ending::Clean, Version::HTTP_11)
        }
        Some(Fault::EmptyStream) => (Bytes::new(), Some(0), Ending::Clean, Version::HTTP_11),
        Some(Fault::Stall { .. }) => (half, Some(full), Ending::Silence, Version::HTTP_11),
        Some(Fault::Cut { how, .. }) => {
            let (ending, version) = cut(*how, http2);
            let announced = matches!(how, How::Fin | How::Rst).then_some(full);
            (half, announced, ending, version)
        }
        _ => (body, Some(full), Ending::Clean, Version::HTTP_11),
    };
    let step = Step { gap: Duration::ZERO, part: Part::Tail, bytes };
    Draft { content_type, steps: Box::new(std::iter::once(step)), length, ending, version }
}

/// A stream, perhaps with an early end.
fn stream(
    content_type: &'static str,
    events: Events,
    pace: Duration,
    fault: Option<&Fault>,
    http2: bool,
    in_band: impl FnOnce(InBand, u64) -> Bytes,
) -> Draft {
    let draft = |steps, ending, version| Draft { content_type, steps, length: None, ending, version };
    match fault {
        Some(Fault::EmptyStream) => draft(Box::new(std::iter::empty()), Ending::Clean, Version::HTTP_11),
        Some(Fault::Stall { after_events }) => {
            draft(Box::new(paced(beginning(events, *after_events), pace)), Ending::Silence, Version::HTTP_11)
        }
        Some(Fault::Cut { after_events, how }) => {
            let (ending, version) = cut(*how, http2);
            draft(Box::new(paced(beginning(events, *after_events), pace)), ending, version)
        }
        Some(Fault::InBandError { after_events, error }) => {
            let begun: Vec<_> = paced(beginning(events, *after_events), pace).collect();
            let bytes = in_band(*error, begun.len() as u64);
            let last = Step { gap: Duration::ZERO, part: Part::Tail, bytes };
            draft(Box::new(begun.into_iter().chain([last])), Ending::Clean, Version::HTTP_11)
        }
        _ => draft(Box::new(paced(events, pace)), Ending::Clean, Version::HTTP_11),
    }
}

fn cut(how: How, http2: bool) -> (Ending, Version) {
    match how {
        How::Fin | How::Rst if http2 => (Ending::ResetStream, Version::HTTP_11),
        How::Fin => (Ending::Cut(End::Fin), Version::HTTP_11),
        How::Rst => (Ending::Cut(End::Rst), Version::HTTP_11),
        How::ChunkedEof => (Ending::Clean, Version::HTTP_11),
        How::CloseDelimited => (Ending::Clean, Version::HTTP_10),
    }
}

/// Events up to and with the n-th that has content, and none of the end.
fn beginning(events: Events, content: u32) -> Events {
    let mut left = content;
    Box::new(events.take_while(move |event| match event.part {
        Part::Lead => true,
        Part::Content => {
            let within = left > 0;
            left = left.saturating_sub(1);
            within
        }
        Part::Tail => false,
    }))
}

/// Every content event after the first waits for its turn.
fn paced(events: Events, pace: Duration) -> impl Iterator<Item = Step> + Send {
    let mut begun = false;
    events.map(move |event| {
        let gap = if event.part == Part::Content && begun { pace } else { Duration::ZERO };
        begun |= event.part == Part::Content;
        Step { gap, part: event.part, bytes: event.bytes }
    })
}

/// The request id, under the name that the dialect's SDKs read.
fn identify(headers: &mut HeaderMap, dialect: Dialect, request_id: &str) {
    let name = match dialect {
        Dialect::OpenAi | Dialect::Responses => "x-request-id",
        Dialect::Anthropic => "request-id",
        Dialect::Gemini | Dialect::Http => return,
    };
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// How long to wait: whole seconds, rounded up; OpenAI adds the milliseconds. Google says it in the
/// body only.
fn retry_after(headers: &mut HeaderMap, dialect: Dialect, wait: Duration) {
    if dialect == Dialect::Gemini {
        return;
    }
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    headers.insert(header::RETRY_AFTER, seconds.into());
    if matches!(dialect, Dialect::OpenAi | Dialect::Responses)
        && let Ok(millis) = u64::try_from(wait.as_millis())
    {
        headers.insert(HeaderName::from_static("retry-after-ms"), millis.into());
    }
}
