//! Whether the process lives, and whether callers should be sent to it.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::StatusCode;

use super::form::{Answer, Content, Form};
use super::{Phase, Running, Seen};
use crate::ledger::Disk;
use crate::shared::Standing;
use crate::store::Presence;

pub(super) const LIVEZ: Form = Form::gives(Content::Text(&["text/plain"]), "it lives");
pub(super) const READYZ: Form =
    Form::gives(Content::Text(&["text/plain"]), "ready, and what is degraded, a line each").others(&[
        Answer { status: 503, content: Content::Text(&["text/plain"]), doc: "starting or draining" },
    ]);

pub(super) async fn livez() -> &'static str {
    "alive\n"
}

/// An upstream that is down does not make us unready: answering for it is what we are here for. Nor does a store or a
/// Redis that is away, without which callers are served all the same; that is said in a line of its own.
pub(super) async fn readyz(State(running): Seen) -> (StatusCode, String) {
    match running.phase() {
        Phase::Serving => (StatusCode::OK, format!("ready\n{}", degraded(&*running))),
        Phase::Starting => {
            (StatusCode::SERVICE_UNAVAILABLE, "starting: not accepting callers yet\n".to_owned())
        }
        Phase::Draining => {
            (StatusCode::SERVICE_UNAVAILABLE, "draining: finishing open requests\n".to_owned())
        }
    }
}

/// What is away or refuses, a line each. Why is for operators to see, in `/admin/status`.
fn degraded(running: &dyn Running) -> String {
    let mut said = String::new();
    match running.shared() {
        Some(Standing::Away { .. }) => {
            said += "degraded: Redis is away; each replica grants its part of limits and learns by itself\n";
        }
        Some(Standing::Refuses { .. }) => {
            said += "degraded: Redis refuses what it is asked; each replica does that part by itself\n";
        }
        Some(Standing::Connected) | None => {}
    }
    let presence = running.store().map(|store| store.standing().presence);
    if matches!(presence, Some(Presence::Away { .. })) {
        said += "degraded: the store is away; the ledger's rows wait on disk\n";
    }
    if running.ledger().is_some_and(|ledger| ledger.disk == Disk::Fails) {
        said += "degraded: neither the store nor the disk takes the ledger's rows; they wait in memory\n";
    }
    for task in running.panicked() {
        let _ = writeln!(
            said,
            "degraded: the background task `{task}` panicked and is gone; restart this gateway"
        );
    }
    said
}
