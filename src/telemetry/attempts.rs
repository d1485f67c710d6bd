//! What is counted of channels and of what stands behind them: attempts, streams, connections, credentials.

use std::sync::OnceLock;
use std::time::Duration;

use super::catalogue as c;
use super::cell::{Counter, Histogram};
use super::handles::{HeldBack, Words};
use super::registry::Metrics;
use crate::vocab::{Class, Fault, Money, Stage, Usage};

/// What is counted per channel.
pub struct AttemptHandles {
    labels: [String; 3],
    success: Counter,
    failures: Words<10>,
    success_seconds: Histogram,
    failure_seconds: [OnceLock<Histogram>; Class::ALL.len()],
    pub ttft: Histogram,
    stream: StreamHandles,
    tokens: [Counter; 5],
    other_tokens: Words<5>,
    units: Words<4>,
    sizes: [Histogram; 2],
    cost: Counter,
    cost_unknown: Counter,
}

/// What is recorded of each stream of a channel.
struct StreamHandles {
    seconds: Histogram,
    gap: Histogram,
    token_time: Histogram,
    token_rate: Histogram,
}

/// How a stream came, from its first content to its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub took: Duration,
    /// Between two pieces of content.
    pub longest_gap: Duration,
    /// That were made in that time, as far as anybody says.
    pub tokens: Option<u64>,
}

impl AttemptHandles {
    pub fn new(metrics: &Metrics, route: &str, upstream: &str, model: &str) -> Self {
        let tokens = ["input", "cache_read", "cache_write", "output", "reasoning"];
        // Its breaker may not close for months; the series is there from the beginning.
        metrics.histogram(&c::BREAKER_SECONDS, &[upstream, model]);
        Self {
            success: metrics.counter(&c::ATTEMPTS, &[route, upstream, model, "success"]),
            failures: Words::new(),
            success_seconds: metrics.histogram(&c::ATTEMPT_SECONDS, &[upstream, model, "success"]),
            failure_seconds: std::array::from_fn(|_| OnceLock::new()),
            stream: StreamHandles::new(metrics, &[route, upstream, model]),
            other_tokens: Words::new(),
            units: Words::new(),
            sizes: ["input", "output"]
                .map(|kind| metrics.histogram(&c::ATTEMPT_TOKENS, &[upstream, model, kind])),
            ttft: metrics.histogram(&c::TTFT, &[route, upstream, model]),
            tokens: tokens.map(|kind| metrics.counter(&c::TOKENS, &[upstream, model, kind])),
            cost: metrics.counter(&c::COST, &[route, upstream, model]),
            cost_unknown: metrics.counter(&c::COST_UNKNOWN, &[route, upstream, model]),
            labels: [route.to_owned(), upstream.to_owned(), model.to_owned()],
        }
    }

    pub fn succeeded(&self, took: Duration) {
        self.success.increment(1);
        self.success_seconds.record(took.as_secs_f64());
    }

    /// Counts a failed attempt twice: by class on the channel, by exact fault on the upstream.
    pub fn failed(&self, metrics: &Metrics, fault: Fault, stage: Stage, took: Duration) {
        let [route, upstream, model] = &self.labels;
        let class = fault.class();
        let seconds = || metrics.histogram(&c::ATTEMPT_SECONDS, &[upstream, model, class.name()]);
        self.failure_seconds[class as usize].get_or_init(seconds).record(took.as_secs_f64());
        self.failures.add(class as usize, 1, || {
            metrics.counter(&c::ATTEMPTS, &[route, upstream, model, class.name()])
        });
        metrics.counter(&c::FAULTS, &[upstream, fault.name(), stage.name()]).increment(1);
    }

    /// Counts an attempt whose usage nobody will tell.
    pub fn unpriced(&self, metrics: &Metrics) {
        let [route, upstream, model] = &self.labels;
        metrics.counter(&c::UNPRICED, &[route, upstream, model]).increment(1);
    }

    /// Counts a stream that was held back.
    pub fn held_back(&self, metrics: &Metrics, what: HeldBack) {
        let [route, upstream, _] = &self.labels;
        metrics.counter(&c::STREAMS_HELD, &[route, upstream, what.name()]).increment(1);
    }

    /// Counts what an attempt cost, or that nobody knows.
    pub fn cost(&self, cost: Option<Money>) {
        match cost {
            Some(Money::ZERO) => {}
            Some(money) => self.cost.increment(money.as_nano_usd()),
            None => self.cost_unknown.increment(1),
        }
    }

    pub fn streamed(&self, pace: Pace) {
        let StreamHandles { seconds, gap, token_time, token_rate } = &self.stream;
        let took = pace.took.as_secs_f64();
        seconds.record(took);
        gap.record(pace.longest_gap.as_secs_f64());
        // The first one was there when the time began.
        let later = pace.tokens.map_or(0, |tokens| tokens.saturating_sub(1));
        if later > 0 && took > 0.0 {
            token_time.record(took / later as f64);
            token_rate.record(later as f64 / took);
        }
    }

    pub fn used(&self, metrics: &Metrics, usage: &Usage) {
        let counts = [
            usage.input,
            usage.cache_read,
            usage.cache_write + usage.cache_write_1h,
            usage.output,
            usage.reasoning,
        ];
        for (counter, count) in self.tokens.iter().zip(counts) {
            if count > 0 {
                counter.increment(count);
            }
        }
        for (size, count) in self.sizes.iter().zip([usage.input, usage.output]) {
            size.record(count as f64);
        }
        self.used_of_others(metrics, usage);
    }

    /// What most requests have nothing of.
    fn used_of_others(&self, metrics: &Metrics, usage: &Usage) {
        let [_, upstream, model] = &self.labels;
        let tokens = [
            ("input_audio", usage.input_audio),
            ("cache_read_audio", usage.cache_read_audio),
            ("output_audio", usage.output_audio),
            ("input_image", usage.input_image),
            ("output_image", usage.output_image),
        ];
        for (slot, (kind, count)) in tokens.into_iter().enumerate().filter(|(_, (_, count))| *count > 0) {
            self.other_tokens.add(slot, count, || metrics.counter(&c::TOKENS, &[upstream, model, kind]));
        }
        let units = [
            ("images", usage.other.images),
            ("searches", usage.other.searches),
            ("characters", usage.other.characters),
            ("audio_milliseconds", usage.other.audio_millis),
        ];
        for (slot, (unit, count)) in units.into_iter().enumerate().filter(|(_, (_, count))| *count > 0) {
            self.units.add(slot, count.into(), || metrics.counter(&c::UNITS, &[upstream, model, unit]));
        }
    }
}

impl StreamHandles {
    fn new(metrics: &Metrics, labels: &[&str; 3]) -> Self {
        Self {
            seconds: metrics.histogram(&c::STREAM_SECONDS, labels),
            gap: metrics.histogram(&c::STREAM_GAP, labels),
            token_time: metrics.histogram(&c::TOKEN_TIME, labels),
            token_rate: metrics.histogram(&c::TOKEN_RATE, labels),
        }
    }
}

/// What is counted per upstream.
pub struct UpstreamHandles {
    pub late: Counter,
    pub probe_pass: Counter,
    pub probe_fail: Counter,
    pub probe_skipped: Counter,
    pub conflicts: Counter,
    pub broken_events: Counter,
}

impl std::fmt::Debug for UpstreamHandles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UpstreamHandles")
    }
}

impl UpstreamHandles {
    pub fn new(metrics: &Metrics, upstream: &str) -> Self {
        let probe = |result| metrics.counter(&c::PROBES, &[upstream, result]);
        metrics.histogram(&c::BREAKER_SECONDS, &[upstream, ""]);
        Self {
            late: metrics.counter(&c::LATE_OUTCOMES, &[upstream]),
            probe_pass: probe("pass"),
            probe_fail: probe("fail"),
            probe_skipped: probe("skipped"),
            conflicts: metrics.counter(&c::CONFLICTS, &[upstream]),
            broken_events: metrics.counter(&c::STREAM_BROKEN_EVENTS, &[upstream]),
        }
    }
}

/// What is counted of an upstream's connections.
pub struct PoolHandles {
    pub kept: Counter,
    pub shared: Counter,
    pub opened: Counter,
    pub failed: Counter,
    pub wait: Histogram,
    pub dial: Histogram,
    pub tls: Histogram,
}

impl PoolHandles {
    pub fn new(metrics: &Metrics, upstream: &str) -> Self {
        let lines = |way| metrics.counter(&c::POOL_LINES, &[upstream, way]);
        let connect = |phase| metrics.histogram(&c::CONNECT_SECONDS, &[upstream, phase]);
        Self {
            kept: lines("kept"),
            shared: lines("shared"),
            opened: lines("opened"),
            failed: lines("failed"),
            wait: metrics.histogram(&c::POOL_WAIT, &[upstream]),
            dial: connect("dial"),
            tls: connect("tls"),
        }
    }
}

/// What is counted per credential.
pub struct CredentialHandles {
    pub short: Counter,
    pub long: Counter,
    pub auth: Counter,
}

impl CredentialHandles {
    pub fn new(metrics: &Metrics, alias: &str) -> Self {
        let of = |kind| metrics.counter(&c::COOLDOWNS, &[alias, kind]);
        Self { short: of("short"), long: of("long"), auth: of("auth") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(text: &str, name: &str) -> Option<f64> {
        let series = format!("mainstay_{name}_sum{{route=\"r\",upstream=\"u\",model=\"m\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series))?.parse().ok()
    }

    #[test]
    fn the_first_token_is_there_before_the_time_of_the_others_begins() {
        let metrics = Metrics::new();
        let handles = AttemptHandles::new(&metrics, "r", "u", "m");
        let (took, longest_gap) = (Duration::from_secs(2), Duration::from_millis(500));
        handles.streamed(Pace { took, longest_gap, tokens: Some(101) });
        let text = metrics.render();
        let of = |name: &str| sample(&text, name).unwrap_or_else(|| panic!("{name}: {text}"));
        assert_eq!((of("stream_duration_seconds"), of("stream_longest_gap_seconds")), (2.0, 0.5));
        assert_eq!((of("time_per_output_token_seconds"), of("output_tokens_per_second")), (0.02, 50.0));
    }

    #[test]
    fn nothing_is_said_of_tokens_where_nobody_says_how_many_there_were() {
        for (seconds, tokens) in [(2, None), (2, Some(0)), (2, Some(1)), (0, Some(9))] {
            let metrics = Metrics::new();
            let handles = AttemptHandles::new(&metrics, "r", "u", "m");
            let took = Duration::from_secs(seconds);
            handles.streamed(Pace { took, longest_gap: Duration::ZERO, tokens });
            let text = metrics.render();
            assert_eq!(sample(&text, "time_per_output_token_seconds"), Some(0.0), "{seconds} {tokens:?}");
            assert!(text.contains(
                "mainstay_stream_duration_seconds_count{route=\"r\",upstream=\"u\",model=\"m\"} 1\n"
            ));
        }
    }

    #[test]
    fn what_most_requests_have_nothing_of_is_counted_from_the_first_one_on() {
        let metrics = Metrics::new();
        let handles = AttemptHandles::new(&metrics, "r", "u", "m");
        handles.used(&metrics, &Usage { input: 5, output: 7, ..Usage::default() });
        assert!(!metrics.render().contains("kind=\"output_audio\""));
        let other = crate::vocab::usage::Other { images: 2, ..Default::default() };
        handles.used(&metrics, &Usage { output_audio: 3, other, ..Usage::default() });
        let text = metrics.render();
        assert!(
            text.contains(r#"mainstay_tokens_total{upstream="u",model="m",kind="output_audio"} 3"#),
            "{text}"
        );
        assert!(text.contains(r#"mainstay_units_total{upstream="u",model="m",unit="images"} 2"#), "{text}");
        assert!(
            text.contains(r#"mainstay_attempt_tokens_sum{upstream="u",model="m",kind="output"} 7"#),
            "{text}"
        );
    }
}
