//! Alerts say what is wrong, what Mainstay does about it and where to read on; and all rules have tests.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use super::promql::named;
use super::{files, home, list, read, rules, text};

/// Where `docs/runbooks.md` can be read by whoever is woken up.
const RUNBOOKS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/runbooks.md#");

/// The sections of the runbooks: name and text.
fn runbooks() -> Vec<(String, String)> {
    let all = read(&home().join("../docs/runbooks.md"));
    let sections = all.split("\n### ").skip(1);
    let section = |text: &str| {
        let (name, body) = text.split_once('\n').unwrap_or((text, ""));
        (name.to_owned(), body.split("\n## ").next().unwrap_or_default().to_owned())
    };
    sections.map(section).collect()
}

/// The files for `promtool test rules`.
fn tests() -> Vec<Value> {
    let parse = |path: &PathBuf| {
        serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files("tests", ".yml").iter().map(parse).collect()
}

/// What a test of rules feeds, and what it asks.
fn series(test: &Value) -> impl Iterator<Item = &str> {
    list(&test["input_series"]).iter().map(|series| text(&series["series"]))
}

#[test]
fn alerts_say_what_is_wrong_and_what_to_do() {
    let mut names = BTreeSet::new();
    for alert in rules("alerts.yml") {
        let name = alert.name();
        assert!(names.insert(name.to_owned()), "{name} is defined twice");
        assert!(name.starts_with("Mainstay"), "{name}");
        let severity = alert.labels.get("severity").map(String::as_str);
        assert!(matches!(severity, Some("page" | "ticket")), "{name}: severity is page or ticket");
        for annotation in ["summary", "description"] {
            let said = alert.annotations.get(annotation).is_some_and(|said| said.len() > 15);
            assert!(said, "{name}: no {annotation}");
        }
        assert!(
            alert.annotations["description"].trim_end().ends_with('.'),
            "{name}: the description is no sentence"
        );
        let runbook = format!("{RUNBOOKS}{}", name.to_lowercase());
        assert_eq!(alert.annotations.get("runbook_url"), Some(&runbook), "{name}");
    }
}

#[test]
fn each_alert_has_its_runbook_and_each_runbook_its_alert() {
    let alerts: Vec<String> = rules("alerts.yml").iter().map(|alert| alert.name().to_owned()).collect();
    let sections = runbooks();
    let written: Vec<String> = sections.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(written, alerts, "docs/runbooks.md has a section for each alert, in the order of alerts.yml");
    for (name, body) in sections {
        for part in ["**Means**", "**Meanwhile**", "**Look**", "**Do**"] {
            assert!(body.contains(part), "docs/runbooks.md: {name}: no {part}");
        }
    }
}

#[test]
fn what_is_recorded_is_named_by_its_labels() {
    for rule in rules("rules.yml") {
        let (name, named) = (rule.name(), named(&rule.expr));
        let [level, metric, operation] = name.split(':').collect::<Vec<_>>()[..] else {
            panic!("{name} is not level:metric:operation");
        };
        assert!(metric.starts_with("mainstay_") && !operation.is_empty(), "{name}");
        for label in level.split('_') {
            let grouped = named.labels.is_empty() || named.labels.contains(&label);
            assert!(grouped, "{name}: {label} is lost");
        }
    }
}

#[test]
fn each_alert_is_seen_to_fire_and_each_record_is_read() {
    let asked = tests()
        .iter()
        .flat_map(|file| list(&file["tests"]))
        .flat_map(|test| list(&test["promql_expr_test"]))
        .fold(String::new(), |mut all, ask| {
            all.push_str(text(&ask["expr"]));
            for sample in list(&ask["exp_samples"]) {
                all.push_str(text(&sample["labels"]));
            }
            all.push('\n');
            all
        });
    for alert in rules("alerts.yml") {
        assert!(
            asked.contains(&format!("alertname=\"{}\"", alert.name())),
            "{} is never seen to fire",
            alert.name()
        );
    }
    let all: BTreeSet<&str> =
        asked.lines().flat_map(|line| named(line).selectors).map(|selector| selector.name).collect();
    for rule in rules("rules.yml") {
        assert!(all.contains(rule.name()), "{} is never read", rule.name());
    }
}

/// Without this, an alert about a metric that no test feeds would be silent in vain.
#[test]
fn all_is_well_with_everything_that_alerts_look_at() {
    let well: Value =
        serde_saphyr::from_str(&read(&home().join("tests/well.yml"))).expect("well.yml is YAML");
    let first = &list(&well["tests"])[0];
    let fed: BTreeSet<&str> =
        series(first).flat_map(|line| named(line).selectors).map(|selector| selector.name).collect();
    let recorded = rules("rules.yml");
    for rule in rules("alerts.yml").iter().chain(&recorded) {
        for selector in named(&rule.expr).selectors {
            let known =
                fed.contains(selector.name) || recorded.iter().any(|rule| rule.name() == selector.name);
            let needless = ["mainstay_request_duration_seconds_bucket", "mainstay_cost_nano_usd_total"];
            assert!(
                known || needless.contains(&selector.name),
                "{}: well.yml has no {}",
                rule.name(),
                selector.name
            );
        }
    }
    for ask in list(&first["promql_expr_test"]) {
        assert!(list(&ask["exp_samples"]).is_empty(), "well.yml: something fires");
    }
}
