//! Stop sequences that OpenAI's responses know nothing of: the answers of its reasoning models end where they stand.

use std::sync::Arc;
use std::time::Duration;

use mainstay::store::rows::{AttemptRow, RequestRow};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::lab::{Answer, Ask, End, Lab, Said, Scribe, Step};

/// What agents that reason and act in turns wait for.
const STOP: &str = "\nObservation:";
const KEPT: &str = "Thought: I should look.\nAction: look";

fn routing(upstream: &str, route: &str) -> String {
    format!(
        "version: 1\nupstreams: {{far: {{provider: openai, base_url: 'http://far/v1', credentials: [k]{upstream}}}}}\nroutes: [{{model: demo{route}, channels: [{{upstream: far, model: gpt-5.1}}]}}]"
    )
}

fn messages(streamed: bool) -> Ask {
    let body = json!({"model": "demo", "max_tokens": 900, "stream": streamed, "stop_sequences": ["never", STOP],
        "messages": [{"role": "user", "content": "How is the weather?"}]});
    Ask::post("/anthropic/v1/messages", body.to_string()).header("anthropic-version", "2023-06-01")
}

fn usage() -> Value {
    json!({"input_tokens": 20, "output_tokens": 70, "total_tokens": 90,
        "output_tokens_details": {"reasoning_tokens": 30}})
}

fn event(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
}

/// The begin of a stream with these pieces of a text.
fn begun(pieces: &[&str]) -> Said {
    let response = json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5.1", "status": "in_progress", "output": []});
    let mut events = vec![
        event(&json!({"type": "response.created", "sequence_number": 0, "response": response})),
        event(&json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0,
            "item": {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}})),
        event(
            &json!({"type": "response.content_part.added", "sequence_number": 2, "output_index": 0, "content_index": 0,
            "item_id": "msg_1", "part": {"type": "output_text", "text": "", "annotations": []}}),
        ),
    ];
    events.extend(pieces.iter().map(|piece| delta(piece)));
    events.into_iter().fold(Said::status(200).header("content-type", "text/event-stream"), Said::data)
}

fn delta(piece: &str) -> String {
    event(
        &json!({"type": "response.output_text.delta", "sequence_number": 3, "output_index": 0, "content_index": 0,
        "item_id": "msg_1", "delta": piece}),
    )
}

fn message(text: &str) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}]})
}

fn completed(output: &[Value]) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5.1", "status": "completed", "output": output, "usage": usage()})
}

/// The text of an answer that was streamed to an Anthropic caller, and why it ended.
fn told(answer: &Answer) -> (String, Value, Value) {
    assert_eq!((answer.status.as_u16(), answer.end), (200, End::Clean), "{}", answer.text());
    assert_eq!(answer.header("x-mainstay-dropped"), "");
    let events = answer.events();
    let text = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(events.last().unwrap()["type"], "message_stop");
    let end = &events.iter().find(|event| event["type"] == "message_delta").unwrap()["delta"];
    (text, end["stop_reason"].clone(), end["stop_sequence"].clone())
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_ends_before_the_stop_sequence_and_nothing_is_lost() {
    let call = json!({"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}", "status": "completed"});
    let text = format!("{KEPT}{STOP} clear, and 20 degrees.");
    let thought =
        json!({"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": text}]});
    let said = completed(&[thought, message(&text), message("Thought: done."), call]);
    let scribe = Scribe::saying(Said::json(200, said.to_string()));
    // Who refuses what would be lost refuses nothing.
    for route in ["", ", unsupported: reject"] {
        let lab = Lab::beside(&routing("", route), &[("far", &scribe)]);
        let books = lab.keep_books();
        let answer = lab.send(&messages(false)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("x-mainstay-dropped")),
            (200, ""),
            "{}",
            answer.text()
        );
        let body = answer.json();
        let kinds: Vec<_> = body["content"].as_array().unwrap().iter().map(|part| &part["type"]).collect();
        assert_eq!(kinds, ["thinking", "text"], "{body}");
        assert_eq!(body["content"][1]["text"], KEPT);
        assert_eq!((&body["stop_reason"], &body["stop_sequence"]), (&json!("stop_sequence"), &json!(STOP)));
        assert_eq!(body["usage"]["output_tokens"], 70);
        let heard: Value = serde_json::from_slice(&scribe.only().body).unwrap();
        assert_eq!(heard.get("stop"), None, "{heard}");
        let (request, attempts) = books.only().await;
        assert_eq!((request.outcome, attempts[0].verdict, attempts[0].estimated), ("ok", "ok", false));
        assert_eq!(attempts[0].usage.output, 70);
    }
}

/// Sends a request that streams, and says how long that took.
async fn streamed(scribe: &Arc<Scribe>, upstream: &str) -> (Lab, Answer, Duration, RequestRow, AttemptRow) {
    let lab = Lab::beside(&routing(upstream, ""), &[("far", scribe)]);
    let books = lab.keep_books();
    let answer = lab.send(&messages(true)).await;
    let took = answer.took;
    sleep(Duration::from_secs(90)).await;
    lab.assert_quiet().await;
    assert_eq!(lab.metric(r#"mainstay_streams_total{route="demo",outcome="complete"}"#), 1.0);
    assert_eq!(lab.breaker("far", "gpt-5.1"), "closed");
    let (request, mut attempts) = books.only().await;
    assert_eq!((request.outcome, attempts.len(), attempts[0].verdict), ("ok", 1, "ok"));
    (lab, answer, took, request, attempts.remove(0))
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_once_and_its_upstream_is_let_go_of() {
    let cuts: [&[&str]; 3] = [
        &["Thought: I should look.\nAct", "ion: look\nObser", "va", "tion:", " clear"],
        &["Thought: I should look.\nAction: look\nObservation: clear\nThought: done."],
        &["Thought: I should look.\nAction: look", "\n", "Observation: clear"],
    ];
    for pieces in cuts {
        let scribe = Scribe::saying(begun(pieces).step(Step::Hang));
        let (_lab, answer, took, request, attempt) = streamed(&scribe, "").await;
        assert_eq!(told(&answer), (KEPT.to_owned(), json!("stop_sequence"), json!(STOP)));
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(scribe.cut_off(), 1, "the upstream writes on");
        // Nobody said what was used: it is counted.
        assert!(attempt.estimated && attempt.usage.output > 0 && attempt.usage.input > 0, "{attempt:?}");
        assert_eq!(request.usage, attempt.usage);
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_come_with_the_stop_sequence_still_counts() {
    let end = event(
        &json!({"type": "response.completed", "sequence_number": 9, "response": completed(&[message(KEPT)])}),
    );
    let said = begun(&[]).data(format!("{}{}{end}", delta(KEPT), delta(STOP)));
    let (_lab, answer, _, _, attempt) = streamed(&Scribe::saying(said), "").await;
    assert_eq!(told(&answer), (KEPT.to_owned(), json!("stop_sequence"), json!(STOP)));
    assert_eq!((attempt.estimated, attempt.usage.output), (false, 70));
    // And an error that comes too late is none.
    let failed = event(
        &json!({"type": "error", "sequence_number": 9, "code": "server_error", "message": "no", "param": null}),
    );
    for first in [KEPT, ""] {
        let said = begun(&[first]).data(format!("{}{}{failed}", delta(&KEPT[first.len()..]), delta(STOP)));
        let (_lab, answer, _, _, attempt) = streamed(&Scribe::saying(said), "").await;
        assert_eq!(told(&answer), (KEPT.to_owned(), json!("stop_sequence"), json!(STOP)));
        assert!(attempt.estimated);
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_is_read_on_says_itself_what_it_used() {
    let end = event(
        &json!({"type": "response.completed", "sequence_number": 9, "response": completed(&[message(KEPT)])}),
    );
    let first = format!("{KEPT}{STOP}");
    for pieces in [&[KEPT, STOP, " clear"][..], &[&*first]] {
        let said = begun(pieces).step(Step::Wait(Duration::from_secs(5))).data(end.clone());
        let scribe = Scribe::saying(said);
        let (lab, answer, took, _, attempt) = streamed(&scribe, ", on_hangup: drain").await;
        assert_eq!(told(&answer), (KEPT.to_owned(), json!("stop_sequence"), json!(STOP)));
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!((attempt.estimated, attempt.usage.output, scribe.cut_off()), (false, 70, 0));
        assert_eq!(lab.gateway.unattended(), 0);
    }
    // Not for longer than a minute.
    let scribe = Scribe::saying(begun(&[KEPT, STOP]).step(Step::Hang));
    let (_lab, answer, took, _, attempt) = streamed(&scribe, ", on_hangup: drain").await;
    assert_eq!(told(&answer).0, KEPT);
    assert!(took < Duration::from_secs(1) && attempt.estimated, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_becomes_no_stop_sequence_is_told() {
    let text = "Action: look\nObserve\nObser";
    let done = [
        json!({"type": "response.output_text.done", "sequence_number": 5, "output_index": 0, "content_index": 0, "item_id": "msg_1", "text": text}),
        json!({"type": "response.output_item.done", "sequence_number": 6, "output_index": 0, "item": message(text)}),
        json!({"type": "response.completed", "sequence_number": 7, "response": completed(&[message(text)])}),
    ];
    let said =
        begun(&["Action: look\nOb", "serv", "e\nObser"]).data(done.iter().map(event).collect::<String>());
    let scribe = Scribe::saying(said);
    let (_lab, answer, _, _, attempt) = streamed(&scribe, "").await;
    assert_eq!(told(&answer), (text.to_owned(), json!("end_turn"), Value::Null));
    assert_eq!((attempt.estimated, attempt.usage.output), (false, 70));
}

/// A chat's request that ends at [`STOP`], with these members more.
fn chat(streamed: bool, more: &Value) -> Ask {
    let mut body = json!({"model": "demo", "stream": streamed, "stop": STOP, "messages": [{"role": "user", "content": "hello"}]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    Ask::post("/v1/chat/completions", body.to_string())
}

/// What a chat's caller was told, and why it ended.
fn told_in_chat(answer: &Answer) -> (String, Value) {
    assert_eq!((answer.status.as_u16(), answer.end), (200, End::Clean), "{}", answer.text());
    assert!(!answer.text().contains("Observ") && !answer.text().contains("tool_calls"), "{}", answer.text());
    let chunks = if answer.text().starts_with('{') { vec![answer.json()] } else { answer.events() };
    let choices: Vec<&Value> = chunks.iter().filter_map(|chunk| chunk["choices"].get(0)).collect();
    let text = choices
        .iter()
        .filter_map(|choice| choice["delta"]["content"].as_str().or(choice["message"]["content"].as_str()));
    let reason = choices.iter().find(|choice| choice["finish_reason"].is_string()).unwrap();
    (text.collect(), reason["finish_reason"].clone())
}

#[tokio::test(start_paused = true)]
async fn a_chat_whose_tools_go_by_responses_ends_there_too() {
    let call = json!({"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}", "status": "completed"});
    let whole = completed(&[message(&format!("{KEPT}{STOP} clear")), call]);
    let tools = json!({"tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]});
    for (streamed, said) in [
        (false, Said::json(200, whole.to_string())),
        (true, begun(&[KEPT, "\nObs", "ervation: clear"]).step(Step::Hang)),
    ] {
        let scribe = Scribe::saying(said);
        let lab = Lab::beside(&routing("", "").replace("gpt-5.1", "gpt-5.4"), &[("far", &scribe)]);
        let answer = lab.send(&chat(streamed, &tools)).await;
        assert_eq!(told_in_chat(&answer), (KEPT.to_owned(), json!("stop")));
        assert_eq!((scribe.only().uri.path(), answer.header("x-mainstay-dropped")), ("/v1/responses", ""));
    }
}
