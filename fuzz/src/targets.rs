//! What is fuzzed: one function for each kind of input that comes from outside, each of which takes bytes
//! and panics where a law is broken.
//!
//! `fuzz_targets/` hands them to libFuzzer; `tests/it/hammer` includes this file as it is and runs them over
//! mutated fixtures on a stable compiler. So it names nothing but `mainstay`, `bytes`, `http` and the
//! standard library.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use mainstay::config::{self, Env};
use mainstay::dialect::hub::{Family, Keeping, Manner, Renamed, Stops, Terms};
use mainstay::dialect::quirks::Quirks;
use mainstay::dialect::watch::Watch;
use mainstay::dialect::{
    Dialect, Frame, Framing, Operation, Splitter, classify, entry, meter, provider, scan, translate, tree,
};
use mainstay::vocab::Facts;

/// Takes bytes, and panics where a law is broken.
pub type Target = fn(&[u8]);

/// Every target by its name, as `cargo fuzz run` knows it.
pub const TARGETS: &[(&str, Target)] = &[
    ("ask", |data| with_dialect(data, ask)),
    ("reply", |data| with_dialect(data, reply)),
    ("stream", |data| with_dialect(data, stream)),
    ("framing", framing),
    ("json", json),
    ("config", config),
];

/// Runs the target of that name.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of that name");
    target(data);
}

/// The dialects of callers.
pub const CALLERS: [Dialect; 6] = [
    Dialect::OpenAi,
    Dialect::Responses,
    Dialect::Anthropic,
    Dialect::Gemini,
    Dialect::Cohere,
    Dialect::Bedrock,
];

const FRAMINGS: [Framing; 4] = [Framing::Sse, Framing::JsonArray, Framing::Lines, Framing::EventStream];

/// A long input is cut at this many places only.
const MOST_CUTS: usize = 24;

/// The first byte tells the dialect.
fn with_dialect(data: &[u8], target: fn(Dialect, &[u8])) {
    if let Some((first, rest)) = data.split_first() {
        let dialects = translate::GENERATING;
        target(dialects[usize::from(*first) % dialects.len()], rest);
    }
}

/// A request: what intake reads of it, and its way into every dialect. What is written has to be JSON.
pub fn ask(from: Dialect, body: &[u8]) {
    let operation = generation(from);
    if let Some(path) = path_of(from) {
        let entry = entry::find(&Method::POST, path, None, &HeaderMap::new()).expect("a way in");
        drop(scan::scan(&entry, Some("application/json"), body));
    }
    let Ok(root) = tree::parse(body) else { return };
    for to in translate::GENERATING {
        for (family, quirks) in [(Family::Other, &Quirks::COMPATIBLE), (Family::OpenAi, &Quirks::OPENAI)] {
            let Ok(mut ask) = translate::read(from, operation, "m", &root) else { return };
            drop(translate::echo(&ask, Dialect::Responses));
            let _ = translate::abilities(&ask);
            let facts = Facts::default();
            let terms = Terms { model: "m", like: None, facts, family, quirks, ask_usage: true, nonce: "0" };
            let Some(written) = translate::write(&mut ask, to, &terms) else { continue };
            assert_json(&written.body, from, to);
        }
    }
}

/// An answer in one piece: what is counted in it, what it says as an error, and its way into the dialects
/// of all callers.
pub fn reply(from: Dialect, body: &[u8]) {
    drop(meter::reply(from, generation(from), body));
    for status in [StatusCode::BAD_REQUEST, StatusCode::TOO_MANY_REQUESTS, StatusCode::INTERNAL_SERVER_ERROR]
    {
        let provider = provider::find("custom").expect("a row of the table");
        drop(classify::classify(provider, from, status, &HeaderMap::new(), body, Duration::from_secs(1)));
    }
    for to in CALLERS {
        if let Ok(said) = translate::reply(from, to, body, &manner(Framing::Sse)) {
            assert_json(&said, from, to);
        }
    }
}

/// A stream: however it is cut, its events are the same, and every caller hears the same.
pub fn stream(from: Dialect, bytes: &[u8]) {
    for framing in framings_of(from) {
        let frames = frames(framing, &[bytes]);
        for chunks in cuts(bytes).into_iter().take(4) {
            assert_same(&frames, &self::frames(framing, &chunks), framing);
        }
        let mut watch = Watch::new(from, streaming(from), framing);
        for frame in &frames.0 {
            drop(watch.frame(frame));
        }
        let _ = (watch.end(), watch.usage());
        for to in CALLERS {
            for said_in in if to == Dialect::Gemini { &FRAMINGS[..2] } else { &FRAMINGS[..1] } {
                translated(from, to, *said_in, &frames.0);
            }
        }
    }
}

/// Says every event to a caller, whose dialect has to be able to read it.
fn translated(from: Dialect, to: Dialect, said_in: Framing, frames: &[Frame]) {
    let Some(mut translation) = translate::Stream::new(from, to, manner(said_in)) else { return };
    let mut said: Vec<u8> = Vec::new();
    for frame in frames {
        if let Ok(bytes) = translation.frame(frame) {
            said.extend_from_slice(&bytes);
        }
    }
    let _ = translation.next_sequence();
    let Ok(end) = translation.end() else { return };
    said.extend_from_slice(&end);
    let framing = if to == Dialect::Bedrock { Framing::EventStream } else { said_in };
    let (events, whole) = self::frames(framing, &[&said]);
    assert!(whole, "{from} to {to}: what was said cannot be framed: {}", said.escape_ascii());
    for event in &events {
        let Some(data) = event.data() else { continue };
        if !data.is_empty() && data != b"[DONE]" {
            assert_json(data, from, to);
        }
    }
}

/// Bytes in every framing: joined again they are the same, wherever they were cut.
pub fn framing(bytes: &[u8]) {
    for framing in FRAMINGS {
        let whole = frames(framing, &[bytes]);
        if whole.1 {
            let raw: Vec<u8> = whole.0.iter().flat_map(|frame| frame.raw.to_vec()).collect();
            assert_eq!(raw, bytes, "{framing:?}: a frame lost bytes, or made some up");
        }
        for chunks in cuts(bytes) {
            assert_same(&whole, &frames(framing, &chunks), framing);
        }
    }
}

/// JSON as translation reads it. What is whole can be found again by its text.
pub fn json(body: &[u8]) {
    let Ok(root) = tree::parse(body) else { return };
    walk(&root);
}

fn walk(node: &tree::Node<'_>) {
    let again = tree::parse(node.raw().as_bytes()).expect("a part of JSON is JSON");
    assert_eq!(again.raw(), node.raw());
    if node.is_object() || node.is_array() {
        let wrong = node.wrong("x").place(node);
        assert!(wrong.path.is_empty(), "the way to itself is {}", wrong.path);
    }
    // Not all of them: each is read again, and so are those below it.
    for child in node.elements().iter().chain(node.members().iter().map(|(_, value)| value)).take(8) {
        walk(child);
    }
}

/// A configuration file.
pub fn config(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        drop(config::load(text, &Nobody));
    }
}

struct Nobody;

impl Env for Nobody {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("there are no files".to_owned())
    }
}

/// The frames, and whether there were any bytes left that make none.
fn frames(framing: Framing, chunks: &[&[u8]]) -> (Vec<Frame>, bool) {
    let mut splitter = Splitter::new(framing);
    let mut frames = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk));
        loop {
            match splitter.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, false),
            }
        }
    }
    frames.extend(splitter.leftover());
    (frames, true)
}

/// The bytes cut in two, at every place of short ones, and byte by byte.
fn cuts(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let stride = (bytes.len() / MOST_CUTS).max(1);
    let mut cuts: Vec<Vec<&[u8]>> = (0..bytes.len())
        .step_by(stride)
        .map(|at| bytes.split_at(at))
        .map(|(head, tail)| vec![head, tail])
        .collect();
    if bytes.len() <= 4_096 {
        cuts.push(bytes.chunks(1).collect());
    }
    cuts
}

/// The LF of a CRLF may open a frame of its own, which says nothing.
fn assert_same(one: &(Vec<Frame>, bool), other: &(Vec<Frame>, bool), framing: Framing) {
    let said = |(frames, whole): &(Vec<Frame>, bool)| {
        let said = |frame: &Frame| {
            let data = frame.data()?.to_vec();
            Some((frame.event().map(<[u8]>::to_vec), data))
        };
        (frames.iter().filter_map(said).collect::<Vec<_>>(), *whole)
    };
    assert_eq!(said(one), said(other), "{framing:?}: the place of a cut makes a difference");
}

/// What came in nearly as deep as we read may stand some levels deeper where it goes.
fn assert_json(said: &[u8], from: Dialect, to: Dialect) {
    if let Err(wrong) = tree::parse(said)
        && !wrong.to_string().contains("levels of nesting")
    {
        panic!("{from} to {to}: {wrong} in {}", said.escape_ascii());
    }
}

fn manner(framing: Framing) -> Manner {
    Manner {
        model: "m".to_owned(),
        nonce: "0".to_owned(),
        now: 1_790_000_000,
        usage_wanted: true,
        family: Family::Other,
        framing,
        echo: String::new(),
        keeping: Keeping::Passing,
        renamed: Renamed::default(),
        stops: Stops::default(),
    }
}

fn framings_of(dialect: Dialect) -> Vec<Framing> {
    match dialect {
        Dialect::Gemini => vec![Framing::Sse, Framing::JsonArray],
        Dialect::Bedrock => vec![Framing::EventStream],
        Dialect::Ollama => vec![Framing::Lines],
        Dialect::OpenAi | Dialect::Responses | Dialect::Anthropic | Dialect::Cohere | Dialect::Http => {
            vec![Framing::Sse]
        }
    }
}

fn generation(dialect: Dialect) -> Operation {
    match dialect {
        Dialect::OpenAi => Operation::Chat,
        Dialect::Responses => Operation::Responses,
        Dialect::Anthropic => Operation::Messages,
        Dialect::Gemini => Operation::Generate,
        Dialect::Cohere => Operation::CohereChat,
        Dialect::Bedrock => Operation::Converse,
        Dialect::Ollama => Operation::OllamaChat,
        Dialect::Http => Operation::Opaque,
    }
}

fn streaming(dialect: Dialect) -> Operation {
    match generation(dialect) {
        Operation::Generate => Operation::StreamGenerate,
        Operation::Converse => Operation::ConverseStream,
        other => other,
    }
}

fn path_of(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::OpenAi => Some("/v1/chat/completions"),
        Dialect::Responses => Some("/v1/responses"),
        Dialect::Anthropic => Some("/v1/messages"),
        Dialect::Gemini => Some("/v1beta/models/m:generateContent"),
        Dialect::Cohere => Some("/cohere/v2/chat"),
        Dialect::Bedrock => Some("/bedrock/model/m/converse"),
        Dialect::Ollama | Dialect::Http => None,
    }
}
