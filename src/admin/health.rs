//! Whether the process lives, and whether callers should be sent to it.

use axum::extract::State;
use axum::http::StatusCode;

use super::{Phase, Seen};

pub(super) async fn livez() -> &'static str {
    "alive\n"
}

/// An upstream that is down does not make us unready: answering for it is what we are here for.
pub(super) async fn readyz(State(running): Seen) -> (StatusCode, &'static str) {
    match running.phase() {
        Phase::Serving => (StatusCode::OK, "ready\n"),
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting: not accepting callers yet\n"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining: finishing open requests\n"),
    }
}
