//! Streams of a channel whose streams break: held back until they are well past that, so that somebody else can answer.

use std::time::Duration;

use mainstay::simulated::{Fault, How, InBand, Rule};

use super::{after, secs};
use crate::lab::{Ask, End, Lab};

/// `a` is asked as long as it may be.
fn yaml(setting: &str, pace: &str) -> String {
    format!(
        "
version: 1
upstreams:
  a: {{provider: simulated, simulated: {{pace: {pace}}}}}
  b: {{provider: simulated}}
routes:
  - model: demo
    {setting}
    channels: [{{upstream: a}}, {{upstream: b, tier: 1}}]
"
    )
}

/// How a stream breaks after ten content events.
fn breaks() -> [Fault; 4] {
    let cut = |how| Fault::Cut { after_events: 10, how };
    let error = InBand::ServerError;
    [Fault::InBandError { after_events: 10, error }, cut(How::Fin), cut(How::Rst), cut(How::ChunkedEof)]
}

fn held(result: &str) -> String {
    format!(r#"mainstay_streams_held_total{{route="demo",upstream="a",result="{result}"}}"#)
}

/// A lab where `a` breaks its streams like this, and one caller has seen it.
async fn after_a_break(yaml: &str, fault: Fault) -> Lab {
    let lab = Lab::start(yaml);
    lab.sim("a").control().set(vec![Rule::new(fault)]);
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_eq!(answer.end, End::Cut, "nobody knew: {}", answer.text());
    // It may be tried again.
    after(secs(2)).await;
    lab
}

#[tokio::test(start_paused = true)]
async fn the_first_break_is_the_last_that_a_caller_sees() {
    for fault in breaks() {
        for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
            let lab = after_a_break(&yaml("", "20ms"), fault.clone()).await;
            for _ in 0..12 {
                let answer = lab.send(&ask).await;
                assert_eq!(answer.spoken().as_deref(), Ok("b"), "{dialect}, {fault:?}");
                assert!(!answer.words().contains("a."), "{dialect}, {fault:?}: {}", answer.words());
                after(secs(6)).await;
            }
            assert!(lab.arrived("a") >= 5, "{dialect}, {fault:?}: {} tries", lab.arrived("a"));
            assert_eq!(
                lab.breaker("a", "demo"),
                "open",
                "{dialect}, {fault:?}: it is found out all the same"
            );
            lab.assert_quiet().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_held_back_and_broke_is_booked_as_what_it_cost() {
    let lab = after_a_break(&yaml("", "20ms"), breaks()[0].clone()).await;
    let books = lab.keep_books();
    assert_eq!(lab.send(&Ask::stream("demo")).await.spoken().as_deref(), Ok("b"));
    let (request, attempts) = books.only().await;
    let told: Vec<_> = attempts.iter().map(|row| (&*row.upstream, row.verdict, row.stage)).collect();
    assert_eq!(
        told,
        [("a", "stream_error", "headers"), ("b", "ok", "committed")],
        "nothing of it went to the caller"
    );
    assert!(attempts[0].estimated && attempts[0].usage.output >= 10, "{:?}", attempts[0].usage);
    assert!(attempts[0].first_byte.is_some(), "its content came");
    assert_eq!((request.attempts, request.outcome), (2, "ok"));
    assert_eq!(lab.metric(&held("broke")), 1.0);
    assert_eq!(request.usage, attempts[1].usage, "the caller is told of what he got");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_stalls_is_not_let_go_of_before_it_fails() {
    let lab = after_a_break(&yaml("timeouts: {idle: 8s}", "20ms"), Fault::Stall { after_events: 10 }).await;
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_eq!(answer.spoken().as_deref(), Ok("b"));
    assert!(answer.took > secs(8) && answer.took < secs(11), "{:?}", answer.took);
    assert_eq!(lab.arrived("a"), 2);
    lab.assert_quiet().await;
}

/// How late the head of the next answer is, once `a` is well again; it has to be the answer of `a`.
async fn head_of_next(lab: &Lab) -> Duration {
    lab.sim("a").control().clear();
    let before = lab.arrived("a");
    let begun = lab.gateway.live.now();
    let kept = lab.open(&Ask::stream("demo")).await;
    let late = lab.gateway.live.now().since(begun);
    assert_eq!(lab.arrived("a"), before + 1);
    assert_eq!(kept.headers["x-mainstay-channel"], "a/demo");
    kept.hang_up();
    late
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_when_it_is_twice_as_far_or_flows_for_two_seconds() {
    // Twenty events, and as many as come within two seconds and a pace.
    for (pace, least, most) in [("20ms", 380, 800), ("300ms", 2_000, 2_800)] {
        let lab = after_a_break(&yaml("", pace), breaks()[0].clone()).await;
        let late = head_of_next(&lab).await;
        let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
        assert!((least..most).contains(&late), "{pace}: {late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn once_one_has_come_to_its_end_none_is_held_back_any_more() {
    let lab = after_a_break(&yaml("", "300ms"), breaks()[0].clone()).await;
    lab.sim("a").control().clear();
    assert_eq!(lab.send(&Ask::stream("demo")).await.spoken().as_deref(), Ok("a"));
    let late = head_of_next(&lab).await;
    assert_eq!((lab.metric(&held("let_go")), lab.metric(&held("broke"))), (1.0, 0.0));
    assert!(late < Duration::from_millis(700), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_held_back_where_nobody_else_could_answer() {
    let alone = yaml("", "300ms").replace(", {upstream: b, tier: 1}", "");
    let once = yaml("retry: {replay: if_unsent}", "300ms");
    let continued = yaml("continuation: any", "300ms");
    for yaml in [alone, once, continued] {
        let lab = Lab::start(&yaml);
        lab.sim("a").control().set(vec![Rule::new(breaks()[0].clone())]);
        lab.send(&Ask::stream("demo")).await;
        after(secs(2)).await;
        let late = head_of_next(&lab).await;
        assert!(late < Duration::from_millis(700), "{yaml}: {late:?}");
    }
}
