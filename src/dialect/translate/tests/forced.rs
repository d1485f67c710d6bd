//! A choice among tools that has to fit what is sent as tools: upstreams refuse one that names another.

use serde_json::{Value, json};

use super::{CALLERS, MODEL, generation, read, terms, write};
use crate::dialect::Dialect;
use crate::dialect::hub::Mode;
use crate::dialect::translate::GENERATING;
use crate::dialect::tree;

/// A request with a web search and perhaps a function, and one of the two to be called.
fn request(from: Dialect, functions: bool, chosen: &Value) -> Option<Value> {
    let schema = json!({"type": "object", "properties": {}});
    let with = |search: Value, function: Value| {
        let mut tools = vec![search];
        tools.extend(functions.then_some(function));
        tools
    };
    Some(match from {
        Dialect::Responses => json!({"model": "m", "input": "x", "tool_choice": chosen, "tools": with(
            json!({"type": "web_search"}), json!({"type": "function", "name": "f", "parameters": schema}))}),
        Dialect::Anthropic => json!({"model": "m", "max_tokens": 9, "tool_choice": chosen,
            "messages": [{"role": "user", "content": "x"}], "tools": with(
            json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 8}),
            json!({"name": "f", "input_schema": schema}))}),
        _ => return None,
    })
}

/// What is sent, and what is named as left out.
fn sent(from: Dialect, to: Dialect, body: &Value) -> (Value, Vec<String>) {
    let operation = generation(from, Mode::Whole).expect("it generates");
    let text = body.to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let mut ask = read(from, operation, MODEL, &root).expect("a request");
    let written = write(&mut ask, to, &terms(to)).expect("a pair");
    let lost = written.losses.names().iter().map(ToString::to_string).collect();
    (serde_json::from_slice(&written.body).expect("JSON"), lost)
}

fn forced_search(from: Dialect) -> Value {
    match from {
        Dialect::Responses => json!({"type": "web_search"}),
        _ => json!({"type": "tool", "name": "web_search"}),
    }
}

#[test]
fn a_search_that_has_to_be_made_is_named_as_the_other_vendor_names_it() {
    for functions in [false, true] {
        let asked = request(Dialect::Anthropic, functions, &forced_search(Dialect::Anthropic)).expect("one");
        let (body, lost) = sent(Dialect::Anthropic, Dialect::Responses, &asked);
        assert_eq!(body["tool_choice"], json!({"type": "web_search"}), "{body}");
        assert!(!lost.iter().any(|name| name == "tool_choice"), "{lost:?}");
        let asked = request(Dialect::Responses, functions, &forced_search(Dialect::Responses)).expect("one");
        let (body, lost) = sent(Dialect::Responses, Dialect::Anthropic, &asked);
        assert_eq!(body["tool_choice"], json!({"type": "tool", "name": "web_search"}), "{body}");
        assert_eq!(lost, Vec::<String>::new());
    }
    let preview = json!({"type": "web_search_preview"});
    let asked = request(Dialect::Responses, true, &preview).expect("one");
    assert_eq!(sent(Dialect::Responses, Dialect::Responses, &asked).0["tool_choice"], preview);
    let allowed = json!({"type": "allowed_tools", "mode": "required",
        "tools": [{"type": "web_search"}, {"type": "function", "name": "f"}]});
    let asked = request(Dialect::Responses, true, &allowed).expect("one");
    assert_eq!(sent(Dialect::Responses, Dialect::Responses, &asked).0["tool_choice"], allowed);
}

#[test]
fn a_tool_of_the_callers_is_his_own_whatever_it_is_called() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
        "tools": [{"name": "web_search", "input_schema": {"type": "object", "properties": {}}}],
        "tool_choice": {"type": "tool", "name": "web_search"}});
    let (body, _) = sent(Dialect::Anthropic, Dialect::Responses, &body);
    assert_eq!(body["tool_choice"], json!({"type": "function", "name": "web_search"}));
}

#[test]
fn no_choice_names_what_is_not_among_the_tools() {
    for from in CALLERS {
        for functions in [false, true] {
            let Some(asked) = request(from, functions, &forced_search(from)) else { continue };
            for to in GENERATING.into_iter().filter(|to| *to != from) {
                let (body, lost) = sent(from, to, &asked);
                let (offered, chosen) = (offered(to, &body), chosen(to, &body));
                let fits = chosen.iter().all(|name| offered.contains(name));
                assert!(fits, "{from} -> {to}: {chosen:?} of {offered:?}: {body}");
                assert_eq!(offered.contains(&"f".to_owned()), functions, "{from} -> {to}: {body}");
                let is_said = !chosen.is_empty() || lost.iter().any(|name| name == "tool_choice");
                assert!(is_said || !functions, "{from} -> {to}: {lost:?} {body}");
            }
        }
    }
}

fn texts<'v>(values: impl Iterator<Item = &'v Value>) -> Vec<String> {
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Names of what can be chosen.
fn offered(to: Dialect, body: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    match to {
        Dialect::OpenAi | Dialect::Cohere | Dialect::Ollama => {
            texts(list(&body["tools"]).iter().map(|tool| &tool["function"]["name"]))
        }
        Dialect::Responses => {
            let tools = list(&body["tools"]);
            texts(
                tools.iter().map(|tool| if tool["name"].is_string() { &tool["name"] } else { &tool["type"] }),
            )
        }
        Dialect::Anthropic => texts(list(&body["tools"]).iter().map(|tool| &tool["name"])),
        Dialect::Gemini => {
            let tools = list(&body["tools"]);
            let functions = tools.iter().flat_map(|tool| list(&tool["functionDeclarations"]));
            texts(functions.collect::<Vec<_>>().iter().map(|function| &function["name"]))
        }
        Dialect::Bedrock => {
            texts(list(&body["toolConfig"]["tools"]).iter().map(|tool| &tool["toolSpec"]["name"]))
        }
        Dialect::Http => Vec::new(),
    }
}

/// Names of what has to be called.
fn chosen(to: Dialect, body: &Value) -> Vec<String> {
    let choice = &body["tool_choice"];
    match to {
        Dialect::OpenAi => texts([&choice["function"]["name"]].into_iter()),
        Dialect::Responses if choice["name"].is_string() => texts([&choice["name"]].into_iter()),
        Dialect::Responses => texts([&choice["type"]].into_iter()),
        Dialect::Anthropic => texts([&choice["name"]].into_iter()),
        Dialect::Gemini => {
            let config = &body["toolConfig"]["functionCallingConfig"];
            texts(config["allowedFunctionNames"].as_array().unwrap_or(&Vec::new()).iter())
        }
        Dialect::Bedrock => texts(
            [
                &body["toolConfig"]["toolChoice"]["tool"]["name"],
                &body["additionalModelRequestFields"]["tool_choice"]["name"],
            ]
            .into_iter(),
        ),
        Dialect::Cohere | Dialect::Ollama | Dialect::Http => Vec::new(),
    }
}
