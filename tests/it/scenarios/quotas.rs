//! What callers see of keys that run short: of what their providers say is left, and of what is configured.

use http::StatusCode;

use super::secs;
use crate::lab::{Ask, Lab, Said, Scribe};

const CAPPED: &str = "
version: 1
upstreams:
  a: {provider: custom, dialect: openai, base_url: 'http://a.test/v1', credentials: [secret-k-1111], quota: {tpm: 200000}}
routes:
  - model: demo
    channels: [{upstream: a}]
";

/// An answer for which so many tokens were used.
fn answer(prompt: u64, output: u64) -> Said {
    Said::json(
        200,
        format!(
            r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,
            "message":{{"role":"assistant","content":"hi"}},"finish_reason":"stop"}}],
            "usage":{{"prompt_tokens":{prompt},"completion_tokens":{output},"total_tokens":{}}}}}"#,
            prompt + output
        ),
    )
}

/// A picture of three megabytes has as many tokens as one of thirty kilobytes.
#[tokio::test(start_paused = true)]
async fn pictures_do_not_use_up_a_key_by_their_bytes() {
    let a = Scribe::saying(answer(1_500, 100));
    let lab = Lab::beside(CAPPED, &[("a", &a)]);
    let picture = "iVBORw0KGgo/".repeat(250_000);
    let parts =
        format!(r#"[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{picture}"}}}}]"#);
    let body = format!(r#"{{"model":"demo","messages":[{{"role":"user","content":{parts}}}]}}"#);
    for _ in 0..8 {
        let asked = Ask::post("/v1/chat/completions", body.clone());
        assert_eq!(lab.send(&asked).await.status, StatusCode::OK);
    }
    assert_eq!(lab.send(&Ask::chat("demo")).await.status, StatusCode::OK);
    lab.assert_quiet().await;
}

const TIERS: &str = "
version: 1
upstreams:
  a: {provider: custom, dialect: anthropic, base_url: 'http://a.test', credentials: [secret-k-1111]}
  b: {provider: custom, dialect: anthropic, base_url: 'http://b.test', credentials: [secret-k-2222]}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b, tier: 1}]
";

/// Of 450,000 tokens of prompts a minute and 90,000 of answers, most are left.
fn message() -> Said {
    const SAID: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text",
        "text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":1}}"#;
    Said::json(200, SAID)
        .header("anthropic-ratelimit-input-tokens-limit", "450000")
        .header("anthropic-ratelimit-input-tokens-remaining", "440000")
        .header("anthropic-ratelimit-input-tokens-reset", "2099-01-01T00:00:00Z")
        .header("anthropic-ratelimit-output-tokens-limit", "90000")
        .header("anthropic-ratelimit-output-tokens-remaining", "80000")
        .header("anthropic-ratelimit-output-tokens-reset", "2099-01-01T00:00:00Z")
        .header("anthropic-ratelimit-tokens-limit", "540000")
        .header("anthropic-ratelimit-tokens-remaining", "520000")
        .header("anthropic-ratelimit-tokens-reset", "2099-01-01T00:00:00Z")
}

#[tokio::test(start_paused = true)]
async fn a_long_prompt_stays_in_its_tier_while_there_is_room_for_prompts() {
    let (a, b) = (Scribe::saying(message()), Scribe::saying(message()));
    let lab = Lab::beside(TIERS, &[("a", &a), ("b", &b)]);
    let ask = |letters: usize| {
        let words = "word ".repeat(letters / 5);
        let body = format!(
            r#"{{"model":"demo","max_tokens":100,"messages":[{{"role":"user","content":"{words}"}}]}}"#
        );
        Ask::post("/v1/messages", body)
    };
    // 95,000 tokens are more than answers may have, and there is room for four such prompts.
    for letters in [10, 380_000, 380_000] {
        assert_eq!(lab.send(&ask(letters)).await.status, StatusCode::OK);
    }
    assert_eq!((a.heard().len(), b.heard().len()), (3, 0));
    lab.assert_quiet().await;
}

const ONE: &str = "
version: 1
upstreams:
  a: {provider: custom, dialect: openai, base_url: 'http://a.test/v1', credentials: [secret-k-1111]}
routes:
  - model: demo
    channels: [{upstream: a}]
";

/// OpenAI's `reset` is when the limit is full again; of 500 a minute the next one fits after 120 ms.
#[tokio::test(start_paused = true)]
async fn a_key_with_nothing_left_serves_before_its_window_is_full() {
    let empty = |limit: Option<&str>| {
        let said = answer(9, 1)
            .header("x-ratelimit-remaining-requests", "0")
            .header("x-ratelimit-reset-requests", "1h0m0s");
        limit.into_iter().fold(said, |said, limit| said.header("x-ratelimit-limit-requests", limit))
    };
    let a = Scribe::saying(empty(Some("500")));
    let lab = Lab::beside(ONE, &[("a", &a)]);
    for _ in 0..3 {
        assert_eq!(lab.send(&Ask::chat("demo")).await.status, StatusCode::OK);
    }
    // Nobody knows of how many: what is said only steers, and the provider has the last word.
    a.say(empty(None));
    for _ in 0..3 {
        assert_eq!(lab.send(&Ask::chat("demo")).await.status, StatusCode::OK);
    }
    assert_eq!(a.heard().len(), 6);
    lab.assert_quiet().await;
}

/// While there is somebody with more, he is asked.
#[tokio::test(start_paused = true)]
async fn a_key_with_nothing_left_of_an_unknown_limit_is_asked_last() {
    let said = |channel: &str| {
        let said = message();
        if channel == "b" {
            return said;
        }
        Said { headers: http::HeaderMap::new(), ..said }
            .header("content-type", "application/json")
            .header("x-ratelimit-remaining", "0")
            .header("x-ratelimit-reset", "30")
    };
    let (a, b) = (Scribe::saying(said("a")), Scribe::saying(said("b")));
    let lab = Lab::beside(TIERS, &[("a", &a), ("b", &b)]);
    let ask = Ask::post(
        "/v1/messages",
        r#"{"model":"demo","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#,
    );
    for _ in 0..3 {
        assert_eq!(lab.send(&ask).await.status, StatusCode::OK);
    }
    assert_eq!((a.heard().len(), b.heard().len()), (1, 2));
    tokio::time::sleep(secs(31)).await;
    assert_eq!(lab.send(&ask).await.status, StatusCode::OK);
    assert_eq!(a.heard().len(), 2);
    lab.assert_quiet().await;
}

/// A cap's end is when enough has left its window, and a key that is ready before that is waited for instead.
#[tokio::test(start_paused = true)]
async fn who_meets_a_cap_is_told_when_there_is_room() {
    let yaml = ONE.replace("[secret-k-1111]", "[secret-k-1111], quota: {rpm: 2}");
    let a = Scribe::saying(answer(9, 1));
    let lab = Lab::beside(&yaml, &[("a", &a)]);
    for _ in 0..2 {
        assert_eq!(lab.send(&Ask::chat("demo")).await.status, StatusCode::OK);
    }
    let refused = lab.send(&Ask::chat("demo")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    // A minute and up to five seconds, spread by a fifth at most.
    assert!((60..=78).contains(&wait), "{wait}");
    tokio::time::sleep(secs(58)).await;
    assert_eq!(lab.send(&Ask::chat("demo")).await.status, StatusCode::TOO_MANY_REQUESTS);
    tokio::time::sleep(secs(8)).await;
    assert_eq!(lab.send(&Ask::chat("demo")).await.status, StatusCode::OK);
    assert_eq!(a.heard().len(), 3);
    lab.assert_quiet().await;
}

/// A streamed answer for which so many tokens were used.
fn stream(prompt: u64, output: u64) -> Said {
    let chunk = |rest: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",{rest}}}\n\n"
        )
    };
    let usage = format!(
        r#""choices":[],"usage":{{"prompt_tokens":{prompt},"completion_tokens":{output},"total_tokens":{}}}"#,
        prompt + output
    );
    let parts = [
        chunk(r#""choices":[{"index":0,"delta":{"role":"assistant","content":"hi"},"finish_reason":null}]"#),
        chunk(r#""choices":[{"index":0,"delta":{},"finish_reason":"stop"}]"#),
        chunk(&usage),
        "data: [DONE]\n\n".to_owned(),
    ];
    Said::status(200).header("content-type", "text/event-stream").data(parts.concat())
}

#[tokio::test(start_paused = true)]
async fn a_cap_of_tokens_is_paid_with_what_was_used() {
    for (said, ask) in
        [(answer(180_000, 30_000), Ask::chat("demo")), (stream(180_000, 30_000), Ask::stream("demo"))]
    {
        let a = Scribe::saying(said);
        let lab = Lab::beside(CAPPED, &[("a", &a)]);
        assert_eq!(lab.send(&ask).await.status, StatusCode::OK);
        // It looked like some hundred tokens, and was more than a minute may have.
        assert_eq!(lab.send(&ask).await.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(a.heard().len(), 1);
        lab.assert_quiet().await;
    }
    let a = Scribe::saying(answer(1_000, 1));
    let lab = Lab::beside(CAPPED, &[("a", &a)]);
    let body = format!(
        r#"{{"model":"demo","messages":[{{"role":"user","content":"{}"}}]}}"#,
        "word ".repeat(80_000)
    );
    // 100,000 by their length: the third would have met the cap.
    for _ in 0..6 {
        let asked = Ask::post("/v1/chat/completions", body.clone());
        assert_eq!(lab.send(&asked).await.status, StatusCode::OK);
    }
    lab.assert_quiet().await;
}

/// What an upstream without keys says of its limits holds for all of its callers together.
#[tokio::test(start_paused = true)]
async fn an_upstream_without_keys_is_passed_over_before_it_refuses() {
    let yaml =
        TIERS.replace(", credentials: [secret-k-1111]", "").replace(", credentials: [secret-k-2222]", "");
    let empty = message()
        .header("anthropic-ratelimit-requests-limit", "50")
        .header("anthropic-ratelimit-requests-remaining", "0")
        .header("anthropic-ratelimit-requests-reset", "2099-01-01T00:00:00Z");
    let (a, b) = (Scribe::saying(empty), Scribe::saying(message()));
    let lab = Lab::beside(&yaml, &[("a", &a), ("b", &b)]);
    let ask = Ask::post(
        "/v1/messages",
        r#"{"model":"demo","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#,
    );
    for _ in 0..3 {
        assert_eq!(lab.send(&ask).await.status, StatusCode::OK);
    }
    assert_eq!((a.heard().len(), b.heard().len()), (1, 2));
    let left = r#"mainstay_quota_left{credential="a",model="demo",kind="requests"}"#;
    assert_eq!(lab.metric(left).to_bits(), 0.0_f64.to_bits());
    lab.assert_quiet().await;
}

/// Anthropic's plans: no wait is named but the plan's own.
#[tokio::test(start_paused = true)]
async fn a_plan_that_is_used_up_rests_until_it_is_not() {
    let refusal = r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your account's rate limit."}}"#;
    let used_up = Said::json(429, refusal)
        .header("anthropic-ratelimit-unified-status", "rejected")
        .header("anthropic-ratelimit-unified-reset", "2099-01-01T00:00:00Z");
    let (a, b) = (Scribe::saying(used_up), Scribe::saying(message()));
    let lab = Lab::beside(TIERS, &[("a", &a), ("b", &b)]);
    let ask = Ask::post(
        "/v1/messages",
        r#"{"model":"demo","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#,
    );
    for _ in 0..3 {
        assert_eq!(lab.send(&ask).await.status, StatusCode::OK);
        tokio::time::sleep(secs(300)).await;
    }
    assert_eq!((a.heard().len(), b.heard().len()), (1, 3));
    lab.assert_quiet().await;
}
