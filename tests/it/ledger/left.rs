//! Streams whose callers hang up: ended at once and estimated, or read to their ends and exact (`on_hangup`).

use std::time::Duration;

use mainstay::simulated::{Fault, Outcome, Rule};
use mainstay::store::rows::{AttemptRow, RequestRow};
use tokio::time::{sleep, timeout};

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

/// Two seconds until anything comes, and somebody else to ask.
const SLOW: &str = "
version: 1
upstreams:
  a: {provider: simulated, on_hangup: drain, simulated: {ttft: 2s}}
  b: {provider: simulated, on_hangup: drain}
routes:
  - model: demo
    continuation: any
    timeouts: {ttfb: 90s, first_event: 90s, idle: 90s, total: 200s}
    channels: [{upstream: a}, {upstream: b, tier: 1}]
";

fn in_every_dialect() -> Vec<(&'static str, Ask)> {
    let responses = r#"{"model":"demo","store":false,"input":"hello"}"#;
    let anthropic = r#"{"model":"demo","max_tokens":99,"messages":[{"role":"user","content":"hello"}]}"#;
    let gemini = r#"{"contents":[{"role":"user","parts":[{"text":"hello"}]}]}"#;
    let wholes = [
        ("openai", Ask::chat("demo")),
        ("responses", Ask::post("/v1/responses", responses)),
        ("anthropic", Ask::post("/anthropic/v1/messages", anthropic)),
        ("gemini", Ask::post("/gemini/v1beta/models/demo:generateContent", gemini)),
    ];
    wholes.into_iter().chain(Ask::stream_in_every_dialect("demo")).collect()
}

/// The caller hangs up after a second, before anything has come.
async fn leaves_early(lab: &Lab, ask: &Ask) {
    assert!(timeout(Duration::from_secs(1), lab.open(ask)).await.is_err());
    sleep(Duration::from_millis(50)).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_had_not_come_says_itself_what_it_used_whole_or_streamed() {
    for (dialect, ask) in in_every_dialect() {
        let lab = Lab::start(SLOW);
        let books = lab.keep_books();
        leaves_early(&lab, &ask).await;
        assert_eq!((lab.gateway.in_flight(), lab.gateway.unattended()), (1, 1), "{dialect}");
        sleep(Duration::from_mins(1)).await;
        lab.assert_quiet().await;
        let seen = lab.sim("a").control().seen();
        assert!(matches!(seen[0].outcome, Outcome::Completed), "{dialect}: {:?}", seen[0].outcome);
        let (request, attempts) = books.only().await;
        assert_eq!((request.outcome, attempts.len(), lab.arrived("b")), ("cancelled", 1, 0), "{dialect}");
        assert_eq!((attempts[0].verdict, attempts[0].estimated), ("cancelled", false), "{dialect}");
        assert_eq!((attempts[0].usage.output, request.estimated), (TOKENS, false), "{dialect}");
        assert_eq!(request.usage, attempts[0].usage, "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_of_a_fallback_is_read_on_as_any_other_channel() {
    let lab = Lab::start(
        "
version: 1
upstreams:
  a: {provider: simulated, on_hangup: drain, simulated: {ttft: 9s}}
  b: {provider: simulated}
  c: {provider: simulated}
routes:
  - {model: demo, channels: [{upstream: b}], fallback: [second]}
  - {model: second, channels: [{upstream: c}], fallback: [third]}
  - {model: third, channels: [{upstream: a}]}
",
    );
    let books = lab.keep_books();
    for dead in ["b", "c"] {
        lab.sim(dead).control().set(vec![Rule::new(Fault::Refuse)]);
    }
    assert!(timeout(Duration::from_secs(6), lab.open(&Ask::chat("demo"))).await.is_err());
    sleep(Duration::from_millis(50)).await;
    assert_eq!((lab.arrived("a"), lab.gateway.unattended()), (1, 1));
    sleep(Duration::from_mins(1)).await;
    lab.assert_quiet().await;
    let (request, attempts) = books.only().await;
    let last = attempts.last().expect("three were made");
    assert_eq!((request.outcome, &*last.upstream, last.verdict), ("cancelled", "a", "cancelled"));
    assert_eq!((last.usage.output, last.estimated), (TOKENS, false));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_had_not_come_is_cancelled_where_that_is_wanted() {
    let yaml = SLOW.replace("on_hangup: drain", "on_hangup: cancel");
    for ask in [Ask::chat("demo"), Ask::stream("demo")] {
        let lab = Lab::start(&yaml);
        let books = lab.keep_books();
        leaves_early(&lab, &ask).await;
        lab.assert_quiet().await;
        assert!(matches!(lab.sim("a").control().seen()[0].outcome, Outcome::Aborted { .. }));
        let (_, attempts) = books.only().await;
        assert_eq!((attempts[0].verdict, attempts[0].estimated), ("cancelled", true));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_for_nobody() {
    // It fails later, and nobody else is asked; or it never ends, and has a minute.
    let error = mainstay::simulated::InBand::ServerError;
    for fault in [Fault::InBandError { after_events: 0, error }, Fault::Hang] {
        let lab = Lab::start(SLOW);
        let books = lab.keep_books();
        lab.sim("a").control().set(vec![Rule::new(fault)]);
        leaves_early(&lab, &Ask::chat("demo")).await;
        assert_eq!(lab.gateway.unattended(), 1);
        sleep(Duration::from_mins(1)).await;
        lab.assert_quiet().await;
        let (request, attempts) = books.only().await;
        assert_eq!((request.outcome, attempts.len(), lab.arrived("b")), ("cancelled", 1, 0));
    }
    // A request that has not left does not leave any more.
    let lab = Lab::start(SLOW);
    lab.swallow("a");
    leaves_early(&lab, &Ask::chat("demo")).await;
    lab.assert_quiet().await;
    // What everybody waits for together is read on when the last one has left.
    let lab = Lab::start(&SLOW.replace("continuation: any", "coalesce: true"));
    let books = lab.keep_books();
    let ask = Ask::chat("demo");
    tokio::join!(leaves_early(&lab, &ask), leaves_early(&lab, &ask));
    assert_eq!((lab.gateway.unattended(), lab.arrived("a")), (1, 1));
    sleep(Duration::from_secs(5)).await;
    lab.assert_quiet().await;
    let (_, attempts) = books.rows().await;
    assert_eq!((attempts.len(), attempts[0].estimated, attempts[0].usage.output), (1, false, TOKENS));
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_with_the_same_name_gets_the_answer_that_nobody_waited_for() {
    let lab = Lab::start(SLOW);
    let ask = Ask::chat("demo").header("idempotency-key", "once");
    leaves_early(&lab, &ask).await;
    let answer = lab.send(&ask).await;
    assert_eq!((answer.spoken().as_deref(), answer.header("idempotent-replayed")), (Ok("a"), "true"));
    assert_eq!(lab.arrived("a"), 1);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_for_a_stream_that_nobody_reads_does_not_wait_for_its_end() {
    for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
        let lab = Lab::start(SLOW);
        let ask = ask.header("idempotency-key", "once");
        lab.sim("a").control().set(vec![Rule::new(Fault::Hang)]);
        leaves_early(&lab, &ask).await;
        assert_eq!(lab.gateway.unattended(), 1, "{dialect}");
        lab.sim("a").control().clear();
        let answer = lab.send(&ask).await;
        assert_eq!(
            (answer.spoken().as_deref(), answer.header("idempotent-replayed")),
            (Ok("a"), ""),
            "{dialect}"
        );
        assert!(answer.took < Duration::from_secs(10), "{dialect}: {:?}", answer.took);
        // What the name means is the answer that somebody got; the end of the other one changes nothing.
        sleep(Duration::from_mins(1)).await;
        let again = lab.send(&ask).await;
        assert_eq!((&again.body, again.header("idempotent-replayed")), (&answer.body, "true"), "{dialect}");
        assert_eq!((lab.arrived("a"), lab.arrived("b")), (2, 0), "{dialect}");
        lab.assert_quiet().await;
    }
}

/// `a` is asked first, and `b` beside it.
const RACE: &str = "
version: 1
upstreams:
  a: {provider: simulated, on_hangup: drain, simulated: {ttft: 5s}}
  b: {provider: simulated, on_hangup: drain}
routes:
  - model: demo
    continuation: any
    hedge: {enabled: true, delay: 300ms, max_share: 1}
    timeouts: {ttfb: 90s, first_event: 90s, idle: 90s, total: 200s}
    channels: [{upstream: a}, {upstream: b, tier: 1}]
";

#[tokio::test(start_paused = true)]
async fn the_loser_of_a_race_says_itself_what_it_used_whoever_it_is() {
    // The first one loses, or the one beside it.
    let other = RACE.replace("ttft: 5s", "ttft: 1s").replace(
        "b: {provider: simulated, on_hangup: drain}",
        "b: {provider: simulated, on_hangup: drain, simulated: {ttft: 5s}}",
    );
    for (yaml, winner, loser) in [(RACE, "b", "a"), (&other, "a", "b")] {
        for (dialect, ask) in in_every_dialect() {
            let lab = Lab::start(yaml);
            let books = lab.keep_books();
            let answer = lab.send(&ask).await;
            assert_eq!(answer.spoken().as_deref(), Ok(winner), "{dialect}");
            assert_eq!((lab.gateway.in_flight(), lab.gateway.unattended()), (0, 1), "{dialect}");
            sleep(Duration::from_secs(10)).await;
            lab.assert_quiet().await;
            let seen = lab.sim(loser).control().seen();
            assert!(matches!(seen[0].outcome, Outcome::Completed), "{dialect}: {:?}", seen[0].outcome);
            let (request, attempts) = books.only().await;
            let of = |name: &str| attempts.iter().find(|row| *row.upstream == *name).expect("it was asked");
            assert_eq!((of(winner).verdict, of(winner).estimated), ("ok", false), "{dialect}");
            assert_eq!((of(loser).verdict, of(loser).estimated), ("cancelled", false), "{dialect}");
            assert_eq!(of(loser).usage.output, TOKENS, "{dialect}");
            assert_eq!((request.outcome, request.estimated, attempts.len()), ("ok", false, 2), "{dialect}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_loser_that_is_not_to_be_read_on_or_was_never_asked_ends_at_once() {
    let cancel = RACE.replace("a: {provider: simulated, on_hangup: drain", "a: {provider: simulated");
    let lab = Lab::start(&cancel);
    assert_eq!(lab.send(&Ask::chat("demo")).await.spoken().as_deref(), Ok("b"));
    lab.assert_quiet().await;
    assert!(matches!(lab.sim("a").control().seen()[0].outcome, Outcome::Aborted { .. }));

    let lab = Lab::start(RACE);
    lab.swallow("a");
    assert_eq!(lab.send(&Ask::chat("demo")).await.spoken().as_deref(), Ok("b"));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_loser_that_fails_or_never_ends_is_booked_as_what_it_was() {
    for (fault, verdict) in [
        (Fault::Hang, "cancelled"),
        (Fault::Stall { after_events: 7 }, "cancelled"),
        (
            Fault::InBandError { after_events: 0, error: mainstay::simulated::InBand::ServerError },
            "server_error",
        ),
    ] {
        let lab = Lab::start(RACE);
        let books = lab.keep_books();
        lab.sim("a").control().set(vec![Rule::new(fault)]);
        assert_eq!(lab.send(&Ask::stream("demo")).await.spoken().as_deref(), Ok("b"));
        assert_eq!(lab.gateway.unattended(), 1);
        sleep(Duration::from_secs(61)).await;
        lab.assert_quiet().await;
        let (request, attempts) = books.only().await;
        let loser = attempts.iter().find(|row| *row.upstream == *"a").expect("it was asked");
        assert_eq!((request.outcome, loser.verdict, attempts.len()), ("ok", verdict, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_that_race_for_nobody_only_what_is_to_be_read_on_goes_on() {
    let slow = RACE.replace("ttft: 5s", "ttft: 3s");
    let both = slow.replace(
        "b: {provider: simulated, on_hangup: drain}",
        "b: {provider: simulated, simulated: {ttft: 3s}}",
    );
    let lab = Lab::start(&both);
    let books = lab.keep_books();
    leaves_early(&lab, &Ask::chat("demo")).await;
    assert_eq!(lab.gateway.unattended(), 1);
    let outcome = |name: &str| lab.sim(name).control().seen().pop().map(|seen| seen.outcome);
    assert!(matches!(outcome("b"), Some(Outcome::Aborted { .. })));
    sleep(Duration::from_secs(5)).await;
    lab.assert_quiet().await;
    assert!(matches!(outcome("a"), Some(Outcome::Completed)));
    let (request, attempts) = books.only().await;
    assert_eq!((request.outcome, attempts.len()), ("cancelled", 2));

    // Nor does anybody race who would begin to.
    let lab = Lab::start(&slow.replace("delay: 300ms", "delay: 2s"));
    leaves_early(&lab, &Ask::chat("demo")).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!((lab.arrived("a"), lab.arrived("b")), (1, 0));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_too_large_to_hold_is_read_on_as_well() {
    let yaml = SLOW.replace("version: 1", "version: 1\nserver: {limits: {unary_buffer: 100}}");
    let lab = Lab::start(&yaml);
    let books = lab.keep_books();
    lab.sim("a").control().set(vec![Rule::new(Fault::Drip { gap: Duration::from_millis(10) })]);
    let kept = lab.open(&Ask::chat("demo")).await;
    kept.hang_up();
    sleep(Duration::from_millis(50)).await;
    assert_eq!((lab.gateway.in_flight(), lab.gateway.unattended()), (1, 1));
    sleep(Duration::from_secs(30)).await;
    lab.assert_quiet().await;
    let (request, attempts) = books.only().await;
    assert_eq!(
        (request.outcome, attempts[0].estimated, attempts[0].usage.output),
        ("cancelled", false, TOKENS)
    );
}
