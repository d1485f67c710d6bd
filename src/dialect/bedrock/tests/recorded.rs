//! What real providers said, and what callers asked them.

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{messages, read_stream, text};
use crate::dialect::bedrock::{reply, request};
use crate::dialect::hub::samples;
use crate::dialect::hub::{Block, Content, Delta, Event, Family, Losses, Stop, Terms};
use crate::dialect::quirks::Quirks;
use crate::dialect::tree;
use crate::vocab::Usage;

/// The folder of recordings; says so when there is none.
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("MAINSTAY_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"), PathBuf::from);
    let there = folder.join("recorded/bedrock.jsonl").is_file();
    if !there {
        println!("no recorded exchanges in {}", folder.display());
    }
    there.then_some(folder)
}

/// Recorded conversations: the model, whether it was a stream, and the exchange.
pub fn conversations() -> Vec<(String, bool, Value)> {
    let Some(folder) = folder() else { return Vec::new() };
    let text = fs::read_to_string(folder.join("recorded/bedrock.jsonl")).expect("readable");
    let exchanges = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut found = Vec::new();
    for exchange in exchanges {
        let path = exchange["path"].as_str().unwrap_or_default().to_owned();
        let place = path.split_once("/model/").and_then(|(_, place)| place.rsplit_once('/'));
        let Some((model, operation)) = place else { continue };
        if operation == "converse" || operation == "converse-stream" {
            found.push((model.replace("%3A", ":"), operation == "converse-stream", exchange));
        }
    }
    found
}

/// Without what says nothing: nulls, the empty objects and lists that SDKs send for what is unset, and
/// the zeros behind a point.
fn told(mut request: Value) -> Value {
    let body = request.as_object_mut().expect("an object");
    for key in ["temperature", "topP"] {
        if let Some(number) = body.get_mut("inferenceConfig").and_then(|config| config.get_mut(key)) {
            *number = json!(number.as_f64());
        }
    }
    body.retain(|key, value| {
        let optional = ["system", "inferenceConfig"].contains(&key.as_str());
        !(value.is_null() || optional && is_empty(value))
    });
    request
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

#[test]
fn every_recorded_request_is_written_as_it_was() {
    let (mut same, mut all) = (0, 0);
    for (model, _, exchange) in conversations() {
        all += 1;
        let asked = exchange["req"].to_string();
        let root = tree::parse(asked.as_bytes()).expect("JSON");
        let ask = request::read(&root).unwrap_or_else(|wrong| panic!("{}\n{asked}", wrong.place(&root)));
        let family = if model.contains("anthropic.") { Family::Anthropic } else { Family::Other };
        let terms = Terms { model: &model, ..samples::terms(family, &Quirks::COMPATIBLE) };
        let (mut losses, mut out) = (Losses::default(), Vec::new());
        request::write(&ask, &terms, &mut losses, &mut out);
        let found: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(told(found), told(exchange["req"].clone()), "{model} {}", exchange["src"]);
        assert_eq!(losses, Losses::default(), "{asked}");
        same += 1;
    }
    println!("{same} of {all} recorded requests are the same again");
}

/// What an answer holds, in a form that says whence it came no more.
#[derive(Debug, Default, PartialEq)]
struct Held {
    text: String,
    thought: String,
    signatures: usize,
    /// Id, name and arguments.
    calls: Vec<(String, String, Value)>,
    stop: String,
    usage: Option<Usage>,
}

fn stop_word(stop: &Stop<'_>) -> &'static str {
    match stop {
        Stop::End => "end_turn",
        Stop::Sequence(_) => "stop_sequence",
        Stop::Length => "max_tokens",
        Stop::Calls => "tool_use",
        Stop::Filter => "guardrail_intervened",
        other => panic!("{other:?} was never recorded"),
    }
}

pub fn recorded_usage(usage: &Value) -> Usage {
    let count = |key: &str| usage[key].as_u64().unwrap_or(0);
    let usage = Usage {
        input: count("inputTokens") + count("cacheReadInputTokens") + count("cacheWriteInputTokens"),
        cache_read: count("cacheReadInputTokens"),
        cache_write: count("cacheWriteInputTokens"),
        output: count("outputTokens"),
        ..Usage::default()
    };
    assert_eq!(usage.input + usage.output, count("totalTokens"));
    usage
}

#[test]
fn every_recorded_answer_is_read() {
    let mut read = 0;
    for (model, streams, exchange) in conversations() {
        if streams || exchange["status"] != 200 {
            continue;
        }
        let body = exchange["resp"].to_string();
        let root = tree::parse(body.as_bytes()).expect("JSON");
        let found = reply::read(&root).unwrap_or_else(|wrong| panic!("{}", wrong.place(&root)));
        let choice = &found.choices[0];
        let mut held = Held { stop: stop_word(&choice.stop).into(), usage: found.usage, ..Held::default() };
        for part in &choice.parts {
            match &part.content {
                Content::Text(text) => held.text += text,
                Content::Thought(thought) => {
                    held.thought += &thought.text;
                    held.signatures += usize::from(thought.signature.is_some());
                }
                Content::Call(call) => {
                    let arguments = serde_json::from_str(&call.arguments).expect("JSON");
                    held.calls.push((call.id.to_string(), call.name.to_string(), arguments));
                }
                other => assert!(matches!(other, Content::Vendor { .. }), "{other:?}"),
            }
        }
        assert_eq!(held, held_in(&exchange["resp"]), "{model} {}", exchange["src"]);
        read += 1;
        let mut again = Vec::new();
        reply::write(&found, &samples::manner(), &mut again);
        let mut expected = exchange["resp"].clone();
        settle(&mut expected);
        let mut again: Value = serde_json::from_slice(&again).expect("JSON");
        settle(&mut again);
        assert_eq!(again, expected, "{model} {}", exchange["src"]);
    }
    println!("{read} recorded answers were read, and written again");
}

/// What is written again may differ in: Amazon's counters of its own tools, a filter's exact name, zeros,
/// and the details of a cache's usual time.
fn settle(reply: &mut Value) {
    let usage = reply["usage"].as_object_mut().expect("usage");
    usage.retain(|key, value| {
        let own = ["serverToolUsage", "cacheDetails", "pydantic_ai_gateway"].contains(&key.as_str());
        !(own || key.starts_with("cache") && *value == json!(0))
    });
    if reply["stopReason"] == "guardrail_intervened" {
        reply["stopReason"] = json!("content_filtered");
    }
}

fn held_in(reply: &Value) -> Held {
    let mut held = Held {
        stop: reply["stopReason"].as_str().expect("a reason").into(),
        usage: Some(recorded_usage(&reply["usage"])),
        ..Held::default()
    };
    for block in reply["output"]["message"]["content"].as_array().expect("content") {
        held.text += block["text"].as_str().unwrap_or_default();
        let reasoning = &block["reasoningContent"]["reasoningText"];
        held.thought += reasoning["text"].as_str().unwrap_or_default();
        held.signatures += usize::from(reasoning["signature"].is_string());
        let call = &block["toolUse"];
        if call.is_object() && call["type"] != "server_tool_use" {
            let text = |key: &str| call[key].as_str().expect("text").to_owned();
            held.calls.push((text("toolUseId"), text("name"), call["input"].clone()));
        }
    }
    held
}

/// Every recorded stream as its messages: from the recorded bytes, and from lists of events.
fn streams() -> Vec<(String, Vec<(String, Value)>)> {
    let Some(folder) = folder() else { return Vec::new() };
    let mut found = Vec::new();
    for (model, streams, exchange) in conversations() {
        let bytes = exchange["resp"].as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
        let Some(bytes) = bytes.filter(|_| streams) else { continue };
        let said = messages(&bytes).into_iter().map(|message| {
            (
                text(message.event()).to_owned(),
                serde_json::from_slice(message.data().expect("data")).expect("JSON"),
            )
        });
        found.push((format!("{model} {}", exchange["src"]), said.collect()));
    }
    for file in fs::read_dir(folder.join("streams")).expect("readable") {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with("bedrock__") {
            let lines = fs::read_to_string(&path).expect("readable");
            let said = lines.lines().map(|line| {
                let event: Value = serde_json::from_str(line).expect("JSON");
                let (name, data) = event.as_object().expect("an object").iter().next().expect("a member");
                (name.clone(), data.clone())
            });
            found.push((name, said.collect()));
        }
    }
    found
}

#[test]
fn every_recorded_stream_is_read() {
    let mut read = 0;
    for (name, said) in streams() {
        let texts: Vec<_> = said.iter().map(|(event, data)| (event.clone(), data.to_string())).collect();
        let mut held = Held::default();
        let mut arguments = Vec::<String>::new();
        let (mut open, mut thinks) = (None, false);
        read_stream(texts.iter().map(|(event, data)| (event.as_str(), data.as_str())), |event| match event {
            Event::Open { block, kind, .. } => {
                assert_eq!(open.replace(*block), None, "{name}");
                thinks = matches!(kind, Block::Thought { .. });
                if let Block::Call { id, name, .. } = kind {
                    held.calls.push((id.to_string(), name.to_string(), Value::Null));
                    arguments.push(String::new());
                }
            }
            Event::Close { block, .. } => assert_eq!(open.take(), Some(*block), "{name}"),
            Event::Delta { delta: Delta::Text(text), .. } if thinks => held.thought += text,
            Event::Delta { delta: Delta::Text(text), .. } => held.text += text,
            Event::Delta { delta: Delta::Arguments(text), .. } => {
                *arguments.last_mut().expect("a call") += text;
            }
            Event::Delta { delta: Delta::Signature(_), .. } => held.signatures += 1,
            Event::Finish { stop, .. } => held.stop = stop_word(stop).into(),
            Event::Usage(usage) => held.usage = Some(*usage),
            Event::Start { .. } | Event::End => {}
            other => panic!("{name}: {other:?}"),
        });
        for (call, text) in held.calls.iter_mut().zip(arguments) {
            call.2 = serde_json::from_str(&text).expect("JSON");
        }
        assert_eq!(held, held_in_stream(&said), "{name}");
        read += 1;
    }
    println!("{read} recorded streams were read");
}

fn held_in_stream(said: &[(String, Value)]) -> Held {
    let mut held = Held::default();
    let mut arguments = Vec::<String>::new();
    for (event, data) in said {
        let delta = &data["delta"];
        held.text += delta["text"].as_str().unwrap_or_default();
        held.thought += delta["reasoningContent"]["text"].as_str().unwrap_or_default();
        held.signatures += usize::from(delta["reasoningContent"]["signature"].is_string());
        if let Some(call) = data["start"]["toolUse"].as_object() {
            let text = |key: &str| call[key].as_str().expect("text").to_owned();
            held.calls.push((text("toolUseId"), text("name"), Value::Null));
            arguments.push(String::new());
        }
        if let Some(more) = delta["toolUse"]["input"].as_str() {
            *arguments.last_mut().expect("a call") += more;
        }
        match event.as_str() {
            "messageStop" => held.stop = data["stopReason"].as_str().expect("a reason").to_owned(),
            "metadata" => held.usage = Some(recorded_usage(&data["usage"])),
            _ => {}
        }
    }
    for (call, text) in held.calls.iter_mut().zip(arguments) {
        call.2 = if text.is_empty() { json!({}) } else { serde_json::from_str(&text).expect("JSON") };
    }
    held
}
