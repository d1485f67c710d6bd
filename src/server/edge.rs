//! The tower layers round the gateway, and the body that leaves it.
//!
//! There is one layer: a panic becomes a 500 in JSON and a log line, never a connection that just ends.
//! What needs to know callers, routes or dialects is not a layer; it is the gateway's own plain code.

use std::any::Any;
use std::convert::Infallible;
use std::net::IpAddr;
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
pub(super) type Edge = CatchPanic<Inside, OnPanic>;

/// `from` is the other end of the connection.
pub(super) fn edge(gateway: Arc<Gateway>, from: Option<IpAddr>) -> Edge {
    layered(Inside { gateway, from })
}

fn layered<S>(inner: S) -> CatchPanic<S, OnPanic> {
    CatchPanicLayer::custom(on_panic as OnPanic).layer(inner)
}

type OnPanic = fn(Box<dyn Any + Send>) -> Response<Full<Bytes>>;

/// What a panic said is shown to nobody: it may quote the request. The process's panic hook logs where
/// it happened.
fn on_panic(_: Box<dyn Any + Send>) -> Response<Full<Bytes>> {
    tracing::error!("a request panicked; the caller got a 500");
    let message = "the gateway failed on this request; its log says more".to_owned();
    let trouble = Trouble::new(Kind::Internal, message);
    let mut response = Response::new(Full::new(trouble::render(&trouble, Dialect::Http, "")));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// [`Gateway::serve`] as a tower service.
#[derive(Clone)]
pub(super) struct Inside {
    gateway: Arc<Gateway>,
    from: Option<IpAddr>,
}

impl Service<Request<Incoming>> for Inside {
    type Response = Response<Reply>;
    type Error = Infallible;
    /// Boxed for one request at a time: a connection that streams, or idles, then holds no room for it.
    type Future = Pin<Box<dyn Future<Output = Result<Response<Reply>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let (gateway, from) = (Arc::clone(&self.gateway), self.from);
        // Made where it is to be: made beside it, its ten thousand bytes would be copied, most of which hold nothing
        // yet.
        let made = Box::write(Box::new_uninit(), async move { Ok(gateway.serve(request, from).await) });
        Box::into_pin(made)
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

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    use tower::service_fn;

    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_answer_that_quotes_nothing() {
        let broken = service_fn(|request: Request<()>| async move {
            assert!(request.uri().path() == "/", "secret of the request");
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        });
        let request = Request::get("/x").body(()).unwrap();
        let response = layered(broken).oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert!(!body.to_string().contains("secret"), "{body}");
    }
}
