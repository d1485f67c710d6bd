//! Upstreams that are gone: S01, S02, S03, S20, S33.

use std::time::Duration;

use http::StatusCode;
use mainstay::simulated::{Fault, Rule};

use super::{THREE, WARM, after, secs};
use crate::lab::{Ask, Lab, Load};

/// S01: nobody listens at A for 30 s.
#[tokio::test(start_paused = true)]
async fn s01_a_hard_down_upstream_is_not_noticed_and_comes_back() {
    let lab = Lab::start(THREE);
    let report = lab
        .under_load(Ask::chat("demo"), 30.0, secs(100), async {
            after(WARM).await;
            lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
            after(secs(30)).await;
            lab.sim("a").control().clear();
        })
        .await;
    report.assert_no_errors();
    let attempts: u64 = ["a", "b", "c"].iter().map(|name| lab.arrived(name)).sum();
    let repeated = attempts - report.answers.len() as u64;
    assert!(repeated <= 5, "only what A was working on when it died is sent again: {repeated}");
    let recovered = report.between(secs(80), secs(100));
    assert!(recovered.share_of("a") > 0.28, "A has its third again: {}", recovered.share_of("a"));
    let refused = lab.metric_sum("mainstay_faults_total", &[r#"upstream="a""#, r#"fault="connect""#]);
    assert!((3.0..40.0).contains(&refused), "A was hardly asked while it was down: {refused}");
    lab.assert_quiet().await;
}

/// S02: whatever is sent to A is lost on the way, on connections that are kept and on new ones.
#[tokio::test(start_paused = true)]
async fn s02_a_black_hole_keeps_those_waiting_who_came_within_its_first_second() {
    let lab = Lab::start(THREE);
    let report = lab
        .under_load(Ask::stream("demo"), 30.0, secs(60), async {
            after(WARM).await;
            lab.swallow("a");
        })
        .await;
    // What was on its way is lost.
    let report = report.between(WARM, secs(60));
    report.assert_no_errors();
    assert!(report.slowest() < secs(13), "{:?}", report.slowest());
    // A third of the thirty a second.
    let slow = report.answers.iter().filter(|answer| answer.took > secs(2)).count();
    assert!(slow <= 20, "{slow} had to wait");
    lab.assert_quiet().await;
}

/// S03: A accepts and never answers.
#[tokio::test(start_paused = true)]
async fn s03_a_silent_upstream_costs_a_wait_and_no_error() {
    let lab = Lab::start(THREE);
    let report = lab
        .under_load(Ask::stream("demo"), 3.0, secs(60), async {
            after(WARM).await;
            lab.sim("a").control().set(vec![Rule::new(Fault::Hang)]);
            after(secs(40)).await;
            lab.sim("a").control().clear();
        })
        .await;
    report.assert_no_errors();
    // E3: with somewhere else to go nobody waits longer than ten seconds, plus the answer itself.
    assert!(report.slowest() < secs(13), "{:?}", report.slowest());
    let stuck = lab.sim("a").control().counts().aborted;
    assert!(stuck <= 20, "those that came within the first wait, and few after: {stuck}");
    let late = report.between(secs(25), secs(40));
    assert!(late.slowest() < secs(13));
    assert!(late.share_of("a") < 0.01);
    lab.assert_quiet().await;
}

/// S20: A is up for 5 s and down for 5 s, for two minutes.
#[tokio::test(start_paused = true)]
async fn s20_a_flapping_upstream_is_left_alone_more_and_more() {
    let lab = Lab::start(THREE);
    let report = lab
        .under_load(Ask::chat("demo"), 30.0, secs(120), async {
            for _ in 0..12 {
                after(secs(5)).await;
                lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
                after(secs(5)).await;
                lab.sim("a").control().clear();
            }
        })
        .await;
    report.assert_no_errors();
    let openings = lab.metric_sum("mainstay_breaker_transitions_total", &[r#"upstream="a""#, r#"to="open""#]);
    assert!(openings <= 8.0, "{openings}");
    lab.assert_quiet().await;
}

/// S33: there is only A, and 60 % of its answers are errors; then all of them.
#[tokio::test(start_paused = true)]
async fn s33_a_single_upstream_gives_all_that_it_can_and_is_spared_when_it_cannot() {
    let lab = Lab::start(
        "
version: 1
upstreams: {a: {provider: simulated}}
routes:
  - model: demo
    retry: {max_attempts: 1}
    channels: [{upstream: a}]
",
    );
    let errors = |share| vec![Rule::new(Fault::status(StatusCode::INTERNAL_SERVER_ERROR)).share(share)];
    let load = |lasting| Load { ask: Ask::chat("demo"), per_second: 50.0, lasting };

    lab.sim("a").control().set(errors(0.6));
    let partial = lab.run(load(secs(60))).await;
    let good = 1.0 - partial.error_share();
    assert!(good > 0.95 * 0.4, "of the 40 % that could succeed, {good} did");

    lab.sim("a").control().set(errors(1.0));
    let before = lab.arrived("a");
    let dead = lab.run(load(secs(30))).await;
    assert!(dead.error_share() > 0.99);
    let before_second_half = lab.arrived("a");
    let late = lab.run(load(secs(30))).await;
    let (first, second) = (before_second_half - before, lab.arrived("a") - before_second_half);
    assert!(first + second <= 750, "a quarter of what was offered: {first} + {second}");
    assert!(second <= 75, "a twentieth of what was offered: {second}");
    assert!(late.answers.iter().all(|answer| answer.status != 200));
    assert!(
        late.answers.iter().any(|answer| answer.status == 503 && !answer.header("retry-after").is_empty())
    );

    lab.sim("a").control().clear();
    let healed = lab.run(load(secs(15))).await;
    let last = healed.between(secs(6), secs(15));
    assert!(last.error_share() < 0.1, "{}", last.error_share());
    lab.assert_quiet().await;
}

/// A total outage is answered at once and without multiplying the load, and ends when it ends.
#[tokio::test(start_paused = true)]
async fn s19_a_total_outage_fails_fast_without_amplification() {
    let lab = Lab::start(THREE);
    let report = lab
        .under_load(Ask::chat("demo"), 30.0, secs(60), async {
            after(WARM).await;
            for name in ["a", "b", "c"] {
                lab.sim(name).control().set(vec![Rule::new(Fault::Refuse)]);
            }
            after(secs(20)).await;
            for name in ["a", "b", "c"] {
                lab.sim(name).control().clear();
            }
        })
        .await;
    let outage = report.between(secs(10), secs(24));
    assert!(outage.error_share() > 0.99);
    assert!(outage.slowest() < Duration::from_secs(2), "{:?}", outage.slowest());
    assert!(outage.answers.iter().all(|answer| answer.header("x-should-retry") == "false"));
    let healed = report.between(secs(35), secs(60));
    assert!(healed.error_share() < 0.01, "{:?}", healed.errors().first());
    lab.assert_quiet().await;
}

/// S34: two of three are gone, and the third fails often enough to be taken out: it still has answers, and
/// the others have none.
#[tokio::test(start_paused = true)]
async fn s34_when_all_are_out_of_use_the_one_that_answers_lately_is_asked() {
    let lab = Lab::start(&format!("{THREE}    panic: {{mode: all}}\n"));
    let report = lab
        .under_load(Ask::chat("demo"), 20.0, WARM + secs(60), async {
            after(WARM).await;
            for gone in ["b", "c"] {
                lab.sim(gone).control().set(vec![Rule::new(Fault::Refuse)]);
            }
            let half = Rule::new(Fault::status(StatusCode::INTERNAL_SERVER_ERROR)).share(0.6);
            lab.sim("a").control().set(vec![half]);
        })
        .await;
    // Once no breaker is closed any more.
    let late = report.between(WARM + secs(20), WARM + secs(60));
    let served = 1.0 - late.error_share();
    assert!(served > 0.3, "{served} of what A could have answered: 0.4 and more");
    lab.assert_quiet().await;
}

/// S04: all pooled connections to A go dead, unnoticed; new ones are well.
#[tokio::test(start_paused = true)]
async fn s04_dead_connections_are_not_held_against_the_model() {
    let lab = Lab::start(THREE);
    // Many at the same moment, so that many connections are kept.
    lab.under_load(Ask::stream("demo"), 200.0, secs(2), async {}).await;
    let kept = lab.kept("a");
    assert!(kept >= 8, "{kept} connections are kept");
    lab.lose_connections("a");
    let report = lab.under_load(Ask::stream("demo"), 60.0, secs(30), async {}).await;
    report.assert_no_errors();
    assert!(report.slowest() < secs(12), "{:?}", report.slowest());
    let slow = report.answers.iter().filter(|answer| answer.took > secs(2)).count();
    assert!(slow <= 40, "{slow} had to wait");
    let timeouts =
        lab.metric_sum("mainstay_faults_total", &[r#"upstream="a""#, r#"fault="headers_timeout""#]);
    assert!(timeouts >= 5.0, "{timeouts} met a dead connection");
    assert_eq!(lab.metric_sum("mainstay_breaker_transitions_total", &[]), 0.0, "nobody is ejected");
    assert!(report.between(secs(12), secs(30)).share_of("a") > 0.2);
    lab.assert_quiet().await;
}

/// A's breaker is open, and B, the last one that may be chosen, turns a request away.
#[tokio::test(start_paused = true)]
async fn a_last_resort_is_asked_after_the_last_choice_if_it_answered_lately() {
    let lab = Lab::start(&THREE.replace(", {upstream: c}", ""));
    let overloaded = || vec![Rule::new(Fault::status(StatusCode::from_u16(529).expect("a status")))];
    lab.under_load(Ask::chat("demo"), 30.0, WARM, async {}).await.assert_no_errors();
    lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
    while lab.breaker("a", "") != "open" {
        lab.send(&Ask::chat("demo")).await.spoken().expect("B answers");
    }
    // Well again, though nobody knows.
    lab.sim("a").control().clear();
    lab.sim("b").control().set(overloaded());
    let (at_a, at_b) = (lab.arrived("a"), lab.arrived("b"));
    let answer = lab.send(&Ask::chat("demo")).await;
    answer.spoken().expect("A answers");
    assert_eq!((answer.header("x-mainstay-attempts"), answer.header("x-mainstay-channel")), ("2", "a/demo"));
    assert_eq!((lab.arrived("a") - at_a, lab.arrived("b") - at_b), (1, 1));
    assert_eq!(lab.metric_sum("mainstay_panic_total", &["admitted"]), 1.0);

    // What has been dead for long is no resort: the answer is B's, and nobody waits for A.
    lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
    lab.sim("b").control().clear();
    lab.under_load(Ask::chat("demo"), 30.0, secs(30), async {}).await.assert_no_errors();
    while lab.breaker("a", "") != "open" {
        lab.send(&Ask::chat("demo")).await.spoken().expect("B answers");
    }
    lab.sim("b").control().set(overloaded());
    let answer = lab.send(&Ask::chat("demo")).await;
    assert_eq!((answer.status, answer.header("x-mainstay-attempts")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert_eq!(lab.metric_sum("mainstay_panic_total", &["admitted"]), 1.0);
    lab.assert_quiet().await;
}

/// The same on a route whose list ends with it although it has a fallback: nobody is asked twice, or for nothing.
#[tokio::test(start_paused = true)]
async fn a_list_that_ends_asks_nobody_else_and_nobody_again() {
    let route = "on_exhausted: [fail]\n    fallback: [other]\n    channels: [{upstream: a}, {upstream: b}]";
    let yaml = THREE.replace("channels: [{upstream: a}, {upstream: b}, {upstream: c}]", route);
    let lab = Lab::start(&format!("{yaml}  - {{model: other, channels: [{{upstream: c}}]}}\n"));
    lab.under_load(Ask::chat("demo"), 30.0, WARM, async {}).await.assert_no_errors();
    lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
    while lab.breaker("a", "") != "open" {
        lab.send(&Ask::chat("demo")).await.spoken().expect("B answers");
    }
    lab.sim("a").control().clear();
    let overloaded = Fault::status(StatusCode::from_u16(529).expect("a status"));
    lab.sim("b").control().set(vec![Rule::new(overloaded)]);
    let before = ["a", "b", "c"].map(|name| lab.arrived(name));
    let answer = lab.send(&Ask::chat("demo")).await;
    assert_eq!((answer.status, answer.header("x-mainstay-attempts")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    let asked: Vec<u64> =
        ["a", "b", "c"].iter().zip(before).map(|(name, was)| lab.arrived(name) - was).collect();
    assert_eq!(asked, [0, 1, 0]);
    assert_eq!(lab.metric_sum("mainstay_panic_total", &[]), 0.0);
    lab.assert_quiet().await;
}
