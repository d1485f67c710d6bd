//! Laws over made-up answers: what is written is read again, whole and streamed.

use proptest::prelude::*;

use super::{read_stream, write_stream};
use crate::dialect::Dialect;
use crate::dialect::anthropic::stream::Reader;
use crate::dialect::anthropic::{reply, request};
use crate::dialect::hub::samples::manner;
use crate::dialect::hub::{
    Block, Call, CallKind, Choice, Content, Delta, Event, Extras, Family, Part, Reply, Signature, Stop,
    Thought,
};
use crate::dialect::tree;
use crate::vocab::Usage;

fn signature() -> impl Strategy<Value = Signature<'static>> {
    let family =
        prop_oneof![Just(Family::Anthropic), Just(Family::Gemini), Just(Family::OpenAi), Just(Family::Other)];
    (family, "[A-Za-z0-9+/]{1,20}").prop_map(|(family, value)| Signature { family, value: value.into() })
}

fn stop() -> impl Strategy<Value = Stop<'static>> {
    prop_oneof![
        Just(Stop::Length),
        Just(Stop::Window),
        Just(Stop::Refusal),
        Just(Stop::Pause),
        "\\PC{1,5}".prop_map(|text| Stop::Sequence(Some(text.into()))),
    ]
}

fn usage() -> impl Strategy<Value = Usage> {
    let count = || 0_u64..10_000;
    (count(), count(), count(), count(), count()).prop_map(
        |(plain, cache_read, cache_write, cache_write_1h, output)| {
            let input = plain + cache_read + cache_write + cache_write_1h;
            Usage {
                input,
                cache_read,
                cache_write,
                cache_write_1h,
                output,
                reasoning: output / 2,
                ..Usage::default()
            }
        },
    )
}

/// Text that may hold anything.
fn text() -> impl Strategy<Value = String> {
    "[\\PC\n\"\\\\]{1,12}"
}

fn part() -> impl Strategy<Value = Part<'static>> {
    let thought = (text(), proptest::option::of(signature())).prop_map(|(text, signature)| {
        Content::Thought(Thought { text: text.into(), signature, ..Thought::default() })
    });
    let redacted = signature().prop_map(|signature| {
        Content::Thought(Thought { signature: Some(signature), is_redacted: true, ..Thought::default() })
    });
    let call = ("[a-z0-9]{8}", "[a-z_]{1,8}", text(), proptest::option::of(signature())).prop_map(
        |(id, name, value, signature)| {
            let arguments = serde_json::json!({ "a": value }).to_string().into();
            let call =
                Call { id: id.into(), name: name.into(), arguments, kind: CallKind::Function, signature };
            Content::Call(call)
        },
    );
    let custom = ("[a-z0-9]{8}", "[a-z_]{1,8}", text()).prop_map(|(id, name, value)| {
        let name = [crate::dialect::anthropic::stand_in::CUSTOM, &name].concat();
        let (kind, signature) = (CallKind::Custom, None);
        Content::Call(Call { id: id.into(), name: name.into(), arguments: value.into(), kind, signature })
    });
    prop_oneof![text().prop_map(|text| Content::Text(text.into())), thought, redacted, call, custom]
        .prop_map(Part::new)
}

fn answer() -> impl Strategy<Value = Reply<'static>> {
    (proptest::collection::vec(part(), 0..6), stop(), usage()).prop_map(|(parts, stop, usage)| Reply {
        dialect: Dialect::Anthropic,
        id: "msg_1".into(),
        model: manner().model.into(),
        created: None,
        choices: vec![Choice::new(parts, stop)],
        usage: Some(usage),
        tier: None,
        extras: Extras::default(),
    })
}

/// Custom tools' names leave without what their stand-ins' names begin with only on the way in.
fn renamed(mut reply: Reply<'static>) -> Reply<'static> {
    for part in &mut reply.choices[0].parts {
        if let Content::Call(call) = &mut part.content
            && call.kind == CallKind::Custom
        {
            call.name = call.name[crate::dialect::anthropic::stand_in::CUSTOM.len()..].to_owned().into();
        }
    }
    reply
}

/// The stream that says the same, cut into small pieces.
fn events(reply: &Reply<'static>) -> Vec<Event<'static>> {
    let mut events = vec![Event::Start { id: reply.id.clone(), model: reply.model.clone(), created: 0 }];
    for (block, part) in (0..).zip(&reply.choices[0].parts) {
        let mut deltas = Vec::new();
        let pieces = |text: &str| -> Vec<String> {
            text.chars().collect::<Vec<_>>().chunks(3).map(|piece| piece.iter().collect()).collect()
        };
        let kind = match &part.content {
            Content::Text(text) => {
                deltas.extend(pieces(text).into_iter().map(|piece| Delta::Text(piece.into())));
                Block::Text
            }
            Content::Thought(thought) => {
                deltas.extend(pieces(&thought.text).into_iter().map(|piece| Delta::Text(piece.into())));
                deltas.extend(thought.signature.clone().map(Delta::Signature));
                Block::Thought { is_summary: false, is_redacted: thought.is_redacted, id: None }
            }
            Content::Call(call) => {
                // Streams say nothing of call signatures when they are read.
                deltas
                    .extend(pieces(&call.arguments).into_iter().map(|piece| Delta::Arguments(piece.into())));
                Block::Call { id: call.id.clone(), name: call.name.clone(), kind: call.kind }
            }
            _ => continue,
        };
        events.push(Event::Open { choice: 0, block, kind });
        events.extend(deltas.into_iter().map(|delta| Event::Delta { choice: 0, block, delta }));
        events.push(Event::Close { choice: 0, block });
    }
    events.push(Event::Finish { choice: 0, stop: reply.choices[0].stop.clone() });
    events.extend(reply.usage.map(Event::Usage));
    events.push(Event::End);
    events
}

/// The same events with texts of one block joined: how they were cut does not matter.
fn joined(events: &[Event<'_>], out: &mut Vec<String>) {
    for event in events {
        let (head, text) = match event {
            Event::Delta { block, delta: Delta::Text(text), .. } => (format!("text {block} "), text),
            Event::Delta { block, delta: Delta::Arguments(text), .. } => {
                (format!("arguments {block} "), text)
            }
            other => {
                out.push(format!("{other:?}"));
                continue;
            }
        };
        match out.last_mut().filter(|last| last.starts_with(&head)) {
            Some(last) => last.push_str(text),
            None => out.push(head + text),
        }
    }
}

proptest! {
    #[test]
    fn an_answer_is_read_as_it_was_written(reply in answer()) {
        let mut out = Vec::new();
        reply::write(&reply, &manner(), &mut out);
        let root = tree::parse(&out).expect("JSON");
        prop_assert_eq!(reply::read(&root).expect("sound"), renamed(reply));
    }

    #[test]
    fn a_stream_is_read_as_it_was_written(reply in answer()) {
        let bytes = write_stream(&events(&reply));
        let (mut seen, mut expected) = (Vec::new(), Vec::new());
        read_stream(&bytes, &mut |events| joined(events, &mut seen));
        joined(&events(&renamed(reply)), &mut expected);
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn a_stream_and_a_whole_answer_say_the_same_of_a_request(reply in answer()) {
        let mut out = Vec::new();
        reply::write(&reply, &manner(), &mut out);
        let whole: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        let mut blocks: Vec<serde_json::Value> = Vec::new();
        let bytes = write_stream(&events(&reply));
        for frame in String::from_utf8(bytes).expect("text").lines().filter_map(|line| line.strip_prefix("data: ")) {
            let frame: serde_json::Value = serde_json::from_str(frame).expect("JSON");
            if frame["type"] == "content_block_start" {
                prop_assert_eq!(&frame["index"], blocks.len());
                blocks.push(frame["content_block"].clone());
            }
        }
        let kinds = |blocks: &[serde_json::Value]| -> Vec<String> {
            blocks.iter().filter(|block| block["signature"].as_str().is_none_or(|text| !text.starts_with("mainstay"))).map(|block| block["type"].to_string()).collect()
        };
        prop_assert_eq!(kinds(whole["content"].as_array().expect("blocks")), kinds(&blocks));
    }

    #[test]
    fn any_json_is_survived(tokens in proptest::collection::vec(prop_oneof![
        Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\"type\""), Just("\"text\""),
        Just("\"content\""), Just("\"messages\""), Just("\"role\""), Just("\"user\""), Just("\"index\""),
        Just("\"content_block\""), Just("\"content_block_start\""), Just("\"delta\""), Just("\"message\""),
        Just("\"message_start\""), Just("1"), Just("null"), Just("-2.5E1"), Just("\"tool_use\"")], 0..24))
    {
        let text = tokens.concat();
        if let Ok(root) = tree::parse(text.as_bytes()) {
            let _ = request::read(&root);
            let _ = reply::read(&root);
            let _ = Reader::default().read(Some("content_block_delta"), &root, &mut Vec::new());
            let _ = Reader::default().read(Some("message_start"), &root, &mut Vec::new());
        }
    }
}

#[test]
fn a_call_signature_that_comes_late_follows_its_call() {
    let signature = Signature { family: Family::Gemini, value: "CsQB".into() };
    let kind = || Block::Call { id: "c1".into(), name: "f".into(), kind: CallKind::Function };
    let delta = |delta| Event::Delta { choice: 0, block: 0, delta };
    let start = Event::Start { id: "".into(), model: "".into(), created: 0 };
    let arguments = delta(Delta::Arguments("{}".into()));
    for (order, expected) in [
        (vec![delta(Delta::Signature(signature.clone())), arguments.clone()], ["thinking", "tool_use"]),
        (vec![arguments, delta(Delta::Signature(signature))], ["tool_use", "thinking"]),
    ] {
        let mut events = vec![start.clone(), Event::Open { choice: 0, block: 0, kind: kind() }];
        events.extend(order);
        events.extend([Event::Close { choice: 0, block: 0 }, Event::End]);
        let bytes = String::from_utf8(write_stream(&events)).expect("text");
        let kinds: Vec<serde_json::Value> = bytes
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line.strip_prefix("data: ")?).ok())
            .filter(|frame| frame["type"] == "content_block_start")
            .map(|frame| frame["content_block"]["type"].clone())
            .collect();
        assert_eq!(kinds, expected);
        assert!(bytes.contains("\"signature\":\"mainstay-call:c1:"));
    }
}
