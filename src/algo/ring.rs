//! Outcomes of the last while, counted in `B` buckets (RESILIENCE 4.3).
//!
//! It counts; what the counts mean is the breaker's business. With buckets of `width = window / B` an
//! event is certain to be counted for `window - width` and certain to be forgotten after `window`.
//! Totals are summed from the buckets when asked: `B` is at most a dozen, and a running total would be
//! one more thing that can be wrong (linkerd2-proxy made the same choice).

use std::time::Duration;

use super::slots::Slots;
use super::tick::Tick;

/// What can happen to a call, as far as a window cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Ok,
    Fail,
    Overload,
    /// A call that is counted already turned out slow.
    Slow,
    /// A call given up while it was slow: it has no other verdict.
    GivenUp,
    /// A call counted as [`Ok`](Event::Ok) broke in mid-stream.
    StreamFail,
}

/// How often each event happened; every count stops at `u32::MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub ok: u32,
    pub fail: u32,
    pub overload: u32,
    pub slow: u32,
    /// Those of `slow` that never got another verdict.
    pub given_up: u32,
    pub stream_fail: u32,
}

impl Counts {
    /// Calls that went wrong, those that broke in mid-stream included.
    pub const fn bad(&self) -> u32 {
        self.fail.saturating_add(self.overload).saturating_add(self.stream_fail)
    }

    /// Calls that went well: a stream that broke takes back the success its beginning earned.
    pub const fn good(&self) -> u32 {
        self.ok.saturating_sub(self.stream_fail)
    }

    /// Calls with a verdict.
    pub const fn total(&self) -> u32 {
        self.good().saturating_add(self.bad())
    }

    /// Share of calls that went wrong; 0 when there were none.
    pub fn bad_rate(&self) -> f64 {
        f64::from(self.bad()) / f64::from(self.total().max(1))
    }

    /// Calls whose speed is known, which includes those given up.
    pub const fn timed(&self) -> u32 {
        self.total().saturating_add(self.given_up)
    }

    /// Share of calls that were slow; 0 when there were none.
    pub fn slow_rate(&self) -> f64 {
        f64::from(self.slow) / f64::from(self.timed().max(1))
    }

    const fn count(&mut self, event: Event) {
        match event {
            Event::Ok => self.ok = self.ok.saturating_add(1),
            Event::Fail => self.fail = self.fail.saturating_add(1),
            Event::Overload => self.overload = self.overload.saturating_add(1),
            Event::Slow => self.slow = self.slow.saturating_add(1),
            Event::GivenUp => {
                self.slow = self.slow.saturating_add(1);
                self.given_up = self.given_up.saturating_add(1);
            }
            Event::StreamFail => self.stream_fail = self.stream_fail.saturating_add(1),
        }
    }

    const fn plus(self, other: &Self) -> Self {
        Self {
            ok: self.ok.saturating_add(other.ok),
            fail: self.fail.saturating_add(other.fail),
            overload: self.overload.saturating_add(other.overload),
            slow: self.slow.saturating_add(other.slow),
            given_up: self.given_up.saturating_add(other.given_up),
            stream_fail: self.stream_fail.saturating_add(other.stream_fail),
        }
    }
}

/// A window of events.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring<const B: usize>(Slots<Counts, B>);

impl<const B: usize> Ring<B> {
    pub fn new(window: Duration) -> Self {
        Self(Slots::new(window))
    }

    pub fn record(&mut self, now: Tick, event: Event) {
        self.0.current(now).count(event);
    }

    /// What happened within the window that ends at `now`.
    pub fn totals(&self, now: Tick) -> Counts {
        self.0.live(now).fold(Counts::default(), Counts::plus)
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}
