//! What operators do to upstreams while callers come: by the admin side of the whole program, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use http_body_util::BodyExt as _;
use mainstay::admin::{self, Running};
use mainstay::simulated::{Fault, Rule};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{after, secs};
use crate::lab::{Ask, Lab};

const TWO: &str = "
version: 1
upstreams:
  a: {provider: simulated}
  b: {provider: simulated}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b}]
";

const ALONE: &str = "
version: 1
upstreams:
  a: {provider: simulated}
routes:
  - {model: demo, channels: [{upstream: a}]}
  - {path: /x/, channels: [{upstream: a}]}
";

async fn tell(lab: &Lab, method: Method, path: &str, body: &str) -> (u16, Value) {
    let router = admin::router(Arc::clone(lab.app().host()) as Arc<dyn Running>);
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.body(axum::body::Body::from(body.to_owned())).unwrap();
    let answer = router.oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

async fn act(lab: &Lab, action: &str, body: &str) -> Value {
    let (status, answer) = tell(lab, Method::POST, &format!("/admin/upstreams/{action}"), body).await;
    assert_eq!(status, 200, "{action} {body}: {answer}");
    answer
}

async fn look(lab: &Lab, path: &str) -> Value {
    let (status, answer) = tell(lab, Method::GET, path, "").await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// How many of so many requests each upstream gets, all of which are answered well.
async fn served(lab: &Lab, requests: u64) -> (u64, u64) {
    let before = (lab.arrived("a"), lab.arrived("b"));
    for _ in 0..requests {
        let answer = lab.send(&Ask::chat("demo")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    (lab.arrived("a") - before.0, lab.arrived("b") - before.1)
}

fn overrides(lab: &Lab) -> f64 {
    lab.metric_sum("mainstay_overrides", &[])
}

#[tokio::test(start_paused = true)]
async fn a_drained_upstream_finishes_its_streams_and_gets_nothing_new() {
    let lab = Lab::whole(TWO);
    lab.sim("a").control().set(vec![Rule::new(Fault::Drip { gap: Duration::from_millis(20) })]);
    act(&lab, "b/disable", "").await;
    let mut stream = lab.open(&Ask::stream("demo")).await;
    assert!(stream.next().await.is_some());
    act(&lab, "b/enable", "").await;

    let drained = act(&lab, "a/drain", r#"{"reason": "new address"}"#).await;
    assert_eq!(drained["in_flight"], 1, "{drained}");
    assert_eq!(drained["override"]["kind"], "draining");
    assert_eq!(drained["override"]["until"], Value::Null);
    assert_eq!(served(&lab, 10).await, (0, 10));
    let seen = look(&lab, "/admin/upstreams/a").await;
    assert_eq!((&seen["in_flight"], &seen["override"]["reason"]), (&json!(1), &json!("new address")));
    while stream.next().await.is_some() {}
    assert_eq!(look(&lab, "/admin/upstreams/a").await["in_flight"], 0);

    lab.sim("a").control().clear();
    // Probes that dripped, too, have said that it is down.
    act(&lab, "a/probe", "").await;
    after(secs(120)).await;
    act(&lab, "a/enable", "").await;
    let (a, b) = served(&lab, 20).await;
    assert!(a > 5 && b > 5, "{a} {b}");
    assert_eq!(overrides(&lab), 0.0);
    let timeline = look(&lab, "/admin/upstreams/a").await["timeline"].clone();
    let said = timeline.as_array().unwrap().iter().filter(|change| change["of"] == "override");
    let said: Vec<_> = said.map(|change| (change["from"].clone(), change["to"].clone())).collect();
    assert_eq!(said, [(json!("none"), json!("draining")), (json!("draining"), json!("none"))]);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_disabled_upstream_gets_nothing_even_where_nobody_else_is_left_and_is_back_in_time() {
    let lab = Lab::whole(ALONE);
    let disabled = act(&lab, "a/disable", r#"{"for": "10m"}"#).await;
    assert_eq!(disabled["override"]["for_seconds"], 600.0, "{disabled}");
    for ask in [Ask::chat("demo"), Ask::stream("demo"), Ask::get("/x/y")] {
        assert_eq!(lab.send(&ask).await.status, 503);
    }
    assert_eq!(lab.arrived("a"), 0, "no panic goes past an operator's word");
    let channels = look(&lab, "/admin/channels").await;
    for channel in channels["channels"].as_array().unwrap() {
        assert_eq!(channel["standing"], "disabled_by_operator", "{channel}");
        assert_eq!(channel["eligible"], false);
        assert_eq!(channel["override"]["of"], "upstream");
        let left = channel["recovers_in_seconds"].as_f64().unwrap();
        assert!((590.0..=600.0).contains(&left), "{left}");
    }
    let explained = look(&lab, "/admin/explain?model=demo").await;
    let detail = explained["channels"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("an operator has disabled the upstream for another"), "{detail}");
    assert_eq!(look(&lab, "/admin/status").await["upstreams"][0]["override"]["kind"], "disabled");
    assert_eq!(overrides(&lab), 1.0);
    after(secs(601)).await;
    assert_eq!(lab.send(&Ask::chat("demo")).await.status, 200);
    assert_eq!(overrides(&lab), 0.0);
    let audit = look(&lab, "/admin/audit").await;
    let actions: Vec<_> =
        audit["audit"].as_array().unwrap().iter().map(|row| row["action"].clone()).collect();
    assert_eq!(actions[..2], [json!("upstream.enable"), json!("upstream.disable")], "{audit}");
    assert_eq!(audit["audit"][0]["actor"], "gateway");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn one_model_of_an_upstream_can_be_tripped_and_restored_against_all_evidence() {
    let lab = Lab::whole(TWO);
    let tripped = act(&lab, "a/trip", r#"{"model": "demo", "for": "5m"}"#).await;
    assert_eq!(tripped["breaker"]["state"], "forced_open", "{tripped}");
    assert_eq!((lab.breaker("a", "demo"), lab.breaker("a", "")), ("forced_open", "closed"));
    assert_eq!(served(&lab, 6).await, (0, 6));
    after(secs(301)).await;
    assert_eq!(lab.breaker("a", "demo"), "closed");

    lab.sim("a").control().set(vec![Rule::new(Fault::status(http::StatusCode::INTERNAL_SERVER_ERROR))]);
    act(&lab, "a/restore", r#"{"model": "demo"}"#).await;
    served(&lab, 60).await;
    assert_eq!(lab.breaker("a", "demo"), "forced_closed");
    assert!(lab.arrived("a") > 3, "{}", lab.arrived("a"));
    after(secs(601)).await;
    assert_eq!(lab.breaker("a", "demo"), "closed", "evidence counts again");
    let seen = look(&lab, "/admin/channels").await["channels"][0].clone();
    assert_eq!(seen["last_transition"]["from"], "forced_closed", "{seen}");

    act(&lab, "a/reset", r#"{"model": "demo"}"#).await;
    assert_eq!(lab.breaker("a", "demo"), "closed");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_said_holds_over_a_reload() {
    let lab = Lab::whole(TWO);
    act(&lab, "a/disable", r#"{"for": "1h"}"#).await;
    act(&lab, "b/trip", r#"{"model": "demo", "for": "1h"}"#).await;
    lab.replace(&TWO.replace("{upstream: b}", "{upstream: b, weight: 5}")).await;
    assert_eq!(overrides(&lab), 2.0);
    act(&lab, "b/enable", r#"{"model": "demo"}"#).await;
    assert_eq!(served(&lab, 6).await, (0, 6));
    act(&lab, "a/enable", "").await;
    assert_eq!(overrides(&lab), 0.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_rests_works_again_once_its_upstream_is_reset() {
    let lab =
        Lab::whole(&ALONE.replace("{provider: simulated}", "{provider: simulated, credentials: [k-1]}"));
    let throttled = Fault::RateLimited { retry_after: Some(Duration::from_mins(30)) };
    lab.sim("a").control().set(vec![Rule::new(throttled).first(1)]);
    assert_eq!(lab.send(&Ask::chat("demo")).await.status, 429);
    let channel = look(&lab, "/admin/channels").await["channels"][0].clone();
    assert_eq!(channel["standing"], "credentials_cooling", "{channel}");
    assert_eq!(channel["cooldowns"][0]["state"], "cooling", "{channel}");
    act(&lab, "a/reset", "").await;
    assert_eq!(lab.send(&Ask::chat("demo")).await.status, 200);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_somebody_wants_is_made_at_once_and_says_what_came_of_it() {
    let lab = Lab::whole(TWO);
    let passed = act(&lab, "a/probe", "").await;
    assert_eq!(passed["probe"]["result"], "pass", "{passed}");
    lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
    let failed = act(&lab, "a/probe", "").await;
    assert_eq!(failed["probe"]["result"], "fail", "{failed}");
    assert!(failed["probe"]["why"].is_string());
    lab.swallow("a");
    let begun = lab.gateway.live.now();
    let late = act(&lab, "a/probe", "").await;
    assert_eq!(late["probe"]["result"], "fail", "{late}");
    let took = lab.gateway.live.now().since(begun);
    assert!(took < secs(30), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_is_refused_with_a_word_why_and_changes_nothing() {
    let lab = Lab::whole(ALONE);
    let refused = [
        ("z/drain", "", 404, "no upstream is called z"),
        ("a/drian", "", 404, "GET / lists them"),
        ("a/drain", r#"{"model": "demmo"}"#, 404, "near it: demo"),
        ("a/drain", r#"{"model": ""}"#, 404, "no channel serves"),
        ("a/drain", r#"{"for": 10}"#, 400, "the body may say"),
        ("a/drain", r#"{"for": "-1s"}"#, 400, "`for`"),
        ("a/drain", "[]", 400, "the body may say"),
        ("a/enable", r#"{"for": "1m"}"#, 400, "leave `for` out"),
    ];
    for (action, body, expected, why) in refused {
        let (status, answer) = tell(&lab, Method::POST, &format!("/admin/upstreams/{action}"), body).await;
        assert_eq!(status, expected, "{action} {body}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(why), "{action} {body}: {answer}");
    }
    assert_eq!(overrides(&lab), 0.0);
    for (path, status) in [
        ("/admin/upstreams/z", 404),
        ("/admin/routes/z", 404),
        ("/admin/routes/demo", 200),
        ("/admin/routes/%2Fx%2F", 200),
        ("/admin/routes", 200),
        ("/admin/upstreams", 200),
    ] {
        assert_eq!(tell(&lab, Method::GET, path, "").await.0, status, "{path}");
    }
}
