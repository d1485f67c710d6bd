//! What a section says, over what holds when it says nothing: partial sections become settings.
//!
//! Defaults of the algorithms are the algorithms' own (`algo`); the others stand here, each with its
//! source in RESILIENCE. Whether two values make sense together is [`lint`](super::lint)'s question.

mod alerts;
mod degrade;
mod limits;
mod store;
mod telemetry;

use std::time::Duration;

pub use alerts::{down_after, error_spike, spend_spike};
pub use degrade::{cache, cache_memory, exhausted, idempotency};
pub use limits::allowance;
pub use store::retention;
pub use telemetry::{
    capture_body, capture_retention, capture_share, capture_total, captured, journal_requests, log,
    max_series, otlp_interval, otlp_timeout, otlp_traces, privacy,
};

use super::Cidr;
use super::blueprint::{Byok, Continuation, Delivery};
use super::blueprint::{
    Drain, FallbackOn, FirstEvent, Hedge, HedgeDelay, Http2, Limits, Media, OnHangup, Panic, PanicMode, Pool,
    Queue, Replay, Responses, Retry, ServerTimeouts, SimulatedSettings, SlowStart, Sticky, Timeouts,
    Unsupported,
};
use super::file::names::{ByokName, ContinuationName, DeliveryName, OnHangupName};
use super::file::names::{Http2Name, PanicModeName, PriorityName, Refusal, ReplayName, UnsupportedName};
use super::file::{ledger, policy, server};
use super::units::{Size, Span};
use crate::algo::aimd;
use crate::algo::backoff::Backoff;
use crate::algo::quota::Caps;
use crate::algo::{breaker, budget, cooldown, health};
use crate::vocab::Priority;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Most requests at the same moment on an upstream or channel (RESILIENCE §4.13).
pub const MAX_INFLIGHT: u32 = 1024;

/// Some hours of a busy gateway, or days of a usual one, for a store that is away.
pub fn spool_bytes(said: &ledger::Spool) -> u64 {
    said.max_bytes.map_or(1024 * MIB, |Size(bytes)| bytes)
}

/// What sort of traffic a set of deadlines is for (RESILIENCE §4.12, E4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    Ordinary,
    /// A model that thinks before it speaks.
    Reasoning,
    /// No AI dialect at all.
    PlainHttp,
}

pub fn timeouts(said: &policy::Timeouts, traffic: Traffic) -> Timeouts {
    let s = Duration::from_secs;
    let plain = traffic == Traffic::PlainHttp;
    let pick = |http, ai| if plain { s(http) } else { s(ai) };
    let idle = if traffic == Traffic::Reasoning { 90 } else { 30 };
    Timeouts {
        connect: span(said.connect, pick(2, 3)),
        tls: span(said.tls, pick(3, 5)),
        pool_wait: span(said.pool_wait, pick(1, 2)),
        ttfb: span(said.ttfb, pick(15, 30)),
        first_event: match said.first_event {
            // An opaque body has no events, whatever the layers above say.
            _ if plain => FirstEvent::Off,
            None | Some(policy::SpanOrAuto::Auto) => FirstEvent::Auto,
            Some(policy::SpanOrAuto::Fixed(Span(limit))) => FirstEvent::Fixed(limit),
        },
        idle: span(said.idle, s(idle)),
        content_idle: (!plain).then(|| span(said.content_idle, s(180))),
        total: span(said.total, pick(60, 600)),
    }
}

/// `ttfb` bounds how long a trial may stay without a verdict (RESILIENCE §4.4).
pub fn breaker(said: &policy::Breaker, ttfb: Duration) -> breaker::Settings {
    let base = breaker::Settings::default();
    breaker::Settings {
        enabled: said.enabled.unwrap_or(base.enabled),
        consecutive: breaker::Consecutive {
            failures: said.consecutive.failures.unwrap_or(base.consecutive.failures),
            max_age: span(said.consecutive.max_age, base.consecutive.max_age),
        },
        fast: breaker::Rule {
            window: span(said.fast.window, base.fast.window),
            min: said.fast.min.unwrap_or(base.fast.min),
            rate: said.fast.rate.unwrap_or(base.fast.rate),
        },
        slow: breaker::Rule {
            window: span(said.slow.window, base.slow.window),
            min: said.slow.min.unwrap_or(base.slow.min),
            rate: said.slow.rate.unwrap_or(base.slow.rate),
        },
        slow_call: said.slow_call.ttfb.map(|Span(ttfb)| breaker::SlowCall {
            ttfb,
            rate: said.slow_call.rate.unwrap_or(0.8),
            min: said.slow_call.min.unwrap_or(20),
        }),
        open: breaker::Open {
            base: span(said.open.base, base.open.base),
            mult: said.open.mult.unwrap_or(base.open.mult),
            max: span(said.open.max, base.open.max),
            jitter: said.open.jitter.unwrap_or(base.open.jitter),
            retry_after_cap: span(said.open.retry_after_cap, base.open.retry_after_cap),
        },
        half_open: breaker::HalfOpen {
            max_concurrent: said.half_open.max_concurrent.unwrap_or(base.half_open.max_concurrent),
            success_threshold: said.half_open.success_threshold.unwrap_or(base.half_open.success_threshold),
            probe_timeout: span(said.half_open.probe_timeout, base.half_open.probe_timeout.min(ttfb)),
            hold: span(said.half_open.hold, base.half_open.hold),
            max_neutral: said.half_open.max_neutral.unwrap_or(base.half_open.max_neutral),
        },
        decay_interval: span(said.decay_interval, base.decay_interval),
        min_open: span(said.min_open, base.min_open),
    }
}

pub fn health(said: &policy::Probe) -> health::Settings {
    let base = health::Settings::default();
    health::Settings {
        interval: span(said.interval, base.interval),
        fast_interval: span(said.fast_interval, base.fast_interval),
        down_interval: span(said.down_interval, base.down_interval),
        down_factor: said.down_factor.unwrap_or(base.down_factor),
        down_max: span(said.down_max, base.down_max),
        timeout: span(said.timeout, base.timeout),
        rise: said.rise.unwrap_or(base.rise),
        fall: said.fall.unwrap_or(base.fall),
        jitter: said.jitter.unwrap_or(base.jitter),
        no_traffic_interval: span(said.no_traffic_interval, base.no_traffic_interval),
        suppress_when_traffic: said.suppress_when_traffic.unwrap_or(base.suppress_when_traffic),
    }
}

pub fn cooldown(said: &policy::Cooldown) -> cooldown::Settings {
    let base = cooldown::Settings::default();
    let steps = said.long_steps.as_deref();
    cooldown::Settings {
        base: span(said.base, base.base),
        short_max: span(said.short_max, base.short_max),
        long_after: span(said.long_after, base.long_after),
        max: span(said.max, base.max),
        long_steps: match steps {
            Some([Span(first), Span(second), Span(further)]) => [*first, *second, *further],
            // The schema lets nothing else through.
            _ => base.long_steps,
        },
        quota_max: span(said.quota_max, base.quota_max),
        recheck: span(said.recheck, base.recheck),
        jitter: said.jitter.unwrap_or(base.jitter),
    }
}

pub fn budget(said: &policy::Budget) -> budget::Settings {
    let base = budget::Settings::default();
    budget::Settings {
        window: span(said.window, base.window),
        ratio: said.ratio.unwrap_or(base.ratio),
        reserve_per_sec: said.reserve_per_sec.unwrap_or(base.reserve_per_sec),
    }
}

/// RESILIENCE §4.14.
pub fn pool(said: &policy::Pool) -> Pool {
    Pool {
        max_connections: said.max_connections.unwrap_or(512),
        max_idle: said.max_idle.unwrap_or(64),
        idle_timeout: span(said.idle_timeout, Duration::from_mins(1)),
        max_lifetime: span(said.max_lifetime, Duration::from_mins(10)),
        lifetime_jitter: said.lifetime_jitter.unwrap_or(0.1),
        max_requests: said.max_requests.unwrap_or(10_000),
        reuse_safe_idle: span(said.reuse_safe_idle, Duration::from_secs(4)),
        http2: match said.http2 {
            None | Some(Http2Name::Auto) => Http2::Auto,
            Some(Http2Name::Never) => Http2::Never,
            Some(Http2Name::PriorKnowledge) => Http2::PriorKnowledge,
        },
    }
}

/// RESILIENCE §4.10 and E1.
pub fn retry(said: &policy::Retry) -> Retry {
    // E1: somebody waits, so the same channel's cap is below the algorithm's own.
    const SAME_CHANNEL: Backoff = Backoff { cap: Duration::from_secs(1), ..Backoff::SAME_CHANNEL };
    let backoff = |said: &policy::Backoff, usual: Backoff| Backoff {
        base: span(said.base, usual.base),
        cap: span(said.cap, usual.cap),
    };
    Retry {
        max_attempts: said.max_attempts.unwrap_or(3),
        wait: span(said.wait, Duration::from_secs(3)),
        other_channel: backoff(&said.other_channel, Backoff::OTHER_CHANNEL),
        same_channel: backoff(&said.same_channel, SAME_CHANNEL),
        replay: match said.replay {
            None | Some(ReplayName::Allowed) => Replay::Allowed,
            Some(ReplayName::IfUnsent) => Replay::IfUnsent,
        },
        budget: budget(&said.budget),
    }
}

/// RESILIENCE §4.7.
pub fn panic(said: &policy::WhenNone) -> Panic {
    let mode = match said.mode {
        None | Some(PanicModeName::Throttle) => PanicMode::Throttle,
        Some(PanicModeName::FailFast) => PanicMode::FailFast,
        Some(PanicModeName::All) => PanicMode::All,
    };
    Panic { mode }
}

/// RESILIENCE §4.11 and D11: off, for a loser may be charged as well.
pub fn hedge(said: &policy::Hedge) -> Hedge {
    Hedge {
        enabled: said.enabled.unwrap_or(false),
        delay: match said.delay {
            None | Some(policy::SpanOrAuto::Auto) => HedgeDelay::Auto,
            Some(policy::SpanOrAuto::Fixed(Span(delay))) => HedgeDelay::Fixed(delay),
        },
        max_share: said.max_share.unwrap_or(0.05),
    }
}

/// RESILIENCE §4.9.
pub fn slow_start(said: &policy::SlowStart) -> SlowStart {
    SlowStart {
        window: span(said.window, Duration::from_secs(30)),
        floor: said.floor.unwrap_or(0.1),
        aggression: said.aggression.unwrap_or(1.0),
    }
}

/// RESILIENCE §4.13. Until the first overload only `max` holds: a limit that nobody's word stands for would make
/// callers wait for nothing.
pub fn concurrency(said: &policy::Concurrency, max_inflight: u32) -> aimd::Settings {
    let max = said.max.unwrap_or(max_inflight);
    aimd::Settings {
        mode: if said.adaptive.unwrap_or(true) { aimd::Mode::Adaptive } else { aimd::Mode::Fixed },
        start: said.start.unwrap_or(32),
        min: said.min.unwrap_or(1).min(max),
        max,
        ttft_rise: said.ttft_rise,
    }
}

/// RESILIENCE §4.13.
pub fn queue(said: &policy::Queue) -> Queue {
    Queue { max: said.max, timeout: span(said.timeout, Duration::from_secs(1)) }
}

pub fn priority(said: PriorityName) -> Priority {
    match said {
        PriorityName::CriticalPlus => Priority::CriticalPlus,
        PriorityName::Critical => Priority::Critical,
        PriorityName::SheddablePlus => Priority::SheddablePlus,
        PriorityName::Sheddable => Priority::Sheddable,
    }
}

pub fn quota(said: &policy::Quota) -> Caps {
    Caps { rpm: said.rpm, tpm: said.tpm, rpd: said.rpd, tpd: said.tpd }
}

/// Anthropic's cache lives five minutes after its last use, OpenAI's five to ten.
pub fn sticky(said: &policy::Sticky) -> Sticky {
    Sticky { ttl: span(said.ttl, Duration::from_mins(5)) }
}

/// E6. A list says exactly which refusals count; none at all is the default.
pub fn fallback_on(said: Option<&[Refusal]>) -> FallbackOn {
    let said = said.unwrap_or(&[Refusal::ContextOverflow]);
    FallbackOn {
        context_overflow: said.contains(&Refusal::ContextOverflow),
        content_policy: said.contains(&Refusal::ContentPolicy),
    }
}

/// Nobody pays for what nobody reads.
pub fn on_hangup(said: Option<OnHangupName>) -> OnHangup {
    match said {
        Some(OnHangupName::Cancel) | None => OnHangup::Cancel,
        Some(OnHangupName::Drain) => OnHangup::Drain,
    }
}

/// What a channel's dialect cannot say is left out, and the caller told.
pub fn unsupported(said: Option<UnsupportedName>) -> Unsupported {
    match said {
        Some(UnsupportedName::Drop) => Unsupported::Drop,
        Some(UnsupportedName::Warn) | None => Unsupported::Warn,
        Some(UnsupportedName::Reject) => Unsupported::Reject,
    }
}

/// Whose key goes along is nothing that a caller could change unasked.
pub fn byok(said: Option<ByokName>) -> Byok {
    match said {
        None | Some(ByokName::Off) => Byok::Off,
        Some(ByokName::Allow) => Byok::Allow,
        Some(ByokName::Require) => Byok::Require,
    }
}

/// A stitched answer is for those who ask for it.
pub fn continuation(said: Option<ContinuationName>) -> Continuation {
    match said {
        Some(ContinuationName::Off) | None => Continuation::Off,
        Some(ContinuationName::SameModel) => Continuation::SameModel,
        Some(ContinuationName::Any) => Continuation::Any,
    }
}

pub fn delivery(said: Option<DeliveryName>) -> Delivery {
    match said {
        Some(DeliveryName::Streamed) | None => Delivery::Streamed,
        Some(DeliveryName::Buffered) => Delivery::Buffered,
    }
}

/// Whose errors come inside the stream is for those who ask for it.
pub fn early_commit(said: Option<policy::SpanOrOff>) -> Option<Duration> {
    match said {
        Some(policy::SpanOrOff::Fixed(Span(silence))) => Some(silence),
        Some(policy::SpanOrOff::Off) | None => None,
    }
}

/// Fast enough to try things out, slow enough to see a stream.
pub fn simulated(said: &policy::Simulated) -> SimulatedSettings {
    SimulatedSettings {
        ttft: span(said.ttft, Duration::from_millis(50)),
        pace: span(said.pace, Duration::from_millis(10)),
        words: said.words.unwrap_or(30),
        seed: said.seed.unwrap_or(1),
    }
}

/// Sizes of the issue; connections and requests leave a small machine (4 GiB) standing at about
/// 20 KiB an idle stream. Memory for requests is a number, and no share of the machine's: the same file has
/// to mean the same in `check`, in a rehearsal and on every replica. Half a GiB is eight of the largest bodies
/// or some ten thousand usual ones, and leaves a container of 1 GiB its other half.
pub fn limits(said: &server::Limits) -> Limits {
    let size = |said: Option<Size>, default| said.map_or(default, |Size(bytes)| bytes);
    let max_body = size(said.max_body, 64 * MIB);
    Limits {
        max_body,
        replay_body: size(said.replay_body, MIB),
        unary_buffer: size(said.unary_buffer, MIB),
        stream_buffer: size(said.stream_buffer, 8 * MIB),
        peek_bytes: size(said.peek_bytes, 64 * KIB),
        peek_events: said.peek_events.unwrap_or(32),
        max_headers: said.max_headers.unwrap_or(100),
        max_header_bytes: size(said.max_header_bytes, 32 * KIB),
        max_uri: size(said.max_uri, 8 * KIB),
        max_connections: said.max_connections.unwrap_or(20_000),
        max_inflight: said.max_inflight.unwrap_or(10_000),
        memory: size(said.memory, (512 * MIB).max(max_body.saturating_mul(2))),
    }
}

pub fn server_timeouts(said: &server::ServerTimeouts) -> ServerTimeouts {
    let s = Duration::from_secs;
    ServerTimeouts {
        header_read: span(said.header_read, s(10)),
        body_read: span(said.body_read, s(30)),
        keep_alive: span(said.keep_alive, s(75)),
        write_stall: span(said.write_stall, s(30)),
    }
}

/// Sizes and times of common providers' own fetches. The hosts and blocks are the check's.
pub fn media(said: &server::Media, allow_hosts: Vec<String>, allow_private: Vec<Cidr>) -> Media {
    Media {
        enabled: said.enabled.unwrap_or(true),
        max_size: said.max_size.map_or(20_000_000, |Size(bytes)| bytes),
        timeout: span(said.timeout, Duration::from_secs(10)),
        max_urls: said.max_urls.unwrap_or(16),
        concurrency: said.concurrency.unwrap_or(32),
        plain_http: said.plain_http.unwrap_or(false),
        allow_hosts,
        allow_private,
    }
}

/// Enough for some thousand conversations of usual length, over the breaks that people take in them.
pub fn responses(said: &server::Responses) -> Responses {
    let memory = said.memory.map_or(64 * MIB, |Size(bytes)| bytes);
    Responses { memory, ttl: span(said.ttl, Duration::from_hours(1)) }
}

/// Many times what a neighbour takes to answer, and nothing to whoever waits for a whole look.
pub fn redis_timeout(said: Option<Span>) -> Duration {
    span(said, Duration::from_millis(20))
}

/// Two looks a second cost nothing, and few requests are spent meanwhile on what is known elsewhere.
pub fn redis_poll(said: Option<Span>) -> Duration {
    span(said, Duration::from_millis(500))
}

/// RESILIENCE §4.15.
pub fn drain(said: &server::Drain) -> Drain {
    let s = Duration::from_secs;
    Drain {
        pre_stop_delay: span(said.pre_stop_delay, s(5)),
        timeout: span(said.timeout, s(600)),
        close_spread: span(said.close_spread, s(5)),
    }
}

fn span(said: Option<Span>, default: Duration) -> Duration {
    said.map_or(default, |Span(duration)| duration)
}
