//! Samples, recorded exchanges and laws of the whole dialect.
//!
//! A sample's golden file is what all pairs of dialects are checked against: read it before you bless
//! it (`MAINSTAY_BLESS=1`). What stands in this file, Ollama's tests use too.

mod laws;
mod replies;
mod requests;
mod streams;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::reply;
use crate::dialect::hub::{Block, Content, Delta, Event, Losses, Part, Stop};
use crate::vocab::Usage;

/// Recorded exchanges of a provider at a path; says so when there are none.
pub fn recorded(provider: &str, path: &str) -> Vec<Value> {
    let Some(folder) = folder() else { return Vec::new() };
    let lines =
        fs::read_to_string(folder.join("recorded").join(format!("{provider}.jsonl"))).expect("readable");
    let exchanges = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    exchanges.filter(|exchange| exchange["path"] == path && exchange["status"] == 200).collect()
}

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("MAINSTAY_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"), PathBuf::from);
    let there = folder.join("recorded").is_dir();
    if !there {
        println!("no recorded exchanges in {}: only our own fixtures were checked", folder.display());
    }
    there.then_some(folder)
}

/// Compares with the golden file, or writes it.
pub fn check_golden(sample: &str, file: &str, said: &[u8]) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dialect/pairs").join(sample);
    let path = folder.join(file);
    if std::env::var_os("MAINSTAY_BLESS").is_some() {
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(&path, said).expect("writable");
    }
    let golden = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(String::from_utf8_lossy(said), String::from_utf8_lossy(&golden), "{}", path.display());
}

/// What is lost of each sample: the names, or the reason why it is refused.
pub fn losses_of(losses: &Losses) -> String {
    match losses.fatal() {
        Some(loss) => format!("refused: {}", loss.message),
        None => losses.names().join(" "),
    }
}

/// Two JSON texts mean the same.
pub fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", bytes.escape_ascii()))
}

/// Everything that an answer says: texts, thoughts, and calls with their arguments.
#[derive(Debug, Default, PartialEq)]
struct Said {
    text: String,
    thought: String,
    calls: Vec<(String, String, Value)>,
}

impl Said {
    fn of_parts(parts: &[Part<'_>]) -> Self {
        let mut said = Self::default();
        for part in parts {
            match &part.content {
                Content::Text(text) => said.text.push_str(text),
                Content::Thought(thought) => said.thought.push_str(&thought.text),
                Content::Call(call) => {
                    said.calls.push((
                        call.id.to_string(),
                        call.name.to_string(),
                        value(call.arguments.as_bytes()),
                    ));
                }
                other => panic!("{other:?}"),
            }
        }
        said
    }

    /// As the recording has it.
    fn of_message(message: &Value) -> Self {
        let mut said = Self::default();
        for item in message["content"].as_array().into_iter().flatten() {
            said.text.push_str(item["text"].as_str().unwrap_or_default());
            said.thought.push_str(item["thinking"].as_str().unwrap_or_default());
        }
        said.text.push_str(message["tool_plan"].as_str().unwrap_or_default());
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let arguments = value(text(&call["function"]["arguments"]).as_bytes());
            said.calls.push((text(&call["id"]), text(&call["function"]["name"]), arguments));
        }
        said
    }

    fn of_events(events: &[Event<'_>]) -> Self {
        let mut said = Self::default();
        let mut kinds: Vec<Block<'_>> = Vec::new();
        let mut arguments = String::new();
        for event in events {
            match event {
                Event::Open { block, kind, .. } => {
                    assert_eq!(*block as usize, kinds.len(), "blocks count up");
                    kinds.push(kind.clone());
                }
                Event::Delta { block, delta: Delta::Text(text), .. } => match &kinds[*block as usize] {
                    Block::Text => said.text.push_str(text),
                    Block::Thought { .. } => said.thought.push_str(text),
                    other => panic!("{other:?}"),
                },
                Event::Delta { delta: Delta::Arguments(text), .. } => arguments.push_str(text),
                Event::Close { block, .. } => {
                    if let Block::Call { id, name, .. } = &kinds[*block as usize] {
                        let arguments = value(std::mem::take(&mut arguments).as_bytes());
                        said.calls.push((id.to_string(), name.to_string(), arguments));
                    }
                }
                _ => {}
            }
        }
        said
    }
}

fn check_end(stop: &Stop<'_>, usage: Option<Usage>, recorded: &Value) {
    assert_eq!(reply::reason(stop), recorded["finish_reason"], "{recorded}");
    let usage = usage.expect("counts");
    let count = |pointer: &str| recorded.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    assert_eq!(
        (usage.input, usage.output, usage.cache_read, usage.reasoning),
        (
            count("/usage/tokens/input_tokens"),
            count("/usage/tokens/output_tokens"),
            count("/usage/cached_tokens"),
            count("/usage/tokens/reasoning_tokens")
        ),
        "{recorded}"
    );
}
