//! What a caller may use of the gateway: requests and tokens in a minute and in a day, requests at the same moment.
//!
//! | file | job |
//! |---|---|
//! | `window` | counts what the last minute, or day, has seen |
//! | `tally` | all that one subject has used, held against what it may use |
//!
//! Plain values: who the subjects are, and that several of them are asked at once, is `access`' affair. What an
//! upstream's own limits leave is another matter (`quota`).

mod tally;
mod window;

#[cfg(test)]
mod laws;

use std::time::Duration;

pub use tally::{Booked, Short, Spent, Tally, Used, When, amount, corrections};
pub use window::{SLOTS, Window, slot_of};

/// What somebody may use. Nothing is limited by what is `None`; no limit is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in any minute.
    pub rpm: Option<u64>,
    /// Requests in any 24 hours.
    pub rpd: Option<u64>,
    /// Tokens of prompts and answers in any minute.
    pub tpm: Option<u64>,
    /// The same in any 24 hours.
    pub tpd: Option<u64>,
    /// Requests at the same moment.
    pub concurrency: Option<u32>,
}

/// What is limited over a time, and for how long it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    Rpm,
    Rpd,
    Tpm,
    Tpd,
    Concurrency,
}

/// What a request adds to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Itself.
    Requests,
    Tokens,
    /// Itself, for as long as it takes.
    Presence,
}

impl Unit {
    pub const ALL: [Self; 5] = [Self::Rpm, Self::Rpd, Self::Tpm, Self::Tpd, Self::Concurrency];

    /// As the configuration and metrics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rpm => "rpm",
            Self::Rpd => "rpd",
            Self::Tpm => "tpm",
            Self::Tpd => "tpd",
            Self::Concurrency => "concurrency",
        }
    }

    /// For people, behind a number.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Rpm => "requests a minute",
            Self::Rpd => "requests a day",
            Self::Tpm => "tokens a minute",
            Self::Tpd => "tokens a day",
            Self::Concurrency => "requests at the same moment",
        }
    }

    pub const fn measure(self) -> Measure {
        match self {
            Self::Rpm | Self::Rpd => Measure::Requests,
            Self::Tpm | Self::Tpd => Measure::Tokens,
            Self::Concurrency => Measure::Presence,
        }
    }

    /// For how long what is used counts; zero for what counts only while it lasts.
    pub const fn length(self) -> Duration {
        match self {
            Self::Rpm | Self::Tpm => Duration::from_mins(1),
            Self::Rpd | Self::Tpd => Duration::from_hours(24),
            Self::Concurrency => Duration::ZERO,
        }
    }
}

impl Allowance {
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// What is said here, and elsewhere what is said `below`.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            rpm: self.rpm.or(below.rpm),
            rpd: self.rpd.or(below.rpd),
            tpm: self.tpm.or(below.tpm),
            tpd: self.tpd.or(below.tpd),
            concurrency: self.concurrency.or(below.concurrency),
        }
    }

    pub fn limit(&self, unit: Unit) -> Option<u64> {
        match unit {
            Unit::Rpm => self.rpm,
            Unit::Rpd => self.rpd,
            Unit::Tpm => self.tpm,
            Unit::Tpd => self.tpd,
            Unit::Concurrency => self.concurrency.map(u64::from),
        }
    }

    /// What one of `replicas` may grant by itself, rounded up, so that a request of `tokens` that the whole could
    /// ever grant is one that the part can grant too.
    #[must_use]
    pub fn part(&self, replicas: u32, tokens: u64) -> Self {
        let replicas = replicas.max(1);
        let share = |limit: u64| limit.div_ceil(u64::from(replicas));
        let tokens = |limit: u64| share(limit).max(tokens.min(limit));
        Self {
            rpm: self.rpm.map(share),
            rpd: self.rpd.map(share),
            tpm: self.tpm.map(tokens),
            tpd: self.tpd.map(tokens),
            concurrency: self.concurrency.map(|limit| limit.div_ceil(replicas)),
        }
    }
}
