//! The tower layers round the gateway, and the body that leaves it.
//!
//! There is one layer: a panic becomes a 500 in JSON and a log line, never a connection that just ends.
//! What needs to know callers, routes or dialects is not a layer; it is the gateway's own plain code.

use std::any::Any;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tower::{Layer, Service};
use tower_http::BoxError;
use tower_http::body::UnsyncBoxBody;
use tower_http::catch_panic::{CatchPanic, CatchPanicLayer};

use super::conduct::Exchange;
use super::streams::Handed;
use crate::dialect::Dialect;
use crate::dialect::trouble::{self, Kind, Trouble};
use crate::proxy::{Gateway, Reply};

/// The gateway as the connections see it.
pub(super) type Edge = CatchPanic<Inside, fn(Box<dyn Any + Send>) -> Response<Full<Bytes>>>;

pub(super) fn edge(gateway: Arc<Gateway>) -> Edge {
    let on_panic: fn(Box<dyn Any + Send>) -> Response<Full<Bytes>> = on_panic;
    CatchPanicLayer::custom(on_panic).layer(Inside(gateway))
}

/// What a panic said goes to the log alone: it may quote the request.
fn on_panic(panic: Box<dyn Any + Send>) -> Response<Full<Bytes>> {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(panic = said, "a request panicked; the caller got a 500");
    let message = "the gateway failed on this request; its log says more".to_owned();
    let trouble = Trouble { kind: Kind::Internal, message, code: None, param: None };
    let mut response = Response::new(Full::new(trouble::render(&trouble, Dialect::Http, "")));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// [`Gateway::serve`] as a tower service.
#[derive(Clone)]
pub(super) struct Inside(Arc<Gateway>);

impl Service<Request<Incoming>> for Inside {
    type Response = Response<Reply>;
    type Error = Infallible;
    /// Boxed for one request at a time: a connection that streams, or idles, then holds no room for it.
    type Future = Pin<Box<dyn Future<Output = Result<Response<Reply>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let gateway = Arc::clone(&self.0);
        Box::pin(async move { Ok(gateway.serve(request).await) })
    }
}

/// A body on its way to the caller. Its end is the end of the exchange.
pub(super) struct Answer {
    content: Either<UnsyncBoxBody<Bytes, BoxError>, Full<Bytes>>,
    handed: Option<Arc<Handed>>,
    _exchange: Exchange,
}

impl Answer {
    pub(super) fn new(
        content: Either<UnsyncBoxBody<Bytes, BoxError>, Full<Bytes>>,
        handed: Option<Arc<Handed>>,
        exchange: Exchange,
    ) -> Self {
        Self { content, handed, _exchange: exchange }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.content).poll_frame(cx);
        if let Some(handed) = &self.handed {
            handed.set(matches!(&frame, Poll::Ready(Some(Ok(frame))) if frame.is_data()));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}
