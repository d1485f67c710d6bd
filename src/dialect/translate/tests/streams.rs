//! Streamed samples: whole, cut into two at every byte, and broken off behind every frame.

use bytes::Bytes;
use serde_json::Value;

use super::gist::{Gist, Heard};
use super::{ANSWERS, CALLERS, Matrix, golden};
use crate::dialect::Dialect;
use crate::dialect::framing::eventstream::{MessageKind, message};
use crate::dialect::framing::{Frame, Framing, Splitter};
use crate::dialect::hub::samples::{self, manner};
use crate::dialect::hub::{Event, Losses, Manner, Mode};
use crate::dialect::translate::stream::Reader;
use crate::dialect::translate::{GENERATING, Stream, generation};
use crate::dialect::tree;
use crate::dialect::watch::{Beat, Ending, Watch};

/// The sample that is cut: it has a text and two calls.
const CUT: &str = "tools";

fn framing(dialect: Dialect) -> Framing {
    match dialect {
        Dialect::OpenAi | Dialect::Responses | Dialect::Anthropic | Dialect::Gemini | Dialect::Cohere => {
            Framing::Sse
        }
        Dialect::Bedrock => Framing::EventStream,
        Dialect::Ollama => Framing::Lines,
        Dialect::Http => Framing::Opaque,
    }
}

/// A golden stream, as its bytes are on the wire.
pub fn stream(sample: &str, dialect: Dialect) -> Option<Vec<u8>> {
    let file = golden(sample, &format!("stream.{dialect}.txt"))?;
    if dialect != Dialect::Bedrock {
        return Some(file);
    }
    Some(messages(std::str::from_utf8(&file).expect("text")))
}

/// Amazon's messages of lines that name and hold them.
pub fn messages(lines: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines.lines() {
        let said: Value = serde_json::from_str(line).expect("JSON");
        let name = said["event"].as_str().expect("a name");
        message(name, MessageKind::Event, said["data"].to_string().as_bytes(), &mut out);
    }
    out
}

/// What a stream tells, by the reader of its own dialect.
pub fn events(dialect: Dialect, bytes: &[u8], hear: &mut impl FnMut(&Event<'_>)) {
    let mut reader = Reader::new(dialect).expect("it is read");
    for frame in frames(dialect, [bytes]) {
        let data = frame.data().map(<[u8]>::trim_ascii).unwrap_or_default();
        if data.is_empty() || data == b"[DONE]" {
            continue;
        }
        let root = tree::parse(data).expect("JSON");
        let mut events = Vec::new();
        let name = frame.event().map(|name| std::str::from_utf8(name).expect("text"));
        reader.read(name, &root, &mut events).expect("a sound frame");
        events.iter().for_each(&mut *hear);
    }
    let mut events = Vec::new();
    reader.end(&mut events);
    events.push(Event::End);
    events.iter().for_each(hear);
}

fn watch(dialect: Dialect) -> Watch {
    let operation = generation(dialect, Mode::Stream { usage: true }).expect("it generates");
    Watch::new(dialect, operation, framing(dialect))
}

pub fn frames<'c>(dialect: Dialect, chunks: impl IntoIterator<Item = &'c [u8]>) -> Vec<Frame> {
    let mut splitter = Splitter::new(framing(dialect));
    let mut found = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = splitter.next().expect("sound frames") {
            found.push(frame);
        }
    }
    found.extend(splitter.leftover());
    found
}

/// What the proxy does with a stream that came to its end, and with one that did not.
pub fn translated(from: Dialect, to: Dialect, frames: &[Frame]) -> Vec<u8> {
    translated_for(from, to, frames, manner())
}

pub fn translated_for(from: Dialect, to: Dialect, frames: &[Frame], manner: Manner) -> Vec<u8> {
    let mut translation = Stream::new(from, to, manner).expect("a pair");
    let mut watch = watch(from);
    let mut out = Vec::new();
    let mut ended = false;
    for frame in frames {
        match watch.frame(frame) {
            Beat::Error(_) => panic!("no sample fails"),
            Beat::Terminal if !ended => {
                out.extend_from_slice(&translation.frame(frame).expect("a sound frame"));
                out.extend_from_slice(&translation.end().expect("an answer"));
                ended = true;
            }
            _ => out.extend_from_slice(&translation.frame(frame).expect("a sound frame")),
        }
    }
    if !ended && watch.end() != Ending::Truncated {
        out.extend_from_slice(&translation.end().expect("an answer"));
    }
    out
}

pub fn hear(dialect: Dialect, bytes: &[u8]) -> Gist {
    let mut heard = Heard::default();
    events(dialect, bytes, &mut |event| heard.hear(event));
    heard.gist()
}

fn ending(dialect: Dialect, frames: &[Frame]) -> Ending {
    let mut watch = watch(dialect);
    for frame in frames {
        let beat = watch.frame(frame);
        assert!(!matches!(beat, Beat::Error(_) | Beat::Broken), "{dialect}: {beat:?}");
    }
    watch.end()
}

#[test]
fn streams_say_the_same_in_every_dialect() {
    let mut matrix = Matrix::new(ANSWERS);
    for (sample, _) in samples::streams() {
        for from in GENERATING {
            let Some(bytes) = stream(sample, from) else {
                matrix.hole(sample, from);
                continue;
            };
            let before = hear(from, &bytes);
            for to in CALLERS {
                let said = translated(from, to, &frames(from, [&*bytes]));
                let whole = Ending::Complete { missing_terminator: None };
                assert_eq!(ending(to, &frames(to, [&*said])), whole, "{sample} {from} -> {to}");
                matrix.judge((from, to), sample, (&before, &hear(to, &said)), &Losses::default());
            }
        }
    }
    matrix.close("streams");
}

#[test]
fn a_streams_chunks_make_no_difference() {
    for from in GENERATING {
        let Some(bytes) = stream(CUT, from) else { continue };
        let whole = CALLERS.map(|to| translated(from, to, &frames(from, [&*bytes])));
        for at in 0..=bytes.len() {
            let (begin, end) = bytes.split_at(at);
            let frames = frames(from, [begin, end]);
            // All six of them at every byte take half a minute.
            let caller = at % CALLERS.len();
            let to = CALLERS[caller];
            assert!(translated(from, to, &frames) == whole[caller], "{from} -> {to}, cut at {at}");
        }
    }
}

#[test]
fn a_stream_that_breaks_off_is_never_ended() {
    let mut broken = 0;
    for (sample, _) in samples::streams() {
        for from in GENERATING {
            let Some(bytes) = stream(sample, from) else { continue };
            let frames = frames(from, [&*bytes]);
            for begin in (0..frames.len()).map(|count| &frames[..count]) {
                if ending(from, begin) != Ending::Truncated {
                    continue;
                }
                for to in CALLERS {
                    let said = translated(from, to, begin);
                    let place = format!("{sample} {from} -> {to} behind {} frames", begin.len());
                    assert_eq!(ending(to, &self::frames(to, [&*said])), Ending::Truncated, "{place}");
                    broken += 1;
                }
            }
        }
    }
    println!("{broken} streams broke off");
    assert!(broken > 1_000, "only {broken} streams broke off");
}
