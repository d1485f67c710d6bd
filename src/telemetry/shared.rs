//! What is counted of the things that replicas share. Registered only where they share anything; then every
//! series begins at 0, since most of them stay silent for as long as all is well.

use std::time::Duration;

use super::catalogue as c;
use super::cell::{Counter, Gauge, Histogram};
use super::registry::Metrics;

/// What is asked of Redis. The label `operation` of `mainstay_shared_operations_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedOperation {
    /// A note is put up.
    Post,
    /// Notes are read.
    Read,
    /// A request is held against limits.
    Take,
    /// What was counted is put right.
    Tell,
    /// A replica says that it is there.
    Beat,
    /// A request is held against budgets, or what was spent is told.
    Spend,
}

impl SharedOperation {
    pub const ALL: [Self; 6] = [Self::Post, Self::Read, Self::Take, Self::Tell, Self::Beat, Self::Spend];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Read => "read",
            Self::Take => "take",
            Self::Tell => "tell",
            Self::Beat => "beat",
            Self::Spend => "spend",
        }
    }
}

/// What came of it. The label `result` of `mainstay_shared_operations_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedAnswer {
    Ok,
    /// None within the time limit.
    Timeout,
    /// The connection broke.
    Failed,
    /// An error.
    Refused,
}

impl SharedAnswer {
    pub const ALL: [Self; 4] = [Self::Ok, Self::Timeout, Self::Failed, Self::Refused];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// What replicas tell each other of keys. The label `kind` of `mainstay_shared_cooldowns_total`.
const KINDS: [&str; 4] = ["short", "long", "auth", "healed"];

pub struct SharedHandles {
    pub connected: Gauge,
    /// Notes that are none of ours.
    pub unreadable: Counter,
    operations: [[Counter; 4]; 6],
    seconds: [Histogram; 6],
    told: [Counter; 4],
    taken: [Counter; 4],
}

impl SharedHandles {
    pub fn new(metrics: &Metrics) -> Self {
        let begun = |counter: Counter| {
            counter.increment(0);
            counter
        };
        let cooldowns = |how| KINDS.map(|kind| begun(metrics.counter(&c::SHARED_COOLDOWNS, &[kind, how])));
        let unreadable = metrics.counter(&c::SHARED_UNREADABLE, &[]);
        Self {
            connected: metrics.gauge(&c::SHARED_CONNECTED, &[]),
            unreadable: begun(unreadable),
            operations: SharedOperation::ALL.map(|operation| {
                SharedAnswer::ALL.map(|answer| {
                    begun(metrics.counter(&c::SHARED_OPERATIONS, &[operation.name(), answer.name()]))
                })
            }),
            seconds: SharedOperation::ALL
                .map(|operation| metrics.histogram(&c::SHARED_SECONDS, &[operation.name()])),
            told: cooldowns("told"),
            taken: cooldowns("taken"),
        }
    }

    pub fn count(&self, operation: SharedOperation, answer: SharedAnswer, took: Duration) {
        self.operations[operation as usize][answer as usize].increment(1);
        self.seconds[operation as usize].record(took.as_secs_f64());
    }

    /// The others can read of a cooldown of this kind.
    pub fn told(&self, kind: &str) {
        add(&self.told, kind);
    }

    /// A cooldown of this kind was taken over from another replica.
    pub fn taken(&self, kind: &str) {
        add(&self.taken, kind);
    }
}

fn add(counters: &[Counter; 4], kind: &str) {
    if let Some(counter) = KINDS.iter().position(|known| *known == kind).map(|at| &counters[at]) {
        counter.increment(1);
    }
}
