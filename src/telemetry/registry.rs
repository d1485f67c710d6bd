//! One gateway's metrics: makes handles for rows of the catalogue and renders the Prometheus text.

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::catalogue::{self, Kind, Metric};

/// A recorder of its own, with every metric of the catalogue described.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut builder = PrometheusBuilder::new();
        for metric in catalogue::ALL {
            if let Kind::Histogram(bounds) = metric.kind {
                builder = builder
                    .set_buckets_for_metric(Matcher::Full(metric.name.into()), bounds)
                    .expect("the catalogue's bounds are not empty");
            }
        }
        let recorder = builder.build_recorder();
        for metric in catalogue::ALL {
            let (name, help) = (KeyName::from(metric.name), SharedString::const_str(metric.help));
            let unit = metric.name.contains("_seconds").then_some(Unit::Seconds);
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, unit, help),
                Kind::Gauge => recorder.describe_gauge(name, unit, help),
                Kind::Histogram(_) => recorder.describe_histogram(name, unit, help),
            }
        }
        Self { handle: recorder.handle(), recorder }
    }

    /// A handle for the series of `metric` with these label values, in the catalogue's order.
    pub fn counter(&self, metric: &Metric, labels: &[&str]) -> Counter {
        self.recorder.register_counter(&key(metric, labels), &METADATA)
    }

    pub fn gauge(&self, metric: &Metric, labels: &[&str]) -> Gauge {
        self.recorder.register_gauge(&key(metric, labels), &METADATA)
    }

    pub fn histogram(&self, metric: &Metric, labels: &[&str]) -> Histogram {
        self.recorder.register_histogram(&key(metric, labels), &METADATA)
    }

    /// The Prometheus text exposition.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Drains recorded samples into their buckets. Must run every few seconds, or unscraped
    /// histograms grow without bound.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

static METADATA: Metadata<'static> = Metadata::new("mainstay", Level::INFO, None);

fn key(metric: &Metric, labels: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), labels.len(), "{}: label values", metric.name);
    let labels: Vec<Label> = metric
        .labels
        .iter()
        .zip(labels)
        .map(|(name, value)| Label::new(*name, (*value).to_owned()))
        .collect();
    Key::from_parts(metric.name, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_rendered_with_its_help_and_labels() {
        let metrics = Metrics::new();
        metrics.counter(&catalogue::REQUESTS, &["demo", "openai", "ok"]).increment(2);
        metrics.histogram(&catalogue::OVERHEAD, &["demo"]).record(0.000_03);
        let text = metrics.render();
        assert!(text.contains("# HELP mainstay_requests_total Finished requests"), "{text}");
        assert!(
            text.contains(r#"mainstay_requests_total{route="demo",dialect="openai",outcome="ok"} 2"#),
            "{text}"
        );
        assert!(
            text.contains(r#"mainstay_gateway_overhead_seconds_bucket{route="demo",le="0.00005"} 1"#),
            "{text}"
        );
    }
}
