//! Heads of streams that go out before anybody has answered (`early_commit`), and what follows them.

use std::time::Duration;

use http::StatusCode;
use mainstay::simulated::{Fault, Rule};
use serde_json::json;

use super::{after, secs};
use crate::lab::{Answer, Ask, End, Lab, Said, Scribe, Step};

const EARLY: &str = "
version: 1
upstreams: {a: {provider: simulated, probe: {kind: 'off'}}, b: {provider: simulated, probe: {kind: 'off'}}}
routes:
  - model: demo
    early_commit: 10s
    timeouts: {ttfb: 100s, first_event: 100s}
    channels: [{upstream: a}, {upstream: b, tier: 1}]
";

/// Whoever is asked first falls silent, and is given up after 20 s.
fn hasty() -> String {
    EARLY.replace("first_event: 100s", "first_event: 20s")
}

fn slow(seconds: u64) -> Vec<Rule> {
    vec![Rule::new(Fault::Slow { ttft: secs(seconds) })]
}

/// What tells a caller of each dialect that somebody is there.
fn callers() -> [(&'static str, Ask, &'static str); 4] {
    let [openai, responses, anthropic, _] = Ask::stream_in_every_dialect("demo");
    let cohere = r#"{"model":"demo","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    let comment = ": keep-alive\n";
    [
        (openai.0, openai.1, comment),
        (responses.0, responses.1, comment),
        (anthropic.0, anthropic.1, "event: ping\n"),
        ("cohere", Ask::post("/cohere/v2/chat", cohere), comment),
    ]
}

fn signs(answer: &Answer, sign: &str) -> usize {
    answer.text().matches(sign).count()
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_silent_for_long_has_its_head_and_signs_of_life() {
    for (dialect, ask, sign) in callers() {
        let lab = Lab::start(EARLY);
        lab.sim("a").control().set(slow(75));
        let begun = lab.gateway.live.now();
        let mut kept = lab.open(&ask).await;
        let first = kept.next().await.expect("a sign of life");
        let waited = lab.gateway.live.now().since(begun);
        assert!((secs(10)..secs(11)).contains(&waited), "{dialect}: {waited:?}");
        assert!(first.starts_with(sign.as_bytes()), "{dialect}: {first:?}");
        assert_eq!(kept.status, StatusCode::OK);
        assert_eq!(kept.headers["content-type"], "text/event-stream");
        let named = kept.headers.contains_key("x-mainstay-request-id");
        assert!(named && !kept.headers.contains_key("x-mainstay-channel"), "{:?}", kept.headers);
        kept.hang_up();
        lab.assert_quiet().await;
        let answer = lab.send(&ask).await;
        assert!(
            answer.end == End::Clean && (5..=6).contains(&signs(&answer, sign)),
            "{dialect}: {}",
            answer.text()
        );
        if dialect != "cohere" {
            assert_eq!(answer.spoken().as_deref(), Ok("a"), "{dialect}");
        }
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_else_is_told_anything_before_there_is_an_answer() {
    let [.., gemini] = Ask::stream_in_every_dialect("demo");
    let off = EARLY.replace("early_commit: 10s", "early_commit: off");
    for (yaml, ask, waits) in [
        (EARLY, gemini.1, 75),
        (EARLY, Ask::chat("demo"), 75),
        (&*off, Ask::stream("demo"), 75),
        (EARLY, Ask::stream("demo"), 9),
    ] {
        let lab = Lab::start(yaml);
        lab.sim("a").control().set(slow(waits));
        let begun = lab.gateway.live.now();
        let kept = lab.open(&ask).await;
        assert!(lab.gateway.live.now().since(begun) >= secs(waits), "{}", ask.path);
        assert_eq!(kept.headers["x-mainstay-channel"], "a/demo");
        kept.hang_up();
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failover_behind_the_head_is_unseen() {
    for (dialect, ask, _) in callers() {
        let lab = Lab::start(&hasty());
        let journal = lab.keep_journal();
        let books = lab.keep_books();
        lab.sim("a").control().set(vec![Rule::new(Fault::Hang)]);
        let answer = lab.send(&ask).await;
        assert!(
            answer.end == End::Clean && !answer.text().contains("\"error\":{"),
            "{dialect}: {}",
            answer.text()
        );
        assert!(answer.text().contains("b."), "{dialect}: {}", answer.text());
        assert_eq!((lab.arrived("a"), lab.arrived("b")), (1, 1));
        let told = journal.only().await;
        assert_eq!(
            (&told["status"], &told["outcome"], &told["attempts"]),
            (&json!(200), &json!("ok"), &json!(2))
        );
        let (row, _) = books.only().await;
        assert!(
            row.first_byte.is_some_and(|after| after >= secs(20)),
            "the answer's own: {:?}",
            row.first_byte
        );
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_answer_the_caller_reads_that_in_the_stream() {
    for (dialect, ask, sign) in callers() {
        let lab = Lab::start(&hasty());
        let journal = lab.keep_journal();
        for name in ["a", "b"] {
            lab.sim(name).control().set(vec![Rule::new(Fault::Hang)]);
        }
        let answer = lab.send(&ask).await;
        assert_eq!((answer.status, answer.end), (StatusCode::OK, End::Cut), "{dialect}");
        assert!(signs(&answer, sign) >= 2, "{dialect}: {}", answer.text());
        let events = answer.events();
        let error = match dialect {
            "cohere" => &events[0]["delta"]["error"],
            "anthropic" => &events.last().expect("an event")["error"]["message"],
            _ => &events[0]["error"]["message"],
        };
        let words = error.as_str().unwrap_or_else(|| panic!("{dialect}: {}", answer.text()));
        assert!(words.starts_with("no answer in time after 2 attempts"), "{dialect}: {words}");
        let told = journal.only().await;
        assert_eq!(
            (&told["status"], &told["outcome"], &told["error"]),
            (&json!(200), &json!("failed"), &json!("timeout")),
            "{told:#}"
        );
        assert_eq!(lab.metric_sum("mainstay_requests_total", &[r#"outcome="failed""#]), 1.0);
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_in_time_keeps_its_status() {
    let lab = Lab::start(EARLY);
    for name in ["a", "b"] {
        lab.sim(name).control().set(vec![Rule::new(Fault::Refuse)]);
    }
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_eq!((answer.status, answer.end), (StatusCode::BAD_GATEWAY, End::Clean));
    assert_eq!(answer.header("x-should-retry"), "false");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_upstream_says_of_the_request_is_said_in_the_stream() {
    const SAID: &str = "{\n  \"error\": {\n    \"message\": \"no such tool\", \"type\": \"invalid_request_error\", \"param\": \"tools[0]\", \"code\": \"bad_tool\"}}";
    let yaml = "
version: 1
upstreams: {a: {provider: simulated, probe: {kind: 'off'}}, b: {provider: custom, dialect: openai, base_url: 'http://b', credentials: [k]}}
routes:
  - model: demo
    early_commit: 10s
    timeouts: {ttfb: 100s, first_event: 20s}
    channels: [{upstream: a}, {upstream: b, tier: 1}]
";
    let b = Scribe::saying(Said::json(400, SAID));
    let lab = Lab::beside(yaml, &[("b", &b)]);
    let journal = lab.keep_journal();
    lab.sim("a").control().set(vec![Rule::new(Fault::Hang)]);
    let answer = lab.send(&Ask::stream("demo")).await;
    assert_eq!((answer.status, answer.end), (StatusCode::OK, End::Cut));
    let error = json!({"message": "no such tool", "type": "invalid_request_error", "param": "tools[0]", "code": "bad_tool"});
    assert_eq!(answer.events(), [json!({"error": error})], "{}", answer.text());
    let told = journal.only().await;
    assert_eq!((&told["status"], &told["outcome"]), (&json!(200), &json!("client_fault")));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_behind_the_head_lets_go_of_everybody() {
    let hedged = EARLY.replace(
        "early_commit: 10s",
        "early_commit: 10s\n    hedge: {enabled: true, delay: 2s, max_share: 1}",
    );
    let shared = EARLY.replace("early_commit: 10s", "early_commit: 10s\n    coalesce: true");
    for yaml in [EARLY, &hedged, &shared] {
        let lab = Lab::start(yaml);
        let journal = lab.keep_journal();
        for name in ["a", "b"] {
            lab.sim(name).control().set(vec![Rule::new(Fault::Hang)]);
        }
        let mut kept = lab.open(&Ask::stream("demo")).await;
        kept.next().await;
        after(secs(3)).await;
        assert_eq!(lab.sim("a").control().counts().in_flight, 1);
        kept.hang_up();
        lab.assert_quiet().await;
        let told = journal.only().await;
        assert_eq!((&told["outcome"], &told["status"]), (&json!("cancelled"), &json!(200)), "{told:#}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_behind_the_head_ends_as_any() {
    const CHUNK: &str = r#"data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"One"},"finish_reason":null}]}"#;
    let yaml = "
version: 1
upstreams: {a: {provider: custom, dialect: openai, base_url: 'http://a', credentials: [k]}}
routes: [{model: demo, early_commit: 10s, channels: [{upstream: a, model: m}]}]
";
    let events = Said::status(200).header("content-type", "text/event-stream").step(Step::Wait(secs(30)));
    // A mark that may stand at the begin of a stream, and is none behind a sign of life.
    let a = Scribe::saying(events.data(format!("\u{feff}{CHUNK}\n\n")).step(Step::Hang));
    for (dialect, ask, _) in callers() {
        let lab = Lab::beside(yaml, &[("a", &a)]);
        let journal = lab.keep_journal();
        let answer = lab.send(&ask).await;
        assert_eq!(answer.end, End::Cut, "{dialect}: {}", answer.text());
        assert!(answer.text().contains("One") && !answer.text().contains('\u{feff}'), "{}", answer.text());
        assert_eq!(journal.only().await["outcome"], "broken", "{dialect}");
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn answers_behind_a_head_are_kept_and_shared_without_its_signs_of_life() {
    let yaml = EARLY
        .replace("early_commit: 10s", "early_commit: 10s\n    coalesce: true\n    cache: {enabled: true}");
    let lab = Lab::start(&yaml);
    lab.sim("a").control().set(slow(50));
    let named = Ask::stream("demo").header("idempotency-key", "one");
    let plain = Ask::stream("demo");
    let (first, second) = tokio::join!(lab.send(&named), lab.send(&plain));
    for answer in [&first, &second] {
        assert_eq!(answer.spoken().as_deref(), Ok("a"));
        assert_eq!(signs(answer, ": keep-alive"), 3, "{}", answer.text());
    }
    let (again, kept) = (lab.send(&named).await, lab.send(&plain).await);
    assert_eq!((again.header("idempotent-replayed"), kept.header("x-mainstay-cache")), ("true", "hit"));
    for answer in [&again, &kept] {
        assert_eq!(answer.spoken().as_deref(), Ok("a"));
        assert_eq!(signs(answer, ": keep-alive"), 0, "{}", answer.text());
    }
    assert_eq!(lab.arrived("a"), 1);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_who_waits_behind_a_head_with_an_error() {
    let lab = Lab::start(EARLY);
    let journal = lab.keep_journal();
    lab.sim("a").control().set(vec![Rule::new(Fault::Hang)]);
    let ask = Ask::stream("demo");
    let (answer, ()) = tokio::join!(lab.send(&ask), async {
        after(secs(12)).await;
        lab.gateway.cut_off();
    });
    assert!(answer.took < secs(20), "{:?}", answer.took);
    assert_eq!((answer.status, answer.end), (StatusCode::OK, End::Cut));
    assert!(answer.text().contains("the gateway shuts down"), "{}", answer.text());
    let told = journal.only().await;
    assert_eq!((&told["status"], &told["outcome"]), (&json!(200), &json!("failed")), "{told:#}");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn the_decision_is_told_behind_the_end() {
    let lab = Lab::start(&hasty());
    let _journal = lab.keep_journal();
    lab.sim("a").control().set(vec![Rule::new(Fault::Hang)]);
    let ask = Ask::stream("demo").header("x-mainstay-explain", "1").from("127.0.0.1");
    let answer = lab.send(&ask).await;
    assert_eq!(answer.end, End::Clean);
    let word =
        answer.text().trim_end().lines().last().and_then(|line| line.strip_prefix(": mainstay-decision "));
    let told: serde_json::Value = serde_json::from_str(word.expect("a comment")).expect("a decision");
    assert_eq!(
        (&told["channel"], &told["status"], &told["attempts"]),
        (&json!("b/demo"), &json!(200), &json!(2)),
        "{told:#}"
    );
    let head: serde_json::Value =
        serde_json::from_str(answer.header("x-mainstay-decision")).expect("a decision");
    assert_eq!(head["request"], told["request"]);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_counts_as_silence_too() {
    let yaml = EARLY
        .replace("early_commit: 10s", "early_commit: 2s\n    max_inflight: 1\n    queue: {timeout: 60s}")
        .replace(", {upstream: b, tier: 1}", "");
    let lab = Lab::start(&yaml);
    lab.sim("a").control().set(slow(8));
    let ask = Ask::stream("demo");
    let late = async {
        after(Duration::from_millis(100)).await;
        lab.send(&ask).await
    };
    let (first, second) = tokio::join!(lab.send(&ask), late);
    assert_eq!((first.spoken().as_deref(), second.spoken().as_deref()), (Ok("a"), Ok("a")));
    assert_eq!((signs(&first, ": keep-alive"), signs(&second, ": keep-alive")), (1, 1), "{}", second.text());
    lab.assert_quiet().await;
}
