//! Set-up of the process's log: JSON when nobody watches, readable lines on a terminal.
//!
//! Prompts, replies and secrets are never log fields; the types that hold them do not print.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. `MAINSTAY_LOG` holds the filter (`info` by default).
/// A second call, as tests make, changes nothing.
///
/// What cannot be written, because the disk behind standard error is full, is lost without a word: there is nowhere to
/// say it, and trying would panic.
pub fn start() {
    let filter = EnvFilter::try_from_env("MAINSTAY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let started = if std::io::stderr().is_terminal() {
        builder.with_target(false).compact().try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    drop(started);
}
