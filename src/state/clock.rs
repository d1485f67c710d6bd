//! The only reader of time.
//!
//! Everything that decides anything uses the monotonic [`Tick`]. Wall-clock time is read only to
//! understand dates that an upstream or a caller wrote, and to date what people read. Built on
//! tokio's clock, so a test that pauses time pauses this too.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::algo::tick::Tick;

#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self::start()
    }
}

#[expect(clippy::disallowed_methods, reason = "this file is the one reader of time")]
impl Clock {
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub fn now(&self) -> Tick {
        Tick::ZERO + self.origin.elapsed()
    }

    /// Time since the Unix epoch; zero on a machine whose clock stands before it.
    pub fn unix_now(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// The same moment for tokio's timers.
    pub fn instant(&self, tick: Tick) -> Instant {
        self.origin + tick.since(Tick::ZERO)
    }
}
