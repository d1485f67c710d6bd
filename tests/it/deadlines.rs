//! Time that runs out: callers' deadlines, routes' limits, the first content; and what callers are
//! told so that two sets of retries do not multiply.

use std::time::Duration;

use http::StatusCode;
use mainstay::simulated::{Fault, How, Outcome, Rule};

use crate::lab::{Answer, Ask, End, Lab, Load};

const TWO: &str = "
version: 1
upstreams:
  a: {provider: simulated}
  b: {provider: simulated}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b}]
  - path: /echo/
    channels: [{upstream: a}, {upstream: b}]
";

const ONE: &str = "
version: 1
upstreams: {a: {provider: simulated}}
routes:
  - model: demo
    channels: [{upstream: a}]
";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Lab {
    fn fail(&self, names: &[&str], fault: &Fault) {
        for name in names {
            self.sim(name).control().set(vec![Rule::new(fault.clone())]);
        }
    }
}

/// `took` is `expected`, and at most the time that a cut takes more.
fn assert_took(answer: &Answer, expected: Duration, what: &str) {
    let late = answer.took.saturating_sub(expected);
    assert!(answer.took >= expected && late < Duration::from_millis(150), "{what}: {:?}", answer.took);
}

fn asks() -> Vec<(&'static str, Ask)> {
    let anthropic = r#"{"model":"demo","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
    let gemini = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
    let mut asks = vec![
        ("openai", Ask::chat("demo")),
        ("responses", Ask::post("/v1/responses", r#"{"model":"demo","input":"hi","store":false}"#)),
        ("anthropic", Ask::post("/anthropic/v1/messages", anthropic)),
        ("gemini", Ask::post("/gemini/v1beta/models/demo:generateContent", gemini)),
        ("http", Ask::get("/echo/7")),
    ];
    asks.extend(Ask::stream_in_every_dialect("demo"));
    asks
}

/// What says "too late" to the SDKs of a dialect (WIRE §3.5).
fn assert_timeout(dialect: &str, answer: &Answer) {
    assert_eq!(answer.status, 504, "{dialect}: {}", answer.text());
    let error = &answer.json()["error"];
    assert!(error["message"].is_string(), "{dialect}: {}", answer.text());
    match dialect {
        "anthropic" => assert_eq!(error["type"], "timeout_error"),
        "gemini" => assert_eq!(error["status"], "DEADLINE_EXCEEDED"),
        "http" => {}
        _ => assert_eq!(error["type"], "server_error"),
    }
    assert_eq!(answer.header("x-should-retry"), "false", "{dialect}");
}

#[tokio::test(start_paused = true)]
async fn callers_deadlines_are_kept_in_every_dialect_and_spelling() {
    for (dialect, ask) in asks() {
        let lab = Lab::start(TWO);
        lab.fail(&["a", "b"], &Fault::Hang);
        // Counted on the wall clock, which is not paused: it may have moved on a little.
        let soon = (lab.gateway.live.clock.unix_now() + secs(5)).as_secs_f64().to_string();
        let answer = lab.send(&ask.clone().header("x-request-deadline", &soon)).await;
        assert_timeout(dialect, &answer);
        assert!(answer.took > secs(1) && answer.took < Duration::from_millis(5_150), "{:?}", answer.took);
        let limits = [
            ("grpc-timeout", "1500m", Duration::from_millis(1_500)),
            ("grpc-timeout", "3S", secs(3)),
            // The SDK gives up by itself at 9 s, and has to hear us before.
            ("x-stainless-timeout", "9", secs(7)),
        ];
        for (name, value, limit) in limits {
            let answer = lab.send(&ask.clone().header(name, value)).await;
            assert_timeout(dialect, &answer);
            assert_took(&answer, limit, &format!("{dialect}, {name}: {value}"));
            assert_eq!(answer.header("x-mainstay-attempts"), "1", "{dialect}");
            // Cancelled upstream, and nobody's fault.
            lab.assert_quiet().await;
            for name in ["a", "b"] {
                assert_eq!(lab.breaker(name, ""), "closed");
                assert_eq!(lab.breaker(name, "demo"), "closed");
            }
        }
        // The tightest of several counts.
        let ask = ask.header("grpc-timeout", "30S").header("x-stainless-timeout", "4");
        assert_took(&lab.send(&ask).await, secs(2), dialect);
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_in_the_middle_of_a_stream_ends_it_with_an_error() {
    for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
        for limit in [secs(3), secs(7), secs(12)] {
            let lab = Lab::start(ONE);
            lab.fail(&["a"], &Fault::Stall { after_events: 5 });
            let answer =
                lab.send(&ask.clone().header("grpc-timeout", &format!("{}S", limit.as_secs()))).await;
            assert_eq!((answer.status, answer.end), (StatusCode::OK, End::Cut), "{dialect}");
            assert!(answer.text().contains("\"error\""), "{dialect}: {}", answer.text());
            assert_took(&answer, limit, dialect);
            let outcome = lab.sim("a").control().seen()[0].outcome;
            assert_eq!(outcome, Outcome::Aborted { after_events: 5 }, "cancelled upstream");
            lab.assert_quiet().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_streams_well_is_not_blamed_for_a_deadline() {
    let lab = Lab::start(&ONE.replace("simulated}", "simulated, simulated: {pace: 100ms, words: 200}}"));
    for _ in 0..10 {
        let answer = lab.send(&Ask::stream("demo").header("grpc-timeout", "4S")).await;
        assert_eq!((answer.status, answer.end), (StatusCode::OK, End::Cut));
        assert_took(&answer, secs(4), "a stream of 20 s");
        let error = answer.events().pop().unwrap()["error"]["message"].to_string();
        assert!(error.contains("deadline"), "{error}");
    }
    assert_eq!(lab.breaker("a", "demo"), "closed");
    assert_eq!(lab.metric_sum("mainstay_faults_total", &[r#"fault="stream_stalled""#]), 0.0);
    assert_eq!(lab.metric_sum("mainstay_faults_total", &[r#"fault="deadline_exceeded""#]), 10.0);
    lab.send(&Ask::stream("demo")).await.spoken().unwrap();
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_routes_total_bounds_all_attempts_together() {
    let yaml = TWO.replace("model: demo", "model: demo\n    timeouts: {total: 12s}");
    let lab = Lab::start(&yaml);
    lab.fail(&["a", "b"], &Fault::Hang);
    // The first silent channel is left after 10 s, the second has what is left.
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_timeout("openai", &answer);
    assert_took(&answer, secs(12), "a stream");
    assert_eq!(answer.header("x-mainstay-attempts"), "2");
    // A caller cannot have more than that.
    let answer = lab.send(&Ask::chat("demo").header("x-stainless-timeout", "600")).await;
    assert_timeout("openai", &answer);
    assert_took(&answer, secs(12), "a whole answer");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_without_content_is_left_while_there_is_another_and_waited_for_when_there_is_none() {
    let silent = [
        Fault::Hang,
        // Headers, roles and pings are no content.
        Fault::Stall { after_events: 0 },
    ];
    for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
        for fault in &silent {
            let lab = Lab::start(&TWO.replace("{upstream: b}", "{upstream: b, tier: 1}"));
            lab.fail(&["a"], fault);
            let answer = lab.send(&ask).await;
            assert_eq!(answer.spoken().as_deref(), Ok("b"), "{dialect}");
            let first = answer.took.saturating_sub(secs(10));
            assert!(answer.took > secs(10) && first < secs(2), "{dialect}: {:?}", answer.took);
            assert_eq!(answer.header("x-mainstay-attempts"), "2");
            lab.assert_quiet().await;

            let lab = Lab::start(ONE);
            lab.fail(&["a"], fault);
            let answer = lab.send(&ask).await;
            assert_timeout(dialect, &answer);
            assert_took(&answer, secs(60), dialect);
            assert_eq!(answer.header("x-mainstay-attempts"), "1", "silence is not asked again");
            lab.assert_quiet().await;
        }
        let lab = Lab::start(ONE);
        lab.fail(&["a"], &Fault::Slow { ttft: secs(50) });
        lab.send(&ask).await.spoken().unwrap_or_else(|error| panic!("{dialect}: {error}"));
        lab.assert_quiet().await;
    }
    // Models that think first have longer, and a limit of the operator's own holds as it is.
    for (channel, limit) in [
        ("{upstream: a, reasoning: true}", secs(300)),
        ("{upstream: a, timeouts: {connect: 1s, first_event: 2s}}", secs(2)),
        ("{upstream: a, timeouts: {connect: 1s, ttfb: 3s, first_event: 7s}}", secs(3)),
    ] {
        let lab = Lab::start(&ONE.replace("{upstream: a}", channel));
        lab.fail(&["a"], &Fault::Hang);
        let answer = lab.send(&Ask::stream("demo")).await;
        assert_timeout("openai", &answer);
        assert_took(&answer, limit, channel);
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn failures_of_counting_tokens_say_nothing_about_a_channel() {
    let count = [
        Ask::post(
            "/anthropic/v1/messages/count_tokens",
            r#"{"model":"demo","messages":[{"role":"user","content":"hi"}]}"#,
        ),
        Ask::post("/gemini/v1beta/models/demo:countTokens", r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#),
        Ask::post("/v1/responses/input_tokens", r#"{"model":"demo","input":"hi"}"#),
    ];
    let faults =
        [404, 500, 503].map(|status| Fault::status(StatusCode::from_u16(status).unwrap())).into_iter();
    for fault in faults.chain([Fault::Reset { at: mainstay::simulated::ResetAt::Body }]) {
        let lab = Lab::start(TWO);
        lab.fail(&["a", "b"], &fault);
        for round in 0..60 {
            let answer = lab.send(&count[round % 3]).await;
            let estimated = answer.header("x-mainstay-estimated");
            assert_eq!((answer.status, estimated), (StatusCode::OK, "tokens"), "{}", answer.text());
        }
        for name in ["a", "b"] {
            assert_eq!(lab.breaker(name, "demo"), "closed", "{fault:?}");
            assert_eq!(lab.breaker(name, ""), "closed", "{fault:?}");
            lab.sim(name).control().clear();
        }
        // Nor is a channel picked last for it.
        let before = (lab.arrived("a"), lab.arrived("b"));
        for _ in 0..10 {
            let answer = lab.send(&Ask::chat("demo")).await;
            answer.spoken().unwrap();
            assert_eq!(answer.header("x-mainstay-attempts"), "1");
        }
        assert_eq!((lab.arrived("a") - before.0, lab.arrived("b") - before.1), (5, 5), "{fault:?}");
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_answer_says_which_request_it_was_and_who_was_asked() {
    let lab = Lab::start(TWO);
    for (dialect, ask) in asks() {
        let answer = lab.send(&ask).await;
        assert_eq!(answer.status, 200, "{dialect}");
        assert!(answer.header("x-mainstay-request-id").starts_with("req_"), "{dialect}");
        assert_eq!(answer.header("x-mainstay-attempts"), "1", "{dialect}");
        let channel = answer.header("x-mainstay-channel");
        assert!(["a/demo", "b/demo", "a", "b"].contains(&channel), "{dialect}: {channel}");
        assert_eq!(answer.header("x-should-retry"), "", "{dialect}");
    }
    for (dialect, ask) in asks() {
        let lab = Lab::start(TWO);
        lab.fail(&["a", "b"], &Fault::Reset { at: mainstay::simulated::ResetAt::Body });
        let answer = lab.send(&ask).await;
        assert_eq!(answer.status, 502, "{dialect}: {}", answer.text());
        assert!(answer.header("x-mainstay-request-id").starts_with("req_"), "{dialect}");
        let attempts = lab.arrived("a") + lab.arrived("b");
        assert_eq!(answer.header("x-mainstay-attempts"), attempts.to_string(), "{dialect}");
        let channel = answer.header("x-mainstay-channel");
        assert!(["a/demo", "b/demo", "a", "b"].contains(&channel), "{dialect}: the last one: {channel}");
        assert_eq!(answer.header("x-should-retry"), "false", "{dialect}: we have retried");
        lab.assert_quiet().await;
    }
    let nowhere = lab.send(&Ask::chat("nobody")).await;
    assert!(nowhere.header("x-mainstay-request-id").starts_with("req_"));
    assert_eq!(nowhere.header("x-mainstay-channel"), "");
    let listed = lab.send(&Ask::get("/v1/models")).await;
    assert!(listed.header("x-mainstay-request-id").starts_with("req_"));
}

#[tokio::test(start_paused = true)]
async fn callers_are_told_to_retry_only_where_waiting_helps() {
    let failed = |status| Fault::status(StatusCode::from_u16(status).unwrap());
    let limited = |seconds| Fault::RateLimited { retry_after: Some(secs(seconds)) };
    let cases = [
        (failed(500), "false"),
        (failed(503), "false"),
        (Fault::Refuse, "false"),
        (Fault::EmptyStream, "false"),
        (Fault::Cut { after_events: 0, how: How::Rst }, "false"),
        (Fault::QuotaExhausted, "false"),
        (failed(401), "false"),
        (limited(600), "false"),
        // Longer than we wait ourselves, and short enough for the SDK to wait.
        (limited(10), "true"),
    ];
    for (fault, retry) in cases {
        let lab = Lab::start(&TWO.replace("simulated}", "simulated, credentials: [key-1]}"));
        lab.fail(&["a", "b"], &fault);
        let answer = lab.send(&Ask::stream("demo")).await;
        assert!(!answer.status.is_success(), "{fault:?}");
        assert_eq!(answer.header("x-should-retry"), retry, "{fault:?}: {}", answer.text());
        // Only limits are 429: a caller can do nothing about a refused credential or an outage.
        let limit = matches!(fault, Fault::RateLimited { .. } | Fault::QuotaExhausted);
        assert_eq!(answer.status == 429, limit, "{fault:?}: {}", answer.text());
        if limit {
            let after: u64 = answer.header("retry-after").parse().unwrap();
            let expected = if retry == "true" { 10..=14 } else { 500..=1_200 };
            assert!(expected.contains(&after), "{fault:?}: {after}");
        }
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_retries_get_fewer_attempts() {
    let yaml = "
version: 1
upstreams: {a: {provider: simulated}, b: {provider: simulated}, c: {provider: simulated}}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b}, {upstream: c}]
";
    for (count, attempts) in
        [(None, "3"), (Some("0"), "3"), (Some("1"), "2"), (Some("2"), "2"), (Some("x"), "3")]
    {
        let lab = Lab::start(yaml);
        lab.fail(&["a", "b", "c"], &Fault::status(StatusCode::INTERNAL_SERVER_ERROR));
        let mut ask = Ask::chat("demo");
        if let Some(count) = count {
            ask = ask.header("x-stainless-retry-count", count);
        }
        let answer = lab.send(&ask).await;
        assert_eq!(answer.header("x-mainstay-attempts"), attempts, "{count:?}");
        lab.assert_quiet().await;
    }
}

/// Retries that the budget grants at this load, at the most: a fifth of the requests, two a second,
/// and what was saved up in ten seconds.
fn most_retries(requests: f64, seconds: f64) -> f64 {
    0.2 * requests + 2.0 * seconds + 10.0 * 2.0 + 0.2 * 100.0 * 10.0
}

#[tokio::test(start_paused = true)]
async fn retries_stay_within_their_budget_however_much_fails() {
    let load = || Load { ask: Ask::chat("demo"), per_second: 100.0, lasting: secs(30) };
    let (requests, seconds) = (3_000.0, 30.0);
    // Breakers off, so that nothing but the budget holds the retries back.
    let bare = |yaml: &str| yaml.replace("model: demo", "model: demo\n    breaker: {enabled: false}");
    let failed = Fault::status(StatusCode::INTERNAL_SERVER_ERROR);

    // One of two channels fails: callers see (almost) nothing, and few requests are sent twice.
    for yaml in [TWO.to_owned(), bare(TWO)] {
        let lab = Lab::start(&yaml);
        lab.fail(&["a"], &failed);
        let report = lab.run(load()).await;
        let attempts = (lab.arrived("a") + lab.arrived("b")) as f64;
        println!("one of two fails: {:.3} attempts a request", attempts / requests);
        assert!(report.error_share() < 0.01, "{:?}", report.errors().first());
        assert!(attempts / requests < 1.22, "{attempts}");
        assert_eq!(attempts, lab.metric_sum("mainstay_attempts_total", &[]), "each attempt is counted");
        lab.assert_quiet().await;
    }

    // Both fail, and nobody takes them out: without a budget every request would be sent three times.
    let lab = Lab::start(&bare(TWO).replace("enabled: false}", "enabled: false}\n    panic: {mode: all}"));
    lab.fail(&["a", "b"], &failed);
    let report = lab.run(load()).await;
    assert!(report.error_share() > 0.99);
    let attempts = (lab.arrived("a") + lab.arrived("b")) as f64;
    println!("both fail: {:.3} attempts a request", attempts / requests);
    assert!(attempts <= requests + most_retries(requests, seconds), "{attempts}");
    assert!(attempts >= requests, "every request has its first attempt");
    let refused = lab.metric_sum("mainstay_retries_refused_total", &[r#"reason="budget""#]);
    assert!(refused > requests / 2.0, "{refused}");
    let retries = lab.metric_sum("mainstay_retries_total", &[]);
    assert_eq!(retries, attempts - requests);
    lab.assert_quiet().await;
}
