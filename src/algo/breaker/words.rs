//! The breaker's vocabulary: what it is asked, told and answers. Nothing here decides anything.

use std::time::Duration;

use crate::algo::ring::Counts;
use crate::algo::tick::Tick;

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed,
    Open { until: Tick },
    HalfOpen,
    ForcedClosed,
    ForcedOpen,
    MetricsOnly,
}

impl State {
    /// Every name, for metrics that show each state as its own series.
    pub const NAMES: [&'static str; 6] =
        ["closed", "open", "half_open", "forced_closed", "forced_open", "metrics_only"];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedClosed => "forced_closed",
            Self::ForcedOpen => "forced_open",
            Self::MetricsOnly => "metrics_only",
        }
    }
}

/// Leave to make one attempt, to be settled exactly once. Whoever holds it owes the guard that does so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    pub generation: u32,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Normal,
    /// One of the few attempts that decide whether a half-open breaker closes; the ticket finds its lease.
    Trial {
        ticket: u32,
    },
}

impl Kind {
    pub const fn is_trial(self) -> bool {
        match self {
            Self::Normal => false,
            Self::Trial { .. } => true,
        }
    }
}

/// How an attempt ended, as far as the breaker cares (RESILIENCE 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Success,
    /// The request was wrong and the upstream said so: it works.
    ClientFault,
    Failure,
    /// Alive but refusing for load: counts for the rates, not for the run of failures.
    Overload {
        retry_after: Option<Duration>,
    },
    /// Broke after its first content. Broken streams have a run of their own, which only a stream that comes to
    /// its end ends.
    StreamFailure,
    Slow,
    /// Says nothing about the upstream: cancelled, throttled, or our own fault.
    Neutral,
}

/// Why a state was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Consecutive,
    Fast,
    Slow,
    SlowCalls,
    TrialFailed,
    LeaseExpired,
    OpenElapsed,
    ProbeRose,
    TrialsPassed,
    Forced,
}

impl Reason {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consecutive => "consecutive",
            Self::Fast => "fast",
            Self::Slow => "slow",
            Self::SlowCalls => "slow_calls",
            Self::TrialFailed => "trial_failed",
            Self::LeaseExpired => "lease_expired",
            Self::OpenElapsed => "open_elapsed",
            Self::ProbeRose => "probe_rose",
            Self::TrialsPassed => "trials_passed",
            Self::Forced => "forced",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    pub from: State,
    pub to: State,
    pub reason: Reason,
}

/// What asking for a permit would bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admissible {
    Normal,
    Trial,
    /// `until` when it is worth asking again, where that is known.
    Refused {
        until: Option<Tick>,
    },
}

/// No permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When it is worth asking again, where that is known.
    pub until: Option<Tick>,
    /// A lease was found expired while asking.
    pub transition: Option<Transition>,
}

/// What settling an attempt did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Settled {
    pub transition: Option<Transition>,
    /// The permit was of an older generation, or its lease had ended: the outcome was not counted.
    pub late: bool,
}

/// An operator's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    Open,
    Closed,
    /// Count, admit everything, never trip.
    MetricsOnly,
    /// Take an earlier word back; the breaker starts closed, with nothing held against it.
    Release,
}

/// A breaker as an operator sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Snapshot {
    pub state: State,
    /// When this state was entered.
    pub since: Tick,
    pub generation: u32,
    /// How many openings the next open time is stretched by.
    pub level: u32,
    /// Failures in a row, or streams broken with none complete between them, whichever are more.
    pub consecutive: u32,
    pub fast: Counts,
    pub slow: Counts,
    /// Trials in flight.
    pub leases: usize,
    /// Trials that passed since the breaker is half open.
    pub passed: u8,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        let reasons = [
            Reason::Consecutive,
            Reason::Fast,
            Reason::Slow,
            Reason::SlowCalls,
            Reason::TrialFailed,
            Reason::LeaseExpired,
            Reason::OpenElapsed,
            Reason::ProbeRose,
            Reason::TrialsPassed,
            Reason::Forced,
        ];
        let names: BTreeSet<&str> = reasons.map(Reason::name).into_iter().collect();
        assert_eq!(names.len(), reasons.len());
        assert!(
            names
                .iter()
                .all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_') && name.len() > 3)
        );
    }
}
