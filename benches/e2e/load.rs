//! The load: chat completions at a fixed rate over keep-alive HTTP/1.1, every answer checked. Prints
//! one line of JSON.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use crate::payload::{self, Ask};
use crate::{Flood, Rate, pacer};

type Connection = SendRequest<Full<Bytes>>;

/// Whole answers: how long each took, counted from when it was due.
pub async fn unary(rate: &Rate) -> anyhow::Result<()> {
    open_loop(rate, Ask::Unary, unary_once).await
}

/// Whole answers as fast as they come, one after the other on each connection. For CPU per request
/// when a gateway has much to do at once; its latencies mean little.
pub async fn flood(flood: &Flood) -> anyhow::Result<()> {
    let idle = Rc::new(Idle { to: flood.to, ready: RefCell::default(), opened: RefCell::default() });
    for _ in 0..flood.connections {
        idle.give_back(connect(flood.to).await?);
    }
    let body = Ask::Unary.body();
    let left = Rc::new(Cell::new(flood.count));
    let local = LocalSet::new();
    let ended = local
        .run_until(async {
            let mut workers = JoinSet::new();
            for _ in 0..flood.connections {
                let (idle, body, left) = (Rc::clone(&idle), body.clone(), Rc::clone(&left));
                workers.spawn_local(async move {
                    let mut ended = Vec::new();
                    while left.get() > 0 {
                        left.set(left.get() - 1);
                        ended.push(unary_once(Rc::clone(&idle), body.clone(), pacer::now()).await);
                    }
                    ended
                });
            }
            workers.join_all().await
        })
        .await;
    let (good, bad): (Vec<_>, Vec<_>) = ended.into_iter().flatten().partition(Result::is_ok);
    let failures: Vec<_> =
        bad.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    let opened = *idle.opened.borrow();
    report(Ask::Unary, good.into_iter().flatten().collect(), &failures, opened);
    Ok(())
}

/// Streams: how long each took to its first event.
pub async fn stream(rate: &Rate) -> anyhow::Result<()> {
    open_loop(rate, Ask::Stream, stream_once).await
}

/// Streams that fall silent; says `ready` once all of them have, and lets go when told to.
pub async fn hold(rate: &Rate) -> anyhow::Result<()> {
    let mut due = pacer::start(rate.per_second, rate.count);
    let mut opening = JoinSet::new();
    while due.recv().await.is_some() {
        opening.spawn(hold_once(rate.to));
    }
    let mut held = Vec::new();
    while let Some(opened) = opening.join_next().await {
        held.push(opened??);
    }
    println!("{}", json!({"held": held.len()}));
    crate::parent_is_gone().await;
    Ok(())
}

/// Connections that nobody uses right now, shared by the requests of one thread.
struct Idle {
    to: SocketAddr,
    ready: RefCell<VecDeque<Connection>>,
    opened: RefCell<u32>,
}

impl Idle {
    /// The one that has waited longest, so that all of them are in use; a new one when none is left.
    async fn take(&self) -> anyhow::Result<Connection> {
        loop {
            let waiting = self.ready.borrow_mut().pop_front();
            match waiting {
                Some(connection) if connection.is_closed() => {}
                Some(connection) => return Ok(connection),
                None => break,
            }
        }
        *self.opened.borrow_mut() += 1;
        connect(self.to).await
    }

    fn give_back(&self, connection: Connection) {
        self.ready.borrow_mut().push_back(connection);
    }
}

async fn open_loop<F>(rate: &Rate, ask: Ask, once: fn(Rc<Idle>, Bytes, Instant) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<Duration>> + 'static,
{
    let idle = Rc::new(Idle { to: rate.to, ready: RefCell::default(), opened: RefCell::default() });
    for _ in 0..rate.connections {
        idle.give_back(connect(rate.to).await?);
    }
    let body = ask.body();
    let local = LocalSet::new();
    let (latencies, failures) = local
        .run_until(async {
            let mut due = pacer::start(rate.per_second, rate.count);
            let mut running = JoinSet::new();
            let (mut latencies, mut failures) = (Vec::new(), Vec::new());
            let mut book = |ended: Result<anyhow::Result<Duration>, tokio::task::JoinError>| match ended {
                Ok(Ok(latency)) => latencies.push(latency),
                Ok(Err(error)) => failures.push(format!("{error:#}")),
                Err(error) => failures.push(error.to_string()),
            };
            while let Some(due) = due.recv().await {
                running.spawn_local(once(Rc::clone(&idle), body.clone(), due));
                while let Some(ended) = running.try_join_next() {
                    book(ended);
                }
            }
            while let Some(ended) = running.join_next().await {
                book(ended);
            }
            (latencies, failures)
        })
        .await;
    let opened = *idle.opened.borrow();
    report(ask, latencies, &failures, opened);
    Ok(())
}

fn report(ask: Ask, mut latencies: Vec<Duration>, failures: &[String], opened: u32) {
    latencies.sort_unstable();
    let at = |q: f64| {
        let rank = (latencies.len() as f64 * q).ceil() as usize;
        latencies.get(rank.saturating_sub(1)).map(|latency| latency.as_secs_f64() * 1000.0)
    };
    let report = json!({
        "good": latencies.len(),
        "chunks": if ask == Ask::Unary { 0 } else { latencies.len() * payload::STREAM_EVENTS },
        "bad": failures.len(),
        "first_failures": failures.iter().take(3).collect::<Vec<_>>(),
        "connections_opened_later": opened,
        "p50_ms": at(0.5),
        "p90_ms": at(0.9),
        "p99_ms": at(0.99),
        "max_ms": at(1.0),
    });
    println!("{report}");
}

async fn unary_once(idle: Rc<Idle>, body: Bytes, due: Instant) -> anyhow::Result<Duration> {
    let mut connection = idle.take().await?;
    let answer = send(&mut connection, body).await?;
    let body = answer.into_body().collect().await?.to_bytes();
    let latency = pacer::since(due);
    ensure!(body == *payload::COMPLETION, "{} bytes that were not sent", body.len());
    idle.give_back(connection);
    Ok(latency)
}

async fn stream_once(idle: Rc<Idle>, body: Bytes, due: Instant) -> anyhow::Result<Duration> {
    let mut connection = idle.take().await?;
    let mut answer = send(&mut connection, body).await?.into_body();
    let mut rest = &payload::STREAM[..];
    let mut first = None;
    while let Some(frame) = answer.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        first.get_or_insert_with(|| pacer::since(due));
        rest = rest.strip_prefix(&data[..]).context("bytes that were not sent")?;
    }
    ensure!(rest.is_empty(), "{} bytes are missing at the end", rest.len());
    idle.give_back(connection);
    first.context("an empty stream")
}

/// What keeps a stream open.
type Held = (Connection, Incoming);

async fn hold_once(to: SocketAddr) -> anyhow::Result<Held> {
    let mut connection = connect(to).await?;
    let mut answer = send(&mut connection, Ask::Hold.body()).await?.into_body();
    let mut awaited: usize = payload::EVENTS.iter().take(payload::HOLD_EVENTS).map(Bytes::len).sum();
    while awaited > 0 {
        let Some(frame) = answer.frame().await else { bail!("the stream ended") };
        let length = frame?.data_ref().map_or(0, Bytes::len);
        awaited = awaited.checked_sub(length).context("more than was sent")?;
    }
    Ok((connection, answer))
}

async fn connect(to: SocketAddr) -> anyhow::Result<Connection> {
    let socket = TcpStream::connect(to).await.context("connect")?;
    socket.set_nodelay(true)?;
    let (connection, driver) = http1::handshake(TokioIo::new(socket)).await?;
    // Its errors reach the request that suffers from them.
    tokio::spawn(async { driver.await.ok() });
    Ok(connection)
}

async fn send(connection: &mut Connection, body: Bytes) -> anyhow::Result<Response<Incoming>> {
    connection.ready().await?;
    let request = Request::post("/v1/chat/completions")
        .header(header::HOST, "bench.localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, "Bearer bench-0123456789abcdef")
        .header(header::USER_AGENT, "mainstay-bench")
        .header(header::ACCEPT, "application/json")
        .body(Full::new(body))?;
    let answer = connection.send_request(request).await?;
    ensure!(answer.status() == StatusCode::OK, "status {}", answer.status());
    Ok(answer)
}
