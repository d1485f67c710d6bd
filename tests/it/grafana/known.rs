//! Every metric, label and word that is asked for is exported, and every metric that is exported is shown.

use std::collections::BTreeSet;

use mainstay::telemetry::catalogue::{ALL, Kind, Metric};
use mainstay::telemetry::words;

use super::promql::{Selector, named};
use super::{dashboards, expressions, list, rules, text};
use crate::prometheus::label_values;

/// Labels that a scrape adds, and the bound of a bucket.
const SCRAPED: [&str; 3] = ["job", "instance", "le"];
/// What Prometheus says of an alert itself, beside the labels of what is wrong.
const OF_ALERTS: [&str; 3] = ["alertname", "alertstate", "severity"];

/// Where a series comes from.
enum Origin {
    Exported(&'static Metric),
    /// By `rules.yml`, with these labels: its name begins with them.
    Recorded(Vec<String>),
    /// Of Prometheus, about alerts.
    Alerts,
}

impl Origin {
    fn has(&self, label: &str) -> bool {
        match self {
            Self::Exported(metric) => metric.labels.contains(&label) || SCRAPED.contains(&label),
            Self::Recorded(labels) => labels.iter().any(|known| known == label),
            Self::Alerts => OF_ALERTS.contains(&label) || label == "job",
        }
    }
}

/// Every expression that somebody evaluates, and where it stands.
fn everywhere() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (file, dashboard) in dashboards() {
        let of = |(title, expression): (&str, &str)| (format!("{file}: {title}"), expression.to_owned());
        all.extend(expressions(&dashboard).into_iter().map(of));
        for variable in list(&dashboard["templating"]["list"]) {
            if let Some((selector, _)) = label_values(text(&variable["definition"])) {
                all.push((format!("{file}: ${}", text(&variable["name"])), selector.to_owned()));
            }
        }
    }
    let rules = ["rules.yml", "alerts.yml"].into_iter().flat_map(rules);
    all.extend(rules.map(|rule| (rule.name().to_owned(), rule.expr)));
    all
}

/// Where a selector's series comes from; panics on one that nobody exports or records.
fn origin(selector: &Selector<'_>, recorded: &BTreeSet<String>) -> Origin {
    let name = selector.name;
    if let Some(metric) = ALL.iter().copied().find(|metric| is_series_of(name, metric)) {
        return Origin::Exported(metric);
    }
    match name.split_once(':') {
        Some((level, _)) if recorded.contains(name) => {
            Origin::Recorded(level.split('_').map(str::to_owned).collect())
        }
        _ if name == "ALERTS" => Origin::Alerts,
        _ => panic!("{name} is not in the catalogue, and nothing of that name is recorded"),
    }
}

fn is_series_of(series: &str, metric: &Metric) -> bool {
    match metric.kind {
        Kind::Counter | Kind::Gauge => series == metric.name,
        Kind::Histogram(_) => {
            let suffix = series.strip_prefix(metric.name).unwrap_or_default();
            matches!(suffix, "_bucket" | "_sum" | "_count")
        }
    }
}

fn recorded() -> BTreeSet<String> {
    rules("rules.yml").into_iter().filter_map(|rule| rule.record).collect()
}

#[test]
fn every_metric_label_and_word_is_in_the_catalogue() {
    let recorded = recorded();
    let known: BTreeSet<&str> =
        ALL.iter().flat_map(|metric| metric.labels).copied().chain(SCRAPED).chain(OF_ALERTS).collect();
    for (at, expression) in &everywhere() {
        let named = named(expression);
        for selector in &named.selectors {
            let origin = origin(selector, &recorded);
            for (label, values) in selector.pairs() {
                assert!(origin.has(label), "{at}: {} has no label {label}", selector.name);
                let Origin::Exported(metric) = &origin else { continue };
                let Some(words) = words(metric.name, label) else { continue };
                for value in values.split('|') {
                    assert!(words.contains(&value), "{at}: {}: {label} is never {value:?}", selector.name);
                }
            }
        }
        for label in &named.labels {
            assert!(known.contains(label), "{at}: nothing has the label {label}");
        }
    }
}

#[test]
fn counters_are_told_by_their_rate_and_gauges_by_their_value() {
    let recorded = recorded();
    for (at, expression) in &everywhere() {
        for selector in named(expression).selectors {
            let Origin::Exported(metric) = origin(&selector, &recorded) else { continue };
            let told = matches!(selector.function, "rate" | "increase");
            assert_eq!(metric.kind != Kind::Gauge, told, "{at}: {} {}", selector.function, selector.name);
        }
    }
}

#[test]
fn every_metric_of_the_catalogue_is_shown() {
    let mut shown = BTreeSet::new();
    for (_, dashboard) in dashboards() {
        for (_, expression) in expressions(&dashboard) {
            shown.extend(named(expression).selectors.into_iter().map(|selector| selector.name.to_owned()));
        }
    }
    let seen = |metric: &&Metric| shown.iter().any(|series| is_series_of(series, metric));
    let hidden: Vec<_> =
        ALL.iter().copied().filter(|metric| !seen(metric)).map(|metric| metric.name).collect();
    assert!(hidden.is_empty(), "exported and never shown: {hidden:?}");
}

#[test]
#[should_panic(expected = "mainstay_request_total is not in the catalogue")]
fn a_metric_that_is_misspelt_is_found() {
    let found = named("sum(rate(mainstay_request_total{job=\"x\"}[5m]))");
    origin(&found.selectors[0], &recorded());
}
