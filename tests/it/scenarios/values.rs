//! Bodies of very many JSON values: in another dialect each of them costs hundreds of bytes and a part of a
//! microsecond, so they have a bound of their own, and are paid for where they are many.

use std::sync::Arc;

use http::StatusCode;

use crate::bad_asks::sentence;
use crate::lab::{Answer, Ask, Lab, Said, Scribe};

/// What a body may have that is said in another dialect.
const MOST: usize = 400_000;

const YAML: &str = "
version: 1
server: {limits: {max_body: 16MiB, memory: 96MiB}}
upstreams:
  a: {provider: custom, dialect: openai, base_url: 'http://a'}
  b: {provider: custom, dialect: anthropic, base_url: 'http://b'}
routes:
  - {model: chat, channels: [{upstream: a}]}
  - {model: claude, channels: [{upstream: b}], fallback: [chat]}
  - {model: mixed, channels: [{upstream: b}, {upstream: a, tier: 1}]}
";

struct Scene {
    lab: Lab,
    chat: Arc<Scribe>,
    claude: Arc<Scribe>,
}

fn scene() -> Scene {
    let chat = Scribe::saying(Said::json(
        200,
        r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}"#,
    ));
    let claude = Scribe::saying(Said::json(
        200,
        r#"{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#,
    ));
    let lab = Lab::beside(YAML, &[("a", &chat), ("b", &claude)]);
    Scene { lab, chat, claude }
}

/// A request of exactly so many values for `model`: its root, four members, their message and its members, and numbers.
fn of(path: &str, model: &str, values: usize) -> Ask {
    let numbers = "0,".repeat(values - 8);
    let body = format!(
        r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"x"}}],"numbers":[{}]}}"#,
        numbers.trim_end_matches(',')
    );
    Ask::post(path, body)
}

fn chat(model: &str, values: usize) -> Ask {
    of("/v1/chat/completions", model, values)
}

fn messages(model: &str, values: usize) -> Ask {
    of("/v1/messages", model, values).header("anthropic-version", "2023-06-01")
}

fn is_shed(answer: &Answer) -> bool {
    (answer.status, answer.header("x-mainstay-shed")) == (StatusCode::SERVICE_UNAVAILABLE, "memory")
}

#[tokio::test(start_paused = true)]
async fn more_values_than_can_be_said_in_another_dialect_are_refused_before_anybody_hears_of_them() {
    let Scene { lab, chat: a, claude: b } = scene();
    for (caller, ask) in [("openai", chat("claude", MOST + 1)), ("anthropic", messages("chat", MOST + 1))] {
        let answer = lab.send(&ask).await;
        assert_eq!(answer.status, 413, "{caller}: {}", answer.text());
        let (message, _) = sentence(caller, &answer);
        assert!(message.contains("more than 400000 JSON values"), "{caller}: {message}");
        assert_eq!((a.heard().len(), b.heard().len()), (0, 0), "{caller}");
    }
    assert_eq!(lab.metric(r#"mainstay_rejected_total{reason="too_large"}"#), 2.0);
    // In its own dialect it passes as it came.
    let ask = chat("chat", MOST + 1);
    assert_eq!(lab.send(&ask).await.status, 200);
    assert_eq!(a.only().body, ask.body);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_route_of_several_dialects_puts_it_to_the_callers_own() {
    let Scene { lab, chat: a, claude: b } = scene();
    let ask = chat("mixed", MOST + 1);
    let answer = lab.send(&ask).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-mainstay-channel")), (200, "a/mixed"));
    assert_eq!((a.only().body, b.heard().len()), (ask.body.clone(), 0));
    a.say(Said::json(500, "{}"));
    a.refuse();
    assert!(lab.send(&ask).await.status.as_u16() >= 400);
    assert_eq!(lab.breaker("b", ""), "closed", "it is nobody's failure");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn many_values_are_paid_for_and_refused_where_there_is_no_room() {
    let Scene { lab, chat: a, claude: b } = scene();
    // 96 MiB have room for 262,144 values at 384 bytes, less the bodies.
    for ask in [chat("claude", 270_000), messages("chat", 270_000)] {
        let answer = lab.send(&ask).await;
        assert!(is_shed(&answer), "{}", answer.text());
        assert!(answer.text().contains("server.limits.memory"), "{}", answer.text());
        assert!(!answer.header("retry-after").is_empty());
    }
    assert_eq!((a.heard().len(), b.heard().len()), (0, 0));
    assert_eq!(lab.gateway.live.holdings.bytes(), 0);
    let shed = r#"mainstay_shed_total{route="claude",reason="memory",priority="critical"}"#;
    assert_eq!(lab.metric(shed), 1.0);
    for ask in [chat("chat", 270_000), chat("claude", 150_000), messages("chat", 150_000)] {
        let answer = lab.send(&ask).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    lab.assert_quiet().await;
}
