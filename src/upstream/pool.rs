//! One upstream's connections: how many there are, which are free, and when each has had its day.
//!
//! Every HTTP/1.1 connection in use and every HTTP/2 connection holds one of `max_connections` permits;
//! idle HTTP/1.1 connections hold none and make room when a permit is used for a new one. There is no
//! background task: [`Pool::sweep`] is to be called every few seconds by whoever owns the pools.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use http::HeaderValue;
use http::uri::{Authority, Scheme};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use super::auth::Vault;
use super::call::{CallError, Doubt};
use super::dial::Dial;
use super::lane::{Alone, Fill, Lane};
use super::now;
use super::shelf::Shelf;
use super::target::Target;
use super::tls::{Protocol, Tls};
use crate::algo::dice::Dice;
use crate::config;
use crate::telemetry::{Metrics, PoolHandles};

/// How many calls wait for one HTTP/2 connection to open before another is opened beside it, as long as
/// no peer has said how many streams it allows: four fifths of the usual hundred.
const WAITERS: usize = 80;
/// How long a peer's habit of closing idle connections is remembered.
const HABIT_MEMORY: Duration = Duration::from_mins(1);
/// For how long those connections that were open when one fell silent are under suspicion, and those opened since
/// are not.
const DOUBT_MEMORY: Duration = Duration::from_mins(1);

/// The connections to one target.
pub struct Pool {
    pub(super) name: Arc<str>,
    pub(super) target: Arc<Target>,
    pub(super) settings: config::Pool,
    pub(super) max_connections: usize,
    pub(super) dial: Arc<dyn Dial>,
    pub(super) tls: Option<Tls>,
    pub(super) host: HeaderValue,
    pub(super) base_uri: (Scheme, Authority),
    pub(super) slots: Arc<Semaphore>,
    /// An HTTP/2 stream has ended, for those who wait for one.
    pub(super) freed: Notify,
    pub(super) state: Mutex<State>,
    /// HTTP/1.1 connections in use, and HTTP/2 connections with streams.
    pub(super) in_use: AtomicUsize,
    pub(super) streams: AtomicUsize,
    pub(super) opening: AtomicUsize,
    /// Tokens that were got for credentials; they live as long as the pool.
    pub(super) vault: Vault,
    /// What is counted of it, where anything is.
    pub(super) handles: OnceLock<PoolHandles>,
}

pub(super) struct State {
    pub(super) shelf: Shelf,
    pub(super) lanes: Vec<Arc<Lane>>,
    pub(super) openings: Vec<Awaited>,
    pub(super) next_opening: u64,
    /// What the last new connection turned out to speak.
    pub(super) spoken: Option<Protocol>,
    /// Streams that the newest lane takes comfortably.
    pub(super) waiters_each: usize,
    /// For how long a connection had been idle, at most, when the peer closed it; and when that was seen.
    pub(super) closed_idle: Option<(Duration, Instant)>,
    /// When a kept connection was found to be silent, the first of its time.
    pub(super) doubted: Option<Instant>,
    /// PING is welcome.
    pub(super) pings: bool,
    /// Where connections are counted that are slow to open.
    pub(super) slow: Arc<AtomicUsize>,
    pub(super) dice: Dice,
}

/// A connection that is being opened and that others wait for.
pub(super) struct Awaited {
    pub(super) id: u64,
    pub(super) outcome: watch::Receiver<Option<CallError>>,
    pub(super) waiters: usize,
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
                doubted: None,
                pings: true,
                slow: Arc::default(),
                // Only spreads the ends of connections, so any seed will do.
                dice: Dice::seeded(RandomState::new().build_hasher().finish()),
            }),
            settings,
            in_use: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            opening: AtomicUsize::new(0),
            vault: Vault::new(),
            handles: OnceLock::new(),
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
        let idle_lanes = state.lanes.iter().filter(|lane| lane.streams() == 0).count();
        PoolCounts {
            idle: state.shelf.len() + idle_lanes,
            in_use: self.in_use.load(Ordering::Acquire),
            opening: self.opening.load(Ordering::Acquire),
            streams: self.streams.load(Ordering::Acquire),
        }
    }

    /// From now on `slow` counts the connections that are slow to open, while they are: a hint that whoever comes next
    /// had better go elsewhere.
    pub fn count_slow(&self, slow: &Arc<AtomicUsize>) {
        self.state.lock().slow = Arc::clone(slow);
    }

    /// From now on its connections are counted. Only the first call means anything.
    pub fn count_in(&self, metrics: &Metrics) {
        self.handles.get_or_init(|| PoolHandles::new(metrics, &self.name));
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
        let closed = {
            let mut state = self.state.lock();
            (state.shelf.retire(), std::mem::take(&mut state.lanes))
        };
        drop(closed);
    }

    /// A kept connection, opened at `opened`, has said nothing since it was taken at `taken`; its exchange's end
    /// closed it. What has been idle since before that may be as dead, so it is closed, too, and shared connections
    /// get no new stream until they have answered a PING.
    ///
    /// Says what is in doubt: the connection, as long as it is of the time before the first that fell silent. Those
    /// made since are none that died on the shelf together, so their silence is the upstream's: an upstream that
    /// hangs now and then is found out all the same.
    pub(super) fn mark_suspect(&self, opened: Instant, taken: Instant) -> Doubt {
        let now = now();
        let first = {
            let mut state = self.state.lock();
            let recent = state.doubted.filter(|at| now.saturating_duration_since(*at) < DOUBT_MEMORY);
            *state.doubted.insert(recent.unwrap_or(now))
        };
        self.distrust(taken);
        if opened < first { Doubt::Connection } else { Doubt::Upstream }
    }

    /// Others are seen to be dead: what has been idle since before `at` may be, too, and is closed; shared connections
    /// get no new stream until they have answered a PING.
    pub(super) fn distrust(&self, at: Instant) {
        let closed = {
            let mut state = self.state.lock();
            for lane in &state.lanes {
                lane.suspect();
            }
            state.shelf.take_parked_before(at)
        };
        drop(closed);
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

    pub(super) fn stream_began(&self, alone: Alone) {
        self.streams.fetch_add(1, Ordering::AcqRel);
        if alone == Alone::Yes {
            self.in_use.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(super) fn stream_ended(&self, alone: Alone) {
        self.streams.fetch_sub(1, Ordering::AcqRel);
        if alone == Alone::Yes {
            self.in_use.fetch_sub(1, Ordering::AcqRel);
        }
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
    pub(super) fn learn_closed(&mut self, idle: Duration, now: Instant) {
        let known = self.closed_idle.filter(|(_, at)| now.saturating_duration_since(*at) < HABIT_MEMORY);
        let idle = known.map_or(idle, |(shortest, _)| shortest.min(idle));
        self.closed_idle = Some((idle, now));
    }

    /// How long a connection may have been idle for a request that must not be sent twice: well below
    /// what this peer was lately seen to close after.
    pub(super) fn safe_idle(&self, configured: Duration, now: Instant) -> Duration {
        match self.closed_idle {
            Some((idle, at)) if now.saturating_duration_since(at) < HABIT_MEMORY => configured.min(idle / 2),
            _ => configured,
        }
    }
}
