//! Whom a stream that broke asks to go on, and how often.

use std::time::Duration;

use http::StatusCode;
use mainstay::simulated::{Fault, Habit, How, Often, Rule, oracle};
use serde_json::json;

use super::secs;
use crate::lab::{Answer, Ask, End, Lab, strict};

/// A, whose streams break, then B, and `more`.
fn lab(more: &str, b: Vec<Rule>) -> Lab {
    let lab = Lab::start(&format!(
        "
version: 1
upstreams: {{a: {{provider: simulated}}, b: {{provider: simulated}}}}
routes:
  - model: demo
    continuation: any
    timeouts: {{idle: 3s}}
    channels: [{{upstream: a, model: m}}, {{upstream: b, model: m, tier: 1}}]
    {more}
"
    ));
    lab.sim("a").control().set(vec![Rule::new(Fault::Cut { after_events: 10, how: How::Rst })]);
    lab.sim("b").control().set(b);
    lab
}

fn overloaded(retry_after: Option<Duration>) -> Rule {
    Rule::new(Fault::Status { status: StatusCode::SERVICE_UNAVAILABLE, body: None, retry_after })
}

/// The answer, and how long it took.
async fn timed(lab: &Lab) -> (Answer, Duration) {
    let begun = lab.gateway.live.now();
    let answer = lab.send(&Ask::stream("demo")).await;
    (answer, lab.gateway.live.now().since(begun))
}

fn assert_one_stream(answer: &Answer, what: &str) {
    let whole = strict::read("openai", answer).unwrap_or_else(|why| panic!("{what}: {why}"));
    assert!(oracle(&whole.text).is_ok_and(|spoken| spoken.upstream == "a"), "{what}: {}", whole.text);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_keeps_failing_is_asked_twice_and_no_sooner_than_it_said() {
    for (retry_after, most, asked, least) in [
        // Nothing is said: a moment later once more.
        (None, 3, 2, Duration::from_millis(250)),
        (Some(secs(2)), 3, 2, secs(2)),
        (Some(secs(5)), 3, 2, secs(5)),
        // Nobody waits for so long.
        (Some(secs(60)), 3, 1, Duration::ZERO),
        (None, 1, 1, Duration::ZERO),
        (None, 9, 2, Duration::from_millis(250)),
    ] {
        let what = format!("retry after {retry_after:?}, {most} attempts");
        let more = format!("retry: {{max_attempts: {most}}}");
        let alone = lab(&more, Vec::new());
        let (answer, whole) = timed(&alone).await;
        assert_one_stream(&answer, &what);
        let lab = lab(&more, vec![overloaded(retry_after)]);
        let (answer, took) = timed(&lab).await;
        assert_eq!(answer.end, End::Cut, "{what}");
        assert!(answer.text().contains("\"error\""), "{what}: the caller is told");
        assert_eq!((lab.arrived("a"), lab.arrived("b")), (1, asked), "{what}");
        assert!(took >= least && took < least + whole + secs(2), "{what}: {took:?}");
        let failed = lab.metric_sum("mainstay_continuations_total", &["result=\"failed\""]);
        assert_eq!(failed, asked as f64, "{what}");
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_back_when_it_said_goes_on() {
    let once = Rule { often: Often::First(1), ..overloaded(Some(secs(2))) };
    let lab = lab("", vec![once]);
    let (answer, took) = timed(&lab).await;
    assert_one_stream(&answer, "back after 2 s");
    assert_eq!((lab.arrived("b"), took >= secs(2)), (2, true));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_nobody_reaches_for_some_seconds_is_asked_until_somebody_does() {
    let lab = lab("", vec![Rule::new(Fault::Refuse)]);
    let back = async {
        tokio::time::sleep(secs(3)).await;
        lab.sim("b").control().set(Vec::new());
    };
    let ((answer, took), ()) = tokio::join!(timed(&lab), back);
    assert_one_stream(&answer, "back after 3 s");
    assert!(took >= secs(3));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn the_failures_of_all_channels_together_are_no_more_than_a_routes_attempts() {
    let lab = Lab::start(
        "
version: 1
upstreams:
  a: {provider: simulated}
  b: {provider: simulated}
  c: {provider: simulated}
  d: {provider: simulated}
  e: {provider: simulated}
routes:
  - model: demo
    continuation: any
    channels: [{upstream: a, model: m}, {upstream: b, model: m, tier: 1}, {upstream: c, model: m, tier: 1}]
    fallback: [other]
  - {model: other, retry: {max_attempts: 2}, channels: [{upstream: d, model: m}, {upstream: e, model: m}]}
",
    );
    lab.sim("a").control().set(vec![Rule::new(Fault::Cut { after_events: 10, how: How::Rst })]);
    for name in ["b", "c", "d", "e"] {
        lab.sim(name).control().set(vec![overloaded(None)]);
    }
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_eq!(answer.end, End::Cut);
    let arrived = ["b", "c", "d", "e"].map(|name| lab.arrived(name));
    assert!(arrived.iter().all(|arrived| (1..=2).contains(arrived)), "{arrived:?}");
    assert_eq!((arrived[0] + arrived[1], arrived[2] + arrived[3]), (3, 2), "{arrived:?}");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_retry_budget_refuses_was_never_an_attempt() {
    let lab = lab("retry: {budget: {ratio: 0, reserve_per_sec: 0}}", Vec::new());
    let (answer, _) = timed(&lab).await;
    assert_eq!((answer.end, lab.arrived("b")), (End::Cut, 0));
    assert_eq!(lab.metric_sum("mainstay_continuations_total", &["result=\"exhausted\""]), 1.0);
    assert_eq!(lab.metric_sum("mainstay_attempts_total", &["cancelled"]), 0.0, "nobody cancelled anything");
    lab.assert_quiet().await;
}

/// A model that takes prefills, and refuses one with these words.
fn refusing(message: &str) -> Lab {
    let lab = Lab::start(
        "
version: 1
upstreams: {a: {provider: simulated}, b: {provider: simulated, dialect: anthropic}}
routes:
  - model: demo
    continuation: any
    channels: [{upstream: a, model: m}, {upstream: b, model: claude-3-haiku-20240307, tier: 1}]
",
    );
    lab.sim("a").control().set(vec![Rule::new(Fault::Cut { after_events: 10, how: How::Rst })]);
    let body = json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}});
    let refusal =
        Fault::Status { status: StatusCode::BAD_REQUEST, body: Some(body.to_string()), retry_after: None };
    lab.sim("b").control().set(vec![Rule::new(refusal)]);
    lab
}

#[tokio::test(start_paused = true)]
async fn any_other_refusal_is_not_taken_for_one_of_the_prefill() {
    for (message, second) in [
        // Asked twice: in words, once the prefill was refused. And the next stream's once, where it is known why.
        ("This model does not support assistant message prefill.", 1),
        ("messages.0.content: too many pictures", 2),
    ] {
        let lab = refusing(message);
        let answer = lab.send(&Ask::stream("demo")).await;
        assert_eq!((answer.end, lab.arrived("b")), (End::Cut, 2), "{message}");
        lab.send(&Ask::stream("demo")).await;
        assert_eq!(lab.arrived("b"), 2 + second, "{message}");
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_prefill_that_was_refused_is_tried_again_an_hour_later() {
    let lab = refusing("");
    lab.sim("b").control().set(Vec::new());
    lab.sim("b").control().behave(Habit::RefusesPrefill);
    for (wait, asked) in [(Duration::ZERO, 2), (Duration::from_mins(50), 3), (Duration::from_mins(20), 5)] {
        tokio::time::sleep(wait).await;
        let answer = lab.send(&Ask::stream("demo")).await;
        assert_one_stream(&answer, &format!("{asked}"));
        assert_eq!(lab.arrived("b"), asked);
    }
    lab.assert_quiet().await;
}
