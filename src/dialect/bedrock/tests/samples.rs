//! The hub's samples, written, compared with their golden files, and read again.

use std::fs;
use std::path::PathBuf;

use super::{messages, read_stream, text, write_stream};
use crate::dialect::bedrock::{reply, request};
use crate::dialect::hub::samples;
use crate::dialect::hub::{
    Ask, Content, Event, Extras, Family, Format, Losses, Media, Mode, Part, Reply, Sequencer, Source, Stop,
};
use crate::dialect::quirks::Quirks;
use crate::dialect::{Dialect, tree};

/// Compares with the golden file, or writes it when `MAINSTAY_BLESS` says so.
fn golden(sample: &str, file: &str, found: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/dialect/pairs")
        .join(sample)
        .join(file);
    if std::env::var_os("MAINSTAY_BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        fs::write(&path, found).expect("writable");
    }
    let kept = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(String::from_utf8_lossy(found), String::from_utf8_lossy(&kept), "{sample} {file}");
    kept
}

/// What a caller's own dialect makes of an ask, up to what is known to be lost.
fn as_read(name: &str, mut ask: Ask<'static>) -> Ask<'static> {
    ask.dialect = Dialect::Bedrock;
    // In the path, not in the body.
    ask.model = "".into();
    ask.mode = Mode::Whole;
    match name {
        // The newest Claude takes neither.
        "multi_turn" => (ask.temperature, ask.top_p) = (None, None),
        "sampling" => {
            ask = Ask {
                turns: ask.turns,
                max_tokens: ask.max_tokens,
                tier: ask.tier,
                ..Ask::new(Dialect::Bedrock)
            };
        }
        // A URL cannot be fetched, and Claude hears nothing.
        "image" | "audio" => drop(ask.turns[0].parts.pop()),
        "file" => rename(&mut ask, "paper"),
        // Both neighbours are the user's.
        "tool_results" => {
            let last = ask.turns.pop().expect("a turn");
            ask.turns.last_mut().expect("results").parts.extend(last.parts);
        }
        "structured" => {
            if let Some(Format::Schema { strict, .. }) = &mut ask.format {
                *strict = None;
            }
        }
        "json" => ask.format = None,
        "reasoning" => ask.reasoning.adaptive = true,
        _ => {}
    }
    ask
}

fn rename(ask: &mut Ask<'static>, name: &'static str) {
    for part in ask.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let Content::File(media) = &mut part.content {
            media.name = Some(name.into());
        }
    }
}

#[test]
fn asks_are_written_as_their_golden_files() {
    let losses_of = |name: &str| -> &[&str] {
        match name {
            "multi_turn" => &["temperature", "top_p"],
            "sampling" => &[
                "n",
                "seed",
                "presence_penalty",
                "frequency_penalty",
                "logit_bias",
                "logprobs",
                "user",
                "prompt_cache_key",
                "top_k",
            ],
            "json" => &["response_format"],
            _ => &[],
        }
    };
    let fatal = [("image", "image"), ("audio", "audio")];
    for (name, ask) in samples::asks() {
        let mut losses = Losses::default();
        let mut body = Vec::new();
        let terms = samples::terms(Family::Anthropic, &Quirks::COMPATIBLE);
        request::write(&ask, &terms, &mut losses, &mut body);
        let kept = golden(name, "ask.bedrock.json", &[&*body, b"\n"].concat());
        assert_eq!(losses.names(), losses_of(name), "{name}");
        let refused = fatal.iter().find(|(sample, _)| *sample == name).map(|(_, param)| *param);
        assert_eq!(losses.fatal().map(|loss| &*loss.param), refused, "{name}");
        let root = tree::parse(&kept).expect("JSON");
        let back = request::read(&root).expect(name);
        assert_eq!(back, as_read(name, ask), "{name}");
    }
}

#[test]
fn replies_are_written_as_their_golden_files() {
    for (name, sample) in samples::replies() {
        let mut body = Vec::new();
        reply::write(&sample, &samples::manner(), &mut body);
        let kept = golden(name, "reply.bedrock.json", &[&*body, b"\n"].concat());
        let root = tree::parse(&kept).expect("JSON");
        let mut back = reply::read(&root).expect(name);
        assert_eq!(back.extras.find("metrics"), Some(r#"{"latencyMs":0}"#), "{name}");
        back.extras = Extras::default();
        assert_eq!(back, reply_as_read(name, sample), "{name}");
    }
}

/// Answers name nothing here, reasoning is not counted, and a refusal is a text that was filtered.
fn reply_as_read(name: &str, mut sample: Reply<'static>) -> Reply<'static> {
    sample.dialect = Dialect::Bedrock;
    (sample.id, sample.model, sample.created) = ("".into(), "".into(), None);
    if let Some(usage) = &mut sample.usage {
        usage.reasoning = 0;
    }
    if name == "refusal" {
        sample.choices[0].parts = vec![Part::text("I will not.")];
        sample.choices[0].stop = Stop::Filter;
    }
    sample
}

#[test]
fn streams_are_written_as_their_golden_files() {
    for (name, events) in samples::streams() {
        let messages = messages(&write_stream(&events));
        let lines = messages.iter().map(|message| {
            let (event, data) = (text(message.event()), text(message.data()));
            format!("{{\"event\":\"{event}\",\"data\":{data}}}\n")
        });
        golden(name, "stream.bedrock.txt", lines.collect::<String>().as_bytes());
        let mut seen = Vec::new();
        let pairs = messages.iter().map(|message| (text(message.event()), text(message.data())));
        read_stream(pairs, |event| seen.push(format!("{event:?}")));
        assert_eq!(seen, stream_as_read(events), "{name}");
    }
}

/// Nothing is named, reasoning is not counted, and what was interleaved comes one behind the other.
fn stream_as_read(events: Vec<Event<'static>>) -> Vec<String> {
    let mut sequencer = Sequencer::default();
    let mut seen = Vec::new();
    for mut event in events {
        match &mut event {
            Event::Start { id, model, created } => (*id, *model, *created) = ("".into(), "".into(), 0),
            Event::Usage(usage) => usage.reasoning = 0,
            _ => {}
        }
        sequencer.put(event, &mut |event| seen.push(format!("{event:?}")));
    }
    seen
}

#[test]
fn what_other_vendors_alone_know_is_no_block_and_a_sound_has_its_format() {
    let (_, mut sample) = samples::replies().into_iter().next().expect("one");
    let vendor = Content::Vendor { kind: "server_tool_use".into(), raw: r#"{"type":"server_tool_use"}"# };
    let sound = Content::Audio(Media::new(Source::Base64("T2dnUwAC".into()), None));
    sample.choices[0].parts = vec![Part::new(vendor), Part::new(sound)];
    let mut body = Vec::new();
    reply::write(&sample, &samples::manner(), &mut body);
    let said: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let expected = serde_json::json!([{"audio": {"format": "ogg", "source": {"bytes": "T2dnUwAC"}}}]);
    assert_eq!(said["output"]["message"]["content"], expected);
}
