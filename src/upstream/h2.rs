//! One exchange over a shared HTTP/2 connection: a stream's request, head and body.
//!
//! Sources: RFC 9113; §8.7 for which refusals prove that a request was not processed.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, Method, Request, Response, Uri, Version};
use http_body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::body::{Broken, Incoming, Outgoing};
use super::call::{CallError, Doubt, Failure};
use super::lane::Lease;
use super::patience::{Patience, Sent};
use crate::vocab::{Fault, Stage};

/// Fields that belong to an HTTP/1.1 connection and make an HTTP/2 request malformed (RFC 9113 §8.2.2).
static CONNECTION_FIELDS: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// How long the end of a stream is waited for whose bytes are all there.
const LAST_FRAME: Duration = Duration::from_secs(1);

/// Sends `request` on a stream of its own and waits for the head of the response.
pub(super) async fn exchange(
    lease: Lease,
    request: Request<Outgoing>,
    base: &(Scheme, Authority),
    headers: Duration,
) -> Result<Response<Incoming>, Failure> {
    let mut sender = lease.sender();
    if let Err(error) = poll_fn(|cx| sender.poll_ready(cx)).await {
        lease.lane().close();
        return Err(Failure::Unsent(Box::new(request), error.to_string()));
    }
    let taken = super::now();
    let streamed = matches!(request.body(), Outgoing::Streamed(_));
    let (head, body) = head_for(request, base)?;
    let bodiless = body.is_finished();
    let (response, stream) = sender
        .send_request(head, bodiless)
        .map_err(|error| Failure::Failed(fault_of(&error, Stage::NotSent)))?;
    drop(sender);
    let mut sending = Sending { stream, body, chunk: Bytes::new(), bytes: 0, finished: bodiless };
    let mut response = pin!(response);
    let mut patience = pin!(Patience::new(headers, streamed));
    let outcome = poll_fn(|cx| {
        if let Poll::Ready(Err(error)) = sending.poll(cx) {
            return Poll::Ready(Err(error));
        }
        if let Poll::Ready(answer) = response.as_mut().poll(cx) {
            return Poll::Ready(answer.map(Some).map_err(|error| fault_of(&error, sending.stage())));
        }
        let sent = Sent { bytes: sending.bytes, finished: sending.finished };
        patience.as_mut().poll_over(cx, sent).map(|()| Ok(None))
    })
    .await;
    match outcome {
        Ok(Some(answer)) => {
            lease.lane().hear();
            let (parts, stream) = answer.into_parts();
            let length = length_of(&parts.headers);
            let receiving = Receiving { stream, length, phase: Phase::Data, sending: Some(sending), lease };
            let body = if receiving.is_ended() { Incoming::empty() } else { Incoming::http2(receiving) };
            Ok(Response::from_parts(parts, body))
        }
        Ok(None) => {
            // It may be this one request that is slow; a PING tells.
            lease.lane().suspect();
            let silent = lease.lane().is_silent_since(taken);
            Err(Failure::Failed(CallError {
                fault: Fault::HeadersTimeout,
                stage: sending.stage(),
                detail: format!("no response headers within {headers:?}"),
                doubt: if silent { Doubt::Connection } else { Doubt::Upstream },
            }))
        }
        Err(error) => Err(Failure::Failed(error)),
    }
}

/// The request's head as HTTP/2 wants it: an absolute URI and no fields of a connection.
fn head_for(
    request: Request<Outgoing>,
    base: &(Scheme, Authority),
) -> Result<(Request<()>, Outgoing), Failure> {
    let (mut parts, body) = request.into_parts();
    for name in &CONNECTION_FIELDS {
        parts.headers.remove(name);
    }
    if parts.headers.get(TE).is_some_and(|te| te != "trailers") {
        parts.headers.remove(TE);
    }
    let named = parts.headers.remove(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    parts.uri = Uri::builder()
        .scheme(base.0.clone())
        .authority(named.unwrap_or_else(|| base.1.clone()))
        .path_and_query(path)
        .build()
        .map_err(|error| Failure::Failed(CallError::unsent(Fault::BadRequest, error.to_string())))?;
    parts.version = Version::HTTP_2;
    if let Some(length) = body.hint().exact()
        && (length != 0 || matches!(parts.method, Method::POST | Method::PUT | Method::PATCH))
        && !parts.headers.contains_key(CONTENT_LENGTH)
    {
        parts.headers.insert(CONTENT_LENGTH, length.into());
    }
    Ok((Request::from_parts(parts, ()), body))
}

fn length_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// `REFUSED_STREAM`, and a `GOAWAY` that a stream itself gets to see, which names only streams that the
/// peer has not acted upon (RFC 9113 §6.8, §8.7).
fn fault_of(error: &h2::Error, stage: Stage) -> CallError {
    let refused = error.is_reset() && error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM);
    let fault = if refused || (error.is_go_away() && error.is_remote()) {
        Fault::NotProcessed
    } else if error.is_library() {
        Fault::Protocol
    } else if stage == Stage::NotSent {
        Fault::NotProcessed
    } else {
        Fault::Reset
    };
    CallError { fault, stage, detail: error.to_string(), doubt: Doubt::Upstream }
}

/// What is left of a request's body, and where it goes.
struct Sending {
    stream: SendStream<Bytes>,
    body: Outgoing,
    /// Taken from the body, and waiting for the peer's window.
    chunk: Bytes,
    bytes: u64,
    finished: bool,
}

impl Sending {
    /// Moves as much as the peer takes. `Ready(Ok)` when nothing is left to send. The error is only ever
    /// the body's own; what the peer thinks of the stream, the response tells.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        while !self.finished {
            if !self.chunk.is_empty() {
                self.stream.reserve_capacity(self.chunk.len());
                let mut granted = self.stream.capacity();
                if granted == 0 {
                    let Some(Ok(more)) = ready!(self.stream.poll_capacity(cx)) else {
                        self.finished = true;
                        break;
                    };
                    granted = more;
                }
                let piece = self.chunk.split_to(granted.min(self.chunk.len()));
                self.bytes += piece.len() as u64;
                let last = self.chunk.is_empty() && self.body.is_finished();
                self.finished = self.stream.send_data(piece, last).is_err() || last;
                continue;
            }
            match ready!(self.body.poll_next(cx)) {
                None => {
                    let _ = self.stream.send_data(Bytes::new(), true);
                    self.finished = true;
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() && self.body.is_finished() => {
                        let _ = self.stream.send_data(data, true);
                        self.finished = true;
                    }
                    Ok(data) => self.chunk = data,
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            let _ = self.stream.send_trailers(trailers);
                            self.finished = true;
                        }
                    }
                },
                Some(Err(error)) => {
                    self.stream.send_reset(Reason::CANCEL);
                    self.finished = true;
                    let detail = format!("the request's body failed: {error}");
                    return Poll::Ready(Err(CallError {
                        fault: Fault::Cancelled,
                        stage: Stage::Sending,
                        detail,
                        doubt: Doubt::Upstream,
                    }));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn stage(&self) -> Stage {
        if self.finished { Stage::Waiting } else { Stage::Sending }
    }
}

/// The part of a response that is still to come. Dropped early it resets the stream (`CANCEL`).
pub(super) struct Receiving {
    stream: RecvStream,
    /// As `Content-Length` promised, less what has come.
    length: Option<u64>,
    phase: Phase,
    /// The request's body, where the answer came before its end.
    sending: Option<Sending>,
    lease: Lease,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Data,
    Trailers,
    Over,
}

impl Receiving {
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(sending) = &mut self.sending
            && sending.poll(cx).is_ready()
        {
            self.sending = None;
        }
        if self.phase == Phase::Data {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    let n = data.len();
                    self.lease.lane().hear();
                    self.length = self.length.map(|length| length.saturating_sub(n as u64));
                    // It fails only on a stream that is over, where there is nothing to release.
                    let _ = self.stream.flow_control().release_capacity(n);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(self.fail(&error)),
                None => self.phase = Phase::Trailers,
            }
        }
        if self.phase == Phase::Trailers {
            let trailers = ready!(self.stream.poll_trailers(cx));
            self.phase = Phase::Over;
            return Poll::Ready(match trailers {
                Ok(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
                Err(error) => self.fail(&error),
            });
        }
        Poll::Ready(None)
    }

    fn fail(&mut self, error: &h2::Error) -> Option<Result<Frame<Bytes>, Broken>> {
        self.phase = Phase::Over;
        match error.reason() {
            // "The answer is complete, stop sending" (RFC 9113 §8.1).
            Some(Reason::NO_ERROR) if error.is_reset() => None,
            _ if error.is_library() => Some(Err(Broken::Malformed)),
            _ => Some(Err(Broken::Cut)),
        }
    }

    /// Of an answer that nobody reads any more. Where its last byte came and the end of its stream is a frame of its
    /// own, that is on its way: a stream that is reset just before it counts against us with a peer who fears floods of
    /// resets.
    pub(super) fn see_its_end(mut self) {
        if self.poll_rest(&mut Context::from_waker(Waker::noop())).is_ready() || self.length != Some(0) {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(LAST_FRAME, poll_fn(move |cx| self.poll_rest(cx))));
        }
    }

    /// Until there is no more of it, or it goes on.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.is_ended() && self.sending.is_none() {
            match ready!(self.poll_frame(cx)) {
                Some(Ok(frame)) if frame.data_ref().is_some_and(|data| !data.is_empty()) => break,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            }
        }
        Poll::Ready(())
    }

    pub(super) fn is_ended(&self) -> bool {
        self.phase == Phase::Over || self.stream.is_end_stream()
    }

    pub(super) fn hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
