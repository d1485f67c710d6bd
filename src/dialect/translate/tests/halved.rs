//! Halves of characters in requests (`\ud83d` without its other half): JavaScript writes them where it has cut a text.
//! Every vendor reads U+FFFD there, and so does every channel.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{CALLERS, MODEL, generation, read, terms, write};
use crate::dialect::Dialect;
use crate::dialect::hub::Mode;
use crate::dialect::translate::GENERATING;
use crate::dialect::tree;

/// The units of a text as escapes, between quotes.
fn escaped(units: &[u16]) -> String {
    let escapes = units.iter().map(|unit| match char::from_u32((*unit).into()) {
        Some(plain @ 'a'..='z') => plain.to_string(),
        _ => format!("\\u{unit:04x}"),
    });
    format!("\"{}\"", escapes.collect::<String>())
}

fn sent(from: Dialect, to: Dialect, body: &str) -> String {
    let operation = generation(from, Mode::Whole).expect("it generates");
    let root = tree::request(body.as_bytes()).expect("JSON");
    let mut ask = read(from, operation, MODEL, &root).expect("a request");
    let written = write(&mut ask, to, &terms(to)).expect("a pair");
    String::from_utf8(written.body).expect("text")
}

/// Whether a text stands in it somewhere.
fn holds(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => {
            text == wanted
                || serde_json::from_str(text)
                    .is_ok_and(|inner: Value| inner.is_object() && holds(&inner, wanted))
        }
        Value::Array(items) => items.iter().any(|item| holds(item, wanted)),
        Value::Object(members) => members.iter().any(|(key, item)| key == wanted || holds(item, wanted)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn units() -> impl Strategy<Value = Vec<u16>> {
    let unit = prop_oneof![0xd83c_u16..0xd83f, 0xde00_u16..0xde03, Just(u16::from(b'a')), Just(0xe9)];
    proptest::collection::vec(unit, 1..8)
}

proptest! {
    #[test]
    fn a_half_is_read_as_its_stand_in_by_everybody(units in units()) {
        // As nobody trims it away.
        let text = format!("x{}x", String::from_utf16_lossy(&units));
        let quoted = escaped(&[&[u16::from(b'x')], &units[..], &[u16::from(b'x')]].concat());
        let chat = format!(r#"{{"model":"m","messages":[{{"role":"user","content":{quoted}}}]}}"#);
        let arguments = serde_json::to_string(&format!(r#"{{"a":{quoted}}}"#)).expect("text");
        let called = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"u"}},
            {{"role":"assistant","content":null,"tool_calls":[{{"id":"a","type":"function","function":{{"name":"f","arguments":{arguments}}}}}]}},
            {{"role":"tool","tool_call_id":"a","content":{quoted}}}]}}"#);
        let input = format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"u"}},
            {{"role":"assistant","content":[{{"type":"tool_use","id":"a","name":"f","input":{{{quoted}:[{quoted}]}}}}]}},
            {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"a","content":"r"}}]}}],
            "tools":[{{"name":"f","description":"d","input_schema":{{"type":"object","properties":{{"a":{{"type":"string","description":{quoted}}}}}}}}}]}}"#);
        for (from, body) in [(Dialect::OpenAi, chat), (Dialect::OpenAi, called), (Dialect::Anthropic, input)] {
            for to in GENERATING.into_iter().filter(|to| *to != from) {
                let sent = sent(from, to, &body);
                let read: Value = serde_json::from_str(&sent).map_err(|error| TestCaseError::fail(format!("{from} -> {to}: {error}: {sent}")))?;
                prop_assert!(holds(&read, &text), "{from} -> {to}: {text:?} in {sent}");
            }
        }
    }
}

#[test]
fn a_request_without_halves_is_no_other_for_them() {
    for from in CALLERS.into_iter().filter(|from| *from == Dialect::OpenAi) {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "\u{1f600} \\ud83d"}]});
        let sent: Value =
            serde_json::from_str(&sent(from, Dialect::Anthropic, &body.to_string())).expect("JSON");
        assert!(holds(&sent, "\u{1f600} \\ud83d"), "{sent}");
    }
}
