//! A pool's shelf and slots, as `slot` and `shelf` know them, without sockets.

use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::h1::Connection;
use super::now;
use super::shelf::Shelf;
use super::slot::Slot;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicUsize;

pub struct Pool {
    pub(super) settings: Settings,
    pub(super) state: Mutex<State>,
    pub(super) in_use: AtomicUsize,
    slots: Arc<Semaphore>,
}

pub(super) struct Settings {
    pub(super) idle_timeout: Duration,
    pub(super) max_requests: u32,
}

pub(super) struct State {
    pub(super) shelf: Shelf,
    pub(super) openings: Vec<Awaited>,
}

pub(super) struct Awaited {
    pub(super) id: u64,
}

/// A connection and the right to use it.
pub struct InHand {
    connection: Box<Connection>,
    slot: Slot,
    /// Whether it had been used before.
    pub kept: bool,
}

impl Pool {
    pub fn new(max_connections: usize, max_idle: usize) -> Arc<Self> {
        Arc::new(Self {
            settings: Settings { idle_timeout: Duration::from_hours(1), max_requests: u32::MAX },
            state: Mutex::new(State { shelf: Shelf::new(max_idle), openings: Vec::new() }),
            in_use: AtomicUsize::new(0),
            slots: Arc::new(Semaphore::new(max_connections)),
        })
    }

    /// A kept connection or a new one, if one more may be in use.
    pub fn obtain(self: &Arc<Self>) -> Option<InHand> {
        let permit: OwnedSemaphorePermit = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let kept = self.state.lock().shelf.pop(now(), Duration::MAX, &mut Vec::new());
        let retire_at = now() + Duration::from_hours(1);
        let (connection, kept) = match kept {
            Some(parked) => (parked.connection, true),
            None => (Box::new(Connection { learned_idle: None, retire_at, requests: 0 }), false),
        };
        Some(InHand { connection, slot: Slot::new(self, permit), kept })
    }

    pub fn retire(&self) {
        let closed = self.state.lock().shelf.retire();
        drop(closed);
    }

    pub fn idle(&self) -> usize {
        self.state.lock().shelf.len()
    }

    pub fn in_use(&self) -> usize {
        self.in_use.load(Acquire)
    }
}

impl InHand {
    pub fn give_back(self) {
        self.slot.shelve(self.connection);
    }
}
