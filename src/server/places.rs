//! How many callers' connections are open, and who waits for fewer.
//!
//! How many there may be is said by whoever asks; what a connection does is nobody's concern here.

use std::sync::Arc;

use crate::state::sync::Notify;
use crate::state::sync::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Acquire},
};

#[derive(Debug, Default)]
pub struct Places {
    open: AtomicUsize,
    /// A connection has been closed.
    closed: Notify,
}

/// An open connection, until it is dropped.
#[derive(Debug)]
pub struct Taken(Arc<Places>);

impl Places {
    /// Open connections, those included whose protocol was switched.
    pub fn open(&self) -> usize {
        self.open.load(Acquire)
    }

    /// Counts a connection as open until the answer is dropped.
    pub fn take(self: &Arc<Self>) -> Taken {
        self.open.fetch_add(1, AcqRel);
        Taken(Arc::clone(self))
    }

    /// Waits until fewer than `most` connections are open, which is asked anew each time that one closes.
    pub async fn fewer_than(&self, most: impl Fn() -> usize) {
        loop {
            // Before the look: who closes a connection after it rings for this.
            let closed = self.closed.notified();
            if self.open() < most() {
                return;
            }
            closed.await;
        }
    }

    /// Waits until no connection is open.
    pub async fn emptied(&self) {
        self.fewer_than(|| 1).await;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, AcqRel);
        self.0.closed.notify_waiters();
    }
}
