//! Whom a request goes to: weights, tiers, dialects, models.

use http::StatusCode;
use mainstay::simulated::{Fault, Rule};

use super::secs;
use crate::lab::{Ask, Lab};

#[tokio::test(start_paused = true)]
async fn weights_are_kept_to_the_request() {
    let lab = Lab::start(
        "
version: 1
upstreams: {a: {provider: simulated}, b: {provider: simulated}}
routes:
  - model: demo
    channels: [{upstream: a, weight: 3}, {upstream: b, weight: 1}]
",
    );
    for _ in 0..40 {
        lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    }
    assert_eq!((lab.arrived("a"), lab.arrived("b")), (30, 10));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_higher_tier_waits_until_the_lower_has_nobody() {
    let lab = Lab::start(
        "
version: 1
upstreams: {a: {provider: simulated}, b: {provider: simulated}}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b, tier: 1}]
",
    );
    for _ in 0..10 {
        lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    }
    assert_eq!((lab.arrived("a"), lab.arrived("b")), (10, 0));
    lab.sim("a").control().set(vec![Rule::new(Fault::status(StatusCode::BAD_GATEWAY))]);
    let report = lab.under_load(Ask::chat("demo"), 10.0, secs(10), async {}).await;
    report.assert_no_errors();
    assert_eq!(report.share_of("b"), 1.0);
    lab.sim("a").control().clear();
    let report = lab.under_load(Ask::chat("demo"), 10.0, secs(60), async {}).await;
    report.assert_no_errors();
    assert!(report.between(secs(40), secs(60)).share_of("a") > 0.9, "tier 0 takes over again");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_pattern_route_sends_what_its_star_stands_for() {
    let lab = Lab::start(
        "
version: 1
upstreams: {a: {provider: simulated}}
routes:
  - model: vendor/*
    channels: [{upstream: a, model: \"*\"}]
  - model: plain-*
    channels: [{upstream: a}]
  - model: named
    aliases: [nick]
    channels: [{upstream: a}]
",
    );
    for model in ["vendor/gpt-9", "plain-7", "named", "nick"] {
        lab.send(&Ask::chat(model)).await.spoken().unwrap();
    }
    let models: Vec<_> = lab.sim("a").control().seen().into_iter().filter_map(|seen| seen.model).collect();
    assert_eq!(models, ["gpt-9", "plain-7", "named", "named"]);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_model_is_answered_with_the_closest_names() {
    let lab = Lab::start(super::THREE);
    let answer = lab.send(&Ask::chat("dem")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "model_not_found");
    assert!(error["message"].as_str().unwrap().contains("`demo`"), "{error}");
    assert_eq!(lab.metric(r#"mainstay_rejected_total{reason="not_found"}"#), 1.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_mistakes_are_answered_by_the_upstream_and_count_against_nobody() {
    let lab = Lab::start(super::THREE);
    for name in ["a", "b", "c"] {
        lab.sim(name).control().set(vec![Rule::new(Fault::status(StatusCode::BAD_REQUEST))]);
    }
    for _ in 0..30 {
        let answer = lab.send(&Ask::chat("demo")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.header("x-mainstay-attempts"), "1", "a wrong request is not repeated");
    }
    for name in ["a", "b", "c"] {
        assert_eq!(lab.breaker(name, "demo"), "closed");
        assert_eq!(lab.arrived(name), 10);
    }
    lab.assert_quiet().await;
}
