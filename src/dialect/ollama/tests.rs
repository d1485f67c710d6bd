//! Samples and recorded exchanges of the whole dialect.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::stream::Reader;
use super::{reply, request};
use crate::dialect::Dialect;
use crate::dialect::cohere::tests::{check_golden, losses_of, recorded, value};
use crate::dialect::framing::{Framing, Splitter};
use crate::dialect::hub::samples;
use crate::dialect::hub::{
    Ask, Block, Content, Delta, Effort, Event, Family, Losses, Media, Part, Role, Source, Stop, Terms,
    ToolChoice, Turn,
};
use crate::dialect::quirks::Quirks;
use crate::dialect::tree;
use crate::dialect::watch::{Beat, Ending, Watch};
use crate::dialect::{Operation, translate};
use crate::vocab::Usage;

// ---- requests --------------------------------------------------------------------------------

fn terms(model: &str) -> Terms<'_> {
    Terms { model, ..samples::terms(Family::Other, &Quirks::COMPATIBLE) }
}

fn ask(ask: &Ask<'_>, model: &str, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::new();
    request::write(ask, &terms(model), losses, &mut out);
    out
}

#[test]
fn sample_requests_are_written_as_their_golden_files() {
    for (name, sample) in samples::asks() {
        let mut losses = Losses::default();
        let said = ask(&sample, samples::MODEL, &mut losses);
        let expected = match name {
            "sampling" => "n logit_bias user prompt_cache_key service_tier",
            "image" => "refused: ollama does not fetch images; send the image as a data: URL",
            "file" => "refused: ollama takes no files but plain text; send the file's text instead",
            "audio" => "refused: ollama takes no audio; send a transcript instead",
            "tool_forced" => "parallel_tool_calls tool_choice",
            "tool_required" => "tool_choice",
            "reasoning" => "reasoning_effort",
            "cache" => "cache_control",
            _ => "",
        };
        assert_eq!(losses_of(&losses), expected, "{name}");
        if losses.fatal().is_none() {
            check_golden(name, "ask.ollama.json", &said);
        }
    }
}

/// Writes a request and looks at what came of it.
fn check(model: &str, ask_for: impl FnOnce(&mut Ask<'static>), expected: &Value, lost: &str) {
    let mut sample = Ask::new(Dialect::Http);
    ask_for(&mut sample);
    let mut losses = Losses::default();
    let said = value(&ask(&sample, model, &mut losses));
    for (key, value) in expected.as_object().expect("members") {
        assert_eq!(said.get(key).unwrap_or(&Value::Null), value, "{key}");
    }
    assert_eq!(losses_of(&losses), lost);
}

#[test]
fn what_other_dialects_say_finds_its_place() {
    let think = |model, effort, said: Value, lost| {
        check(model, |ask| ask.reasoning.effort = Some(effort), &json!({ "think": said }), lost);
    };
    think("gpt-oss:20b", Effort::Minimal, json!("low"), "");
    think("gpt-oss:20b", Effort::Max, json!("high"), "");
    think("qwen3:4b", Effort::Max, json!(true), "reasoning_effort");
    think("qwen3:4b", Effort::None, json!(false), "");
    check("qwen3:4b", |ask| ask.reasoning.adaptive = true, &json!({"think": true}), "");
    check("qwen3:4b", |_| {}, &json!({"think": null, "stream": false, "options": null}), "");
    let tools = || samples::asks().into_iter().find(|(name, _)| *name == "tools").expect("a sample").1.tools;
    let none = |ask: &mut Ask<'static>| {
        ask.tools = tools();
        ask.tool_choice = Some(ToolChoice::None);
    };
    check("m", none, &json!({"tools": null}), "");
    let image = Content::Image(Media {
        detail: Some("high".into()),
        ..Media::new(Source::Base64("AAAA".into()), Some("image/png".into()))
    });
    let file = Content::File(Media {
        name: Some("t.csv".into()),
        ..Media::new(Source::Base64("YSxi".into()), Some("text/csv".into()))
    });
    check(
        "m",
        |ask| {
            let parts = vec![Part::text("Look"), Part::new(image), Part::new(file)];
            ask.turns =
                vec![Turn::new(Role::Developer, vec![Part::text("Be brief.")]), Turn::new(Role::User, parts)];
        },
        &json!({"messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Look\n\nt.csv:\na,b", "images": ["AAAA"]},
        ]}),
        "image.detail",
    );
}

// ---- answers ---------------------------------------------------------------------------------

/// Texts, thoughts, and calls with their arguments.
type Said = (String, String, Vec<(String, Value)>);

/// As a recorded message has it.
fn collect(message: &Value, said: &mut Said) {
    said.0.push_str(message["content"].as_str().unwrap_or_default());
    said.1.push_str(message["thinking"].as_str().unwrap_or_default());
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let name = call["function"]["name"].as_str().expect("a name");
        said.2.push((name.to_owned(), call["function"]["arguments"].clone()));
    }
}

fn check_end(stop: &Stop<'_>, usage: Option<Usage>, said: &Said, last: &Value) {
    let expected = match last["done_reason"].as_str() {
        Some("length") => Stop::Length,
        _ if said.2.is_empty() => Stop::End,
        _ => Stop::Calls,
    };
    assert_eq!(*stop, expected, "{last}");
    let count = |key: &str| last[key].as_u64().expect("a count");
    assert_eq!(
        usage,
        Some(Usage { input: count("prompt_eval_count"), output: count("eval_count"), ..Usage::default() })
    );
}

#[test]
fn recorded_replies_say_what_their_own_fields_say() {
    let mut count = 0;
    for exchange in recorded("ollama", "/api/chat").iter().filter(|exchange| exchange["resp"].is_object()) {
        let recorded = &exchange["resp"];
        let body = recorded.to_string();
        let root = tree::parse(body.as_bytes()).expect("JSON");
        let reply = reply::read(&root).unwrap_or_else(|wrong| panic!("{}: {body}", wrong.place(&root)));
        let (mut expected, mut said) = (Said::default(), Said::default());
        collect(&recorded["message"], &mut expected);
        for part in &reply.choices[0].parts {
            match &part.content {
                Content::Text(text) => said.0.push_str(text),
                Content::Thought(thought) => said.1.push_str(&thought.text),
                Content::Call(call) => said.2.push((call.name.to_string(), value(call.arguments.as_bytes()))),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(said, expected, "{body}");
        assert_eq!(reply.model, recorded["model"].as_str().expect("a model"));
        check_end(&reply.choices[0].stop, reply.usage, &said, recorded);
        count += 1;
    }
    println!("{count} of {count} recorded replies are read");
}

#[test]
fn recorded_streams_say_what_their_own_fields_say() {
    let mut count = 0;
    for exchange in recorded("ollama", "/api/chat") {
        let Some(stream) = exchange["resp"].as_str() else { continue };
        let mut splitter = Splitter::new(Framing::Lines);
        let mut watch = Watch::new(Dialect::Ollama, Operation::OllamaChat, Framing::Lines);
        let mut translated =
            translate::Stream::new(Dialect::Ollama, Dialect::Cohere, samples::manner()).expect("a pair");
        let mut reader = Reader::default();
        let (mut expected, mut said) = (Said::default(), Said::default());
        let (mut blocks, mut stop, mut usage, mut last) = (Vec::new(), None, None, Value::Null);
        let mut out = Vec::new();
        splitter.push(Bytes::copy_from_slice(stream.as_bytes()));
        while let Some(frame) = splitter.next().expect("lines") {
            assert!(!matches!(watch.frame(&frame), Beat::Broken | Beat::Error(_)));
            out.extend_from_slice(&translated.frame(&frame).expect("a line"));
            let Some(data) = frame.data() else { continue };
            last = value(data);
            collect(&last["message"], &mut expected);
            let root = tree::parse(data).expect("JSON");
            let mut events = Vec::new();
            reader.read(None, &root, &mut events).expect("a line");
            for event in &events {
                match event {
                    Event::Open { block, kind, .. } => {
                        assert_eq!(*block as usize, blocks.len(), "blocks count up");
                        if let Block::Call { name, .. } = kind {
                            said.2.push((name.to_string(), Value::Null));
                        }
                        blocks.push(matches!(kind, Block::Thought { .. }));
                    }
                    Event::Delta { block, delta: Delta::Text(text), .. } => {
                        if blocks[*block as usize] {
                            said.1.push_str(text);
                        } else {
                            said.0.push_str(text);
                        }
                    }
                    Event::Delta { delta: Delta::Arguments(text), .. } => {
                        said.2.last_mut().expect("a call").1 = value(text.as_bytes());
                    }
                    Event::Finish { stop: reason, .. } => stop = Some(reason.clone().into_owned()),
                    Event::Usage(counts) => usage = Some(*counts),
                    _ => {}
                }
            }
        }
        out.extend_from_slice(&translated.end().expect("an answer"));
        assert_eq!(said, expected, "{stream}");
        check_end(&stop.expect("an end"), usage, &said, &last);
        assert_eq!((watch.end(), watch.usage()), (Ending::Complete { missing_terminator: None }, usage));
        assert!(out.ends_with(b"data: [DONE]\n\n"));
        count += 1;
    }
    println!("{count} of {count} recorded streams are read");
}

proptest! {
    #[test]
    fn any_line_is_read_or_refused(soup in "(\\{\"message\":\\{|\"content\":\"x\"|\"thinking\":\"y\"|\"tool_calls\":\\[\\{\"function\":\\{\"name\":\"f\"|\"arguments\":\\{\\}|\"done\":true|\"created_at\":\"2|\\}|\\]|,|1){0,16}") {
        if let Ok(root) = tree::parse(soup.as_bytes()) {
            let _ = reply::read(&root);
            let mut events = Vec::new();
            let mut reader = Reader::default();
            let _ = reader.read(None, &root, &mut events);
            reader.end(&mut events);
        }
    }

    #[test]
    fn any_moment_is_read_or_not(text in "[0-9TZ:.+é-]{0,30}|2023-11-14T22:13:20[+-][0-9]{1,20}:[0-9]{1,20}") {
        let body = json!({"message": {}, "created_at": text}).to_string();
        let root = tree::parse(body.as_bytes()).expect("JSON");
        let _ = reply::created(&root);
    }
}
