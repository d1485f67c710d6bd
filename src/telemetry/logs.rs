//! Set-up of the process's log: JSON when nobody watches, readable lines on a terminal, or as the configuration has it
//! ([`follow`]). [`turn`] changes what is logged for a while.
//!
//! Prompts, replies and secrets are never log fields; the types that hold them do not print. Lines about requests, of
//! which there may be thousands a second, are written in batches by [`Lines`], everything else at once.

mod dial;
mod form;
mod lines;
mod settings;

use std::io::IsTerminal;
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::EnvFilter;

pub use dial::{Standing, Turned, Unturned, follow, pass, standing, turn, turn_back};
pub use form::{Choice, Manner};
pub use lines::{Lines, finish};
pub use settings::{Requests, Settings};

use form::Form;

use crate::algo::sigv4::Stamp;

/// What lines about requests are called, in `MAINSTAY_LOG` too.
pub const REQUEST: &str = "mainstay::request";

/// Starts logging to standard error: what [`follow`] is told later, and until then what `MAINSTAY_LOG` says (`info` by
/// default), in the manner that fits a terminal or a file. A second call, as tests make, changes nothing.
///
/// What cannot be written, because the disk behind standard error is full, is lost without a word: there is nowhere to
/// say it, and trying would panic.
pub fn start() {
    let said = std::env::var("MAINSTAY_LOG").ok();
    let environment = said.filter(|said| !said.trim().is_empty() && EnvFilter::try_new(said).is_ok());
    let usual = Settings::default().filter(environment.as_deref());
    // <https://no-color.org>
    let colour = std::env::var_os("NO_COLOR").is_none_or(|said| said.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&usual))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && colour)
        .log_internal_errors(false)
        .event_format(Form::new())
        .with_filter_reloading();
    let handle = builder.reload_handle();
    Choice::default().manner().set();
    if builder.try_init().is_ok() {
        dial::started(environment, usual, Box::new(move |filter| handle.reload(filter).is_ok()));
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

/// Writes times since the Unix epoch as every line has them, `2026-11-22T08:00:00.250000Z`; within the same second as
/// the one before that is little work.
#[derive(Debug, Default)]
pub struct Timestamps {
    second: Option<u64>,
    /// What its times begin with.
    begin: String,
}

impl Timestamps {
    pub fn write(&mut self, unix: Duration, text: &mut Vec<u8>) {
        if self.second != Some(unix.as_secs()) {
            self.second = Some(unix.as_secs());
            self.begin = Stamp::at(unix).rfc3339().replace('Z', ".");
        }
        let micros = unix.subsec_micros();
        text.extend_from_slice(self.begin.as_bytes());
        text.extend([100_000, 10_000, 1_000, 100, 10, 1].map(|place| b'0' + (micros / place % 10) as u8));
        text.push(b'Z');
    }
}

/// One such time.
pub fn timestamp(unix: Duration) -> String {
    let mut text = Vec::new();
    Timestamps::default().write(unix, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_microseconds() {
        assert_eq!(timestamp(Duration::new(1_440_938_160, 250_000)), "2015-08-30T12:36:00.000250Z");
    }

    #[test]
    fn one_timestamp_after_the_other_is_as_each_alone() {
        let (mut times, mut text) = (Timestamps::default(), Vec::new());
        for (seconds, nanos) in [(1_440_938_160, 0), (1_440_938_160, 999_999_999), (1_440_938_161, 7_000)] {
            text.clear();
            let unix = Duration::new(seconds, nanos);
            times.write(unix, &mut text);
            assert_eq!(text, timestamp(unix).as_bytes());
        }
        assert_eq!(text, b"2015-08-30T12:36:01.000007Z");
    }
}
