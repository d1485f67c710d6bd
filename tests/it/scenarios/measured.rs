//! What metrics say of an outage, of streams and of answers is what happened.

use http::StatusCode;
use mainstay::simulated::{Fault, Rule};

use super::{THREE, WARM, after, secs};
use crate::lab::{Ask, Lab};

/// A is gone for 30 s, which its probes find out; B's answers fail as long, which only its breaker does.
#[tokio::test(start_paused = true)]
async fn the_time_to_recovery_is_as_long_as_the_outage_was() {
    let lab = Lab::whole(THREE);
    let of_b = [r#"upstream="b""#, r#"model="demo""#];
    let open = r#"mainstay_breaker_open_seconds_count{upstream="b",model="demo"}"#;
    let unavailable = r#"mainstay_route_channels{route="demo",state="unavailable"}"#;
    let report = lab
        .under_load(Ask::chat("demo"), 30.0, secs(100), async {
            after(WARM).await;
            lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
            let error = Fault::status(StatusCode::INTERNAL_SERVER_ERROR);
            lab.sim("b").control().set(vec![Rule::new(error).path("/v1/chat")]);
            after(secs(20)).await;
            assert_eq!(lab.metric(open), 0.0, "it is not over");
            assert!(lab.metric(unavailable) >= 1.0);
            after(secs(10)).await;
            lab.sim("a").control().clear();
            lab.sim("b").control().clear();
        })
        .await;
    report.assert_no_errors();
    assert_eq!(lab.metric(open), 1.0);
    let lasted = lab.metric_sum("mainstay_breaker_open_seconds_sum", &of_b);
    assert!((20.0..80.0).contains(&lasted), "{lasted}");
    assert_eq!(lab.metric(r#"mainstay_breaker_next_trial_seconds{upstream="b",model="demo"}"#), 0.0);
    assert_eq!(lab.metric(unavailable), 0.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn every_stream_is_measured_once() {
    let lab = Lab::start(THREE);
    let report = lab.under_load(Ask::stream("demo"), 5.0, secs(10), async {}).await;
    report.assert_no_errors();
    let streams = report.answers.len() as f64;
    for name in ["stream_duration", "stream_longest_gap", "time_per_output_token"] {
        assert_eq!(lab.metric_sum(&format!("mainstay_{name}_seconds_count"), &[]), streams, "{name}");
    }
    let (gap, took) = (
        lab.metric_sum("mainstay_stream_longest_gap_seconds_sum", &[]),
        lab.metric_sum("mainstay_stream_duration_seconds_sum", &[]),
    );
    assert!(0.0 < gap && gap < took, "{gap} of {took}");
    assert_eq!(lab.metric_sum("mainstay_answers_total", &[r#"status="2xx""#]), streams);
    assert_eq!(lab.metric_sum("mainstay_attempt_duration_seconds_count", &[r#"outcome="success""#]), streams);
    assert_eq!(lab.metric("mainstay_first_byte_seconds_count{route=\"demo\"}"), streams);
    lab.assert_quiet().await;
}
