//! Keys of callers: every way to send one in every dialect, signatures, routes that differ, and rotation.

mod batches;
mod guesses;
mod hostile;
mod issued;
mod managed;
mod operators;
mod own;
mod pen;
mod reach;
mod routes;
mod sdk;
mod signed;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::lab::{Answer, Ask, Lab, Load, Said, Scribe};

/// Two keys, and an upstream that keeps what reaches it.
const YAML: &str = "
version: 1
access: keys
keys:
  shop: {secret: '${LAB_SHOP}'}
  desk: {secret: '${LAB_DESK}'}
upstreams:
  a: {provider: custom, dialect: [openai, responses, anthropic, gemini, cohere, bedrock], base_url: 'http://a/v1'}
  b: {provider: custom, dialect: openai, base_url: 'http://b/v1'}
routes:
  - {model: native, channels: [{upstream: a}]}
  - {model: demo, channels: [{upstream: b}]}
";

/// The lab's variables are worth this and their own name.
const SHOP: &str = "secret-of-LAB_SHOP";
const DESK: &str = "secret-of-LAB_DESK";
const COMPLETION: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"demo","choices":[{"index":0,
    "message":{"role":"assistant","content":"well"},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

struct Shop {
    lab: Lab,
    native: Arc<Scribe>,
    other: Arc<Scribe>,
}

fn shop() -> Shop {
    let native = Scribe::saying(Said::json(400, r#"{"error":{"message":"said by nobody in particular"}}"#));
    let other = Scribe::saying(Said::json(200, COMPLETION));
    let lab = Lab::beside(YAML, &[("a", &native), ("b", &other)]);
    Shop { lab, native, other }
}

/// What each dialect asks for `model`, and where it asks for what no upstream is needed for.
fn asks(model: &str) -> Vec<(&'static str, Ask)> {
    let messages =
        format!(r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"hello"}}]}}"#);
    let gemini = r#"{"contents":[{"role":"user","parts":[{"text":"hello"}]}]}"#;
    let converse = r#"{"messages":[{"role":"user","content":[{"text":"hello"}]}]}"#;
    let input = format!(r#"{{"model":"{model}","store":false,"input":"hello"}}"#);
    let post = |path: &str, body: &str| Ask::post(path, body.to_owned());
    vec![
        ("openai", post("/v1/chat/completions", &messages)),
        ("openai", post("/v1/responses", &input)),
        ("anthropic", post("/anthropic/v1/messages", &messages)),
        ("gemini", post(&format!("/gemini/v1beta/models/{model}:generateContent"), gemini)),
        ("cohere", post("/cohere/v2/chat", &messages)),
        ("bedrock", post(&format!("/bedrock/model/{model}/converse"), converse)),
    ]
}

fn asks_of_nobody() -> Vec<(&'static str, Ask)> {
    let count = r#"{"model":"demo","messages":[{"role":"user","content":"hello"}]}"#;
    let gemini = r#"{"contents":[{"role":"user","parts":[{"text":"hello"}]}]}"#;
    vec![
        ("openai", Ask::get("/v1/models")),
        ("openai", Ask::get("/v1/models/demo")),
        ("anthropic", Ask::get("/anthropic/v1/models")),
        ("gemini", Ask::get("/gemini/v1beta/models")),
        ("anthropic", Ask::post("/anthropic/v1/messages/count_tokens", count)),
        ("gemini", Ask::post("/gemini/v1beta/models/demo:countTokens", gemini)),
        ("openai", Ask::post("/v1/responses/input_tokens", r#"{"model":"demo","input":"hello"}"#)),
    ]
}

const WAYS: [&str; 5] = ["authorization", "x-api-key", "x-goog-api-key", "api-key", "?key="];

fn sending(ask: &Ask, way: &'static str, secret: &str) -> Ask {
    match way {
        "?key=" => {
            let mark = if ask.path.contains('?') { '&' } else { '?' };
            Ask { path: format!("{}{mark}key={secret}", ask.path), ..ask.clone() }
        }
        "authorization" => ask.clone().header(way, &format!("Bearer {secret}")),
        _ => ask.clone().header(way, secret),
    }
}

/// Status, and what the dialect's SDKs branch on.
fn verdict(dialect: &str, answer: &Answer) -> (u16, String) {
    let body: Value = answer.json();
    let word = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = match dialect {
        "openai" => word("/error/code"),
        "anthropic" => word("/error/type"),
        "gemini" => format!("{} {}", word("/error/status"), word("/error/details/0/reason")),
        "bedrock" => {
            assert_eq!(word("/__type"), answer.header("x-amzn-errortype"));
            word("/__type")
        }
        _ => word("/message").split(';').next().unwrap_or_default().to_owned(),
    };
    let status = answer.status.as_u16();
    let challenge = answer.headers.get("www-authenticate").is_some_and(|value| value == "Bearer");
    assert_eq!(challenge, status == 401, "{dialect}");
    (status, kind)
}

#[tokio::test(start_paused = true)]
async fn every_way_to_send_a_key_is_taken_in_every_dialect_and_none_goes_up() {
    let Shop { lab, native, other } = shop();
    let mut allowed = 0.0;
    for way in WAYS {
        // Its upstream refuses, which is as good as an answer here.
        lab.send(&sending(&Ask::stream("native"), way, SHOP)).await;
        allowed += 1.0;
        for (dialect, ask) in asks("demo").into_iter().chain(asks_of_nobody()) {
            let answer = lab.send(&sending(&ask, way, SHOP)).await;
            assert_eq!(answer.status, 200, "{dialect} {} {way}: {}", ask.path, answer.text());
            allowed += 1.0;
        }
        for (_, ask) in asks("native") {
            // Beside it there is what AWS's callers send, which is the gateway's affair as well.
            let ask = sending(&ask, way, SHOP).header("x-amz-security-token", "secret-of-session");
            lab.send(&ask).await;
            allowed += 1.0;
        }
    }
    let reached: Vec<_> = native.heard().into_iter().chain(other.heard()).collect();
    assert_eq!(reached.len(), 5 * (1 + 2 * 6), "every ask but those of nobody");
    for heard in reached {
        let shown = format!("{heard:?}");
        assert!(!shown.contains("secret-of"), "{shown}");
    }
    assert_eq!(lab.metric(r#"mainstay_access_total{key="shop",result="allowed"}"#), allowed);
    assert_eq!(lab.metric(r#"mainstay_access_total{key="desk",result="allowed"}"#), 0.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_not_known_is_refused_as_his_sdk_expects_and_no_upstream_hears_of_him() {
    let Shop { lab, native, other } = shop();
    let missing = |dialect: &str| match dialect {
        "openai" => (401, "invalid_api_key"),
        "anthropic" => (401, "authentication_error"),
        "gemini" => (401, "UNAUTHENTICATED "),
        "bedrock" => (403, "MissingAuthenticationTokenException"),
        _ => (401, "no API key came with the request"),
    };
    let unknown = |dialect: &str| match dialect {
        "gemini" => (400, "INVALID_ARGUMENT API_KEY_INVALID"),
        "bedrock" => (403, "UnrecognizedClientException"),
        "cohere" => {
            (401, "the API key is not one of this gateway's, where a provider's own key does not count")
        }
        other => missing(other),
    };
    let (mut absent, mut strange) = (0.0, 0.0);
    for (dialect, ask) in asks("demo").into_iter().chain(asks("no-such-model")).chain(asks_of_nobody()) {
        let (status, kind) = missing(dialect);
        let answer = lab.send(&ask).await;
        assert_eq!(verdict(dialect, &answer), (status, kind.to_owned()), "{}", ask.path);
        assert!(answer.text().contains("KEY`"), "it says where to put one: {}", answer.text());
        absent += 1.0;
        for way in WAYS {
            // Whoever lists models by these ways is answered as those whose ways they are.
            let listing = ask.path.starts_with("/v1/models");
            let dialect = match way {
                "x-api-key" if listing => "anthropic",
                "x-goog-api-key" | "?key=" if listing => "gemini",
                _ => dialect,
            };
            let (status, kind) = unknown(dialect);
            let answer = lab.send(&sending(&ask, way, "sk-wrong-0123456789")).await;
            assert_eq!(verdict(dialect, &answer), (status, kind.to_owned()), "{} {way}", ask.path);
            assert!(!answer.text().contains("sk-wrong"), "{}", answer.text());
            strange += 1.0;
        }
    }
    assert!(native.heard().is_empty() && other.heard().is_empty());
    assert_eq!(lab.metric(r#"mainstay_access_total{key="",result="missing"}"#), absent);
    assert_eq!(lab.metric(r#"mainstay_access_total{key="",result="unknown_key"}"#), strange);
    assert_eq!(lab.metric(r#"mainstay_rejected_total{reason="unauthorized"}"#), absent);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn several_keys_have_to_be_the_same() {
    let Shop { lab, other, .. } = shop();
    for (dialect, ask) in asks("demo") {
        let same = sending(&sending(&ask, "authorization", SHOP), "x-api-key", SHOP);
        let answer = lab.send(&sending(&same, "?key=", SHOP)).await;
        assert_eq!(answer.status, 200, "{dialect}: {}", answer.text());
        for also in [DESK, "sk-of-somebody-else"] {
            let answer = lab.send(&sending(&same, "api-key", also)).await;
            assert!(matches!(answer.status.as_u16(), 400 | 401 | 403), "{dialect}: {}", answer.status);
            assert!(answer.text().contains("they are not the same"), "{}", answer.text());
        }
    }
    assert_eq!(other.heard().len(), asks("demo").len());
    assert_eq!(lab.metric(r#"mainstay_access_total{key="",result="disagreeing"}"#), 12.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_refused_before_his_body_is_read() {
    let Shop { lab, .. } = shop();
    for path in ["/v1/chat/completions", "/bedrock/model/demo/converse"] {
        let mut caller = lab.connect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: nobodys\r\ncontent-length: 1000000\r\n\r\n"
        );
        caller.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(1), caller.read_to_end(&mut answer)).await;
        read.expect("the connection is closed at once").unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    lab.assert_quiet().await;
}

/// The old secret and the new one overlap, so nobody is refused while callers change from one to the other.
#[tokio::test(start_paused = true)]
async fn a_secret_is_replaced_under_traffic_and_nobody_is_refused() {
    let file = |secrets: &str| {
        format!(
            "version: 1\naccess: keys\nkeys: {{shop: {{secret: {secrets}}}}}\nupstreams: {{a: {{provider: simulated}}}}\n\
             routes: [{{model: demo, channels: [{{upstream: a}}]}}]"
        )
    };
    let second = Duration::from_secs(1);
    let lab = Lab::start(&file("'${LAB_OLD}'"));
    let load = |secret: &str| Load {
        ask: sending(&Ask::stream("demo"), "authorization", secret),
        per_second: 20.0,
        lasting: second * 10,
    };
    let (old, new) = ("secret-of-LAB_OLD", "secret-of-LAB_NEW");
    assert_eq!(lab.send(&load(new).ask).await.status, 401);
    let reload = |secrets: &'static str| {
        let lab = &lab;
        async move {
            tokio::time::sleep(second * 5).await;
            lab.reload(&file(secrets));
        }
    };
    let (report, ()) = tokio::join!(lab.run(load(old)), reload("['${LAB_OLD}', '${LAB_NEW}']"));
    report.assert_no_errors();
    let (report, ()) = tokio::join!(lab.run(load(new)), reload("'${LAB_NEW}'"));
    report.assert_no_errors();
    assert_eq!(lab.send(&load(old).ask).await.status, 401);
    assert_eq!(lab.metric(r#"mainstay_access_total{key="shop",result="allowed"}"#), 400.0);
    lab.assert_quiet().await;
}
