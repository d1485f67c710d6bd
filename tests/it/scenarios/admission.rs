//! More requests than can be served: what keys take is learnt, requests wait in order, and who matters least
//! is refused first. S34.

use std::sync::Arc;
use std::time::Duration;

use mainstay::simulated::{Fault, Rule};

use super::{after, secs};
use crate::lab::{Answer, Ask, Lab};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Answers 300 ms after it is asked, one request at a time.
const ONE_BY_ONE: &str = "
version: 1
keys:
  boss: {secret: '${LAB_BOSS}', max_priority: critical_plus}
  batch: {secret: '${LAB_BATCH}', priority: sheddable}
upstreams:
  a: {provider: simulated, max_inflight: 1, simulated: {ttft: 300ms, pace: 1ms, words: 3}}
routes:
  - model: demo
    channels: [{upstream: a}]
";

fn of(key: &str) -> Ask {
    Ask::chat("demo").header("authorization", &format!("Bearer secret-of-LAB_{key}"))
}

fn wants(priority: &str) -> Ask {
    of("BOSS").header("x-mainstay-priority", priority)
}

/// Sends `ask` beside the test.
fn send(lab: &Arc<Lab>, ask: Ask) -> tokio::task::JoinHandle<Answer> {
    let lab = Arc::clone(lab);
    tokio::spawn(async move { lab.send(&ask).await })
}

fn assert_shed(answer: &Answer, reason: &str) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.header("x-mainstay-shed"), reason, "{}", answer.text());
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    assert_eq!(answer.header("x-should-retry"), "", "the caller may well come again");
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_a_key_settles_near_what_its_upstream_takes_and_errors_end() {
    let yaml = "
version: 1
upstreams:
  a: {provider: simulated, credentials: [secret-ka01], simulated: {ttft: 200ms, pace: 1ms, words: 3},
      breaker: {enabled: false}}
routes:
  - model: demo
    queue: {max: 20, timeout: 2s}
    channels: [{upstream: a}]
";
    // Ten at once in 0.2 s each are 50 a second.
    let lab = Lab::narrow(yaml, 10);
    let report = lab.under_load(Ask::chat("demo"), 65.0, secs(60), async {}).await;
    let limit = lab.metric_sum("mainstay_concurrency_limit", &[r#"model="demo""#]);
    assert!((7.0..=12.0).contains(&limit), "{limit}");
    let late = report.between(secs(20), secs(60));
    let good = late.answers.iter().filter(|answer| answer.spoken().is_ok()).count() as f64 / 40.0;
    assert!(good >= 0.85 * 50.0, "{good} a second");
    let refused = late.answers.iter().filter(|answer| answer.status == 503);
    let others: Vec<&str> = late
        .answers
        .iter()
        .filter(|answer| answer.status != 200 && answer.header("x-mainstay-shed").is_empty())
        .map(Answer::text)
        .collect();
    assert!(refused.count() > 0, "15 a second are too many");
    // To find out whether there is more room it has to be tried now and then.
    assert!(others.len() <= 65, "{} errors, as {:?}", others.len(), others.first());
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_room_and_is_served() {
    let lab = Arc::new(Lab::start(ONE_BY_ONE));
    let all: Vec<_> = (0..3).map(|_| send(&lab, Ask::chat("demo"))).collect();
    after(millis(100)).await;
    assert_eq!(lab.metric(r#"mainstay_queue_depth{route="demo"}"#), 2.0);
    let mut took = Vec::new();
    for one in all {
        let answer = one.await.unwrap();
        answer.spoken().unwrap();
        took.push(answer.took);
    }
    took.sort();
    assert!(took[1] >= millis(600) && took[2] >= millis(900) && took[2] < millis(1100), "{took:?}");
    assert_eq!(lab.arrived("a"), 3);
    assert_eq!(lab.metric(r#"mainstay_queue_seconds_count{route="demo"}"#), 2.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn who_matters_more_is_served_first_and_who_came_first_among_equals() {
    let lab =
        Arc::new(Lab::start(&ONE_BY_ONE.replace("channels:", "queue: {timeout: 5s, max: 9}\n    channels:")));
    let holding = send(&lab, Ask::chat("demo"));
    after(millis(10)).await;
    let mut waiting = Vec::new();
    for (name, ask) in [
        ("batch", of("BATCH")),
        ("first", Ask::chat("demo")),
        // Open callers, and keys without leave, may only ask for less.
        ("bold", Ask::chat("demo").header("x-mainstay-priority", "critical_plus")),
        ("batch that is bold", of("BATCH").header("x-mainstay-priority", "critical_plus")),
        ("modest", wants("sheddable_plus")),
        ("boss", wants("critical_plus")),
        ("again", Ask::chat("demo").header("x-stainless-retry-count", "1")),
    ] {
        waiting.push((name, send(&lab, ask)));
        after(millis(10)).await;
    }
    let mut ended = Vec::new();
    for (name, one) in waiting {
        let answer = one.await.unwrap();
        answer.spoken().unwrap();
        ended.push((answer.asked_at + answer.took, name));
    }
    ended.sort();
    let order: Vec<&str> = ended.into_iter().map(|(_, name)| name).collect();
    assert_eq!(order, ["boss", "first", "bold", "modest", "again", "batch", "batch that is bold"]);
    holding.await.unwrap().spoken().unwrap();
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_and_a_long_wait_are_answered_503_and_no_channel_hears_of_it() {
    let yaml = ONE_BY_ONE
        .replace("ttft: 300ms", "ttft: 2s")
        .replace("channels:", "queue: {max: 1, timeout: 200ms}\n    channels:");
    let lab = Arc::new(Lab::start(&yaml));
    let holding = send(&lab, Ask::chat("demo"));
    after(millis(10)).await;
    let batch = send(&lab, of("BATCH"));
    after(millis(10)).await;
    let waits = send(&lab, Ask::chat("demo"));
    let displaced = batch.await.unwrap();
    assert_shed(&displaced, "queue_full");
    let full = lab.send(&Ask::chat("demo")).await;
    assert_shed(&full, "queue_full");
    assert!(full.took < millis(5), "{:?}", full.took);
    let waited = waits.await.unwrap();
    assert_shed(&waited, "queue_timeout");
    assert!((millis(200)..millis(210)).contains(&waited.took), "{:?}", waited.took);
    holding.await.unwrap().spoken().unwrap();
    assert_eq!(lab.arrived("a"), 1);
    assert_eq!(lab.breaker("a", "demo"), "closed");
    assert_eq!(lab.metric_sum("mainstay_attempts_total", &["success"]), 1.0);
    assert_eq!(lab.metric_sum("mainstay_attempts_total", &[]), 1.0);
    for (reason, priority, count) in [
        ("queue_full", "sheddable", 1.0),
        ("queue_full", "critical", 1.0),
        ("queue_timeout", "critical", 1.0),
    ] {
        let series =
            format!(r#"mainstay_shed_total{{route="demo",reason="{reason}",priority="{priority}"}}"#);
        assert_eq!(lab.metric(&series), count, "{series}");
    }
    lab.assert_quiet().await;
}

/// Another model is an answer of another quality, so room in the own route is waited for first (E1).
#[tokio::test(start_paused = true)]
async fn a_fallback_serves_who_has_waited_in_vain_and_nobody_is_counted_as_refused() {
    let yaml = ONE_BY_ONE.replace("a: {", "b: {provider: simulated}\n  a: {").replace(
        "    channels: [{upstream: a}]",
        "    queue: {timeout: 400ms}\n    fallback: [cheap]\n    channels: [{upstream: a}]\n  \
         - {model: cheap, channels: [{upstream: b}]}",
    );
    let lab = Arc::new(Lab::start(&yaml));
    let all: Vec<_> = (0..3).map(|_| send(&lab, Ask::chat("demo"))).collect();
    let mut served = Vec::new();
    for one in all {
        let answer = one.await.unwrap();
        answer.spoken().unwrap();
        served.push((answer.took, answer.header("x-mainstay-channel").to_owned()));
    }
    served.sort();
    let by: Vec<&str> = served.iter().map(|(_, channel)| &**channel).collect();
    assert_eq!(by, ["a/demo", "b/cheap", "a/demo"], "the second in line was served in time: {served:?}");
    assert!((millis(400)..millis(500)).contains(&served[1].0), "{served:?}");
    assert_eq!((lab.arrived("a"), lab.arrived("b")), (2, 1));
    assert_eq!(lab.metric_sum("mainstay_shed_total", &[]), 0.0);
    lab.assert_quiet().await;

    // Who does not want to wait says so.
    let lab = Arc::new(Lab::start(&yaml.replace("timeout: 400ms", "max: 0")));
    let holding = send(&lab, Ask::chat("demo"));
    after(millis(10)).await;
    let answer = lab.send(&Ask::chat("demo")).await;
    assert_eq!(answer.header("x-mainstay-channel"), "b/cheap");
    assert!(answer.took < millis(100), "{:?}", answer.took);
    holding.await.unwrap().spoken().unwrap();
    lab.assert_quiet().await;
}

/// A place that comes free is theirs who wait for it, also when somebody arrives in that very moment.
#[tokio::test(start_paused = true)]
async fn nobody_who_arrives_overtakes_those_who_wait() {
    let lab = Arc::new(Lab::start(
        &ONE_BY_ONE.replace("channels:", "queue: {timeout: 60s, max: 99}\n    channels:"),
    ));
    let holding = send(&lab, Ask::chat("demo"));
    after(millis(10)).await;
    let boss = send(&lab, wants("critical_plus"));
    let mut newcomers = Vec::new();
    after(millis(280)).await;
    for _ in 0..30 {
        after(millis(1)).await;
        newcomers.push(send(&lab, of("BATCH")));
    }
    let boss = boss.await.unwrap();
    boss.spoken().unwrap();
    assert!(boss.took < millis(700), "{:?}", boss.took);
    holding.await.unwrap().spoken().unwrap();
    for one in newcomers {
        let answer = one.await.unwrap();
        answer.spoken().unwrap();
        assert!(answer.asked_at + answer.took > boss.asked_at + boss.took);
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_leaves_the_queue_at_once() {
    use tokio::io::AsyncWriteExt;

    let lab = Arc::new(Lab::start(ONE_BY_ONE));
    let holding = send(&lab, Ask::chat("demo"));
    after(millis(10)).await;
    let mut caller = lab.connect();
    let body = r#"{"model":"demo","messages":[{"role":"user","content":"hello"}]}"#;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    caller.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    after(millis(10)).await;
    assert_eq!(lab.metric(r#"mainstay_queue_depth{route="demo"}"#), 1.0);
    drop(caller);
    after(millis(10)).await;
    assert_eq!(lab.metric(r#"mainstay_queue_depth{route="demo"}"#), 0.0);
    holding.await.unwrap().spoken().unwrap();
    assert_eq!(lab.arrived("a"), 1);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn near_its_own_limits_the_gateway_refuses_who_matters_least_first() {
    let yaml = format!("server: {{limits: {{max_inflight: 10}}}}{ONE_BY_ONE}")
        .replace("max_inflight: 1,", "max_inflight: 100,")
        .replace("ttft: 300ms", "ttft: 2s");
    let lab = Arc::new(Lab::start(&yaml));
    let mut held: Vec<_> = (0..8).map(|_| send(&lab, Ask::chat("demo"))).collect();
    after(millis(10)).await;
    assert_shed(&lab.send(&wants("sheddable")).await, "priority");
    held.push(send(&lab, wants("sheddable_plus")));
    after(millis(10)).await;
    assert_shed(&lab.send(&wants("sheddable_plus")).await, "priority");
    let again = Ask::chat("demo").header("x-stainless-retry-count", "2");
    assert_shed(&lab.send(&again).await, "priority");
    held.push(send(&lab, Ask::chat("demo")));
    after(millis(10)).await;
    // There are ten, and nobody else comes in.
    assert_shed(&lab.send(&wants("critical_plus")).await, "priority");
    for one in held {
        one.await.unwrap().spoken().unwrap();
    }
    assert_eq!(lab.arrived("a"), 10);
    assert_eq!(lab.metric_sum("mainstay_shed_total", &[r#"reason="priority""#]), 4.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_priority_that_nobody_knows_is_the_callers_mistake() {
    let lab = Lab::start(ONE_BY_ONE);
    let answer = lab.send(&Ask::chat("demo").header("x-mainstay-priority", "urgent")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("critical_plus"), "{}", answer.text());
    lab.assert_quiet().await;
}

/// S34: two of three are down, and the one that is left takes 0.6 of what is offered.
#[tokio::test(start_paused = true)]
async fn s34_the_survivor_is_used_up_to_its_capacity_and_the_dead_are_left_alone() {
    let sim = "provider: simulated, simulated: {ttft: 200ms, pace: 1ms, words: 3}";
    let yaml = format!(
        "
version: 1
upstreams:
  a: {{{sim}, max_inflight: 10}}
  b: {{{sim}}}
  c: {{{sim}}}
routes:
  - model: demo
    queue: {{max: 5}}
    channels: [{{upstream: a}}, {{upstream: b}}, {{upstream: c}}]
"
    );
    let lab = Lab::start(&yaml);
    for dead in ["b", "c"] {
        lab.sim(dead).control().set(vec![Rule::new(Fault::Refuse)]);
    }
    // Ten at once, each somewhat more than 200 ms.
    let report = lab.under_load(Ask::chat("demo"), 80.0, secs(40), async {}).await;
    let late = report.between(secs(10), secs(40));
    let capacity = 10.0 / 0.203;
    let good = late.answers.iter().filter(|answer| answer.spoken().is_ok()).count() as f64 / 30.0;
    assert!(good >= 0.95 * capacity, "{good} of {capacity} a second");
    let mut refused: Vec<Duration> = Vec::new();
    for answer in late.answers.iter().filter(|answer| answer.spoken().is_err()) {
        assert_shed(answer, "queue_full");
        refused.push(answer.took);
    }
    refused.sort();
    let p99 = refused[refused.len() * 99 / 100];
    assert!(p99 <= millis(50), "{p99:?}");
    assert_eq!(lab.breaker("a", "demo"), "closed");
    let tries = lab.metric_sum("mainstay_faults_total", &["connect"]);
    assert!(tries <= 60.0, "{tries} attempts at the dead");
    assert_eq!(lab.metric_sum("mainstay_panic_total", &["admitted"]), 0.0);
    lab.assert_quiet().await;
}
