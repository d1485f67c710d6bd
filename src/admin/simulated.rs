//! Faults of simulated upstreams, switched while they run. The JSON of a rule is described in
//! [`crate::simulated`]; here a bare name stands for a fault without settings.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::form::{Body, Form, Need};
use super::trail::Note;
use super::{Seen, problem};
use crate::simulated::{self, Counts, Rule, Simulated};

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

/// Why there is nothing to see or to switch.
const MISSING: (u16, &str) = (404, "there is no simulated upstream of this name");

pub(super) const SHOW: Form =
    Form::json::<Control>("its rules, and the last requests that it has seen").refuses(&[MISSING]);
pub(super) const SET: Form = Form::json::<Control>("its new rules")
    .body(Body {
        media: "application/json",
        shape: what_to_switch,
        need: Need::Required,
        doc: "a fault's name, a rule, or a list of them, as docs/faults.md says",
    })
    .example(r#"[{"fault": {"kind": "status", "status": 503}, "first": 2}]"#)
    .refuses(&[(400, "what is no rule, and which"), MISSING])
    .does("simulated.set");
pub(super) const CLEAR: Form =
    Form::json::<Control>("it has no rules any more").refuses(&[MISSING]).does("simulated.clear");

pub(super) async fn show(State(running): Seen, Path(name): Path<String>) -> Response {
    running.simulated(&name).map_or_else(|| unknown(&name), |upstream| view(&upstream))
}

pub(super) async fn set(State(running): Seen, Path(name): Path<String>, body: String) -> Response {
    let Some(upstream) = running.simulated(&name) else { return unknown(&name) };
    match rules(&body) {
        Ok(rules) => {
            let detail = json!({ "rules": rules.len() });
            upstream.control().set(rules);
            Note::new(detail).on(view(&upstream))
        }
        Err(error) => problem(StatusCode::BAD_REQUEST, error),
    }
}

pub(super) async fn clear(State(running): Seen, Path(name): Path<String>) -> Response {
    let Some(upstream) = running.simulated(&name) else { return unknown(&name) };
    upstream.control().clear();
    view(&upstream)
}

/// A fault's name, a rule, or a list of them.
fn what_to_switch(generator: &mut SchemaGenerator) -> Schema {
    let one = json_schema!({ "anyOf": [{ "type": "string" }, generator.subschema_for::<Rule>()] });
    json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
}

/// How a simulated upstream is.
#[derive(Serialize, JsonSchema)]
struct Control {
    upstream: String,
    address: String,
    rules: Vec<Rule>,
    counts: Counts,
    /// The last ones, the newest last.
    seen: Vec<simulated::Seen>,
}

fn unknown(name: &str) -> Response {
    problem(StatusCode::NOT_FOUND, format!("there is no simulated upstream {name}"))
}

fn view(upstream: &Simulated) -> Response {
    let control = upstream.control();
    let mut seen = control.seen();
    let shown = seen.split_off(seen.len().saturating_sub(SHOWN));
    Json(Control {
        upstream: upstream.name().to_owned(),
        address: upstream.address().to_string(),
        rules: control.rules(),
        counts: control.counts(),
        seen: shown,
    })
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
