//! An upstream that keeps every request as it came, byte for byte, and answers what it was told to.
//!
//! The simulated upstreams remember no bodies, on purpose; this one exists for tests that ask what
//! exactly went up, and for answers that a well-behaved server would not give.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use mainstay::config::Http2;
use parking_lot::Mutex;
use tokio::io::DuplexStream;
use tokio::time::Sleep;

/// A request as it reached the upstream.
#[derive(Clone, Debug)]
pub struct Heard {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The body came to its proper end.
    pub whole: bool,
}

impl Heard {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What happens next in an answer's body.
#[derive(Clone, Debug)]
pub enum Step {
    Data(Bytes),
    Wait(Duration),
    Trailers(HeaderMap),
    /// Nothing more, and no end either.
    Hang,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Said {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub steps: Vec<Step>,
    /// The body is not read before the answer begins.
    pub impatient: bool,
}

impl Said {
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap();
        Self { status, headers: HeaderMap::new(), steps: Vec::new(), impatient: false }
    }

    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::status(status).header("content-type", "application/json").data(body)
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    #[must_use]
    pub fn data(self, bytes: impl Into<Bytes>) -> Self {
        self.step(Step::Data(bytes.into()))
    }

    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

pub struct Scribe {
    heard: Mutex<Vec<Heard>>,
    said: Mutex<Option<Said>>,
    /// Another answer for bodies that hold this.
    refusing: Mutex<Option<(Vec<u8>, Said)>>,
    cut_off: AtomicUsize,
}

impl Scribe {
    pub fn saying(said: Said) -> Arc<Self> {
        Arc::new(Self {
            heard: Mutex::default(),
            said: Mutex::new(Some(said)),
            refusing: Mutex::default(),
            cut_off: AtomicUsize::new(0),
        })
    }

    /// Whatever else it says: bodies that hold `mark` get this.
    pub fn refusing(&self, mark: &[u8], said: Said) {
        *self.refusing.lock() = Some((mark.to_vec(), said));
    }

    pub fn say(&self, said: Said) {
        *self.said.lock() = Some(said);
    }

    /// Nobody listens any more.
    pub fn refuse(&self) {
        *self.said.lock() = None;
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }

    /// The one request since the last look.
    pub fn only(&self) -> Heard {
        let mut heard = std::mem::take(&mut *self.heard.lock());
        assert_eq!(heard.len(), 1, "requests that reached the upstream");
        heard.remove(0)
    }

    /// Answers of which somebody asked for no end.
    pub fn cut_off(&self) -> usize {
        self.cut_off.load(Relaxed)
    }

    pub(super) fn serve(self: &Arc<Self>, io: DuplexStream, http2: Http2) -> io::Result<()> {
        if self.said.lock().is_none() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let scribe = Arc::clone(self);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let scribe = Arc::clone(&scribe);
                async move { Ok::<_, Infallible>(scribe.answer(request).await) }
            });
            let io = TokioIo::new(io);
            if http2 == Http2::PriorKnowledge {
                drop(http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await);
            } else {
                drop(http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, service).await);
            }
        });
        Ok(())
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Script> {
        let (head, body) = request.into_parts();
        let said = self.said.lock().clone();
        let Some(mut said) = said else { return pending().await };
        let mut heard = Heard {
            method: head.method,
            uri: head.uri,
            headers: head.headers,
            body: Bytes::new(),
            whole: false,
        };
        let reading = if said.impatient {
            self.heard.lock().push(heard);
            Some(body)
        } else {
            (heard.body, heard.whole) = read(body).await;
            if let Some((mark, refusal)) = &*self.refusing.lock()
                && heard.body.windows(mark.len()).any(|text| text == mark)
            {
                said = refusal.clone();
            }
            self.heard.lock().push(heard);
            None
        };
        let (steps, scribe) = (said.steps.into(), Arc::clone(&self));
        let mut response = Response::new(Script { steps, timer: None, _unread: reading, scribe });
        *response.status_mut() = said.status;
        *response.headers_mut() = said.headers;
        response
    }
}

async fn read(mut body: Incoming) -> (Bytes, bool) {
    let mut bytes = BytesMut::new();
    loop {
        match body.frame().await {
            None => return (bytes.freeze(), true),
            Some(Err(_)) => return (bytes.freeze(), false),
            Some(Ok(frame)) => bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
        }
    }
}

struct Script {
    steps: VecDeque<Step>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Kept open, or the connection would be closed for it.
    _unread: Option<Incoming>,
    scribe: Arc<Scribe>,
}

impl Drop for Script {
    fn drop(&mut self) {
        if !self.steps.is_empty() || self.timer.is_some() {
            self.scribe.cut_off.fetch_add(1, Relaxed);
        }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
                self.timer = None;
            }
            match self.steps.front() {
                None => return Poll::Ready(None),
                Some(Step::Hang) => return Poll::Pending,
                Some(Step::Wait(wait)) => self.timer = Some(Box::pin(tokio::time::sleep(*wait))),
                Some(Step::Data(data)) => {
                    let frame = Frame::data(data.clone());
                    self.steps.pop_front();
                    return Poll::Ready(Some(Ok(frame)));
                }
                Some(Step::Trailers(trailers)) => {
                    let frame = Frame::trailers(trailers.clone());
                    self.steps.pop_front();
                    return Poll::Ready(Some(Ok(frame)));
                }
            }
            if self.timer.is_some() {
                self.steps.pop_front();
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty()
    }
}
