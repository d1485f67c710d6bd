//! What a closed breaker knows, and the rules that turn it into a verdict.
//!
//! A response is charged to one reason, in the order consecutive, fast, slow, slow calls (linkerd2-proxy
//! does the same), so that the `reason` label of a trip says what was seen first.

use super::settings::{Rule, Settings};
use super::streak::Streak;
use super::words::{Reason, Signal};
use crate::algo::ring::{Counts, Event, Ring};
use crate::algo::tick::Tick;

/// Which of an attempt's two verdicts a signal is: the first when its first content (or none) came, the
/// second, if any, after a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    First,
    Second,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Evidence {
    pub fast: Ring<10>,
    pub slow: Ring<12>,
    /// Failures since the last success.
    pub streak: Streak,
    /// Streams that broke since the last one that came to its end. Every one of them began with content, which
    /// ends `streak`, so an upstream that breaks all of its streams would never fill that.
    pub broken: Streak,
}

impl Evidence {
    pub fn new(settings: &Settings) -> Self {
        Self {
            fast: Ring::new(settings.fast.window),
            slow: Ring::new(settings.slow.window),
            streak: Streak::new(settings.consecutive.failures),
            broken: Streak::new(settings.consecutive.failures),
        }
    }

    pub fn clear(&mut self) {
        self.forgive();
        self.broken.end();
    }

    /// What passed trials disprove: all but the broken streams, for a trial passes while its stream still flows.
    pub fn forgive(&mut self) {
        self.fast.clear();
        self.slow.clear();
        self.streak.end();
    }

    /// Keeps what still fits the new settings: only what was cut to another measure starts anew.
    pub fn refit(&mut self, old: &Settings, new: &Settings) {
        if old.fast.window != new.fast.window {
            self.fast = Ring::new(new.fast.window);
        }
        if old.slow.window != new.slow.window {
            self.slow = Ring::new(new.slow.window);
        }
        if old.consecutive.failures != new.consecutive.failures {
            self.streak = Streak::new(new.consecutive.failures);
            self.broken = Streak::new(new.consecutive.failures);
        }
    }

    /// Counts a signal, then says which rule it broke. A signal that counts for nothing breaks none.
    pub fn weigh(&mut self, phase: Phase, signal: Signal, settings: &Settings, now: Tick) -> Option<Reason> {
        let event = event(phase, signal)?;
        self.fast.record(now, event);
        self.slow.record(now, event);
        match event {
            Event::Ok => self.streak.end(),
            Event::Fail if signal == Signal::Failure => self.streak.push(now),
            // Not for the run: a stream that broke had answered, and an overloaded upstream is alive.
            Event::Fail | Event::Overload | Event::Slow | Event::GivenUp | Event::StreamFail => {}
        }
        // The run of broken streams is looked at when it grows and never else: it may be full when a breaker
        // closes, and a success must not open it.
        if signal == Signal::StreamFailure {
            self.broken.push(now);
            if self.broken.is_full(settings.consecutive.max_age, now) {
                return Some(Reason::Consecutive);
            }
        }
        self.broken_rule(settings, now)
    }

    fn broken_rule(&self, settings: &Settings, now: Tick) -> Option<Reason> {
        if self.streak.is_full(settings.consecutive.max_age, now) {
            return Some(Reason::Consecutive);
        }
        if breaks(&settings.fast, &self.fast.totals(now)) {
            return Some(Reason::Fast);
        }
        let slow = self.slow.totals(now);
        if breaks(&settings.slow, &slow) {
            return Some(Reason::Slow);
        }
        let too_slow = settings
            .slow_call
            .is_some_and(|rule| slow.slow > 0 && slow.timed() >= rule.min && slow.slow_rate() >= rule.rate);
        too_slow.then_some(Reason::SlowCalls)
    }
}

/// Both limits are inclusive. Without a single bad call nothing is broken, whatever the rate says.
fn breaks(rule: &Rule, counts: &Counts) -> bool {
    counts.bad() > 0 && counts.total() >= rule.min && counts.bad_rate() >= rule.rate
}

/// What a signal is to a window.
const fn event(phase: Phase, signal: Signal) -> Option<Event> {
    match (phase, signal) {
        (_, Signal::Neutral) | (Phase::Second, Signal::Success | Signal::ClientFault) => None,
        (Phase::First, Signal::Success | Signal::ClientFault) => Some(Event::Ok),
        // A stream that broke before anybody counted its success has none to take back.
        (Phase::First, Signal::Failure | Signal::StreamFailure) => Some(Event::Fail),
        (Phase::First, Signal::Overload { .. }) => Some(Event::Overload),
        (Phase::First, Signal::Slow) => Some(Event::GivenUp),
        (Phase::Second, Signal::Failure | Signal::Overload { .. } | Signal::StreamFailure) => {
            Some(Event::StreamFail)
        }
        (Phase::Second, Signal::Slow) => Some(Event::Slow),
    }
}
