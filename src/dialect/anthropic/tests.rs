//! The laws of this dialect: over recorded exchanges, the canonical samples and made-up answers.

mod arrangement;
mod counts;
mod examples;
mod laws;
mod recorded;
mod samples;

use bytes::Bytes;

use super::stream::{Reader, Writer};
use crate::dialect::Dialect;
use crate::dialect::framing::{Framing, Splitter};
use crate::dialect::hub::samples::manner;
use crate::dialect::hub::{Event, Family, Terms};
use crate::dialect::quirks::Quirks;
use crate::dialect::tree;
use crate::vocab::Facts;

/// Terms of a model of which nothing is known.
fn terms(model: &str) -> Terms<'_> {
    let facts = Facts::default();
    Terms {
        model,
        like: None,
        facts,
        family: Family::Anthropic,
        quirks: &Quirks::COMPATIBLE,
        ask_usage: false,
        nonce: "n0nce",
    }
}

/// What a stream's bytes mean, each frame handed to `see`, and then the end.
fn read_stream(bytes: &[u8], see: &mut dyn FnMut(&[Event<'_>])) {
    let mut splitter = Splitter::new(Framing::Sse);
    splitter.push(Bytes::copy_from_slice(bytes));
    let mut reader = Reader::default();
    while let Some(frame) = splitter.next().expect("short frames") {
        let Some(data) = frame.data() else { continue };
        let root = tree::parse(data).expect("JSON");
        let name = frame.event().and_then(|name| std::str::from_utf8(name).ok());
        let mut events = Vec::new();
        reader.read(name, &root, &mut events).expect("a sound frame");
        see(&events);
    }
    let mut events = Vec::new();
    reader.end(&mut events);
    events.push(Event::End);
    see(&events);
}

/// The bytes of a stream of these events.
fn write_stream(events: &[Event<'_>]) -> Vec<u8> {
    let mut writer = Writer::new(manner());
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    out
}

/// Where recordings lie; says so when there are none.
fn fixtures() -> Option<std::path::PathBuf> {
    let folder = std::env::var_os("MAINSTAY_FIXTURES").map_or_else(
        || std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"),
        std::path::PathBuf::from,
    );
    let there = folder.join("recorded").is_dir();
    if !there {
        println!("no recorded exchanges in {}: {} is checked without", folder.display(), Dialect::Anthropic);
    }
    there.then_some(folder)
}
