//! Streams whose bytes passed to the caller, gone on with by another upstream: what he then gets.

use serde_json::{Value, json};

use super::*;
use crate::dialect::framing::{Frame, Framing, Splitter};
use crate::dialect::hub::{Ask, Family, Keeping, Manner, Renamed, Stops, samples};
use crate::dialect::{Dialect, provider, translate};
use crate::vocab::Usage;

fn manner() -> Manner {
    let (model, nonce, echo) = ("m".to_owned(), "n0nce".to_owned(), String::new());
    let (family, keeping) = (Family::Other, Keeping::Passing);
    let (framing, renamed, stops) = (Framing::Sse, Renamed::default(), Stops::default());
    Manner { model, nonce, now: 1, usage_wanted: true, family, framing, echo, keeping, renamed, stops }
}

fn frames(events: &[Value]) -> Vec<Frame> {
    let mut splitter = Splitter::new(Framing::Sse);
    let text: Vec<String> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    splitter.push(text.concat().into());
    std::iter::from_fn(|| splitter.next().expect("framed")).collect()
}

/// What a caller gets who was sent `first` as it is, once an upstream of OpenAI's dialect goes on with `rest`.
fn rest_of(dialect: Dialect, first: &[Value], rest: &str) -> Vec<Value> {
    let mut stream = translate::Stream::following(dialect, manner()).expect("a caller's dialect");
    for frame in frames(first) {
        stream.frame(&frame).expect("sound");
    }
    assert!(stream.take_over(|| Some(manner())), "enough is known");
    let asking = Asking::new(stream.told().expect("it is remembered"));
    let terms = samples::terms(Family::Other, provider::find("openai").expect("a row").quirks);
    let put = asking.method(&Ask::new(dialect), Dialect::OpenAi, &terms, Learnt::Nothing).expect("a way");
    assert!(stream.go_on(
        (Dialect::OpenAi, Family::Other),
        (Renamed::default(), &Stops::default()),
        asking.splice(put),
        Usage::default()
    ));
    let chunk = |delta: Value, finish: Value| json!({"id": "other", "model": "other", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let leg =
        [chunk(json!({"role": "assistant", "content": rest}), Value::Null), chunk(json!({}), json!("stop"))];
    let mut said: Vec<u8> =
        frames(&leg).iter().flat_map(|frame| stream.frame(frame).expect("sound").to_vec()).collect();
    said.extend(stream.end().expect("an answer"));
    assert_eq!(stream.standing(), Standing::Joined);
    let text = String::from_utf8(said).expect("text");
    text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

const TOLD: &str = "The quick brown fox jumps over the lazy dog and";

fn created() -> Value {
    json!({"type": "response.created", "sequence_number": 0, "response":
        {"id": "resp_1", "model": "g", "created_at": 7, "status": "in_progress", "output": []}})
}

#[test]
fn a_thought_of_gemini_that_broke_off_is_not_said_twice() {
    let thought = json!({
        "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "hm", "thought": true}]}}],
        "responseId": "r", "modelVersion": "g"
    });
    let said = rest_of(Dialect::Gemini, &[thought], "Hi");
    assert!(said.iter().all(|chunk| !chunk.to_string().contains("hm")), "{said:?}");
    assert_eq!(said[0]["candidates"][0]["content"]["parts"][0]["text"], "Hi");
    assert!(said.iter().all(|chunk| chunk["responseId"] == "r" && chunk["modelVersion"] == "g"));
}

#[test]
fn a_reasoning_item_that_broke_off_ends_before_the_text_begins() {
    let item = json!({"id": "rs_1", "type": "reasoning", "summary": []});
    let first = [
        created(),
        json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item}),
        json!({"type": "response.reasoning_summary_text.delta", "sequence_number": 2, "output_index": 0,
            "item_id": "rs_1", "summary_index": 0, "delta": "hm"}),
    ];
    let said = rest_of(Dialect::Responses, &first, "Hi");
    let kinds: Vec<&str> = said.iter().filter_map(|event| event["type"].as_str()).collect();
    let order = ["response.output_item.done", "response.output_item.added", "response.content_part.added"];
    assert_eq!(kinds[..3], order);
    for (number, event) in (3..).zip(&said) {
        assert_eq!(event["sequence_number"], json!(number));
    }
    assert_eq!((&said[0]["item"]["id"], &said[0]["output_index"]), (&json!("rs_1"), &json!(0)));
    assert_eq!(said[1]["output_index"], 1);
    let completed = &said[said.len() - 1]["response"];
    assert_eq!((&completed["id"], &completed["created_at"]), (&json!("resp_1"), &json!(7)));
    let output = completed["output"].as_array().expect("items");
    assert_eq!((output.len(), &output[1]["content"][0]["text"]), (2, &json!("Hi")));
}

#[test]
fn the_open_item_of_a_response_goes_on_with_its_own_id() {
    let item = json!({"id": "msg_x", "type": "message", "status": "in_progress", "role": "assistant", "content": []});
    let part = json!({"type": "output_text", "text": "", "annotations": []});
    let first = [
        created(),
        json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item}),
        json!({"type": "response.content_part.added", "sequence_number": 2, "output_index": 0, "content_index": 0,
            "item_id": "msg_x", "part": part}),
        json!({"type": "response.output_text.delta", "sequence_number": 3, "output_index": 0, "content_index": 0,
            "item_id": "msg_x", "delta": TOLD}),
    ];
    let said = rest_of(Dialect::Responses, &first, &format!("{TOLD} sleeps"));
    assert_eq!(
        (&said[0]["type"], &said[0]["item_id"]),
        (&json!("response.output_text.delta"), &json!("msg_x"))
    );
    assert_eq!((&said[0]["sequence_number"], &said[0]["delta"]), (&json!(4), &json!(" sleeps")));
    let item = &said[said.len() - 1]["response"]["output"][0];
    let whole = json!(format!("{TOLD} sleeps"));
    assert_eq!((&item["id"], &item["content"][0]["text"]), (&json!("msg_x"), &whole));
}

#[test]
fn a_thinking_block_that_broke_off_ends_and_the_next_is_numbered_on() {
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": [],
        "stop_reason": null, "usage": {"input_tokens": 3, "output_tokens": 1}});
    let first = [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "thinking_delta", "thinking": "hm"}}),
    ];
    let said = rest_of(Dialect::Anthropic, &first, "Hi");
    let place = |event: &Value| Some((event["type"].as_str()?.to_owned(), event["index"].as_u64()?));
    let kinds: Vec<String> =
        said.iter().filter_map(place).map(|(kind, index)| format!("{kind} {index}")).collect();
    let order = [
        "content_block_delta 0",
        "content_block_stop 0",
        "content_block_start 1",
        "content_block_delta 1",
        "content_block_stop 1",
    ];
    assert_eq!(kinds, order);
    assert_eq!(said[0]["delta"], json!({"type": "signature_delta", "signature": ""}));
    assert_eq!(said[said.len() - 1]["type"], "message_stop");
}

#[test]
fn whoever_goes_on_is_held_to_the_callers_stop_sequences_too() {
    let stops = Stops::of(&["\nObservation:"]);
    let manner = Manner { stops: stops.clone(), ..manner() };
    let stream = translate::Stream::new(Dialect::Responses, Dialect::Anthropic, manner).expect("a pair");
    let mut stream = stream.continuable();
    let first = [
        created(),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "msg_1", "type": "message", "role": "assistant", "content": []}}),
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "msg_1", "delta": format!("{TOLD}\nObs")}),
    ];
    for frame in frames(&first) {
        stream.frame(&frame).expect("sound");
    }
    // What may become one was told to nobody, so that whoever goes on says it anew.
    assert_eq!(stream.told().map(Told::text), Some(TOLD));
    let asking = Asking::new(stream.told().expect("it is remembered"));
    let terms = samples::terms(Family::Other, provider::find("openai").expect("a row").quirks);
    let put = asking.method(&Ask::new(Dialect::Anthropic), Dialect::OpenAi, &terms, Learnt::Nothing);
    let splice = asking.splice(put.expect("a way"));
    let goes = stream.go_on(
        (Dialect::OpenAi, Family::Other),
        (Renamed::default(), &stops),
        splice,
        Usage::default(),
    );
    assert!(goes && !stream.is_stopped());
    let chunk = |text: &str| json!({"id": "other", "choices": [{"index": 0, "delta": {"content": text}}]});
    let mut said = Vec::new();
    for frame in frames(&[chunk(TOLD), chunk(" more.\nObser"), chunk("vation: clear")]) {
        said.extend(stream.frame(&frame).expect("sound"));
    }
    assert!(stream.is_stopped());
    said.extend(stream.end().expect("an answer"));
    let text = String::from_utf8(said).expect("text");
    assert!(text.contains(r#""text":" more.""#) && !text.contains("Obs\""), "{text}");
    assert!(text.contains(r#""stop_reason":"stop_sequence","stop_sequence":"\nObservation:""#), "{text}");
    assert_eq!(stream.standing(), Standing::Joined);
}
