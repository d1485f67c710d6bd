//! Set-up of the process's log: JSON when nobody watches, readable lines on a terminal. [`turn`] changes what is logged
//! for a while.
//!
//! Prompts, replies and secrets are never log fields; the types that hold them do not print. Lines about requests, of
//! which there may be thousands a second, are written in batches by [`Lines`], everything else at once.

mod dial;
mod lines;

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::EnvFilter;

pub use dial::{Standing, Turned, Unturned, pass, standing, turn, turn_back};
pub use lines::{Lines, finish};

use crate::algo::sigv4::Stamp;

/// What lines about requests are called, in `MAINSTAY_LOG` too.
pub const REQUEST: &str = "mainstay::request";

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Json,
    /// For people.
    Plain,
}

static MANNER: OnceLock<Manner> = OnceLock::new();

/// Starts logging to standard error. `MAINSTAY_LOG` holds the filter (`info` by default).
/// A second call, as tests make, changes nothing.
///
/// What cannot be written, because the disk behind standard error is full, is lost without a word: there is nowhere to
/// say it, and trying would panic.
pub fn start() {
    let filter = EnvFilter::try_from_env("MAINSTAY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let manner = if std::io::stderr().is_terminal() { Manner::Plain } else { Manner::Json };
    let usual = filter.to_string();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    // Each form of lines is another type.
    let (set, started): (Box<dyn Fn(EnvFilter) -> bool + Send + Sync>, _) = match manner {
        Manner::Plain => {
            let builder = builder.with_target(false).compact().with_filter_reloading();
            let handle = builder.reload_handle();
            (Box::new(move |filter| handle.reload(filter).is_ok()), builder.try_init())
        }
        Manner::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            (Box::new(move |filter| handle.reload(filter).is_ok()), builder.try_init())
        }
    };
    if started.is_ok() {
        let _ = MANNER.set(manner);
        dial::started(usual, set);
    }
}

/// Whether lines about requests of this level are wanted.
pub fn wants_request(level: Level) -> bool {
    if level == Level::WARN {
        tracing::enabled!(target: REQUEST, Level::WARN)
    } else {
        tracing::enabled!(target: REQUEST, Level::INFO)
    }
}

/// A time since the Unix epoch as every line has it: `2026-11-22T08:00:00.250000Z`.
pub fn timestamp(unix: Duration) -> String {
    let mut text = Stamp::at(unix).rfc3339();
    text.truncate(text.trim_end_matches('Z').len());
    format!("{text}.{:06}Z", unix.subsec_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_microseconds() {
        assert_eq!(timestamp(Duration::new(1_440_938_160, 250_000)), "2015-08-30T12:36:00.000250Z");
    }
}
