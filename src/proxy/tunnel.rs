//! Connections that have switched protocols (WebSocket and its like): bytes both ways, untouched, until either side
//! ends it or the key that it came with is good no more ([`LOOK`]).

use std::io;
use std::pin::pin;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::time::{sleep, timeout};

use super::Gateway;
use super::settle::Settle;
use crate::access::Shown;
use crate::state::Permit;
use crate::telemetry::RequestOutcome;
use crate::upstream::Incoming;
use crate::vocab::{Fault, RateHint, Stage};

/// What one side may still say after the other has said all. Protocols that switch (WebSocket) end on
/// both sides within a round trip; a side that does not notice must not hold the tunnel for ever.
const LINGER: Duration = Duration::from_secs(10);

/// How often it is looked whether the caller's key is still good.
const LOOK: Duration = Duration::from_secs(10);

/// What a caller brings who wants to switch protocols.
pub struct Switch {
    pub caller: OnUpgrade,
    /// What he proved his key with, if he has one.
    pub shown: Option<Shown>,
}

/// Joins the two connections once the caller has its 101. The task holds permit and settle, so a
/// drain waits for it, and it ends with either side.
pub fn join(switch: Option<Switch>, mut upstream: Incoming, permit: Permit, mut settle: Settle) {
    let Some((Switch { caller, shown }, mut upstream)) = switch.zip(upstream.take_upgrade()) else { return };
    tokio::spawn(async move {
        let Ok(caller) = caller.await else { return };
        let carried = tokio::select! {
            carried = carry(TokioIo::new(caller), &mut upstream) => carried,
            // Nobody's failure: request and attempt are cancelled.
            () = key_is_over(settle.gateway(), shown.as_ref()) => return,
            () = settle.gateway().is_over() => return,
        };
        if carried.is_ok() {
            settle.ends(RequestOutcome::Ok);
            permit.finish();
        } else {
            settle.ends(RequestOutcome::Broken);
            permit.fail(
                Fault::StreamCut,
                Stage::Committed,
                &RateHint::default(),
                crate::state::permit::Repeat::First,
            );
        }
    });
}

/// Comes back when what was shown is no key any more.
async fn key_is_over(gateway: &Gateway, shown: Option<&Shown>) {
    let Some(shown) = shown else { return std::future::pending().await };
    loop {
        sleep(LOOK).await;
        let now = gateway.live.clock.unix_now();
        if !gateway.snapshot().access.still_takes(shown, now) {
            let key = shown.key().lineage.public_name();
            return tracing::info!(target: "mainstay::access", %key, "a tunnel ends with its key");
        }
    }
}

/// Copies both ways until both sides have ended, or one has and the other's time is up.
async fn carry(caller: impl AsyncRead + AsyncWrite, upstream: impl AsyncRead + AsyncWrite) -> io::Result<()> {
    let (from_caller, to_caller) = split(caller);
    let (from_upstream, to_upstream) = split(upstream);
    let mut up = pin!(one_way(from_caller, to_upstream));
    let mut down = pin!(one_way(from_upstream, to_caller));
    // Whichever loses goes on below.
    tokio::select! {
        ended = &mut up => {
            ended?;
            timeout(LINGER, down).await.unwrap_or(Ok(()))
        }
        ended = &mut down => {
            ended?;
            timeout(LINGER, up).await.unwrap_or(Ok(()))
        }
    }
}

async fn one_way(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    copy(&mut from, &mut to).await?;
    to.shutdown().await
}
