//! Failures that upstreams have in common: of a region, and of the network here.

use mainstay::simulated::{Fault, How, Rule};

use super::{WARM, after, secs};
use crate::lab::{Ask, Lab};

const REGION: &str = "
version: 1
upstreams:
  e1: {provider: simulated, fate: east}
  e2: {provider: simulated, fate: east}
  e3: {provider: simulated, fate: east}
  w: {provider: simulated, fate: west}
routes:
  - model: demo
    channels: [{upstream: e1}, {upstream: e2}, {upstream: e3}, {upstream: w}]
";

fn overloaded() -> Vec<Rule> {
    vec![Rule::new(Fault::status(http::StatusCode::from_u16(529).unwrap()))]
}

/// A region runs out of capacity, two of its upstreams first.
#[tokio::test(start_paused = true)]
async fn the_third_of_a_region_is_spared_before_it_fails_itself() {
    let lab = Lab::start(REGION);
    let (mut asked, mut explained) = (0, String::new());
    let report = lab
        .under_load(Ask::chat("demo"), 30.0, secs(40), async {
            after(WARM).await;
            lab.sim("e1").control().set(overloaded());
            lab.sim("e2").control().set(overloaded());
            after(secs(1)).await;
            let before = lab.arrived("e3");
            after(secs(6)).await;
            asked = lab.arrived("e3") - before;
            let question = mainstay::route::Question { model: "demo".to_owned(), ..Default::default() };
            let said = mainstay::route::explain(&lab.table(), &question).unwrap();
            explained = said.channels[2].detail.clone();
            lab.sim("e3").control().set(overloaded());
            after(secs(5)).await;
            for name in ["e1", "e2", "e3"] {
                lab.sim(name).control().clear();
            }
        })
        .await;
    report.assert_no_errors();
    assert!(asked <= 6, "of 180 requests, a third of which would have been its: {asked}");
    assert!(explained.contains("group east"), "{explained}");
    assert!(lab.metric(r#"mainstay_fate_demotions_total{group="east"}"#) >= 1.0);
    assert_eq!(lab.breaker("e3", ""), "closed");
    let refused = lab.metric_sum("mainstay_faults_total", &[r#"upstream="e3""#]);
    assert!(refused <= 6.0, "callers found out {refused} times that it had failed too");
    let healed = report.between(secs(32), secs(40));
    assert!(healed.share_of("e3") > 0.15, "it takes its share again: {}", healed.share_of("e3"));
    lab.assert_quiet().await;
}

/// When nobody else is eligible the group serves, whatever befell two of it.
#[tokio::test(start_paused = true)]
async fn the_last_of_a_group_serves_when_nobody_else_does() {
    let lab = Lab::start(REGION);
    let report = lab
        .under_load(Ask::chat("demo"), 30.0, secs(20), async {
            after(WARM).await;
            for name in ["e1", "e2", "w"] {
                lab.sim(name).control().set(overloaded());
            }
        })
        .await;
    // Those that were tried at the first moment of all three may have used up their attempts.
    let late = report.between(secs(10), secs(20));
    late.assert_no_errors();
    assert!(late.share_of("e3") > 0.99);
    lab.assert_quiet().await;
}

/// Streams of a region break one upstream after the other, and the rest of the region is all that is left of the
/// first tier. What breaks before content fails over in silence; a stream that breaks reaches its caller.
#[tokio::test(start_paused = true)]
async fn a_tier_whose_streams_are_about_to_break_is_left_for_the_next_one() {
    // Short streams: few that began well are under way when others break, and speak for their upstream.
    let yaml = REGION
        .replace("{upstream: w}", "{upstream: w, tier: 2}")
        .replace("simulated, fate", "simulated, simulated: {ttft: 2ms, pace: 1ms, words: 20}, fate");
    let lab = Lab::start(&yaml);
    let cut = || vec![Rule::new(Fault::Cut { after_events: 5, how: How::Rst })];
    let report = lab
        .under_load(Ask::stream("demo"), 30.0, secs(40), async {
            after(WARM).await;
            lab.sim("e1").control().set(cut());
            lab.sim("e2").control().set(cut());
            after(secs(3)).await;
            lab.sim("e3").control().set(cut());
            after(secs(10)).await;
            for name in ["e1", "e2", "e3"] {
                lab.sim(name).control().clear();
            }
        })
        .await;
    let broken = |name: &str| {
        let of = |answer: &&crate::lab::Answer| answer.header("x-mainstay-channel").starts_with(name);
        report.answers.iter().filter(of).filter(|answer| answer.spoken().is_err()).count()
    };
    assert_eq!(broken("e3"), 0, "callers found out that it breaks its streams too");
    assert!(broken("e1") + broken("e2") > 0);
    let healed = report.between(secs(33), secs(40));
    healed.assert_no_errors();
    assert!(healed.share_of("w") < 0.05, "the first tier serves again: {}", healed.share_of("w"));
    lab.assert_quiet().await;
}

/// Of what fails before content no caller hears, so the tiers stay as the operator has them.
#[tokio::test(start_paused = true)]
async fn whole_answers_stay_in_their_tier() {
    let lab = Lab::start(&REGION.replace("{upstream: w}", "{upstream: w, tier: 2}"));
    let report = lab
        .under_load(Ask::chat("demo"), 30.0, secs(20), async {
            after(WARM).await;
            lab.sim("e1").control().set(overloaded());
            lab.sim("e2").control().set(overloaded());
        })
        .await;
    report.assert_no_errors();
    assert!(report.share_of("w") < 0.05, "{}", report.share_of("w"));
    lab.assert_quiet().await;
}

const PROVIDERS: &str = "
version: 1
defaults: {retry: {budget: {reserve_per_sec: 100}}}
upstreams:
  a: {provider: simulated, fate: a, simulated: {ttft: 2ms, pace: 1ms, words: 3}}
  b: {provider: simulated, fate: b, simulated: {ttft: 2ms, pace: 1ms, words: 3}}
  c: {provider: simulated, fate: c, simulated: {ttft: 2ms, pace: 1ms, words: 3}}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b}, {upstream: c}]
";

/// The cable is pulled for 20 s: nobody's breaker opens, and everything is back with the cable.
#[tokio::test(start_paused = true)]
async fn an_outage_of_the_network_here_is_nobodys_guilt() {
    let lab = Lab::start(PROVIDERS);
    let all = ["a", "b", "c"];
    let mut suspected = (0.0, 0.0);
    let report = lab
        .under_load(Ask::chat("demo"), 30.0, secs(45), async {
            after(WARM).await;
            for name in all {
                lab.sim(name).control().set(vec![Rule::new(Fault::Refuse)]);
            }
            after(secs(10)).await;
            suspected.0 = lab.metric("mainstay_network_suspected");
            after(secs(10)).await;
            for name in all {
                lab.sim(name).control().clear();
            }
            after(secs(1)).await;
            suspected.1 = lab.metric("mainstay_network_suspected");
        })
        .await;
    assert_eq!(suspected, (1.0, 0.0));
    let outage = report.between(secs(6), secs(24));
    assert!(outage.error_share() > 0.99, "nobody can be reached");
    let opened = lab.metric_sum("mainstay_breaker_transitions_total", &[r#"to="open""#]);
    assert!(opened < 0.5, "no breaker opened, but {opened} did");
    let healed = report.between(secs(26), secs(45));
    healed.assert_no_errors();
    assert!(all.into_iter().all(|name| healed.share_of(name) > 0.25), "at once, and evenly");
    lab.assert_quiet().await;
}

/// One provider is gone while others answer: that is its own guilt.
#[tokio::test(start_paused = true)]
async fn one_provider_that_is_down_does_not_make_the_network_suspect() {
    let lab = Lab::start(PROVIDERS);
    let mut most = 0.0_f64;
    let report = lab
        .under_load(Ask::chat("demo"), 30.0, secs(40), async {
            after(WARM).await;
            lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
            for _ in 0..200 {
                after(std::time::Duration::from_millis(100)).await;
                most = most.max(lab.metric("mainstay_network_suspected"));
            }
            assert_ne!(lab.breaker("a", ""), "closed");
            lab.sim("a").control().clear();
        })
        .await;
    report.assert_no_errors();
    assert!(most < 0.5);
    lab.assert_quiet().await;
}
