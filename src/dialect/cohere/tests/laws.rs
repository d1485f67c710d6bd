//! Laws: what is written is read again, and nothing that is read makes us panic.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::replies::write_reply;
use super::requests::ask;
use super::streams::{read_stream, write_stream};
use super::value;
use crate::dialect::Dialect;
use crate::dialect::cohere::stream::Reader;
use crate::dialect::cohere::{reply, request};
use crate::dialect::hub::samples;
use crate::dialect::hub::{
    Ask, Block, Call, CallKind, Choice, Content, Delta, Event, Extras, Losses, Part, Reply, Stop, Thought,
};
use crate::dialect::tree;
use crate::vocab::Usage;

fn words() -> impl Strategy<Value = String> {
    "[a-z\"\\\\\n é{}]{1,8}"
}

/// A part of an answer that Cohere can say; calls come last.
fn part(is_call: bool) -> BoxedStrategy<Part<'static>> {
    if is_call {
        return ("[a-z0-9_]{1,6}", "[a-z_]{1,6}", words())
            .prop_map(|(id, name, word)| {
                let arguments = json!({ "w": word }).to_string();
                Part::new(Content::Call(Call {
                    id: id.into(),
                    name: name.into(),
                    arguments: arguments.into(),
                    kind: CallKind::Function,
                    signature: None,
                }))
            })
            .boxed();
    }
    let thought = |text: String| Content::Thought(Thought { text: text.into(), ..Thought::default() });
    prop_oneof![words().prop_map(Part::text), words().prop_map(move |text| Part::new(thought(text)))].boxed()
}

fn parts() -> impl Strategy<Value = Vec<Part<'static>>> {
    let all = |is_call| proptest::collection::vec(part(is_call), 0..4);
    (all(false), all(true)).prop_map(|(mut parts, calls)| {
        parts.extend(calls);
        parts
    })
}

proptest! {
    #[test]
    fn any_reply_comes_back(parts in parts(), input in 0u64..100, output in 0u64..100) {
        let mut expected = parts.clone();
        if expected.iter().any(|part| matches!(part.content, Content::Call(_))) {
            // All texts beside calls are one plan, right in front of them.
            let (texts, mut rest): (Vec<_>, Vec<_>) = expected.into_iter().partition(|part| part.as_text().is_some());
            let plan: Vec<_> = texts.iter().filter_map(Part::as_text).map(|text| &**text).collect();
            let at = rest.iter().position(|part| matches!(part.content, Content::Call(_))).expect("a call");
            rest.splice(at..at, (!plan.is_empty()).then(|| Part::text(plan.join("\n\n"))));
            expected = rest;
        }
        let usage = Usage { input, output, ..Usage::default() };
        let mut sample = Reply {
            dialect: Dialect::Cohere,
            id: "i".into(),
            model: "".into(),
            created: None,
            choices: vec![Choice::new(parts, Stop::Length)],
            usage: Some(usage),
            tier: None,
            extras: Extras::default(),
        };
        let said = write_reply(&sample);
        let root = tree::parse(&said).expect("JSON");
        sample.choices[0].parts = expected;
        prop_assert_eq!(reply::read(&root).expect("our own answer"), sample);
    }

    #[test]
    fn any_stream_comes_back(parts in parts()) {
        let mut events = vec![Event::Start { id: "i".into(), model: "".into(), created: 0 }];
        for (block, part) in (0..).zip(&parts) {
            let (kind, delta) = match &part.content {
                Content::Call(call) => (
                    Block::Call { id: call.id.clone(), name: call.name.clone(), kind: call.kind },
                    Delta::Arguments(call.arguments.clone()),
                ),
                Content::Thought(thought) => (
                    Block::Thought { is_summary: false, is_redacted: false, id: None },
                    Delta::Text(thought.text.clone()),
                ),
                _ => (Block::Text, Delta::Text(part.as_text().expect("text").clone())),
            };
            events.push(Event::Open { choice: 0, block, kind });
            events.push(Event::Delta { choice: 0, block, delta });
            events.push(Event::Close { choice: 0, block });
        }
        let calls = parts.iter().any(|part| matches!(part.content, Content::Call(_)));
        events.push(Event::Finish { choice: 0, stop: if calls { Stop::Calls } else { Stop::End } });
        events.push(Event::Usage(Usage { input: 1, ..Usage::default() }));
        events.push(Event::End);
        let said = write_stream(&events, samples::manner());
        events.pop();
        prop_assert_eq!(read_stream(&said).0, events);
    }

    #[test]
    fn any_json_is_read_or_refused(json in json()) {
        let text = json.to_string();
        let root = tree::parse(text.as_bytes()).expect("JSON");
        if let Ok(read) = request::read(&root) {
            value(&ask(&read, &mut Losses::default()));
            value(&ask(&Ask { dialect: Dialect::Http, ..read }, &mut Losses::default()));
        }
        if let Ok(read) = reply::read(&root) {
            value(&write_reply(&read));
        }
        let mut reader = Reader::default();
        let mut events = Vec::new();
        let _ = reader.read(None, &root, &mut events);
        let _ = reader.read(Some("tool-call-delta"), &root, &mut events);
        reader.end(&mut events);
        write_stream(&events, samples::manner());
    }
}

/// JSON that looks like one of ours, and is often wrong.
fn json() -> impl Strategy<Value = Value> {
    let words = [
        "user",
        "assistant",
        "tool",
        "system",
        "text",
        "thinking",
        "image_url",
        "document",
        "function",
        "f",
        "c",
        "",
        "data:image/png;base64,AAAA",
        "REQUIRED",
        "json_object",
        "enabled",
        "content-start",
        "content-delta",
        "tool-call-start",
        "tool-call-delta",
        "citation-start",
        "message-end",
        "message-start",
        "COMPLETE",
        "{}",
    ];
    let keys = [
        "role",
        "content",
        "messages",
        "tool_calls",
        "tool_call_id",
        "tool_plan",
        "id",
        "function",
        "name",
        "arguments",
        "type",
        "text",
        "thinking",
        "image_url",
        "document",
        "documents",
        "data",
        "delta",
        "message",
        "citations",
        "usage",
        "tokens",
        "finish_reason",
        "tools",
        "parameters",
        "tool_choice",
        "logprobs",
        "sources",
    ];
    let leaf = prop_oneof![
        proptest::sample::select(words.to_vec()).prop_map(|word| json!(word)),
        Just(Value::Null),
        Just(json!(1)),
        Just(json!(true)),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::vec((proptest::sample::select(keys.to_vec()), inner), 0..6).prop_map(
                |members| Value::Object(
                    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
                )
            ),
        ]
    })
}
