//! Whether anything goes on at a caller's connection, and since when nothing does.
//!
//! Exchanges begin in the connection's task; those of HTTP/2 end in tasks of their own. What follows from
//! idleness is `conduct`'s question.

use crate::algo::tick::Tick;
use crate::state::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

#[derive(Debug)]
pub struct Busy {
    /// Requests whose answers have not ended.
    exchanges: AtomicU32,
    /// When one last ended. Means idleness only where there are none.
    ended: AtomicU64,
}

impl Busy {
    /// Idle since `now`.
    pub fn new(now: Tick) -> Self {
        Self { exchanges: AtomicU32::new(0), ended: AtomicU64::new(now.nanos()) }
    }

    /// An exchange begins.
    pub fn begin(&self) {
        self.exchanges.fetch_add(1, Relaxed);
    }

    /// One that began has ended.
    pub fn end(&self, now: Tick) {
        // In this order: who sees that none is left sees when the last one ended.
        self.ended.fetch_max(now.nanos(), Relaxed);
        self.exchanges.fetch_sub(1, Release);
    }

    pub fn is_idle(&self) -> bool {
        self.exchanges.load(Acquire) == 0
    }

    /// Since when nothing has been going on; `None` while something does.
    pub fn idle_since(&self) -> Option<Tick> {
        self.is_idle().then(|| Tick::from_nanos(self.ended.load(Relaxed)))
    }
}
