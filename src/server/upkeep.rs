//! Work that goes on for as long as the process lives, and takes nothing but time.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::lifecycle::{Lifecycle, Stage};
use super::recheck::recheck;
use super::reload::Reloader;
use super::rescue::Rescue;
use crate::admin::{Deed, Pulse, Trail};
use crate::algo::breaker::State;
use crate::proxy::{Gateway, Snapshot};
use crate::state::Live;
use crate::telemetry::{catalogue, logs};

/// Leases end and levels decay with this resolution.
const EXPIRE: Duration = Duration::from_millis(250);
/// Series of what is gone are looked for.
const FORGET: Duration = Duration::from_mins(1);
/// What operators have said, and has ended by itself, is told of.
const NOTE: Duration = Duration::from_secs(1);
/// Pages that are left open are told what happens.
const BEAT: Duration = Duration::from_secs(1);
/// Connections past their time are closed, refused keys rechecked.
const SWEEP: Duration = Duration::from_secs(5);
/// A timer of this period tells how late timers are.
const PULSE: Duration = Duration::from_millis(100);

pub(super) async fn expire(gateway: Arc<Gateway>, rescue: Rescue) {
    loop {
        sleep(EXPIRE).await;
        let snapshot = gateway.snapshot();
        snapshot.table.expire();
        close_idle_where_open(&snapshot);
        rescue.look(&snapshot);
    }
}

/// What was kept to an upstream that has just failed is not worth keeping; streams under way finish
/// (RESILIENCE §4.14).
fn close_idle_where_open(snapshot: &Snapshot) {
    for (upstream, pool) in snapshot.table.upstreams.iter().zip(&snapshot.pools) {
        if matches!(upstream.memory.gate.state(), State::Open { .. }) {
            pool.close_idle();
        }
    }
}

/// What operators have said, and has had its time, is in the audit trail like what they take back.
pub(super) async fn note_ended(live: Arc<Live>, trail: Arc<Trail>) {
    loop {
        sleep(NOTE).await;
        logs::pass(live.now());
        for (subject, said) in live.overrides.take_ended() {
            let detail = json!({ "ended": said.kind.name(), "said_by": &*said.by, "reason": &*said.reason });
            let subject = subject.to_string();
            trail.note(Deed { actor: "gateway", action: "upstream.enable", subject: &subject, detail }).await;
        }
    }
}

/// Series of what left the configuration go, a while after it.
pub(super) async fn forget(gateway: Arc<Gateway>) {
    loop {
        sleep(FORGET).await;
        let snapshot = gateway.snapshot();
        let (names, now) = (snapshot.table.names(), gateway.live.now());
        let members = snapshot.access.holders();
        let is_known = |label: &str, value: &str| match label {
            "name" => value.ends_with(":*") || members.contains(value),
            _ => names.has(label, value),
        };
        gateway.live.metrics.forget(&is_known, now);
    }
}

pub(super) async fn pulse(live: Arc<Live>) {
    let lag = live.metrics.histogram(&catalogue::RUNTIME_LAG, &[]);
    loop {
        let begun = live.now();
        sleep(PULSE).await;
        let late = live.now().since(begun).saturating_sub(PULSE);
        lag.record(late.as_secs_f64());
        live.pulse(late);
    }
}

pub(super) async fn beats(pulse: Arc<Pulse>, gateway: Arc<Gateway>, lifecycle: Arc<Lifecycle>) {
    let mut gone = pin!(lifecycle.reached(Stage::Gone));
    loop {
        // A pause that loses was one without news.
        tokio::select! {
            () = &mut gone => return pulse.end(),
            () = sleep(BEAT) => pulse.beat(&gateway.snapshot().table),
        }
    }
}

pub(super) async fn sweep(gateway: Arc<Gateway>, reloader: Arc<Reloader>) {
    loop {
        sleep(SWEEP).await;
        for pool in &gateway.snapshot().pools {
            pool.sweep();
        }
        reloader.clear_away().await;
    }
}

pub(super) async fn rechecks(gateway: Arc<Gateway>) {
    loop {
        sleep(SWEEP).await;
        recheck(&gateway.live, &gateway.snapshot()).await;
    }
}
