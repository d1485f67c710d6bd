//! Recorded streams, byte for byte: framed, watched and metered at any split.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::Value;

use super::recorded::{conversations, recorded_usage};
use super::{messages, text};
use crate::dialect::framing::{Framing, Splitter};
use crate::dialect::watch::{Beat, Ending, Watch};
use crate::dialect::{Dialect, Operation};
use crate::vocab::Usage;

/// Joined again, how it ends, what it used, and how many of its messages are content.
fn watch<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Ending, Option<Usage>, u64) {
    let mut splitter = Splitter::new(Framing::EventStream);
    let mut watch = Watch::new(Dialect::Bedrock, Operation::ConverseStream, Framing::EventStream);
    let mut raw = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = splitter.next().expect("sound messages") {
            raw.extend_from_slice(&frame.raw);
            assert!(!matches!(watch.frame(&frame), Beat::Broken | Beat::Error(_)));
        }
    }
    (raw, watch.end(), watch.usage(), watch.content_events())
}

#[test]
fn every_recorded_stream_is_watched_at_any_split() {
    let mut watched = 0;
    for (_, streams, exchange) in conversations() {
        let bytes = exchange["resp"].as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
        let Some(stream) = bytes.filter(|_| streams) else { continue };
        let said = messages(&stream);
        let usage = said.iter().filter(|message| text(message.event()) == "metadata").map(|message| {
            let data: Value = serde_json::from_slice(message.data().expect("data")).expect("JSON");
            recorded_usage(&data["usage"])
        });
        let filled = said.iter().filter(|message| {
            let data: Value = serde_json::from_slice(message.data().expect("data")).expect("JSON");
            let delta = &data["delta"];
            let told = [&delta["text"], &delta["toolUse"]["input"]];
            told.iter().any(|text| text.as_str().is_some_and(|text| !text.is_empty()))
                || data["start"]["toolUse"].is_object()
        });
        let whole = (
            stream.clone(),
            Ending::Complete { missing_terminator: None },
            usage.last(),
            u64::try_from(filled.count()).expect("few"),
        );
        assert_eq!(watch([&*stream]), whole);
        for at in (0..stream.len()).step_by((stream.len() / 20) | 1) {
            let (head, tail) = stream.split_at(at);
            assert_eq!(watch([head, tail]), whole, "split at {at}");
        }
        assert_eq!(watch(stream.chunks(1)), whole);
        watched += 1;
    }
    println!("{watched} recorded streams were watched");
}
