//! Keeps what requests know of the store's keys up to date, so that what one replica changes holds on all of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::access::{Access, Desk};
use crate::admin::Trail;
use crate::proxy::{Gateway, beside};

/// How long a change takes to reach other replicas, at most.
const POLL: Duration = Duration::from_secs(2);
/// What a look at one key is taken for, in bytes of other long work: two thousand take a millisecond.
const A_KEY: usize = 512;
/// Between two looks before the first answer.
const AGAIN: Duration = Duration::from_millis(50);
/// How long the first request may have to wait for the keys when the process starts.
const FIRST: Duration = Duration::from_secs(2);

/// Looks again and again, for as long as the process lives.
pub(super) async fn follow(desk: Arc<Desk>, trail: Arc<Trail>, gateway: Arc<Gateway>) {
    let mut away = false;
    loop {
        sleep(POLL).await;
        match desk.look(gateway.live.clock.unix_now()).await {
            Ok(()) => away = false,
            Err(error) if !away => {
                away = true;
                tracing::warn!(%error, "changes of keys are not heard of; those known so far go on");
            }
            Err(_) => {}
        }
        stock(&gateway);
        trail.write().await;
    }
}

/// The first look, before anybody is served.
pub(super) async fn first(desk: &Desk, gateway: &Gateway) {
    let looked = async {
        // A PostgreSQL may be about to answer its first knock.
        while desk.look(gateway.live.clock.unix_now()).await.is_err() {
            sleep(AGAIN).await;
        }
    };
    if timeout(FIRST, looked).await.is_err() {
        tracing::warn!(
            "the store's keys are not known yet; whoever has one is told to come again until they are"
        );
    }
    stock(gateway);
}

/// What a look at all keys of the store takes, for [`beside::work`].
pub(super) fn effort(access: &Access) -> usize {
    access.managed_keys() * A_KEY
}

pub(super) fn stock(gateway: &Gateway) {
    let access = &gateway.snapshot().access;
    if beside::work(effort(access), || access.stock(&gateway.live.metrics)) {
        gateway.budgets.changed();
    }
}
