//! The values of closed labels. A label without a row here has names: of what is configured, or what operators made.
//!
//! A debug build panics at a value that is not listed, so a test that counts it finds the row that is missing. Rooms
//! above keep some of these words; they cannot be imported from here, and stand as text.

use super::alerts::Posted;
use super::catalogue as c;
use super::handles::{Hedged, HeldBack, RefusedRetry, RequestOutcome, SessionPlace, Shed, StreamOutcome};
use super::otlp::{Delivered, Signal};
use super::shared::{SharedAnswer, SharedOperation};
use crate::vocab::{AlertKind, Class, Fault, Priority, Stage};

/// The names of all of an enum.
macro_rules! names {
    ($of:ty) => {{
        const NAMES: [&str; <$of>::ALL.len()] = {
            let mut names = [""; <$of>::ALL.len()];
            let mut at = 0;
            while at < names.len() {
                names[at] = <$of>::ALL[at].name();
                at += 1;
            }
            names
        };
        &NAMES
    }};
}

const METRICS: [&str; c::ALL.len()] = {
    let mut names = [""; c::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = c::ALL[at].name;
        at += 1;
    }
    names
};

const DIALECTS: &[&str] =
    &["openai", "responses", "anthropic", "gemini", "cohere", "bedrock", "ollama", "http"];
const ATTEMPT_OUTCOMES: [&str; Class::ALL.len() + 1] = {
    let mut names = ["success"; Class::ALL.len() + 1];
    let mut at = 0;
    while at < Class::ALL.len() {
        names[at + 1] = Class::ALL[at].name();
        at += 1;
    }
    names
};
const BREAKER_STATES: &[&str] =
    &["closed", "open", "half_open", "forced_closed", "forced_open", "metrics_only"];
const BREAKER_REASONS: &[&str] = &[
    "consecutive",
    "fast",
    "slow",
    "slow_calls",
    "trial_failed",
    "lease_expired",
    "open_elapsed",
    "probe_rose",
    "trials_passed",
    "forced",
];
const REJECTIONS: &[&str] = &[
    "bad_request",
    "unauthorized",
    "unknown_key",
    "bad_signature",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "request_timeout",
    "too_large",
    "headers_too_large",
    "unsupported_media_type",
    "unprocessable",
    "rate_limited",
    "quota_exhausted",
    "too_dear",
    "overloaded",
    "bad_gateway",
    "unavailable",
    "timeout",
    "internal",
    "context_overflow",
    "content_policy",
    "smuggling",
    "uri_too_long",
];
const ACCESS: &[&str] = &[
    "allowed",
    "missing",
    "unknown_key",
    "disagreeing",
    "bad_signature",
    "stale",
    "over",
    "out_of_reach",
    "expired",
    "early",
    "other_audience",
    "nameless",
    "unplaced",
    "barred",
    "keys_unknown",
];
const MIRRORED: &[&str] =
    &["ok", "failed", "broken", "late", "cancelled", "no_channel", "unsuitable", "full", "crowded"];
const CONTINUED: &[&str] =
    &["continued", "mismatch", "prefill_refused", "failed", "exhausted", "no_channel", "barred"];
const TOKENS: &[&str] = &[
    "input",
    "cache_read",
    "cache_write",
    "output",
    "reasoning",
    "input_audio",
    "cache_read_audio",
    "output_audio",
    "input_image",
    "output_image",
];
const BOTH_WAYS: &[&str] = &["input", "output"];
const HOLDERS: &[&str] = &["organisation", "team", "user", "key", "route"];
const WINDOWS: &[&str] = &["day", "week", "month", "total"];
const LIMITS: &[&str] = &["rpm", "rpd", "tpm", "tpd", "concurrency"];
const FETCHES: &[&str] = &["ok", "refused", "status", "too_large", "no_room", "kind", "timeout", "failed"];
const STAGES: &[&str] = &[
    Stage::NotSent.name(),
    Stage::Sending.name(),
    Stage::Waiting.name(),
    Stage::Headers.name(),
    Stage::Committed.name(),
];

/// What `label` of `metric` may be; `None` where it has names.
pub fn words(metric: &str, label: &str) -> Option<&'static [&'static str]> {
    let is = |one: &c::Metric| one.name == metric;
    let among = |some: &[c::Metric]| some.iter().any(is);
    Some(match label {
        "metric" => &METRICS,
        "dialect" => DIALECTS,
        "fault" => names!(Fault),
        "stage" => STAGES,
        "priority" => names!(Priority),
        "status" => &["2xx", "3xx", "4xx", "5xx", "none"],
        "method" => &["prefill", "instruction", "anew", "none"],
        "per" => WINDOWS,
        "limit" => LIMITS,
        "level" => HOLDERS,
        "store" => &["cache", "idempotency"],
        "signal" => names!(Signal),
        "listener" => &["callers", "operators"],
        "phase" => &["dial", "tls"],
        "unit" => &["images", "searches", "characters", "audio_milliseconds"],
        "to" if is(&c::BREAKER_TRANSITIONS) => BREAKER_STATES,
        "outcome" if among(&[c::ATTEMPTS, c::ATTEMPT_SECONDS]) => &ATTEMPT_OUTCOMES,
        "outcome" if is(&c::STREAMS) => names!(StreamOutcome),
        "outcome" => names!(RequestOutcome),
        "state" if is(&c::BREAKER_STATE) => BREAKER_STATES,
        "state" if is(&c::UPSTREAM_HEALTH) => &["unknown", "up", "down"],
        "state" if is(&c::POOL) => &["idle", "in_use", "opening"],
        "state" if is(&c::ROUTE_CHANNELS) => &["available", "unavailable"],
        "state" => &["ready", "cooling", "dead"],
        "how" if is(&c::DEGRADED) => &["stale", "answer", "wait", "wait_vain", "wait_full"],
        "how" => &["told", "taken"],
        "way" if is(&c::LEDGER_ROWS) => &["direct", "spooled", "replayed"],
        "way" => &["kept", "shared", "opened", "failed"],
        "operation" if is(&c::LEFT) => &["files", "batches", "stored_responses", "conversations"],
        "operation" => names!(SharedOperation),
        "kind" if is(&c::ALERTS_FIRING) => names!(AlertKind),
        "kind" if is(&c::COOLDOWNS) => &["short", "long", "auth"],
        "kind" if is(&c::SHARED_COOLDOWNS) => &["short", "long", "auth", "healed"],
        "kind" if is(&c::OVERRIDES) => &["disabled", "draining", "forced_open", "forced_closed"],
        "kind" if is(&c::QUOTA_LEFT) => &["requests", "input", "output", "tokens"],
        "kind" if is(&c::STORE_ERRORS) => &["away", "late", "refused"],
        "kind" if is(&c::TOKENS) => TOKENS,
        "kind" => BOTH_WAYS,
        "reason" if is(&c::REJECTED) => REJECTIONS,
        "reason" if is(&c::SHED) => names!(Shed),
        "reason" if is(&c::RETRIES) => names!(Class),
        "reason" if is(&c::RETRIES_REFUSED) => names!(RefusedRetry),
        "reason" if is(&c::BREAKER_TRANSITIONS) => BREAKER_REASONS,
        "reason" if is(&c::LEDGER_LOST) => &["queue_full", "spool_full", "unreadable", "too_old"],
        "reason" if is(&c::ALERTS_DROPPED) => &["queue_full", "gone", "overflow"],
        "reason" => &["spent", "reserved", "unpriced"],
        "result" => results(metric),
        _ => return None,
    })
}

fn results(metric: &str) -> &'static [&'static str] {
    let is = |one: &c::Metric| one.name == metric;
    match () {
        () if is(&c::RELOADS) => &["applied", "unchanged", "refused"],
        () if is(&c::MIRRORED) => MIRRORED,
        () if is(&c::SESSIONS) => names!(SessionPlace),
        () if is(&c::ACCESS) => ACCESS,
        () if is(&c::HEDGES) => names!(Hedged),
        () if is(&c::STREAMS_HELD) => names!(HeldBack),
        () if is(&c::PANIC) => &["admitted", "refused"],
        () if is(&c::PROBES) => &["pass", "fail", "skipped"],
        () if is(&c::SHARED_OPERATIONS) => names!(SharedAnswer),
        () if is(&c::ALERT_DELIVERIES) => names!(Posted),
        () if is(&c::CONTINUATIONS) => CONTINUED,
        () if is(&c::MEDIA_FETCHES) => FETCHES,
        () if is(&c::RECALLS) => &["hit", "miss"],
        () if is(&c::THOUGHTS) => &["kept", "unknown", "left_out", "refused"],
        () if is(&c::LEFT) => &["known", "unknown", "foreign"],
        () if is(&c::OTLP_BATCHES) => names!(Delivered),
        () if is(&c::CAPTURES) => &["written", "no_room", "failed", "opted_out"],
        () if is(&c::CACHE) => &["hit", "stale", "miss", "stored", "too_large"],
        () => &["ok", "failed"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_of_words_or_of_names() {
        const NAMES: [&str; 18] = [
            "version",
            "revision",
            "route",
            "to",
            "arm",
            "key",
            "issuer",
            "upstream",
            "model",
            "credential",
            "group",
            "webhook",
            "name",
            "level",
            "per",
            "limit",
            "metric",
            "task",
        ];
        for metric in c::ALL {
            for label in metric.labels {
                match words(metric.name, label) {
                    Some(words) => {
                        let mut once = words.to_vec();
                        once.sort_unstable();
                        once.dedup();
                        assert_eq!(once.len(), words.len(), "{} {label}: twice the same", metric.name);
                    }
                    None => assert!(NAMES.contains(label), "{}: {label} has neither", metric.name),
                }
            }
        }
    }
}
