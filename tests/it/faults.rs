//! First things: a whole answer, a stream, and a failure that no caller sees.

use std::time::Duration;

use mainstay::simulated::{Fault, How, Rule};

use crate::lab::{Ask, End, Lab};

const TWO: &str = "
version: 1
upstreams:
  a: {provider: simulated}
  b: {provider: simulated}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b}]
";

#[tokio::test(start_paused = true)]
async fn a_caller_gets_an_answer() {
    let lab = Lab::start(TWO);
    let answer = lab.send(&Ask::chat("demo")).await;
    answer.spoken().unwrap();
    assert_eq!(answer.header("x-mainstay-attempts"), "1");
    assert_eq!(answer.header("x-mainstay-channel"), "a/demo");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn streams_of_every_dialect_arrive_whole() {
    let lab = Lab::start(TWO);
    for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
        let answer = lab.send(&ask).await;
        answer.spoken().unwrap_or_else(|error| panic!("{dialect}: {error}"));
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_another_channels_work() {
    let lab = Lab::start(TWO);
    lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
    for _ in 0..4 {
        lab.send(&Ask::stream("demo")).await.spoken().unwrap();
    }
    assert_eq!(lab.arrived("a"), 0);
    assert_eq!(lab.arrived("b"), 4);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_after_content_ends_with_an_error_event_and_a_cut_transport() {
    let lab = Lab::start(TWO);
    for name in ["a", "b"] {
        lab.sim(name).control().set(vec![Rule::new(Fault::Cut { after_events: 5, how: How::Rst })]);
    }
    for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
        let answer = lab.send(&ask).await;
        assert_eq!(answer.end, End::Cut, "{dialect}");
        assert!(answer.text().contains("error"), "{dialect}: {}", answer.text());
        assert!(answer.took < Duration::from_secs(5));
    }
    lab.assert_quiet().await;
}
