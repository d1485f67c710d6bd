//! Upstreams that answer a translated request with garbage, whole or streamed.

use super::callers::{Caller, callers};
use super::{Scene, UPSTREAMS, sentence};
use crate::lab::{Ask, End, Lab, Said, Scribe};

/// What no caller has to see.
const GARBAGE: &str = "g4rbage";

/// Answers that are none, with their content type.
fn garbage() -> Vec<(&'static str, Said)> {
    let said = |kind: &str, body: &str| Said::status(200).header("content-type", kind).data(body.to_owned());
    let json = "application/json";
    let huge = format!(r#"{{"x":"{}"}}"#, "y".repeat(3 << 20));
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    vec![
        ("nothing", said(json, "")),
        ("no JSON", said(json, "<html>g4rbage</html>")),
        ("null", said(json, "null")),
        ("a list", said(json, "[1,2]")),
        ("a string", said(json, r#""g4rbage""#)),
        ("half an object", said(json, r#"{"choices":[{"message":{"content":"g4rb"#)),
        ("nothing in an object", said(json, "{}")),
        ("something else", said(json, r#"{"g4rbage":[{"a":1}]}"#)),
        (
            "lists that are none",
            said(json, r#"{"choices":7,"output":7,"content":7,"candidates":7,"message":7}"#),
        ),
        (
            "items that are none",
            said(json, r#"{"choices":[7],"output":[7],"content":[7],"candidates":[7],"message":[7]}"#),
        ),
        ("no UTF-8", Said::status(200).header("content-type", json).data(&b"{\"choices\":\"\xff\xfe\"}"[..])),
        ("something huge", said(json, &huge)),
        ("something deep", said(json, &deep)),
        ("a page", said("text/html", "<html>g4rbage</html>")),
        ("no type", Said::status(200).data("g4rbage")),
    ]
}

#[tokio::test(start_paused = true)]
async fn garbage_for_an_answer_is_a_failure_in_the_callers_dialect_and_never_a_success() {
    let mut wrong = Vec::new();
    for (what, said) in garbage() {
        for caller in callers() {
            for upstream in UPSTREAMS.into_iter().filter(|name| *name != caller.dialect) {
                let scene = Scene::with("server: {limits: {max_body: 1MiB}}", |_| said.clone());
                let answer = scene.lab.send(&caller.ask(upstream, &caller.sound)).await;
                if answer.status != 502 {
                    wrong.push(format!(
                        "{upstream} to {}: {what}: {} {:.200}",
                        caller.dialect,
                        answer.status,
                        answer.text()
                    ));
                    continue;
                }
                let (message, _) = sentence(caller.dialect, &answer);
                if message.contains(GARBAGE) || message.len() > 400 {
                    wrong.push(format!("{upstream} to {}: {what}: quoted: {message}", caller.dialect));
                }
                scene.lab.assert_quiet().await;
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Streams that begin well and are none, each in the dialect of its upstream.
fn broken_streams(upstream: &str) -> Vec<(&'static str, String)> {
    let sound = match upstream {
        "openai" => {
            r#"data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"hello"}}]}"#
        }
        "responses" => {
            r#"event: response.output_text.delta
data: {"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"hello","sequence_number":1}"#
        }
        "anthropic" => {
            r#"event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}"#
        }
        "gemini" => r#"data: {"candidates":[{"content":{"parts":[{"text":"hello"}],"role":"model"}}]}"#,
        "cohere" => {
            r#"event: content-delta
data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"hello"}}}}"#
        }
        other => panic!("{other} has no sound event here"),
    };
    let (half, _) = sound.split_at(sound.len() - 9);
    vec![
        ("nothing", String::new()),
        ("no events", "<html>g4rbage</html>".to_owned()),
        ("no JSON", "data: <html>g4rbage</html>\n\n".to_owned()),
        ("wrong types", "data: {\"choices\":7,\"candidates\":7,\"type\":7,\"delta\":7}\n\n".to_owned()),
        ("a list", "data: [1,2]\n\n".to_owned()),
        ("half an event", half.to_owned()),
        ("an event and nothing more", format!("{sound}\n\n")),
        ("an event and half of one", format!("{sound}\n\ndata: {{\"g4rb")),
        ("an event and garbage", format!("{sound}\n\ndata: g4rbage\n\ndata: [7]\n\n")),
        ("binary", "data: \u{0}\u{1}\u{fffd}\n\n".to_owned()),
    ]
}

/// Makes a request a streamed one.
fn streamed(caller: &Caller, route: &str) -> Ask {
    let mut body = caller.sound.clone();
    match caller.dialect {
        "gemini" => {
            let mut ask = caller.ask(route, &body);
            ask.path = ask.path.replace(":generateContent", ":streamGenerateContent?alt=sse");
            ask
        }
        "bedrock" => {
            let mut ask = caller.ask(route, &body);
            ask.path = ask.path.replace("/converse", "/converse-stream");
            ask
        }
        _ => {
            body["stream"] = true.into();
            caller.ask(route, &body)
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_none_is_a_failure_and_one_that_breaks_does_not_end_well() {
    let mut wrong = Vec::new();
    for upstream in ["openai", "responses", "anthropic", "gemini", "cohere"] {
        for (what, stream) in broken_streams(upstream) {
            let said = Said::status(200).header("content-type", "text/event-stream").data(stream);
            for caller in callers().into_iter().filter(|caller| caller.dialect != upstream) {
                let scene = Scene::saying(|_| said.clone());
                let answer = scene.lab.send(&streamed(&caller, upstream)).await;
                let place = format!("{upstream} to {}: {what}", caller.dialect);
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                if text.contains(GARBAGE) {
                    wrong.push(format!("{place}: quoted: {text:.200}"));
                }
                if what.starts_with("an event") {
                    // What was committed is followed by an error event and an abnormal end.
                    let failed = ["error", "ERROR", "Exception"].iter().any(|word| text.contains(word));
                    if answer.status != 200 || answer.end != End::Cut || !failed || !text.contains("hello") {
                        wrong.push(format!("{place}: {} {:?} {text:.300}", answer.status, answer.end));
                    }
                } else if answer.status != 502 {
                    wrong.push(format!("{place}: {} {:?} {text:.200}", answer.status, answer.end));
                } else {
                    sentence(caller.dialect, &answer);
                }
                scene.lab.assert_quiet().await;
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn another_channel_answers_where_one_answers_garbage() {
    let yaml = "
version: 1
upstreams:
  bad: {provider: custom, dialect: anthropic, base_url: 'http://bad'}
  good: {provider: simulated, dialect: gemini}
routes:
  - model: demo
    channels: [{upstream: bad, tier: 1}, {upstream: good, tier: 2}]
";
    for (what, said) in garbage().into_iter().filter(|(what, _)| *what != "something huge") {
        let scribe = Scribe::saying(said);
        let lab = Lab::beside(yaml, &[("bad", &scribe)]);
        for ask in [Ask::chat("demo"), Ask::stream("demo")] {
            let answer = lab.send(&ask).await;
            assert_eq!(answer.spoken().as_deref(), Ok("good"), "{what}");
        }
        lab.assert_quiet().await;
    }
}
