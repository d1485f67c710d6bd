//! Golden tests: what real providers said, and what we make of it.
//!
//! Small fixtures of our own are in `tests/fixtures/dialect`. Thousands of recorded exchanges are
//! read from `$MAINSTAY_FIXTURES` or `../shared/fixtures`, where they exist. Independent of the code
//! under test, the expected token counts are looked up in the recorded text itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use super::classify::{Finding, classify};
use super::framing::{Framing, Splitter};
use super::watch::{Beat, Ending, Watch};
use super::{Dialect, Operation, meter, provider};
use crate::vocab::{Fault, Usage};

// ---- what a stream says ----------------------------------------------------------------------

/// Everything that watching a stream yields, in words.
#[derive(Debug, PartialEq)]
struct Seen {
    raw: Vec<u8>,
    beats: String,
    ending: Ending,
    usage: Option<Usage>,
}

fn watch<'a>(
    dialect: Dialect,
    operation: Operation,
    framing: Framing,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Seen {
    let mut splitter = Splitter::new(framing);
    let mut watch = Watch::new(dialect, operation, framing);
    let mut walking = Watch::walking(dialect, operation, framing);
    let mut frames = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = splitter.next().expect("short frames") {
            frames.push(frame);
        }
    }
    frames.extend(splitter.leftover());
    let mut beats = String::new();
    let mut raw = Vec::new();
    for frame in frames {
        raw.extend_from_slice(&frame.raw);
        let beat = watch.frame(&frame);
        assert_eq!(beat, walking.frame(&frame), "{}", frame.raw.escape_ascii());
        match beat {
            Beat::Lifecycle => beats.push('.'),
            Beat::Content => beats.push('c'),
            Beat::UsageOnly => beats.push('u'),
            Beat::Finish => beats.push('f'),
            Beat::Terminal => beats.push('t'),
            Beat::Broken => beats.push('!'),
            Beat::Error(error) => {
                beats.push_str("E(");
                beats.push_str(error.fault.name());
                beats.push(')');
            }
        }
    }
    assert_eq!(watch.next_sequence(), walking.next_sequence());
    let seen = Seen { raw, beats, ending: watch.end(), usage: watch.usage() };
    assert_eq!((seen.ending, seen.usage), (walking.end(), walking.usage()));
    seen
}

/// At every split of a short stream, at some of a long one, and byte by byte, the same comes out.
fn check_splits(name: &str, dialect: Dialect, operation: Operation, framing: Framing, stream: &[u8]) -> Seen {
    let whole = watch(dialect, operation, framing, [stream]);
    assert_eq!(whole.raw, stream, "{name}");
    // Long streams: some twenty splits, at an odd stride.
    let stride = if stream.len() <= 2_000 { 1 } else { (stream.len() / 20) | 1 };
    for at in (0..stream.len()).step_by(stride) {
        let (head, tail) = stream.split_at(at);
        let split = watch(dialect, operation, framing, [head, tail]);
        assert!(same(&split, &whole), "{name} split at {at}: {split:?}");
    }
    assert!(same(&watch(dialect, operation, framing, stream.chunks(1)), &whole), "{name} byte by byte");
    whole
}

/// The LF of a CRLF may open a frame of its own, which says nothing.
fn same(one: &Seen, other: &Seen) -> bool {
    let said = |seen: &Seen| seen.beats.replace('.', "");
    (&one.raw, one.ending, one.usage) == (&other.raw, other.ending, other.usage) && said(one) == said(other)
}

// ---- our own fixtures ------------------------------------------------------------------------

fn own(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dialect").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn in_words(seen: &Seen) -> String {
    let ending = match seen.ending {
        Ending::Complete { missing_terminator: None } => "whole".to_owned(),
        Ending::Complete { missing_terminator: Some(bytes) } => {
            format!("whole but for {} bytes", bytes.len())
        }
        Ending::Truncated => "truncated".to_owned(),
    };
    let usage = seen.usage.map_or("none".to_owned(), |usage| {
        let mut words = format!("in {}", usage.input);
        for (name, count) in [
            ("read", usage.cache_read),
            ("write", usage.cache_write),
            ("write_1h", usage.cache_write_1h),
            ("out", usage.output),
            ("reasoning", usage.reasoning),
        ] {
            if count > 0 {
                words.extend([" ".to_owned(), name.to_owned(), format!(" {count}")]);
            }
        }
        words
    });
    format!("{} | {ending} | {usage}", seen.beats)
}

#[test]
fn own_streams_say_what_their_golden_lines_say() {
    let golden = String::from_utf8(own("streams.golden")).expect("text");
    let mut checked = 0;
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let (name, expected) = line.split_once(" | ").expect("a golden line");
        let (dialect, operation) = match name.split('-').next() {
            Some("openai") => (Dialect::OpenAi, Operation::Chat),
            Some("responses") => (Dialect::Responses, Operation::Responses),
            Some("anthropic") => (Dialect::Anthropic, Operation::Messages),
            Some("gemini") => (Dialect::Gemini, Operation::StreamGenerate),
            other => panic!("{other:?} is no dialect"),
        };
        let framing = if name == "gemini-array.json" { Framing::JsonArray } else { Framing::Sse };
        let seen = check_splits(name, dialect, operation, framing, &own(name));
        assert_eq!(in_words(&seen), expected, "{name}");
        checked += 1;
    }
    assert_eq!(checked, 10);
}

#[test]
fn own_errors_are_the_faults_that_they_say() {
    for line in String::from_utf8(own("errors.jsonl")).expect("text").lines() {
        let case: Value = serde_json::from_str(line).expect("JSON");
        let text = |key: &str| case[key].as_str().expect("text").to_owned();
        let dialect = text("dialect").parse().expect("a dialect");
        let finding = find(&text("provider"), dialect, &case["status"], &Value::Null, &case["body"]);
        assert_eq!(finding.fault.name(), text("fault"), "{line}");
    }
}

fn find(name: &str, dialect: Dialect, status: &Value, headers: &Value, body: &Value) -> Finding {
    let row = provider::find(name).or_else(|| provider::find("custom")).expect("a row");
    let status = status.as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status");
    let headers: HeaderMap = headers
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            Some((HeaderName::try_from(name.as_str()).ok()?, HeaderValue::try_from(value.as_str()?).ok()?))
        })
        .collect();
    let body = text_of(body);
    let status = StatusCode::from_u16(status).expect("a status");
    classify(row, dialect, status, &headers, body.as_bytes(), Duration::from_secs(1_790_000_000))
}

fn text_of(body: &Value) -> String {
    body.as_str().map_or_else(|| body.to_string(), str::to_owned)
}

// ---- recorded exchanges ----------------------------------------------------------------------

/// The folder of recordings; says so when there is none.
fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("MAINSTAY_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"), PathBuf::from);
    let there = folder.join("recorded").is_dir();
    if !there {
        println!("no recorded exchanges in {}: only our own fixtures were checked", folder.display());
    }
    there.then_some(folder)
}

/// Every recorded exchange in a dialect that we speak, with its provider's name.
fn exchanges() -> Vec<(Dialect, Operation, String, Value)> {
    let Some(folder) = shared() else { return Vec::new() };
    let mut files: Vec<_> = fs::read_dir(folder.join("recorded"))
        .expect("readable")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        for line in fs::read_to_string(&file).expect("readable").lines() {
            let exchange: Value = serde_json::from_str(line).expect("JSON");
            let path = exchange["path"].as_str().unwrap_or_default();
            if let Some((dialect, operation)) = spoken(path) {
                let provider = exchange["provider"].as_str().unwrap_or_default().to_owned();
                found.push((dialect, operation, provider, exchange));
            }
        }
    }
    found
}

fn spoken(path: &str) -> Option<(Dialect, Operation)> {
    let ways = [
        ("/chat/completions", Dialect::OpenAi, Operation::Chat),
        ("/v1/completions", Dialect::OpenAi, Operation::Completions),
        ("/v1/embeddings", Dialect::OpenAi, Operation::Embeddings),
        ("/images/generations", Dialect::OpenAi, Operation::Images),
        ("/audio/transcriptions", Dialect::OpenAi, Operation::Transcriptions),
        ("/models", Dialect::OpenAi, Operation::Models),
        ("/responses", Dialect::Responses, Operation::Responses),
        ("/v1/messages", Dialect::Anthropic, Operation::Messages),
        (":generateContent", Dialect::Gemini, Operation::Generate),
        (":streamGenerateContent", Dialect::Gemini, Operation::StreamGenerate),
        (":countTokens", Dialect::Gemini, Operation::GeminiCountTokens),
    ];
    let way = ways.into_iter().find(|(end, ..)| path.ends_with(end))?;
    Some((way.1, way.2))
}

/// All tokens, as the recording itself says; `None` where it says nothing usable.
fn recorded_total(text: &str) -> Option<u64> {
    let events = text.lines().map(|line| line.strip_prefix("data:").unwrap_or(line));
    let events =
        std::iter::once(text).chain(events).filter_map(|json| serde_json::from_str::<Value>(json).ok());
    let places = [
        "/usage/total_tokens",
        "/x_groq/usage/total_tokens",
        "/response/usage/total_tokens",
        "/usageMetadata/totalTokenCount",
    ];
    events.filter_map(|event| places.iter().find_map(|place| event.pointer(place)?.as_u64())).next_back()
}

fn check_usage(name: &str, dialect: Dialect, text: &str, usage: Option<Usage>) -> bool {
    if let Some(total) = recorded_total(text) {
        let usage = usage.unwrap_or_else(|| panic!("{name}: no usage read"));
        assert_eq!(usage.input + usage.output, total, "{name}: {usage:?}");
        assert!(usage.cache_read <= usage.input, "{name}: {usage:?}");
        return true;
    }
    if dialect == Dialect::Anthropic && text.contains("\"output_tokens\":") {
        let usage = usage.unwrap_or_else(|| panic!("{name}: no usage read"));
        assert!(usage.input > 0 && usage.cache_read <= usage.input, "{name}: {usage:?}");
        return true;
    }
    false
}

#[test]
fn every_recorded_error_is_classified() {
    let well_known = [
        ("openai", "Incorrect API key provided", Fault::AuthRefused),
        ("openai", "The requested model 'gpt-nonexistent", Fault::ModelMissing),
        ("openai", "The model 'dall-e-3' does not exist", Fault::ModelMissing),
        ("openai", "Invalid 'temperature'", Fault::BadRequest),
        ("openai", "Unsupported parameter: 'max_tokens'", Fault::BadRequest),
        ("anthropic", "API key is invalid", Fault::AuthRefused),
        ("anthropic", "model: claude-nonexistent", Fault::ModelMissing),
        ("anthropic", "temperature: range: 0..1", Fault::BadRequest),
        ("anthropic", "does not support effort level", Fault::BadRequest),
        ("gemini", "is not found for API version", Fault::ModelMissing),
        ("gemini", "Cannot fetch content from the provided URL", Fault::BadRequest),
        ("groq", "Invalid API Key", Fault::AuthRefused),
        ("groq", "Tool call validation failed", Fault::Busy),
        ("deepseek", "Authentication Fails", Fault::AuthRefused),
        ("deepseek", "Thinking mode does not support", Fault::BadRequest),
        ("doubleword", "Validation: Temperature", Fault::BadRequest),
        ("doubleword", "Forbidden", Fault::AuthRefused),
        ("llamacpp", "exceeds the available context size", Fault::ContextOverflow),
        ("llamacpp", "does not support embeddings", Fault::ModelMissing),
        ("llamacpp", "cannot make GET request", Fault::ServerError),
        ("mistral", "Invalid model: definitely-not-a-model", Fault::ModelMissing),
        ("mistral", "Invalid API Key", Fault::AuthRefused),
        ("mistral", "Logprobs are not enabled", Fault::BadRequest),
        ("openrouter", "rate-limited upstream", Fault::Overloaded),
        ("venice", "Specified model not found", Fault::ModelMissing),
        ("xai", "Model not found: grok-nonexistent", Fault::ModelMissing),
    ];
    let mut met = vec![false; well_known.len()];
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (dialect, _, provider, exchange) in exchanges() {
        if exchange["status"].as_u64().is_none_or(|status| status < 400) {
            continue;
        }
        let finding =
            find(&provider, dialect, &exchange["status"], &exchange["resp_headers"], &exchange["resp"]);
        *counts.entry(finding.fault.name()).or_default() += 1;
        let body = text_of(&exchange["resp"]);
        assert_ne!(finding.fault, Fault::Protocol, "{body}");
        assert!(finding.message.is_some(), "no sentence found in {body}");
        for ((name, text, fault), met) in well_known.iter().zip(&mut met) {
            if *name == provider && body.contains(text) {
                assert_eq!(finding.fault, *fault, "{body}");
                *met = true;
            }
        }
    }
    for (fault, count) in &counts {
        println!("{count:5} {fault}");
    }
    for ((name, text, _), met) in well_known.iter().zip(met).filter(|_| !counts.is_empty()) {
        assert!(met, "{name}: nothing recorded says {text:?}");
    }
}

#[test]
fn every_recorded_stream_is_rejoined_and_metered() {
    let mut metered: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (dialect, operation, provider, exchange) in exchanges() {
        let Some(stream) = exchange["resp"].as_str().filter(|_| exchange["stream"] == true) else { continue };
        // Compressed, and lost by whoever recorded it.
        if stream.starts_with("<binary") {
            continue;
        }
        let name = format!("{provider} {} {}", exchange["src"], exchange["i"]);
        let framing = if stream.starts_with('[') { Framing::JsonArray } else { Framing::Sse };
        let seen = check_splits(&name, dialect, operation, framing, stream.as_bytes());
        assert!(!seen.beats.contains('!'), "{name}: {}", seen.beats);
        let failed = seen.beats.contains('E');
        if !failed {
            assert_ne!(seen.ending, Ending::Truncated, "{name}: {}", seen.beats);
        }
        let count = metered.entry(dialect.name()).or_default();
        count.0 += 1;
        count.1 += usize::from(check_usage(&name, dialect, stream, seen.usage));
    }
    for (dialect, (streams, metered)) in metered {
        println!("{dialect}: {streams} streams, {metered} with usage");
        assert!(metered * 10 >= streams * 8, "{dialect}: only {metered} of {streams} tell their usage");
    }
}

#[test]
fn every_recorded_answer_is_metered() {
    let mut metered: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (dialect, operation, provider, exchange) in exchanges() {
        // What was not recorded as JSON is an echo or compressed.
        if exchange["stream"] == true || exchange["status"] != 200 || !exchange["resp"].is_object() {
            continue;
        }
        let body = text_of(&exchange["resp"]);
        let name = format!("{provider} {} {}", exchange["src"], exchange["i"]);
        let facts = meter::reply(dialect, operation, body.as_bytes());
        assert!(facts.whole, "{name}: {body:.80}");
        // One says what it was asked, and is not an answer.
        assert_eq!(facts.in_band.is_some(), name.contains("invalid_response"), "{name}: {:?}", facts.in_band);
        let count = metered.entry(dialect.name()).or_default();
        count.0 += 1;
        count.1 += usize::from(check_usage(&name, dialect, &body, facts.usage));
    }
    for (dialect, (answers, metered)) in metered {
        println!("{dialect}: {answers} answers, {metered} with usage");
        assert!(metered * 10 >= answers * 8, "{dialect}: only {metered} of {answers} tell their usage");
    }
}

#[test]
fn every_recorded_list_of_events_is_watched() {
    let Some(folder) = shared() else { return };
    let mut watched = 0;
    let mut files: Vec<_> = fs::read_dir(folder.join("streams"))
        .expect("readable")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    for file in files {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).expect("readable");
        let Some((dialect, operation)) = text.lines().next().and_then(spoken_in) else { continue };
        let mut stream: String = text.lines().map(|line| framed(dialect, line)).collect();
        if dialect == Dialect::OpenAi {
            stream.push_str("data: [DONE]\n\n");
        }
        let seen = watch(dialect, operation, Framing::Sse, [stream.as_bytes()]);
        assert_eq!(seen.raw, stream.as_bytes());
        assert!(!seen.beats.contains('!'), "{name}: {}", seen.beats);
        assert!(
            seen.beats.contains('c') || seen.beats.contains('E') || name.contains("refusal"),
            "{name}: {}",
            seen.beats
        );
        let out_of_money = name.contains("openai-error");
        assert_eq!(seen.beats.contains("E(quota_exhausted)"), out_of_money, "{name}: {}", seen.beats);
        watched += 1;
    }
    println!("{watched} lists of events watched");
    assert!(watched > 50);
}

/// The dialect of an event, by its own look.
fn spoken_in(line: &str) -> Option<(Dialect, Operation)> {
    let event: Value = serde_json::from_str(line).ok()?;
    match event["type"].as_str() {
        Some("message_start") if event["message"]["usage"].is_object() => {
            Some((Dialect::Anthropic, Operation::Messages))
        }
        Some(name) if name.starts_with("response.") => Some((Dialect::Responses, Operation::Responses)),
        None if event["choices"].is_array() => Some((Dialect::OpenAi, Operation::Chat)),
        None if event["candidates"].is_array() => Some((Dialect::Gemini, Operation::StreamGenerate)),
        _ => None,
    }
}

fn framed(dialect: Dialect, line: &str) -> String {
    let event: Value = serde_json::from_str(line).unwrap_or_default();
    match (dialect, event["type"].as_str()) {
        (Dialect::Anthropic | Dialect::Responses, Some(name)) => format!("event: {name}\ndata: {line}\n\n"),
        (Dialect::Gemini, _) => format!("data: {line}\r\n\r\n"),
        _ => format!("data: {line}\n\n"),
    }
}
