//! One route: which requests it takes, and among which channels it chooses for them.

use std::sync::Arc;
use std::time::Duration;

use super::access::Access;
use super::budgets::{self, Budget};
use super::degrade::{Cache, WhenExhausted};
use super::steer::Steering;
use crate::algo::backoff::Backoff;
use crate::algo::limit::Allowance;
use crate::algo::quota::Caps;
use crate::algo::{breaker, budget};
use crate::config::reasoning;
use crate::strategy;
use crate::vocab::{Money, Priority};

/// One entry of `routes:`, with every layer already merged.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The model name, pattern or path prefix as the file has it, or `auto: …`; unique.
    pub name: Arc<str>,
    pub origin: Origin,
    pub matcher: Matcher,
    /// Whom its requests are taken from.
    pub access: Access,
    /// Whether they may bring keys of their own to its providers.
    pub byok: Byok,
    /// Further exact model names that mean this route.
    pub aliases: Vec<String>,
    /// Which of its requests other routes serve, or have as well.
    pub steering: Steering,
    pub select: strategy::Kind,
    /// At least one.
    pub channels: Vec<Channel>,
    /// Indices of routes to go on with, in order. Following them never comes back to a route.
    pub fallback: Vec<usize>,
    pub fallback_on: FallbackOn,
    pub unsupported: Unsupported,
    pub continuation: Continuation,
    pub delivery: Delivery,
    /// After so much silence a stream's caller gets the head of his answer, whoever answers then.
    pub early_commit: Option<Duration>,
    pub retry: Retry,
    pub hedge: Hedge,
    pub panic: Panic,
    /// What becomes of requests that no channel can take.
    pub exhausted: WhenExhausted,
    pub cache: Cache,
    /// Identical requests that are under way at the same moment share one attempt.
    pub coalesce: bool,
    /// Files and batches of which nothing says where they belong go here.
    pub files: bool,
    pub slow_start: SlowStart,
    pub queue: Queue,
    /// What all its callers may use together.
    pub limits: Allowance,
    /// What may be spent on what it serves.
    pub budgets: Arc<[Budget]>,
    /// What one request may cost at most.
    pub max_cost: Option<Money>,
    /// How much its requests matter, where the caller's key says nothing.
    pub priority: Priority,
    pub sticky: Sticky,
}

impl Route {
    /// The field for which it matters what requests cost or how many tokens they have, if there is one.
    pub fn measures(&self) -> Option<&'static str> {
        budgets::measures(&self.budgets, self.max_cost, &self.limits)
    }

    /// The longest time that a channel gives a request in all.
    pub fn longest_total(&self) -> Duration {
        self.channels.iter().map(|channel| channel.timeouts.total).max().unwrap_or_default()
    }
}

/// Whether callers may bring a key of their own, which goes to the provider in place of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Byok {
    #[default]
    Off,
    Allow,
    Require,
}

/// Who made a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Somebody who edits the file.
    Written,
    /// `auto_routes: true`. It takes what no written route takes.
    Automatic,
}

/// Which requests a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matcher {
    /// A request of an AI dialect, by its model's name.
    Model { pattern: Pattern },
    /// Any other request, by its path. `prefix` begins and ends with `/`.
    Path { prefix: String, strip: bool },
}

/// A model name, or its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    Exact(String),
    /// The text before the final `*`; empty for the route that takes every model.
    Prefix(String),
    /// Every model that the catalog has at exactly these of the automatic routes' providers.
    Listed(Box<[&'static str]>),
}

impl Pattern {
    /// What `model` has beyond the pattern: `Some("")` for an exact match, what the `*` stands for
    /// otherwise, `None` where it does not match.
    pub fn rest<'a>(&self, model: &'a str) -> Option<&'a str> {
        match self {
            Self::Exact(name) => (name == model).then_some(""),
            Self::Prefix(prefix) => model.strip_prefix(prefix.as_str()),
            // Only the catalog knows, and nothing stands for a part of a name here.
            Self::Listed(_) => None,
        }
    }
}

/// Whether a channel thinks for a long time before it speaks; `first_event: auto` and `idle` are longer for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reasoning {
    Yes,
    No,
    /// Callers name its models, and one of them may.
    ByName,
}

impl Reasoning {
    /// Of a model of this name.
    pub fn of(self, model: &str) -> bool {
        match self {
            Self::Yes => true,
            Self::No => false,
            Self::ByName => reasoning::by_name(model),
        }
    }
}

/// One upstream serving one model in this route: the unit of selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Index into [`Blueprint::upstreams`](super::Blueprint::upstreams).
    pub upstream: usize,
    pub model: ModelName,
    /// 1..=1000, relative to the other channels of its tier.
    pub weight: u32,
    /// Tier 1 is used only while tier 0 has nothing eligible, and so on.
    pub tier: u8,
    pub reasoning: Reasoning,
    pub timeouts: Timeouts,
    /// The model breaker's settings.
    pub breaker: breaker::Settings,
    /// Most requests on this channel at the same moment.
    pub max_inflight: u32,
    /// Of each key, at this channel's model.
    pub quota: Caps,
}

/// The model's name at the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelName {
    /// The name that the caller used.
    AsAsked,
    Fixed(Arc<str>),
    /// What the `*` of the route's pattern stands for.
    Suffix,
}

/// Deadlines of one attempt, and of the whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution and TCP.
    pub connect: Duration,
    pub tls: Duration,
    /// For a connection slot of the pool; our own limit, nobody's fault.
    pub pool_wait: Duration,
    /// To the last byte of the response's headers.
    pub ttfb: Duration,
    /// To the first event with content.
    pub first_event: FirstEvent,
    /// Longest silence (no byte at all) after that.
    pub idle: Duration,
    /// Longest time without content while other bytes come; `None` on plain HTTP, which has no events.
    pub content_idle: Option<Duration>,
    /// The whole request, all attempts together.
    pub total: Duration,
}

/// The limit for the first event with content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstEvent {
    /// Short while there is somewhere else to go, long for the last possible attempt (RESILIENCE E3).
    Auto,
    Fixed(Duration),
    /// No limit of its own; plain HTTP has no events.
    Off,
}

/// Which refusals send a request on to the fallback routes, though the channel did nothing wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FallbackOn {
    pub context_overflow: bool,
    pub content_policy: bool,
}

/// What happens to those parts of a request that a channel's dialect cannot say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsupported {
    /// They are left out.
    Drop,
    /// They are left out, and the header `x-mainstay-dropped` names them.
    #[default]
    Warn,
    /// The request is refused, unless another channel can say them.
    Reject,
}

/// Who goes on with a stream that breaks after the commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Continuation {
    /// Nobody: it ends with an error.
    #[default]
    Off,
    /// Channels of the same tier whose model is the same by the catalog's name.
    SameModel,
    /// Any channel of the route and its fallbacks.
    Any,
}

impl Continuation {
    /// The word of routing.yaml.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::SameModel => "same_model",
            Self::Any => "any",
        }
    }
}

/// When a streamed answer goes to the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    #[default]
    Streamed,
    /// When it is whole, or larger than `server.limits.stream_buffer`.
    Buffered,
}

impl Delivery {
    /// The word of routing.yaml.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Streamed => "streamed",
            Self::Buffered => "buffered",
        }
    }
}

/// How often, and how patiently, one request is tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// The first attempt included.
    pub max_attempts: u32,
    /// Longest Retry-After that is waited out inside the request.
    pub wait: Duration,
    /// Before another channel is asked after an answer that may mean load.
    pub other_channel: Backoff,
    /// Before the only channel is asked again.
    pub same_channel: Backoff,
    pub replay: Replay,
    /// This route's own budget, beside the global one.
    pub budget: budget::Settings,
}

/// Whether a generation that was sent, and may have been paid for, is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    Allowed,
    /// Only what provably never left is sent again.
    IfUnsent,
}

/// Whether a second channel is asked while the first lets a request wait (RESILIENCE §4.11).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedge {
    pub enabled: bool,
    pub delay: HedgeDelay,
    /// Hedges per first attempt, within the window of the route's retry budget.
    pub max_share: f64,
}

/// How long the first channel is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeDelay {
    /// As long as it usually needs.
    Auto,
    Fixed(Duration),
}

/// What happens when no channel is eligible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panic {
    pub mode: PanicMode,
}

/// RESILIENCE §4.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanicMode {
    /// The best of the bad ones gets as much as lately succeeded.
    Throttle,
    /// 503 at once.
    FailFast,
    /// Every channel counts as eligible.
    All,
}

/// How a channel that comes back gets its share again (RESILIENCE §4.9).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStart {
    pub window: Duration,
    /// Share of the weight at the start, 0..=1.
    pub floor: f64,
    /// 1 is a straight line; more starts faster.
    pub aggression: f64,
}

/// Where requests wait while every channel that could serve is as busy as it may be (RESILIENCE §4.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Most that wait; `None` goes by what the channels take.
    pub max: Option<u32>,
    pub timeout: Duration,
}

/// How long a conversation keeps its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sticky {
    pub ttl: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_says_what_its_star_stands_for() {
        let prefix = Pattern::Prefix("openai/".to_owned());
        assert_eq!(prefix.rest("openai/gpt-5.4"), Some("gpt-5.4"));
        assert_eq!(prefix.rest("openai/"), Some(""));
        assert_eq!(prefix.rest("gpt-5.4"), None);
        assert_eq!(Pattern::Exact("demo".to_owned()).rest("demo"), Some(""));
        assert_eq!(Pattern::Exact("demo".to_owned()).rest("demo2"), None);
        assert_eq!(Pattern::Prefix(String::new()).rest("x"), Some("x"));
    }
}
