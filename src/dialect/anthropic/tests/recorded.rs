//! What real callers asked and real upstreams answered.

use std::fmt::Write;
use std::fs;

use serde_json::{Value, json};

use super::{fixtures, read_stream, terms};
use crate::dialect::anthropic::{reply, request};
use crate::dialect::hub::{Block, Content, Delta, Event, Losses, Stop};
use crate::dialect::tree;
use crate::vocab::Usage;
use crate::vocab::usage::Other;

/// Recorded exchanges of messages: request, status, whether it streams, answer.
fn exchanges() -> Vec<(Value, u64, bool, Value)> {
    let Some(folder) = fixtures() else { return Vec::new() };
    let mut found = Vec::new();
    let mut files: Vec<_> = fs::read_dir(folder.join("recorded"))
        .expect("readable")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    for line in files.iter().flat_map(|file| {
        let text = fs::read_to_string(file).expect("readable");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    }) {
        let exchange: Value = serde_json::from_str(&line).expect("JSON");
        let path = exchange["path"].as_str().unwrap_or_default();
        if !path.split('?').next().unwrap_or_default().ends_with("/v1/messages") {
            continue;
        }
        let inner = |key: &str| match &exchange[key] {
            Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
            other => other.clone(),
        };
        let is_stream = exchange["stream"].as_bool().unwrap_or_default();
        found.push((inner("req"), exchange["status"].as_u64().unwrap_or_default(), is_stream, inner("resp")));
    }
    found
}

/// Both sides of the law in one form: no nulls, no default said aloud, texts as blocks.
fn plain(value: &Value, key: &str) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, value)| !value.is_null());
            let mut kept: serde_json::Map<_, _> = kept
                .map(|(key, value)| {
                    (
                        key.clone(),
                        if key == "input_schema" || key == "input" {
                            value.clone()
                        } else {
                            plain(value, key)
                        },
                    )
                })
                .collect();
            // The defaults: five minutes, and no stream.
            if key == "cache_control" && kept.get("ttl") == Some(&json!("5m")) {
                kept.remove("ttl");
            }
            if kept.get("stream") == Some(&json!(false)) {
                kept.remove("stream");
            }
            Value::Object(kept)
        }
        Value::Array(items) => {
            let texts = ["content", "system"].contains(&key) && items.len() == 1;
            match &items[..] {
                [Value::Object(only)]
                    if texts && only.len() == 2 && only.get("type") == Some(&json!("text")) =>
                {
                    only["text"].clone()
                }
                _ => Value::Array(items.iter().map(|item| plain(item, "")).collect()),
            }
        }
        Value::Number(number) => json!(number.as_f64()),
        other => other.clone(),
    }
}

#[test]
fn recorded_requests_are_said_again_as_they_were() {
    let (mut same, mut all) = (0, 0);
    for (asked, status, ..) in exchanges() {
        // Those that the vendor refused may be wrong.
        if !asked.is_object() || status >= 400 {
            continue;
        }
        all += 1;
        let text = asked.to_string();
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let ask = request::read(&root).map_err(|wrong| wrong.place(&root)).expect("a sound request");
        let mut losses = Losses::default();
        let mut body = Vec::new();
        let model = asked["model"].as_str().unwrap_or_default();
        request::write(&ask, &terms(model), &mut losses, &mut body);
        assert_eq!(losses, Losses::default(), "{text}");
        let again: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(plain(&again, ""), plain(&asked, ""), "{text}");
        same += 1;
    }
    println!("{same} of {all} recorded requests are said again as they were");
}

/// Its tokens alone; what else has a price is the meter's affair.
fn tokens(usage: Usage) -> Usage {
    Usage { other: Other::default(), tier: None, said: None, ..usage }
}

fn usage_of(usage: &Value) -> Option<Usage> {
    let count = |key: &str| usage[key].as_u64().unwrap_or_default();
    let hour = usage["cache_creation"]["ephemeral_1h_input_tokens"].as_u64().unwrap_or_default();
    let (read, written) = (count("cache_read_input_tokens"), count("cache_creation_input_tokens"));
    Some(Usage {
        input: count("input_tokens") + read + written,
        cache_read: read,
        cache_write: written - hour,
        cache_write_1h: hour,
        output: usage["output_tokens"].as_u64()?,
        reasoning: usage["output_tokens_details"]["thinking_tokens"].as_u64().unwrap_or_default(),
        ..Usage::default()
    })
}

fn stop_of(reason: &Value) -> Stop<'static> {
    match reason.as_str() {
        Some("end_turn") => Stop::End,
        Some("tool_use") => Stop::Calls,
        Some("max_tokens") => Stop::Length,
        Some("stop_sequence") => Stop::Sequence(None),
        Some("refusal") => Stop::Refusal,
        other => panic!("a new reason: {other:?}"),
    }
}

fn without_sequence(stop: Stop<'_>) -> Stop<'_> {
    if let Stop::Sequence(_) = stop { Stop::Sequence(None) } else { stop }
}

#[test]
fn recorded_replies_say_what_they_say() {
    let mut checked = 0;
    for (_, status, is_stream, body) in exchanges() {
        if is_stream || status != 200 {
            continue;
        }
        let text = body.to_string();
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let reply = reply::read(&root).map_err(|wrong| wrong.place(&root)).expect("a sound answer");
        let choice = &reply.choices[0];
        let blocks = body["content"].as_array().expect("blocks");
        assert_eq!(choice.parts.len(), blocks.len());
        for (part, block) in choice.parts.iter().zip(blocks) {
            match (&part.content, block["type"].as_str().expect("a type")) {
                (Content::Text(text), "text") => assert_eq!(block["text"], **text),
                (Content::Thought(thought), "thinking") => assert_eq!(block["thinking"], *thought.text),
                (Content::Thought(thought), "redacted_thinking") => {
                    assert_eq!(block["data"], *thought.signature.as_ref().expect("data").value);
                }
                (Content::Call(call), "tool_use") => {
                    assert_eq!((&block["id"], &block["name"]), (&json!(call.id), &json!(call.name)));
                    assert_eq!(block["input"], serde_json::from_str::<Value>(&call.arguments).expect("JSON"));
                }
                (Content::Vendor { kind, .. }, said) => assert_eq!(*kind, said),
                (other, said) => panic!("{said} is read as {other:?}"),
            }
        }
        assert_eq!(without_sequence(choice.stop.clone()), stop_of(&body["stop_reason"]));
        assert_eq!(reply.usage.map(tokens), usage_of(&body["usage"]));
        assert_eq!((&body["id"], &body["model"]), (&json!(reply.id), &json!(reply.model)));
        checked += 1;
    }
    println!("{checked} recorded replies say what they say");
}

/// What a stream tells, independent of who reads it.
#[derive(Debug, Default, PartialEq)]
struct Told {
    text: String,
    thought: String,
    signatures: String,
    calls: Vec<(String, String, Value)>,
    stop: Option<Stop<'static>>,
    usage: Option<Usage>,
}

fn told_by(frames: &[Value]) -> Told {
    let mut told = Told::default();
    let mut usage = json!({});
    let mut inputs: Vec<(u64, String, String, String)> = Vec::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for frame in frames {
        let block = &frame["content_block"];
        let index = frame["index"].as_u64().unwrap_or_default();
        match frame["type"].as_str().unwrap_or_default() {
            "message_start" => {
                usage = frame["message"]["usage"].clone();
                for block in frame["message"]["content"].as_array().expect("blocks") {
                    told.calls.push((text(&block["id"]), text(&block["name"]), block["input"].clone()));
                }
                if let Some(reason) = frame["message"].get("stop_reason").filter(|reason| !reason.is_null()) {
                    told.stop = Some(stop_of(reason));
                }
            }
            "content_block_start" if block["type"] == "tool_use" => {
                // Called by code that runs at the vendor: then it comes whole.
                let whole = &block["input"];
                let input = if *whole == json!({}) { String::new() } else { whole.to_string() };
                inputs.push((index, text(&block["id"]), text(&block["name"]), input));
            }
            "content_block_start" if block["type"] == "redacted_thinking" => {
                told.signatures += &text(&block["data"]);
            }
            "content_block_delta" => {
                let delta = &frame["delta"];
                told.text += &text(&delta["text"]);
                told.thought += &text(&delta["thinking"]);
                told.signatures += &text(&delta["signature"]);
                if let Some(input) = inputs.last_mut().filter(|(at, ..)| *at == index) {
                    input.3 += &text(&delta["partial_json"]);
                }
            }
            "message_delta" => {
                told.stop = Some(stop_of(&frame["delta"]["stop_reason"]));
                for (key, value) in frame["usage"].as_object().expect("usage") {
                    if !value.is_null() {
                        usage[key] = value.clone();
                    }
                }
            }
            _ => {}
        }
    }
    for (_, id, name, input) in inputs {
        let input = if input.is_empty() { json!({}) } else { serde_json::from_str(&input).expect("JSON") };
        told.calls.push((id, name, input));
    }
    told.usage = usage_of(&usage);
    told
}

fn told_to_us(bytes: &[u8]) -> Told {
    let mut told = Told::default();
    let mut arguments = Vec::new();
    let mut is_thought = false;
    read_stream(bytes, &mut |events| {
        for event in events {
            match event {
                Event::Open { kind, .. } => {
                    is_thought = matches!(kind, Block::Thought { .. });
                    if let Block::Call { id, name, .. } = kind {
                        arguments.push((id.to_string(), name.to_string(), String::new()));
                    }
                }
                Event::Delta { delta: Delta::Text(text), .. } if is_thought => told.thought += text,
                Event::Delta { delta: Delta::Text(text), .. } => told.text += text,
                Event::Delta { delta: Delta::Arguments(text), .. } => {
                    arguments.last_mut().expect("a call").2 += text;
                }
                Event::Delta { delta: Delta::Signature(signature), .. } => {
                    told.signatures += &signature.value;
                }
                Event::Finish { stop, .. } => told.stop = Some(without_sequence(stop.clone().into_owned())),
                Event::Usage(usage) => told.usage = Some(tokens(*usage)),
                _ => {}
            }
        }
    });
    for (id, name, input) in arguments {
        told.calls.push((id, name, serde_json::from_str(&input).expect("JSON")));
    }
    told
}

/// Checks each message of a recording; some hold several, one behind the other.
fn check(frames: &[Value]) -> usize {
    let mut checked = 0;
    for message in frames.split_inclusive(|frame| frame["type"] == "message_stop") {
        // Errors and what was cut off are out of scope.
        if message.first().is_none_or(|frame| frame["type"] != "message_start")
            || message.iter().any(|frame| frame["type"] == "error")
            || message.last().is_none_or(|frame| frame["type"] != "message_stop")
        {
            continue;
        }
        let mut bytes = String::new();
        for frame in message {
            let name = frame["type"].as_str().expect("a type");
            let _ = write!(bytes, "event: {name}\ndata: {frame}\n\n");
        }
        assert_eq!(told_to_us(bytes.as_bytes()), told_by(message), "{bytes}");
        checked += 1;
    }
    checked
}

#[test]
fn recorded_streams_say_what_they_say() {
    let Some(folder) = fixtures() else { return };
    let mut checked = 0;
    for (_, status, is_stream, body) in exchanges() {
        if !is_stream || status != 200 {
            continue;
        }
        let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        let frames =
            text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok());
        checked += check(&frames.collect::<Vec<_>>());
    }
    for file in fs::read_dir(folder.join("streams")).expect("readable") {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with("anthropic__") {
            let text = fs::read_to_string(&path).expect("readable");
            let frames = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            checked += check(&frames.collect::<Vec<_>>());
        }
    }
    println!("{checked} recorded streams say what they say");
    assert!(checked > 100, "only {checked}");
}
