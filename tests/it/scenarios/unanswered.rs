//! A 200 without an answer in it, and refusals of an account that look like the caller's mistake: both are another
//! channel's work, and neither is kept.

use std::sync::Arc;

use crate::lab::{Ask, Lab, Said, Scribe};

const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]}"#;

const NONE: &[&str] = &[
    r#"{"code":"X","message":"m"}"#,
    r#"{"detail":"m"}"#,
    r#"{"object":"error","message":"m"}"#,
    r#"{"success":false,"msg":"m"}"#,
    r#"{"choices":[],"candidates":[]}"#,
    r#"{"id":"x"}"#,
];

/// `a` speaks `dialect` and says what it is told to, with a key; `b` is well.
fn lab(dialect: &str, scribe: &Arc<Scribe>) -> Lab {
    let yaml = format!(
        "
version: 1
upstreams:
  a: {{provider: custom, dialect: {dialect}, base_url: 'http://a/v1', credentials: [k]}}
  b: {{provider: simulated}}
routes:
  - {{model: demo, channels: [{{upstream: a}}, {{upstream: b, tier: 1}}]}}
  - {{model: alone, channels: [{{upstream: a}}], cache: {{enabled: true, ttl: 5m}}}}
"
    );
    Lab::beside(&yaml, &[("a", scribe)])
}

/// A whole request in each dialect.
fn whole_in_every_dialect() -> [(&'static str, Ask); 4] {
    let post = |path: &str, body: &str| Ask::post(path, body.to_owned());
    [
        ("openai", Ask::chat("demo")),
        ("responses", post("/v1/responses", r#"{"model":"demo","store":false,"input":"hello"}"#)),
        (
            "anthropic",
            post(
                "/anthropic/v1/messages",
                r#"{"model":"demo","max_tokens":99,"messages":[{"role":"user","content":"hello"}]}"#,
            ),
        ),
        (
            "gemini",
            post(
                "/gemini/v1beta/models/demo:generateContent",
                r#"{"contents":[{"role":"user","parts":[{"text":"hello"}]}]}"#,
            ),
        ),
    ]
}

fn events(data: &str) -> Said {
    Said::status(200).header("content-type", "text/event-stream").data(data.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_200_without_an_answer_is_another_channels_work_in_every_dialect() {
    for (dialect, ask) in whole_in_every_dialect() {
        for none in NONE {
            for kind in ["application/json", "text/plain"] {
                let said = Said::status(200).header("content-type", kind).data(*none);
                let scribe = Scribe::saying(said);
                let lab = lab(dialect, &scribe);
                let answer = lab.send(&ask).await;
                assert_eq!(answer.status, 200, "{dialect} {none}: {}", answer.text());
                assert_eq!(answer.header("x-mainstay-channel"), "b/demo", "{dialect} {none}");
                scribe.only();
                lab.assert_quiet().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_an_answer_is_another_channels_work_in_every_dialect() {
    for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
        let mut streams = vec!["data: [DONE]\n\n".to_owned()];
        streams.extend(NONE.iter().map(|none| format!("data: {none}\n\ndata: [DONE]\n\n")));
        for stream in streams {
            let scribe = Scribe::saying(events(&stream));
            let lab = lab(dialect, &scribe);
            let answer = lab.send(&ask).await;
            assert_eq!(answer.spoken().as_deref(), Ok("b"), "{dialect} {stream}");
            scribe.only();
            lab.assert_quiet().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_is_not_kept() {
    for none in NONE {
        let scribe = Scribe::saying(Said::json(200, *none));
        let lab = lab("openai", &scribe);
        let ask = Ask::chat("alone");
        let named = ask.clone().header("idempotency-key", "one");
        for ask in [&ask, &named] {
            let answer = lab.send(ask).await;
            assert_eq!(answer.status, 502, "{none}: {}", answer.text());
        }
        scribe.say(Said::json(200, ANSWER));
        for ask in [&named, &ask] {
            let answer = lab.send(ask).await;
            assert_eq!((answer.status.as_u16(), answer.header("idempotent-replayed")), (200, ""), "{none}");
            assert_eq!(answer.text(), ANSWER, "{none}");
        }
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn speech_that_is_an_error_is_one() {
    let error = r#"{"error":{"message":"no such voice in this plan","type":"server_error"}}"#;
    let scribe = Scribe::saying(Said::json(200, error));
    let lab = lab("openai", &scribe);
    let ask = Ask::post("/v1/audio/speech", r#"{"model":"alone","input":"hi","voice":"alloy"}"#);
    assert_eq!(lab.send(&ask).await.status, 502);
    scribe.say(Said::status(200).header("content-type", "audio/mpeg").data("ID3"));
    assert_eq!(lab.send(&ask).await.text(), "ID3");
    lab.assert_quiet().await;
}

/// The key rests, so that the next request does not ask it again.
#[tokio::test(start_paused = true)]
async fn a_spent_account_rests_whatever_the_status() {
    let spent = r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits. You will regain access on 2026-04-01 at 00:00 UTC."}}"#;
    let (_, ask) = &whole_in_every_dialect()[2];
    let scribe = Scribe::saying(Said::json(400, spent));
    let lab = lab("anthropic", &scribe);
    for _ in 0..3 {
        let answer = lab.send(ask).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-mainstay-channel")), (200, "b/demo"));
    }
    assert_eq!(scribe.heard().len(), 1);
    lab.assert_quiet().await;
}

/// Its words are quoted in the refusal of its request, and put nothing away.
#[tokio::test(start_paused = true)]
async fn a_caller_puts_no_key_and_no_model_away_with_his_words() {
    for words in
        ["model not found", "Your credit balance is too low", "API key not valid", "insufficient balance"]
    {
        let quoting = format!(
            r#"{{"error":{{"message":"Failed to deserialize the JSON body into the target type: messages[0]: unknown variant `{words}`, expected `user`","type":"invalid_request_error"}}}}"#
        );
        let scribe = Scribe::saying(Said::json(400, quoting));
        let lab = lab("openai", &scribe);
        let answer = lab.send(&Ask::chat("alone")).await;
        assert_eq!(answer.status, 400, "{words}");
        scribe.say(Said::json(200, ANSWER));
        assert_eq!(lab.send(&Ask::chat("alone")).await.text(), ANSWER, "{words}");
        lab.assert_quiet().await;
    }
}

/// An operation, a file or a length that is refused is nobody else's affair: the key serves on.
#[tokio::test(start_paused = true)]
async fn what_is_refused_to_one_request_rests_no_key_and_no_model() {
    let chat = Ask::chat("alone").body;
    let embeddings = r#"{"model":"alone","input":"hi"}"#;
    for (status, path, body, words) in [
        (403, "/v1/embeddings", embeddings, "You are not allowed to generate embeddings from this model"),
        (
            403,
            "/v1/chat/completions",
            "",
            "You do not have permission to access the File x1 or it may not exist.",
        ),
        (
            429,
            "/v1/chat/completions",
            "",
            "Request too large for m in organization o on tokens per min (TPM): Limit 30000, Requested 50000.",
        ),
        (
            402,
            "/v1/chat/completions",
            "",
            "This request requires more credits, or fewer max_tokens. You requested up to 64000 tokens, but can only afford 1000.",
        ),
    ] {
        let error = format!(r#"{{"error":{{"message":"{words}","type":"tokens","code":null}}}}"#);
        let scribe = Scribe::saying(Said::json(status, error));
        let lab = lab("openai", &scribe);
        let body = if body.is_empty() { chat.clone() } else { body.into() };
        let refused = lab.send(&Ask::post(path, body)).await;
        // Its own word where it is about the request alone.
        let expected = if status == 403 { 403 } else { 400 };
        assert_eq!(refused.status, expected, "{words}: {}", refused.text());
        assert!(refused.text().contains(words) && refused.header("x-should-retry") != "true", "{words}");
        scribe.say(Said::json(200, ANSWER));
        assert_eq!(lab.send(&Ask::chat("alone")).await.text(), ANSWER, "{words}");
        lab.assert_quiet().await;
    }
}
