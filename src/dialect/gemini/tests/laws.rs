//! Laws that hold for whatever is said.

use proptest::prelude::*;

use super::{as_google_asks, as_google_streams, heard, streamed, told, written};
use crate::dialect::framing::Framing;
use crate::dialect::gemini::{reply, request, stream};
use crate::dialect::hub::{
    Ask, Block, Call, CallKind, Choice, Content, Delta, Event, Extras, Family, Media, Outcome, Part, Reply,
    Role, Signature, Source, Stop, Thought, Turn, samples,
};
use crate::dialect::{Dialect, tree};
use crate::vocab::Usage;

/// Text that looks like the wire.
fn wire() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("null"),
        Just("true"),
        Just("-1"),
        Just("7"),
        Just("\"\""),
        Just("\"a\""),
        Just("\"contents\":"),
        Just("\"parts\":["),
        Just("\"role\":\"user\""),
        Just("\"candidates\":[{"),
        Just("\"content\":{"),
        Just("\"functionCall\":{"),
        Just("\"name\":\"f\""),
        Just("\"partialArgs\":["),
        Just("\"jsonPath\":\"$.a[0]\""),
        Just("\"willContinue\":true"),
        Just("\"index\":"),
        Just("\"functionResponse\":{"),
        Just("\"text\":"),
        Just("\"thoughtSignature\":\"YQ==\""),
        Just("\"inlineData\":{"),
        Just("\"generationConfig\":{"),
        Just("\"responseSchema\":{"),
        Just("\"type\":"),
        Just("\"tools\":[{"),
    ];
    proptest::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

fn part() -> impl Strategy<Value = Part<'static>> {
    let signature = proptest::option::of(prop_oneof![
        Just(Signature { family: Family::Gemini, value: "c2ln".into() }),
        Just(Signature { family: Family::Anthropic, value: "Eq/x+A==".into() }),
    ]);
    prop_oneof![
        "[a-z \"\\\\\u{e9}\n]{1,12}".prop_map(Part::text),
        ("[a-z]{1,6}", signature.clone()).prop_map(|(text, signature)| {
            let text = text.into();
            Part::new(Content::Thought(Thought { text, signature, is_summary: true, ..Thought::default() }))
        }),
        ("[a-z]{1,6}", "[a-z_]{1,6}", signature).prop_map(|(id, name, signature)| {
            let arguments = r#"{"a":[1,"x"]}"#.into();
            let (id, name) = (id.into(), name.into());
            Part::new(Content::Call(Call { id, name, arguments, kind: CallKind::Function, signature }))
        }),
        Just(Part::new(Content::Image(Media::new(
            Source::Base64(samples::PNG.into()),
            Some("image/png".into())
        )))),
    ]
}

fn reply() -> impl Strategy<Value = Reply<'static>> {
    let stop = prop_oneof![Just(Stop::End), Just(Stop::Length), Just(Stop::Filter), Just(Stop::Failed)];
    let choice = (proptest::collection::vec(part(), 0..5), stop);
    (proptest::collection::vec(choice, 1..3), 0..50_u64, 0..50_u64).prop_map(|(choices, input, output)| {
        Reply {
            dialect: Dialect::Gemini,
            id: "r1".into(),
            model: "m".into(),
            created: None,
            choices: (0..).zip(choices).map(|(index, (parts, stop))| choice_of(index, parts, stop)).collect(),
            usage: Some(Usage { input, output: output + input, reasoning: output, ..Usage::default() }),
            tier: None,
            extras: Extras::default(),
        }
    })
}

fn choice_of(index: u32, parts: Vec<Part<'static>>, stop: Stop<'static>) -> Choice<'static> {
    let calls = parts.iter().any(|part| matches!(part.content, Content::Call(_)));
    let stop = if calls && stop == Stop::End { Stop::Calls } else { stop };
    Choice { index, ..Choice::new(parts, stop) }
}

/// The stream that tells the same as a reply's first choice.
fn events_of(reply: &Reply<'static>) -> Vec<Event<'static>> {
    let mut events = vec![Event::Start { id: reply.id.clone(), model: reply.model.clone(), created: 0 }];
    let choice = &reply.choices[0];
    for (block, part) in (0..).zip(&choice.parts) {
        let (kind, signature, delta) = match part.content.clone() {
            Content::Text(text) => (Block::Text, None, Delta::Text(text)),
            Content::Thought(thought) => {
                let kind = Block::Thought { is_summary: true, is_redacted: false, id: None };
                (kind, thought.signature, Delta::Text(thought.text))
            }
            Content::Call(call) => {
                let kind = Block::Call { id: call.id, name: call.name, kind: CallKind::Function };
                (kind, call.signature, Delta::Arguments(call.arguments))
            }
            Content::Image(media) => (Block::Text, None, Delta::Media(media)),
            other => panic!("{other:?} is no part of these"),
        };
        let signature =
            signature.map(|signature| Event::Delta { choice: 0, block, delta: Delta::Signature(signature) });
        let first = matches!(kind, Block::Call { .. });
        events.push(Event::Open { choice: 0, block, kind });
        events.extend(signature.clone().filter(|_| first));
        events.push(Event::Delta { choice: 0, block, delta });
        events.extend(signature.filter(|_| !first));
        events.push(Event::Close { choice: 0, block });
    }
    events.push(Event::Finish { choice: 0, stop: choice.stop.clone() });
    events.extend(reply.usage.map(Event::Usage));
    events.push(Event::End);
    events
}

/// Neighbouring texts come as one block, and so do thoughts that nothing divides.
fn joined(words: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in words {
        let word = word.split("block: ").enumerate().map(|(at, piece)| match at {
            0 => piece.to_owned(),
            _ => piece.trim_start_matches(|letter: char| letter.is_ascii_digit()).to_owned(),
        });
        let word: String = word.collect();
        let reopens = out.last().is_some_and(|last| last.starts_with("Close"))
            && word.starts_with("Open")
            && !word.contains("Call {")
            && out.iter().rev().find(|before| before.starts_with("Open")) == Some(&word)
            && !out.get(out.len().wrapping_sub(2)).is_some_and(|before| before.contains("Signature("));
        if reopens {
            out.pop();
        } else {
            out.push(word);
        }
    }
    out
}

/// A stranger's conversation: whatever the model called is answered.
fn ask() -> impl Strategy<Value = Ask<'static>> {
    let round = ("[a-z \"]{1,9}", proptest::collection::vec(part(), 1..5));
    proptest::collection::vec(round, 1..4).prop_map(|rounds| {
        let mut ask = Ask::new(Dialect::Http);
        let mut answers = Vec::new();
        for (number, (words, mut parts)) in rounds.into_iter().enumerate() {
            answers.push(Part::text(words));
            ask.turns.push(Turn::new(Role::User, std::mem::take(&mut answers)));
            for (at, part) in parts.iter_mut().enumerate() {
                if let Content::Call(call) = &mut part.content {
                    call.id = format!("{number}.{at}").into();
                    call.signature = call.signature.take().filter(|s| s.family == Family::Gemini);
                    answers.push(Part::new(Content::Outcome(Outcome {
                        call_id: call.id.clone(),
                        name: Some(call.name.clone()),
                        content: vec![Part::text("done")],
                        is_error: (at == 0).then_some(true),
                        kind: CallKind::Function,
                    })));
                }
            }
            // Google has no turn without anything.
            parts.push(Part::text("so"));
            ask.turns.push(Turn::new(Role::Assistant, parts));
        }
        ask
    })
}

proptest! {
    #[test]
    fn a_request_means_what_was_asked(ask in ask()) {
        let (body, losses) = written(&ask);
        prop_assert!(losses.names().is_empty());
        let root = tree::parse(&body).expect("JSON");
        prop_assert_eq!(request::read(&root).expect("a request"), as_google_asks(ask));
    }

    #[test]
    fn any_bytes_are_read_or_refused(text in wire()) {
        for text in [text.clone(), format!("{{{text}}}"), format!("{{\"contents\":[{{{text}}}]}}")] {
            let Ok(root) = tree::parse(text.as_bytes()) else { continue };
            if let Err(wrong) = request::read(&root) {
                prop_assert!(!wrong.message.is_empty());
            }
            let _ = reply::read(&root);
            let mut reader = stream::Reader::default();
            let mut events = Vec::new();
            let _ = reader.read(None, &root, &mut events);
            let _ = reader.read(None, &root, &mut events);
            reader.end(&mut events);
        }
    }

    #[test]
    fn a_reply_means_what_was_said(reply in reply()) {
        let body = told(&reply);
        let root = tree::parse(&body).expect("JSON");
        prop_assert_eq!(reply::read(&root).expect("an answer"), reply);
    }

    #[test]
    fn a_stream_means_what_was_said(reply in reply()) {
        let events = events_of(&reply);
        let bytes = streamed(&events, samples::manner());
        prop_assert_eq!(joined(&heard(&bytes, Framing::Sse)), joined(&as_google_streams(events)));
    }
}
