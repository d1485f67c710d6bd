//! Stop sequences that an upstream cannot be told of: the caller's answer ends where they stand.

use super::streams::{frames, hear, stream};
use super::{CALLERS, MODEL, generation, golden, read, reply, reply_gist, samples, terms, write};
use crate::dialect::hub::samples::manner;
use crate::dialect::hub::{Choice, Manner, Mode, Part, Reply, Stop, Stops, Terms};
use crate::dialect::translate::{GENERATING, Stream, Translated, whole};
use crate::dialect::{Dialect, Operation, tree};
use crate::vocab::{Ability, Facts};

/// Seven of them, of which Anthropic refuses the first, Google the last two and chat the last three.
const ASKED: [&str; 7] = ["\n\n", "a", "b", "c", "d", "e", "f"];

/// The request of a caller with these stop sequences for an upstream.
fn sent(from: Dialect, to: Dialect, stops: &[&'static str]) -> Translated {
    let body = golden("text", &format!("ask.{from}.json")).expect("everybody says it");
    let operation = generation(from, Mode::Whole).expect("it generates");
    let root = tree::parse(&body).expect("JSON");
    let mut ask = read(from, operation, MODEL, &root).expect("a request");
    ask.stop = stops.iter().map(|stop| (*stop).into()).collect();
    write(&mut ask, to, &terms(to)).expect("a pair")
}

#[test]
fn what_an_upstream_cannot_be_told_is_left_to_us_and_lost_to_nobody() {
    // The caller's own responses have none.
    for from in CALLERS.into_iter().filter(|from| *from != Dialect::Responses) {
        for (to, ours) in [
            (Dialect::OpenAi, &["d", "e", "f"][..]),
            (Dialect::Responses, &ASKED),
            (Dialect::Anthropic, &["\n\n"]),
            (Dialect::Gemini, &["e", "f"]),
            (Dialect::Cohere, &["e", "f"]),
            (Dialect::Bedrock, &["\n\n"]),
            (Dialect::Ollama, &[]),
        ] {
            let written = sent(from, to, &ASKED);
            let ours = if from == to { &[] } else { ours };
            assert_eq!(written.stops, Stops::of(ours), "{from} -> {to}");
            assert!(written.losses.names().is_empty(), "{from} -> {to}: {:?}", written.losses.names());
            let said = String::from_utf8(written.body).expect("text");
            for stop in ASKED {
                let named = said.contains(&serde_json::json!(stop).to_string());
                assert_eq!(named, !ours.contains(&stop), "{from} -> {to}: {stop:?} in {said}");
            }
            assert!(sent(from, to, &["a"]).stops.is_empty() || to == Dialect::Responses, "{from} -> {to}");
        }
    }
    // Chat of OpenAI's models that take no sampling takes none of them, said anew for one who has others in mind as
    // well.
    let body = golden("text", "ask.openai.json").expect("everybody says it");
    let root = tree::parse(&body).expect("JSON");
    let mut ask = read(Dialect::OpenAi, Operation::Chat, MODEL, &root).expect("a request");
    ask.stop = vec!["a".into()];
    let mut facts = Facts::default();
    facts.learn(Ability::Sampling, false);
    let written = write(&mut ask, Dialect::OpenAi, &Terms { facts, ..terms(Dialect::OpenAi) });
    assert_eq!(written.expect("a pair").stops, Stops::of(&["a"]));
    // It stands everywhere.
    assert_eq!(sent(Dialect::OpenAi, Dialect::Responses, &[""]).losses.names(), ["stop"]);
}

/// What a caller is told of the sample once it ends with `kept`.
fn expected(to: Dialect, kept: Option<&'static str>, stop: &'static str) -> super::Gist {
    let (_, sample) = samples::replies().into_iter().find(|(name, _)| *name == "text").expect("a sample");
    let parts = kept.into_iter().map(Part::text).collect();
    let choices = vec![Choice::new(parts, Stop::Sequence(Some(stop.into())))];
    let said = whole(to, &Reply { choices, ..sample }, &manner(), 512);
    reply_gist(to, &said)
}

#[test]
fn an_answer_ends_before_the_stop_sequence_in_every_dialect() {
    for (kept, stop) in [(Some("Hello \"you\""), "\nthe"), (Some("He"), "llo \"you\"\nth"), (None, "Hello")] {
        let manner = || Manner { stops: Stops::of(&["no such text", stop]), ..manner() };
        for from in GENERATING {
            let body = golden("text", &format!("reply.{from}.json")).expect("everybody says it");
            let wire = stream("text", from).expect("everybody streams it");
            for to in CALLERS {
                let expected = expected(to, kept, stop);
                let said = reply(from, to, &body, &manner()).expect("an answer");
                assert_eq!(reply_gist(to, &said), expected, "{from} -> {to}");

                let mut translation = Stream::new(from, to, manner()).expect("a pair");
                let mut told = Vec::new();
                for frame in frames(from, [&*wire]) {
                    assert!(!translation.is_stopped());
                    told.extend_from_slice(&translation.frame(&frame).expect("sound"));
                    if translation.is_stopped() {
                        break;
                    }
                }
                assert!(translation.is_stopped(), "{from} -> {to}");
                told.extend_from_slice(&translation.end().expect("an answer"));
                let heard = hear(to, &told);
                for member in ["text", "stop"] {
                    assert_eq!(heard.get(member), expected.get(member), "{from} -> {to}: {member}");
                }
            }
        }
    }
}

#[test]
fn a_text_without_one_is_told_as_it_is() {
    let manner = || Manner { stops: Stops::of(&["there is none", "you\"\n\n"]), ..manner() };
    for from in GENERATING {
        let body = golden("text", &format!("reply.{from}.json")).expect("everybody says it");
        let wire = stream("text", from).expect("everybody streams it");
        for to in CALLERS {
            let said = reply(from, to, &body, &manner()).expect("an answer");
            assert_eq!(reply_gist(to, &said), reply_gist(from, &body), "{from} -> {to}");
            let told = super::streams::translated_for(from, to, &frames(from, [&*wire]), manner());
            assert_eq!(hear(to, &told), hear(from, &wire), "{from} -> {to}");
        }
    }
}
