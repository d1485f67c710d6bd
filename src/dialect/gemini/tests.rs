//! The samples of the hub as Google says them, and back.
//!
//! `MAINSTAY_BLESS=1` writes the golden files anew: read them before they are committed.

mod laws;
mod recordings;
mod requests;
mod streams;

use std::fs;
use std::path::PathBuf;

use super::{reply, request, stream};
use crate::dialect::framing::{Framing, Splitter};
use crate::dialect::hub::{
    Ask, Block, Content, Delta, Event, Family, Format, Losses, Manner, Mode, Part, Reply, Role, Source, Stop,
    Turn, samples,
};
use crate::dialect::quirks::Quirks;
use crate::dialect::{Dialect, tree};

/// Compares with the golden file, or writes it.
fn check_golden(sample: &str, file: &str, said: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/dialect/pairs")
        .join(sample)
        .join(file);
    if std::env::var_os("MAINSTAY_BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        fs::write(&path, said).expect("writable");
    }
    let golden = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(String::from_utf8_lossy(said), String::from_utf8_lossy(&golden), "{}", path.display());
}

fn written(ask: &Ask<'_>) -> (Vec<u8>, Losses) {
    let (mut losses, mut out) = (Losses::default(), Vec::new());
    let terms = samples::terms(Family::Gemini, &Quirks::COMPATIBLE);
    request::write(ask, &terms, &mut losses, &mut out);
    (out, losses)
}

fn told(reply: &Reply<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    reply::write(reply, &samples::manner(), &mut out);
    out
}

/// The stream's bytes as they go to a caller.
fn streamed(events: &[Event<'_>], manner: Manner) -> Vec<u8> {
    let mut writer = stream::Writer::new(manner);
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    out
}

/// What a stream's bytes mean, with a word for each event.
fn heard(bytes: &[u8], framing: Framing) -> Vec<String> {
    let mut splitter = Splitter::new(framing);
    splitter.push(bytes.to_vec().into());
    let mut reader = stream::Reader::default();
    let mut words = Vec::new();
    let mut frames = Vec::new();
    while let Some(frame) = splitter.next().expect("framed") {
        frames.push(frame);
    }
    frames.extend(splitter.leftover());
    for data in frames.iter().filter_map(|frame| frame.data()) {
        let root = tree::parse(data).expect("JSON");
        let mut events = Vec::new();
        reader.read(None, &root, &mut events).expect("a chunk");
        words.extend(events.iter().map(|event| format!("{event:?}")));
    }
    let mut events = Vec::new();
    reader.end(&mut events);
    words.extend(events.iter().map(|event| format!("{event:?}")));
    words.push(format!("{:?}", Event::End));
    words
}

// ---- what Google can say of it ---------------------------------------------------------------

fn as_google_asks(mut ask: Ask<'static>) -> Ask<'static> {
    ask.dialect = Dialect::Gemini;
    ask.model = "".into();
    ask.mode = Mode::Whole;
    (ask.user, ask.cache_key, ask.logit_bias, ask.parallel_tools) = (None, None, None, None);
    if let Some(Format::Schema { name, strict, .. }) = &mut ask.format {
        (*name, *strict) = (None, None);
    }
    let mut turns: Vec<Turn<'static>> = Vec::new();
    for mut turn in ask.turns {
        turn.parts.retain(is_googles);
        turn.parts.iter_mut().for_each(as_google_holds);
        match turns.last_mut().filter(|last| last.role == turn.role && turn.role != Role::System) {
            Some(last) => last.parts.extend(turn.parts),
            None => turns.push(turn),
        }
    }
    ask.turns = turns;
    ask
}

/// Thoughts go back only to whom they belong.
fn is_googles(part: &Part<'_>) -> bool {
    match &part.content {
        Content::Thought(thought) => thought.signature.as_ref().is_some_and(|s| s.family == Family::Gemini),
        _ => true,
    }
}

fn as_google_holds(part: &mut Part<'static>) {
    part.cache = None;
    match &mut part.content {
        Content::Image(media) | Content::File(media) => {
            media.name = None;
            if matches!(media.source, Source::Url(_)) {
                media.mime = Some("image/png".into());
            }
        }
        Content::Thought(thought) => thought.is_summary = true,
        Content::Refusal(text) => part.content = Content::Text(text.clone()),
        _ => {}
    }
}

fn as_google_replies(mut reply: Reply<'static>) -> Reply<'static> {
    reply.dialect = Dialect::Gemini;
    reply.created = None;
    if let Some(usage) = &mut reply.usage {
        usage.cache_write = 0;
    }
    for choice in &mut reply.choices {
        choice.parts.iter_mut().for_each(as_google_holds);
        if choice.stop == Stop::Refusal {
            choice.stop = Stop::Filter;
        }
    }
    reply
}

/// Calls come whole, at the place where they are closed.
fn as_google_streams(events: Vec<Event<'static>>) -> Vec<String> {
    let mut calls: Vec<(u32, Block<'static>, Option<Delta<'static>>, String)> = Vec::new();
    let (mut out, mut next, mut current) = (Vec::new(), 0, 0);
    let mut open = |kind: Block<'static>, out: &mut Vec<Event<'static>>| {
        out.push(Event::Open { choice: 0, block: next, kind });
        next += 1;
        next - 1
    };
    for event in events {
        match event {
            Event::Start { id, model, .. } => out.push(Event::Start { id, model, created: 0 }),
            Event::Open { block, kind: kind @ Block::Call { .. }, .. } => {
                calls.push((block, kind, None, String::new()));
            }
            Event::Open { kind: Block::Thought { is_redacted, id, .. }, .. } => {
                current = open(Block::Thought { is_summary: true, is_redacted, id }, &mut out);
            }
            Event::Open { kind, .. } => current = open(kind, &mut out),
            Event::Delta { block, delta: Delta::Arguments(text), .. } => {
                calls.iter_mut().filter(|call| call.0 == block).for_each(|call| call.3.push_str(&text));
            }
            Event::Delta { block, delta: delta @ Delta::Signature(_), .. }
                if calls.iter().any(|call| call.0 == block) =>
            {
                calls.iter_mut().filter(|call| call.0 == block).for_each(|call| call.2 = Some(delta.clone()));
            }
            Event::Delta { delta, .. } => out.push(Event::Delta { choice: 0, block: current, delta }),
            Event::Close { block, .. } => {
                if let Some(at) = calls.iter().position(|call| call.0 == block) {
                    let (_, kind, signature, arguments) = calls.remove(at);
                    current = open(kind, &mut out);
                    let deltas = signature.into_iter().chain([Delta::Arguments(arguments.into())]);
                    out.extend(deltas.map(|delta| Event::Delta { choice: 0, block: current, delta }));
                }
                out.push(Event::Close { choice: 0, block: current });
            }
            other => out.push(other),
        }
    }
    out.iter().map(|event| format!("{event:?}")).collect()
}

// ---- the samples -----------------------------------------------------------------------------

#[test]
fn every_sample_ask_is_said_and_means_the_same() {
    for (name, ask) in samples::asks() {
        let (body, losses) = written(&ask);
        check_golden(name, "ask.gemini.json", &body);
        assert_eq!(losses.fatal(), None, "{name}");
        let lost: &[&str] = match name {
            "sampling" => &["logit_bias", "user", "prompt_cache_key"],
            "tool_forced" => &["parallel_tool_calls"],
            "cache" => &["cache_control"],
            _ => &[],
        };
        assert_eq!(losses.names(), lost, "{name}");
        let root = tree::parse(&body).expect("JSON");
        assert_eq!(request::read(&root).expect(name), as_google_asks(ask), "{name}");
    }
}

#[test]
fn every_sample_reply_is_said_and_means_the_same() {
    for (name, reply) in samples::replies() {
        let body = told(&reply);
        check_golden(name, "reply.gemini.json", &body);
        let root = tree::parse(&body).expect("JSON");
        assert_eq!(reply::read(&root).expect(name), as_google_replies(reply), "{name}");
    }
}

#[test]
fn every_sample_stream_is_said_and_means_the_same() {
    for (name, events) in samples::streams() {
        let bytes = streamed(&events, samples::manner());
        check_golden(name, "stream.gemini.txt", &bytes);
        let array = Manner { framing: Framing::JsonArray, ..samples::manner() };
        let listed = streamed(&events, array);
        let items: serde_json::Value = serde_json::from_slice(&listed).expect("one JSON array");
        assert!(items.as_array().is_some_and(|items| items.len() > 1), "{name}");
        assert_eq!(heard(&listed, Framing::JsonArray), heard(&bytes, Framing::Sse), "{name}");
        assert_eq!(heard(&bytes, Framing::Sse), as_google_streams(events), "{name}");
    }
}
