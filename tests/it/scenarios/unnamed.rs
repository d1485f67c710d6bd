//! Streams whose content type does not say that they are, as servers send them whose callers never look.

use http::StatusCode;
use serde_json::json;

use super::secs;
use crate::lab::{Ask, End, Lab, Said, Scribe, Step};

const ONE: &str = "
version: 1
upstreams: {a: {provider: custom, dialect: openai, base_url: 'http://a', credentials: [k]}}
routes: [{model: demo, channels: [{upstream: a, model: m}]}]
";

const TYPES: [Option<&str>; 5] = [
    None,
    Some("text/plain; charset=utf-8"),
    Some("application/octet-stream"),
    Some("application/json"),
    Some("application/x-ndjson"),
];

fn of_type(kind: Option<&str>) -> Said {
    let said = Said::status(200);
    kind.map_or(said.clone(), |kind| said.header("content-type", kind))
}

fn chunk(delta: &serde_json::Value, finish: &serde_json::Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    let chunk = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]});
    format!("data: {chunk}\n\n")
}

fn stream() -> String {
    let text = chunk(&json!({"role": "assistant", "content": "Hello"}), &json!(null));
    format!("{text}{}data: [DONE]\n\n", chunk(&json!({}), &json!("stop")))
}

#[tokio::test(start_paused = true)]
async fn a_sound_stream_is_one_whatever_it_is_called() {
    for kind in TYPES {
        for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
            for before in ["", "\u{feff}", "\r\n", ": hello\n\n"] {
                let a = Scribe::saying(of_type(kind).data(format!("{before}{}", stream())));
                let lab = Lab::beside(ONE, &[("a", &a)]);
                let answer = lab.send(&ask).await;
                let what = format!("{kind:?} {dialect} {before:?}: {}", answer.text());
                assert_eq!((answer.status, answer.end), (StatusCode::OK, End::Clean), "{what}");
                assert!(answer.text().contains("Hello"), "{what}");
                assert!(answer.header("content-type").starts_with("text/event-stream"), "{what}");
                assert_eq!(a.heard().len(), 1, "asked once: {what}");
                lab.assert_quiet().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn its_first_bytes_may_come_one_by_one() {
    let said = stream();
    let slow = said
        .bytes()
        .take(20)
        .fold(of_type(None), |answer, byte| answer.data(vec![byte]).step(Step::Wait(secs(1) / 10)));
    let a = Scribe::saying(slow.data(said[20..].to_owned()));
    let lab = Lab::beside(ONE, &[("a", &a)]);
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_eq!((answer.end, answer.text()), (End::Clean, &*said));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_stream_is_what_it_was() {
    let whole = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]});
    let error = json!({"error": {"message": "bad tool", "type": "invalid_request_error"}});
    for (body, status) in [
        (whole.to_string(), StatusCode::BAD_GATEWAY),
        (error.to_string(), StatusCode::BAD_REQUEST),
        ("[]".to_owned(), StatusCode::BAD_GATEWAY),
        ("<html>".to_owned(), StatusCode::BAD_GATEWAY),
        (String::new(), StatusCode::BAD_GATEWAY),
    ] {
        let a = Scribe::saying(of_type(Some("application/json")).data(body.clone()));
        let lab = Lab::beside(ONE, &[("a", &a)]);
        assert_eq!(lab.send(&Ask::stream("demo")).await.status, status, "{body}");
        lab.assert_quiet().await;
    }
    // Nobody asked for a stream.
    let a = Scribe::saying(of_type(None).data(stream()));
    let lab = Lab::beside(ONE, &[("a", &a)]);
    assert_eq!(lab.send(&Ask::chat("demo")).await.status, StatusCode::BAD_GATEWAY);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_never_begins_is_given_up_in_time() {
    let a = Scribe::saying(of_type(None).data("dat").step(Step::Hang));
    let lab =
        Lab::beside(&ONE.replace("model: demo,", "model: demo, timeouts: {first_event: 20s},"), &[("a", &a)]);
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(
        lab.metric_sum("mainstay_faults_total", &["fault=\"first_event_timeout\""]),
        a.heard().len() as f64
    );
    lab.assert_quiet().await;
}
