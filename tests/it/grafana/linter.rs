//! The rules of Grafana's own linter (github.com/grafana/dashboard-linter, `docs/index.md`), each under its name there.
//! Its two rules about LogQL have nothing to look at here.
//!
//! `grafana/dashboards/.lint` is what that linter reads, too: which panels a rule does not hold for, and why.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::promql::named;
use super::{dashboards, home, list, panels, read, text};

/// What breaks a rule: a panel's title, or empty for the dashboard, and what is wrong.
type Finding = (String, String);

struct Rule {
    name: &'static str,
    look: fn(&Value) -> Vec<Finding>,
    /// Makes a dashboard that breaks it.
    spoil: fn(&mut Value),
}

const RULES: [Rule; 15] = [
    Rule {
        name: "template-datasource-rule",
        look: |d| {
            let sources: Vec<_> = variables(d, "datasource")
                .map(|v| [&v["name"], &v["label"], &v["query"]].map(text))
                .collect();
            of_dashboard(
                sources == [["datasource", "Data source", "prometheus"]],
                "one data source, with the usual name",
            )
        },
        spoil: |d| d["templating"]["list"][0]["name"] = "source".into(),
    },
    Rule {
        name: "template-job-rule",
        look: |d| template(d, "job", "Job"),
        spoil: |d| variable(d, "job")["multi"] = false.into(),
    },
    Rule {
        name: "template-instance-rule",
        look: |d| template(d, "instance", "Instance"),
        spoil: |d| variable(d, "instance")["allValue"] = ".*".into(),
    },
    Rule {
        name: "template-label-promql-rule",
        look: |d| {
            let asked = |v: &Value| {
                let inside = text(&v["query"]["query"])
                    .strip_prefix("label_values(")
                    .and_then(|q| q.strip_suffix(')'));
                inside.is_some_and(|q| !named(q).unbalanced && v["definition"] == v["query"]["query"])
            };
            of_dashboard(
                variables(d, "query").all(asked),
                "a variable asks for something that is no label's values",
            )
        },
        spoil: |d| variable(d, "route")["query"]["query"] = "values(route)".into(),
    },
    Rule {
        name: "template-on-time-change-reload-rule",
        look: |d| {
            of_dashboard(
                variables(d, "query").all(|v| v["refresh"] == 2),
                "variables are looked up when the time changes",
            )
        },
        spoil: |d| variable(d, "upstream")["refresh"] = 1.into(),
    },
    Rule {
        name: "panel-datasource-rule",
        look: |d| of_panels(d, |p| text(&p["datasource"]["uid"]) == "${datasource}"),
        spoil: |d| panel(d)["datasource"]["uid"] = "prometheus".into(),
    },
    Rule {
        name: "panel-title-description-rule",
        look: |d| of_panels(d, |p| !text(&p["title"]).is_empty() && !text(&p["description"]).is_empty()),
        spoil: |d| panel(d)["description"] = "".into(),
    },
    Rule {
        name: "panel-units-rule",
        look: |d| of_panels(d, |p| UNITS.contains(&text(&p["fieldConfig"]["defaults"]["unit"]))),
        spoil: |d| panel(d)["fieldConfig"]["defaults"]["unit"] = "dollars".into(),
    },
    Rule {
        name: "panel-no-targets-rule",
        look: |d| of_panels(d, |p| !list(&p["targets"]).is_empty()),
        spoil: |d| panel(d)["targets"] = json!([]),
    },
    Rule {
        name: "target-promql-rule",
        look: |d| of_targets(d, |e| !named(e).unbalanced && !named(e).selectors.is_empty()),
        spoil: |d| spoil_target(d, "sum(mainstay_connections"),
    },
    Rule {
        name: "target-rate-interval-rule",
        look: |d| {
            of_targets(d, |e| {
                let rates = named(e).selectors.into_iter().filter(|s| matches!(s.function, "rate" | "irate"));
                rates.into_iter().all(|s| s.range == Some("$__rate_interval"))
            })
        },
        spoil: |d| {
            spoil_target(d, "rate(mainstay_retries_total{job=~\"$job\", instance=~\"$instance\"}[5m])");
        },
    },
    Rule {
        name: "target-job-rule",
        look: |d| of_targets(d, |e| narrowed(e, "job=~\"$job\"")),
        spoil: |d| spoil_target(d, "mainstay_connections{instance=~\"$instance\"}"),
    },
    Rule {
        name: "target-instance-rule",
        look: |d| of_targets(d, |e| narrowed(e, "instance=~\"$instance\"")),
        spoil: |d| spoil_target(d, "mainstay_connections{job=~\"$job\"}"),
    },
    Rule {
        name: "target-counter-agg-rule",
        look: |d| {
            of_targets(d, |e| {
                let counters = named(e).selectors.into_iter().filter(|s| s.name.ends_with("_total"));
                counters.into_iter().all(|s| matches!(s.function, "rate" | "irate" | "increase"))
            })
        },
        spoil: |d| spoil_target(d, "sum(mainstay_retries_total{job=~\"$job\", instance=~\"$instance\"})"),
    },
    Rule {
        name: "uneditable-dashboard",
        look: |d| of_dashboard(d["editable"] == false, "it can be edited where nobody keeps the change"),
        spoil: |d| d["editable"] = true.into(),
    },
];

/// Those of Grafana's units that are in use here (`packages/grafana-data/src/valueFormats/categories.ts`).
const UNITS: [&str; 10] = [
    "none",
    "short",
    "percentunit",
    "currencyUSD",
    "bytes",
    "s",
    "reqps",
    "ops",
    "dateTimeFromNow",
    "dateTimeAsIso",
];

fn variables<'a>(dashboard: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    list(&dashboard["templating"]["list"]).iter().filter(move |variable| variable["type"] == kind)
}

fn template(dashboard: &Value, name: &str, label: &str) -> Vec<Finding> {
    let good = variables(dashboard, "query").any(|v| {
        let said = [&v["name"], &v["label"], &v["allValue"], &v["datasource"]["uid"]].map(text);
        said == [name, label, ".+", "${datasource}"] && v["multi"] == true
    });
    of_dashboard(good, "the variable is missing, or not as usual")
}

fn narrowed(expression: &str, matcher: &str) -> bool {
    named(expression).selectors.iter().all(|selector| selector.matchers.contains(matcher))
}

fn of_dashboard(good: bool, wrong: &str) -> Vec<Finding> {
    if good { Vec::new() } else { vec![(String::new(), wrong.to_owned())] }
}

fn of_panels(dashboard: &Value, good: impl Fn(&Value) -> bool) -> Vec<Finding> {
    let bad = panels(dashboard).into_iter().filter(|panel| !good(panel));
    bad.map(|panel| (text(&panel["title"]).to_owned(), String::new())).collect()
}

fn of_targets(dashboard: &Value, good: impl Fn(&str) -> bool) -> Vec<Finding> {
    super::expressions(dashboard)
        .into_iter()
        .filter(|(_, expression)| !good(expression))
        .map(|(title, expression)| (title.to_owned(), expression.to_owned()))
        .collect()
}

fn variable<'a>(dashboard: &'a mut Value, name: &str) -> &'a mut Value {
    let all = dashboard["templating"]["list"].as_array_mut().expect("variables");
    all.iter_mut().find(|variable| variable["name"] == name).expect("the variable")
}

/// The first panel.
fn panel(dashboard: &mut Value) -> &mut Value {
    let all = dashboard["panels"].as_array_mut().expect("panels");
    all.iter_mut().find(|panel| panel["type"] != "row").expect("a panel")
}

fn spoil_target(dashboard: &mut Value, expression: &str) {
    panel(dashboard)["targets"][0]["expr"] = expression.into();
}

#[derive(Deserialize)]
struct Exclusions {
    exclusions: BTreeMap<String, Exclusion>,
}

#[derive(Deserialize)]
struct Exclusion {
    reason: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    dashboard: String,
    panel: String,
}

#[test]
fn dashboards_keep_the_linters_rules() {
    let excluded: Exclusions = serde_saphyr::from_str(&read(&home().join("dashboards/.lint")))
        .expect(".lint is as the linter reads it");
    let mut found: BTreeMap<&str, Vec<(String, Finding)>> = BTreeMap::new();
    for (_, dashboard) in dashboards() {
        for rule in &RULES {
            let of_it = (rule.look)(&dashboard).into_iter();
            found
                .entry(rule.name)
                .or_default()
                .extend(of_it.map(|finding| (text(&dashboard["title"]).to_owned(), finding)));
        }
    }
    for (rule, exclusion) in &excluded.exclusions {
        assert!(exclusion.reason.ends_with('.'), "{rule} is excluded without a reason");
        let findings = found.get_mut(rule.as_str()).unwrap_or_else(|| panic!("{rule} is no rule"));
        for entry in &exclusion.entries {
            let before = findings.len();
            findings.retain(|(dashboard, (panel, _))| (dashboard, panel) != (&entry.dashboard, &entry.panel));
            assert!(
                findings.len() < before,
                "{rule}: {}: {} is excluded without need",
                entry.dashboard,
                entry.panel
            );
        }
    }
    found.retain(|_, findings| !findings.is_empty());
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn each_rule_of_the_linter_finds_what_breaks_it() {
    let (_, good) = dashboards()
        .into_iter()
        .find(|(file, _)| file == "streams.json")
        .expect("one that needs no exclusion");
    for rule in &RULES {
        let mut bad = good.clone();
        (rule.spoil)(&mut bad);
        assert!(
            (rule.look)(&good).is_empty() && !(rule.look)(&bad).is_empty(),
            "{} finds nothing",
            rule.name
        );
    }
}
