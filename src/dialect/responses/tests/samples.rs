//! The canonical samples against their golden files, and back.
//!
//! `MAINSTAY_BLESS=1` writes the golden files. What reading them gives differs from the sample by what
//! this dialect cannot say, which is listed with each check.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;

use super::streams::{self, Told};
use crate::dialect::framing::{Framing, Splitter};
use crate::dialect::hub::{
    Ask, CacheMark, Content, Event, Extras, Family, Losses, Mode, Part, Reasoning, Reply, Role, Signature,
    Terms, Turn, samples,
};
use crate::dialect::quirks::Quirks;
use crate::dialect::responses::{reply, request, stream};
use crate::dialect::{Dialect, tree};
use crate::vocab::{Ability, Facts};

/// What the samples' requests lose on this wire.
const LOSSES: &[(&str, &[&str])] =
    &[("sampling", &["top_k", "n", "seed", "presence_penalty", "frequency_penalty", "logit_bias"])];

fn golden(sample: &str, name: &str, written: &[u8]) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dialect/pairs").join(sample);
    let path = folder.join(name);
    if std::env::var_os("MAINSTAY_BLESS").is_some() {
        fs::create_dir_all(&folder).expect("writable");
        fs::write(&path, written).expect("writable");
    }
    let expected = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (expected, written) = (String::from_utf8_lossy(&expected), String::from_utf8_lossy(written));
    assert_eq!(expected, written, "{}", path.display());
}

#[test]
fn sample_requests_are_written_as_their_golden_files_say() {
    let mut facts = Facts::default();
    facts.learn(Ability::CacheBreakpoint, true);
    let terms = Terms { facts, ..samples::terms(Family::OpenAi, &Quirks::OPENAI) };
    for (name, ask) in samples::asks() {
        let mut losses = Losses::default();
        let mut out = Vec::new();
        request::write(&ask, &terms, &mut losses, &mut out);
        golden(name, "ask.responses.json", &out);
        assert_eq!(losses.fatal(), None, "{name}");
        let expected =
            LOSSES.iter().find(|(sample, _)| *sample == name).map_or(&[][..], |(_, losses)| losses);
        assert_eq!(losses.names(), expected, "{name}");
        let root = tree::parse(&out).expect("JSON");
        let back = request::read(&root).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        assert_eq!(of_asked(back), asked(ask), "{name}");
    }
}

/// A sample as far as this dialect can say it.
fn asked(mut ask: Ask<'static>) -> Ask<'static> {
    let said = ask.reasoning;
    ask.reasoning = Reasoning { encrypted: !said.is_unsaid(), ..said };
    for lost in [&mut ask.presence_penalty, &mut ask.frequency_penalty, &mut ask.seed] {
        *lost = None;
    }
    (ask.top_k, ask.n, ask.logit_bias) = (None, None, None);
    ask.stop.clear();
    if let Mode::Stream { .. } = ask.mode {
        ask.mode = Mode::Stream { usage: true };
    }
    for tool in &mut ask.tools {
        if let crate::dialect::hub::ToolKind::Function { strict, .. } = &mut tool.kind {
            *strict = Some(strict.unwrap_or(false));
        }
    }
    for turn in &mut ask.turns {
        // Another vendor's.
        turn.parts.retain(|part| !matches!(part.content, Content::Thought(_)));
        for part in &mut turn.parts {
            match &mut part.content {
                Content::Image(media) => media.detail = media.detail.take().or(Some("auto".into())),
                Content::Outcome(outcome) => outcome.is_error = None,
                _ => {}
            }
        }
    }
    ask
}

/// What was read of a golden file, without what only this dialect knows.
fn of_asked(mut ask: Ask<'_>) -> Ask<'_> {
    ask.dialect = Dialect::Http;
    ask.extras = Extras::default();
    for turn in &mut ask.turns {
        turn.extras = Extras::default();
        for part in &mut turn.parts {
            // An hour is half a day here.
            assert!(matches!(part.cache, None | Some(CacheMark::Short | CacheMark::Hour)));
        }
    }
    ask
}

#[test]
fn sample_answers_are_written_as_their_golden_files_say() {
    for (name, sample) in samples::replies() {
        let mut out = Vec::new();
        reply::write(&sample, &samples::manner(), &mut out);
        golden(name, "reply.responses.json", &out);
        let root = tree::parse(&out).expect("JSON");
        let back = reply::read(&root).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        assert_eq!(back, answered(sample), "{name}");
    }
}

/// A sample as this dialect says it: ids of responses have a prefix, thoughts are summaries with ids.
fn answered(mut reply: Reply<'static>) -> Reply<'static> {
    reply.dialect = Dialect::Responses;
    reply.id = format!("resp_{}", reply.id).into();
    reply.tier = Some("default".into());
    for choice in &mut reply.choices {
        for (at, part) in choice.parts.iter_mut().enumerate() {
            if let Content::Thought(thought) = &mut part.content {
                thought.is_summary = true;
                thought.id = Some(format!("rs_made_n0nce_{at}").into());
            }
        }
    }
    reply
}

#[test]
fn sample_streams_are_written_as_their_golden_files_say() {
    for (name, sample) in samples::streams() {
        let mut writer = stream::Writer::new(samples::manner());
        let mut out = Vec::new();
        for event in &sample {
            writer.write(event, &mut out);
        }
        golden(name, "stream.responses.txt", &out);
        let mut splitter = Splitter::new(Framing::Sse);
        splitter.push(Bytes::from(out));
        let mut told = Told::default();
        let mut reader = stream::Reader::default();
        while let Some(frame) = splitter.next().expect("frames") {
            told.frame(&mut reader, frame.data().expect("data"));
        }
        told.end(&mut reader);
        assert_eq!(told.words, streams::words(&sample), "{name}");
    }
}

/// A caller sends back what he got: reasoning of another vendor comes back sealed, and goes nowhere but
/// to its own family.
#[test]
fn reasoning_comes_back_to_its_own_family_only() {
    let (_, sample) =
        samples::replies().into_iter().find(|(name, _)| *name == "reasoning").expect("a sample");
    let mut out = Vec::new();
    reply::write(&sample, &samples::manner(), &mut out);
    let answer: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
    let body = serde_json::json!({"model": "m", "input": answer["output"]}).to_string();
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let ask = request::read(&root).expect("a request");
    let [Turn { role: Role::Assistant, parts, .. }] = &ask.turns[..] else { panic!("{:?}", ask.turns) };
    let [Part { content: Content::Thought(thought), .. }, _] = &parts[..] else { panic!("{parts:?}") };
    assert_eq!(thought.signature, Some(Signature { family: Family::Anthropic, value: "c2lnbmVk".into() }));
    let mut again = Vec::new();
    let terms = samples::terms(Family::OpenAi, &Quirks::OPENAI);
    request::write(&ask, &terms, &mut Losses::default(), &mut again);
    let again: serde_json::Value = serde_json::from_slice(&again).expect("JSON");
    assert_eq!(again["input"].as_array().map(Vec::len), Some(1), "{again}");
    assert_eq!(again["input"][0]["type"], "message");
}

#[test]
fn usage_is_there_even_if_nobody_counted() {
    let mut writer = stream::Writer::new(samples::manner());
    let mut out = Vec::new();
    for event in [Event::Start { id: "".into(), model: "".into(), created: 0 }, Event::End] {
        writer.write(&event, &mut out);
    }
    let text = String::from_utf8(out).expect("text");
    assert!(text.contains("\"total_tokens\":0"), "{text}");
    assert_eq!(writer.next_sequence(), 3);
}
