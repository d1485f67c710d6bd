//! Streams: the rules of `hub::event`, and that our own reader understands our own writer.

use proptest::prelude::*;

use crate::dialect::hub::{
    Block, CallKind, Delta, Event, Family, Media, Signature, Source, Stop, Text, samples,
};
use crate::dialect::responses::stream::{Reader, Writer};
use crate::dialect::tree;

/// What a stream tells, in words: equal for streams that tell the same in other pieces.
#[derive(Debug, Default)]
pub struct Told {
    pub words: Vec<String>,
    /// The texts of open blocks, by number.
    open: Vec<(u32, String)>,
    started: bool,
    finished: bool,
    pub text: String,
    pub thoughts: String,
    pub encrypted: Vec<String>,
    /// Ids, names and arguments.
    pub calls: Vec<[String; 3]>,
    pub tokens: Option<u64>,
    pub stop: Option<Stop<'static>>,
    kinds: Vec<(u32, Block<'static>)>,
}

impl Told {
    pub fn frame(&mut self, reader: &mut Reader, data: &[u8]) {
        let root = tree::parse(data).expect("JSON");
        let mut events = Vec::new();
        reader.read(None, &root, &mut events).expect("an event");
        for event in &events {
            self.hear(event);
        }
    }

    pub fn end(&mut self, reader: &mut Reader) {
        let mut events = Vec::new();
        reader.end(&mut events);
        for event in &events {
            self.hear(event);
        }
        assert!(self.finished && self.open.is_empty(), "{self:?}");
    }

    /// Adds it up: all of one kind together.
    fn add(&mut self, event: &Event<'_>) {
        match event {
            Event::Open { block, kind, .. } => {
                let kind = match kind {
                    Block::Text | Block::Refusal => Block::Text,
                    Block::Thought { .. } => {
                        Block::Thought { is_summary: true, is_redacted: false, id: None }
                    }
                    Block::Call { id, name, kind } => {
                        self.calls.push([id.clone().into_owned(), name.clone().into_owned(), String::new()]);
                        // Its number among the calls.
                        let id = (self.calls.len() - 1).to_string();
                        Block::Call { id: id.into(), name: Text::default(), kind: *kind }
                    }
                };
                self.kinds.push((*block, kind));
            }
            Event::Delta { block, delta, .. } => {
                let (_, kind) = self.kinds.iter().find(|(open, _)| open == block).expect("an open block");
                match (kind, delta) {
                    (Block::Text, Delta::Text(text)) => self.text += text,
                    (Block::Thought { .. }, Delta::Text(text)) => self.thoughts += text,
                    (Block::Call { id, .. }, Delta::Arguments(text)) => {
                        let at: usize = id.parse().expect("a number");
                        self.calls[at][2] += text;
                    }
                    (_, Delta::Signature(signature)) => {
                        self.encrypted.push(signature.value.clone().into_owned());
                    }
                    _ => {}
                }
            }
            Event::Usage(usage) => self.tokens = Some(usage.input + usage.output),
            Event::Finish { stop, .. } => self.stop = Some(stop.clone().into_owned()),
            _ => {}
        }
    }

    /// Checks the rules on the way.
    pub fn hear(&mut self, event: &Event<'_>) {
        self.add(event);
        match event {
            Event::Start { id, model, created } => {
                assert!(!self.started, "started twice");
                self.started = true;
                let id = id.strip_prefix("resp_").unwrap_or(id);
                self.words.push(format!("start {id} {model} {created}"));
            }
            Event::Open { block, kind, .. } => {
                assert!(self.started && !self.finished, "opened out of turn");
                self.open.push((*block, kind_in_words(kind)));
            }
            Event::Delta { block, delta, .. } => {
                let at = self.open.iter().position(|(open, _)| open == block).expect("an open block");
                let text = &mut self.open[at].1;
                match delta {
                    Delta::Text(more) | Delta::Arguments(more) => text.push_str(more),
                    Delta::Signature(signature) => {
                        text.extend([" signed ", &signature.value]);
                    }
                    Delta::Media(Media { source, .. }) => {
                        let Source::Base64(data) = source else { panic!("no data") };
                        text.extend([" picture ", data]);
                    }
                    Delta::Citation { url, .. } => {
                        text.extend([" cites ", url.as_deref().unwrap_or_default()]);
                    }
                    Delta::Logprobs(_) => {}
                }
            }
            Event::Close { block, .. } => {
                let at = self.open.iter().position(|(open, _)| open == block).expect("an open block");
                let (block, text) = self.open.remove(at);
                self.words.push(format!("{block}: {text}"));
            }
            Event::Finish { stop, .. } => {
                assert!(self.open.is_empty() && !self.finished, "finished out of turn: {:?}", self.open);
                self.finished = true;
                self.words.push(format!("{stop:?}"));
            }
            Event::Usage(usage) => self.words.push(format!("{usage:?}")),
            Event::Vendor { kind, .. } => self.words.push(format!("vendor {kind}")),
            Event::End => {}
        }
        // Usage comes when it comes.
        self.words.sort();
    }
}

fn kind_in_words(kind: &Block<'_>) -> String {
    match kind {
        Block::Text => "text ".to_owned(),
        Block::Refusal => "refusal ".to_owned(),
        // All thoughts are summaries to a caller, and have ids.
        Block::Thought { is_redacted, .. } => format!("thought {is_redacted} "),
        Block::Call { id, name, kind } => format!("{kind:?} {id} {name} "),
    }
}

/// What these events tell.
pub fn words(events: &[Event<'_>]) -> Vec<String> {
    let mut told = Told::default();
    for event in events {
        told.hear(event);
    }
    told.words
}

/// Written and read again, the events tell the same.
fn check(events: &[Event<'_>]) -> Vec<serde_json::Value> {
    let mut writer = Writer::new(samples::manner());
    let mut reader = Reader::default();
    let mut told = Told::default();
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    let text = String::from_utf8(out).expect("text");
    let mut seen = Vec::new();
    for (number, frame) in text.split_terminator("\n\n").enumerate() {
        let (name, data) = frame.split_once('\n').expect("two lines");
        let data = data.strip_prefix("data: ").expect("data");
        let event: serde_json::Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(name.strip_prefix("event: "), event["type"].as_str());
        assert_eq!(event["sequence_number"], number);
        told.frame(&mut reader, data.as_bytes());
        seen.push(event);
    }
    told.end(&mut reader);
    assert_eq!(writer.next_sequence(), seen.len() as u64);
    assert_eq!(told.words, words(events), "{text}");
    items_are_whole(&seen);
    seen
}

/// The last event repeats every item that has ended, in the order of their places; and each item's id
/// is the same wherever it is named.
fn items_are_whole(events: &[serde_json::Value]) {
    let of = |name: &str| events.iter().filter(|event| event["type"] == name).collect::<Vec<_>>();
    let mut done: Vec<_> = of("response.output_item.done");
    done.sort_by_key(|event| event["output_index"].as_u64());
    let items: Vec<_> = done.iter().map(|event| event["item"].clone()).collect();
    let last = events.last().expect("an event");
    assert_eq!(last["response"]["output"], serde_json::Value::Array(items));
    assert_eq!(of("response.output_item.added").len(), done.len());
    for event in events.iter().filter(|event| event["item_id"].is_string()) {
        let item = done.iter().find(|done| done["output_index"] == event["output_index"]).expect("its item");
        assert_eq!(item["item"]["id"], event["item_id"], "{event}");
    }
}

fn blocks() -> impl Strategy<Value = Vec<Event<'static>>> {
    let text = "[a-z\"\\\\\n é]{0,6}";
    let pieces = proptest::collection::vec(text, 0..4);
    let kind = 0..6_u8;
    proptest::collection::vec((kind, pieces, any::<bool>()), 0..6).prop_map(|blocks| {
        let mut events = vec![Event::Start { id: "x".into(), model: "m".into(), created: 7 }];
        let mut call = false;
        let mut refusal = false;
        let mut number = 0;
        for (kind, pieces, signed) in blocks {
            let pieces = if kind == 5 { Vec::new() } else { pieces };
            let said: String = pieces.concat();
            // Blocks that say nothing are not told.
            if said.is_empty() && kind < 3 {
                continue;
            }
            let block = number;
            number += 1;
            let id = format!("call_{block}");
            let opened = match kind {
                0 => Block::Text,
                1 => Block::Refusal,
                2 => Block::Thought { is_summary: false, is_redacted: false, id: None },
                3 => Block::Call { id: id.into(), name: "f".into(), kind: CallKind::Function },
                4 => Block::Call { id: id.into(), name: "g".into(), kind: CallKind::Custom },
                _ => Block::Thought { is_summary: false, is_redacted: true, id: None },
            };
            (call, refusal) = (call || matches!(kind, 3 | 4), refusal || kind == 1);
            events.push(Event::Open { choice: 0, block, kind: opened });
            for piece in pieces {
                let delta = if matches!(kind, 3 | 4) {
                    Delta::Arguments(piece.into())
                } else {
                    Delta::Text(piece.into())
                };
                events.push(Event::Delta { choice: 0, block, delta });
            }
            if kind == 3 && said.trim().is_empty() {
                let delta = Delta::Arguments(Text::Borrowed("{}"));
                events.push(Event::Delta { choice: 0, block, delta });
            }
            if kind == 5 || (kind == 2 && signed) {
                let signature = Signature { family: Family::Anthropic, value: "s".into() };
                events.push(Event::Delta { choice: 0, block, delta: Delta::Signature(signature) });
            }
            events.push(Event::Close { choice: 0, block });
        }
        let stop = if call {
            Stop::Calls
        } else if refusal {
            Stop::Refusal
        } else {
            Stop::End
        };
        events.push(Event::Finish { choice: 0, stop });
        events.push(Event::Usage(crate::vocab::Usage { input: 3, output: 4, ..Default::default() }));
        events.push(Event::End);
        events
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_reads_the_same(events in blocks()) {
        check(&events);
    }

    #[test]
    fn no_frame_frightens_the_reader(
        frames in proptest::collection::vec((0..12_usize, 0..3_u64, "[a-z]{0,3}"), 0..12))
    {
        let names = ["created", "output_item.added", "output_item.done", "content_part.added",
            "content_part.done", "output_text.delta", "refusal.delta", "reasoning_summary_text.delta",
            "reasoning_text.delta", "function_call_arguments.delta", "function_call_arguments.done", "completed"];
        let mut reader = Reader::default();
        let mut told = Told::default();
        for (name, index, text) in frames {
            let kind = ["message", "reasoning", "function_call", "web_search_call"][index as usize];
            let item = serde_json::json!({"type": kind, "call_id": "c", "name": "n", "arguments": text,
                "encrypted_content": "e", "content": [{"type": "output_text", "text": text}]});
            let event = serde_json::json!({"type": format!("response.{}", names[name]), "output_index": index,
                "delta": text, "text": text, "item": item, "part": {"type": "output_text", "text": text},
                "response": {"id": "r", "output": [item], "status": "completed"}});
            told.frame(&mut reader, event.to_string().as_bytes());
        }
        told.end(&mut reader);
    }
}

fn open(block: u32, kind: Block<'static>) -> Event<'static> {
    Event::Open { choice: 0, block, kind }
}

fn delta(block: u32, delta: Delta<'static>) -> Event<'static> {
    Event::Delta { choice: 0, block, delta }
}

/// A stream of these blocks.
fn stream(events: Vec<Event<'static>>, stop: Stop<'static>) -> Vec<Event<'static>> {
    let mut all = vec![Event::Start { id: "x".into(), model: "m".into(), created: 7 }];
    all.extend(events);
    all.extend([Event::Finish { choice: 0, stop }, Event::Usage(crate::vocab::Usage::default()), Event::End]);
    all
}

/// The kinds of the items in the last event.
fn kinds(events: &[serde_json::Value]) -> Vec<String> {
    let last = &events.last().expect("an event")["response"]["output"];
    let items = last.as_array().expect("items").iter();
    items.map(|item| item["type"].as_str().expect("a type").to_owned()).collect()
}

#[test]
fn citations_and_pictures_have_their_places() {
    let raw =
        r#"{"type":"url_citation","start_index":1,"end_index":2,"url":"https://a.example","title":"A"}"#;
    let citation = Delta::Citation { url: Some("https://a.example".into()), title: Some("A".into()), raw };
    let media = Media::new(Source::Base64(samples::PNG.into()), Some("image/png".into()));
    let mut events = vec![open(0, Block::Text), delta(0, Delta::Text("See A".into())), delta(0, citation)];
    events.push(Event::Close { choice: 0, block: 0 });
    events.extend([
        open(1, Block::Text),
        delta(1, Delta::Media(media)),
        Event::Close { choice: 0, block: 1 },
    ]);
    let seen = check(&stream(events, Stop::End));
    assert_eq!(kinds(&seen), ["message", "image_generation_call"]);
    let message = &seen.last().expect("an event")["response"]["output"][0];
    assert_eq!(message["content"][0]["annotations"][0]["start_index"], 1);
}

/// Gemini's signature of a call goes before it, and comes back with it.
#[test]
fn a_signature_of_a_call_is_an_item_before_it() {
    let call = Block::Call { id: "c".into(), name: "f".into(), kind: CallKind::Function };
    let signature = Signature { family: Family::Gemini, value: "s".into() };
    let events = vec![
        open(0, call),
        delta(0, Delta::Signature(signature.clone())),
        delta(0, Delta::Arguments("{}".into())),
        Event::Close { choice: 0, block: 0 },
    ];
    let mut writer = Writer::new(samples::manner());
    let mut out = Vec::new();
    for event in &stream(events, Stop::Calls) {
        writer.write(event, &mut out);
    }
    let text = String::from_utf8(out).expect("text");
    let last = text.lines().rfind(|line| line.starts_with("data: ")).expect("an event");
    let last: serde_json::Value = serde_json::from_str(&last["data: ".len()..]).expect("JSON");
    let body = serde_json::json!({"model": "m", "input": last["response"]["output"]}).to_string();
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let ask = crate::dialect::responses::request::read(&root).expect("a request");
    let parts = &ask.turns[0].parts;
    let crate::dialect::hub::Content::Call(call) = &parts[0].content else { panic!("{parts:?}") };
    assert_eq!((parts.len(), call.signature.as_ref()), (1, Some(&signature)));
}

#[test]
fn an_answer_that_was_cut_says_so() {
    for (stop, status, reason) in [
        (Stop::Length, "incomplete", Some("max_output_tokens")),
        (Stop::Filter, "incomplete", Some("content_filter")),
        (Stop::Refusal, "incomplete", Some("content_filter")),
        (Stop::Failed, "failed", None),
        (Stop::Pause, "incomplete", Some("max_output_tokens")),
    ] {
        let events = vec![
            open(0, Block::Text),
            delta(0, Delta::Text("x".into())),
            Event::Close { choice: 0, block: 0 },
        ];
        let mut writer = Writer::new(samples::manner());
        let mut out = Vec::new();
        for event in &stream(events, stop) {
            writer.write(event, &mut out);
        }
        let text = String::from_utf8(out).expect("text");
        let last = text.lines().rfind(|line| line.starts_with("data: ")).expect("an event");
        let last: serde_json::Value = serde_json::from_str(&last["data: ".len()..]).expect("JSON");
        assert_eq!(last["type"], format!("response.{status}"));
        assert_eq!(last["response"]["status"], status);
        assert_eq!(last["response"]["incomplete_details"]["reason"].as_str(), reason);
    }
}

#[test]
fn a_call_that_was_cut_says_so() {
    let call = Block::Call { id: "c".into(), name: "f".into(), kind: CallKind::Function };
    for (arguments, status) in [(r#"{"a"#, "incomplete"), (r#"{"a":1}"#, "completed")] {
        let said = vec![
            open(0, call.clone()),
            delta(0, Delta::Arguments(arguments.into())),
            Event::Close { choice: 0, block: 0 },
        ];
        let events = check(&stream(said, Stop::Length));
        let done = events.iter().find(|event| event["type"] == "response.output_item.done").expect("its end");
        assert_eq!(done["item"]["status"], status, "{arguments}");
    }
}
