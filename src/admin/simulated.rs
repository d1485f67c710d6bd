//! Faults of simulated upstreams, switched while they run. The JSON of a rule is described in
//! [`crate::simulated`]; here a bare name stands for a fault without settings.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Map, Value, json};

use super::trail::Deed;
use super::{Operator, Seen, problem};
use crate::simulated::{Rule, Simulated};

/// Requests that an answer lists.
const SHOWN: usize = 50;
/// Settings of faults, as the table of [`crate::simulated`] lists them.
const OF_A_FAULT: [&str; 11] = [
    "status",
    "body",
    "retry_after_ms",
    "at",
    "ttft_ms",
    "gap_ms",
    "after_events",
    "how",
    "error",
    "headers",
    "chunks",
];

pub(super) async fn show(State(running): Seen, Path(name): Path<String>) -> Response {
    running.simulated(&name).map_or_else(|| unknown(&name), |upstream| view(&upstream))
}

pub(super) async fn set(
    State(running): Seen,
    Extension(operator): Extension<Operator>,
    Path(name): Path<String>,
    body: String,
) -> Response {
    let Some(upstream) = running.simulated(&name) else { return unknown(&name) };
    match rules(&body) {
        Ok(rules) => {
            let detail = json!({ "rules": rules.len() });
            upstream.control().set(rules);
            let deed = Deed { actor: &operator.0, action: "simulated.set", subject: &name, detail };
            running.trail().note(deed).await;
            view(&upstream)
        }
        Err(error) => problem(StatusCode::BAD_REQUEST, error),
    }
}

pub(super) async fn clear(
    State(running): Seen,
    Extension(operator): Extension<Operator>,
    Path(name): Path<String>,
) -> Response {
    let Some(upstream) = running.simulated(&name) else { return unknown(&name) };
    upstream.control().clear();
    let deed = Deed { actor: &operator.0, action: "simulated.clear", subject: &name, detail: Value::Null };
    running.trail().note(deed).await;
    view(&upstream)
}

fn unknown(name: &str) -> Response {
    problem(StatusCode::NOT_FOUND, format!("there is no simulated upstream {name}"))
}

fn view(upstream: &Simulated) -> Response {
    let control = upstream.control();
    let mut seen = control.seen();
    let shown = seen.split_off(seen.len().saturating_sub(SHOWN));
    Json(json!({
        "upstream": upstream.name(),
        "address": upstream.address().to_string(),
        "rules": control.rules(),
        "counts": control.counts(),
        "seen": shown,
    }))
    .into_response()
}

/// A rule, a list of them, or either with bare names for faults.
fn rules(body: &str) -> Result<Vec<Rule>, String> {
    let said: Value = serde_json::from_str(body).map_err(|error| format!("not JSON: {error}"))?;
    let list = match said {
        Value::Array(list) => list,
        Value::Object(mut object) if object.contains_key("rules") && object.len() == 1 => {
            match object.remove("rules") {
                Some(Value::Array(list)) => list,
                _ => return Err("rules: must be a list".to_owned()),
            }
        }
        one => vec![one],
    };
    list.into_iter()
        .enumerate()
        .map(|(index, rule)| one(rule).map_err(|error| format!("rule {index}: {error}")))
        .collect()
}

fn one(rule: Value) -> Result<Rule, serde_json::Error> {
    let rule = match rule {
        Value::String(kind) => json!({ "fault": { "kind": kind } }),
        Value::Object(rule) => Value::Object(spelled_out(rule)),
        other => other,
    };
    serde_json::from_value(rule)
}

/// `"fault": "hang"` becomes `"fault": {"kind": "hang"}`; what stands beside it and belongs to the
/// fault goes along, so that `{"fault": "status", "status": 503}` says what it seems to say.
fn spelled_out(mut rule: Map<String, Value>) -> Map<String, Value> {
    let Some(Value::String(kind)) = rule.get("fault").cloned() else { return rule };
    let mut fault = Map::from_iter([("kind".to_owned(), Value::String(kind))]);
    let keys: Vec<String> = rule.keys().filter(|key| OF_A_FAULT.contains(&key.as_str())).cloned().collect();
    for key in keys {
        if let Some(value) = rule.remove(&key) {
            fault.insert(key, value);
        }
    }
    rule.insert("fault".to_owned(), Value::Object(fault));
    rule
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::simulated::Fault;

    #[test]
    fn a_fault_may_be_a_bare_name() {
        let refuse = vec![Rule::new(Fault::Refuse)];
        for said in [
            r#"{"fault":"refuse"}"#,
            r#""refuse""#,
            r#"[{"fault":{"kind":"refuse"}}]"#,
            r#"{"rules":["refuse"]}"#,
        ] {
            assert_eq!(rules(said).as_ref(), Ok(&refuse), "{said}");
        }
        assert_eq!(rules("[]"), Ok(Vec::new()));
    }

    #[test]
    fn settings_of_a_fault_may_stand_beside_its_name() {
        let status = Fault::status(StatusCode::SERVICE_UNAVAILABLE);
        let said = rules(r#"{"fault":"status","status":503,"every":2}"#);
        assert_eq!(said, Ok(vec![Rule::new(status).every(2)]));
    }

    #[test]
    fn what_is_not_a_rule_is_refused_with_its_place() {
        assert!(rules("{").expect_err("not JSON").starts_with("not JSON"));
        assert!(rules(r#"["refuse","sulk"]"#).expect_err("no such fault").starts_with("rule 1: "));
        assert!(rules(r#"{"fault":"refuse","shar":1}"#).is_err());
    }
}
