//! Requests, written again for their own dialect.

use serde_json::{Value, json};

use crate::dialect::hub::{Family, Losses, samples};
use crate::dialect::quirks::Quirks;
use crate::dialect::responses::request;
use crate::dialect::tree;

/// A request of this dialect, read and written again for the same dialect; and what was lost.
pub fn again(body: &str) -> (Value, Vec<String>) {
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let ask = request::read(&root)
        .map_err(|wrong| wrong.place(&root))
        .unwrap_or_else(|wrong| panic!("{wrong}: {body}"));
    let model = ask.model.clone().into_owned();
    let mut losses = Losses::default();
    let mut out = Vec::new();
    let terms = samples::terms(Family::OpenAi, &Quirks::OPENAI);
    let terms = crate::dialect::hub::Terms { model: &model, ..terms };
    request::write(&ask, &terms, &mut losses, &mut out);
    let written = serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {body}"));
    (written, losses.names().iter().map(ToString::to_string).collect())
}

/// Equal but for what says nothing: see [`plain`].
pub fn same(name: &str, expected: Value, written: Value) {
    if let Some(difference) = difference(&plain(expected), &plain(written)) {
        panic!("{name}{difference}");
    }
}

/// Where two values differ first, and in what.
pub fn difference(expected: &Value, found: &Value) -> Option<String> {
    let keys = |one: &Value, other: &Value| -> Vec<String> {
        let members =
            |value: &Value| value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
        let mut keys: Vec<String> = members(one);
        keys.extend(members(other));
        keys
    };
    match (expected, found) {
        (Value::Object(one), Value::Object(other)) => keys(expected, found).into_iter().find_map(|key| {
            let difference =
                difference(one.get(&key).unwrap_or(&Value::Null), other.get(&key).unwrap_or(&Value::Null));
            difference.map(|rest| format!(".{key}{rest}"))
        }),
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other).enumerate();
            pairs.find_map(|(at, (one, other))| difference(one, other).map(|rest| format!("[{at}]{rest}")))
        }
        // 1 is 1.0.
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => None,
        (one, other) if one == other => None,
        (one, other) => Some(format!(": expected {one}, found {other}")),
    }
}

/// A request without what says nothing: nulls, the type of a message, a text as one part of text,
/// `stream: false`, a format of plain text.
fn plain(mut request: Value) -> Value {
    drop_nulls(&mut request);
    let Some(members) = request.as_object_mut() else { return request };
    if members.get("stream") == Some(&json!(false)) {
        members.remove("stream");
    }
    if let Some(text) = members.get_mut("text").and_then(Value::as_object_mut) {
        if text.get("format") == Some(&json!({"type": "text"})) {
            text.remove("format");
        }
        if text.is_empty() {
            members.remove("text");
        }
    }
    if let Some(Value::String(text)) = members.get("input") {
        let text = text.clone();
        members.insert("input".to_owned(), json!([{"role": "user", "content": text}]));
    }
    for item in members.get_mut("input").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(item) = item.as_object_mut() else { continue };
        if item.get("type") == Some(&json!("message")) {
            item.remove("type");
        }
        for key in ["content", "output"] {
            let only = item.get(key).and_then(Value::as_array).filter(|parts| parts.len() == 1);
            let part = only.and_then(|parts| parts[0].as_object()).filter(|part| part.len() == 2);
            let text = part
                .filter(|part| part["type"] != "reasoning_text")
                .and_then(|part| part.get("text"))
                .cloned();
            if let Some(text) = text {
                item.insert(key.to_owned(), text);
            }
        }
    }
    request
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
