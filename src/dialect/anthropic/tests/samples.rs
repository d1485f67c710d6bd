//! Golden files: the canonical samples in this dialect, and what they mean when they are read again.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use super::{read_stream, write_stream};
use crate::dialect::Dialect;
use crate::dialect::anthropic::{reply, request};
use crate::dialect::hub::samples::{self, manner, terms};
use crate::dialect::hub::{
    Ask, CallKind, Content, Event, Extras, Family, Format, Losses, Part, Reply, Role, Stop, Turn,
};
use crate::dialect::quirks::Quirks;
use crate::dialect::tree;

/// Compares with the golden file, or writes it.
fn golden(sample: &str, file: &str, bytes: &[u8]) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dialect/pairs").join(sample);
    let path = folder.join(file);
    if std::env::var_os("MAINSTAY_BLESS").is_some() {
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(&path, bytes).expect("writable");
    }
    let expected = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(
        String::from_utf8_lossy(bytes),
        String::from_utf8_lossy(&expected),
        "{} differs; MAINSTAY_BLESS=1 writes it again",
        path.display()
    );
}

/// The names of what is lost, and `!` when the request is refused.
fn losses_of(sample: &str) -> &'static str {
    match sample {
        "sampling" => {
            "service_tier n seed presence_penalty frequency_penalty logit_bias logprobs prompt_cache_key"
        }
        "audio" => "!",
        "json" => "response_format",
        _ => "",
    }
}

#[test]
fn requests_are_as_their_golden_files_say() {
    for (name, ask) in samples::asks() {
        let mut losses = Losses::default();
        let mut body = Vec::new();
        request::write(&ask, &terms(Family::Anthropic, &Quirks::COMPATIBLE), &mut losses, &mut body);
        let lost = if losses.fatal().is_some() { "!".to_owned() } else { losses.names().join(" ") };
        assert_eq!(lost, losses_of(name), "{name}");
        if losses.fatal().is_some() {
            continue;
        }
        golden(name, "ask.anthropic.json", &body);
        let root = tree::parse(&body).expect("JSON");
        let again = request::read(&root).map_err(|wrong| wrong.place(&root)).expect("a sound request");
        assert_eq!(again, expected_ask(name, ask), "{name}");
    }
}

/// The sample without what is lost.
fn expected_ask<'a>(name: &str, ask: Ask<'a>) -> Ask<'a> {
    let mut ask = Ask { dialect: Dialect::Anthropic, ..ask };
    (ask.n, ask.seed, ask.presence_penalty, ask.frequency_penalty) = (None, None, None, None);
    (ask.logit_bias, ask.logprobs, ask.tier, ask.cache_key) = (None, None, None, None);
    match &mut ask.format {
        Some(Format::Json) => {
            let told = "Answer with one JSON object and nothing else: no explanation and no code fence.";
            ask.turns.insert(0, Turn::new(Role::System, vec![Part::text(told)]));
            ask.format = None;
        }
        Some(Format::Schema { name, strict, .. }) => (*name, *strict) = (None, None),
        None => {}
    }
    if name == "reasoning" {
        ask.reasoning.adaptive = true;
    }
    let mut turns: Vec<Turn<'a>> = Vec::new();
    for turn in ask.turns {
        match turns.last_mut() {
            Some(last) if last.role == turn.role => last.parts.extend(turn.parts),
            _ => turns.push(turn),
        }
    }
    Ask { turns, ..ask }
}

#[test]
fn replies_are_as_their_golden_files_say() {
    for (name, reply) in samples::replies() {
        let mut body = Vec::new();
        reply::write(&reply, &manner(), &mut body);
        golden(name, "reply.anthropic.json", &body);
        let root = tree::parse(&body).expect("JSON");
        assert_eq!(reply::read(&root).expect("a sound answer"), expected_reply(reply), "{name}");
    }
}

/// A refusal is text here, and a filter a refusal; ids of others are not told.
fn expected_reply(reply: Reply<'_>) -> Reply<'_> {
    let mut reply = Reply {
        dialect: Dialect::Anthropic,
        id: "msg_n0nce".into(),
        created: None,
        extras: Extras::default(),
        ..reply
    };
    for choice in &mut reply.choices {
        if choice.stop == Stop::Filter {
            choice.stop = Stop::Refusal;
        }
        for part in &mut choice.parts {
            if let Content::Refusal(text) = &part.content {
                part.content = Content::Text(text.clone());
            }
        }
    }
    reply
}

#[test]
fn streams_are_as_their_golden_files_say() {
    for (name, events) in samples::streams() {
        let bytes = write_stream(&events);
        golden(name, "stream.anthropic.txt", &bytes);
        let mut expected = String::new();
        for event in expected_events(name, events) {
            let _ = writeln!(expected, "{event:?}");
        }
        let mut seen = String::new();
        read_stream(&bytes, &mut |events| {
            for event in events {
                let _ = writeln!(seen, "{event:?}");
            }
        });
        assert_eq!(seen, expected, "{name}");
    }
}

/// The dialect says neither when it answered nor ids of others, and says one block after the other.
fn expected_events<'a>(name: &str, mut events: Vec<Event<'a>>) -> Vec<Event<'a>> {
    if let Some(Event::Start { id, created, .. }) = events.first_mut() {
        *id = "msg_n0nce".into();
        *created = 0;
    }
    if name == "interleaved" {
        events.sort_by_key(|event| match event {
            Event::Start { .. } => 0,
            Event::Open { block, .. } | Event::Delta { block, .. } | Event::Close { block, .. } => 1 + *block,
            Event::Finish { .. } | Event::Usage(_) | Event::Vendor { .. } | Event::End => 9,
        });
        assert!(events.iter().any(|event| matches!(event, Event::Open { kind, .. } if is_function(kind))));
    }
    events
}

fn is_function(kind: &crate::dialect::hub::Block<'_>) -> bool {
    matches!(kind, crate::dialect::hub::Block::Call { kind: CallKind::Function, .. })
}
