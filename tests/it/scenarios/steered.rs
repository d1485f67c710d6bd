//! Rules and splits: which route serves whom, and what is said of it.

use std::collections::BTreeMap;

use mainstay::route::{self, Question};
use mainstay::simulated::{Fault, Rule};
use mainstay::state::model::Shape;

use crate::lab::{Ask, Lab, Said, Scribe};

/// `demo` is cheap, `dear` is for those who need it.
const STEERED: &str = "
version: 1
keys: {shop: {secret: '${LAB_SHOP}'}, batch: {secret: '${LAB_BATCH}'}}
upstreams:
  near: {provider: simulated}
  far: {provider: simulated}
routes:
  - model: demo
    channels: [{upstream: near, model: small}]
    STEERING
  - {model: dear, channels: [{upstream: far, model: large}]}
";

fn lab(steering: &str) -> Lab {
    Lab::start(&STEERED.replace("STEERING", steering))
}

fn of(key: &str, ask: Ask) -> Ask {
    ask.header("authorization", &format!("Bearer secret-of-LAB_{key}"))
}

fn chat(rest: &str) -> Ask {
    let body = format!(r#"{{"model":"demo","messages":[{{"role":"user","content":"hello"}}]{rest}}}"#);
    Ask::post("/v1/chat/completions", body)
}

const TOOLS: &str =
    r#","tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]"#;

fn picture() -> Ask {
    let url = "data:image/png;base64,iVBORw0KGgo=";
    Ask::post(
        "/v1/chat/completions",
        format!(
            r#"{{"model":"demo","messages":[{{"role":"user","content":[{{"type":"text","text":"what"}},{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]}}"#
        ),
    )
}

#[tokio::test(start_paused = true)]
async fn a_rule_sends_a_request_to_another_route_from_the_start() {
    let long = Ask::post(
        "/v1/chat/completions",
        format!(r#"{{"model":"demo","messages":[{{"role":"user","content":"{}"}}]}}"#, "word ".repeat(2000)),
    );
    for (when, yes, no) in [
        ("prompt_tokens: {above: 1000}", long, chat("")),
        ("tools: true", chat(TOOLS), chat("")),
        ("images: true", picture(), chat(TOOLS)),
        ("stream: true", Ask::stream("demo"), chat("")),
        ("key: [batch]", of("BATCH", chat("")), of("SHOP", chat(""))),
        (
            "header: {x-team: 'blue*'}",
            chat("").header("x-team", "blue-2"),
            chat("").header("x-team", "green"),
        ),
    ] {
        let lab = lab(&format!("rules: [{{when: {{{when}}}, use: dear}}]"));
        let answer = lab.send(&yes).await;
        answer.spoken().unwrap_or_else(|why| panic!("{when}: {why}"));
        assert_eq!(answer.header("x-mainstay-channel"), "far/large", "{when}");
        assert_eq!((lab.arrived("far"), lab.arrived("near")), (1, 0), "{when}");
        let answer = lab.send(&no).await;
        answer.spoken().unwrap_or_else(|why| panic!("{when}: {why}"));
        assert_eq!((lab.arrived("far"), lab.arrived("near")), (1, 1), "{when}");
        assert_eq!(lab.metric(r#"mainstay_ruled_total{route="demo",to="dear"}"#), 1.0, "{when}");
        // Each is booked where it was served.
        for route in ["demo", "dear"] {
            let labels = [&*format!(r#"route="{route}""#), r#"outcome="ok""#];
            assert_eq!(lab.metric_sum("mainstay_requests_total", &labels), 1.0, "{when}: {route}");
        }
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn rules_hold_in_every_dialect() {
    let lab = lab("rules: [{when: {stream: true, tools: false}, use: dear}]");
    for (number, (dialect, ask)) in (1..).zip(Ask::stream_in_every_dialect("demo")) {
        lab.send(&ask).await.spoken().unwrap_or_else(|why| panic!("{dialect}: {why}"));
        assert_eq!((lab.arrived("far"), lab.arrived("near")), (number, 0), "{dialect}");
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_named_request_is_the_same_wherever_a_rule_sends_its_retry() {
    let lab = lab("rules: [{when: {header: {x-try: '2'}}, use: dear}]");
    let ask = chat("").header("idempotency-key", "one");
    let first = lab.send(&ask).await;
    first.spoken().unwrap();
    let second = lab.send(&ask.header("x-try", "2")).await;
    assert_eq!(
        (second.status.as_u16(), second.header("idempotent-replayed")),
        (200, "true"),
        "{}",
        second.text()
    );
    assert_eq!(second.body, first.body);
    assert_eq!((lab.arrived("near"), lab.arrived("far")), (1, 0));
    lab.assert_quiet().await;
}

/// The arm of each user.
async fn arms(lab: &Lab) -> BTreeMap<u32, String> {
    let mut arms = BTreeMap::new();
    for user in 0..100 {
        let answer = lab.send(&chat("").header("x-user", &format!("user-{user}"))).await;
        answer.spoken().unwrap();
        let arm = answer.header("x-mainstay-arm").to_owned();
        let served = if arm == "b" { "far/large" } else { "near/small" };
        assert_eq!(answer.header("x-mainstay-channel"), served, "{arm}");
        arms.insert(user, arm);
    }
    arms
}

#[tokio::test(start_paused = true)]
async fn users_keep_their_arms_and_a_reload_moves_no_more_than_it_must() {
    let split = |a: u32| {
        format!(
            "split: {{by: 'header:x-user', arms: {{a: {{share: {a}%}}, b: {{share: {}%, use: dear}}}}}}",
            100 - a
        )
    };
    let lab = lab(&split(80));
    let before = arms(&lab).await;
    assert_eq!(arms(&lab).await, before);
    let of_b = |arms: &BTreeMap<u32, String>| arms.values().filter(|arm| *arm == "b").count();
    assert!((8..=35).contains(&of_b(&before)), "{before:?}");
    lab.reload(&STEERED.replace("STEERING", &split(60)));
    let after = arms(&lab).await;
    assert!(of_b(&after) > of_b(&before), "{after:?}");
    for (user, arm) in &before {
        assert!(arm == "a" || after[user] == "b", "user {user} left the arm that grew");
    }
    // Labelled, so that they can be compared.
    let b = lab.metric(r#"mainstay_arm_requests_total{route="demo",arm="b",outcome="ok"}"#);
    assert_eq!(b as usize, 2 * of_b(&before) + of_b(&after));
    assert_eq!(lab.metric(r#"mainstay_arm_duration_seconds_count{route="demo",arm="b"}"#), b);
    assert!(lab.metric(r#"mainstay_arm_tokens_total{route="demo",arm="b",kind="output"}"#) > b);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_arm_is_named_in_refusals_too_and_nobody_else_says_so() {
    let lab = lab("split: {arms: {a: {share: 0%}, b: {share: 100%, use: dear}}}");
    lab.sim("far").control().set(vec![Rule::new(Fault::status(http::StatusCode::BAD_REQUEST))]);
    let answer = lab.send(&chat("")).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-mainstay-arm")), (400, "b"));
    let outcome = r#"mainstay_arm_requests_total{route="demo",arm="b",outcome="client_fault"}"#;
    assert_eq!(lab.metric(outcome), 1.0);
    let straight = lab.send(&Ask::chat("dear")).await;
    assert_eq!(straight.header("x-mainstay-arm"), "");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_from_a_stored_response_stays_where_that_is() {
    let yaml = "
version: 1
upstreams:
  near: {provider: custom, dialect: responses, base_url: 'http://near', credentials: [k]}
  far: {provider: custom, dialect: responses, base_url: 'http://far', credentials: [k]}
routes:
  - {model: demo, channels: [{upstream: near}], rules: [{when: {header: {x-go: '*'}}, use: dear}]}
  - {model: dear, channels: [{upstream: far}]}
";
    let says = |id: &str| {
        let body = format!(
            r#"{{"id":"{id}","object":"response","created_at":1,"model":"m","status":"completed","output":[],"usage":{{"input_tokens":3,"output_tokens":2,"total_tokens":5}}}}"#
        );
        Scribe::saying(Said::json(200, body))
    };
    let (near, far) = (says("resp_near"), says("resp_far"));
    let lab = Lab::beside(yaml, &[("near", &near), ("far", &far)]);
    let ask = |rest: &str| Ask::post("/v1/responses", format!(r#"{{"model":"demo","input":"count"{rest}}}"#));
    assert_eq!(lab.send(&ask("")).await.status, 200);
    for (rest, expected) in [
        (r#","previous_response_id":"resp_near""#, (2, 0)),
        ("", (2, 1)),
        // Nor is anybody sent away from where the rule leads, if it is there.
        (r#","previous_response_id":"resp_far""#, (2, 2)),
    ] {
        assert_eq!(lab.send(&ask(rest).header("x-go", "yes")).await.status, 200, "{rest}");
        assert_eq!((near.heard().len(), far.heard().len()), expected, "{rest}");
    }
    assert_eq!(lab.metric(r#"mainstay_ruled_total{route="demo",to="dear"}"#), 2.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_explanation_says_which_rule_arm_and_mirror_a_request_would_meet() {
    let lab = lab(
        "rules: [{when: {prompt_tokens: {above: 1000}, header: {x-team: 'blue*'}}, use: dear}, {when: {stream: false}, use: demo}]
    split: {by: 'header:x-team', arms: {a: {share: 100%}, b: {share: 0%, use: dear}}}
    mirror: {to: dear, share: 5%}",
    );
    let header = (http::HeaderName::from_static("x-team"), http::HeaderValue::from_static("blue-2"));
    let question = Question { model: "demo".into(), ..Question::default() };
    let of_team = |prompt_tokens, shape| Question {
        prompt_tokens,
        shape,
        headers: vec![header.clone()],
        ..question.clone()
    };
    for (question, route, expected) in [
        (
            of_team(2000, None),
            "dear",
            vec!["rule 1 of demo (x-team is blue*, prompt_tokens above 1000) sends it to dear"],
        ),
        (
            of_team(10, Some(Shape::Whole)),
            "demo",
            vec![
                "rule 2 of demo (no stream) sends it to demo",
                "split of demo by header:x-team: a 100% to demo, b 0% to dear; it gets a",
                "mirror: 5% of it to dear as well, at most 16 at the same moment",
            ],
        ),
        (
            question.clone(),
            "demo",
            vec![
                "no rule of demo holds for it",
                "split of demo by header:x-team: a 100% to demo, b 0% to dear; shown for a",
                "mirror: 5% of it to dear as well, at most 16 at the same moment",
            ],
        ),
        (Question { model: "dear".into(), ..Question::default() }, "dear", vec![]),
    ] {
        let explained = route::explain(&lab.table(), &question).expect("the route is there");
        assert_eq!(explained.route, route);
        assert_eq!(explained.steering, expected);
    }
}
