//! Connections that have switched protocols (WebSocket and its like): bytes both ways, untouched.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use super::settle::Settle;
use crate::state::Permit;
use crate::telemetry::RequestOutcome;
use crate::upstream::Incoming;
use crate::vocab::{Fault, RateHint, Stage};

/// Joins the two connections once the caller has its 101. The task holds permit and settle, so a
/// drain waits for it, and it ends with either side.
pub fn join(caller: Option<OnUpgrade>, mut upstream: Incoming, permit: Permit, mut settle: Settle) {
    let Some((caller, mut upstream)) = caller.zip(upstream.take_upgrade()) else { return };
    tokio::spawn(async move {
        let Ok(caller) = caller.await else { return };
        if copy_bidirectional(&mut TokioIo::new(caller), &mut upstream).await.is_ok() {
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
