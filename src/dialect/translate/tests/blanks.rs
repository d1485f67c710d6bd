//! Turns that say nothing: chat takes them, and most others refuse them.

use serde_json::{Value, json};

use super::{CALLERS, MODEL, generation, read, terms, write};
use crate::dialect::hub::{Content, Mode, Role};
use crate::dialect::tree;
use crate::dialect::{Dialect, Operation};

/// Who says what in a request, by the reader of its dialect: `user: a`.
fn script(dialect: Dialect, body: &[u8]) -> Vec<String> {
    let operation = generation(dialect, Mode::Whole).expect("it generates");
    let root = tree::parse(body).expect("JSON");
    let ask = read(dialect, operation, MODEL, &root).expect("a request");
    let role = |role| match role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let said = ask.turns.iter().flat_map(|turn| turn.parts.iter().map(move |part| (turn.role, part)));
    said.map(|(speaker, part)| match &part.content {
        Content::Text(text) => format!("{}: {text}", role(speaker)),
        other => format!("{}: {other:?}", role(speaker)),
    })
    .collect()
}

fn check(from: Dialect, asked: &Value, to: Dialect, expected: &[&str]) {
    let body = asked.to_string();
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let operation = generation(from, Mode::Whole).expect("it generates");
    let mut ask = read(from, operation, MODEL, &root).expect("a request");
    let written = write(&mut ask, to, &terms(to)).expect("a pair");
    assert_eq!(script(to, &written.body), expected, "{from} -> {to}: {}", written.body.escape_ascii());
    assert_eq!((written.losses.names(), written.losses.fatal()), (&[][..], None), "{from} -> {to}");
}

fn chat(messages: &[(&str, &str)]) -> Value {
    let message = |(role, content): &(&str, &str)| json!({"role": role, "content": content});
    json!({"model": MODEL, "messages": messages.iter().map(message).collect::<Vec<_>>()})
}

#[test]
fn nobody_is_sent_a_turn_that_says_nothing() {
    for to in CALLERS.into_iter().filter(|to| *to != Dialect::OpenAi) {
        let silent = chat(&[("user", "a"), ("assistant", ""), ("user", "b")]);
        check(Dialect::OpenAi, &silent, to, &["user: a", "user: b"]);
        for blank in ["", " \n"] {
            check(Dialect::OpenAi, &chat(&[("user", blank)]), to, &["user: ."]);
            check(Dialect::OpenAi, &chat(&[("system", "s"), ("user", blank)]), to, &["system: s", "user: ."]);
        }
        check(Dialect::OpenAi, &chat(&[("system", "s")]), to, &["system: s", "user: ."]);
        // The model has spoken, and is not to go on with that.
        let goes_on = chat(&[("user", "a"), ("assistant", "b"), ("user", "")]);
        check(Dialect::OpenAi, &goes_on, to, &["user: a", "assistant: b", "user: ."]);
        if to != Dialect::Gemini {
            let empty = json!({"contents": [{"role": "user", "parts": [{"text": ""}]}]});
            check(Dialect::Gemini, &empty, to, &["user: ."]);
        }
    }
}

#[test]
fn whoever_takes_them_is_sent_them() {
    for to in [Dialect::Ollama, Dialect::OpenAi] {
        let body = json!({"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": ""}]})
            .to_string();
        let root = tree::parse(body.as_bytes()).expect("JSON");
        let mut ask = read(Dialect::Anthropic, Operation::Messages, MODEL, &root).expect("a request");
        let written = write(&mut ask, to, &terms(to)).expect("a pair");
        let sent: Value = serde_json::from_slice(&written.body).expect("JSON");
        assert_eq!(sent["messages"], json!([{"role": "user", "content": ""}]), "{to}");
    }
}
