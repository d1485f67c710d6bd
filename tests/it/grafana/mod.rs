//! What can be said of `grafana/` without a Grafana: dashboards follow the rules of Grafana's own linter and show all
//! that is exported; every metric, label and closed label value that they and the rules name is in the catalogue; each
//! alert has its runbook and its tests.
//!
//! Whether the expressions mean anything to a Prometheus is for `prometheus.rs`.

mod known;
mod linter;
mod look;
pub mod promql;
mod rules;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// A file of rules for Prometheus.
#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

/// An alert, or a series that is recorded.
#[derive(Deserialize)]
pub struct Rule {
    pub alert: Option<String>,
    pub record: Option<String>,
    pub expr: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Rule {
    pub fn name(&self) -> &str {
        self.alert.as_deref().or(self.record.as_deref()).unwrap_or_default()
    }
}

pub fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana")
}

pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a directory of `grafana` whose names end so, in the order of their names.
pub fn files(directory: &str, end: &str) -> Vec<PathBuf> {
    let directory = home().join(directory);
    let entries =
        std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut found: Vec<_> = entries
        .map(|entry| entry.expect("a directory can be listed").path())
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{}: nothing ends in {end}", directory.display());
    found
}

/// Every dashboard with its file's name.
pub fn dashboards() -> Vec<(String, Value)> {
    let read = |path: PathBuf| {
        let json =
            serde_json::from_str(&read(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), json)
    };
    files("dashboards", ".json").into_iter().map(read).collect()
}

/// What is recorded, or the alerts, in the order in which they are written.
pub fn rules(file: &str) -> Vec<Rule> {
    let rules: Rules =
        serde_saphyr::from_str(&read(&home().join(file))).unwrap_or_else(|e| panic!("{file}: {e}"));
    rules.groups.into_iter().flat_map(|group| group.rules).collect()
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

/// The annotations that ask Prometheus.
pub fn marks(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(&dashboard["annotations"]["list"]).iter().filter(|mark| mark["builtIn"] != 1)
}

/// Every expression of a dashboard with the title of what shows it.
pub fn expressions(dashboard: &Value) -> Vec<(&str, &str)> {
    let mut all = Vec::new();
    for panel in panels(dashboard) {
        let of = |target| (text(&panel["title"]), text(target));
        all.extend(list(&panel["targets"]).iter().map(|target| of(&target["expr"])));
    }
    all.extend(marks(dashboard).map(|mark| (text(&mark["name"]), text(&mark["expr"]))));
    all
}
