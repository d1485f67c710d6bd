//! One upstream's connections: how many there are, which are free, and when each has had its day.
//!
//! Every HTTP/1.1 connection in use and every HTTP/2 connection holds one of `max_connections` permits;
//! idle HTTP/1.1 connections hold none and make room when a permit is used for a new one. There is no
//! background task: [`Pool::sweep`] is to be called every few seconds by whoever owns the pools.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::HeaderValue;
use http::uri::{Authority, Scheme};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::call::{CallError, CallLimits, Freshness, Reuse};
use super::dial::{Dial, Socket};
use super::h1::Connection;
use super::lane::{Fill, Lane, Lease};
use super::now;
use super::shelf::{Parked, Shelf};
use super::target::Target;
use super::tls::{Offer, Protocol, Tls};
use crate::algo::dice::Dice;
use crate::config::{self, Http2};
use crate::vocab::Fault;

/// How many calls wait for one HTTP/2 connection to open before another is opened beside it, as long as
/// no peer has said how many streams it allows: four fifths of the usual hundred.
const WAITERS: usize = 80;
/// A connection used more recently than this needs no system call to be believed alive.
const FRESH: Duration = Duration::from_millis(10);
/// How long a peer's habit of closing idle connections is remembered.
const HABIT_MEMORY: Duration = Duration::from_mins(1);

/// The connections to one target.
pub struct Pool {
    name: Arc<str>,
    target: Arc<Target>,
    settings: config::Pool,
    max_connections: usize,
    dial: Arc<dyn Dial>,
    tls: Option<Tls>,
    host: HeaderValue,
    base_uri: (Scheme, Authority),
    slots: Arc<Semaphore>,
    /// An HTTP/2 stream has ended, for those who wait for one.
    freed: Notify,
    state: Mutex<State>,
    retired: AtomicBool,
    /// HTTP/1.1 connections in use.
    in_use: AtomicUsize,
    opening: AtomicUsize,
}

struct State {
    shelf: Shelf,
    lanes: Vec<Arc<Lane>>,
    openings: Vec<Awaited>,
    next_opening: u64,
    /// What the last new connection turned out to speak.
    spoken: Option<Protocol>,
    /// Streams that the newest lane takes comfortably.
    waiters_each: usize,
    /// For how long a connection had been idle, at most, when the peer closed it; and when that was seen.
    closed_idle: Option<(Duration, Instant)>,
    /// PING is welcome.
    pings: bool,
    dice: Dice,
}

/// A connection that is being opened and that others wait for.
struct Awaited {
    id: u64,
    outcome: watch::Receiver<Option<CallError>>,
    waiters: usize,
}

/// What a pool holds at a moment. All are zero when nothing goes on and nothing is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Open connections that nobody uses.
    pub idle: usize,
    /// Connections with an exchange on them.
    pub in_use: usize,
    /// Connections being opened.
    pub opening: usize,
    /// HTTP/2 streams.
    pub streams: usize,
}

/// A connection to send one request on.
pub(super) enum Line {
    /// With its time in the shelf, if it comes from there.
    Http1(Box<Connection>, Option<Duration>),
    Http2(Lease),
}

enum Found {
    Line(Line),
    /// Nothing kept will do: dial with this permit. Others may wait for the outcome.
    Dial(OwnedSemaphorePermit, Option<Opening>),
    /// Somebody is opening a connection that can be shared.
    Opening(watch::Receiver<Option<CallError>>),
    Full,
}

impl Pool {
    /// A pool with no connection yet. `name` is the upstream's.
    pub fn new(name: Arc<str>, target: Target, settings: config::Pool, dial: Arc<dyn Dial>) -> Arc<Self> {
        let host = target.host_header();
        let scheme = if target.https { Scheme::HTTPS } else { Scheme::HTTP };
        let authority =
            Authority::try_from(host.as_bytes()).unwrap_or_else(|_| Authority::from_static("invalid"));
        let max_connections = (settings.max_connections.max(1) as usize).min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            name,
            tls: if target.https { Tls::new(&target) } else { None },
            target: Arc::new(target),
            dial,
            host,
            base_uri: (scheme, authority),
            slots: Arc::new(Semaphore::new(max_connections)),
            max_connections,
            freed: Notify::new(),
            state: Mutex::new(State {
                shelf: Shelf::new((settings.max_idle as usize).min(max_connections)),
                lanes: Vec::new(),
                openings: Vec::new(),
                next_opening: 0,
                spoken: None,
                waiters_each: WAITERS,
                closed_idle: None,
                pings: true,
                // Only spreads the ends of connections, so any seed will do.
                dice: Dice::seeded(RandomState::new().build_hasher().finish()),
            }),
            settings,
            retired: AtomicBool::new(false),
            in_use: AtomicUsize::new(0),
            opening: AtomicUsize::new(0),
        })
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    pub fn counts(&self) -> PoolCounts {
        let state = self.state.lock();
        let streams: usize = state.lanes.iter().map(|lane| lane.streams()).sum();
        let busy_lanes = state.lanes.iter().filter(|lane| lane.streams() > 0).count();
        PoolCounts {
            idle: state.shelf.len() + state.lanes.len() - busy_lanes,
            in_use: self.in_use.load(Ordering::Acquire) + busy_lanes,
            opening: self.opening.load(Ordering::Acquire),
            streams,
        }
    }

    /// Closes what nobody uses. Exchanges under way are not touched.
    pub fn close_idle(&self) {
        let closed = {
            let mut state = self.state.lock();
            let idle_lanes: Vec<_> = state.lanes.extract_if(.., |lane| lane.streams() == 0).collect();
            (state.shelf.take_all(), idle_lanes)
        };
        drop(closed);
    }

    /// Ends the pool's life, for a target that changed or was removed: calls under way finish, calls by
    /// requests that still hold it get connections of their own, and nothing is kept any more.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        let closed = {
            let mut state = self.state.lock();
            (state.shelf.take_all(), std::mem::take(&mut state.lanes))
        };
        drop(closed);
    }

    /// Something went wrong that may be a connection's fault: shared connections get no new stream until
    /// they have answered a PING. An HTTP/1.1 connection needs no mark: its exchange's end closed it.
    pub fn mark_suspect(&self) {
        for lane in &self.state.lock().lanes {
            lane.suspect();
        }
    }

    /// Closes connections past their time and those that their peer has closed. To be called every few
    /// seconds; without it they would stay until the next call comes by.
    pub fn sweep(&self) {
        let now = now();
        let (swept, lanes) = {
            let mut state = self.state.lock();
            let swept = state.shelf.sweep(now);
            if let Some(age) = swept.iter().filter_map(|swept| swept.closed_at_age).min() {
                state.learn_closed(age, now);
            }
            let idle_timeout = self.settings.idle_timeout;
            let lanes: Vec<_> = state
                .lanes
                .extract_if(.., |lane| {
                    lane.idle(now).is_some_and(|idle| idle >= idle_timeout || !lane.is_open(now))
                })
                .collect();
            (swept, lanes)
        };
        drop((swept, lanes));
    }

    /// A connection for one request: a kept one that will do, else a new one.
    pub(super) async fn obtain(
        self: &Arc<Self>,
        offer: Offer,
        fresh: Freshness,
        limits: &CallLimits,
    ) -> Result<Line, CallError> {
        let mut permit = None;
        let mut wait_until = None;
        loop {
            match self.look(offer, fresh, permit.take()) {
                Found::Line(line) => return Ok(line),
                Found::Dial(permit, opening) => {
                    return self.open(permit, opening, offer, limits).await;
                }
                Found::Opening(mut outcome) => {
                    let patience = limits.connect.saturating_add(limits.tls);
                    match timeout(patience, outcome.wait_for(Option::is_some)).await {
                        Ok(Ok(error)) => {
                            if let Some(error) = error.as_ref() {
                                return Err(error.clone());
                            }
                        }
                        // It is open, or whoever opened it has gone away: look again.
                        Ok(Err(_)) => {}
                        Err(_) => {
                            let detail = format!("no connection to {} in time", self.target.shown());
                            return Err(CallError::unsent(Fault::ConnectTimeout, detail));
                        }
                    }
                }
                Found::Full => {
                    let until = *wait_until.get_or_insert_with(|| now() + limits.pool_wait);
                    permit = self.room(until).await?;
                }
            }
        }
    }

    fn look(self: &Arc<Self>, offer: Offer, fresh: Freshness, permit: Option<OwnedSemaphorePermit>) -> Found {
        let permit = permit.or_else(|| Arc::clone(&self.slots).try_acquire_owned().ok());
        let now = now();
        if let (Offer::Configured, Freshness::Kept(_)) = (offer, fresh) {
            let fill = if permit.is_some() { Fill::Comfortable } else { Fill::Brimful };
            if let Some(lease) = self.lease(fill, now) {
                return Found::Line(Line::Http2(lease));
            }
            if let Some(outcome) = self.join() {
                return Found::Opening(outcome);
            }
        }
        let Some(permit) = permit else { return Found::Full };
        if let Freshness::Kept(reuse) = fresh
            && let Some((mut connection, age)) = self.kept(reuse, now)
        {
            connection.slot = Some(Slot::new(self, permit));
            return Found::Line(Line::Http1(connection, Some(age)));
        }
        if offer == Offer::Configured && self.may_share() {
            let mut state = self.state.lock();
            let (sender, outcome) = watch::channel(None);
            let id = state.next_opening;
            state.next_opening += 1;
            state.openings.push(Awaited { id, outcome, waiters: 1 });
            return Found::Dial(permit, Some(Opening { id, sender, pool: Arc::downgrade(self) }));
        }
        Found::Dial(permit, None)
    }

    fn lease(self: &Arc<Self>, fill: Fill, now: Instant) -> Option<Lease> {
        let (lease, closed) = {
            let mut state = self.state.lock();
            if state.lanes.is_empty() {
                return None;
            }
            let closed: Vec<_> = state.lanes.extract_if(.., |lane| !lane.is_open(now)).collect();
            (state.lanes.iter().find_map(|lane| lane.lease(self, fill, now)), closed)
        };
        drop(closed);
        lease
    }

    /// The outcome of an opening that has room for one more to wait for it.
    fn join(&self) -> Option<watch::Receiver<Option<CallError>>> {
        let mut state = self.state.lock();
        let room = state.waiters_each;
        let awaited = state.openings.iter_mut().find(|awaited| awaited.waiters < room)?;
        awaited.waiters += 1;
        Some(awaited.outcome.clone())
    }

    /// A kept HTTP/1.1 connection that is still good, and how long it had been idle.
    fn kept(&self, reuse: Reuse, now: Instant) -> Option<(Box<Connection>, Duration)> {
        let mut expired = Vec::new();
        loop {
            let Parked { mut connection, since, .. } = {
                let mut state = self.state.lock();
                let max_idle = match reuse {
                    Reuse::Any => Duration::MAX,
                    Reuse::SafeOnly => state.safe_idle(self.settings.reuse_safe_idle, now),
                };
                state.shelf.pop(now, max_idle, &mut expired)?
            };
            let age = now.saturating_duration_since(since);
            let fit = match reuse {
                Reuse::Any if age < FRESH => connection.is_fit(),
                Reuse::Any | Reuse::SafeOnly => connection.is_fit_after_a_while(),
            };
            if fit {
                return Some((connection, age));
            }
            self.state.lock().learn_closed(age, now);
        }
    }

    /// Whether a new connection may turn out to be one that many can share.
    fn may_share(&self) -> bool {
        match self.target.http2 {
            Http2::Never => false,
            Http2::PriorKnowledge => true,
            Http2::Auto => self.target.https && self.state.lock().spoken != Some(Protocol::Http1),
        }
    }

    /// Waits for a permit or for the end of some stream.
    async fn room(&self, until: Instant) -> Result<Option<OwnedSemaphorePermit>, CallError> {
        let freed = self.freed.notified();
        let permit = Arc::clone(&self.slots).acquire_owned();
        let either = async {
            // Losing `freed` here loses nothing: whoever gets a permit looks at everything anyway.
            tokio::select! {
                permit = permit => permit.ok(),
                () = freed => None,
            }
        };
        timeout_at(until, either).await.map_err(|_| {
            let detail = format!("all {} connections of {} are in use", self.max_connections, self.name);
            CallError::unsent(Fault::PoolFull, detail)
        })
    }

    async fn open(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        opening: Option<Opening>,
        offer: Offer,
        limits: &CallLimits,
    ) -> Result<Line, CallError> {
        let _gauge = Gauge::raise(&self.opening);
        self.make_room();
        let (socket, protocol) = match self.connect(offer, limits).await {
            Ok(connected) => connected,
            Err(error) => {
                if let Some(opening) = opening {
                    opening.fail(error.clone());
                }
                // A lane that is merely more than comfortably full beats a failed call.
                return match self.lease(Fill::Brimful, now()) {
                    Some(lease) if offer == Offer::Configured => Ok(Line::Http2(lease)),
                    _ => Err(error),
                };
            }
        };
        let retire_at = self.retire_at(offer, protocol);
        match protocol {
            Protocol::Http1 => {
                drop(opening);
                let slot = Slot::new(self, permit);
                let connection = Connection::open(socket, slot, retire_at)
                    .await
                    .map_err(|detail| CallError::unsent(Fault::Connect, detail))?;
                Ok(Line::Http1(connection, None))
            }
            Protocol::Http2 => {
                let lane = Lane::open(socket, self, permit, opening, retire_at)
                    .await
                    .map_err(|error| CallError::unsent(Fault::Connect, error.to_string()))?;
                let lease = lane.lease_first(self, Fill::Brimful, now()).ok_or_else(|| {
                    CallError::unsent(Fault::NotProcessed, "the connection closed before its first stream")
                })?;
                if !self.retired.load(Ordering::Acquire) {
                    self.state.lock().lanes.push(lane);
                }
                Ok(Line::Http2(lease))
            }
        }
    }

    fn retire_at(&self, offer: Offer, protocol: Protocol) -> Instant {
        let mut state = self.state.lock();
        if offer == Offer::Configured {
            state.spoken = Some(protocol);
        }
        let spread = self.settings.lifetime_jitter;
        now() + state.dice.jitter(self.settings.max_lifetime, spread)
    }

    /// A socket, with TLS where the target has it, and what will be spoken over it.
    pub(super) async fn connect(
        &self,
        offer: Offer,
        limits: &CallLimits,
    ) -> Result<(Box<dyn Socket>, Protocol), CallError> {
        let dialed = timeout(limits.connect, self.dial.dial(Arc::clone(&self.target))).await;
        let socket = match dialed {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return Err(CallError::unsent(error.fault, error.detail)),
            Err(_) => {
                let detail = format!("no connection to {} within {:?}", self.target.shown(), limits.connect);
                return Err(CallError::unsent(Fault::ConnectTimeout, detail));
            }
        };
        if !self.target.https {
            let protocol = match (self.target.http2, offer) {
                (Http2::PriorKnowledge, Offer::Configured) => Protocol::Http2,
                _ => Protocol::Http1,
            };
            return Ok((socket, protocol));
        }
        let failed = |reason: String| {
            CallError::unsent(Fault::Tls, format!("no TLS with {}: {reason}", self.target.shown()))
        };
        let tls = self.tls.as_ref().ok_or_else(|| failed("no roots to trust".into()))?;
        match timeout(limits.tls, tls.handshake(socket, offer)).await {
            Ok(Ok((socket, _)))
                if self.target.http2 == Http2::PriorKnowledge && offer == Offer::Configured =>
            {
                Ok((socket, Protocol::Http2))
            }
            Ok(Ok(secured)) => Ok(secured),
            Ok(Err(reason)) => Err(failed(reason)),
            Err(_) => Err(failed(format!("the handshake took longer than {:?}", limits.tls))),
        }
    }

    /// Keeps open sockets, idle ones included, within `max_connections`.
    fn make_room(&self) {
        let evicted = {
            let mut state = self.state.lock();
            let taken = self.max_connections.saturating_sub(self.slots.available_permits());
            let excess = (taken + state.shelf.len()).saturating_sub(self.max_connections);
            if excess > 0 { state.shelf.pop_oldest() } else { None }
        };
        drop(evicted);
    }

    pub(super) fn learn_closed(&self, idle: Option<Duration>) {
        if let Some(idle) = idle {
            self.state.lock().learn_closed(idle, now());
        }
    }

    #[cfg(test)]
    pub(super) fn forget_habits(&self) {
        self.state.lock().closed_idle = None;
    }

    pub(super) fn settings(&self) -> &config::Pool {
        &self.settings
    }

    pub(super) fn host(&self) -> &HeaderValue {
        &self.host
    }

    pub(super) fn base_uri(&self) -> &(Scheme, Authority) {
        &self.base_uri
    }

    pub(super) fn allows_pings(&self) -> bool {
        self.state.lock().pings
    }

    pub(super) fn stream_ended(&self) {
        self.freed.notify_one();
    }

    /// A lane knows its peer's settings.
    pub(super) fn lane_settled(&self, lane: &Lane) {
        self.state.lock().waiters_each = lane.capacity(Fill::Comfortable).clamp(1, WAITERS);
    }

    /// A lane's task has ended; `calm` if the peer complained of being asked too often.
    pub(super) fn lane_ended(&self, lane: &Weak<Lane>, calm: bool) {
        let gone = {
            let mut state = self.state.lock();
            state.pings &= !calm;
            let gone: Vec<_> =
                state.lanes.extract_if(.., |known| std::ptr::eq(Arc::as_ptr(known), lane.as_ptr())).collect();
            gone
        };
        drop(gone);
        self.freed.notify_one();
    }
}

impl State {
    fn learn_closed(&mut self, idle: Duration, now: Instant) {
        let known = self.closed_idle.filter(|(_, at)| now.saturating_duration_since(*at) < HABIT_MEMORY);
        let idle = known.map_or(idle, |(shortest, _)| shortest.min(idle));
        self.closed_idle = Some((idle, now));
    }

    /// How long a connection may have been idle for a request that must not be sent twice: well below
    /// what this peer was lately seen to close after.
    fn safe_idle(&self, configured: Duration, now: Instant) -> Duration {
        match self.closed_idle {
            Some((idle, at)) if now.saturating_duration_since(at) < HABIT_MEMORY => configured.min(idle / 2),
            _ => configured,
        }
    }
}

/// The right to use one connection, while it is used.
pub(super) struct Slot {
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    fn new(pool: &Arc<Pool>, permit: OwnedSemaphorePermit) -> Self {
        pool.in_use.fetch_add(1, Ordering::AcqRel);
        Self { pool: Arc::clone(pool), _permit: permit }
    }

    /// Keeps a connection that has come to a clean end of its exchange, if it is worth keeping.
    pub(super) fn shelve(self, connection: Box<Connection>) {
        let (pool, now) = (&self.pool, now());
        let settings = &pool.settings;
        let keep = connection.learned_idle.map_or(settings.idle_timeout, |l| l.min(settings.idle_timeout));
        let until = connection.retire_at.min(now + keep);
        let worn = connection.requests >= settings.max_requests || until <= now;
        let surplus = {
            let mut state = pool.state.lock();
            // Looked at under the lock: nothing is kept once `retire` has emptied the shelf.
            if worn || pool.retired.load(Ordering::Acquire) {
                Some(Parked { connection, since: now, until })
            } else {
                state.shelf.push(Parked { connection, since: now, until })
            }
        };
        drop(surplus);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.in_use.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The opening of a connection that others wait for. Dropping it lets them look again.
pub(super) struct Opening {
    id: u64,
    sender: watch::Sender<Option<CallError>>,
    pool: Weak<Pool>,
}

impl Opening {
    fn fail(self, error: CallError) {
        self.sender.send_replace(Some(error));
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.state.lock().openings.retain(|awaited| awaited.id != self.id);
        }
    }
}

/// One more while it lives.
struct Gauge<'a>(&'a AtomicUsize);

impl<'a> Gauge<'a> {
    fn raise(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
