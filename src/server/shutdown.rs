//! Leaving without anybody noticing (RESILIENCE §4.15).
//!
//! Not ready, still accepting; then no new connections, and every open one ends with its last request;
//! then, when the patience for long streams is used up, an error event at the end of each of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::host::Host;
use super::lifecycle::Stage;
use crate::config::Drain;

/// How often it is looked whether requests have ended.
const LOOK: Duration = Duration::from_millis(50);
/// For the error events of streams that are cut off, and for the callers to read them.
const LAST_EVENTS: Duration = Duration::from_secs(6);
/// Beyond the spread, for connections to close that have nothing to do.
const GOODBYES: Duration = Duration::from_secs(2);

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request ended by itself.
    Clean,
    /// This many had to be cut off.
    Cut(u32),
}

/// Drains. Dropping the future in the middle leaves the process closing; the end of `host` ends the rest.
pub async fn drain(host: &Arc<Host>) -> Drained {
    let Drain { pre_stop_delay, timeout: patience, close_spread } =
        host.gateway().snapshot().table.server.drain.clone();
    tracing::info!(in_flight = host.gateway().in_flight(), "draining");
    host.lifecycle.enter(Stage::Leaving);
    sleep(pre_stop_delay).await;
    host.lifecycle.enter(Stage::Closing);

    let drained = if timeout(patience, quiet(host)).await.is_ok() {
        Drained::Clean
    } else {
        let left = host.gateway().in_flight();
        tracing::warn!(left, "requests are cut off: the drain has taken too long");
        host.gateway().cut_off();
        let _ = timeout(LAST_EVENTS, quiet(host)).await;
        Drained::Cut(left)
    };
    let _ = timeout(close_spread + GOODBYES, host.front.emptied()).await;
    host.lifecycle.enter(Stage::Gone);
    drained
}

async fn quiet(host: &Host) {
    while host.gateway().in_flight() > 0 {
        sleep(LOOK).await;
    }
}
