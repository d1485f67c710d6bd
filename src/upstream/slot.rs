//! What a pool lends: the use of a connection, and the promise of one that is being opened.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::sync::{OwnedSemaphorePermit, watch};

use super::call::CallError;
use super::h1::Connection;
use super::now;
use super::pool::Pool;
use super::shelf::Parked;

/// The right to use one connection, while it is used.
pub(super) struct Slot {
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    pub(super) fn new(pool: &Arc<Pool>, permit: OwnedSemaphorePermit) -> Self {
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
        let parked = Parked { connection, since: now, until };
        let surplus = if worn { Some(parked) } else { pool.state.lock().shelf.push(parked) };
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
    pub(super) id: u64,
    pub(super) sender: watch::Sender<Option<CallError>>,
    pub(super) pool: Weak<Pool>,
}

impl Opening {
    pub(super) fn fail(self, error: CallError) {
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
