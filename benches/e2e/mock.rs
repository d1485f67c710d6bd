//! An upstream that costs little and says exactly what [`payload`](crate::payload) has.
//!
//! `GET /count` tells how many completions were asked for, so that a retry nobody saw is seen.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::{Interval, interval};

use crate::payload::{self, Ask};

static COMPLETIONS: AtomicU64 = AtomicU64::new(0);

pub async fn serve(addresses: &[SocketAddr]) -> anyhow::Result<()> {
    for address in addresses {
        let listener = TcpListener::bind(address).await?;
        tokio::spawn(accept(listener));
    }
    println!("ready");
    crate::parent_is_gone().await;
    Ok(())
}

async fn accept(listener: TcpListener) {
    while let Ok((socket, _)) = listener.accept().await {
        // Without it, Nagle's algorithm holds small events back.
        let _ = socket.set_nodelay(true);
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service_fn(answer));
            // A gateway may hang up whenever it likes.
            let _ = connection.await;
        });
    }
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn answer(request: Request<Incoming>) -> Result<Answer, Infallible> {
    if request.method() == Method::GET {
        return Ok(whole(StatusCode::OK, COMPLETIONS.load(Relaxed).to_string().into()));
    }
    let body =
        request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    COMPLETIONS.fetch_add(1, Relaxed);
    Ok(match Ask::read(&body) {
        None => whole(
            StatusCode::BAD_REQUEST,
            Bytes::from_static(b"{\"error\":{\"message\":\"not what was sent\"}}"),
        ),
        Some(Ask::Unary) => whole(StatusCode::OK, payload::COMPLETION.clone()),
        Some(Ask::Stream) => events(End::Closed),
        Some(Ask::Hold) => events(End::Silent),
    })
}

fn whole(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body).boxed());
    *answer.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

fn events(end: End) -> Answer {
    let mut answer = Response::new(Events { tick: interval(payload::EVENT_GAP), next: 0, end }.boxed());
    let sse = header::HeaderValue::from_static("text/event-stream");
    answer.headers_mut().insert(header::CONTENT_TYPE, sse);
    answer
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// After the last event.
    Closed,
    /// After a few events nothing more comes.
    Silent,
}

/// The events, one chunk each, at their pace.
struct Events {
    tick: Interval,
    next: usize,
    end: End,
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.end == End::Silent && self.next == payload::HOLD_EVENTS {
            return Poll::Pending;
        }
        let Some(event) = payload::EVENTS.get(self.next) else { return Poll::Ready(None) };
        ready!(self.tick.poll_tick(cx));
        self.next += 1;
        Poll::Ready(Some(Ok(Frame::data(event.clone()))))
    }
}
