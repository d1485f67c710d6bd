//! The operators' connections: taken in, bounded in number and in time, whoever is at the other end.
//!
//! There is no address that is trusted here: what comes to the admin port may be anybody's. Heads, bodies and readers
//! have the deadlines that callers' have. Where all places are taken, whoever has been silent for longest gives his up,
//! so that a crowd of connections that say nothing does not keep Prometheus and probes out. What is asked is `admin`'s
//! affair, and so is who may ask it, which a certificate of his may say; there is no HTTP/2.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep, timeout};
use tower::ServiceExt;

use super::certified;
use super::conduct::{Conduct, Exchange, Patience};
use super::guard;
use super::lifecycle::{Lifecycle, Stage};
use super::line::{Line, Place};
use super::listen::{PAUSE, is_the_callers, tune};
use super::places::Places;
use super::tasks::Tasks;
use super::tls::Certificate;
use crate::admin::Certified;
use crate::config::Limits;
use crate::proxy::Gateway;

/// Of a request's head: as the defaults of `server.limits`.
const MAX_HEADERS: u32 = 100;
const MAX_HEADER_BYTES: u64 = 32 * 1024;
const MAX_URI: u64 = 8 * 1024;
/// Connections at the same moment: operators, Prometheus and probes are few.
const MOST: usize = 128;
/// Bytes of heads that a connection holds at most.
const BUFFER: usize = 64 * 1024;
/// Connections look at the clock this often.
const LOOK: Duration = Duration::from_secs(1);
/// After a goodbye that nobody answers.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// All of them.
pub struct Console {
    gateway: Arc<Gateway>,
    lifecycle: Arc<Lifecycle>,
    router: Router,
    places: Arc<Places>,
    /// Those that may be asked to leave.
    seats: Mutex<Vec<Arc<Seat>>>,
}

/// One of them, as the others see it.
struct Seat {
    conduct: Arc<Conduct>,
    asked_to_leave: Notify,
}

/// What a connection is told.
enum Event {
    Ended,
    AskedToLeave,
    Closing,
    Look,
}

impl Console {
    pub fn new(gateway: Arc<Gateway>, lifecycle: Arc<Lifecycle>, router: Router) -> Arc<Self> {
        Arc::new(Self { gateway, lifecycle, router, places: Arc::default(), seats: Mutex::default() })
    }

    /// Accepts until the process is gone.
    pub async fn accept(self: Arc<Self>, listener: TcpListener, certificate: Option<Arc<Certificate>>) {
        let mut gone = pin!(self.lifecycle.reached(Stage::Gone));
        loop {
            // An accept that loses takes nothing from the backlog.
            let accepted = tokio::select! {
                () = &mut gone => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    tokio::select! {
                        () = &mut gone => return,
                        () = self.room() => {}
                    }
                    tune(&stream);
                    match &certificate {
                        Some(certificate) => self.open_tls(stream, peer, certificate),
                        None => self.open(stream, peer),
                    }
                }
                Err(error) if is_the_callers(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "the admin listener cannot accept connections");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Waits until there is a place; whoever is silent makes one.
    async fn room(&self) {
        while self.places.open() >= MOST {
            self.turn_out();
            // All of them may be in the middle of a request, one of which ends.
            let _ = timeout(LOOK, self.places.fewer_than(|| MOST)).await;
        }
    }

    /// Asks the one to leave who would have to leave first for being silent.
    fn turn_out(&self) {
        let mut seats = self.seats.lock();
        let silent = seats.iter().enumerate().filter_map(|(at, seat)| Some((seat.conduct.due()?, at)));
        if let Some((_, at)) = silent.min() {
            seats.swap_remove(at).asked_to_leave.notify_one();
        }
    }

    /// Serves a connection; there has to be a place for it.
    fn open<T>(self: &Arc<Self>, io: T, peer: SocketAddr)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (asked, place) = self.seat(peer);
        Tasks::spawn_connection(asked.serve(io, place));
    }

    /// As [`Console::open`], once both sides know whom they have before them.
    fn open_tls(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, certificate: &Certificate) {
        let (mut asked, place) = self.seat(peer);
        let acceptor = certificate.acceptor();
        Tasks::spawn_connection(async move {
            let (console, seat) = (Arc::clone(&asked.console), Arc::clone(&asked.seat));
            // Whoever has to leave in the middle of a handshake has asked for nothing.
            let shaken = tokio::select! {
                () = console.lifecycle.reached(Stage::Gone) => return,
                () = seat.asked_to_leave.notified() => return,
                shaken = timeout(asked.header_read, acceptor.accept(stream)) => shaken,
            };
            match shaken {
                Ok(Ok(stream)) => {
                    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                    asked.certified = shown.map(|shown| Certified(certified::names(shown).into()));
                    asked.serve(stream, place).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "an operator's TLS handshake failed"),
                Err(_) => tracing::debug!("an operator's TLS handshake took too long"),
            }
        });
    }

    /// A new connection's, with the place that it takes.
    fn seat(self: &Arc<Self>, peer: SocketAddr) -> (Asked, Place) {
        let snapshot = self.gateway.snapshot();
        let server = &snapshot.table.server;
        let conduct = Conduct::new(&self.gateway.live, &server.timeouts, 2 * BUFFER);
        let seat = Arc::new(Seat { conduct, asked_to_leave: Notify::new() });
        self.seats.lock().push(Arc::clone(&seat));
        let asked = Asked {
            console: Arc::clone(self),
            seat,
            // Whatever callers are held to, a browser and a probe come in.
            limits: Limits {
                max_headers: MAX_HEADERS,
                max_header_bytes: MAX_HEADER_BYTES,
                max_uri: MAX_URI,
                ..server.limits.clone()
            },
            header_read: server.timeouts.header_read,
            body_read: server.timeouts.body_read,
            write_stall: server.timeouts.write_stall,
            peer,
            certified: None,
        };
        (asked, Box::new(self.places.take()))
    }
}

/// What one connection's requests have in common.
struct Asked {
    console: Arc<Console>,
    seat: Arc<Seat>,
    limits: Limits,
    header_read: Duration,
    body_read: Duration,
    write_stall: Duration,
    peer: SocketAddr,
    /// What the certificate calls him that he has shown.
    certified: Option<Certified>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.console.seats.lock().retain(|seat| !Arc::ptr_eq(seat, &self.seat));
    }
}

impl Asked {
    async fn serve<T>(self, io: T, place: Place)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let line = Line::new(io, Arc::clone(&self.seat.conduct), self.write_stall, Some(place));
        let live = &self.console.gateway.live;
        let conduct = &self.seat.conduct;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(BUFFER);
        let mut served =
            pin!(builder.serve_connection(TokioIo::new(line), service_fn(|request| self.answer(request))));
        let mut gone = pin!(self.console.lifecycle.reached(Stage::Gone));
        let mut asked_to_leave = pin!(self.seat.asked_to_leave.notified());
        loop {
            let event = tokio::select! {
                _ = served.as_mut() => Event::Ended,
                () = asked_to_leave.as_mut() => Event::AskedToLeave,
                () = gone.as_mut() => Event::Closing,
                () = sleep(LOOK) => Event::Look,
            };
            let is_over = match event {
                Event::Ended => return,
                // What has begun meanwhile is answered.
                Event::AskedToLeave | Event::Closing => true,
                Event::Look => match conduct.patience(live.now()) {
                    Patience::Until(_) => false,
                    Patience::Stuck => return,
                    Patience::Idle => true,
                },
            };
            if is_over {
                if conduct.is_idle() {
                    return;
                }
                served.as_mut().graceful_shutdown();
                let _ = timeout(LAST_WORDS, served.as_mut()).await;
                return;
            }
        }
    }

    /// What a request comes to; none is under way before its head was looked at.
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Kept>, Infallible>> + Send + use<> {
        let checked = guard::check(&request, &self.limits, &self.seat.conduct);
        let exchange = self.seat.conduct.begin();
        let answer = match checked {
            Ok(()) => {
                let late = Box::pin(sleep(self.body_read));
                let mut request = request.map(|body| axum::body::Body::new(Timely { body, late }));
                request.extensions_mut().insert(ConnectInfo(self.peer));
                if let Some(certified) = &self.certified {
                    request.extensions_mut().insert(certified.clone());
                }
                Ok(self.console.router.clone().oneshot(request))
            }
            Err(refused) => Err(refused.answer(&request, &self.limits, &self.console.gateway.live)),
        };
        async move {
            let response = match answer {
                Ok(answer) => answer.await?,
                Err(refusal) => refusal.map(axum::body::Body::new),
            };
            Ok(response.map(|content| Kept { content, _exchange: exchange }))
        }
    }
}

/// An answer, which is a request under way until all of it is gone.
struct Kept {
    content: axum::body::Body,
    _exchange: Exchange,
}

impl Body for Kept {
    type Data = <axum::body::Body as Body>::Data;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.get_mut().content).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

/// A request's body, all of which has to come in time: it is small.
struct Timely {
    body: Incoming,
    late: Pin<Box<Sleep>>,
}

impl Body for Timely {
    type Data = <Incoming as Body>::Data;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let late =
            || io::Error::new(io::ErrorKind::TimedOut, "the body took longer than server.timeouts.body_read");
        this.late.as_mut().poll(cx).map(|()| Some(Err(late().into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::super::testing::{Bench, FILE, read_to};
    use super::*;
    use crate::algo::tick::Tick;

    const GET: &str = "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
    const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    fn console() -> (Bench, Arc<Console>) {
        let bench = Bench::start(FILE);
        let host = &bench.host;
        let router = Router::new()
            .route("/metrics", get(async || "of metrics"))
            .route("/long", get(async || "x".repeat(1 << 20)))
            .route("/body", post(async |body: Bytes| body.len().to_string()));
        let console = Console::new(Arc::clone(host.gateway()), Arc::clone(&host.lifecycle), router);
        (bench, console)
    }

    /// A new connection that has sent this.
    async fn connect(console: &Arc<Console>, sent: &str) -> DuplexStream {
        let (mut ours, theirs) = duplex(4096);
        console.room().await;
        console.open(theirs, PEER);
        ours.write_all(sent.as_bytes()).await.expect("it is open");
        ours
    }

    fn now(console: &Console) -> Tick {
        console.gateway.live.now()
    }

    /// How long until the other end is closed.
    async fn ends(console: &Console, stream: &mut DuplexStream) -> Duration {
        let begun = now(console);
        let mut rest = Vec::new();
        let _ = timeout(Duration::from_mins(10), stream.read_to_end(&mut rest)).await.expect("it ends");
        now(console).since(begun)
    }

    #[tokio::test(start_paused = true)]
    async fn operators_have_the_deadlines_of_callers() {
        let (_bench, console) = console();
        let within = |least: u64, took: Duration| (least..least + 3).contains(&took.as_secs());
        for silent in ["", "GET /metrics HT", "GET /metrics HTTP/1.1\r\nhost: localhost\r\n"] {
            let took = ends(&console, &mut connect(&console, silent).await).await;
            assert!(within(10, took), "{silent:?}: {took:?}");
        }
        let mut idle = connect(&console, GET).await;
        read_to(&mut idle, "of metrics").await;
        let took = ends(&console, &mut idle).await;
        assert!(within(75, took), "{took:?}");
        let slow = "POST /body HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nabc";
        let mut slow = connect(&console, slow).await;
        let begun = now(&console);
        read_to(&mut slow, "HTTP/1.1 400").await;
        assert!(within(30, now(&console).since(begun)));
        drop(slow);
        // Who does not read is given up, with what he had asked for.
        let deaf = connect(&console, "GET /long HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        let begun = now(&console);
        console.places.emptied().await;
        assert!(within(30, now(&console).since(begun)), "{:?}", now(&console).since(begun));
        assert!(console.seats.lock().is_empty());
        drop(deaf);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_says_nothing_makes_room_for_whoever_asks() {
        let (_bench, console) = console();
        let mut prometheus = connect(&console, GET).await;
        read_to(&mut prometheus, "of metrics").await;
        let mut crowd = Vec::new();
        let begun = now(&console);
        for number in 0..MOST * 3 {
            crowd.push(connect(&console, "GET /metrics HTTP/1.1\r\nx: ").await);
            assert!(console.places.open() <= MOST, "{number}");
        }
        let mut probe = connect(&console, GET).await;
        read_to(&mut probe, "of metrics").await;
        prometheus.write_all(GET.as_bytes()).await.expect("it is open still");
        read_to(&mut prometheus, "of metrics").await;
        assert!(now(&console).since(begun) < Duration::from_secs(1), "{:?}", now(&console).since(begun));
        assert_eq!(console.places.open(), MOST);
        drop((crowd, probe, prometheus));
        console.places.emptied().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_could_be_read_in_two_ways_is_refused() {
        let (_bench, console) = console();
        let head = "POST /body HTTP/1.1\r\nhost: a\r\nhost: b\r\ncontent-length: 0\r\n\r\n";
        let mut stream = connect(&console, head).await;
        read_to(&mut stream, "HTTP/1.1 400").await;
    }
}
