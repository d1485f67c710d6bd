//! Mirrors: whatever becomes of the other route, no caller sees anything of it.

use std::sync::Arc;
use std::time::Duration;

use mainstay::simulated::{Fault, How, Rule};
use mainstay::vocab::Part;

use super::{after, secs};
use crate::lab::{Ask, Lab};

/// Every request of `demo` goes to `shadow` as well.
const MIRRORED: &str = "
version: 1
upstreams:
  near: {provider: simulated, simulated: {ttft: 20ms, pace: 1ms}}
  far: {provider: simulated, probe: {kind: 'off'}, breaker: {enabled: false}, simulated: {ttft: 20ms, pace: 1ms}}
routes:
  - model: demo
    channels: [{upstream: near}]
    mirror: {to: shadow, share: 100%, max_in_flight: 3}
  - {model: shadow, channels: [{upstream: far}], timeouts: {total: 30s}}
";

impl Lab {
    fn mirrored(&self, result: &str) -> f64 {
        self.metric(&format!(r#"mainstay_mirrored_total{{route="demo",to="shadow",result="{result}"}}"#))
    }

    fn mirrors(&self) -> f64 {
        self.metric(r#"mainstay_mirrors_in_flight{route="demo"}"#)
    }
}

#[tokio::test(start_paused = true)]
async fn a_mirrored_request_is_asked_twice_and_answered_once() {
    let lab = Lab::start(MIRRORED);
    let journal = lab.keep_journal();
    for (number, (dialect, ask)) in (1..).zip(Ask::stream_in_every_dialect("demo")) {
        let answer = lab.send(&ask).await;
        answer.spoken().unwrap_or_else(|why| panic!("{dialect}: {why}"));
        assert!(answer.header("x-mainstay-channel").starts_with("near/"), "{dialect}");
        after(secs(1)).await;
        assert_eq!((lab.arrived("near"), lab.arrived("far")), (number, number), "{dialect}");
        let outcomes: Vec<_> =
            journal.decisions().await.into_iter().map(|told| told["outcome"].clone()).collect();
        assert!(outcomes.contains(&"mirrored".into()) && outcomes.contains(&"ok".into()), "{outcomes:?}");
        let told = journal.of(answer.header("x-mainstay-request-id"));
        assert_eq!(told["outcome"], "ok", "{dialect}: the caller's, though the mirror's ended last");
    }
    assert_eq!((lab.mirrored("ok"), lab.mirrors()), (4.0, 0.0));
    assert_eq!(lab.metric(r#"mainstay_mirror_duration_seconds_count{route="demo",to="shadow"}"#), 4.0);
    // Callers' figures hear of callers only; attempts are where they were made.
    assert_eq!(lab.metric_sum("mainstay_requests_total", &[r#"route="demo""#, r#"outcome="ok""#]), 4.0);
    assert_eq!(lab.metric_sum("mainstay_requests_total", &[r#"route="shadow""#]), 0.0);
    assert_eq!(lab.metric_sum("mainstay_attempts_total", &[r#"route="shadow""#]), 4.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_fails_or_breaks_is_not_noticed_and_not_tried_again() {
    let cut = Fault::Cut { after_events: 2, how: How::Rst };
    for (fault, result) in [
        (Fault::status(http::StatusCode::INTERNAL_SERVER_ERROR), "failed"),
        (Fault::status(http::StatusCode::BAD_REQUEST), "failed"),
        (Fault::Refuse, "failed"),
        (cut, "broken"),
    ] {
        let lab = Lab::start(MIRRORED);
        let usual = lab.send(&Ask::stream("demo")).await.took;
        after(secs(1)).await;
        lab.sim("far").control().set(vec![Rule::new(fault.clone())]);
        let answer = lab.send(&Ask::stream("demo")).await;
        answer.spoken().unwrap_or_else(|why| panic!("{fault:?}: {why}"));
        assert!(answer.took <= usual + Duration::from_millis(5), "{fault:?}: {:?}", answer.took);
        after(secs(2)).await;
        assert_eq!((lab.mirrored("ok"), lab.mirrored(result), lab.mirrors()), (1.0, 1.0, 0.0), "{fault:?}");
        assert!(lab.arrived("far") <= 2, "{fault:?}: once and no more");
        assert_eq!(lab.metric_sum("mainstay_retries_total", &[]), 0.0, "{fault:?}");
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_hangs_is_bounded_in_number_and_in_time() {
    let lab = Lab::start(&MIRRORED.replace("timeouts: {total: 30s}", "timeouts: {total: 30s, ttfb: 60s}"));
    lab.sim("far").control().set(vec![Rule::new(Fault::Hang)]);
    for _ in 0..5 {
        let answer = lab.send(&Ask::chat("demo")).await;
        answer.spoken().unwrap();
        assert!(answer.took < Duration::from_millis(200), "{:?}", answer.took);
    }
    assert_eq!((lab.mirrors(), lab.mirrored("full"), lab.arrived("far")), (3.0, 2.0, 3));
    assert_eq!(lab.gateway.in_flight(), 0, "nobody waits for it");
    after(secs(31)).await;
    assert_eq!(lab.mirrors(), 0.0);
    assert_eq!(lab.mirrored("late") + lab.mirrored("failed"), 3.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn no_callers_row_waits_for_his_mirror_which_is_booked_beside_it_at_its_end() {
    let lab = Lab::start(&MIRRORED.replace("timeouts: {total: 30s}", "timeouts: {total: 30s, ttfb: 60s}"));
    let books = lab.keep_books();
    lab.sim("far").control().set(vec![Rule::new(Fault::Hang)]);
    lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    after(secs(1)).await;
    assert_eq!(lab.mirrors(), 1.0, "it is still under way");
    let (caller, attempts) = books.only().await;
    let own: Vec<_> = attempts.iter().map(|row| (row.request, row.number, &*row.upstream)).collect();
    assert_eq!((caller.outcome, caller.attempts, own), ("ok", 1, vec![(caller.id, 1, "near")]));
    after(secs(31)).await;
    assert_eq!(lab.mirrors(), 0.0);
    let (same, attempts) = books.only().await;
    let all: Vec<_> = attempts.iter().map(|row| (row.request, row.number, row.part)).collect();
    assert_eq!(all, [(caller.id, 1, Part::Turn), (caller.id, 0, Part::Mirror)]);
    assert_eq!(same, caller, "it is as it was");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_ends_first_is_the_same_requests() {
    let lab = Lab::start(MIRRORED);
    let books = lab.keep_books();
    lab.sim("near").control().set(vec![Rule::new(Fault::Slow { ttft: secs(3) })]);
    let ask = Ask::chat("demo");
    let asked = tokio::join!(lab.send(&ask), async {
        after(secs(2)).await;
        books.rows().await
    });
    let (_, (requests, mirrored)) = asked;
    assert_eq!((requests.len(), mirrored.len(), mirrored[0].part), (0, 1, Part::Mirror));
    let (caller, attempts) = books.only().await;
    assert_eq!(attempts.len(), 2);
    assert!(attempts.iter().all(|row| row.request == caller.id), "{attempts:?}");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_leaves_his_mirror_alone_and_a_drain_ends_it() {
    let lab = Lab::start(MIRRORED);
    let mut left = lab.open(&Ask::stream("demo")).await;
    left.next().await;
    left.hang_up();
    after(secs(1)).await;
    assert_eq!((lab.mirrored("ok"), lab.mirrors()), (1.0, 0.0), "the comparison is whole");
    lab.sim("far").control().set(vec![Rule::new(Fault::Hang)]);
    lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    assert_eq!(lab.mirrors(), 1.0);
    lab.gateway.stop_mirrors();
    after(Duration::from_millis(10)).await;
    assert_eq!((lab.mirrored("cancelled"), lab.mirrors()), (1.0, 0.0));
    lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    assert_eq!((lab.mirrored("cancelled"), lab.arrived("far")), (2.0, 2), "no more are begun");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_refers_to_state_is_not_asked_twice() {
    let lab = Lab::start(MIRRORED);
    let kept = r#"{"model":"demo","input":"hello"}"#;
    let file = r#"{"model":"demo","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-abc"}}]}]}"#;
    for ask in [Ask::post("/v1/responses", kept), Ask::post("/v1/chat/completions", file)] {
        lab.send(&ask).await;
    }
    after(secs(1)).await;
    assert_eq!((lab.mirrored("unsuitable"), lab.arrived("far")), (2.0, 0));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_crowded_gateway_mirrors_nothing() {
    let slow = MIRRORED.replace("version: 1", "version: 1\nserver: {limits: {max_inflight: 10}}");
    let lab = Arc::new(Lab::start(&slow.replace("max_in_flight: 3", "max_in_flight: 100")));
    lab.sim("near").control().set(vec![Rule::new(Fault::Slow { ttft: secs(2) })]);
    let all: Vec<_> = (0..9)
        .map(|_| {
            let lab = Arc::clone(&lab);
            tokio::spawn(async move { lab.send(&Ask::chat("demo")).await })
        })
        .collect();
    for one in all {
        one.await.unwrap().spoken().unwrap();
    }
    after(secs(1)).await;
    // Eight of ten are where callers who matter least would be refused.
    assert_eq!((lab.mirrored("ok"), lab.mirrored("crowded")), (8.0, 1.0));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_requests_is_mirrored() {
    let lab = Lab::start(&MIRRORED.replace("share: 100%", "share: 20%"));
    for _ in 0..300 {
        lab.send(&Ask::chat("demo")).await.spoken().unwrap();
        after(Duration::from_millis(200)).await;
    }
    let mirrored = lab.mirrored("ok");
    assert!((35.0..=85.0).contains(&mirrored), "{mirrored}");
    assert_eq!(lab.arrived("far"), mirrored as u64);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_may_not_reach_an_upstream_is_not_mirrored_there() {
    let keys = "version: 1\nkeys: {shop: {secret: '${LAB_SHOP}', allow: {upstreams: [near]}}}";
    let lab = Lab::start(&MIRRORED.replace("version: 1", keys));
    let ask = Ask::chat("demo").header("authorization", "Bearer secret-of-LAB_SHOP");
    lab.send(&ask).await.spoken().unwrap();
    after(secs(1)).await;
    assert_eq!((lab.mirrored("no_channel"), lab.arrived("far")), (1.0, 0));
    lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    after(secs(1)).await;
    assert_eq!((lab.mirrored("ok"), lab.arrived("far")), (1.0, 1), "whoever has no key has no bounds here");
    lab.assert_quiet().await;
}
