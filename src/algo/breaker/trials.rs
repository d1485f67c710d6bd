//! The trials of one half-open period: who holds a lease, what passed, what said nothing.

use std::time::Duration;

use super::evidence::Phase;
use super::settings::HalfOpen;
use super::words::Signal;
use crate::algo::tick::Tick;

/// A half-open breaker that nobody tries for this long asks for a synthetic probe. A second, as a
/// channel should be back within seconds of its recovery (E8) however little traffic it has.
const QUIET: Duration = Duration::from_secs(1);

/// A breaker that could have been tried for this long and is neither closed nor open again is overdue: whoever
/// has been choosing the requests for its trials has found none.
pub(super) const OVERDUE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trials {
    /// At most `max_concurrent`.
    leases: Vec<Lease>,
    next_ticket: u32,
    passed: u8,
    /// Trials in a row that ended without a verdict.
    neutral: u8,
    last: Last,
    /// When a trial last began or ended.
    touched: Tick,
    /// Since when there could have been trials.
    due: Tick,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Lease {
    ticket: u32,
    deadline: Tick,
}

/// The last verdict that mattered: one client fault proves little, two in a row prove a working upstream.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Last {
    Other,
    ClientFault,
}

/// What the trials say so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    Passed,
    Failed,
    Undecided,
}

impl Trials {
    /// Trials that could have begun at `due`.
    pub const fn begin(due: Tick, now: Tick) -> Self {
        let leases = Vec::new();
        Self { leases, next_ticket: 0, passed: 0, neutral: 0, last: Last::Other, touched: now, due }
    }

    pub fn are_overdue(&self, now: Tick) -> bool {
        now.since(self.due) >= OVERDUE
    }

    /// Whether one more trial may start. Never more than could still be needed: a single failure ends
    /// them all, so trials beyond the missing successes would only endanger callers.
    pub fn has_room(&self, settings: &HalfOpen) -> bool {
        let out = self.leases.len();
        out < usize::from(settings.max_concurrent.max(1))
            && out + usize::from(self.passed) < usize::from(settings.success_threshold.max(1))
    }

    /// A ticket for one trial, to be asked for only when there is room.
    pub fn lease(&mut self, settings: &HalfOpen, now: Tick) -> u32 {
        let ticket = self.next_ticket;
        self.next_ticket = self.next_ticket.wrapping_add(1);
        self.leases.push(Lease { ticket, deadline: now + settings.probe_timeout });
        self.touched = now;
        ticket
    }

    /// Ends a lease; `None` when there is no such lease (any more).
    pub fn end(&mut self, ticket: u32, now: Tick) -> Option<()> {
        let at = self.leases.iter().position(|lease| lease.ticket == ticket)?;
        self.leases.swap_remove(at);
        self.touched = now;
        Some(())
    }

    pub fn weigh(&mut self, phase: Phase, signal: Signal, slow_fails: bool, threshold: u8) -> Verdict {
        match (phase, signal) {
            (_, Signal::Failure | Signal::Overload { .. } | Signal::StreamFailure) => Verdict::Failed,
            (_, Signal::Slow) if slow_fails => Verdict::Failed,
            (Phase::Second, Signal::Success | Signal::ClientFault | Signal::Slow | Signal::Neutral) => {
                Verdict::Undecided
            }
            (Phase::First, Signal::Success) => self.pass(threshold),
            (Phase::First, Signal::ClientFault) => match self.last {
                Last::ClientFault => self.pass(threshold),
                Last::Other => {
                    self.last = Last::ClientFault;
                    self.say_nothing()
                }
            },
            (Phase::First, Signal::Slow | Signal::Neutral) => self.say_nothing(),
        }
    }

    fn pass(&mut self, threshold: u8) -> Verdict {
        self.passed = self.passed.saturating_add(1);
        self.neutral = 0;
        self.last = Last::Other;
        if self.have_passed(threshold) { Verdict::Passed } else { Verdict::Undecided }
    }

    const fn say_nothing(&mut self) -> Verdict {
        self.neutral = self.neutral.saturating_add(1);
        Verdict::Undecided
    }

    pub fn have_passed(&self, threshold: u8) -> bool {
        self.passed >= threshold.max(1)
    }

    pub fn any_expired(&self, now: Tick) -> bool {
        self.leases.iter().any(|lease| lease.deadline <= now)
    }

    /// When the first lease runs out, and with it the question who may try.
    pub fn first_deadline(&self) -> Option<Tick> {
        self.leases.iter().map(|lease| lease.deadline).min()
    }

    /// Callers have tried, and none brought a verdict.
    pub const fn are_undecided(&self, settings: &HalfOpen) -> bool {
        self.neutral >= settings.max_neutral
    }

    /// Callers bring no verdict, or there are none: a synthetic trial should.
    pub fn want_probe(&self, settings: &HalfOpen, now: Tick) -> bool {
        self.has_room(settings)
            && (self.are_undecided(settings) || (self.leases.is_empty() && now.since(self.touched) >= QUIET))
    }

    pub const fn leases(&self) -> usize {
        self.leases.len()
    }

    pub const fn passed(&self) -> u8 {
        self.passed
    }
}
