//! What holds for any request, answer and stream.

use proptest::prelude::*;

use super::{messages, read_stream, text, write_stream};
use crate::dialect::bedrock::stream::Reader;
use crate::dialect::bedrock::{reply, request};
use crate::dialect::hub::samples;
use crate::dialect::hub::{
    Ask, Block, CacheMark, Call, CallKind, Choice, Content, Delta, Event, Extras, Family, Losses, Outcome,
    Part, Reply, Role, Signature, Stop, Thought, Turn,
};
use crate::dialect::quirks::Quirks;
use crate::dialect::{Dialect, tree};
use crate::vocab::Usage;

fn part(content: Content<'static>, cache: Option<CacheMark>) -> Part<'static> {
    Part { cache, ..Part::new(content) }
}

fn call(id: String, name: String) -> Call<'static> {
    let arguments = r#"{"a":[1,"b"]}"#.into();
    Call { id: id.into(), name: name.into(), arguments, kind: CallKind::Function, signature: None }
}

fn signature(value: String) -> Signature<'static> {
    Signature { family: Family::Anthropic, value: value.into() }
}

/// What an assistant may say.
fn said() -> impl Strategy<Value = Content<'static>> {
    prop_oneof![
        "\\PC{0,12}".prop_map(|text| Content::Text(text.into())),
        ("\\PC{0,12}", "[a-z]{1,5}").prop_map(|(text, sign)| Content::Thought(Thought {
            text: text.into(),
            signature: Some(signature(sign)),
            ..Thought::default()
        })),
        "\\PC{1,12}".prop_map(|sign| Content::Thought(Thought {
            signature: Some(signature(sign)),
            is_redacted: true,
            ..Thought::default()
        })),
        ("[a-z]{1,5}", "[a-z]{1,5}").prop_map(|(id, name)| Content::Call(call(id, name))),
    ]
}

fn marks() -> impl Strategy<Value = Option<CacheMark>> {
    prop_oneof![Just(None), Just(Some(CacheMark::Short)), Just(Some(CacheMark::Hour))]
}

fn stops() -> impl Strategy<Value = Stop<'static>> {
    prop_oneof![
        Just(Stop::End),
        Just(Stop::Length),
        Just(Stop::Window),
        Just(Stop::Calls),
        Just(Stop::Filter),
        Just(Stop::Failed),
        Just(Stop::Sequence(None)),
        "\\PC{0,5}".prop_map(|text| Stop::Sequence(Some(text.into()))),
    ]
}

fn turns() -> impl Strategy<Value = Vec<Turn<'static>>> {
    let exchange = (proptest::collection::vec((said(), marks()), 1..4), any::<bool>());
    proptest::collection::vec(exchange, 1..4).prop_map(|exchanges| {
        let mut turns =
            vec![Turn::new(Role::System, vec![part(Content::Text("s".into()), Some(CacheMark::Hour))])];
        for (parts, is_error) in exchanges {
            let outcomes = parts.iter().filter_map(|(content, cache)| {
                let Content::Call(call) = content else { return None };
                let content = vec![Part::text("r")];
                let name = Some(call.name.clone());
                let is_error = Some(is_error);
                let outcome =
                    Outcome { call_id: call.id.clone(), name, content, is_error, kind: CallKind::Function };
                Some(part(Content::Outcome(outcome), *cache))
            });
            let mut answers: Vec<_> = outcomes.collect();
            answers.push(Part::text("go on"));
            let said = parts.into_iter().map(|(content, cache)| part(content, cache)).collect();
            turns.extend([Turn::new(Role::Assistant, said), Turn::new(Role::User, answers)]);
        }
        turns
    })
}

/// The last name of an id counts: generated ids may repeat.
fn settle_names(turns: &mut [Turn<'static>]) {
    let mut names = std::collections::HashMap::new();
    for part in turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let Content::Call(call) = &part.content {
            names.insert(call.id.clone(), call.name.clone());
        }
        if let Content::Outcome(outcome) = &mut part.content {
            outcome.name = names.get(&outcome.call_id).cloned();
        }
    }
}

/// A stream of these, one block each.
fn events(contents: &[Content<'static>], stop: Stop<'static>) -> Vec<Event<'static>> {
    let mut events = vec![Event::Start { id: "".into(), model: "".into(), created: 0 }];
    for (block, content) in contents.iter().enumerate() {
        let block = u32::try_from(block).expect("few");
        let delta = |delta| Event::Delta { choice: 0, block, delta };
        let thought = |is_redacted| Block::Thought { is_summary: false, is_redacted, id: None };
        let (kind, deltas) = match content {
            Content::Text(text) => (Block::Text, vec![delta(Delta::Text(text.clone()))]),
            Content::Thought(said) => {
                let mut deltas = vec![delta(Delta::Signature(said.signature.clone().expect("signed")))];
                if !said.is_redacted {
                    deltas.insert(0, delta(Delta::Text(said.text.clone())));
                }
                (thought(said.is_redacted), deltas)
            }
            Content::Call(call) => {
                let (head, tail) = call.arguments.split_at(3);
                let arguments = [head, tail].map(|text| delta(Delta::Arguments(text.to_owned().into())));
                let kind = Block::Call { id: call.id.clone(), name: call.name.clone(), kind: call.kind };
                (kind, arguments.to_vec())
            }
            other => panic!("{other:?} is not generated"),
        };
        events.push(Event::Open { choice: 0, block, kind });
        events.extend(deltas);
        events.push(Event::Close { choice: 0, block });
    }
    let usage = Usage { input: 3, cache_read: 1, output: 2, ..Usage::default() };
    events.extend([Event::Finish { choice: 0, stop }, Event::Usage(usage), Event::End]);
    events
}

/// JSON whose names are the dialect's own.
fn bodies() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just("\"role\":"),
        Just("\"user\""),
        Just("null"),
        Just("\"messages\":"),
        Just("\"content\":"),
        Just("\"text\":"),
        Just("\"x\""),
        Just("\"toolUse\":"),
        Just("\"toolResult\":"),
        Just("\"toolUseId\":"),
        Just("1"),
        Just("\"image\":"),
        Just("\"source\":"),
        Just("\"output\":"),
        Just("\"message\":"),
        Just("\"delta\":"),
        Just("\"contentBlockIndex\":"),
        Just("\"reasoningContent\":"),
        Just("\"cachePoint\":"),
        Just("\"usage\":"),
        Just("\"start\":"),
        Just("\"additionalModelRequestFields\":"),
        Just("\"toolConfig\":"),
        Just("\"tools\":"),
        Just("true"),
    ];
    proptest::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

const NAMES: [&str; 8] = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    "throttlingException",
    "new",
];

proptest! {
    #[test]
    fn an_own_request_is_the_same_when_it_was_written(mut turns in turns()) {
        settle_names(&mut turns);
        let ask = Ask { turns, max_tokens: Some(5), top_k: Some(7), ..Ask::new(Dialect::Bedrock) };
        let terms = samples::terms(Family::Anthropic, &Quirks::COMPATIBLE);
        let (mut losses, mut out) = (Losses::default(), Vec::new());
        request::write(&ask, &terms, &mut losses, &mut out);
        prop_assert_eq!(losses, Losses::default());
        let root = tree::parse(&out).expect("JSON");
        prop_assert_eq!(request::read(&root).expect("a request"), ask);
    }

    #[test]
    fn a_strangers_request_is_one_that_amazon_takes(mut turns in turns()) {
        settle_names(&mut turns);
        let ask = Ask { turns, ..Ask::new(Dialect::Http) };
        let terms = samples::terms(Family::Anthropic, &Quirks::COMPATIBLE);
        let (mut losses, mut out) = (Losses::default(), Vec::new());
        request::write(&ask, &terms, &mut losses, &mut out);
        let root = tree::parse(&out).expect("JSON");
        let again = request::read(&root).expect("a request");
        let turns: Vec<_> = again.turns.iter().filter(|turn| turn.role != Role::System).collect();
        prop_assert_eq!(turns[0].role, Role::User);
        prop_assert!(turns.windows(2).all(|pair| pair[0].role != pair[1].role), "roles take turns");
        for turn in turns {
            let results = |part: &Part<'_>| matches!(part.content, Content::Outcome(_));
            prop_assert!(!turn.parts.is_empty());
            prop_assert!(turn.parts.is_sorted_by_key(|part| !results(part)), "results stand first");
            for part in &turn.parts {
                prop_assert!(part.as_text().is_none_or(|text| !text.trim().is_empty()), "blank");
            }
        }
    }

    #[test]
    fn an_answer_is_the_same_when_it_was_written(
        said in proptest::collection::vec(said(), 0..5), stop in stops(), tier in prop_oneof![Just(None), Just(Some("flex"))])
    {
        let reply = Reply {
            dialect: Dialect::Bedrock,
            id: "".into(),
            model: "".into(),
            created: None,
            choices: vec![Choice::new(said.into_iter().map(Part::new).collect(), stop)],
            usage: Some(Usage { input: 9, cache_read: 1, cache_write: 2, cache_write_1h: 3, output: 4, reasoning: 0, ..Usage::default() }),
            tier: tier.map(Into::into),
            extras: Extras::default(),
        };
        let mut out = Vec::new();
        reply::write(&reply, &samples::manner(), &mut out);
        let root = tree::parse(&out).expect("JSON");
        let mut again = reply::read(&root).expect("an answer");
        again.extras = Extras::default();
        prop_assert_eq!(again, reply);
    }

    #[test]
    fn a_stream_is_the_same_when_it_was_written(said in proptest::collection::vec(said(), 0..5), stop in stops()) {
        let expected: Vec<_> = events(&said, stop.clone()).iter().map(|event| format!("{event:?}")).collect();
        let messages = messages(&write_stream(&events(&said, stop)));
        let pairs = messages.iter().map(|message| (text(message.event()), text(message.data())));
        let mut seen = Vec::new();
        read_stream(pairs, |event| seen.push(format!("{event:?}")));
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn whatever_is_read_does_no_harm(bodies in proptest::collection::vec((0..NAMES.len(), bodies()), 1..5)) {
        let mut reader = Reader::default();
        for (name, body) in &bodies {
            let Ok(root) = tree::parse(body.as_bytes()) else { continue };
            let _ = request::read(&root).map_err(|wrong| wrong.place(&root));
            let _ = reply::read(&root);
            let mut events = Vec::new();
            let _ = reader.read(Some(NAMES[*name]), &root, &mut events);
        }
        reader.end(&mut Vec::new());
    }
}
