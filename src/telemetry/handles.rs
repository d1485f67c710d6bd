//! Handles held by whoever counts, so that the path of a request hashes no labels.

use std::sync::OnceLock;

use super::catalogue as c;
use super::cell::{Counter, Histogram};
use super::registry::Metrics;
use crate::vocab::{Class, Priority};

/// A counter per word of a closed set, registered when it first counts.
pub(super) struct Words<const N: usize> {
    slots: [OnceLock<Counter>; N],
}

impl<const N: usize> Words<N> {
    pub(super) fn new() -> Self {
        Self { slots: std::array::from_fn(|_| OnceLock::new()) }
    }

    pub(super) fn add(&self, slot: usize, by: u64, register: impl FnOnce() -> Counter) {
        self.slots[slot].get_or_init(register).increment(by);
    }
}

/// How a caller's request ended. The metric label `outcome` of `mainstay_requests_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// Answered well.
    Ok,
    /// Answered with the upstream's verdict that the request is wrong.
    ClientFault,
    /// Refused by us: bad input, limits, drain.
    Refused,
    /// No channel could answer.
    Failed,
    /// The answer had begun and did not end well.
    Broken,
    /// The caller hung up.
    Cancelled,
}

impl RequestOutcome {
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::ClientFault, Self::Refused, Self::Failed, Self::Broken, Self::Cancelled];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientFault => "client_fault",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Broken => "broken",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How a stream ended after its first content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamOutcome {
    Complete,
    /// Whole, but without its dialect's terminator, which was added.
    Unterminated,
    Error,
    Cut,
    Stalled,
    Cancelled,
}

impl StreamOutcome {
    pub const ALL: [Self; 6] =
        [Self::Complete, Self::Unterminated, Self::Error, Self::Cut, Self::Stalled, Self::Cancelled];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Unterminated => "unterminated",
            Self::Error => "error",
            Self::Cut => "cut",
            Self::Stalled => "stalled",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a further attempt was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedRetry {
    Budget,
    Attempts,
    Deadline,
    NotReplayable,
    NothingEligible,
}

impl RefusedRetry {
    pub const ALL: [Self; 5] =
        [Self::Budget, Self::Attempts, Self::Deadline, Self::NotReplayable, Self::NothingEligible];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Attempts => "attempts",
            Self::Deadline => "deadline",
            Self::NotReplayable => "not_replayable",
            Self::NothingEligible => "nothing_eligible",
        }
    }
}

/// What became of asking a second channel. The metric label `result` of `mainstay_hedges_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hedged {
    Won,
    /// The first channel answered after all.
    Lost,
    Failed,
    /// Not asked: the retry budgets have nothing left.
    RefusedBudget,
    /// Not asked: hedges have had their share of the requests.
    RefusedCap,
    /// Not asked: whoever could be is busy.
    RefusedSaturated,
}

impl Hedged {
    pub const ALL: [Self; 6] =
        [Self::Won, Self::Lost, Self::Failed, Self::RefusedBudget, Self::RefusedCap, Self::RefusedSaturated];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Failed => "failed",
            Self::RefusedBudget => "refused_budget",
            Self::RefusedCap => "refused_cap",
            Self::RefusedSaturated => "refused_saturated",
        }
    }
}

/// What became of a stream that was held back behind its first content. The metric label `result` of
/// `mainstay_streams_held_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    LetGo,
    Broke,
}

impl HeldBack {
    pub const ALL: [Self; 2] = [Self::LetGo, Self::Broke];

    pub const fn name(self) -> &'static str {
        match self {
            Self::LetGo => "let_go",
            Self::Broke => "broke",
        }
    }
}

/// Why somebody was refused for want of room. The metric label `reason` of `mainstay_shed_total`, and the header
/// `x-mainstay-shed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// As many wait as may.
    QueueFull,
    /// It waited for as long as it may.
    QueueTimeout,
    /// The gateway is near its own limits, and others matter more.
    Priority,
    /// The gateway holds as many bytes for requests as it may, or others matter more for the rest.
    Memory,
    /// As many responses are made in the background as can be followed.
    Background,
}

impl Shed {
    pub const ALL: [Self; 5] =
        [Self::QueueFull, Self::QueueTimeout, Self::Priority, Self::Memory, Self::Background];

    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::Priority => "priority",
            Self::Memory => "memory",
            Self::Background => "background",
        }
    }
}

/// What became of a conversation's place at a pick. The metric label `result` of `mainstay_sessions_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionPlace {
    Kept,
    /// The channel that served it last could not be picked.
    Moved,
    New,
}

impl SessionPlace {
    pub const ALL: [Self; 3] = [Self::Kept, Self::Moved, Self::New];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Moved => "moved",
            Self::New => "new",
        }
    }
}

/// The label `status` of `mainstay_answers_total`.
const STATUSES: [&str; 5] = ["none", "2xx", "3xx", "4xx", "5xx"];

/// Where a status stands among them. Protocols are switched by a 101, which is as good as any.
fn class_of(status: Option<u16>) -> usize {
    match status {
        None => 0,
        Some(..300) => 1,
        Some(300..400) => 2,
        Some(400..500) => 3,
        Some(500..) => 4,
    }
}

/// Counts the answer to a request that was refused before it had a route.
pub fn answered_nowhere(metrics: &Metrics, status: u16) {
    metrics.counter(&c::ANSWERS, &["", STATUSES[class_of(Some(status))]]).increment(1);
}

/// What is counted per route.
pub struct RequestHandles {
    route: String,
    outcomes: Vec<(&'static str, [Counter; 6])>,
    streams: [Counter; 6],
    retries: Words<10>,
    refused: Words<5>,
    sessions: Words<3>,
    hedges: Words<6>,
    answers: [Counter; 5],
    pub seconds: Histogram,
    pub first_byte: Histogram,
    pub overhead: Histogram,
    pub saved: Counter,
    pub panic_admitted: Counter,
    pub panic_refused: Counter,
    pub queue_seconds: Histogram,
}

impl RequestHandles {
    /// For a route whose callers may speak `dialects`.
    pub fn new(metrics: &Metrics, route: &str, dialects: &[&'static str]) -> Self {
        Self {
            route: route.to_owned(),
            outcomes: dialects
                .iter()
                .map(|dialect| {
                    let of = |o: RequestOutcome| metrics.counter(&c::REQUESTS, &[route, dialect, o.name()]);
                    (*dialect, RequestOutcome::ALL.map(of))
                })
                .collect(),
            streams: StreamOutcome::ALL.map(|o| metrics.counter(&c::STREAMS, &[route, o.name()])),
            retries: Words::new(),
            refused: Words::new(),
            sessions: Words::new(),
            hedges: Words::new(),
            answers: STATUSES.map(|status| metrics.counter(&c::ANSWERS, &[route, status])),
            seconds: metrics.histogram(&c::REQUEST_SECONDS, &[route]),
            first_byte: metrics.histogram(&c::FIRST_BYTE, &[route]),
            overhead: metrics.histogram(&c::OVERHEAD, &[route]),
            saved: metrics.counter(&c::SAVED, &[route]),
            panic_admitted: metrics.counter(&c::PANIC, &[route, "admitted"]),
            panic_refused: metrics.counter(&c::PANIC, &[route, "refused"]),
            queue_seconds: metrics.histogram(&c::QUEUE_SECONDS, &[route]),
        }
    }

    /// Callers of dialects that a channel speaks are there from the beginning; those whose requests are
    /// translated are counted from the first one on.
    pub fn finished(&self, metrics: &Metrics, dialect: &'static str, outcome: RequestOutcome) {
        match self.outcomes.iter().find(|(name, _)| *name == dialect) {
            Some((_, counters)) => counters[outcome as usize].increment(1),
            None => metrics.counter(&c::REQUESTS, &[&self.route, dialect, outcome.name()]).increment(1),
        }
    }

    /// Its caller saw this status, or hung up before there was one.
    pub fn answered(&self, status: Option<u16>) {
        self.answers[class_of(status)].increment(1);
    }

    pub fn stream_ended(&self, outcome: StreamOutcome) {
        self.streams[outcome as usize].increment(1);
    }

    pub fn retried(&self, metrics: &Metrics, after: Class) {
        self.retries.add(after as usize, 1, || metrics.counter(&c::RETRIES, &[&self.route, after.name()]));
    }

    pub fn retry_refused(&self, metrics: &Metrics, why: RefusedRetry) {
        self.refused
            .add(why as usize, 1, || metrics.counter(&c::RETRIES_REFUSED, &[&self.route, why.name()]));
    }

    /// Somebody was refused for want of room.
    pub fn shed(&self, metrics: &Metrics, why: Shed, priority: Priority) {
        metrics.counter(&c::SHED, &[&self.route, why.name(), priority.name()]).increment(1);
    }

    /// Lets the series of refusals for want of room begin at 0, for those who are the route's usual ones.
    pub fn expect_shedding(&self, metrics: &Metrics, priority: Priority) {
        for why in Shed::ALL {
            metrics.counter(&c::SHED, &[&self.route, why.name(), priority.name()]).increment(0);
        }
    }

    /// The same of what follows a failure: further attempts, or none, and routes to fall back on.
    pub fn expect_failures<'n>(&self, metrics: &Metrics, fallbacks: impl Iterator<Item = &'n str>) {
        for after in Class::ALL {
            metrics.counter(&c::RETRIES, &[&self.route, after.name()]).increment(0);
        }
        for why in RefusedRetry::ALL {
            metrics.counter(&c::RETRIES_REFUSED, &[&self.route, why.name()]).increment(0);
        }
        for to in fallbacks {
            metrics.counter(&c::FALLBACKS, &[&self.route, to]).increment(0);
        }
    }

    /// Lets the series of a route that keeps conversations begin at 0.
    pub fn expect_sessions(&self, metrics: &Metrics) {
        for place in [SessionPlace::Kept, SessionPlace::Moved, SessionPlace::New] {
            metrics.counter(&c::SESSIONS, &[&self.route, place.name()]).increment(0);
        }
    }

    /// The same of one that keeps answers.
    pub fn expect_cache(&self, metrics: &Metrics) {
        for result in ["hit", "stale", "miss", "stored", "too_large"] {
            metrics.counter(&c::CACHE, &[&self.route, result]).increment(0);
        }
        for kind in ["input", "output"] {
            metrics.counter(&c::TOKENS_SAVED, &[&self.route, kind]).increment(0);
        }
    }

    /// The same of one with rules that lead to these.
    pub fn expect_rules<'a>(&self, metrics: &Metrics, to: impl Iterator<Item = &'a str>) {
        to.for_each(|to| metrics.counter(&c::RULED, &[&self.route, to]).increment(0));
    }

    /// The same of one with a split of these arms.
    pub fn expect_arms<'a>(&self, metrics: &Metrics, arms: impl Iterator<Item = &'a str>) {
        for arm in arms {
            for outcome in RequestOutcome::ALL {
                metrics.counter(&c::ARM_REQUESTS, &[&self.route, arm, outcome.name()]).increment(0);
            }
            for kind in ["input", "output"] {
                metrics.counter(&c::ARM_TOKENS, &[&self.route, arm, kind]).increment(0);
            }
        }
    }

    /// The same of one whose requests are mirrored there.
    pub fn expect_mirrors(&self, metrics: &Metrics, to: &str) {
        for result in ["ok", "failed", "full"] {
            metrics.counter(&c::MIRRORED, &[&self.route, to, result]).increment(0);
        }
    }

    /// The same of one whose callers may share attempts.
    pub fn expect_coalesced(&self, metrics: &Metrics) {
        metrics.counter(&c::COALESCED, &[&self.route]).increment(0);
    }

    /// The same of one that has something to say when nobody is left.
    pub fn expect_degraded(&self, metrics: &Metrics, how: &str) {
        metrics.counter(&c::DEGRADED, &[&self.route, how]).increment(0);
    }

    /// The same of one that has broken streams continued.
    pub fn expect_continuations(&self, metrics: &Metrics) {
        for (result, method) in
            [("continued", "prefill"), ("continued", "instruction"), ("no_channel", "none")]
        {
            metrics.counter(&c::CONTINUATIONS, &[&self.route, result, method]).increment(0);
        }
    }

    pub fn hedged(&self, metrics: &Metrics, how: Hedged) {
        self.hedges.add(how as usize, 1, || metrics.counter(&c::HEDGES, &[&self.route, how.name()]));
    }

    pub fn placed(&self, metrics: &Metrics, place: SessionPlace) {
        self.sessions.add(place as usize, 1, || metrics.counter(&c::SESSIONS, &[&self.route, place.name()]));
    }

    pub fn fell_back(&self, metrics: &Metrics, to: &str) {
        metrics.counter(&c::FALLBACKS, &[&self.route, to]).increment(1);
    }
}
