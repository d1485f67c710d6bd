//! Keys that run out: S09, S10.

use std::time::Duration;

use mainstay::simulated::{Fault, Rule};

use super::secs;
use crate::lab::{Ask, Lab};

const TWO_KEYS: &str = "
version: 1
upstreams:
  a: {provider: simulated, credentials: [secret-ka01, secret-ka02]}
routes:
  - model: demo
    channels: [{upstream: a}]
";

fn used(lab: &Lab, tail: &str) -> Vec<Duration> {
    let seen = lab.sim("a").control().seen();
    seen.iter().filter(|seen| seen.credential_tail.as_deref() == Some(tail)).map(|seen| seen.at).collect()
}

/// S09: one of two keys is throttled for 20 s.
#[tokio::test(start_paused = true)]
async fn s09_a_throttled_key_rests_for_as_long_as_asked_and_the_other_one_works() {
    let lab = Lab::start(TWO_KEYS);
    let throttled = Fault::RateLimited { retry_after: Some(secs(20)) };
    lab.sim("a").control().set(vec![Rule::new(throttled).credential("ka01").first(1)]);
    let report = lab.under_load(Ask::chat("demo"), 10.0, secs(60), async {}).await;
    report.assert_no_errors();
    let first = used(&lab, "ka01");
    let rest = first[1].checked_sub(first[0]).unwrap();
    assert!((secs(20)..secs(23)).contains(&rest), "{rest:?}");
    assert_eq!(lab.breaker("a", "demo"), "closed");
    assert_eq!(lab.breaker("a", ""), "closed");
    let attempts = lab.arrived("a");
    assert_eq!(attempts, report.answers.len() as u64 + 1, "one attempt was throttled");
    lab.assert_quiet().await;
}

/// S10: one of two keys has no quota any more, and says nothing of when it will.
#[tokio::test(start_paused = true)]
async fn s10_a_key_without_quota_is_not_asked_over_and_over() {
    let lab = Lab::start(TWO_KEYS);
    lab.sim("a").control().set(vec![Rule::new(Fault::QuotaExhausted).credential("ka01")]);
    let report = lab.under_load(Ask::chat("demo"), 10.0, secs(180), async {}).await;
    report.assert_no_errors();
    let asked = used(&lab, "ka01").len();
    assert!((1..=4).contains(&asked), "{asked}");
    assert_eq!(lab.breaker("a", "demo"), "closed");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn when_every_key_is_throttled_the_caller_is_told_429_and_for_how_long() {
    let lab = Lab::start(TWO_KEYS);
    let throttled = Fault::RateLimited { retry_after: Some(secs(20)) };
    lab.sim("a").control().set(vec![Rule::new(throttled)]);
    let answer = lab.send(&Ask::chat("demo")).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((20..=28).contains(&wait), "{wait}");
    let arrived = lab.arrived("a");
    let again = lab.send(&Ask::chat("demo")).await;
    assert_eq!(again.status, 429);
    assert_eq!(lab.arrived("a"), arrived, "nobody is asked while every key rests");
    assert_eq!(lab.breaker("a", "demo"), "closed", "a rate limit is no sign of ill health");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn who_has_no_key_that_is_accepted_is_told_of_no_limit() {
    let lab = Lab::start(TWO_KEYS);
    lab.sim("a").control().set(vec![Rule::new(Fault::status(http::StatusCode::UNAUTHORIZED))]);
    for attempt in 0..3 {
        let answer = lab.send(&Ask::chat("demo")).await;
        let text = answer.text();
        assert_eq!(answer.status, 503, "{attempt}: {text}");
        assert!(text.contains("refuse") && !text.contains("limit"), "{attempt}: {text}");
    }
    assert_eq!(lab.arrived("a"), 2, "each key once");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_short_retry_after_is_waited_out_within_the_request() {
    let lab = Lab::start(TWO_KEYS);
    let throttled = Fault::RateLimited { retry_after: Some(secs(2)) };
    lab.sim("a").control().set(vec![Rule::new(throttled).first(2)]);
    let answer = lab.send(&Ask::chat("demo")).await;
    answer.spoken().unwrap();
    assert!((secs(2)..secs(5)).contains(&answer.took), "{:?}", answer.took);
    lab.assert_quiet().await;
}

/// No key can rest where there is none, so it is the channel that does; two of three do here.
#[tokio::test(start_paused = true)]
async fn an_upstream_without_keys_that_turns_everybody_away_is_left_for_another() {
    let unauthorized = Fault::status(http::StatusCode::UNAUTHORIZED);
    for fault in [Fault::RateLimited { retry_after: Some(secs(20)) }, Fault::QuotaExhausted, unauthorized] {
        let lab = Lab::start(super::THREE);
        for name in ["a", "b"] {
            lab.sim(name).control().set(vec![Rule::new(fault.clone())]);
        }
        let report = lab.under_load(Ask::chat("demo"), 10.0, secs(60), async {}).await;
        report.assert_no_errors();
        let asked = lab.arrived("a") + lab.arrived("b");
        assert!((2..=60).contains(&asked), "{fault:?}: 600 requests asked them {asked} times");
        lab.assert_quiet().await;
    }
}
