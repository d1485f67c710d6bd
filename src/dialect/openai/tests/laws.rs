//! What holds for anything at all: no panic, the rules of events, and that what is said is read again
//! as it was meant.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{asked, frames, hear, heard, said};
use crate::dialect::hub::samples::{manner, terms};
use crate::dialect::hub::{Block, CallKind, Delta, Event, Family, Losses, Signature, Stop};
use crate::dialect::openai::{reply, request, stream};
use crate::dialect::quirks::{Quirks, ReasoningBack};
use crate::dialect::tree;
use crate::vocab::Usage;

// ---- the rules of events ---------------------------------------------------------------------

/// The rules that `hub::event` gives, as far as an event can break them.
#[derive(Debug, Default)]
pub struct Rules {
    started: bool,
    ended: bool,
    choices: BTreeMap<u32, Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Whether each block is still open.
    open: Vec<bool>,
    finished: bool,
}

impl Rules {
    pub fn keep(&mut self, event: &Event<'_>) {
        assert!(!self.ended, "{event:?} after the end");
        assert_eq!(matches!(event, Event::Start { .. }), !self.started, "{event:?}: one start, and first");
        self.started = true;
        match event {
            Event::Open { choice, block, .. } => {
                let kept = self.choices.entry(*choice).or_default();
                assert_eq!((*block as usize, kept.finished), (kept.open.len(), false), "{event:?}");
                kept.open.push(true);
            }
            Event::Delta { choice, block, .. } => {
                assert_eq!(self.choices[choice].open.get(*block as usize), Some(&true), "{event:?}");
            }
            Event::Close { choice, block } => {
                let kept = self.choices.get_mut(choice).expect("a choice");
                assert!(std::mem::take(&mut kept.open[*block as usize]), "{event:?}");
            }
            Event::Finish { choice, .. } => {
                let kept = self.choices.entry(*choice).or_default();
                assert!(!kept.finished && !kept.open.contains(&true), "{event:?}: {kept:?}");
                kept.finished = true;
            }
            Event::End => {
                assert!(!self.choices.is_empty() && self.choices.values().all(|kept| kept.finished));
                self.ended = true;
            }
            Event::Start { .. } | Event::Usage(_) | Event::Vendor { .. } => {}
        }
    }
}

// ---- anything --------------------------------------------------------------------------------

/// Any JSON in the words of this dialect.
fn anything() -> impl Strategy<Value = Value> {
    const WORDS: &[&str] = &[
        "choices",
        "delta",
        "message",
        "messages",
        "input",
        "role",
        "assistant",
        "user",
        "tool",
        "system",
        "content",
        "type",
        "text",
        "thinking",
        "refusal",
        "tool_calls",
        "function",
        "custom",
        "name",
        "arguments",
        "id",
        "index",
        "call_1",
        "tool_call_id",
        "finish_reason",
        "stop",
        "length",
        "usage",
        "total_tokens",
        "reasoning_content",
        "reasoning_details",
        "reasoning.text",
        "reasoning.encrypted",
        "signature",
        "data",
        "format",
        "google-gemini-v1",
        "anthropic-claude-v1",
        "extra_content",
        "google",
        "thought_signature",
        "logprobs",
        "annotations",
        "url_citation",
        "url",
        "images",
        "image_url",
        "audio",
        "input_audio",
        "file",
        "file_data",
        "tools",
        "tool_choice",
        "parameters",
        "response_format",
        "json_schema",
        "schema",
        "reasoning",
        "effort",
        "max_tokens",
        "function_call",
        "call_id",
        "output",
        "search_results",
        "cache_control",
        "ttl",
        "1h",
        "{\"a\":1}",
        "",
        "data:image/png;base64,AAAA",
    ];
    let word = || prop::sample::select(WORDS).prop_map(str::to_owned);
    let leaf = prop_oneof![
        6 => word().prop_map(Value::from),
        2 => (0..3_u64).prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(6, 48, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((word(), inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A chunk that has at least the outer shape.
fn chunk() -> impl Strategy<Value = Value> {
    let choice = (0..2_u32, anything(), anything(), prop::option::of(Just("tool_calls"))).prop_map(
        |(index, content, call, finish)| {
            json!({"index": index, "finish_reason": finish, "delta": {
                "content": content, "tool_calls": [call], "reasoning_details": [call], "refusal": content,
            }})
        },
    );
    let calls = (0..2_u32, vec((prop::option::of(0..3_u64), "[ab]?", "[fg]?", "[{}\"x]{0,3}"), 0..3)).prop_map(
        |(index, calls)| {
            let call = |(at, id, name, arguments): (_, String, String, String)| {
                json!({"index": at, "id": id, "function": {"name": name, "arguments": arguments}})
            };
            let calls: Vec<_> = calls.into_iter().map(call).collect();
            json!({"index": index, "delta": {"tool_calls": calls}})
        },
    );
    let choices = vec(prop_oneof![anything(), choice, calls], 0..3);
    prop_oneof![
        1 => anything(),
        6 => (choices, anything()).prop_map(|(choices, usage)| json!({"choices": choices, "usage": usage})),
    ]
}

proptest! {
    #[test]
    fn any_request_is_read_or_refused(body in anything(), message in anything()) {
        for body in [body, json!({"messages": [message.clone()]}), json!({"input": [message]})] {
            let text = body.to_string();
            let root = tree::parse(text.as_bytes()).expect("JSON");
            if let Ok(ask) = request::read(&root) {
                let (text, _) = asked(&ask, &terms(Family::OpenAi, &Quirks::COMPATIBLE));
                prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn any_answer_is_read_or_refused(body in anything(), message in anything()) {
        for body in [body, json!({"choices": [{"message": message}]})] {
            let text = body.to_string();
            let root = tree::parse(text.as_bytes()).expect("JSON");
            if let Ok(reply) = reply::read(&root) {
                let mut out = Vec::new();
                reply::write(&reply, &manner(), &mut out);
                let said: Value = serde_json::from_slice(&out).expect("JSON");
                prop_assert!(!said["choices"].as_array().expect("choices").is_empty());
            }
        }
    }

    #[test]
    fn any_stream_keeps_the_rules_and_can_be_said(chunks in vec(chunk(), 0..6)) {
        let texts: Vec<_> = chunks.iter().map(Value::to_string).collect();
        let mut rules = Rules::default();
        let mut writer = stream::Writer::new(manner());
        let mut out = Vec::new();
        let whole = hear(texts.iter().map(String::as_str), &mut |event| {
            rules.keep(event);
            writer.write(event, &mut out);
        });
        let said = String::from_utf8(out).expect("text");
        for frame in frames(&said) {
            prop_assert!(serde_json::from_str::<Value>(frame).is_ok(), "{}", frame);
        }
        prop_assert_eq!(said.ends_with("data: [DONE]\n\n"), whole.is_ok());
    }
}

// ---- what is said is read again --------------------------------------------------------------

/// A block of a stream, with its deltas.
#[derive(Clone, Debug)]
enum Spoken {
    Text(Vec<String>),
    Thought(Vec<String>, Option<Family>),
    Call { pieces: Vec<String>, kind: CallKind, signed: bool },
}

fn spoken() -> impl Strategy<Value = Spoken> {
    let pieces = || vec("\\PC{1,6}|[\\\\\"\n\t]{1,3}", 1..4);
    let family = prop_oneof![
        Just(None),
        Just(Some(Family::OpenAi)),
        Just(Some(Family::Anthropic)),
        Just(Some(Family::Gemini))
    ];
    let arguments = prop_oneof![
        Just(vec!["{}".to_owned()]),
        Just(vec!["{\"a\":".to_owned(), "\"}{\"".to_owned(), "}".to_owned()]),
        Just(vec!["{".to_owned()]),
    ];
    prop_oneof![
        pieces().prop_map(Spoken::Text),
        (pieces(), family).prop_map(|(pieces, family)| Spoken::Thought(pieces, family)),
        (arguments, any::<bool>()).prop_map(|(pieces, signed)| Spoken::Call {
            pieces,
            kind: CallKind::Function,
            signed,
        }),
        pieces().prop_map(|pieces| Spoken::Call { pieces, kind: CallKind::Custom, signed: false }),
    ]
}

/// The events of an answer, block after block. Calls that never end are closed with the answer, and
/// neighbouring texts are one: OpenAI's stream tells no more.
fn spell(choice: u32, blocks: &[Spoken]) -> Vec<Event<'_>> {
    let mut events = Vec::new();
    let mut late = Vec::new();
    let mut was_text = false;
    let mut block = 0;
    for spoken in blocks {
        let delta = |delta| Event::Delta { choice, block, delta };
        if was_text && matches!(spoken, Spoken::Text(_)) {
            continue;
        }
        was_text = matches!(spoken, Spoken::Text(_));
        match spoken {
            Spoken::Text(pieces) => {
                events.push(Event::Open { choice, block, kind: Block::Text });
                events.extend(pieces.iter().map(|piece| delta(Delta::Text(piece.into()))));
                events.push(Event::Close { choice, block });
            }
            Spoken::Thought(pieces, family) => {
                let is_summary = *family == Some(Family::OpenAi);
                let kind = Block::Thought { is_summary, is_redacted: false, id: None };
                events.push(Event::Open { choice, block, kind });
                events.extend(pieces.iter().map(|piece| delta(Delta::Text(piece.into()))));
                let signature = family.map(|family| Signature { family, value: "c2ln".into() });
                events.extend(signature.map(|signature| delta(Delta::Signature(signature))));
                events.push(Event::Close { choice, block });
            }
            Spoken::Call { pieces, kind, signed } => {
                let id = format!("call_{choice}_{block}");
                let call = Block::Call { id: id.into(), name: "f".into(), kind: *kind };
                events.push(Event::Open { choice, block, kind: call });
                let signature = Signature { family: Family::Gemini, value: "c2ln".into() };
                events.extend(signed.then(|| delta(Delta::Signature(signature))));
                events.extend(pieces.iter().map(|piece| delta(Delta::Arguments(piece.into()))));
                let ends = *kind == CallKind::Function && pieces.len() != 1 || pieces == &["{}"];
                let close = Event::Close { choice, block };
                if ends { events.push(close) } else { late.push(close) }
            }
        }
        block += 1;
    }
    events.extend(late);
    events
}

proptest! {
    #[test]
    fn a_stream_that_is_said_is_heard_again(first in vec(spoken(), 0..6), second in vec(spoken(), 0..3)) {
        let mut events = vec![Event::Start { id: "chatcmpl-1".into(), model: "m".into(), created: 7 }];
        for (choice, blocks) in [(0, &first), (1, &second)] {
            events.extend(spell(choice, blocks));
            let calls = blocks.iter().any(|block| matches!(block, Spoken::Call { .. }));
            events.push(Event::Finish { choice, stop: if calls { Stop::Calls } else { Stop::End } });
        }
        events.push(Event::Usage(Usage { input: 3, cache_read: 1, output: 2, ..Usage::default() }));
        events.push(Event::End);
        let text = said(&events);
        let expected: Vec<_> = events.iter().map(|event| format!("{event:?}")).collect();
        prop_assert_eq!(close_in_order(heard(frames(&text))), close_in_order(expected), "{}", text);
    }

    #[test]
    fn a_request_that_was_read_is_said_so_that_it_reads_the_same(
        messages in vec(message(), 1..5), tail in anything(),
    ) {
        const RELAY: Quirks = Quirks { reasoning_back: ReasoningBack::Details, ..Quirks::OPENAI };
        let body = json!({"messages": messages, "metadata": tail, "temperature": 0.5, "stop": "x", "n": 1});
        let text = body.to_string();
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let ask = request::read(&root).expect("a sound request");
        let (again, losses) = asked(&ask, &terms(Family::Anthropic, &RELAY));
        prop_assert_eq!(losses, Losses::default());
        let root = tree::parse(again.as_bytes()).expect("JSON");
        let mut read = request::read(&root).expect("a sound request");
        read.model = ask.model.clone();
        prop_assert_eq!(read, ask, "{}", again);
    }
}

/// A call is closed when something else begins, and when exactly makes no difference.
fn close_in_order(events: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (others, mut closes): (Vec<_>, Vec<_>) =
        events.into_iter().partition(|event| !event.starts_with("Close"));
    closes.sort();
    (others, closes)
}

fn message() -> impl Strategy<Value = Value> {
    let text = || "[a-z\"\\\\\n]{1,5}";
    let part = prop_oneof![
        text().prop_map(|text| json!({"type": "text", "text": text})),
        text().prop_map(|text| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}})),
        Just(
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}})
        ),
        Just(json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}})),
        Just(json!({"type": "file", "file": {"file_id": "file-1"}})),
        Just(json!({"type": "hologram", "hologram": {"a": 1}})),
    ];
    let content = prop_oneof![text().prop_map(Value::from), vec(part, 0..3).prop_map(Value::from)];
    let detail = prop_oneof![
        text().prop_map(|t| json!({"type": "reasoning.text", "text": t, "signature": "s", "format": "anthropic-claude-v1"})),
        Just(json!({"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1"})),
    ];
    prop_oneof![
        (prop::sample::select(vec!["user", "system", "developer"]), content, prop::option::of(text()))
            .prop_map(|(role, content, name)| json!({"role": role, "content": content, "name": name})),
        (prop::option::of(text()), prop::option::of(text()), vec(detail, 0..3)).prop_map(
            |(content, refusal, details)| json!({"role": "assistant", "content": content, "refusal": refusal,
                "reasoning_details": details, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]})
        ),
    ]
}
