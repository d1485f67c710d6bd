//! What real callers and providers said. The expectations are looked up in the recordings themselves.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use serde_json::{Value, json};

use super::again::{again, difference, same};
use super::streams::Told;
use crate::dialect::framing::{Framing, Splitter};
use crate::dialect::hub::{Content, Stop, samples};
use crate::dialect::responses::{reply, stream};
use crate::dialect::tree;

fn folder() -> PathBuf {
    std::env::var_os("MAINSTAY_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"), PathBuf::from)
}

/// Recorded exchanges with `/responses` that went well; none, said aloud, where there are no recordings.
pub fn exchanges() -> Vec<Value> {
    let folder = folder();
    let Ok(files) = fs::read_dir(folder.join("recorded")) else {
        println!("no recorded exchanges in {}", folder.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let lines = files.iter().flat_map(|file| {
        let text = fs::read_to_string(file).expect("readable");
        text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect::<Vec<_>>()
    });
    lines
        .filter(|exchange| exchange["path"].as_str().is_some_and(|path| path.ends_with("/responses")))
        .filter(|exchange| exchange["status"] == json!(200))
        .collect()
}

/// Written again for its own dialect, a request is the same.
#[test]
fn every_recorded_request_is_written_as_it_was_read() {
    let mut count = 0;
    for exchange in exchanges() {
        let request = &exchange["req"];
        if !request.is_object() {
            continue;
        }
        let name = format!("{} {} {}", exchange["provider"], exchange["src"], exchange["i"]);
        let (written, losses) = again(&request.to_string());
        assert_eq!(losses, Vec::<String>::new(), "{name}");
        same(&name, request.clone(), written);
        count += 1;
    }
    println!("{count} recorded requests are the same again");
}

/// What an answer says, looked up in its own JSON: texts, calls, thoughts with what is to be sent back.
#[derive(Debug, Default, PartialEq)]
struct Gist {
    text: String,
    calls: Vec<[String; 3]>,
    thoughts: String,
    encrypted: Vec<String>,
    tokens: Option<u64>,
    status: String,
}

impl Gist {
    fn of(response: &Value) -> Self {
        let mut gist = Self { tokens: response["usage"]["total_tokens"].as_u64(), ..Self::default() };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        gist.status = text(&response["status"]);
        for item in response["output"].as_array().into_iter().flatten() {
            let of = |list: &str| item[list].as_array().cloned().unwrap_or_default();
            match item["type"].as_str() {
                Some("message") => of("content").iter().for_each(|part| {
                    gist.text += part["text"].as_str().or(part["refusal"].as_str()).unwrap_or_default();
                }),
                Some("function_call") => {
                    gist.calls.push([text(&item["call_id"]), text(&item["name"]), text(&item["arguments"])]);
                }
                Some("custom_tool_call") => {
                    gist.calls.push([text(&item["call_id"]), text(&item["name"]), text(&item["input"])]);
                }
                Some("reasoning") => {
                    for part in of("summary").iter().chain(&of("content")) {
                        gist.thoughts += &text(&part["text"]);
                    }
                    gist.encrypted.extend(item["encrypted_content"].as_str().map(str::to_owned));
                }
                _ => {}
            }
        }
        gist
    }
}

fn stop_agrees(gist: &Gist, stop: &Stop<'_>) -> bool {
    match gist.status.as_str() {
        "completed" if !gist.calls.is_empty() => *stop == Stop::Calls,
        // One recording says `complete`.
        "completed" | "complete" => matches!(stop, Stop::End | Stop::Refusal),
        "incomplete" => matches!(stop, Stop::Length | Stop::Filter),
        _ => matches!(stop, Stop::Pause | Stop::Failed),
    }
}

#[test]
fn every_recorded_answer_is_read_as_it_says_itself() {
    let mut count = 0;
    for exchange in exchanges() {
        let answer = &exchange["resp"];
        // A few recordings hold other endpoints' answers.
        if answer["object"] != "response" {
            continue;
        }
        let name = format!("{} {} {}", exchange["provider"], exchange["src"], exchange["i"]);
        let body = answer.to_string();
        let root = tree::parse(body.as_bytes()).expect("JSON");
        let read = reply::read(&root).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        let expected = Gist::of(answer);
        let mut gist = Gist { status: expected.status.clone(), ..Gist::default() };
        gist.tokens = read.usage.map(|usage| usage.input + usage.output);
        for part in &read.choices[0].parts {
            match &part.content {
                Content::Text(text) | Content::Refusal(text) => gist.text += text,
                Content::Call(call) => {
                    let said = [&call.id, &call.name, &call.arguments];
                    gist.calls.push(said.map(|text| text.clone().into_owned()));
                }
                Content::Thought(thought) => {
                    gist.thoughts += &thought.text;
                    gist.encrypted.extend(thought.signature.as_ref().map(|it| it.value.clone().into_owned()));
                }
                _ => {}
            }
        }
        assert!(stop_agrees(&expected, &read.choices[0].stop), "{name}: {:?}", read.choices[0].stop);
        assert_eq!(read.id, answer["id"].as_str().unwrap_or_default(), "{name}");
        assert_eq!(read.model, answer["model"].as_str().unwrap_or_default(), "{name}");
        assert_eq!(gist, expected, "{name}");
        let mut written = Vec::new();
        reply::write(&read, &samples::manner(), &mut written);
        let written: Value = serde_json::from_slice(&written).expect("JSON");
        same_items(&name, answer, &written);
        count += 1;
    }
    println!("{count} recorded answers agree with themselves");
}

/// Recorded streams by name: of exchanges, and the lists of events.
fn streams() -> Vec<(String, String)> {
    let mut streams: Vec<(String, String)> = exchanges()
        .iter()
        .filter(|exchange| exchange["stream"] == true)
        .filter_map(|exchange| {
            let name = format!("{} {} {}", exchange["provider"], exchange["src"], exchange["i"]);
            Some((name, exchange["resp"].as_str()?.to_owned()))
        })
        .collect();
    for file in fs::read_dir(folder().join("streams")).into_iter().flatten() {
        let path = file.expect("a file").path();
        let text = fs::read_to_string(&path).expect("readable");
        if text.contains("\"response.completed\"") {
            // One file holds several streams.
            let mut parts: Vec<String> = Vec::new();
            for line in text.lines() {
                if line.contains("\"response.created\"") || parts.is_empty() {
                    parts.push(String::new());
                }
                let last = parts.last_mut().expect("one was pushed");
                last.extend(["data: ", line, "\n\n"]);
            }
            streams.extend(parts.into_iter().map(|part| (path.display().to_string(), part)));
        }
    }
    streams
}

#[test]
fn every_recorded_stream_is_read_as_its_last_event_says() {
    let (mut count, mut shortened) = (0, 0);
    for (name, text) in streams() {
        let mut deltas = String::new();
        let mut splitter = Splitter::new(Framing::Sse);
        splitter.push(Bytes::from(text));
        let mut reader = stream::Reader::default();
        let mut told = Told::default();
        let mut last = Value::Null;
        let mut items = Vec::new();
        let mut frames = Vec::new();
        while let Some(frame) = splitter.next().expect("frames") {
            frames.push(frame);
        }
        frames.extend(splitter.leftover());
        for frame in &frames {
            let Some(data) = frame.data().filter(|data| data.starts_with(b"{")) else { continue };
            let event: Value = serde_json::from_slice(data).expect("JSON");
            if event["type"] == "response.output_item.done" {
                items.push((event["output_index"].as_u64(), event["item"].clone()));
            }
            if event["type"] == "response.output_text.delta" {
                deltas += event["delta"].as_str().expect("text");
            }
            if event["response"]["usage"].is_object() || event["response"]["output"].is_array() {
                last = event["response"].clone();
            }
            told.frame(&mut reader, data);
        }
        told.end(&mut reader);
        // Some recordings were shortened in their last event, or in their deltas.
        items.sort_by_key(|(index, _)| *index);
        let items: Vec<Value> = items.into_iter().map(|(_, item)| item).collect();
        last["output"] = Value::Array(items);
        let expected = Gist::of(&last);
        assert!(stop_agrees(&expected, told.stop.as_ref().expect("a stop")), "{name}: {:?}", told.stop);
        assert_eq!(told.tokens, expected.tokens, "{name}");
        assert_eq!(told.encrypted, expected.encrypted, "{name}");
        assert_eq!(told.calls, expected.calls, "{name}");
        // Where deltas were left out of the recording, those that are there count.
        if told.text != expected.text {
            assert_eq!(told.text, deltas, "{name}");
            shortened += 1;
        }
        assert_eq!(told.thoughts, expected.thoughts, "{name}");
        count += 1;
    }
    println!("{count} recorded streams agree with their last events, {shortened} of them shortened");
    assert!(shortened <= 4);
}

/// Written again, an answer holds the same items: but for the ids and states of them, what only the
/// vendor's own SDK would look for (`phase`, `caller`, `namespace`), and reasoning that says nothing.
/// Messages that follow each other are one.
fn same_items(name: &str, expected: &Value, written: &Value) {
    let plain = |response: &Value| {
        let mut items: Vec<Value> = Vec::new();
        for item in response["output"].as_array().into_iter().flatten() {
            let mut item = item.clone();
            let members = item.as_object_mut().expect("an item");
            members.retain(|key, value| !value.is_null() && (key != "content" || value != &json!([])));
            for key in ["id", "status", "phase", "caller", "namespace", "format"] {
                members.remove(key);
            }
            for part in members.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
                let part = part.as_object_mut().expect("a part");
                part.retain(|key, value| {
                    !(matches!(key.as_str(), "annotations" | "logprobs") && value == &json!([]))
                });
            }
            let last = items.last_mut().filter(|last| last["type"] == "message" && item["type"] == "message");
            if let Some(last) = last {
                let more = item["content"].as_array().cloned().unwrap_or_default();
                last["content"].as_array_mut().expect("parts").extend(more);
            } else if item != json!({"type": "reasoning", "summary": []}) {
                items.push(item);
            }
        }
        Value::Array(items)
    };
    if let Some(difference) = difference(&plain(expected), &plain(written)) {
        panic!("{name}{difference}");
    }
}
