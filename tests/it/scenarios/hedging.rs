//! A second channel beside a silent one: who is heard, what becomes of the other, and what it costs (S17).
//!
//! In tiers, so that it is known who is asked: `a` first, beside it `b`, and `c` when nobody else is left.

use std::time::Duration;

use http::StatusCode;
use mainstay::route::{Question, explain};
use mainstay::simulated::{Fault, How, InBand, Outcome, ResetAt, Rule};

use super::{after, secs};
use crate::lab::{Ask, End, Lab, Said, Scribe, Step};

const TIERS: &str = "
version: 1
upstreams:
  a: {provider: simulated, simulated: {ttft: 400ms, words: 4}}
  b: {provider: simulated, simulated: {ttft: 200ms, words: 4}}
  c: {provider: simulated, simulated: {ttft: 100ms, words: 4}}
routes:
  - model: demo
    hedge: {enabled: true, delay: 300ms, max_share: 1}
    channels: [{upstream: a}, {upstream: b, tier: 1}, {upstream: c, tier: 2}]
  - path: /orders/
    hedge: {enabled: true, delay: 300ms, max_share: 1}
    channels: [{upstream: a}, {upstream: b, tier: 1}]
";

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn slow(ttft: Duration) -> Vec<Rule> {
    vec![Rule::new(Fault::Slow { ttft })]
}

/// Answers after its usual time, with an error inside a 200.
fn late_error() -> Vec<Rule> {
    vec![Rule::new(Fault::InBandError { after_events: 0, error: InBand::ServerError })]
}

fn wholes() -> [(&'static str, Ask); 4] {
    let responses = r#"{"model":"demo","store":false,"input":"hello"}"#;
    let anthropic = r#"{"model":"demo","max_tokens":99,"messages":[{"role":"user","content":"hello"}]}"#;
    let gemini = r#"{"contents":[{"role":"user","parts":[{"text":"hello"}]}]}"#;
    [
        ("openai", Ask::chat("demo")),
        ("responses", Ask::post("/v1/responses", responses)),
        ("anthropic", Ask::post("/anthropic/v1/messages", anthropic)),
        ("gemini", Ask::post("/gemini/v1beta/models/demo:generateContent", gemini)),
    ]
}

impl Lab {
    fn hedges(&self, result: &str) -> f64 {
        self.metric_sum("mainstay_hedges_total", &[&format!("result=\"{result}\"")])
    }

    /// Requests that `name` saw its peer give up, before any content.
    fn given_up(&self, name: &str) -> usize {
        let seen = self.sim(name).control().seen();
        seen.iter().filter(|seen| seen.outcome == Outcome::Aborted { after_events: 0 }).count()
    }

    fn arrivals(&self) -> [u64; 3] {
        ["a", "b", "c"].map(|name| self.arrived(name))
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_channel_is_overtaken_in_every_dialect_streamed_and_whole() {
    let streams = Ask::stream_in_every_dialect("demo");
    for (dialect, ask) in streams.into_iter().chain(wholes()) {
        let lab = Lab::start(TIERS);
        lab.sim("a").control().set(slow(secs(5)));
        let mut kept = lab.open(&ask).await;
        assert_eq!(kept.status, StatusCode::OK, "{dialect}");
        assert_eq!(kept.headers["x-mainstay-channel"], "b/demo", "{dialect}");
        assert_eq!(kept.headers["x-mainstay-attempts"], "2", "{dialect}");
        after(ms(50)).await;
        assert_eq!((lab.given_up("a"), lab.sim("a").control().counts().in_flight), (1, 0), "{dialect}");
        while kept.next().await.is_some() {}
        kept.hang_up();
        let answer = lab.send(&ask).await;
        assert_eq!(answer.spoken().as_deref(), Ok("b"), "{dialect}");
        assert!((ms(500)..ms(600)).contains(&answer.took), "{dialect}: {:?}", answer.took);
        assert_eq!(lab.arrivals(), [2, 2, 0], "{dialect}");
        assert_eq!(lab.hedges("won"), 2.0);
        let cancelled =
            lab.metric_sum("mainstay_attempts_total", &["upstream=\"a\"", "outcome=\"cancelled\""]);
        let unpriced = lab.metric_sum("mainstay_attempts_unpriced_total", &["upstream=\"a\""]);
        assert_eq!((cancelled, unpriced), (2.0, 2.0));
        assert_eq!(lab.metric_sum("mainstay_failovers_total", &[]), 0.0, "nothing had failed");
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_that_answers_just_after_all_is_heard_and_the_hedge_cancelled() {
    for ask in [Ask::stream("demo"), Ask::chat("demo")] {
        let lab = Lab::start(TIERS);
        let answer = lab.send(&ask).await;
        assert_eq!(answer.spoken().as_deref(), Ok("a"));
        assert_eq!(answer.header("x-mainstay-channel"), "a/demo");
        assert_eq!(answer.header("x-mainstay-attempts"), "2");
        after(ms(50)).await;
        assert_eq!((lab.given_up("b"), lab.arrivals()), (1, [1, 1, 0]));
        assert_eq!((lab.hedges("lost"), lab.hedges("won")), (1.0, 0.0));
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_answers_in_time_is_never_hedged() {
    let lab = Lab::start(TIERS);
    lab.sim("a").control().set(slow(ms(290)));
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_eq!((answer.header("x-mainstay-attempts"), lab.arrivals()), ("1", [1, 0, 0]));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_error_never_wins_whoever_has_it() {
    for ask in [Ask::stream("demo"), Ask::chat("demo")] {
        // The first fails at 400 ms, and the hedge answers at 500.
        let lab = Lab::start(TIERS);
        lab.sim("a").control().set(late_error());
        let answer = lab.send(&ask).await;
        assert_eq!(answer.spoken().as_deref(), Ok("b"));
        assert!((ms(500)..ms(600)).contains(&answer.took), "{:?}", answer.took);
        assert_eq!((lab.arrivals(), lab.hedges("won")), ([1, 1, 0], 1.0));
        assert_eq!(lab.metric_sum("mainstay_failovers_total", &[]), 1.0, "the hedge saved it");
        assert_eq!(lab.metric_sum("mainstay_attempts_unpriced_total", &[]), 0.0, "nobody was cancelled");
        lab.assert_quiet().await;

        // The hedge fails at once, and the first answers at 400 ms.
        let lab = Lab::start(TIERS);
        lab.sim("b").control().set(vec![Rule::new(Fault::status(StatusCode::BAD_GATEWAY))]);
        let answer = lab.send(&ask).await;
        assert_eq!(answer.spoken().as_deref(), Ok("a"));
        assert_eq!((lab.arrivals(), lab.hedges("failed")), ([1, 1, 0], 1.0));
        assert_eq!(lab.metric_sum("mainstay_failovers_total", &[]), 0.0);
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn when_both_fail_a_third_channel_gets_the_request() {
    for (a, b) in [(late_error(), late_error()), (slow(secs(99)), late_error())] {
        let lab = Lab::start(
            &TIERS.replace("model: demo", "model: demo\n    timeouts: {first_event: 2s, connect: 1s}"),
        );
        lab.sim("a").control().set(a);
        lab.sim("b").control().set(b);
        let answer = lab.send(&Ask::stream("demo")).await;
        assert_eq!(answer.spoken().as_deref(), Ok("c"));
        assert_eq!(answer.header("x-mainstay-attempts"), "3");
        assert_eq!((lab.arrivals(), lab.hedges("failed")), ([1, 1, 1], 1.0));
        let failed = |name: &str| {
            let upstream = format!("upstream=\"{name}\"");
            lab.metric_sum("mainstay_attempts_total", &[&upstream, "outcome=\"upstream_fault\""])
        };
        assert_eq!((failed("a"), failed("b")), (1.0, 1.0), "both are settled");
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_mistake_is_told_whatever_fails_beside_it() {
    let lab = Lab::start(TIERS);
    lab.sim("a").control().set(late_error());
    lab.sim("b").control().set(vec![Rule::new(Fault::status(StatusCode::BAD_REQUEST))]);
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    assert_eq!(lab.arrivals(), [1, 1, 0]);
    lab.assert_quiet().await;
}

/// P-R08, L-09: whatever becomes of the two, one of them is heard, or the error of nobody else.
#[tokio::test(start_paused = true)]
async fn the_caller_hears_one_upstream_whatever_happens_to_the_two() {
    let faults = || {
        [
            None,
            Some(Fault::Slow { ttft: ms(320) }),
            Some(Fault::Slow { ttft: secs(3) }),
            Some(Fault::InBandError { after_events: 0, error: InBand::Overloaded }),
            Some(Fault::InBandError { after_events: 2, error: InBand::ServerError }),
            Some(Fault::Cut { after_events: 2, how: How::Rst }),
            Some(Fault::EmptyStream),
            Some(Fault::RateLimited { retry_after: None }),
            Some(Fault::status(StatusCode::BAD_REQUEST)),
            Some(Fault::Reset { at: ResetAt::Body }),
            Some(Fault::Refuse),
            Some(Fault::Hang),
        ]
    };
    let rules = |fault: &Option<Fault>| fault.iter().cloned().map(Rule::new).collect::<Vec<_>>();
    for (a, b) in faults().iter().flat_map(|a| faults().map(|b| (a.clone(), b))) {
        for ask in [Ask::stream("demo"), Ask::chat("demo")] {
            let lab = Lab::start(TIERS);
            lab.sim("a").control().set(rules(&a));
            lab.sim("b").control().set(rules(&b));
            let answer = lab.send(&ask).await;
            let case = format!("{a:?} beside {b:?}: {} {}", answer.status, answer.text());
            let attempts: u64 = answer.header("x-mainstay-attempts").parse().expect(&case);
            assert!((1..=3).contains(&attempts), "{case}");
            if answer.status == StatusCode::OK {
                let speaker = &answer.header("x-mainstay-channel")[..1];
                let words = answer.words();
                let own =
                    words.split_whitespace().all(|word| word.starts_with(speaker) || !word.contains('.'));
                assert!(own && !words.is_empty(), "{case}");
                assert!(answer.spoken().is_ok() || answer.end == End::Cut, "{case}");
            } else {
                assert!(answer.status.is_client_error() || answer.status.is_server_error(), "{case}");
                assert_eq!(answer.end, End::Clean, "{case}");
            }
            lab.assert_quiet().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_hedged_once() {
    let lab = Lab::start(TIERS);
    lab.sim("a").control().set(late_error());
    lab.sim("b").control().set(late_error());
    lab.sim("c").control().set(slow(secs(2)));
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_eq!(answer.spoken().as_deref(), Ok("c"));
    assert_eq!(lab.arrivals(), [1, 1, 1], "c has nobody beside it");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_ends_both() {
    let lab = Lab::start(TIERS);
    for name in ["a", "b"] {
        lab.sim(name).control().set(vec![Rule::new(Fault::Hang)]);
    }
    for ask in [Ask::stream("demo"), Ask::chat("demo")] {
        assert!(tokio::time::timeout(ms(350), lab.open(&ask)).await.is_err());
        after(ms(50)).await;
        for name in ["a", "b"] {
            assert_eq!(lab.sim(name).control().counts().in_flight, 0, "{name} works for nobody");
        }
    }
    assert_eq!((lab.given_up("a"), lab.given_up("b")), (2, 2));
    assert_eq!(lab.metric_sum("mainstay_attempts_unpriced_total", &[]), 0.0, "nobody was beaten");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn being_overtaken_is_no_evidence_against_a_channel() {
    let strict = "model: demo\n    breaker: {slow_call: {ttfb: 350ms, min: 2, rate: 0.5}}";
    let lab = Lab::start(&TIERS.replace("model: demo", strict));
    lab.sim("a").control().set(slow(secs(5)));
    for _ in 0..15 {
        lab.send(&Ask::stream("demo")).await.spoken().unwrap();
    }
    assert_eq!((lab.breaker("a", "demo"), lab.breaker("b", "demo")), ("closed", "closed"));
    assert_eq!(lab.arrivals(), [15, 15, 0]);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_done_twice_is_not_hedged() {
    let lab = Lab::start(TIERS);
    lab.sim("a").control().set(slow(secs(1)));
    let order = Ask::post("/orders/new", r#"{"item": 1}"#);
    let twice = Ask::bare(http::Method::DELETE, "/orders/1");
    let retry = Ask::stream("demo").header("x-stainless-retry-count", "1");
    let lasting =
        Ask::post("/v1/responses", r#"{"model":"demo","input":"hello","background":true,"stream":true}"#);
    for ask in [order.clone(), order.header("idempotency-key", "k"), twice, retry, lasting] {
        assert_eq!(lab.send(&ask).await.status, StatusCode::OK);
        assert_eq!(lab.arrived("b"), 0, "{ask:?}");
    }
    assert_eq!(lab.send(&Ask::get("/orders/1")).await.header("x-mainstay-channel"), "b");
    lab.assert_quiet().await;
}

/// What would have to be fetched first for the second channel is not fetched for a hedge.
#[tokio::test(start_paused = true)]
async fn a_second_channel_that_cannot_be_asked_as_things_are_is_left_alone() {
    const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
        "message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
    let late = Said::status(200).header("content-type", "application/json").step(Step::Wait(secs(1)));
    let (a, b) = (Scribe::saying(late.data(ANSWER)), Scribe::saying(Said::json(200, ANSWER)));
    let lab = Lab::beside(
        "
version: 1
upstreams:
  a: {provider: custom, dialect: openai, base_url: 'http://a.test/v1'}
  b: {provider: custom, dialect: ollama, base_url: 'http://b.test'}
routes:
  - model: demo
    hedge: {enabled: true, delay: 300ms, max_share: 1}
    channels: [{upstream: a}, {upstream: b, tier: 1}]
",
        &[("a", &a), ("b", &b)],
    );
    let body = r#"{"model":"demo","messages":[{"role":"user","content":[
        {"type":"image_url","image_url":{"url":"https://pictures.test/cat.png"}}]}]}"#;
    for _ in 0..2 {
        let answer = lab.send(&Ask::post("/v1/chat/completions", body)).await;
        assert_eq!((answer.status, answer.header("x-mainstay-attempts")), (StatusCode::OK, "1"));
    }
    assert_eq!((a.heard().len(), b.heard().len()), (2, 0));
    assert_eq!(lab.metric_sum("mainstay_hedges_total", &[]), 0.0);
    lab.assert_quiet().await;
}

/// Hedges are at most a twentieth of the requests, however many are slow.
#[tokio::test(start_paused = true)]
async fn hedges_keep_to_their_share_when_everybody_is_slow() {
    let lab = Lab::start(&TIERS.replace(", max_share: 1}", "}"));
    for name in ["a", "b", "c"] {
        lab.sim(name).control().set(slow(secs(2)));
    }
    let report = lab.under_load(Ask::stream("demo"), 40.0, secs(10), async {}).await;
    report.assert_no_errors();
    let attempts: u64 = lab.arrivals().iter().sum();
    assert!((405..=420).contains(&attempts), "{attempts} attempts for 400 requests");
    assert_eq!(lab.hedges("lost"), (attempts - 400) as f64);
    assert_eq!(lab.hedges("refused_cap"), (800 - attempts) as f64);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn hedges_need_the_retry_budget() {
    let poor = "model: demo\n    retry: {budget: {ratio: 0, reserve_per_sec: 0}}";
    let lab = Lab::start(&TIERS.replace("model: demo", poor));
    lab.sim("a").control().set(slow(secs(2)));
    lab.send(&Ask::stream("demo")).await.spoken().unwrap();
    assert_eq!((lab.hedges("refused_budget"), lab.arrivals()), (1.0, [1, 0, 0]));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_channel_is_not_asked_for_what_another_is_at_work_on() {
    let lab = Lab::start(
        "
version: 1
upstreams:
  a: {provider: simulated, simulated: {ttft: 2s, words: 4}}
  b: {provider: simulated, max_inflight: 10, simulated: {ttft: 10ms, words: 999, pace: 1s}}
routes:
  - model: demo
    hedge: {enabled: true, delay: 300ms, max_share: 1}
    channels: [{upstream: a}, {upstream: b, tier: 1}]
  - model: other
    channels: [{upstream: b}]
",
    );
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(lab.open(&Ask::stream("other")).await);
    }
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_eq!((answer.header("x-mainstay-channel"), lab.arrived("b")), ("a/demo", 8));
    assert_eq!(lab.hedges("refused_saturated"), 1.0);
    streams.pop().expect("eight of them").hang_up();
    after(ms(50)).await;
    let kept = lab.open(&Ask::stream("demo")).await;
    assert_eq!(kept.headers["x-mainstay-channel"], "b/demo", "seven of ten are room enough");
    kept.hang_up();
    for stream in streams {
        stream.hang_up();
    }
    lab.assert_quiet().await;
}

const EQUALS: &str = "
version: 1
upstreams:
  a: {provider: simulated, simulated: {ttft: 400ms, pace: 1ms, words: 4}}
  b: {provider: simulated, simulated: {ttft: 400ms, pace: 1ms, words: 4}}
  c: {provider: simulated, simulated: {ttft: 400ms, pace: 1ms, words: 4}}
routes:
  - model: demo
    hedge: {enabled: HEDGED}
    channels: [{upstream: a}, {upstream: b}, {upstream: c}]
";

/// S17: a twentieth of the answers takes twenty times as long.
#[tokio::test(start_paused = true)]
async fn s17_hedging_takes_the_tail_off_at_the_price_of_its_share() {
    for hedged in ["true", "false"] {
        let lab = Lab::start(&EQUALS.replace("HEDGED", hedged));
        for name in ["a", "b", "c"] {
            lab.sim(name).control().set(vec![Rule::new(Fault::Slow { ttft: secs(8) }).every(20)]);
        }
        let report = lab.under_load(Ask::stream("demo"), 40.0, secs(75), async {}).await;
        report.assert_no_errors();
        // The first seconds are for learning what is usual.
        let mut took: Vec<_> =
            report.between(secs(15), secs(75)).answers.iter().map(|answer| answer.took).collect();
        took.sort_unstable();
        let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        let load = lab.arrivals().iter().sum::<u64>() as f64 / report.answers.len() as f64;
        if hedged == "true" {
            assert!(p99 <= p50.mul_f64(2.5), "{p50:?} {p99:?}");
            assert!(load > 1.02 && load <= 1.055, "{load}");
        } else {
            assert!(p99 > p50 * 15, "{p50:?} {p99:?}");
            assert_eq!(load, 1.0);
        }
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn explain_says_whether_and_when_a_second_channel_would_be_asked() {
    let question = Question { model: "demo".into(), ..Question::default() };
    let hedge = |lab: &Lab| {
        let channel = explain(&lab.table(), &question).unwrap().channels.swap_remove(0);
        (channel.hedge_after_ms, channel.hedge)
    };
    assert_eq!(hedge(&Lab::start(&EQUALS.replace("HEDGED", "false"))), (None, None));
    assert_eq!(hedge(&Lab::start(TIERS)), (Some(300.0), Some("hedged after 300 ms".to_owned())));
    let lab = Lab::start(&EQUALS.replace("HEDGED", "true"));
    let young = "not hedged: fewer than 100 answers in the last minute".to_owned();
    assert_eq!(hedge(&lab), (None, Some(young)));
    lab.under_load(Ask::stream("demo"), 40.0, secs(10), async {}).await.assert_no_errors();
    assert_eq!(hedge(&lab), (Some(500.0), Some("hedged after 500 ms".to_owned())));
    lab.assert_quiet().await;
}
