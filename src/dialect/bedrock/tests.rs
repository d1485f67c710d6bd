//! The dialect against its samples and against what real providers said.
//!
//! Samples are compared with `tests/fixtures/dialect/pairs/<sample>/*.bedrock.*`; with
//! `MAINSTAY_BLESS=1` those are written. Recordings are read from `$MAINSTAY_FIXTURES` or
//! `../shared/fixtures`, where they exist; what is expected of them is looked up by `serde_json`.

mod callers;
mod foreign;
mod laws;
mod recorded;
mod samples;
mod watched;

use bytes::Bytes;

use super::stream::{Reader, Writer};
use crate::dialect::framing::{Frame, Framing, Splitter};
use crate::dialect::hub::Event;
use crate::dialect::tree;

/// A stream as a caller gets it -> its messages.
fn messages(stream: &[u8]) -> Vec<Frame> {
    let mut splitter = Splitter::new(Framing::EventStream);
    splitter.push(Bytes::copy_from_slice(stream));
    let mut frames = Vec::new();
    while let Some(frame) = splitter.next().expect("sound messages") {
        frames.push(frame);
    }
    assert!(splitter.leftover().is_none());
    frames
}

fn text(bytes: Option<&[u8]>) -> &str {
    std::str::from_utf8(bytes.expect("there")).expect("text")
}

/// Everything that a stream's messages say, shown to `see` as it comes.
fn read_stream<'m>(messages: impl IntoIterator<Item = (&'m str, &'m str)>, mut see: impl FnMut(&Event<'_>)) {
    let mut reader = Reader::default();
    for (name, json) in messages {
        let root = tree::parse(json.as_bytes()).expect("JSON");
        let mut events = Vec::new();
        reader.read(Some(name), &root, &mut events).expect("a message");
        events.iter().for_each(&mut see);
    }
    let mut events = Vec::new();
    reader.end(&mut events);
    events.push(Event::End);
    events.iter().for_each(see);
}

fn write_stream(events: &[Event<'_>]) -> Vec<u8> {
    let mut writer = Writer::new(crate::dialect::hub::samples::manner());
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    out
}
