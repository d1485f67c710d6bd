//! Streams whose callers hang up: ended at once and estimated, or read to their ends and exact (`on_hangup`).

use std::time::Duration;

use mainstay::simulated::{Fault, Outcome, Rule};
use mainstay::store::rows::{AttemptRow, RequestRow};
use tokio::time::sleep;

use crate::lab::{Ask, Lab};

const ONE: &str = "
version: 1
upstreams:
  a: {provider: simulated}
routes:
  - model: demo
    continuation: any
    timeouts: {ttfb: 5s, first_event: 5s, idle: 90s}
    channels: [{upstream: a}]
";

/// Thirty words and a seal.
const TOKENS: u64 = 31;

/// The caller takes a piece of the stream and hangs up; a minute and a bit later everything is quiet.
async fn left(yaml: &str, ask: &Ask, fault: Option<Fault>) -> (Lab, RequestRow, AttemptRow) {
    let lab = Lab::start(yaml);
    let books = lab.keep_books();
    lab.sim("a").control().set(fault.into_iter().map(Rule::new).collect());
    let mut kept = lab.open(ask).await;
    kept.next().await;
    kept.hang_up();
    sleep(Duration::from_secs(70)).await;
    lab.assert_quiet().await;
    assert_eq!(lab.sim("a").control().counts().in_flight, 0);
    assert_eq!(lab.metric(r#"mainstay_streams_total{route="demo",outcome="cancelled"}"#), 1.0);
    let (request, mut attempts) = books.only().await;
    assert_eq!((request.outcome, attempts.len()), ("cancelled", 1));
    (lab, request, attempts.remove(0))
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_read_to_its_end_says_itself_what_it_used() {
    let own = ONE.replace("provider: simulated", "provider: simulated, on_hangup: drain");
    let by_default = ONE.replace("version: 1", "version: 1\ndefaults: {on_hangup: drain}");
    for yaml in [own, by_default] {
        for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
            let (lab, request, attempt) = left(&yaml, &ask, None).await;
            let seen = lab.sim("a").control().seen();
            assert!(matches!(seen[0].outcome, Outcome::Completed), "{dialect}: {:?}", seen[0].outcome);
            assert_eq!((attempt.verdict, attempt.estimated), ("cancelled", false), "{dialect}");
            assert_eq!((attempt.usage.output, request.estimated), (TOKENS, false), "{dialect}");
            assert_eq!(request.usage, attempt.usage, "{dialect}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cancelled_is_estimated() {
    let cancel = ONE
        .replace("provider: simulated", "provider: simulated, on_hangup: cancel")
        .replace("version: 1", "version: 1\ndefaults: {on_hangup: drain}");
    for yaml in [ONE, &cancel] {
        let (lab, _, attempt) = left(yaml, &Ask::stream("demo"), None).await;
        assert!(matches!(lab.sim("a").control().seen()[0].outcome, Outcome::Aborted { .. }));
        assert_eq!((attempt.verdict, attempt.estimated), ("cancelled", true));
        assert!(attempt.usage.output < TOKENS);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_read_on_ends_in_a_minute_and_nobody_goes_on_with_it() {
    let yaml = ONE.replace("provider: simulated", "provider: simulated, on_hangup: drain");
    for fault in
        [Fault::Stall { after_events: 7 }, Fault::Cut { after_events: 7, how: mainstay::simulated::How::Rst }]
    {
        let (lab, _, attempt) = left(&yaml, &Ask::stream("demo"), Some(fault)).await;
        assert_eq!((attempt.verdict, attempt.estimated, lab.arrived("a")), ("cancelled", true, 1));
    }
}
