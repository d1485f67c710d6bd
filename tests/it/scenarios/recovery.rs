//! How things come back, and what must not disturb them: S30, and reloads (S26, S28) at table level.

use http::StatusCode;
use mainstay::simulated::{Fault, Rule};

use super::{THREE, WARM, after, secs};
use crate::lab::{Ask, Lab};

/// S26: fifty reloads while A is down.
#[tokio::test(start_paused = true)]
async fn s26_a_storm_of_reloads_disturbs_no_request_and_forgets_nothing() {
    let lab = Lab::start(THREE);
    let with_d = THREE.replace(
        "  c: {provider: simulated}",
        "  c: {provider: simulated}\n  d: {provider: http, base_url: \"http://d\"}",
    );
    let report = lab
        .under_load(Ask::chat("demo"), 30.0, secs(80), async {
            after(WARM).await;
            lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
            after(secs(20)).await;
            for round in 0..50 {
                let weight = round % 5 + 1;
                let yaml = if round % 2 == 0 { THREE } else { &with_d };
                lab.reload(&yaml.replace("{upstream: b}", &format!("{{upstream: b, weight: {weight}}}")));
                assert_ne!(lab.breaker("a", ""), "closed", "A stays out through reload {round}");
                after(secs(1)).await;
            }
        })
        .await;
    report.assert_no_errors();
    let refused = lab.metric_sum("mainstay_faults_total", &[r#"upstream="a""#, r#"fault="connect""#]);
    assert!(refused < 30.0, "{refused}");
    lab.assert_quiet().await;
}

/// A channel that was removed gets nothing any more, and streams that it serves end well.
#[tokio::test(start_paused = true)]
async fn a_removed_channel_finishes_its_streams_and_gets_no_more() {
    let lab = Lab::start(THREE);
    let mut open = Vec::new();
    for _ in 0..6 {
        open.push(lab.open(&Ask::stream("demo")).await);
    }
    lab.reload(&THREE.replace("{upstream: a}, ", ""));
    let before = lab.arrived("a");
    assert!(before > 0);
    let report = lab.under_load(Ask::chat("demo"), 10.0, secs(3), async {}).await;
    report.assert_no_errors();
    assert_eq!(lab.arrived("a"), before);
    for mut kept in open {
        let mut last = bytes::Bytes::new();
        while let Some(piece) = kept.next().await {
            last = piece;
        }
        assert!(last.ends_with(b"data: [DONE]\n\n"), "{last:?}");
    }
    lab.assert_quiet().await;
}

/// An error of every channel leads to the fallback route, once, and in circles never.
#[tokio::test(start_paused = true)]
async fn a_route_without_help_falls_back_to_the_next() {
    let lab = Lab::start(
        "
version: 1
upstreams: {a: {provider: simulated}, b: {provider: simulated}}
routes:
  - model: good
    channels: [{upstream: a}]
    fallback: [cheap]
  - model: cheap
    channels: [{upstream: b}]
",
    );
    lab.sim("a").control().set(vec![Rule::new(Fault::status(StatusCode::INTERNAL_SERVER_ERROR))]);
    let answer = lab.send(&Ask::chat("good")).await;
    assert_eq!(answer.spoken().unwrap(), "b");
    assert_eq!(answer.header("x-mainstay-channel"), "b/cheap");
    assert_eq!(answer.header("x-mainstay-attempts"), "3", "twice on the only channel, then the fallback");
    let models: Vec<_> = lab.sim("b").control().seen().into_iter().map(|seen| seen.model).collect();
    assert_eq!(models, [Some("cheap".to_owned())], "the fallback is asked for its own model");
    assert_eq!(lab.metric(r#"mainstay_fallbacks_total{route="good",to="cheap"}"#), 1.0);
    lab.assert_quiet().await;
}
