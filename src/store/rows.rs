//! The ledger's rows: one for each request, one for each attempt of it. Never a word of a prompt or an answer.
//!
//! They are plain values, made by `ledger` when something has ended and written once. Times are Unix time in
//! microseconds; durations are nanoseconds of a clock that nobody sets.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use crate::vocab::Part;
use crate::vocab::{Money, RequestId, Usage};

/// A name that no two rows share: 48 bits of the Unix time in milliseconds, then chance (as UUIDv7, RFC 9562,
/// without its version bits), so that rows written one after the other stand beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub u128);

impl RowId {
    pub const fn new(unix: Duration, chance: u128) -> Self {
        Self((unix.as_millis() << 80) | (chance & ((1 << 80) - 1)))
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Who asked: the names of his key and of all above it. Empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    pub organisation: Option<Arc<str>>,
    pub team: Option<Arc<str>>,
    pub user: Option<Arc<str>>,
    pub key: Option<Arc<str>>,
}

/// What a request of a caller's came to.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestRow {
    pub id: RowId,
    /// As it stands in the answer's `x-mainstay-request-id`.
    pub request_id: RequestId,
    pub at_micros: i64,
    pub who: Who,
    /// From headers that the operator allowed, in his order.
    pub tags: Vec<(Arc<str>, Box<str>)>,
    pub route: Arc<str>,
    /// Of an A/B split.
    pub arm: Option<Arc<str>>,
    pub dialect: &'static str,
    pub operation: &'static str,
    /// As the caller named it.
    pub model: Arc<str>,
    pub stream: bool,
    /// As `telemetry::RequestOutcome` is called.
    pub outcome: &'static str,
    /// `hit`, `stale` or `repeat`, where no upstream was asked for it.
    pub replayed: Option<&'static str>,
    pub attempts: u32,
    pub took: Duration,
    /// Until the first byte of the answer; `None` where there was none.
    pub first_byte: Option<Duration>,
    /// Of that, the gateway's own.
    pub own: Duration,
    /// What the caller was told, or would have been: of the attempts whose words he got.
    pub usage: Usage,
    /// Of all its attempts, those included that nobody heard. `None` where one of them has no price.
    pub cost: Option<Money>,
    /// A count or a price in it is an estimate.
    pub estimated: bool,
}

/// The `outcome` of a row that is none of its own: it says whose a mirror's attempt is, which ends before its request
/// or long after it, so that it is summed where it belongs. Nobody keeps or counts it.
pub const MIRRORED: &str = "mirrored";

impl RequestRow {
    /// Whether it is a caller's request, and not only the name of one.
    pub fn is_own(&self) -> bool {
        self.outcome != MIRRORED
    }
}

/// What stands in the column `credential` where a caller brought a key of his own, and nothing was charged to us.
pub const CALLERS_OWN: u16 = u16::MAX;

/// One try on one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRow {
    /// Of its request.
    pub request: RowId,
    /// From 1, in the order in which they began; a mirror's, which is in nobody's order, is 0.
    pub number: u32,
    pub at_micros: i64,
    pub part: Part,
    pub upstream: Arc<str>,
    pub provider: Cow<'static, str>,
    /// The model that was served, as the upstream calls it.
    pub model: Arc<str>,
    /// Which of the upstream's credentials: its place in the file, from 1; 0 where it needs none, or [`CALLERS_OWN`].
    /// Never a word of it.
    pub credential: u16,
    /// `ok`, `cancelled`, or as `vocab::Fault` is called.
    pub verdict: &'static str,
    /// Where that was, as `vocab::Stage` is called.
    pub stage: &'static str,
    pub took: Duration,
    pub first_byte: Option<Duration>,
    pub usage: Usage,
    /// Nobody said the counts, so they are ours.
    pub estimated: bool,
    /// `None` where a price is missing that the usage needs.
    pub cost: Option<Money>,
    /// What that was made of, for people and `reprice`: `input 1200 x 2.5/M, output 30 x 10/M`; empty where nothing was
    /// used.
    pub priced: Box<str>,
    /// What the provider was asked to hurry, as `catalog::price::Tier` is called.
    pub tier: &'static str,
}

/// What is written at once, or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Told twice, it is written once.
    pub id: u128,
    pub requests: Vec<RequestRow>,
    pub attempts: Vec<AttemptRow>,
}
