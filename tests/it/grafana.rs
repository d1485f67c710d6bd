//! What can be said of `grafana/` without a Grafana: the dashboards follow the rules of Grafana's own
//! dashboard linter, and every metric, label and closed label value they name is in the catalogue.
//!
//! Whether the expressions mean anything to a Prometheus is for `prometheus.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mainstay::telemetry::catalogue::{ALL, Kind, Metric};
use mainstay::telemetry::words;
use serde::Deserialize;
use serde_json::Value;

/// Labels that a scrape adds, and the bound of a bucket.
const SCRAPED: [&str; 3] = ["job", "instance", "le"];

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Alert>,
}

#[derive(Deserialize)]
struct Alert {
    #[serde(rename = "alert")]
    name: String,
    expr: String,
    labels: std::collections::BTreeMap<String, String>,
    annotations: std::collections::BTreeMap<String, String>,
}

pub fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana")
}

/// Every dashboard with its file's name.
pub fn dashboards() -> Vec<(String, Value)> {
    let files = std::fs::read_dir(home().join("dashboards")).expect("grafana/dashboards is there");
    let mut found: Vec<_> = files
        .map(|entry| {
            let path = entry.expect("a directory can be listed").path();
            let text = std::fs::read_to_string(&path).expect("a dashboard can be read");
            let json =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), json)
        })
        .collect();
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    assert!(!found.is_empty());
    found
}

/// The panels that show something: rows are left out, what is inside them is not.
pub fn panels(dashboard: &Value) -> Vec<&Value> {
    let mut all = Vec::new();
    for panel in list(&dashboard["panels"]) {
        if panel["type"] == "row" {
            all.extend(list(&panel["panels"]));
        } else {
            all.push(panel);
        }
    }
    all
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Every expression of a dashboard with the title of what shows it.
pub fn expressions(dashboard: &Value) -> Vec<(&str, &str)> {
    let mut all = Vec::new();
    for panel in panels(dashboard) {
        all.extend(
            list(&panel["targets"]).iter().map(|target| (text(&panel["title"]), text(&target["expr"]))),
        );
    }
    for annotation in list(&dashboard["annotations"]["list"]) {
        if annotation["builtIn"] != 1 {
            all.push((text(&annotation["name"]), text(&annotation["expr"])));
        }
    }
    all
}

/// The alerts by name, as they are written.
fn alerts() -> Vec<Alert> {
    let text = std::fs::read_to_string(home().join("alerts.yml")).expect("alerts.yml can be read");
    let rules: Rules = serde_saphyr::from_str(&text).expect("alerts.yml is YAML");
    rules.groups.into_iter().flat_map(|group| group.rules).collect()
}

#[test]
fn dashboards_keep_the_linters_rules() {
    let mut uids = BTreeSet::new();
    for (file, dashboard) in dashboards() {
        let said = |field: &str| format!("{file}: {field}");
        assert_eq!(dashboard["id"], Value::Null, "{}", said("id"));
        assert_eq!(dashboard["editable"], false, "{}", said("editable"));
        assert_eq!(dashboard["schemaVersion"], 39, "{}", said("schemaVersion"));
        assert!(dashboard.get("__inputs").is_none(), "{}", said("__inputs are for grafana.com exports"));
        assert!(uids.insert(text(&dashboard["uid"]).to_owned()), "{}", said("uid is used twice"));
        assert!(!text(&dashboard["title"]).is_empty(), "{}", said("title"));

        let variables = list(&dashboard["templating"]["list"]);
        let source =
            variables.iter().find(|variable| variable["type"] == "datasource").expect("a data source");
        assert_eq!((text(&source["name"]), text(&source["query"])), ("datasource", "prometheus"), "{file}");
        assert_eq!(text(&source["label"]), "Data source", "{file}");
        for name in ["job", "instance"] {
            assert!(variables.iter().any(|variable| variable["name"] == name), "{file}: no variable {name}");
        }
        for variable in variables.iter().filter(|variable| variable["type"] == "query") {
            let name = text(&variable["name"]);
            assert_eq!(text(&variable["datasource"]["uid"]), "${datasource}", "{file}: {name}");
            assert_eq!(variable["allValue"], ".+", "{file}: {name}");
            assert_eq!(variable["multi"], true, "{file}: {name}");
            assert_eq!(variable["includeAll"], true, "{file}: {name}");
            assert_eq!(variable["refresh"], 2, "{file}: {name} is not looked up again when the time changes");
            assert!(!text(&variable["label"]).is_empty(), "{file}: {name} has no label");
        }
    }
}

#[test]
fn panels_say_what_they_show_and_in_which_unit() {
    for (file, dashboard) in dashboards() {
        let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
        let rows = list(&dashboard["panels"]).iter().filter(|panel| panel["type"] == "row");
        assert!(rows.clone().all(|row| ids.insert(row["id"].as_u64())), "{file}: two rows with one id");
        for panel in panels(&dashboard) {
            let title = text(&panel["title"]);
            let at = format!("{file}: {title}");
            assert!(titles.insert(title), "{at}: title is used twice");
            assert!(ids.insert(panel["id"].as_u64()), "{at}: id is used twice");
            assert!(!title.is_empty() && text(&panel["description"]).ends_with('.'), "{at}: description");
            assert!(!text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty(), "{at}: unit");
            assert_eq!(text(&panel["datasource"]["uid"]), "${datasource}", "{at}: data source");
            let place = &panel["gridPos"];
            let right = place["x"].as_u64().zip(place["w"].as_u64()).map(|(x, w)| x + w);
            assert!(right.is_some_and(|right| right <= 24), "{at}: reaches out of the grid");
            let targets = list(&panel["targets"]);
            assert!(!targets.is_empty(), "{at}: no target");
            let mut refs = BTreeSet::new();
            for target in targets {
                assert!(refs.insert(text(&target["refId"])), "{at}: refId is used twice");
                assert_eq!(text(&target["datasource"]["uid"]), "${datasource}", "{at}: target's data source");
            }
        }
        panels_do_not_overlap(&file, &dashboard);
    }
}

fn panels_do_not_overlap(file: &str, dashboard: &Value) {
    let mut taken = BTreeSet::new();
    for panel in list(&dashboard["panels"]) {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().expect("a place"));
        for cell in (y..y + h).flat_map(|row| (x..x + w).map(move |column| (row, column))) {
            assert!(taken.insert(cell), "{file}: {} overlaps another panel", panel["title"]);
        }
    }
}

#[test]
fn expressions_keep_the_linters_rules() {
    for (file, dashboard) in dashboards() {
        for (title, expression) in expressions(&dashboard) {
            let at = format!("{file}: {title}: {expression}");
            let selectors = selectors(expression);
            assert!(!selectors.is_empty(), "{at}: names no metric");
            for selector in &selectors {
                for matcher in ["job=~\"$job\"", "instance=~\"$instance\""] {
                    assert!(
                        selector.matchers.contains(matcher),
                        "{at}: {} without {matcher}",
                        selector.series
                    );
                }
                let counts = selector.metric.kind != Kind::Gauge;
                let ranged = selector.before.ends_with("rate(") || selector.before.ends_with("increase(");
                assert_eq!(
                    counts, ranged,
                    "{at}: counters and buckets need rate or increase, gauges must not"
                );
            }
            for range in expression.split('[').skip(1) {
                let range = range.split(']').next().unwrap_or_default();
                assert!(["$__rate_interval", "$__range"].contains(&range), "{at}: fixed range [{range}]");
            }
        }
    }
}

#[test]
fn every_metric_label_and_word_is_in_the_catalogue() {
    let mut all: Vec<(String, String)> = Vec::new();
    for (file, dashboard) in dashboards() {
        all.extend(
            expressions(&dashboard).iter().map(|(title, e)| (format!("{file}: {title}"), (*e).to_owned())),
        );
        for variable in list(&dashboard["templating"]["list"]) {
            if variable["type"] == "query" {
                all.push((
                    format!("{file}: ${}", text(&variable["name"])),
                    text(&variable["definition"]).to_owned(),
                ));
            }
        }
    }
    all.extend(alerts().into_iter().map(|alert| (alert.name, alert.expr)));
    for (at, expression) in &all {
        for selector in selectors(expression) {
            let labels = selector.metric.labels;
            for (label, values) in selector.pairs() {
                assert!(
                    labels.contains(&label) || SCRAPED.contains(&label),
                    "{at}: {} has no label {label}",
                    selector.series
                );
                let Some(known) = words(selector.metric.name, label) else { continue };
                for value in values.split('|') {
                    assert!(known.contains(&value), "{at}: {}: {label} is never {value:?}", selector.series);
                }
            }
        }
        let known: BTreeSet<&str> =
            ALL.iter().flat_map(|metric| metric.labels).copied().chain(SCRAPED).collect();
        for grouping in expression.split(" by (").skip(1) {
            for label in grouping.split(')').next().unwrap_or_default().split(',').map(str::trim) {
                assert!(known.contains(label), "{at}: nothing has the label {label}");
            }
        }
    }
}

#[test]
fn every_metric_of_the_catalogue_is_shown() {
    let shown: BTreeSet<&str> = dashboards()
        .iter()
        .flat_map(|(_, dashboard)| {
            expressions(dashboard)
                .iter()
                .flat_map(|(_, e)| selectors(e))
                .map(|s| s.metric.name)
                .collect::<Vec<_>>()
        })
        .collect();
    let hidden: Vec<_> = ALL.iter().map(|metric| metric.name).filter(|name| !shown.contains(name)).collect();
    assert!(hidden.is_empty(), "exported and never shown: {hidden:?}");
}

#[test]
#[should_panic(expected = "mainstay_request_total is not in the catalogue")]
fn a_metric_that_is_misspelt_is_found() {
    selectors("sum(rate(mainstay_request_total{job=\"x\"}[5m]))");
}

#[test]
fn selectors_are_taken_apart() {
    let all = selectors(
        "sum(rate(mainstay_streams_total{job=~\"$job\", outcome!=\"cut|error\"}[5m])) / mainstay_draining",
    );
    assert_eq!(all[0].pairs(), [("job", "$job"), ("outcome", "cut|error")]);
    assert_eq!(
        (all[0].series, all[1].series, all[1].matchers),
        ("mainstay_streams_total", "mainstay_draining", "")
    );
}

#[test]
fn alerts_say_what_to_do() {
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = &alert.name;
        assert!(names.insert(name.clone()), "{name} is defined twice");
        assert!(name.starts_with("Mainstay"), "{name}");
        let severity = alert.labels.get("severity").map(String::as_str);
        assert!(matches!(severity, Some("page" | "ticket")), "{name}: severity is page or ticket");
        for annotation in ["summary", "description", "runbook"] {
            let said = alert.annotations.get(annotation).is_some_and(|said| said.len() > 15);
            assert!(said, "{name}: no {annotation}");
        }
    }
}

/// One metric in an expression, and what stands round it.
struct Selector<'a> {
    metric: &'static Metric,
    /// As written: a histogram's with its suffix.
    series: &'a str,
    /// Between the braces; empty without any.
    matchers: &'a str,
    before: &'a str,
}

impl<'a> Selector<'a> {
    /// Each label with the value that it is compared with.
    fn pairs(&self) -> Vec<(&'a str, &'a str)> {
        let mut pairs = Vec::new();
        let mut rest = self.matchers;
        while let Some((label, after)) = rest.split_once('"') {
            let Some((value, next)) = after.split_once('"') else { break };
            pairs.push((label.trim_matches([',', ' ', '=', '~', '!']), value));
            rest = next;
        }
        pairs
    }
}

/// Finds every `mainstay_…` and `process_…` of an expression; panics on one that the catalogue does not have.
fn selectors(expression: &str) -> Vec<Selector<'_>> {
    let mut all = Vec::new();
    let starts = ["mainstay_", "process_"].into_iter().flat_map(|prefix| expression.match_indices(prefix));
    for (start, _) in
        starts.filter(|(start, _)| !expression[..*start].ends_with(|c: char| c == '_' || c.is_alphanumeric()))
    {
        let rest = &expression[start..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (series, after) = rest.split_at(end);
        let metric = ALL.iter().copied().find(|metric| is_series_of(series, metric));
        let metric = metric.unwrap_or_else(|| panic!("{series} is not in the catalogue: {expression}"));
        let matchers =
            after.strip_prefix('{').and_then(|inside| inside.split('}').next()).unwrap_or_default();
        all.push(Selector { metric, series, matchers, before: &expression[..start] });
    }
    all
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
