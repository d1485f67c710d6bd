//! Tools that are put off until they are looked for. Whoever has no such search is offered a function where callers
//! search themselves, and all tools where OpenAI would have.

use serde_json::{Value, json};

use super::spaces::{KNOWN, elsewhere, sent};
use super::streams::{frames, messages, translated_for};
use super::{MODEL, generation, golden, read, reply, terms, write};
use crate::dialect::hub::samples::{self, manner};
use crate::dialect::hub::{Manner, Mode, Renamed};
use crate::dialect::{Dialect, tree};

fn function(name: &str) -> Value {
    json!({"type": "function", "name": name, "description": "finds it", "strict": false, "defer_loading": true,
        "parameters": {"type": "object", "properties": {"number": {"type": "string"}}}})
}

fn search() -> Value {
    json!({"type": "tool_search", "execution": "client", "description": "Searches over deferred tools.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}})
}

/// As Codex 0.169 has it: a search, what it found, and what was called of that.
fn asked(tools: &[Value]) -> Value {
    let depot = json!({"type": "namespace", "name": "mcp__depot", "description": "d", "tools": [function("find_part")]});
    json!({"model": "m", "tools": tools, "input": [
        {"type": "message", "role": "user", "content": "where is it?"},
        {"type": "tool_search_call", "id": "tsc_1", "call_id": "c1", "status": "completed", "execution": "client",
            "arguments": {"query": "depot"}},
        {"type": "tool_search_output", "id": "tso_1", "call_id": "c1", "status": "completed", "execution": "client",
            "tools": [depot]},
        {"type": "function_call", "call_id": "c2", "name": "find_part", "namespace": "mcp__depot", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c2", "output": "on shelf 7"},
        {"type": "tool_search_call", "call_id": "c3", "execution": "client", "arguments": {"query": "more of it"}},
        {"type": "tool_search_output", "call_id": "c3", "execution": "client", "tools": [depot, function("late")]}]})
}

/// Names of this beginning that a body says of tools.
fn names(body: &Value, begin: &str) -> Vec<String> {
    let (text, begin) = (body.to_string(), format!("\"{begin}"));
    let said = text.match_indices(&begin).filter_map(|(at, _)| text[at + 1..].split('"').next());
    said.map(str::to_owned).collect()
}

fn says(body: &Value, text: &str) -> bool {
    body.to_string().contains(text)
}

#[test]
fn an_upstream_is_offered_a_function_that_searches_and_what_was_found() {
    for to in elsewhere() {
        let (body, _, losses) = sent(to, &asked(&[search()]));
        let lost = losses.names();
        assert!(
            !lost.iter().any(|name| name.contains("tool_search") || name.contains("defer")),
            "{to}: {lost:?}"
        );
        assert!(names(&body, "tool_search").iter().all(|name| name == "tool_search"), "{to}: {body}");
        assert!(names(&body, "tool_search").len() >= 3, "the tool and two calls of it, to {to}: {body}");
        for text in ["Searches over deferred tools.", "\"query\"", "more of it", "on shelf 7"] {
            assert!(says(&body, text), "{text} to {to}: {body}");
        }
        let offered = body["tools"].to_string() + &body["toolConfig"].to_string();
        let depot = names(&body, "mcp__depot");
        assert!(depot.len() >= 2 && depot.iter().all(|name| *name == depot[0]), "{to}: {depot:?}");
        assert_eq!(offered.matches(&format!("\"{}\"", depot[0])).count(), 1, "once, to {to}: {offered}");
        assert!(offered.contains("\"late\""), "{to}: {offered}");
    }
}

#[test]
fn a_search_that_is_not_described_is_described_here() {
    for to in elsewhere() {
        let tools = [json!({"type": "tool_search", "execution": "client"})];
        let (body, ..) = sent(to, &json!({"model": "m", "tools": tools, "input": "hello"}));
        assert!(says(&body, "\"tool_search\"") && says(&body, "\"query\""), "{to}: {body}");
    }
}

#[test]
fn what_is_put_off_is_offered_once_a_caller_has_found_it() {
    for to in elsewhere() {
        let mut body = json!({"model": "m", "tools": [search(), function("late"), {"type": "function", "name": "now"}],
            "input": "hello"});
        let (first, ..) = sent(to, &body);
        assert!(says(&first, "\"now\"") && !says(&first, "\"late\""), "{to}: {first}");
        assert!(says(&first, "late"), "that it can be found, to {to}: {first}");
        body["input"] = asked(&[])["input"].clone();
        let (then, ..) = sent(to, &body);
        assert!(says(&then, "\"now\"") && says(&then, "\"late\""), "{to}: {then}");
    }
}

/// OpenAI names the tool itself as the namespace of a function that was put off.
#[test]
fn what_openai_would_have_found_is_offered_at_once() {
    let space =
        json!({"type": "namespace", "name": "crm", "description": "d", "tools": [function("list_orders")]});
    let asked = json!({"model": "m", "tools": [{"type": "tool_search"}, function("rate"), space], "input": [
        {"type": "message", "role": "user", "content": "what is it?"},
        {"type": "tool_search_call", "call_id": null, "execution": "server", "status": "completed",
            "arguments": {"paths": ["rate"]}},
        {"type": "tool_search_output", "call_id": null, "execution": "server", "status": "completed",
            "tools": [function("rate")]},
        {"type": "function_call", "call_id": "c", "name": "rate", "namespace": "rate", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "0.92"}]});
    for to in elsewhere() {
        let (body, _, losses) = sent(to, &asked);
        assert!(losses.names().is_empty(), "{to}: {:?}", losses.names());
        assert!(!says(&body, "tool_search") && says(&body, "0.92"), "{to}: {body}");
        assert!(
            names(&body, "rate").len() >= 2 && names(&body, "rate").iter().all(|name| name == "rate"),
            "{to}: {body}"
        );
        assert!(says(&body, "list_orders"), "{to}: {body}");
    }
}

#[test]
fn who_knows_the_search_gets_it_as_it_was() {
    let (body, renamed, _) = sent(Dialect::Responses, &asked(&[search(), function("late")]));
    assert_eq!(
        (&body["tools"], &body["input"]),
        (&asked(&[search(), function("late")])["tools"], &asked(&[])["input"])
    );
    assert!(renamed.is_empty());
}

#[test]
fn a_callers_own_function_of_that_name_is_another_one() {
    for to in elsewhere() {
        let own = json!({"type": "function", "name": "tool_search", "parameters": {"type": "object", "properties": {}}});
        let (body, renamed, _) = sent(to, &asked(&[own, search()]));
        let mut all = names(&body, "tool_search");
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 2, "{to}: {body}");
        assert!(!renamed.is_empty());
    }
}

/// What a caller of Responses is told by this upstream's golden files once the model calls `tool_search` in them, with
/// what he is told of the function in them: the ended items of calls.
fn told(from: Dialect) -> Vec<(String, Vec<Value>, Vec<Value>)> {
    let (_, renamed, _) = sent(from, &asked(&[search()]));
    let calls = |items: Vec<Value>| -> Vec<Value> {
        items
            .into_iter()
            .filter(|item| item["type"].as_str().is_some_and(|kind| kind.ends_with("_call")))
            .collect()
    };
    let with = |renamed: &Renamed| Manner { renamed: renamed.clone(), ..manner() };
    let mut all = Vec::new();
    for (sample, _) in samples::replies() {
        let Some(body) = golden(sample, &format!("reply.{from}.json")) else { continue };
        let known = String::from_utf8(body).expect("text");
        let items = |body: &str, renamed: &Renamed| {
            let said = reply(from, Dialect::Responses, body.as_bytes(), &with(renamed)).expect("an answer");
            let said: Value = serde_json::from_slice(&said).expect("JSON");
            calls(said["output"].as_array().cloned().expect("items"))
        };
        if known.contains(KNOWN) {
            let sought = items(&known.replace(KNOWN, "tool_search"), &renamed);
            all.push((sample.to_owned(), sought, items(&known, &Renamed::default())));
        }
    }
    for (sample, _) in samples::streams() {
        let Some(lines) = golden(sample, &format!("stream.{from}.txt")) else { continue };
        let known = String::from_utf8(lines).expect("text");
        let items = |lines: &str, renamed: &Renamed| {
            let wire = if from == Dialect::Bedrock { messages(lines) } else { lines.as_bytes().to_vec() };
            let said = translated_for(from, Dialect::Responses, &frames(from, [&*wire]), with(renamed));
            let said = String::from_utf8(said).expect("text");
            let events = said
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
            let (mut items, mut added, mut more) = (Vec::new(), Vec::new(), Vec::new());
            for event in events {
                match event["type"].as_str() {
                    Some("response.output_item.done") => items.push(event["item"].clone()),
                    Some("response.output_item.added") => added.push(event["item"].clone()),
                    Some(kind) if kind.contains("arguments") => more.push(event["item_id"].clone()),
                    _ => {}
                }
            }
            let searches = added.iter().filter(|item| item["type"] == "tool_search_call");
            for item in searches {
                assert_eq!(
                    (&item["status"], &item["arguments"]),
                    (&json!("in_progress"), &json!({})),
                    "{item}"
                );
                assert!(!more.contains(&item["id"]), "no piece of {item} in {said}");
            }
            calls(items)
        };
        if known.contains(KNOWN) {
            let sought = items(&known.replace(KNOWN, "tool_search"), &renamed);
            all.push((sample.to_owned(), sought, items(&known, &Renamed::default())));
        }
    }
    assert!(all.len() > 1, "{from}");
    all
}

#[test]
fn a_caller_is_told_of_a_search_as_of_the_call_of_a_function() {
    for from in elsewhere() {
        for (sample, sought, called) in told(from) {
            assert_eq!(sought.len(), called.len(), "{sample} of {from}");
            let mut met = 0;
            for (item, call) in sought.iter().zip(&called).filter(|(_, call)| call["name"] == KNOWN) {
                met += 1;
                assert_eq!(
                    (&item["type"], &item["execution"]),
                    (&json!("tool_search_call"), &json!("client")),
                    "{item}"
                );
                assert_eq!(
                    (&item["call_id"], &item["status"]),
                    (&call["call_id"], &call["status"]),
                    "{item}"
                );
                assert!(
                    item["id"].as_str().is_some_and(|id| id.starts_with("tsc_"))
                        && item.get("name").is_none()
                );
                let text = call["arguments"].as_str().expect("text");
                // What is no object is told as it is.
                let arguments = serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
                assert_eq!(item["arguments"], arguments.unwrap_or_else(|| json!(text)), "{sample} of {from}");
            }
            assert!(met > 0, "{sample} of {from}: {sought:?}");
        }
    }
}

/// Gemini 3 refuses a call of its own without the signature that it came with.
#[test]
fn a_search_goes_back_with_its_signature() {
    let mut met = 0;
    let (_, renamed, _) = sent(Dialect::Gemini, &asked(&[search()]));
    for (sample, _) in samples::replies() {
        let Some(body) = golden(sample, "reply.gemini.json") else { continue };
        // The samples' own stands for none.
        let signed = ("c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=", "c2lnbmVkIGJ5IEdvb2dsZQ==");
        let known =
            String::from_utf8(body).expect("text").replace(KNOWN, "tool_search").replace(signed.0, signed.1);
        let parts: Value = serde_json::from_str(&known).expect("JSON");
        let parts = parts["candidates"][0]["content"]["parts"].as_array().cloned().unwrap_or_default();
        let signed: Vec<_> =
            parts.iter().filter(|part| part["functionCall"]["name"] == "tool_search").collect();
        let Some(signature) = signed.first().and_then(|part| part["thoughtSignature"].as_str()) else {
            continue;
        };
        met += 1;
        let manner = Manner { renamed: renamed.clone(), ..manner() };
        let said = reply(Dialect::Gemini, Dialect::Responses, known.as_bytes(), &manner).expect("an answer");
        let said: Value = serde_json::from_slice(&said).expect("JSON");
        let mut input = vec![json!({"type": "message", "role": "user", "content": "where is it?"})];
        for item in said["output"].as_array().expect("items") {
            input.push(item.clone());
        }
        for item in said["output"].as_array().expect("items") {
            let id = &item["call_id"];
            match item["type"].as_str() {
                Some("tool_search_call") => input.push(
                    json!({"type": "tool_search_output", "call_id": id, "execution": "client", "tools": [function("late")]}),
                ),
                Some("function_call") => {
                    input.push(json!({"type": "function_call_output", "call_id": id, "output": "x"}));
                }
                _ => {}
            }
        }
        let (body, ..) = sent(Dialect::Gemini, &json!({"model": "m", "tools": [search()], "input": input}));
        let parts =
            body["contents"].as_array().expect("contents").iter().filter_map(|turn| turn["parts"].as_array());
        let call = parts.flatten().find(|part| part["functionCall"]["name"] == "tool_search");
        assert_eq!(call.expect("the call")["thoughtSignature"], signature, "{sample}: {body}");
    }
    assert!(met > 0);
}

/// Anthropic's own search: what it would have found is there anyway.
#[test]
fn what_anthropic_would_have_found_is_offered_at_once() {
    let tool = json!({"name": "rate", "input_schema": {"type": "object"}, "defer_loading": true});
    let asked = json!({"model": "m", "max_tokens": 9, "tools": [
            {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}, tool],
        "messages": [{"role": "user", "content": "what is it?"},
            {"role": "assistant", "content": [{"type": "text", "text": "Let me see."},
                {"type": "server_tool_use", "id": "s", "name": "tool_search_tool_bm25", "input": {"query": "rate"}},
                {"type": "tool_search_tool_result", "tool_use_id": "s", "content": {"type": "tool_search_tool_search_result",
                    "tool_references": [{"type": "tool_reference", "tool_name": "rate"}]}},
                {"type": "tool_use", "id": "c", "name": "rate", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "0.92"}]}]});
    let operation = generation(Dialect::Anthropic, Mode::Whole).expect("it generates");
    let text = asked.to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    for to in super::GENERATING.into_iter().filter(|to| *to != Dialect::Anthropic) {
        let mut ask = read(Dialect::Anthropic, operation, MODEL, &root).expect("a request");
        let written = write(&mut ask, to, &terms(to)).expect("a pair");
        let body: Value = serde_json::from_slice(&written.body).expect("JSON");
        assert!(written.losses.names().is_empty(), "{to}: {:?}", written.losses.names());
        assert!(names(&body, "rate").len() >= 2 && !says(&body, "tool_search"), "{to}: {body}");
    }
}
