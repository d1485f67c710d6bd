//! Streamed answers: samples and recordings.

use std::fs;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Said, check_end, check_golden, folder, recorded, value};
use crate::dialect::cohere::stream::{Reader, Writer};
use crate::dialect::framing::{Framing, Splitter};
use crate::dialect::hub::samples;
use crate::dialect::hub::{Block, CallKind, Delta, Event, Manner, Sequencer, Stop, Text};
use crate::dialect::tree;
use crate::dialect::watch::{Beat, Ending, Watch};
use crate::dialect::{Dialect, Operation};

/// What a reader makes of a stream, in words that owe it nothing.
pub fn read_stream(stream: &[u8]) -> (Vec<Event<'static>>, Vec<Value>) {
    let mut splitter = Splitter::new(Framing::Sse);
    splitter.push(Bytes::copy_from_slice(stream));
    let mut reader = Reader::default();
    let mut events = Vec::new();
    let mut recorded = Vec::new();
    while let Some(frame) = splitter.next().expect("short frames") {
        let Some(data) = frame.data().filter(|data| *data != b"[DONE]") else { continue };
        let root = tree::parse(data).expect("JSON");
        let mut read = Vec::new();
        reader
            .read(frame.event().and_then(|name| std::str::from_utf8(name).ok()), &root, &mut read)
            .expect("an event");
        events.extend(read.into_iter().map(owned));
        recorded.push(value(data));
    }
    reader.end(&mut events);
    (events, recorded)
}

fn owned(event: Event<'_>) -> Event<'static> {
    let text = |text: Text<'_>| Text::Owned(text.into_owned());
    match event {
        Event::Start { id, model, created } => Event::Start { id: text(id), model: text(model), created },
        Event::Open { choice, block, kind } => Event::Open {
            choice,
            block,
            kind: match kind {
                Block::Call { id, name, kind } => Block::Call { id: text(id), name: text(name), kind },
                Block::Thought { is_summary, is_redacted, .. } => {
                    Block::Thought { is_summary, is_redacted, id: None }
                }
                Block::Text => Block::Text,
                Block::Refusal => Block::Refusal,
            },
        },
        Event::Delta { choice, block, delta } => Event::Delta {
            choice,
            block,
            delta: match delta {
                Delta::Text(said) => Delta::Text(text(said)),
                Delta::Arguments(said) => Delta::Arguments(text(said)),
                Delta::Citation { url, title, .. } => {
                    Delta::Citation { url: url.map(text), title: title.map(text), raw: "" }
                }
                other => panic!("{other:?}"),
            },
        },
        Event::Close { choice, block } => Event::Close { choice, block },
        Event::Finish { choice, stop } => Event::Finish { choice, stop: stop.into_owned() },
        Event::Usage(usage) => Event::Usage(usage),
        Event::Vendor { kind, .. } => Event::Vendor { kind: text(kind), raw: "" },
        Event::End => Event::End,
    }
}

pub fn write_stream(events: &[Event<'_>], manner: Manner) -> Vec<u8> {
    let mut writer = Writer::new(manner);
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    out
}

/// What of the events Cohere can say, in an order in which it can.
fn canonical(events: &[Event<'static>]) -> Vec<Event<'static>> {
    let mut sequencer = Sequencer::default();
    let mut said = Vec::new();
    for event in events {
        sequencer.put(event.clone(), &mut |event| {
            said.push(match event {
                Event::Start { id, .. } => {
                    owned(Event::Start { id: id.clone(), model: "".into(), created: 0 })
                }
                Event::Delta { delta: Delta::Signature(_), .. } | Event::End => return,
                event => owned(event.clone()),
            });
        });
    }
    said
}

#[test]
fn sample_streams_are_written_as_their_golden_files() {
    for (name, sample) in samples::streams() {
        let said = write_stream(&sample, samples::manner());
        check_golden(name, "stream.cohere.txt", &said);
        assert_eq!(read_stream(&said).0, canonical(&sample), "{name}");
    }
}

#[test]
fn recorded_streams_say_what_their_own_fields_say() {
    let exchanges = recorded("cohere", "/v2/chat");
    let mut streams: Vec<String> =
        exchanges.iter().filter_map(|exchange| exchange["resp"].as_str().map(str::to_owned)).collect();
    if let Some(folder) = folder() {
        for file in
            fs::read_dir(folder.join("streams")).expect("readable").map(|file| file.expect("a file").path())
        {
            if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("cohere__")) {
                let lines = fs::read_to_string(&file).expect("readable");
                streams.push(lines.lines().flat_map(|line| ["data: ", line, "\n\n"]).collect());
            }
        }
    }
    for stream in &streams {
        let (events, recorded) = read_stream(stream.as_bytes());
        let watch = watch(stream);
        let said = Said::of_events(&events);
        assert_eq!(said, of_recorded(&recorded), "{stream}");
        let Some(Event::Finish { stop, .. }) =
            events.iter().find(|event| matches!(event, Event::Finish { .. }))
        else {
            panic!("no end: {stream}")
        };
        let usage =
            events.iter().find_map(|event| if let Event::Usage(usage) = event { Some(*usage) } else { None });
        check_end(stop, usage, &recorded.last().expect("an event")["delta"]);
        // Callers are told what was read and written, the meter what is billed of it.
        let units = &recorded.last().expect("an event")["delta"]["usage"]["billed_units"];
        let billed = units["input_tokens"].as_f64().zip(units["output_tokens"].as_f64());
        let billed = billed.map(|(input, output)| (input as u64, output as u64));
        let metered = watch.usage().map(|usage| (usage.input, usage.output));
        assert_eq!(metered, billed.or(usage.map(|usage| (usage.input, usage.output))));
        // Written again and read again it says the same.
        let mut events = events;
        events.push(Event::End);
        let again = write_stream(&events, samples::manner());
        assert_eq!(Said::of_events(&read_stream(&again).0), said, "{stream}");
    }
    println!("{0} of {0} recorded streams are read", streams.len());
}

/// Every recorded stream is whole; those whose framing was removed lack `[DONE]`.
fn watch(stream: &str) -> Watch {
    let mut splitter = Splitter::new(Framing::Sse);
    let mut watch = Watch::new(Dialect::Cohere, Operation::CohereChat, Framing::Sse);
    splitter.push(Bytes::copy_from_slice(stream.as_bytes()));
    while let Some(frame) = splitter.next().expect("short frames") {
        assert!(!matches!(watch.frame(&frame), Beat::Broken | Beat::Error(_)), "{stream}");
    }
    let missing_terminator = (!stream.contains("[DONE]")).then_some(&b"data: [DONE]\n\n"[..]);
    assert_eq!(watch.end(), Ending::Complete { missing_terminator }, "{stream}");
    watch
}

/// What the recorded deltas say, one behind the other.
fn of_recorded(events: &[Value]) -> Said {
    let mut said = Said::default();
    let mut arguments: Vec<String> = Vec::new();
    for event in events {
        let message = &event["delta"]["message"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match event["type"].as_str().expect("a type") {
            "content-start" | "content-delta" => {
                said.text.push_str(&text(&message["content"]["text"]));
                said.thought.push_str(&text(&message["content"]["thinking"]));
            }
            "tool-plan-delta" => said.text.push_str(&text(&message["tool_plan"])),
            "tool-call-start" => {
                let call = &message["tool_calls"];
                said.calls.push((text(&call["id"]), text(&call["function"]["name"]), Value::Null));
                arguments.push(text(&call["function"]["arguments"]));
            }
            "tool-call-delta" => {
                let more = text(&message["tool_calls"]["function"]["arguments"]);
                arguments.last_mut().expect("a call").push_str(&more);
            }
            _ => {}
        }
    }
    for (call, arguments) in said.calls.iter_mut().zip(&arguments) {
        call.2 = if arguments.is_empty() { json!({}) } else { value(arguments.as_bytes()) };
    }
    said
}

#[test]
fn a_stream_that_leaves_things_out_is_read_all_the_same() {
    let stream = concat!(
        "data: {\"type\":\"tool-plan-delta\",\"delta\":{\"message\":{\"tool_plan\":\"I will.\"}}}\n\n",
        "event: tool-call-start\ndata: {\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"c\",\"function\":{\"name\":\"f\"}}}}}\n\n",
        "data: {\"type\":\"tool-call-delta\",\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"null\"}}}}}\n\n",
        "data: {\"type\":\"something-new\"}\n\n",
        "data: {\"type\":\"content-delta\",\"delta\":{\"message\":{\"content\":{\"text\":\"Hi\"}}}}\n\n",
        "data: {\"type\":\"content-delta\"}\n\n",
    );
    let delta = |block, delta| Event::Delta { choice: 0, block, delta };
    let call = Block::Call { id: "c".into(), name: "f".into(), kind: CallKind::Function };
    assert_eq!(
        read_stream(stream.as_bytes()).0,
        [
            Event::Start { id: "".into(), model: "".into(), created: 0 },
            Event::Open { choice: 0, block: 0, kind: Block::Text },
            delta(0, Delta::Text("I will.".into())),
            Event::Close { choice: 0, block: 0 },
            Event::Open { choice: 0, block: 1, kind: call },
            Event::Vendor { kind: "something-new".into(), raw: "" },
            delta(1, Delta::Arguments("{}".into())),
            Event::Close { choice: 0, block: 1 },
            Event::Open { choice: 0, block: 2, kind: Block::Text },
            delta(2, Delta::Text("Hi".into())),
            Event::Close { choice: 0, block: 2 },
            Event::Finish { choice: 0, stop: Stop::Calls },
        ]
    );
}
