//! The room against scripted peers: in memory under paused time, and on loopback sockets where the
//! kernel's part is the point.

mod codec;
mod fetching;
mod http1;
mod http2;
mod laws;
mod probing;
mod proxied;
mod secured;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::config::{self, Http2};
use crate::vocab::{Fault, Stage};

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn settings() -> config::Pool {
    config::Pool {
        max_connections: 512,
        max_idle: 64,
        idle_timeout: 60 * SECOND,
        max_lifetime: 600 * SECOND,
        lifetime_jitter: 0.1,
        max_requests: 10_000,
        reuse_safe_idle: 4 * SECOND,
        http2: Http2::Auto,
    }
}

pub(super) fn limits() -> CallLimits {
    CallLimits {
        connect: 3 * SECOND,
        tls: 5 * SECOND,
        pool_wait: 2 * SECOND,
        headers: 30 * SECOND,
        reuse: Reuse::Any,
    }
}

pub(super) fn careful() -> CallLimits {
    CallLimits { reuse: Reuse::SafeOnly, ..limits() }
}

pub(super) fn plain(host: &str, port: u16, http2: Http2) -> Target {
    Target {
        https: false,
        host: host.into(),
        port,
        http2,
        tls: None,
        server_name: None,
        aws_region: None,
        proxy: None,
        lookup: Arc::default(),
    }
}

pub(super) fn get(path: &str) -> Request<Outgoing> {
    Request::builder().uri(path).body(Outgoing::Empty).unwrap()
}

pub(super) fn post(body: &str) -> Request<Outgoing> {
    let body = Outgoing::Whole(Bytes::copy_from_slice(body.as_bytes()));
    Request::builder().method(Method::POST).uri("/").body(body).unwrap()
}

pub(super) async fn text(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.expect("the body is whole").to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Calls and reads the whole answer.
pub(super) async fn ask(pool: &Arc<Pool>, path: &str) -> String {
    text(pool.call(get(path), limits()).await.expect("an answer")).await
}

pub(super) fn answer(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// One request's head and body, or `None` at the connection's end.
pub(super) async fn read_request<S: AsyncRead + Unpin>(io: &mut S) -> Option<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if io.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        request.push(byte[0]);
    }
    let head = String::from_utf8(request).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    io.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

/// Answers every request with `answer`'s words until the caller goes.
pub(super) async fn serve<S>(mut io: S, reply: impl Fn(&str) -> Vec<u8>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(request) = read_request(&mut io).await {
        if io.write_all(&reply(&request)).await.is_err() {
            return;
        }
    }
}

type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A dialer whose peers live in memory: each connection is served by `script`, which learns the
/// connection's number.
pub(super) struct Memory {
    script: Box<dyn Fn(usize, DuplexStream) -> Served + Send + Sync>,
    dials: AtomicUsize,
    open: Arc<AtomicUsize>,
}

impl Memory {
    pub(super) fn serving<F>(script: impl Fn(usize, DuplexStream) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let script = Box::new(move |n, io| Box::pin(script(n, io)) as Served);
        Arc::new(Self { script, dials: AtomicUsize::new(0), open: Arc::default() })
    }

    /// Connections that still have somebody at our end.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }

    pub(super) fn pool(self: &Arc<Self>, settings: config::Pool) -> Arc<Pool> {
        let target = plain("peer.test", 80, settings.http2);
        Pool::new("peer".into(), target, settings, Arc::clone(self) as Arc<dyn Dial>)
    }
}

impl Dial for Memory {
    fn dial(&self, _: Arc<Target>) -> Dialing {
        let n = self.dials.fetch_add(1, Ordering::SeqCst);
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (script, open) = ((self.script)(n, theirs), Arc::clone(&self.open));
        open.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            script.await;
            open.fetch_sub(1, Ordering::SeqCst);
        });
        Box::pin(async move { Ok(Box::new(ours) as Box<dyn Socket>) })
    }
}

/// A listener on the loopback.
pub(super) struct Peer {
    pub(super) port: u16,
    _tasks: JoinSet<()>,
}

impl Peer {
    pub(super) async fn serving<F>(script: impl Fn(usize, TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut accepted = 0;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                connections.spawn(script(accepted, stream));
                accepted += 1;
            }
        });
        Self { port, _tasks: tasks }
    }

    pub(super) fn pool(&self, settings: config::Pool) -> Arc<Pool> {
        let target = plain("127.0.0.1", self.port, settings.http2);
        Pool::new("peer".into(), target, settings, Arc::new(TcpDial))
    }
}

/// Waits until nothing is in use, then until nothing is kept, and fails if that does not come.
pub(super) async fn comes_to_rest(pool: &Arc<Pool>) {
    pool.close_idle();
    for _ in 0..200 {
        if pool.counts() == PoolCounts::default() {
            return;
        }
        pool.close_idle();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never at rest: {:?}", pool.counts());
}

/// The gauges while exactly these HTTP/1.1 connections exist.
pub(super) fn counts(idle: usize, in_use: usize) -> PoolCounts {
    PoolCounts { idle, in_use, ..PoolCounts::default() }
}

pub(super) fn fault(result: Result<Response<Incoming>, CallError>) -> (Fault, Stage) {
    let error = result.expect_err("no answer");
    (error.fault, error.stage)
}
