//! What comes behind a reason to end.

use bytes::Bytes;

use super::CALLERS;
use super::gist::{Gist, differences};
use super::streams::{frames, hear, translated};
use crate::dialect::Dialect;

const USAGE: &str =
    r#"{"id":"a","model":"m","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5}}"#;

fn told(stream: &[&str]) -> Vec<(Dialect, Gist)> {
    let bytes: String = stream.iter().flat_map(|data| ["data: ", data, "\n\n"]).collect();
    let frames = frames(Dialect::OpenAi, [&Bytes::from(bytes)[..]]);
    let others = CALLERS.into_iter().filter(|to| *to != Dialect::OpenAi);
    others.map(|to| (to, hear(to, &translated(Dialect::OpenAi, to, &frames)))).collect()
}

fn chunk(delta: &str, finish: &str) -> String {
    format!(r#"{{"id":"a","model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#)
}

/// Everybody hears the same of both.
fn same(one: &[String], other: &[String]) {
    let of = |stream: &[String]| told(&stream.iter().map(String::as_str).collect::<Vec<_>>());
    for ((to, one), (_, other)) in of(one).iter().zip(&of(other)) {
        let found = differences(one, other);
        assert!(found.is_empty(), "{to}: {found:?}");
    }
}

#[test]
fn a_text_behind_a_first_reason_to_end_is_told_as_well() {
    let early = [
        chunk(r#"{"content":"The "}"#, r#""stop""#),
        chunk(r#"{"content":"answer is 42."}"#, r#""length""#),
        USAGE.to_owned(),
        "[DONE]".to_owned(),
    ];
    let sound = [
        chunk(r#"{"content":"The "}"#, "null"),
        chunk(r#"{"content":"answer is 42."}"#, "null"),
        chunk("{}", r#""length""#),
        USAGE.to_owned(),
        "[DONE]".to_owned(),
    ];
    same(&early, &sound);
}

#[test]
fn an_end_that_is_said_twice_is_one() {
    let twice = [chunk(r#"{"content":"x"}"#, r#""stop""#), chunk("{}", r#""stop""#), "[DONE]".to_owned()];
    let once = [chunk(r#"{"content":"x"}"#, "null"), chunk("{}", r#""stop""#), "[DONE]".to_owned()];
    same(&twice, &once);
}
