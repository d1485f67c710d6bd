//! Tests of the dialect as a whole.
//!
//! | file | holds |
//! |---|---|
//! | `samples` | the canonical samples, as golden files and back |
//! | `recorded` | what real callers and vendors said |
//! | `laws` | what holds for anything at all |
//! | `callers`, `vendors`, `answers` | what single callers and vendors do in their own way |

mod answers;
mod callers;
mod laws;
mod recorded;
mod samples;
mod vendors;

use crate::dialect::hub::samples::manner;
use crate::dialect::hub::{Ask, Event, Losses, Terms};
use crate::dialect::openai::{request, stream};
use crate::dialect::tree::{self, Wrong};

/// What an upstream is asked, and what got lost.
fn asked(ask: &Ask<'_>, terms: &Terms<'_>) -> (String, Losses) {
    let mut losses = Losses::default();
    let mut out = Vec::new();
    request::write(ask, terms, &mut losses, &mut out);
    (String::from_utf8(out).expect("text"), losses)
}

/// What is wrong with a request, with its place.
fn refused(body: &str) -> String {
    let root = tree::parse(body.as_bytes()).expect("JSON");
    request::read(&root).expect_err("wrong").place(&root).to_string()
}

/// The data of each frame, without framing and terminator.
fn frames(stream: &str) -> impl Iterator<Item = &str> {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(str::trim)
        .filter(|data| *data != "[DONE]")
}

/// What a stream's frames mean, shown to `see` event by event.
fn hear<'t>(frames: impl Iterator<Item = &'t str>, see: &mut impl FnMut(&Event<'_>)) -> Result<(), Wrong> {
    let mut reader = stream::Reader::default();
    for frame in frames {
        let root = tree::parse(frame.as_bytes())?;
        let mut events = Vec::new();
        reader.read(None, &root, &mut events).map_err(|wrong| wrong.place(&root))?;
        events.iter().for_each(&mut *see);
    }
    let mut events = Vec::new();
    reader.end(&mut events);
    events.push(Event::End);
    events.iter().for_each(see);
    Ok(())
}

/// The events as text: they do not outlive their frames.
fn heard<'t>(frames: impl Iterator<Item = &'t str>) -> Vec<String> {
    let mut seen = Vec::new();
    hear(frames, &mut |event| seen.push(format!("{event:?}"))).expect("a sound stream");
    seen
}

/// What a caller hears.
fn said(events: &[Event<'_>]) -> String {
    let mut writer = stream::Writer::new(manner());
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    String::from_utf8(out).expect("text")
}
