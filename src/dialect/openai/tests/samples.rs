//! The canonical samples: as golden files, which all pairs of dialects are checked against, and back.

use std::fs;
use std::path::PathBuf;

use super::{asked, frames, heard, said};
use crate::dialect::Dialect;
use crate::dialect::hub::samples::{self, manner, terms};
use crate::dialect::hub::{Ask, Content, Event, Extras, Family, Losses, Reasoning, Reply, Terms};
use crate::dialect::openai::{reply, request};
use crate::dialect::quirks::{Quirks, ReasoningBack};
use crate::dialect::tree;

/// A relay to Claude, which takes its marks and its reasoning.
const RELAY: Quirks = Quirks { reasoning_back: ReasoningBack::Details, ..Quirks::COMPATIBLE };

/// Most are asked of OpenAI itself.
fn terms_for(name: &str) -> Terms<'static> {
    let terms = match name {
        "reasoning_back" | "cache" => terms(Family::Anthropic, &RELAY),
        _ => terms(Family::OpenAi, &Quirks::OPENAI),
    };
    Terms { ask_usage: true, ..terms }
}

fn check(sample: &str, file: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/dialect/pairs")
        .join(sample)
        .join(file);
    if std::env::var_os("MAINSTAY_BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(text, golden, "{}: bless with MAINSTAY_BLESS=1 if this is right", path.display());
}

/// What gets lost of a sample, and what is left of it.
fn expected_ask<'a>(name: &str, mut ask: Ask<'a>) -> (Vec<&'static str>, Ask<'a>) {
    ask.dialect = Dialect::OpenAi;
    let lost = match name {
        "sampling" => {
            ask.top_k = None;
            vec!["top_k"]
        }
        "reasoning" => {
            ask.reasoning = Reasoning { summary: None, ..ask.reasoning };
            vec!["reasoning.summary"]
        }
        "tool_results" => {
            for part in ask.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
                if let Content::Outcome(outcome) = &mut part.content {
                    outcome.is_error = None;
                }
            }
            vec![]
        }
        _ => vec![],
    };
    (lost, ask)
}

#[test]
fn sample_requests_are_said_and_read_again() {
    for (name, ask) in samples::asks() {
        let (text, losses) = asked(&ask, &terms_for(name));
        check(name, "ask.openai.json", &(text.clone() + "\n"));
        let (lost, expected) = expected_ask(name, ask);
        assert_eq!(
            (losses.names(), losses.fatal()),
            (&lost.iter().map(|n| (*n).into()).collect::<Vec<_>>()[..], None)
        );
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let read = request::read(&root).expect("a sound request");
        assert_eq!(read, expected, "{name}: {text}");
        // And once more, as a caller of this dialect would have it.
        let (again, losses) = asked(&read, &terms_for(name));
        assert_eq!((again, losses), (text.clone(), Losses::default()), "{name}");
    }
}

#[test]
fn sample_answers_are_said_and_read_again() {
    for (name, said) in samples::replies() {
        let mut out = Vec::new();
        reply::write(&said, &manner(), &mut out);
        let text = String::from_utf8(out).expect("text");
        check(name, "reply.openai.json", &(text.clone() + "\n"));
        let expected = Reply {
            dialect: Dialect::OpenAi,
            id: "chatcmpl-abc123".into(),
            extras: Extras::default(),
            ..said
        };
        let root = tree::parse(text.as_bytes()).expect("JSON");
        assert_eq!(reply::read(&root).expect("a sound answer"), expected, "{name}: {text}");
    }
}

#[test]
fn sample_streams_are_said_and_heard_again() {
    for (name, mut events) in samples::streams() {
        let text = said(&events);
        check(name, "stream.openai.txt", &text);
        if let Some(Event::Start { id, .. }) = events.first_mut() {
            *id = "chatcmpl-abc123".into();
        }
        let expected: Vec<_> = events.iter().map(|event| format!("{event:?}")).collect();
        assert_eq!(heard(frames(&text)), expected, "{name}: {text}");
    }
}
