//! What dashboards and rules ask of a Prometheus, as they ask it, and what they need of the answer.

use serde_json::Value;

use crate::grafana::promql::{named, split_outside};
use crate::grafana::{list, marks, panels, text};

/// Prometheus keeps a rate's samples this long here; the scrape interval is a second.
const RATE_INTERVAL: &str = "10s";

/// An expression as somebody asks it, and what he needs of the answer.
pub struct Question {
    /// The panel, variable or rule.
    pub name: String,
    pub at: String,
    pub expression: String,
    /// Whether only the present counts.
    pub instant: bool,
    /// Labels that the answer's series have to have.
    labels: Vec<String>,
    /// Whether there is room for a single series.
    single: bool,
}

impl Question {
    pub fn of_rule(name: &str, expression: String) -> Self {
        let (name, at) = (name.to_owned(), name.to_owned());
        Self { name, at, expression, instant: false, labels: Vec::new(), single: false }
    }

    /// What is wrong with an answer.
    pub fn wrong(&self, answer: &[Value]) -> Option<String> {
        if answer.is_empty() {
            return Some(format!("{}: no data: {}", self.at, self.expression));
        }
        if self.single && answer.len() > 1 {
            return Some(format!("{}: {} series where there is room for one", self.at, answer.len()));
        }
        let lacking = self
            .labels
            .iter()
            .find(|label| answer.iter().all(|series| series["metric"].get(label).is_none()));
        lacking.map(|label| format!("{}: no series has the label {label}: {}", self.at, self.expression))
    }
}

/// The labels that a legend or a text names: `{{upstream}} {{model}}`.
fn labels_of(legend: &str) -> Vec<String> {
    let inside = legend.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
    inside.map(|(label, _)| label.trim().to_owned()).collect()
}

/// All that a dashboard asks for.
pub fn questions(file: &str, dashboard: &Value) -> Vec<Question> {
    let mut all = Vec::new();
    for panel in panels(dashboard) {
        let (title, kind) = (text(&panel["title"]), text(&panel["type"]));
        for target in list(&panel["targets"]) {
            let legend = text(&target["legendFormat"]);
            all.push(Question {
                name: title.to_owned(),
                at: format!("{file}: {title}"),
                expression: filled_in(text(&target["expr"])),
                instant: target["instant"] == true,
                labels: labels_of(legend),
                single: legend.is_empty() && kind != "table",
            });
        }
    }
    for mark in marks(dashboard) {
        all.push(Question::of_rule(text(&mark["name"]), filled_in(text(&mark["expr"]))));
    }
    for variable in list(&dashboard["templating"]["list"]) {
        if let Some((selector, label)) = label_values(text(&variable["definition"])) {
            let expression = format!("count by ({label}) ({})", filled_in(selector));
            let mut question = Question::of_rule(text(&variable["name"]), expression);
            question.labels = vec![label.to_owned()];
            all.push(question);
        }
    }
    all
}

/// An expression with Grafana's variables replaced, as Grafana does for "All".
fn filled_in(expression: &str) -> String {
    let mut text = expression.replace("$__rate_interval", RATE_INTERVAL);
    text = text.replace("$__range_s", "300").replace("$__range", "5m");
    for variable in ["$job", "$instance", "$route", "$upstream"] {
        text = text.replace(variable, ".+");
    }
    assert!(!text.contains('$'), "a variable that nobody fills in: {text}");
    text
}

/// `label_values(selector, label)`, split.
pub fn label_values(definition: &str) -> Option<(&str, &str)> {
    let (selector, label) = definition.strip_prefix("label_values(")?.strip_suffix(')')?.rsplit_once(',')?;
    Some((selector, label.trim()))
}

/// The sides of conditions that must have data for them to be judged: `a > 1 and b > c` -> `a`, `b`, `c`.
pub fn without_thresholds(expression: &str) -> Vec<String> {
    let conditions = split_outside(expression, &[" and on (job, instance) ", " and ", " or "]);
    let comparisons = [" > ", " < ", " >= ", " <= ", " == ", " != "];
    let sides = conditions.into_iter().flat_map(|side| split_outside(side, &comparisons));
    sides.map(str::trim).filter(|side| !named(side).selectors.is_empty()).map(str::to_owned).collect()
}

#[test]
fn thresholds_are_cut_off_and_nothing_else() {
    assert_eq!(
        without_thresholds("sum(rate(a[5m])) / sum(b) > 2 * 0.1 and c == 1 or d > 6 * (1 - e)"),
        ["sum(rate(a[5m])) / sum(b)", "c", "d", "6 * (1 - e)"]
    );
    assert_eq!(without_thresholds("count(a{b=\" > \"} == 1) > 1"), ["count(a{b=\" > \"} == 1)"]);
    assert_eq!(without_thresholds("a > 1 and on (job, instance) b"), ["a", "b"]);
    assert_eq!(without_thresholds("absent(a)"), ["absent(a)"]);
}
