//! Finding a connection for a request: a kept one that will do, one that somebody is opening already, or
//! a new one.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::call::{CallError, CallLimits, Freshness, Reuse};
use super::dial::{DialError, Socket};
use super::h1::Connection;
use super::lane::{Fill, Lane, Lease};
use super::now;
use super::pool::{Awaited, Pool};
use super::shelf::Parked;
use super::slot::{Opening, Slot};
use super::tls::{Offer, Protocol};
use super::tunnel;
use crate::config::Http2;
use crate::vocab::Fault;

/// A connection used more recently than this needs no system call to be believed alive.
const FRESH: Duration = Duration::from_millis(10);

/// A connection that is not open after this is slow: three round trips of 300 ms (TCP, then TLS 1.2), or one lost SYN,
/// which is sent again after a second (RFC 6298 §2.1).
const SLOW: Duration = Duration::from_secs(1);

/// A connection to send one request on.
pub(super) enum Line {
    /// With its time in the shelf, if it comes from there.
    Http1(Box<Connection>, Option<Duration>),
    Http2(Lease),
}

/// How a call came to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It was idle.
    Kept,
    /// Others use it, too.
    Shared,
    Opened,
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
    /// A connection for one request: a kept one that will do, else a new one.
    pub(super) async fn obtain(
        self: &Arc<Self>,
        offer: Offer,
        fresh: Freshness,
        limits: &CallLimits,
    ) -> Result<Line, CallError> {
        let obtained = self.find(offer, fresh, limits).await;
        if let Some(handles) = self.handles.get() {
            let way = match &obtained {
                Ok((_, Way::Kept)) => &handles.kept,
                Ok((_, Way::Shared)) => &handles.shared,
                Ok((_, Way::Opened)) => &handles.opened,
                Err(_) => &handles.failed,
            };
            way.increment(1);
        }
        obtained.map(|(line, _)| line)
    }

    async fn find(
        self: &Arc<Self>,
        offer: Offer,
        fresh: Freshness,
        limits: &CallLimits,
    ) -> Result<(Line, Way), CallError> {
        let mut permit = None;
        let mut wait_until = None;
        loop {
            match self.look(offer, fresh, permit.take()) {
                Found::Line(line) => {
                    let way = match line {
                        Line::Http1(..) => Way::Kept,
                        Line::Http2(_) => Way::Shared,
                    };
                    return Ok((line, way));
                }
                Found::Dial(permit, opening) => {
                    let opened = self.open(permit, opening, offer, limits).await;
                    return opened.map(|line| (line, Way::Opened));
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
                    Reuse::Never => return None,
                    Reuse::Any => Duration::MAX,
                    Reuse::SafeOnly => state.safe_idle(self.settings.reuse_safe_idle, now),
                };
                state.shelf.pop(now, max_idle, &mut expired)?
            };
            let age = now.saturating_duration_since(since);
            let fit = match reuse {
                Reuse::Any if age < FRESH => connection.is_fit(),
                Reuse::Any | Reuse::SafeOnly | Reuse::Never => connection.is_fit_after_a_while(),
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
        let begun = now();
        let room = timeout_at(until, either).await;
        if let Some(handles) = self.handles.get() {
            handles.wait.record(now().saturating_duration_since(begun).as_secs_f64());
        }
        room.map_err(|_| {
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
        let (socket, protocol) = match self.connect_in_sight(offer, limits).await {
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
                Ok(Line::Http1(Box::new(Connection::new(socket, slot, retire_at)), None))
            }
            Protocol::Http2 => {
                let lane = Lane::open(socket, self, permit, opening, retire_at)
                    .await
                    .map_err(|error| CallError::unsent(Fault::Connect, error.to_string()))?;
                let lease = lane.lease_first(self, Fill::Brimful, now()).ok_or_else(|| {
                    CallError::unsent(Fault::NotProcessed, "the connection closed before its first stream")
                })?;
                let mut state = self.state.lock();
                // Looked at under the lock: nothing is kept once `retire` has emptied the list.
                if !state.shelf.is_retired() {
                    state.lanes.push(lane);
                }
                Ok(Line::Http2(lease))
            }
        }
    }

    /// As [`Pool::connect`], and counted while it is slow.
    async fn connect_in_sight(
        &self,
        offer: Offer,
        limits: &CallLimits,
    ) -> Result<(Box<dyn Socket>, Protocol), CallError> {
        let mut connecting = pin!(self.connect(offer, limits));
        if let Ok(connected) = timeout(SLOW, connecting.as_mut()).await {
            return connected;
        }
        let slow = Arc::clone(&self.state.lock().slow);
        let _counted = Gauge::raise(&slow);
        connecting.await
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
        let begun = now();
        let dialed = timeout(limits.connect, self.reach()).await;
        let socket = match dialed {
            Ok(Ok(socket)) => {
                if let Some(handles) = self.handles.get() {
                    handles.dial.record(now().saturating_duration_since(begun).as_secs_f64());
                }
                socket
            }
            Ok(Err(error)) => return Err(CallError::unsent(error.fault, error.detail)),
            Err(_) => {
                let by = match &self.target.proxy {
                    Some(proxy) => format!(" by the proxy {}", proxy.target.shown()),
                    None => String::new(),
                };
                let detail =
                    format!("no connection to {}{by} within {:?}", self.target.shown(), limits.connect);
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
        let begun = now();
        let secured = timeout(limits.tls, tls.handshake(socket, offer)).await;
        if let (Ok(Ok(_)), Some(handles)) = (&secured, self.handles.get()) {
            handles.tls.record(now().saturating_duration_since(begun).as_secs_f64());
        }
        match secured {
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

    /// A byte stream that ends at the target, whoever leads there.
    async fn reach(&self) -> Result<Box<dyn Socket>, DialError> {
        let Some(proxy) = &self.target.proxy else { return self.dial.dial(Arc::clone(&self.target)).await };
        let mut socket = self.dial.dial(Arc::clone(&proxy.target)).await.map_err(|error| DialError {
            detail: format!("the proxy cannot be had: {}", error.detail),
            ..error
        })?;
        tunnel::lead(&mut *socket, proxy, &self.target).await?;
        Ok(socket)
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
