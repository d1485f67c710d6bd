//! Scenarios in which probes play a part, with the whole program running: S01 and S03 under little
//! traffic, S19, S23, S30.

use std::time::Duration;

use http::StatusCode;
use mainstay::algo::breaker::Signal;
use mainstay::simulated::{Fault, Rule};

use super::{THREE, WARM, after, secs};
use crate::lab::{Ask, Lab, Load};

/// S01 at one request in two seconds: probes notice, and notice the heal.
#[tokio::test(start_paused = true)]
async fn s01_under_little_traffic_probes_find_out_and_find_back() {
    let lab = Lab::whole(THREE);
    let report = lab
        .under_load(Ask::chat("demo"), 0.5, secs(300), async {
            after(secs(60)).await;
            lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
            after(secs(60)).await;
            lab.sim("a").control().clear();
        })
        .await;
    report.assert_no_errors();
    let late = report.between(secs(240), secs(300));
    assert!(late.share_of("a") > 0.25, "A has its share again: {}", late.share_of("a"));
    lab.assert_quiet().await;
}

/// S19: all three are gone for 30 s. It ends within seconds of the end, with probes and trials at work.
#[tokio::test(start_paused = true)]
async fn s19_after_a_total_outage_everything_is_served_within_seconds() {
    let lab = Lab::whole(THREE);
    let report = lab
        .under_load(Ask::chat("demo"), 30.0, secs(80), async {
            after(WARM).await;
            for name in ["a", "b", "c"] {
                lab.sim(name).control().set(vec![Rule::new(Fault::Refuse)]);
            }
            after(secs(30)).await;
            for name in ["a", "b", "c"] {
                lab.sim(name).control().clear();
            }
        })
        .await;
    let healed = report.between(secs(45), secs(80));
    assert!(healed.error_share() < 0.01, "{}: {:?}", healed.error_share(), healed.errors().first());
    lab.assert_quiet().await;
}

/// S23 (a): A's probes pass and its data fails. Probes must not bring it back.
#[tokio::test(start_paused = true)]
async fn s23_a_probe_that_lies_well_of_an_upstream_does_not_bring_it_back() {
    let lab = Lab::whole(THREE);
    let report = lab
        .under_load(Ask::chat("demo"), 30.0, secs(120), async {
            after(WARM).await;
            let error = Fault::status(StatusCode::INTERNAL_SERVER_ERROR);
            lab.sim("a").control().set(vec![Rule::new(error).path("/v1/chat")]);
        })
        .await;
    report.assert_no_errors();
    let faulted = lab.sim("a").control().counts().faulted;
    assert!((1..=40).contains(&faulted), "A was asked {faulted} times in 115 s");
    let closed = lab.metric_sum("mainstay_breaker_transitions_total", &[r#"upstream="a""#, r#"to="closed""#]);
    assert_eq!(closed, 0.0, "nothing closes a breaker but what callers do");
    lab.assert_quiet().await;
}

/// S23 (b): everybody's probes fail and their data is fine. Probes must not take them out.
#[tokio::test(start_paused = true)]
async fn s23_probes_that_lie_ill_of_everybody_are_overruled_by_live_traffic() {
    let lab = Lab::whole(&THREE.replace(
        "version: 1",
        "version: 1\ndefaults: {probe: {suppress_when_traffic: false, interval: 2s, fast_interval: 1s}}",
    ));
    for name in ["a", "b", "c"] {
        let ill = Rule::new(Fault::status(StatusCode::SERVICE_UNAVAILABLE)).path("/v1/models");
        lab.sim(name).control().set(vec![ill]);
    }
    let report = lab.under_load(Ask::chat("demo"), 30.0, secs(60), async {}).await;
    report.assert_no_errors();
    for name in ["a", "b", "c"] {
        assert!(report.share_of(name) > 0.25, "{name}: {}", report.share_of(name));
        let labels = [format!(r#"upstream="{name}""#)];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        assert!(
            lab.metric_sum("mainstay_active_passive_conflicts_total", &labels) >= 1.0,
            "{name}: somebody is told"
        );
    }
    lab.assert_quiet().await;
}

/// S30: after an outage every caller hangs up before A's first token, trials included.
#[tokio::test(start_paused = true)]
async fn s30_trials_that_callers_cancel_do_not_keep_an_upstream_out() {
    let lab = Lab::whole(
        "
version: 1
upstreams: {a: {provider: simulated, simulated: {ttft: 500ms}}, b: {provider: simulated}}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b, tier: 1}]
",
    );
    lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
    let report = lab.run(Load { ask: Ask::stream("demo"), per_second: 10.0, lasting: secs(30) }).await;
    report.assert_no_errors();
    assert_ne!(lab.breaker("a", ""), "closed");
    lab.sim("a").control().clear();
    let mut closed_after = None;
    for round in 0..300 {
        let ask = Ask::stream("demo");
        // Less than A's time to its first token: every trial is cancelled.
        drop(tokio::time::timeout(Duration::from_millis(100), lab.open(&ask)).await);
        if lab.breaker("a", "") == "closed" {
            closed_after = Some(round);
            break;
        }
    }
    assert!(closed_after.is_some(), "30 s after the heal A is {}", lab.breaker("a", ""));
    lab.assert_quiet().await;
}

/// What was kept to an upstream is closed when its breaker opens, so no trial meets a connection from
/// before the trouble.
#[tokio::test(start_paused = true)]
async fn an_open_breaker_keeps_no_idle_connections() {
    let lab = Lab::whole(THREE);
    lab.under_load(Ask::chat("demo"), 30.0, WARM, async {}).await.assert_no_errors();
    let snapshot = lab.gateway.snapshot();
    let (upstream, pool) = (&snapshot.table.upstreams[0], &snapshot.pools[0]);
    assert!(pool.counts().idle > 0);
    for _ in 0..5 {
        let (now, mut dice) = (lab.gateway.live.now(), lab.gateway.live.dice());
        let (permit, _) = upstream.memory.gate.admit(now, &mut dice).unwrap();
        let _ = upstream.memory.gate.settle(permit, Signal::Failure, now, now, &mut dice);
    }
    assert_eq!(lab.breaker("a", ""), "open");
    after(Duration::from_millis(600)).await;
    assert_eq!(pool.counts().idle, 0);
    assert!(snapshot.pools[1].counts().idle > 0, "others keep theirs");
    lab.assert_quiet().await;
}
