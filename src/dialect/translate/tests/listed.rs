//! Tools that stand among what was said: Codex lists all of its own in an item `additional_tools`, the plain ones in
//! the namespace `functions`, which is where OpenAI keeps tools without any.

use serde_json::{Value, json};

use super::{MODEL, generation, read, terms, write};
use crate::dialect::Dialect;
use crate::dialect::hub::Mode;
use crate::dialect::translate::{GENERATING, abilities};
use crate::dialect::tree;
use crate::vocab::Ability;

/// What is sent, and what is named as left out.
fn sent(to: Dialect, body: &Value) -> (Value, Vec<String>) {
    let operation = generation(Dialect::Responses, Mode::Whole).expect("it generates");
    let text = body.to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let mut ask = read(Dialect::Responses, operation, MODEL, &root).expect("a request");
    assert!(abilities(&ask).has(Ability::Tools));
    let written = write(&mut ask, to, &terms(to)).expect("a pair");
    let lost = written.losses.names().iter().map(ToString::to_string).collect();
    (serde_json::from_slice(&written.body).expect("JSON"), lost)
}

fn function(name: &str) -> Value {
    json!({"type": "function", "name": name, "description": "says it", "strict": false,
        "parameters": {"type": "object", "properties": {}}})
}

/// As Codex 0.150 puts it.
fn codex(listed: &[Value], tools: &[Value]) -> Value {
    json!({"model": "m", "tools": tools, "tool_choice": "auto", "store": false, "input": [
        {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": listed},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "list files"}]},
        {"type": "custom_tool_call", "call_id": "c", "name": "exec", "namespace": "functions", "input": "ls"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "a"},
        {"type": "additional_tools", "role": "developer", "tools": [function("late")]}]})
}

#[test]
fn tools_that_stand_among_what_was_said_are_tools() {
    let exec = json!({"type": "custom", "name": "exec", "description": "runs it"});
    let listed = [
        function("plain"),
        json!({"type": "namespace", "name": "functions", "tools": [exec, function("wait")]}),
        json!({"type": "namespace", "name": "mcp__x", "tools": [function("other")]}),
    ];
    for to in GENERATING.into_iter().filter(|to| *to != Dialect::Responses) {
        let (body, lost) = sent(to, &codex(&listed, &[function("first")]));
        let text = body.to_string();
        for name in ["first", "plain", "exec", "wait", "late", "mcp__x"] {
            assert!(text.contains(name), "{name} to {to}: {text}");
        }
        for name in ["namespace", "additional_tools"] {
            assert!(!lost.contains(&name.to_owned()), "{name} to {to}: {lost:?}");
        }
        assert_eq!(body["systemInstruction"], Value::Null, "{to}");
    }
}

#[test]
fn a_tool_that_is_listed_twice_is_there_once_as_it_was_listed_last() {
    let mut newer = function("first");
    newer["description"] = "newer".into();
    let (body, _) = sent(Dialect::Anthropic, &codex(&[newer], &[function("first")]));
    let tools = body["tools"].as_array().expect("tools");
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["first", "late"]);
    assert_eq!(tools[0]["description"], "newer");
}

#[test]
fn who_knows_the_item_gets_it_as_it_was() {
    let asked = codex(&[function("plain")], &[function("first")]);
    let (body, lost) = sent(Dialect::Responses, &asked);
    assert_eq!((&body["tools"], &body["input"][0]), (&asked["tools"], &asked["input"][0]));
    assert_eq!(lost, Vec::<String>::new());
}
