//! What callers of this dialect get.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{call, terms, written};
use crate::dialect::Dialect;
use crate::dialect::anthropic::stream::Writer;
use crate::dialect::anthropic::tests::read_stream;
use crate::dialect::anthropic::{reply, request, stand_in};
use crate::dialect::hub::samples::manner;
use crate::dialect::hub::{
    Block, Call, CallKind, Choice, Content, Delta, Event, Extras, Family, Part, Reply, Signature, Stop,
    Thought,
};
use crate::dialect::{bedrock, hub, tree};

#[test]
fn a_calls_signature_comes_back_with_the_history() {
    let signature = Some(Signature { family: Family::Gemini, value: "CsQB".into() });
    let signed = Call {
        id: "c1".into(),
        name: "f".into(),
        arguments: "{}".into(),
        kind: CallKind::Function,
        signature,
    };
    let parts = vec![Part::new(Content::Call(signed.clone())), call("c2", "g")];
    let said = Reply {
        dialect: Dialect::Gemini,
        id: "x".into(),
        model: "".into(),
        created: None,
        choices: vec![Choice::new(parts.clone(), Stop::Calls)],
        usage: None,
        tier: None,
        extras: Extras::default(),
    };
    let mut out = Vec::new();
    reply::write(&said, &manner(), &mut out);
    let answer: Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(
        (&answer["content"][0]["type"], &answer["content"][0]["thinking"]),
        (&json!("thinking"), &json!(""))
    );
    assert_eq!((&answer["model"], &answer["usage"]["output_tokens"]), (&json!("test-model"), &json!(0)));
    let history = json!({ "messages": [{ "role": "assistant", "content": answer["content"] }] }).to_string();
    let root = tree::parse(history.as_bytes()).expect("JSON");
    let read = request::read(&root).expect("sound");
    assert_eq!(read.turns[0].parts, parts);
    // It is nothing to Anthropic.
    let (body, _) = written(&read, &terms("claude-opus-5"));
    assert_eq!(body["messages"][0]["content"][0]["type"], "tool_use");
}

/// What a stream of these frames means, in short.
fn told(frames: &[Value]) -> String {
    let mut bytes = String::new();
    for frame in frames {
        let name = frame["type"].as_str().expect("a type");
        let _ = write!(bytes, "event: {name}\ndata: {frame}\n\n");
    }
    let mut words = Vec::new();
    read_stream(bytes.as_bytes(), &mut |events| {
        words.extend(events.iter().map(|event| match event {
            Event::Start { id, .. } => format!("start:{id}"),
            Event::Open { block, kind, .. } => match kind {
                Block::Text => format!("text{block}"),
                Block::Call { name, kind: CallKind::Custom, .. } => format!("custom{block}:{name}"),
                Block::Call { name, .. } => format!("call{block}:{name}"),
                Block::Thought { .. } | Block::Refusal => format!("thought{block}"),
            },
            Event::Delta { delta: Delta::Text(text), .. } => format!("+{text}"),
            Event::Delta { delta: Delta::Arguments(text), .. } => format!("+<{text}>"),
            Event::Delta { delta: Delta::Citation { url, .. }, .. } => {
                format!("+{}", url.as_deref().unwrap_or("?"))
            }
            Event::Delta { .. } => "+".to_owned(),
            Event::Close { block, .. } => format!("/{block}"),
            Event::Finish { stop, .. } => format!("{stop:?}"),
            Event::Usage(usage) => format!("{}:{}", usage.input, usage.output),
            Event::Vendor { kind, .. } => format!("({kind})"),
            Event::End => ".".to_owned(),
        }));
    });
    words.join(" ")
}

fn check_stream(blocks: Vec<Value>, end: Value, expected: &str) {
    let usage = json!({ "input_tokens": 3, "output_tokens": 1 });
    let mut frames =
        vec![json!({ "type": "message_start", "message": { "id": "m", "content": [], "usage": usage } })];
    for (index, block) in blocks.into_iter().enumerate() {
        let deltas = block["deltas"].as_array().cloned().unwrap_or_default();
        frames
            .push(json!({ "type": "content_block_start", "index": index, "content_block": block["start"] }));
        frames.push(json!({ "type": "ping" }));
        frames.extend(
            deltas
                .into_iter()
                .map(|delta| json!({ "type": "content_block_delta", "index": index, "delta": delta })),
        );
        frames.push(json!({ "type": "content_block_stop", "index": index }));
    }
    frames.extend((!end.is_null()).then_some(end));
    frames.push(json!({ "type": "message_stop" }));
    assert_eq!(told(&frames), expected);
}

#[test]
fn stand_ins_stream_as_what_they_stand_for() {
    let tool = |name: &str, pieces: &[&str]| {
        let deltas: Vec<Value> =
            pieces.iter().map(|json| json!({ "type": "input_json_delta", "partial_json": json })).collect();
        json!({ "start": { "type": "tool_use", "id": "t", "name": name, "input": {} }, "deltas": deltas })
    };
    let end = || {
        let usage = json!({ "output_tokens": 7 });
        json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" }, "usage": usage })
    };
    let answer = tool(stand_in::ANSWER, &["", "{\"a\"", ":1}"]);
    check_stream(vec![answer], end(), "start:m text0 +{\"a\" +:1} /0 End 3:7 .");
    let shell = tool(&[stand_in::CUSTOM, "shell"].concat(), &["{\"inp", "ut\": \"l", "s\\", "n\"}"]);
    check_stream(vec![shell], end(), "start:m custom0:shell +<l> +<s> +<\n> /0 Calls 3:7 .");
    check_stream(vec![tool("now", &[""])], end(), "start:m call0:now +<{}> /0 Calls 3:7 .");
    // The upstream never said why it ended.
    check_stream(vec![tool("now", &["{}"])], Value::Null, "start:m call0:now +<{}> /0 Calls 3:1 .");
    check_stream(vec![], Value::Null, "start:m End 3:1 .");
}

#[test]
fn blocks_of_the_vendors_own_tools_are_counted_out() {
    let own = json!({ "start": { "type": "server_tool_use", "id": "s", "name": "web_search", "input": {} },
        "deltas": [{ "type": "input_json_delta", "partial_json": "{}" }] });
    let citation = json!({ "type": "web_search_result_location", "url": "https://a.b", "title": "A" });
    let text = json!({ "start": { "type": "text", "text": "" },
        "deltas": [{ "type": "text_delta", "text": "x" }, { "type": "citations_delta", "citation": citation }] });
    check_stream(
        vec![own, text],
        Value::Null,
        "start:m (server_tool_use) text0 +x +https://a.b /0 End 3:1 .",
    );
}

#[test]
fn an_input_may_be_a_text_and_a_block_may_never_start() {
    let body = r#"{"content":[{"type":"tool_use","id":"t","name":"f","input":"{\"a\":1}"}],"stop_reason":"tool_use"}"#;
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let read = reply::read(&root).expect("an answer");
    let Content::Call(call) = &read.choices[0].parts[0].content else { panic!("a call") };
    assert_eq!((&*call.id, &*call.name, &*call.arguments), ("t", "f", r#"{"a":1}"#));

    let delta = r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#;
    let stop = r#"data: {"type":"content_block_stop","index":0}"#;
    let mut seen = Vec::new();
    let bytes = format!("{delta}\n\n{delta}\n\n{stop}\n\n");
    read_stream(bytes.as_bytes(), &mut |events| {
        seen.extend(events.iter().map(|event| format!("{event:?}")));
    });
    let said: Vec<_> = seen.iter().map(|event| event.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(said, ["Start", "Open", "Delta", "Delta", "Close", "Finish", "End"]);
}

#[test]
fn a_text_of_nothing_is_no_block() {
    let choice = Choice::new(vec![Part::text("")], Stop::End);
    let (_, said) = hub::samples::replies().into_iter().next().expect("one");
    let mut out = Vec::new();
    let said = Reply { dialect: Dialect::Gemini, choices: vec![choice], ..said };
    reply::write(&said, &manner(), &mut out);
    let body: Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(body["content"], json!([]));
    out.clear();
    bedrock::reply::write(&said, &manner(), &mut out);
    let body: Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(body["output"]["message"]["content"], json!([]));
}

/// What callers are told of an answer with these parts, whole and streamed, which has to be the same.
fn blocks_of(id: &'static str, parts: Vec<Part<'static>>) -> (Value, Value) {
    let (_, said) = hub::samples::replies().into_iter().next().expect("one");
    let said = Reply {
        id: id.into(),
        model: "m".into(),
        choices: vec![Choice::new(parts.clone(), Stop::End)],
        ..said
    };
    let mut out = Vec::new();
    reply::write(&said, &manner(), &mut out);
    let whole: Value = serde_json::from_slice(&out).expect("JSON");
    out.clear();
    let mut writer = Writer::new(manner());
    let mut say = |event: Event<'static>| writer.write(&event, &mut out);
    say(Event::Start { id: id.into(), model: "m".into(), created: 0 });
    for (block, part) in (0..).zip(parts) {
        let open = |kind| Event::Open { choice: 0, block, kind };
        let (kind, text, signature) = match part.content {
            Content::Text(text) => (Block::Text, Delta::Text(text), None),
            Content::Thought(Thought { text, signature, .. }) => (
                Block::Thought { is_summary: false, is_redacted: false, id: None },
                Delta::Text(text),
                signature,
            ),
            Content::Call(Call { id, name, arguments, kind, signature, .. }) => {
                (Block::Call { id, name, kind }, Delta::Arguments(arguments), signature)
            }
            other => panic!("{other:?}"),
        };
        say(open(kind));
        say(Event::Delta { choice: 0, block, delta: text });
        if let Some(signature) = signature {
            say(Event::Delta { choice: 0, block, delta: Delta::Signature(signature) });
        }
        say(Event::Close { choice: 0, block });
    }
    say(Event::Finish { choice: 0, stop: Stop::End });
    say(Event::End);
    let (mut streamed, mut started) = (Vec::new(), Value::Null);
    for line in
        std::str::from_utf8(&out).expect("text").lines().filter_map(|line| line.strip_prefix("data: "))
    {
        let event: Value = serde_json::from_str(line).expect("JSON");
        match event["type"].as_str().expect("a type") {
            "message_start" => started = event["message"].clone(),
            "content_block_start" => {
                assert_eq!(event["index"], streamed.len());
                streamed.push(event["content_block"]["type"].clone());
            }
            _ => {}
        }
    }
    let kinds = |blocks: &Value| -> Vec<Value> {
        blocks.as_array().expect("blocks").iter().map(|block| block["type"].clone()).collect()
    };
    assert_eq!(kinds(&whole["content"]), streamed);
    for key in ["id", "model"] {
        assert_eq!(whole[key], started[key]);
    }
    (started, streamed.into())
}

#[test]
fn an_answer_ends_with_what_it_says_and_not_with_a_seal() {
    let of = |family| Some(Signature { family, value: "CsQB".into() });
    let signature = || of(Family::Gemini);
    let thought = |text: &'static str, signature| {
        Part::new(Content::Thought(Thought { text: text.into(), signature, ..Thought::default() }))
    };
    let seal = || thought("", signature());
    let text = || Part::text("So it is.");
    let check = |parts, expected: Value| assert_eq!(blocks_of("msg_1", parts).1, expected);
    check(vec![thought("Hm.", None), text(), seal()], json!(["thinking", "text"]));
    check(vec![text(), seal(), seal()], json!(["text"]));
    check(vec![text(), seal(), text()], json!(["text", "thinking", "text"]));
    check(vec![text(), seal(), call("c1", "f")], json!(["text", "thinking", "tool_use"]));
    // Words are never left out, nor is all that there is.
    check(vec![text(), thought("Hm.", signature())], json!(["text", "thinking"]));
    check(vec![seal()], json!(["thinking"]));
    check(vec![seal(), text()], json!(["thinking", "text"]));
    // Anthropic's own is how a model that thinks unseen begins what it could not finish.
    check(vec![text(), thought("", of(Family::Anthropic))], json!(["text", "thinking"]));
    check(vec![text(), thought("", None)], json!(["text"]));
    check(vec![text(), thought("", None), text()], json!(["text", "thinking", "text"]));
}

#[test]
fn no_two_answers_have_one_id_though_the_upstream_gives_the_same_to_all() {
    let id = |id| blocks_of(id, vec![Part::text("So it is.")]).0["id"].take();
    assert_eq!(id("msg_01XYZ"), "msg_01XYZ");
    assert_eq!(id("chatcmpl-1"), "msg_n0nce");
    assert_eq!(id(""), "msg_n0nce");
}

#[test]
fn the_model_is_called_as_the_caller_called_it() {
    // Claude Code sends no signature back of an answer that names another model than it asked for.
    let said = blocks_of("msg_1", vec![Part::text("So it is.")]).0;
    assert_eq!(said["model"], manner().model);
}
