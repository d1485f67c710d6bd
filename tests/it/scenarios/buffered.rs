//! Streams of which nothing goes on yet: held back until they are whole, or until they are known to continue another.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use mainstay::state::model::Shape;
use serde_json::{Value, json};

use super::secs;
use crate::lab::{Ask, End, Lab, Said, Scribe, Step};

fn chunk(text: &str) -> Bytes {
    let choice = json!({"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": null});
    let chunk = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]});
    Bytes::from(format!("data: {chunk}\n\n"))
}

fn stream(text: &str) -> Said {
    Said::status(200).header("content-type", "text/event-stream").data(chunk(text))
}

/// An upstream that says this and then nothing, and is there: every second it says so.
fn pinging(text: &str) -> Said {
    (0..900).fold(stream(text), |said, _| said.step(Step::Wait(secs(1))).data(": ping\n\n"))
}

fn whole(text: &str) -> Said {
    let finish = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    stream(text).data(format!("data: {finish}\n\ndata: [DONE]\n\n"))
}

fn yaml(setting: &str, timeouts: &str) -> String {
    format!(
        "
version: 1
upstreams:
  a: {{provider: custom, dialect: openai, base_url: 'http://a', credentials: [k]}}
  b: {{provider: custom, dialect: openai, base_url: 'http://b', credentials: [k]}}
routes:
  - model: demo
    {setting}
    timeouts: {{{timeouts}}}
    channels: [{{upstream: a, model: m}}, {{upstream: b, model: m, tier: 1}}]
"
    )
}

#[tokio::test(start_paused = true)]
async fn a_held_stream_that_only_pings_is_given_up_and_asked_of_another() {
    let (a, b) = (Scribe::saying(pinging("One")), Scribe::saying(whole("Two")));
    let yaml = yaml("delivery: buffered", "content_idle: 7s");
    let lab = Lab::beside(&yaml, &[("a", &a), ("b", &b)]);
    let begun = lab.gateway.live.now();
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_eq!((answer.status, answer.end, &*answer.words()), (StatusCode::OK, End::Clean, "Two"));
    assert!(
        (secs(7)..secs(9)).contains(&lab.gateway.live.now().since(begun)),
        "{:?}",
        lab.gateway.live.now().since(begun)
    );
    assert_eq!((a.heard().len(), b.heard().len()), (1, 1));
    assert_eq!(lab.metric_sum("mainstay_faults_total", &["upstream=\"a\"", "fault=\"stream_stalled\""]), 1.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_held_stream_is_held_no_longer_than_its_request_may_last() {
    let (a, b) = (Scribe::saying(pinging("One")), Scribe::saying(pinging("Two")));
    let yaml = yaml("delivery: buffered", "content_idle: 3m, total: 20s");
    let lab = Lab::beside(&yaml, &[("a", &a), ("b", &b)]);
    let begun = lab.gateway.live.now();
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT, "{}", answer.text());
    assert!(
        (secs(20)..secs(21)).contains(&lab.gateway.live.now().since(begun)),
        "{:?}",
        lab.gateway.live.now().since(begun)
    );
    assert_eq!((a.heard().len(), b.heard().len()), (1, 0), "nobody is asked any more");
    assert_eq!(
        lab.metric_sum("mainstay_faults_total", &["stream_stalled"]),
        0.0,
        "the time was the request's own"
    );
    lab.assert_quiet().await;
}

const BEGUN: &str = "One two three four five six seven eight nine ten ";

#[tokio::test(start_paused = true)]
async fn a_leg_that_only_pings_is_given_up() {
    for (timeouts, least, stalled) in
        [("content_idle: 7s", 7, 1.0), ("content_idle: 3m, total: 20s", 20, 0.0)]
    {
        let (a, b) = (Scribe::saying(stream(BEGUN)), Scribe::saying(pinging("One two")));
        let lab = Lab::beside(&yaml("continuation: any", timeouts), &[("a", &a), ("b", &b)]);
        let begun = lab.gateway.live.now();
        let answer = lab.send(&Ask::stream("demo")).await;
        let took = lab.gateway.live.now().since(begun);
        assert_eq!((answer.end, &*answer.words()), (End::Cut, BEGUN), "{timeouts}");
        assert!(answer.text().contains("\"error\""), "{timeouts}: {}", answer.text());
        assert!(took >= secs(least) && took < secs(least + 12), "{timeouts}: {took:?}");
        let told = lab.metric_sum("mainstay_faults_total", &["upstream=\"b\"", "fault=\"stream_stalled\""]);
        assert!(if stalled > 0.0 { told >= stalled } else { told == 0.0 }, "{timeouts}: {told}");
        assert_eq!(lab.metric(r#"mainstay_streams_total{route="demo",outcome="cut"}"#), 1.0, "{timeouts}");
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn how_long_a_held_answer_takes_is_not_its_time_to_the_first_token() {
    let lab = Lab::start(
        "
version: 1
upstreams:
  a: {provider: simulated, simulated: {ttft: 200ms, pace: 500ms, words: 20}}
  b: {provider: simulated, simulated: {ttft: 200ms, pace: 1ms, words: 20}}
routes:
  - model: demo
    delivery: buffered
    hedge: {enabled: true, delay: 1s, max_share: 1}
    breaker: {slow_call: {ttfb: 2s}}
    channels: [{upstream: a, model: m}, {upstream: b, model: m, tier: 1}]
",
    );
    for _ in 0..3 {
        let begun = lab.gateway.live.now();
        let answer = lab.send(&Ask::stream("demo")).await;
        assert!(
            answer.spoken().is_ok_and(|upstream| upstream == "a")
                && lab.gateway.live.now().since(begun) >= secs(9)
        );
    }
    assert_eq!((lab.arrived("a"), lab.arrived("b")), (3, 0), "an answer that comes is not silent");
    assert_eq!(lab.metric_sum("mainstay_hedges_total", &[]), 0.0);
    let table = lab.table();
    let model = table.upstreams[0].memory.model("m", None);
    let latency = model.latency(Shape::Stream, lab.gateway.live.now()).expect("measured");
    assert!(latency < Duration::from_millis(900), "{latency:?}");
    let slow = model.gate.as_ref().expect("a breaker").snapshot(lab.gateway.live.now());
    assert_eq!(lab.breaker("a", "m"), "closed", "{slow:?}");
    lab.assert_quiet().await;
}

/// Anthropic counts a prompt when the answer begins.
fn begun_and_broken() -> Said {
    let event =
        |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default());
    Said::status(200)
        .header("content-type", "text/event-stream")
        .data(event(json!({"type": "message_start", "message": {"id": "msg_1", "type": "message",
            "role": "assistant", "model": "m", "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 37, "output_tokens": 1}}})))
        .data(event(
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ))
        .data(event(json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": "One"}})))
}

#[tokio::test(start_paused = true)]
async fn the_tokens_of_a_held_answer_that_broke_are_counted() {
    let (a, b) = (Scribe::saying(begun_and_broken()), Scribe::saying(whole("Two")));
    let yaml = yaml("delivery: buffered", "idle: 5s").replacen("dialect: openai", "dialect: anthropic", 1);
    let lab = Lab::beside(&yaml, &[("a", &a), ("b", &b)]);
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_eq!((answer.end, &*answer.words()), (End::Clean, "Two"));
    assert_eq!(lab.metric_sum("mainstay_tokens_total", &["upstream=\"a\"", "kind=\"input\""]), 37.0);
    lab.assert_quiet().await;
}
