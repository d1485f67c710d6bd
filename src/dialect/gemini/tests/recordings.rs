//! What Google's callers and servers were recorded to say. Skipped where there are no recordings.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::heard;
use crate::dialect::framing::Framing;
use crate::dialect::gemini::{reply, request};
use crate::dialect::hub::{Content, Family, Losses, Stop, Terms, samples};
use crate::dialect::quirks::Quirks;
use crate::dialect::tree;

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("MAINSTAY_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"), PathBuf::from);
    let there = folder.join("recorded").is_dir();
    if !there {
        println!("no recorded exchanges in {}", folder.display());
    }
    there.then_some(folder)
}

/// Successful generations: the model, the request and the answer.
fn exchanges() -> Vec<(String, Value, Value)> {
    let Some(folder) = folder() else { return Vec::new() };
    let text = fs::read_to_string(folder.join("recorded/gemini.jsonl")).expect("readable");
    let exchanges = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    exchanges
        .filter(|exchange| exchange["status"] == 200)
        .filter_map(|mut exchange| {
            let path = exchange["path"].as_str()?.to_owned();
            let (head, verb) = path.rsplit_once(':')?;
            let generates = matches!(verb, "generateContent" | "streamGenerateContent");
            let model = head.rsplit('/').next()?.to_owned();
            generates.then(|| (model, exchange["req"].take(), exchange["resp"].take()))
        })
        .collect()
}

#[test]
fn every_recorded_request_is_said_again_as_it_was() {
    let exchanges = exchanges();
    let mut equal = 0;
    for (model, asked, _) in &exchanges {
        let text = asked.to_string();
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let ask = request::read(&root).unwrap_or_else(|wrong| panic!("{}: {text}", wrong.place(&root)));
        let (mut losses, mut out) = (Losses::default(), Vec::new());
        let terms = Terms { model, ..samples::terms(Family::Gemini, &Quirks::COMPATIBLE) };
        request::write(&ask, &terms, &mut losses, &mut out);
        assert_eq!((losses.names(), losses.fatal()), (&[][..], None), "{text}");
        let said: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(plain(&said), plain(asked));
        equal += 1;
    }
    println!("{equal} of {} recorded requests are said again as they were", exchanges.len());
}

#[test]
fn every_recorded_reply_is_read_in_full() {
    let (mut read, mut streams, mut calls, mut thoughts) = (0, 0, 0, 0);
    for (_, _, answer) in exchanges() {
        if let Some(text) = answer.as_str() {
            if text.starts_with("data:") {
                check_stream(text.as_bytes());
                streams += 1;
            }
            continue;
        }
        let text = answer.to_string();
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let reply = reply::read(&root).expect("an answer");
        let expected = Expected::of(std::slice::from_ref(&answer));
        let mut seen = Expected::default();
        let choice = reply.choices.first().expect("a choice");
        for part in &choice.parts {
            match &part.content {
                Content::Text(text) => seen.text.push_str(text),
                Content::Thought(thought) => seen.thoughts.push_str(&thought.text),
                Content::Call(call) => seen
                    .calls
                    .push((call.name.to_string(), serde_json::from_str(&call.arguments).expect("JSON"))),
                _ => {}
            }
        }
        seen.total = reply.usage.map(|usage| usage.input + usage.output);
        seen.stop = format!("{:?}", choice.stop);
        assert_eq!(seen, expected, "{text}");
        calls += seen.calls.len();
        thoughts += usize::from(!seen.thoughts.is_empty());
        read += 1;
    }
    println!("{read} answers and {streams} streams read; {calls} calls, {thoughts} with thoughts");
}

#[test]
fn every_recorded_list_of_chunks_is_read_in_full() {
    let Some(folder) = folder() else { return };
    let mut read = 0;
    for file in fs::read_dir(folder.join("streams")).expect("readable") {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with("gemini__ai__google-") {
            let text = fs::read_to_string(&path).expect("readable");
            let bytes = framed(&text);
            check_stream(bytes.as_bytes());
            read += 1;
        }
    }
    println!("{read} lists of chunks read");
    assert!(read >= 7);
}

fn framed(chunks: &str) -> String {
    chunks.lines().flat_map(|line| ["data: ", line, "\r\n\r\n"]).collect()
}

/// What an answer holds, looked up in the recording itself.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    text: String,
    thoughts: String,
    calls: Vec<(String, Value)>,
    total: Option<u64>,
    stop: String,
}

impl Expected {
    fn of(chunks: &[Value]) -> Self {
        let mut expected = Self::default();
        let mut reason = None;
        for chunk in chunks {
            for part in chunk["candidates"][0]["content"]["parts"].as_array().into_iter().flatten() {
                let text = part["text"].as_str().unwrap_or_default();
                if part["thought"] == true { &mut expected.thoughts } else { &mut expected.text }
                    .push_str(text);
                if let Some(name) = part["functionCall"]["name"].as_str() {
                    let args = &part["functionCall"]["args"];
                    expected
                        .calls
                        .push((name.to_owned(), if args.is_null() { json!({}) } else { args.clone() }));
                }
            }
            reason = chunk["candidates"][0]["finishReason"].as_str().or(reason);
            expected.total = chunk["usageMetadata"]["totalTokenCount"].as_u64().or(expected.total);
        }
        expected.stop = match reason {
            Some("STOP") | None if !expected.calls.is_empty() => format!("{:?}", Stop::Calls),
            Some("STOP") | None => format!("{:?}", Stop::End),
            Some("MAX_TOKENS") => format!("{:?}", Stop::Length),
            Some("SAFETY" | "MODEL_ARMOR") => format!("{:?}", Stop::Filter),
            Some("UNEXPECTED_TOOL_CALL") => format!("{:?}", Stop::Failed),
            Some(other) => panic!("what does {other} mean?"),
        };
        expected
    }
}

fn check_stream(bytes: &[u8]) {
    let chunks: Vec<Value> = String::from_utf8_lossy(bytes)
        .split("\r\n\r\n")
        .filter_map(|frame| serde_json::from_str(frame.trim().strip_prefix("data:")?).ok())
        .collect();
    let expected = Expected::of(&chunks);
    let in_pieces = chunks.iter().any(|chunk| chunk.to_string().contains("partialArgs"));
    let words = heard(bytes, Framing::Sse);
    let named = |head: &str| words.iter().filter(|word| word.starts_with(head)).count();
    assert_eq!(named("Start"), 1);
    assert!(words[0].starts_with("Start"));
    assert_eq!(named("Open"), named("Close"));
    assert_eq!(named("Finish"), 1);
    let finish = format!("Finish {{ choice: 0, stop: {} }}", expected.stop);
    assert!(words.contains(&finish), "{words:?} have no {finish}");
    assert_eq!(words.iter().filter(|word| word.contains("kind: Call {")).count(), expected.calls.len());
    for (name, args) in &expected.calls {
        assert!(words.iter().any(|word| word.contains(&format!("name: {name:?}"))), "{name}");
        let same = |word: &String| {
            let text = word.split_once("Arguments(").and_then(|(_, text)| text.strip_suffix(") }"));
            let text: Option<String> = text.and_then(|text| serde_json::from_str(text).ok());
            text.and_then(|text| serde_json::from_str::<Value>(&text).ok()).as_ref() == Some(args)
        };
        assert!(in_pieces || words.iter().any(same), "{args} of {words:?}");
    }
    let total = words.iter().rev().find_map(|word| {
        let count = |name: &str| -> Option<u64> {
            word.split_once(&format!("{name}: "))?.1.split([',', ' ']).next()?.parse().ok()
        };
        word.starts_with("Usage").then(|| Some(count("input")? + count("output")?))?
    });
    assert_eq!(total, expected.total);
}

#[test]
fn pieces_of_arguments_are_whole_at_the_end() {
    let Some(folder) = folder() else { return };
    for (file, expected) in [
        ("google-stream-tool-call-arguments", r#"Arguments("{\"location\":\"San Francisco\"}")"#),
        (
            "google-stream-tool-call-array-arguments-missing-terminal-function-call",
            r#"Arguments("{\"operations\":[{\"action\":\"add\",\"description\":\"Fresh red apple\",\"itemid\":\"apple_001\",\"price\":0.5},{\"action\":\"add\",\"description\":\"Ripe yellow banana\",\"itemid\":\"banana_001\",\"price\":0.3}]}")"#,
        ),
        ("google-stream-no-args-tool-call", r#"Arguments("{\"id\":\"C\"}")"#),
    ] {
        let path = folder.join("streams").join(format!("gemini__ai__{file}.chunks.txt"));
        let text = fs::read_to_string(&path).expect("readable");
        let bytes = framed(&text);
        let words = heard(bytes.as_bytes(), Framing::Sse);
        assert!(words.iter().any(|word| word.contains(expected)), "{file}: {words:?}");
    }
}

// ---- what counts as the same -------------------------------------------------------------------

/// Brings a request into one form, where Google's own parser sees no difference: nulls, defaults and
/// the spelling of names; empty texts of the model; functions in one object; base64 of one kind.
/// Words that stand for a signature are left out: they are put back where they are needed.
fn plain(request: &Value) -> Value {
    let mut root = members(request);
    let root = root.as_object_mut().expect("an object");
    if let Some(system) = root.get_mut("systemInstruction").and_then(Value::as_object_mut) {
        system.remove("role");
    }
    for content in root.get_mut("contents").and_then(Value::as_array_mut).into_iter().flatten() {
        if content["role"] != "model" {
            content["role"] = json!("user");
        } else if let Some(parts) = content["parts"].as_array_mut() {
            parts.retain(|part| *part != json!({"text": ""}));
        }
    }
    if let Some(Value::Array(tools)) = root.remove("tools") {
        let mut functions = Vec::new();
        let mut others = BTreeMap::new();
        for tool in tools.into_iter().filter_map(|tool| tool.as_object().cloned()) {
            for (key, value) in tool {
                match value {
                    Value::Array(declared) if key == "functionDeclarations" => functions.extend(declared),
                    value => drop(others.insert(key, value)),
                }
            }
        }
        root.insert("tools".into(), json!([functions, others]));
    }
    Value::Object(root.clone())
}

fn members(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(members).collect(),
        Value::Object(object) => {
            Value::Object(object.iter().filter_map(|(key, value)| member(key, value)).collect())
        }
        Value::Number(number) => json!(number.as_f64()),
        other => other.clone(),
    }
}

fn member(key: &str, value: &Value) -> Option<(String, Value)> {
    if value.is_null() {
        return None;
    }
    let mut name = String::new();
    for (at, word) in key.split('_').enumerate() {
        let (head, tail) = word.split_at(word.len().min(1));
        name.push_str(&if at == 0 { head.to_owned() } else { head.to_uppercase() });
        name.push_str(tail);
    }
    let url_safe =
        |value: &Value| json!(value.as_str().unwrap_or_default().replace('-', "+").replace('_', "/"));
    let value = match name.as_str() {
        "thought" if *value == false => return None,
        "thoughtSignature" if is_sentinel(value) => return None,
        "thoughtSignature" | "data" => url_safe(value),
        "thinkingLevel" => json!(value.as_str().unwrap_or_default().to_uppercase()),
        "args"
        | "response"
        | "labels"
        | "parameters"
        | "parametersJsonSchema"
        | "responseSchema"
        | "responseJsonSchema" => value.clone(),
        "functionCall" => {
            let mut call = members(value);
            call.as_object_mut()?.entry("args").or_insert(json!({}));
            call
        }
        _ => members(value),
    };
    (value != json!({}) || !matches!(name.as_str(), "generationConfig" | "toolConfig"))
        .then_some((name, value))
}

fn is_sentinel(value: &Value) -> bool {
    let words = ["skip_thought_signature_validator", "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv"];
    value.as_str().is_some_and(|text| words.contains(&text))
}
