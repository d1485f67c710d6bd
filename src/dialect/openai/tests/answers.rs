//! What vendors answer in their own ways (WIRE §3.4, §3.8), and what strict callers want.

use serde_json::{Value, json};

use super::{frames, hear, heard, said};
use crate::dialect::Dialect;
use crate::dialect::hub::samples::{self, manner};
use crate::dialect::hub::{
    Block, CallKind, Choice, Content, Delta, Event, Family, Manner, Media, Part, Reply, Signature, Source,
    Stop,
};
use crate::dialect::openai::{reply, stream};
use crate::dialect::tree;
use crate::vocab::Usage;

#[test]
fn vendors_answers_are_read_as_they_are_meant() {
    let text = json!({"id": "x", "choices": [{"index": 0, "finish_reason": "stop", "message": {
        "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}, {"type": "text", "text": "."}]},
            {"type": "text", "text": "See"}],
        "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
        "annotations": [{"type": "url_citation", "url_citation": {"url": "https://x", "title": "X"}}],
        "function_call": {"name": "f", "arguments": {"a": 1}}}}]})
    .to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let read = reply::read(&root).expect("an answer");
    assert_eq!(read.choices[0].stop, Stop::Calls);
    let mut out = Vec::new();
    reply::write(&read, &manner(), &mut out);
    let said: Value = serde_json::from_slice(&out).expect("JSON");
    let message = &said["choices"][0]["message"];
    assert_eq!((&message["reasoning_content"], &message["content"]), (&json!("Hm."), &json!("See")));
    assert_eq!(message["images"][0]["image_url"]["url"], "data:image/png;base64,AAAA");
    assert_eq!(message["annotations"][0]["url_citation"]["title"], "X");
    assert_eq!(message["tool_calls"][0]["id"], "call_n0nce_0");
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{\"a\": 1}".replace(' ', ""));
}

#[test]
fn a_refusal_without_words_is_the_filters() {
    let reason = |parts| {
        let choice = Choice::new(parts, Stop::Refusal);
        let (_, said) = samples::replies().into_iter().next().expect("one");
        let mut out = Vec::new();
        reply::write(&Reply { choices: vec![choice], ..said }, &manner(), &mut out);
        let said: Value = serde_json::from_slice(&out).expect("JSON");
        said["choices"][0]["finish_reason"].clone()
    };
    assert_eq!(reason(vec![Part::new(Content::Refusal("No.".into()))]), "stop");
    assert_eq!(reason(vec![]), "content_filter");
}

/// What is heard of the tool calls of these pieces, in short: `o0(id,name)`, `d0(text)`, `c0`.
fn calls(pieces: &[Value]) -> String {
    let chunk =
        |piece: &Value| json!({"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]}).to_string();
    let texts: Vec<_> = pieces.iter().map(chunk).collect();
    let mut seen = Vec::new();
    hear(texts.iter().map(String::as_str), &mut |event| match event {
        Event::Open { block, kind: Block::Call { id, name, .. }, .. } => {
            seen.push(format!("o{block}({id},{name})"));
        }
        Event::Delta { block, delta: Delta::Arguments(text), .. } => seen.push(format!("d{block}({text})")),
        Event::Delta { block, delta: Delta::Signature(signature), .. } => {
            seen.push(format!("s{block}({})", signature.value));
        }
        Event::Close { block, .. } => seen.push(format!("c{block}")),
        _ => {}
    })
    .expect("a sound stream");
    seen.join(" ")
}

#[test]
fn calls_are_told_apart_however_they_are_numbered() {
    let piece = |index: Value, id: &str, name: &str, arguments: &str| json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}});
    let none = || Value::Null;
    // One behind the other, beside each other, and from 1.
    let usual =
        [piece(json!(0), "a", "f", ""), piece(json!(0), "", "", "{}"), piece(json!(1), "b", "g", "{}")];
    assert_eq!(calls(&usual), "o0(a,f) d0({}) c0 o1(b,g) d1({}) c1");
    let beside = [
        piece(json!(1), "a", "f", "{"),
        piece(json!(2), "b", "g", "{"),
        piece(json!(1), "", "", "}"),
        piece(json!(2), "", "", "}"),
    ];
    assert_eq!(calls(&beside), "o0(a,f) d0({) o1(b,g) d1({) d0(}) d1(}) c0 c1");
    // Without a number: Mistral, Google; the same number for all.
    let whole = [piece(none(), "a", "f", "{}"), piece(none(), "b", "f", "{}")];
    assert_eq!(calls(&whole), "o0(a,f) d0({}) c0 o1(b,f) d1({}) c1");
    let same = [piece(json!(0), "a", "f", "{}"), piece(json!(0), "b", "f", "{}")];
    assert_eq!(calls(&same), calls(&whole));
    let nameless = [piece(none(), "", "f", "{}"), piece(none(), "", "f", "{}")];
    assert_eq!(calls(&nameless), "o0(,f) d0({}) c0 o1(,f) d1({}) c1");
    // The id and the name in each piece; another id in each; an empty one (DashScope).
    let repeated = [piece(json!(0), "a", "f", "{"), piece(json!(0), "a", "f", "}")];
    assert_eq!(calls(&repeated), "o0(a,f) d0({) d0(}) c0");
    let changing = [piece(json!(0), "a", "f", "{"), piece(json!(0), "x", "", "}")];
    assert_eq!(calls(&changing), "o0(a,f) d0({) d0(}) c0");
    // The name comes late, or never.
    let late = [piece(json!(0), "a", "", "{"), piece(json!(0), "", "f", "}")];
    assert_eq!(calls(&late), "o0(a,f) d0({) d0(}) c0");
    assert_eq!(calls(&[piece(json!(0), "a", "", "{}")]), "o0(a,) d0({}) c0");
    // Google's signature.
    let signed = json!({"id": "a", "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "s"}}});
    assert_eq!(calls(&[signed]), "o0(a,f) s0(s) d0({}) c0");
}

#[test]
fn an_empty_reason_is_none_and_an_empty_call_is_none() {
    let frames = [
        r#"{"choices":[{"delta":{"content":"a"},"finish_reason":""}]}"#,
        r#"{"choices":[{"delta":{"content":"b","function_call":{"name":"","arguments":""}},"finish_reason":""}]}"#,
        r#"{"choices":[{"delta":{"function_call":{}},"finish_reason":"stop"}]}"#,
    ];
    let events = heard(frames.into_iter());
    let texts = events.iter().filter(|event| event.starts_with("Delta")).count();
    assert_eq!((texts, &*events[events.len() - 2]), (2, "Finish { choice: 0, stop: End }"), "{events:?}");
    assert!(!events.iter().any(|event| event.contains("Call")), "{events:?}");

    let whole = r#"{"choices":[{"message":{"content":"ab","function_call":{"name":"","arguments":""}},"finish_reason":"stop"}]}"#;
    let root = tree::parse(whole.as_bytes()).expect("JSON");
    let choice = reply::read(&root).expect("an answer").choices.remove(0);
    assert_eq!((choice.parts.len(), choice.stop), (1, Stop::End));
}

#[test]
fn what_is_not_the_answer_does_not_start_it() {
    let frames = [
        r#"{"id":"","model":"","choices":[],"prompt_filter_results":[]}"#,
        r#"{"id":"c","model":"m","created":5,"choices":[{"index":0,"delta":{"role":"assistant"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2}}}"#,
    ];
    let usage = format!("Usage({:?})", Usage { input: 1, output: 2, ..Usage::default() });
    assert_eq!(
        heard(frames.into_iter()),
        [r#"Start { id: "c", model: "m", created: 5 }"#, "Finish { choice: 0, stop: End }", &usage, "End"]
    );
    assert_eq!(heard([].into_iter()).len(), 3);
}

#[test]
fn relayed_reasoning_keeps_its_signature() {
    let frames = [
        r#"{"choices":[{"delta":{"reasoning":"Hm","reasoning_details":[{"type":"reasoning.summary","summary":"Hm","format":"openai-responses-v1","index":0}]}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_details":[{"type":"reasoning.encrypted","data":"e","id":"rs_1","format":"openai-responses-v1","index":1}]}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_details":[{"type":"reasoning.encrypted","data":"g","id":"c1","format":"google-gemini-v1","index":2}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#,
    ];
    let events = heard(frames.into_iter());
    assert_eq!(
        events[1],
        "Open { choice: 0, block: 0, kind: Thought { is_summary: true, is_redacted: false, id: None } }"
    );
    assert!(events[3].contains("Signature { family: OpenAi, value: \"e\" }"), "{events:?}");
    assert!(
        events[6].contains("block: 1, delta: Signature(Signature { family: Gemini, value: \"g\" }"),
        "{events:?}"
    );
}

#[test]
fn a_thoughts_id_is_told_once_in_each_entry() {
    let open = Block::Thought { is_summary: true, is_redacted: false, id: Some("rs_1".into()) };
    let delta = |delta| Event::Delta { choice: 0, block: 0, delta };
    let text = said(&[
        Event::Start { id: "".into(), model: "".into(), created: 0 },
        Event::Open { choice: 0, block: 0, kind: open },
        delta(Delta::Text("a".into())),
        delta(Delta::Text("b".into())),
        delta(Delta::Signature(Signature { family: Family::OpenAi, value: "e".into() })),
    ]);
    let details: Vec<Value> = frames(&text)
        .map(|frame| serde_json::from_str::<Value>(frame).expect("JSON"))
        .map(|chunk| chunk["choices"][0]["delta"]["reasoning_details"][0].clone())
        .collect();
    assert_eq!(
        details[1..],
        [
            json!({"type": "reasoning.summary", "summary": "a", "id": "rs_1", "index": 0}),
            json!({"type": "reasoning.summary", "summary": "b", "index": 0}),
            json!({"type": "reasoning.encrypted", "data": "e", "id": "rs_1", "format": "openai-responses-v1", "index": 1}),
        ]
    );
}

#[test]
fn citations_logprobs_and_sounds_are_heard() {
    let frames = [
        r#"{"choices":[{"index":0,"delta":{"content":"x"},"logprobs":{"content":[{"token":"x"}]}}],"search_results":[{"url":"https://x","title":"X"}]}"#,
        r#"{"choices":[{"index":0,"delta":{"annotations":[{"type":"url_citation","url_citation":{"url":"https://y"}}]}}],"search_results":[{"url":"https://x","title":"X"}]}"#,
        r#"{"choices":[{"index":0,"delta":{"audio":{"id":"a","data":"AAAA"}}}]}"#,
    ];
    let mut events = Vec::new();
    hear(frames.into_iter(), &mut |event| {
        if let Event::Delta { delta, .. } = event {
            events.push(match delta {
                Delta::Logprobs(raw) => raw.clone().into_owned(),
                Delta::Citation { url, .. } => url.as_deref().unwrap_or_default().to_owned(),
                Delta::Media(_) => "sound".to_owned(),
                _ => "text".to_owned(),
            });
        }
    })
    .expect("a sound stream");
    assert_eq!(events, ["text", r#"{"content":[{"token":"x"}]}"#, "https://x", "https://y", "sound"]);
}

#[test]
fn a_callers_first_piece_of_a_call_has_all_that_strict_sdks_want() {
    let open = |block, kind| Event::Open {
        choice: 0,
        block,
        kind: Block::Call { id: "".into(), name: "f".into(), kind },
    };
    let signature = Delta::Signature(Signature { family: Family::Gemini, value: "g".into() });
    let text = said(&[
        Event::Start { id: "".into(), model: "".into(), created: 0 },
        open(0, CallKind::Function),
        Event::Delta { choice: 0, block: 0, delta: signature },
        Event::Close { choice: 0, block: 0 },
        open(1, CallKind::Custom),
        Event::Delta { choice: 0, block: 1, delta: Delta::Arguments("x".into()) },
        Event::Close { choice: 0, block: 1 },
        Event::Finish { choice: 0, stop: Stop::Calls },
        Event::End,
    ]);
    let chunks: Vec<Value> = frames(&text).map(|frame| serde_json::from_str(frame).expect("JSON")).collect();
    assert_eq!((&chunks[0]["id"], &chunks[0]["model"]), (&json!("chatcmpl-n0nce"), &json!("test-model")));
    let calls: Vec<_> =
        chunks.iter().map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0].clone()).collect();
    assert_eq!(
        calls[1..5],
        [
            json!({"index": 0, "id": "call_n0nce_0", "type": "function", "function": {"name": "f", "arguments": ""},
                "extra_content": {"google": {"thought_signature": "g"}}}),
            json!({"index": 0, "function": {"arguments": "{}"}}),
            json!({"index": 1, "id": "call_n0nce_1", "type": "custom", "custom": {"name": "f", "input": ""}}),
            json!({"index": 1, "custom": {"input": "x"}}),
        ]
    );
}

#[test]
fn usage_is_told_to_those_who_asked() {
    let events = samples::streams().into_iter().next().expect("one").1;
    let mut writer = stream::Writer::new(Manner { usage_wanted: false, ..manner() });
    let mut out = Vec::new();
    for event in &events {
        writer.write(event, &mut out);
    }
    assert!(said(&events).contains("\"usage\""));
    assert!(!String::from_utf8(out).expect("text").contains("\"usage\""));
}

#[test]
fn lists_of_several_chunks_say_their_places() {
    let delta = |delta| Event::Delta { choice: 0, block: 0, delta };
    let note = |url: &'static str, raw| Delta::Citation { url: Some(url.into()), title: None, raw };
    let image = || {
        let png = Source::Base64("AAAA".into());
        delta(Delta::Media(Media::new(png, Some("image/png".into()))))
    };
    let text = said(&[
        Event::Start { id: "".into(), model: "".into(), created: 0 },
        Event::Open { choice: 0, block: 0, kind: Block::Text },
        delta(note("https://a", "{}")),
        delta(note("https://b", r#"{"type":"url_citation","url_citation":{"url":"https://b"},"index":7}"#)),
        image(),
        image(),
    ]);
    let deltas: Vec<Value> = frames(&text)
        .map(|frame| serde_json::from_str::<Value>(frame).expect("JSON")["choices"][0]["delta"].clone())
        .collect();
    let places = |key: &str| {
        let items = deltas.iter().filter_map(|delta| delta[key].get(0));
        items.map(|item| item["index"].as_u64().expect("a place")).collect::<Vec<_>>()
    };
    assert_eq!(places("annotations"), [0, 1]);
    assert_eq!(places("images"), [0, 1]);
}

#[test]
fn a_foreign_tier_is_named_where_openai_has_a_word_for_it() {
    let tier = |word: &'static str, dialect| {
        let (_, reply) = samples::replies().into_iter().next().expect("one");
        let mut out = Vec::new();
        reply::write(&Reply { tier: Some(word.into()), dialect, ..reply }, &manner(), &mut out);
        let said: Value = serde_json::from_slice(&out).expect("JSON");
        said["service_tier"].as_str().map(str::to_owned)
    };
    assert_eq!(tier("standard", Dialect::Anthropic).as_deref(), Some("default"));
    assert_eq!(tier("flex", Dialect::Gemini).as_deref(), Some("flex"));
    assert_eq!(tier("provisioned", Dialect::Responses), None);
    assert_eq!(tier("on_premises", Dialect::OpenAi).as_deref(), Some("on_premises"));
}
