//! What all callers' connections share, and how many of them there are.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::connection;
use super::eviction::{Eviction, LOOK};
use super::files::room_for_callers;
use super::lifecycle::Lifecycle;
use super::line::Place;
use super::places::Places;
use super::tasks::Tasks;
use crate::proxy::Gateway;
use crate::telemetry::catalogue as c;

pub struct Front {
    pub gateway: Arc<Gateway>,
    pub lifecycle: Arc<Lifecycle>,
    places: Arc<Places>,
    pub(super) eviction: Arc<Eviction>,
    /// Connections that there are files for.
    files_for: usize,
}

impl Front {
    pub fn new(gateway: Arc<Gateway>, lifecycle: Arc<Lifecycle>) -> Arc<Self> {
        let eviction = Eviction::new(gateway.live.metrics.counter(&c::CONNECTIONS_EVICTED, &[]));
        Arc::new(Self { gateway, lifecycle, places: Arc::default(), eviction, files_for: room_for_callers() })
    }

    /// Open connections, those included whose protocol was switched.
    pub fn open(&self) -> usize {
        self.places.open()
    }

    /// Connections with a request that has not ended.
    pub fn busy(&self) -> u32 {
        self.eviction.busy()
    }

    /// Waits until fewer connections are open than configured, and than there are files for; those that have been idle
    /// for long are made to end before.
    pub(super) async fn has_room(&self) {
        let said = || self.gateway.snapshot().table.server.limits.max_connections as usize;
        let most = || said().min(self.files_for);
        loop {
            self.eviction.make_room(self.open(), most(), self.gateway.live.now());
            if timeout(LOOK, self.places.fewer_than(most)).await.is_ok() {
                return;
            }
        }
    }

    /// Waits until no connection is open.
    pub(super) async fn emptied(&self) {
        self.places.emptied().await;
    }

    /// Counts a connection as open until the answer is dropped.
    pub(super) fn take_place(&self) -> Place {
        Box::new(self.places.take())
    }

    /// Serves a connection that did not come through the listener, as tests make them in memory.
    pub fn serve<T>(self: &Arc<Self>, io: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let place = self.take_place();
        Tasks::spawn_connection(connection::serve(Arc::clone(self), io, None, Some(place)));
    }
}
