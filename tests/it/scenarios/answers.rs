//! Upstreams that answer with errors, or end their connections: S05, S06, S07, S08, S25, S31, S40.

use std::time::Duration;

use http::StatusCode;
use mainstay::simulated::{Fault, ResetAt, Rule};

use super::{THREE, WARM, after, secs};
use crate::lab::{Ask, Lab};

const ERROR: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

/// S05: A answers every request with a 500 at once.
#[tokio::test(start_paused = true)]
async fn s05_a_fast_failing_upstream_attracts_nobody() {
    for select in ["weighted_round_robin", "lowest_latency", "least_inflight"] {
        let lab = Lab::start(&THREE.replace("model: demo", &format!("model: demo\n    select: {select}")));
        let report = lab
            .under_load(Ask::chat("demo"), 30.0, secs(60), async {
                after(WARM).await;
                lab.sim("a").control().set(vec![Rule::new(Fault::status(ERROR))]);
            })
            .await;
        report.assert_no_errors();
        let faulted = lab.sim("a").control().counts().faulted;
        assert!((1..=25).contains(&faulted), "{select}: A was asked {faulted} times in 55 s");
        lab.assert_quiet().await;
    }
}

/// S06: every second answer of A is a 500.
#[tokio::test(start_paused = true)]
async fn s06_an_upstream_that_fails_half_the_time_is_found_out() {
    let lab = Lab::start(THREE);
    let report = lab
        .under_load(Ask::chat("demo"), 30.0, secs(60), async {
            after(WARM).await;
            lab.sim("a").control().set(vec![Rule::new(Fault::status(ERROR)).every(2)]);
        })
        .await;
    report.assert_no_errors();
    let late = report.between(secs(30), secs(60));
    assert!(late.share_of("a") < 0.15, "{}", late.share_of("a"));
    lab.assert_quiet().await;
}

/// S07: a tenth of everybody's answers are 500s.
#[tokio::test(start_paused = true)]
async fn s07_noise_ejects_nobody() {
    let lab = Lab::start(THREE);
    for name in ["a", "b", "c"] {
        lab.sim(name).control().set(vec![Rule::new(Fault::status(ERROR)).share(0.1)]);
    }
    let report = lab.under_load(Ask::chat("demo"), 30.0, secs(300), async {}).await;
    assert!(report.error_share() <= 0.002, "{}", report.error_share());
    assert_eq!(lab.metric_sum("mainstay_breaker_transitions_total", &[]), 0.0, "nobody is ejected");
    let attempts: u64 = ["a", "b", "c"].iter().map(|name| lab.arrived(name)).sum();
    let amplification = attempts as f64 / report.answers.len() as f64;
    assert!(amplification <= 1.13, "{amplification}");
    lab.assert_quiet().await;
}

/// S08: A answers 503 with `Retry-After: 5` for 5 s, six times.
#[tokio::test(start_paused = true)]
async fn s08_an_overloaded_upstream_is_back_soon_after_each_heal() {
    let lab = Lab::start(THREE);
    let overloaded = Fault::Status {
        status: StatusCode::SERVICE_UNAVAILABLE,
        body: None,
        retry_after: Some(Duration::from_secs(5)),
    };
    let report = lab
        .under_load(Ask::chat("demo"), 30.0, secs(125), async {
            after(WARM).await;
            for _ in 0..6 {
                lab.sim("a").control().set(vec![Rule::new(overloaded.clone())]);
                after(secs(5)).await;
                lab.sim("a").control().clear();
                after(secs(15)).await;
            }
        })
        .await;
    report.assert_no_errors();
    for round in 0..6 {
        let heal = 5 + round * 20 + 5;
        let back = report.between(secs(heal + 8), secs(heal + 15));
        assert!(back.share_of("a") > 0.05, "8 s after heal {round} A serves again: {}", back.share_of("a"));
    }
    lab.assert_quiet().await;
}

/// S31: A reads the whole request and resets the connection.
#[tokio::test(start_paused = true)]
async fn s31_a_reset_after_the_body_is_repeated_only_where_that_does_no_harm() {
    let lab = Lab::start(&format!(
        "{THREE}
  - path: /orders/
    channels: [{{upstream: a}}, {{upstream: b}}]
"
    ));
    lab.sim("a").control().set(vec![Rule::new(Fault::Reset { at: ResetAt::Body })]);
    let orders = Ask::post("/orders/new", r#"{"item": 1}"#);
    let mut failed = 0;
    for _ in 0..4 {
        let (a, b) = (lab.arrived("a"), lab.arrived("b"));
        let answer = lab.send(&orders).await;
        let sent = lab.arrived("a") - a + lab.arrived("b") - b;
        assert_eq!(sent, 1, "an order is sent once, whatever becomes of it");
        if answer.status != StatusCode::OK {
            assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
            failed += 1;
        }
    }
    assert!(failed >= 1, "one of the orders met the reset");
    for _ in 0..6 {
        lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    }
    let keyed = orders.header("idempotency-key", "k-1");
    for _ in 0..4 {
        assert_eq!(lab.send(&keyed).await.status, StatusCode::OK, "a keyed order may be sent again");
    }
    lab.assert_quiet().await;
}

/// S40: A's model X is broken, its model Y is fine.
#[tokio::test(start_paused = true)]
async fn s40_one_broken_model_leaves_the_others_of_its_host_alone() {
    let lab = Lab::start(
        "
version: 1
upstreams: {a: {provider: simulated}, b: {provider: simulated}}
routes:
  - model: x
    channels: [{upstream: a}, {upstream: b}]
  - model: y
    channels: [{upstream: a}, {upstream: b}]
",
    );
    lab.sim("a").control().set(vec![Rule::new(Fault::status(ERROR)).model("x")]);
    let (x, y) = tokio::join!(
        lab.under_load(Ask::chat("x"), 20.0, secs(40), async {}),
        lab.under_load(Ask::chat("y"), 20.0, secs(40), async {})
    );
    x.assert_no_errors();
    y.assert_no_errors();
    assert_eq!(x.share_of("a"), 0.0);
    assert!((0.45..=0.55).contains(&y.share_of("a")), "{}", y.share_of("a"));
    assert_eq!(lab.breaker("a", "y"), "closed");
    assert_eq!(lab.breaker("a", ""), "closed");
    let faulted = lab.sim("a").control().counts().faulted;
    assert!(faulted <= 20, "{faulted}");
    lab.assert_quiet().await;
}

/// S25: A closes idle connections after 1 s, and requests come after 0.9 to 1.1 s.
#[tokio::test(start_paused = true)]
async fn s25_connections_that_end_as_they_are_used_cost_nobody_anything() {
    let lab = Lab::hasty(
        "
version: 1
upstreams: {a: {provider: simulated}}
routes:
  - path: /orders/
    channels: [{upstream: a}]
",
        secs(1),
    );
    let order = Ask::post("/orders/new", r#"{"item": 1}"#);
    let mut sent = 0;
    for round in 0..60_u64 {
        let gap = Duration::from_millis(900 + round * 7 % 200);
        let (one, other) = tokio::join!(lab.send(&order), lab.send(&order));
        assert_eq!((one.status, other.status), (StatusCode::OK, StatusCode::OK), "round {round}");
        sent += 2;
        after(gap).await;
    }
    assert_eq!(lab.arrived("a"), sent, "nothing that must not be sent twice was");
    assert_eq!(lab.breaker("a", ""), "closed");
    lab.assert_quiet().await;
}
