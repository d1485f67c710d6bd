//! What callers see of keys that run short: of what their providers say is left, and of what is configured.

use http::StatusCode;

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
    let parts = format!(r#"[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{picture}"}}}}]"#);
    let body = format!(r#"{{"model":"demo","messages":[{{"role":"user","content":{parts}}}]}}"#);
    for _ in 0..8 {
        let asked = Ask::post("/v1/chat/completions", body.clone());
        assert_eq!(lab.send(&asked).await.status, StatusCode::OK);
    }
    assert_eq!(lab.send(&Ask::chat("demo")).await.status, StatusCode::OK);
    lab.assert_quiet().await;
}
