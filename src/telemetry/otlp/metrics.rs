//! The registry as OTLP's messages (`opentelemetry/proto/metrics/v1/metrics.proto`), all sums since the process began.
//!
//! Four of our metrics are what OpenTelemetry's conventions for generative AI name, and go by those names and
//! attributes (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>); all others are `mainstay.*`, with
//! our labels. No attribute says `gen_ai.operation.name`, which our series do not tell apart.

use super::resource::Resource;
use super::wire::Message;
use crate::telemetry::catalogue::{self as c, Kind, Metric};
use crate::telemetry::cell::{Cell, Histogram};
use crate::telemetry::family::{Family, Series};
use crate::telemetry::registry::Metrics;

/// A batch is closed when it is as large; collectors take 4 MiB or more.
const ENOUGH: usize = 1024 * 1024;
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;

/// How the vendor behind an upstream is called where there is one.
pub type Vendors<'v> = &'v dyn Fn(&str) -> Option<&'static str>;

/// What stands over an export.
pub struct Export<'e> {
    pub resource: &'e Resource,
    /// Unix times in nanoseconds: of the begin of all counting, and of now.
    pub since: u64,
    pub now: u64,
    pub vendors: Vendors<'e>,
}

/// Everything there is, in requests to `/v1/metrics`. Histograms without a sample are left out.
pub fn batches(metrics: &Metrics, export: &Export<'_>) -> Vec<Vec<u8>> {
    let mut batches = Vec::new();
    let mut scope = Message::default();
    for family in metrics.families() {
        write(family, export, &mut scope);
        if scope.len() >= ENOUGH {
            batches.push(closed(std::mem::take(&mut scope), export));
        }
    }
    if !scope.is_empty() {
        batches.push(closed(scope, export));
    }
    batches
}

/// An `ExportMetricsServiceRequest` with the metrics of one scope.
fn closed(metrics: Message, export: &Export<'_>) -> Vec<u8> {
    let mut scope = Message::default();
    Resource::scope(1, &mut scope);
    let scope = [scope.into_bytes(), metrics.into_bytes()].concat();
    let mut request = Message::default();
    request.message(1, |resource_metrics| {
        export.resource.write(1, resource_metrics);
        resource_metrics.bytes(2, &scope);
    });
    request.into_bytes()
}

/// Writes a `Metric` as field 2 of a `ScopeMetrics`, where the family has anything to say.
fn write(family: &Family, export: &Export<'_>, scope: &mut Message) {
    let metric = family.metric;
    let mut points = Message::default();
    family.each(|series| point(metric, series, export, &mut points));
    if points.is_empty() {
        return;
    }
    let Said { name, unit } = said(metric);
    scope.message(2, |message| {
        message.text(1, &name);
        message.text(2, metric.help);
        message.text(3, unit);
        let points = points.into_bytes();
        let summed = |data: &mut Message| {
            data.uint(2, CUMULATIVE);
        };
        match metric.kind {
            Kind::Gauge => message.bytes(5, &points),
            Kind::Counter => {
                let mut end = Message::default();
                summed(&mut end);
                // Monotonic.
                end.uint(3, 1);
                message.bytes(7, &[points, end.into_bytes()].concat());
            }
            Kind::Histogram(_) => {
                let mut end = Message::default();
                summed(&mut end);
                message.bytes(9, &[points, end.into_bytes()].concat());
            }
        }
    });
}

/// Writes a data point as field 1 of what the metric is.
fn point(metric: &Metric, series: &Series, export: &Export<'_>, points: &mut Message) {
    match &series.cell {
        Cell::Counter(counter) => points.message(1, |point| {
            times(export, point);
            point.fixed64(6, counter.value());
            attributes(metric, series, export, 7, point);
        }),
        // Nobody knows it now.
        Cell::Gauge(gauge) if gauge.value().is_nan() => {}
        Cell::Gauge(gauge) => points.message(1, |point| {
            times(export, point);
            point.double(4, gauge.value());
            attributes(metric, series, export, 7, point);
        }),
        Cell::Histogram(histogram) => {
            let counts: Vec<u64> = histogram.counts().collect();
            if counts.iter().any(|count| *count > 0) {
                points.message(1, |point| {
                    buckets(histogram, &counts, export, point);
                    attributes(metric, series, export, 9, point);
                });
            }
        }
    }
}

fn times(export: &Export<'_>, point: &mut Message) {
    point.fixed64(2, export.since);
    point.fixed64(3, export.now);
}

fn buckets(histogram: &Histogram, counts: &[u64], export: &Export<'_>, point: &mut Message) {
    times(export, point);
    point.fixed64(4, counts.iter().sum());
    point.double(5, histogram.sum());
    point.packed(6, counts.iter().copied());
    point.packed(7, histogram.bounds().iter().map(|bound| bound.to_bits()));
}

fn attributes(metric: &Metric, series: &Series, export: &Export<'_>, field: u32, point: &mut Message) {
    let generative = generative(metric).is_some();
    for (label, value) in metric.labels.iter().zip(&series.values) {
        match *label {
            "model" if generative => point.attribute(field, "gen_ai.request.model", value),
            "kind" if generative => point.attribute(field, "gen_ai.token.type", value),
            "outcome" if generative && &**value != "success" => point.attribute(field, "error.type", value),
            "outcome" if generative => {}
            "upstream" => {
                if let Some(vendor) = (export.vendors)(value) {
                    point.attribute(field, "gen_ai.provider.name", vendor);
                }
                point.attribute(field, "mainstay.upstream", value);
            }
            label => point.attribute(field, &format!("mainstay.{label}"), value),
        }
    }
}

struct Said {
    name: String,
    unit: &'static str,
}

/// What OpenTelemetry calls it, where its conventions have it.
fn generative(metric: &Metric) -> Option<&'static str> {
    [
        (&c::ATTEMPT_SECONDS, "gen_ai.client.operation.duration"),
        (&c::ATTEMPT_TOKENS, "gen_ai.client.token.usage"),
        (&c::TTFT, "gen_ai.server.time_to_first_token"),
        (&c::TOKEN_TIME, "gen_ai.server.time_per_output_token"),
    ]
    .into_iter()
    .find(|(ours, _)| ours.name == metric.name)
    .map(|(_, theirs)| theirs)
}

/// Name and unit: `mainstay_queue_seconds` is `mainstay.queue` in `s`, as OpenTelemetry has it; units that tell two
/// metrics apart stay in the name.
fn said(metric: &Metric) -> Said {
    let bare = metric.name.strip_suffix("_total").unwrap_or(metric.name);
    let units = [
        ("_timestamp_seconds", "_timestamp", "s"),
        ("_seconds", "", "s"),
        ("_bytes", "_bytes", "By"),
        ("_ratio", "_ratio", "1"),
        ("_nano_usd", "_nano_usd", "n{USD}"),
        ("_per_second", "_per_second", "{token}/s"),
        ("_tokens", "_tokens", "{token}"),
    ];
    let found = units.into_iter().find_map(|(suffix, kept, unit)| {
        bare.strip_suffix(suffix).map(|stem| (format!("{stem}{kept}"), unit))
    });
    let (bare, unit) = found.unwrap_or_else(|| (bare.to_owned(), "1"));
    let ours = bare.split_once('_').map_or_else(|| bare.clone(), |(first, rest)| format!("{first}.{rest}"));
    Said { name: generative(metric).map_or(ours, str::to_owned), unit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_units_are_kept_apart() {
        let said = |metric: &Metric| {
            let Said { name, unit } = said(metric);
            format!("{name} {unit}")
        };
        assert_eq!(said(&c::REQUESTS), "mainstay.requests 1");
        assert_eq!(said(&c::QUEUE_SECONDS), "mainstay.queue s");
        assert_eq!(said(&c::RELOAD_SECONDS), "mainstay.config_applied_timestamp s");
        assert_eq!(said(&c::MEMORY_HELD), "mainstay.memory_held_bytes By");
        assert_eq!(said(&c::CPU_SECONDS), "process.cpu s");
        assert_eq!(said(&c::TTFT), "gen_ai.server.time_to_first_token s");
        assert_eq!(said(&c::ATTEMPT_TOKENS), "gen_ai.client.token.usage {token}");
    }

    #[test]
    fn no_two_metrics_become_one() {
        let names: BTreeSet<String> = c::ALL.iter().map(|metric| said(metric).name).collect();
        assert_eq!(names.len(), c::ALL.len());
    }

    #[test]
    fn much_is_sent_in_several_batches_and_nothing_is_sent_of_nothing() {
        let metrics = Metrics::new();
        metrics.limit(usize::MAX);
        for route in 0..20_000 {
            metrics.counter(&c::SAVED, &[&format!("route-{route}")]);
            metrics.counter(&c::COALESCED, &[&format!("route-{route}")]);
            metrics.histogram(&c::OVERHEAD, &[&format!("route-{route}")]);
        }
        let resource = Resource { instance: "one".into() };
        let export = Export { resource: &resource, since: 1, now: 2, vendors: &|_| None };
        let batches = batches(&metrics, &export);
        assert!(
            batches.len() >= 2 && batches.iter().all(|batch| batch.len() < 4 * ENOUGH),
            "{}",
            batches.len()
        );
        let has =
            |text: &[u8]| batches.iter().any(|batch| batch.windows(text.len()).any(|part| part == text));
        assert!(has(b"mainstay.failovers") && !has(b"mainstay.gateway_overhead"));
    }
}
