//! The only reader of time.
//!
//! Everything that decides anything uses the monotonic [`Tick`]. Wall-clock time is read only to
//! understand dates that an upstream or a caller wrote, and to date what people read. Built on
//! tokio's clock, so a test that pauses time pauses this too. A rehearsal has a clock whose [`Hand`] it
//! moves itself; nobody else's ever sees one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::algo::tick::Tick;
use crate::catalog::Date;

#[derive(Debug)]
pub struct Clock {
    origin: Instant,
    /// What an earlier process and the pause after it have counted already, in nanoseconds.
    before: AtomicU64,
    /// Who says what time it is, where that is not the machine.
    hand: Option<Hand>,
}

/// The time of a clock that does not go by itself.
#[derive(Clone, Debug, Default)]
pub struct Hand(Arc<Shown>);

#[derive(Debug, Default)]
struct Shown {
    tick: AtomicU64,
    /// How many seconds the wall is ahead of the true time, or behind it.
    ahead: AtomicI64,
}

/// What the wall shows when a moved clock begins: a round number of the year 2026.
const BEGIN: Duration = Duration::from_secs(1_790_000_000);

impl Default for Clock {
    fn default() -> Self {
        Self::start()
    }
}

#[expect(clippy::disallowed_methods, reason = "this file is the one reader of time")]
impl Clock {
    pub fn start() -> Self {
        Self { origin: Instant::now(), before: AtomicU64::new(0), hand: None }
    }

    /// A clock that shows what `hand` points to, and nothing of the machine's time.
    pub fn moved_by(hand: &Hand) -> Self {
        Self { hand: Some(hand.clone()), ..Self::start() }
    }

    pub fn now(&self) -> Tick {
        match &self.hand {
            None => self.zero() + self.origin.elapsed(),
            Some(hand) => hand.shown(),
        }
    }

    /// Goes on counting from `at`, where an earlier process would be by now, so that the times which it
    /// wrote down are times of this clock. For the very start: what is known already would be of long ago.
    pub fn resume(&self, at: Tick) {
        let elapsed = at.since(Tick::ZERO).saturating_sub(self.origin.elapsed());
        self.before.fetch_max((Tick::ZERO + elapsed).nanos(), Relaxed);
    }

    fn zero(&self) -> Tick {
        Tick::from_nanos(self.before.load(Relaxed))
    }

    /// Time since the Unix epoch; zero on a machine whose clock stands before it.
    pub fn unix_now(&self) -> Duration {
        match &self.hand {
            None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Some(hand) => hand.wall(),
        }
    }

    /// Since the epoch, of a moment that is past.
    pub fn unix_at(&self, past: Tick) -> Duration {
        self.unix_now().saturating_sub(self.now().since(past))
    }

    /// The day (UTC) that it is.
    pub fn today(&self) -> Date {
        Date::of_unix(self.unix_now().as_secs())
    }

    /// The same moment for tokio's timers.
    pub fn instant(&self, tick: Tick) -> Instant {
        self.origin + tick.since(self.zero())
    }
}

impl Hand {
    pub fn shown(&self) -> Tick {
        Tick::from_nanos(self.0.tick.load(Relaxed))
    }

    /// What a wall shows that nobody sets: that of an upstream elsewhere. Time since the Unix epoch.
    pub fn true_wall(&self) -> Duration {
        BEGIN + self.shown().since(Tick::ZERO)
    }

    /// Sets the wall by so many seconds, as people and time servers do; no tick hears of it.
    pub fn step_wall(&self, seconds: i64) {
        self.0.ahead.fetch_add(seconds, Relaxed);
    }

    fn wall(&self) -> Duration {
        let ahead = self.0.ahead.load(Relaxed);
        let off = Duration::from_secs(ahead.unsigned_abs());
        if ahead < 0 { self.true_wall().saturating_sub(off) } else { self.true_wall() + off }
    }

    /// Moves it to `tick`; never back, as no monotonic clock goes there.
    pub fn move_to(&self, tick: Tick) {
        self.0.tick.fetch_max(tick.nanos(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_clock_shows_what_its_hand_says_and_goes_forward_only() {
        let hand = Hand::default();
        let clock = Clock::moved_by(&hand);
        assert_eq!((clock.now(), clock.unix_now()), (Tick::ZERO, BEGIN));
        hand.move_to(Tick::from_nanos(7));
        hand.move_to(Tick::from_nanos(3));
        assert_eq!(clock.now(), Tick::from_nanos(7));
        assert_eq!(clock.unix_now(), BEGIN + Duration::from_nanos(7));
    }

    #[test]
    fn a_wall_that_is_set_moves_no_tick_and_no_other_wall() {
        let hand = Hand::default();
        let clock = Clock::moved_by(&hand);
        hand.step_wall(3600);
        assert_eq!((clock.now(), clock.unix_now()), (Tick::ZERO, BEGIN + Duration::from_hours(1)));
        hand.step_wall(-7200);
        assert_eq!(clock.unix_now(), BEGIN.saturating_sub(Duration::from_hours(1)));
        assert_eq!(hand.true_wall(), BEGIN);
    }
}
