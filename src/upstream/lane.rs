//! A shared HTTP/2 connection: who may use it, and the one task that drives it.
//!
//! On `h2` itself and not on hyper's client, which neither shows why a stream was refused, nor lets one
//! send a PING, nor tells how many streams the peer allows. The task ends with the connection.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Ping, PingPong};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use super::dial::Socket;
use super::now;
use super::pool::Pool;
use super::slot::Opening;

/// While streams are open the peer is asked this often whether it is there (RESILIENCE §4.14).
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// And has this long to answer; a suspect has no longer.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams before the peer has said how many it allows (RFC 9113 §6.5.2 recommends no less).
const STREAMS_BEFORE_SETTINGS: usize = 100;
/// Flow control: a stream's share, and the connection's. A slow reader holds at most the former.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// Most bytes of a response's head, as on HTTP/1.1.
const MAX_HEAD: u32 = 64 * 1024;
/// Request bytes that one stream may have waiting for the peer.
const SEND_BUFFER: usize = 256 * 1024;

/// One shared connection. When its last user is gone h2 closes it, and with that ends the task.
pub(super) struct Lane {
    send: SendRequest<Bytes>,
    standing: Arc<Standing>,
    requests: AtomicU32,
    max_requests: u32,
    retire_at: Instant,
    idle_since: Mutex<Instant>,
}

/// What the lane's users and its task tell each other.
#[derive(Default)]
struct Standing {
    streams: AtomicUsize,
    /// The peer's settings are known, so others than its opener may use it.
    settled: AtomicBool,
    /// It kept somebody waiting: no new streams until it answers a PING.
    suspect: AtomicBool,
    /// When the peer last said anything, once it has.
    heard: Mutex<Option<Instant>>,
    /// The task has ended.
    over: AtomicBool,
    /// Something changed that the task should look at.
    poke: Notify,
}

/// How full a lane may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// Four fifths of what the peer allows (gRFC A105): past that another connection is better.
    Comfortable,
    /// All of it, where no other connection can be had.
    Brimful,
}

/// Whether a stream is its connection's only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alone {
    No,
    Yes,
}

impl Lane {
    /// Exchanges the prefaces and starts the task. `opening` is resolved when the peer's settings are
    /// known, or with the connection's end.
    pub(super) async fn open(
        socket: Box<dyn Socket>,
        pool: &Arc<Pool>,
        permit: OwnedSemaphorePermit,
        opening: Option<Opening>,
        retire_at: Instant,
    ) -> Result<Arc<Self>, h2::Error> {
        let (send, mut connection) = h2::client::Builder::new()
            .enable_push(false)
            .initial_max_send_streams(STREAMS_BEFORE_SETTINGS)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEAD)
            .max_send_buffer_size(SEND_BUFFER)
            .handshake::<_, Bytes>(socket)
            .await?;
        let standing = Arc::new(Standing::default());
        let pings = connection.ping_pong().filter(|_| pool.allows_pings());
        standing.settled.store(pings.is_none(), Ordering::Release);
        let lane = Arc::new(Self {
            send,
            standing: Arc::clone(&standing),
            requests: AtomicU32::new(0),
            max_requests: pool.settings().max_requests,
            retire_at,
            idle_since: Mutex::new(now()),
        });
        let task = Task {
            connection,
            pings,
            standing,
            opening,
            ping: PingState::Resting { next: now() + PING_INTERVAL },
        };
        let (pool, weak) = (Arc::downgrade(pool), Arc::downgrade(&lane));
        tokio::spawn(run(task, pool, weak, permit));
        Ok(lane)
    }

    /// One stream of this lane, or `None` when it should have no more.
    pub(super) fn lease(self: &Arc<Self>, pool: &Arc<Pool>, fill: Fill, now: Instant) -> Option<Lease> {
        let standing = &self.standing;
        if !standing.settled.load(Ordering::Acquire) || standing.suspect.load(Ordering::Acquire) {
            return None;
        }
        self.lease_first(pool, fill, now)
    }

    /// The same for whoever has just opened it.
    pub(super) fn lease_first(self: &Arc<Self>, pool: &Arc<Pool>, fill: Fill, now: Instant) -> Option<Lease> {
        if !self.is_open(now) {
            return None;
        }
        let room = self.capacity(fill);
        let streams = &self.standing.streams;
        let before = streams
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < room).then_some(n + 1))
            .ok()?;
        pool.stream_began(if before == 0 { Alone::Yes } else { Alone::No });
        self.requests.fetch_add(1, Ordering::Relaxed);
        Some(Lease { lane: Arc::clone(self), pool: Arc::clone(pool) })
    }

    pub(super) fn capacity(&self, fill: Fill) -> usize {
        let allowed = self.send.current_max_send_streams();
        match fill {
            Fill::Comfortable if allowed > 1 => allowed - allowed.div_ceil(5),
            Fill::Comfortable | Fill::Brimful => allowed,
        }
    }

    /// It may be given new streams, now or when it is no longer suspect.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        !self.standing.over.load(Ordering::Acquire)
            && now < self.retire_at
            && self.requests.load(Ordering::Relaxed) < self.max_requests
    }

    pub(super) fn streams(&self) -> usize {
        self.standing.streams.load(Ordering::Acquire)
    }

    /// How long it has had no stream.
    pub(super) fn idle(&self, now: Instant) -> Option<Duration> {
        (self.streams() == 0).then(|| now.saturating_duration_since(*self.idle_since.lock()))
    }

    pub(super) fn suspect(&self) {
        self.standing.suspect.store(true, Ordering::Release);
        self.standing.poke.notify_one();
    }

    /// The peer has answered something.
    pub(super) fn hear(&self) {
        *self.standing.heard.lock() = Some(now());
    }

    /// Whether the peer, which had spoken before `since`, has said nothing since.
    pub(super) fn is_silent_since(&self, since: Instant) -> bool {
        self.standing.heard.lock().is_some_and(|heard| heard <= since)
    }

    /// No new streams on it, ever: the peer said so.
    pub(super) fn close(&self) {
        self.standing.over.store(true, Ordering::Release);
    }
}

/// The use of one stream of a lane; dropping it ends that.
pub(super) struct Lease {
    lane: Arc<Lane>,
    pool: Arc<Pool>,
}

impl Lease {
    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.lane.send.clone()
    }

    pub(super) fn lane(&self) -> &Lane {
        &self.lane
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self.lane.idle_since.lock() = now();
        let before = self.lane.standing.streams.fetch_sub(1, Ordering::AcqRel);
        self.pool.stream_ended(if before == 1 { Alone::Yes } else { Alone::No });
    }
}

/// The task's own half of a lane.
struct Task {
    connection: h2::client::Connection<Box<dyn Socket>, Bytes>,
    pings: Option<PingPong>,
    standing: Arc<Standing>,
    opening: Option<Opening>,
    ping: PingState,
}

enum PingState {
    Resting { next: Instant },
    Asked { deadline: Instant },
}

async fn run(mut task: Task, pool: Weak<Pool>, lane: Weak<Lane>, permit: OwnedSemaphorePermit) {
    // The first answer comes after the peer's settings, which others wait for.
    task.ask();
    let standing = Arc::clone(&task.standing);
    let mut sleep = pin!(tokio::time::sleep_until(task.wake_at()));
    let mut poked = pin!(standing.poke.notified());
    let ended = poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = Pin::new(&mut task.connection).poll(cx) {
                return Poll::Ready(ended.err());
            }
            if task.hears(cx)
                && let (Some(pool), Some(lane)) = (pool.upgrade(), lane.upgrade())
            {
                pool.lane_settled(&lane);
            }
            if poked.as_mut().poll(cx).is_ready() {
                poked.set(standing.poke.notified());
                if standing.suspect.load(Ordering::Acquire) {
                    task.ask();
                }
                sleep.as_mut().reset(task.wake_at());
                continue;
            }
            if sleep.as_mut().poll(cx).is_ready() {
                if let PingState::Asked { .. } = task.ping {
                    return Poll::Ready(None);
                }
                if standing.streams.load(Ordering::Acquire) > 0 {
                    task.ask();
                } else {
                    task.ping = PingState::Resting { next: now() + PING_INTERVAL };
                }
                sleep.as_mut().reset(task.wake_at());
                continue;
            }
            // A pong may have moved the next wake-up.
            if sleep.deadline() != task.wake_at() {
                sleep.as_mut().reset(task.wake_at());
                continue;
            }
            return Poll::Pending;
        }
    })
    .await;
    standing.over.store(true, Ordering::Release);
    drop(task);
    drop(permit);
    if let Some(pool) = pool.upgrade() {
        let calm = ended.and_then(|error| error.reason()) == Some(h2::Reason::ENHANCE_YOUR_CALM);
        pool.lane_ended(&lane, calm);
    }
}

impl Task {
    fn ask(&mut self) {
        if let PingState::Resting { .. } = self.ping {
            let asked = self.pings.as_mut().is_some_and(|pings| pings.send_ping(Ping::opaque()).is_ok());
            let now = now();
            self.ping = if asked {
                PingState::Asked { deadline: now + PING_TIMEOUT }
            } else {
                PingState::Resting { next: now + PING_INTERVAL }
            };
        }
    }

    /// Takes in the answer to a PING. True the first time, which is when the settings are known.
    fn hears(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(pings) = &mut self.pings else { return false };
        let Poll::Ready(Ok(_)) = pings.poll_pong(cx) else { return false };
        self.ping = PingState::Resting { next: now() + PING_INTERVAL };
        self.standing.suspect.store(false, Ordering::Release);
        *self.standing.heard.lock() = Some(now());
        let first = !self.standing.settled.swap(true, Ordering::AcqRel);
        // Those who waited for it may look again.
        self.opening = None;
        first
    }

    fn wake_at(&self) -> Instant {
        match self.ping {
            PingState::Resting { next } => next,
            PingState::Asked { deadline } => deadline,
        }
    }
}
