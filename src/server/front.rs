//! What all callers' connections share, and how many of them there are.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Acquire},
};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use super::connection;
use super::lifecycle::Lifecycle;
use super::line::Place;
use super::tasks::Tasks;
use crate::proxy::Gateway;

pub struct Front {
    pub gateway: Arc<Gateway>,
    pub lifecycle: Arc<Lifecycle>,
    open: AtomicUsize,
    /// A connection has been closed.
    closed: Notify,
}

/// One of the connections that may be open.
struct Taken(Arc<Front>);

impl Front {
    pub fn new(gateway: Arc<Gateway>, lifecycle: Arc<Lifecycle>) -> Arc<Self> {
        Arc::new(Self { gateway, lifecycle, open: AtomicUsize::new(0), closed: Notify::new() })
    }

    /// Open connections, those included whose protocol was switched.
    pub fn open(&self) -> usize {
        self.open.load(Acquire)
    }

    /// Waits until fewer connections are open than configured.
    pub(super) async fn room(&self) {
        loop {
            let closed = self.closed.notified();
            let most = self.gateway.snapshot().table.server.limits.max_connections as usize;
            if self.open() < most {
                return;
            }
            closed.await;
        }
    }

    /// Waits until no connection is open.
    pub(super) async fn emptied(&self) {
        loop {
            let closed = self.closed.notified();
            if self.open() == 0 {
                return;
            }
            closed.await;
        }
    }

    /// Counts a connection as open until the answer is dropped.
    pub(super) fn take_place(self: &Arc<Self>) -> Place {
        self.open.fetch_add(1, AcqRel);
        Box::new(Taken(Arc::clone(self)))
    }

    /// Serves a connection that did not come through the listener, as tests make them in memory.
    pub fn serve<T>(self: &Arc<Self>, io: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let place = self.take_place();
        Tasks::spawn_connection(connection::serve(Arc::clone(self), io, Some(place)));
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, AcqRel);
        self.0.closed.notify_waiters();
        // For somebody who has looked at the count and is not yet waiting.
        self.0.closed.notify_one();
    }
}
