//! Callers who name models that no upstream has, under a pattern that others use: S43.

use std::sync::Arc;

use http::StatusCode;

use super::secs;
use crate::lab::{Ask, Lab, Said, Scribe};

const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
const UNKNOWN: &str = r#"{"error":{"message":"The model does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#;
const BROKEN: &str = r#"{"error":{"message":"oops","type":"server_error","param":null,"code":null}}"#;

/// Upstreams that have every model but those in whose names is `nobody`, behind one pattern.
struct Pattern {
    lab: Lab,
    scribes: Vec<Arc<Scribe>>,
}

impl Pattern {
    fn of(count: usize) -> Self {
        let names: Vec<String> = (0..count).map(|n| format!("u{n}")).collect();
        let upstreams: Vec<String> = names
            .iter()
            .map(|name| {
                format!("  {name}: {{provider: custom, dialect: openai, base_url: 'http://{name}/v1'}}")
            })
            .collect();
        let channels: Vec<String> = names.iter().map(|name| format!("{{upstream: {name}}}")).collect();
        let yaml = format!(
            "version: 1\nupstreams:\n{}\nroutes:\n  - model: any-*\n    channels: [{}]\n",
            upstreams.join("\n"),
            channels.join(", ")
        );
        let scribes: Vec<_> = names.iter().map(|_| Scribe::saying(Said::json(200, ANSWER))).collect();
        for scribe in &scribes {
            scribe.refusing(b"nobody", Said::json(404, UNKNOWN));
        }
        let beside: Vec<_> = names.iter().map(String::as_str).zip(&scribes).collect();
        Self { lab: Lab::beside(&yaml, &beside), scribes }
    }

    fn heard(&self) -> usize {
        self.scribes.iter().map(|scribe| scribe.heard().len()).sum()
    }

    fn series(&self) -> usize {
        self.lab.table().export();
        self.lab.gateway.live.metrics.render().lines().filter(|line| !line.starts_with('#')).count()
    }

    async fn status(&self, model: &str) -> StatusCode {
        self.lab.send(&Ask::chat(model)).await.status
    }
}

/// S43: thousands of names that nobody has, under a pattern that others use.
#[tokio::test(start_paused = true)]
async fn s43_names_that_no_upstream_has_close_nothing_for_those_that_one_has() {
    let pattern = Pattern::of(3);
    assert_eq!(pattern.status("any-nobody").await, 404);
    assert_eq!(pattern.status("any-good").await, 200);
    let series = pattern.series();
    for n in 0..1_200 {
        let answer = pattern.lab.send(&Ask::chat(&format!("any-nobody-{n}"))).await;
        assert_eq!(answer.status, 404, "{n}: {}", answer.text());
        assert_eq!(answer.json()["error"]["code"], "model_not_found");
        assert!(answer.text().contains(&format!("any-nobody-{n}")), "{}", answer.text());
        if n % 40 == 0 {
            assert_eq!(pattern.status(&format!("any-good-{n}")).await, 200, "after {n}");
            assert_eq!(pattern.status("any-good").await, 200, "after {n}");
        }
    }
    for upstream in &pattern.lab.table().upstreams {
        let remembered = upstream.memory.models.len();
        assert!(remembered < 64, "{remembered}: names that are not there take no place from those that are");
    }
    assert!(pattern.series() <= series + 5, "from {series} to {} series", pattern.series());
    let failed = pattern.lab.metric_sum("mainstay_requests_total", &["outcome=\"failed\""]);
    assert_eq!(failed, 0.0, "who asks for what there is not has not met an outage");
    // What was asked in vain has taken none of the retries of those who need one.
    pattern.scribes[0].refusing(b"any-good", Said::json(500, BROKEN));
    for n in 0..3 {
        assert_eq!(pattern.status(&format!("any-good-{n}")).await, 200);
    }
    pattern.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_has_is_answered_at_once_until_it_may_have_come() {
    let pattern = Pattern::of(3);
    assert_eq!(pattern.status("any-nobody").await, 404);
    assert_eq!(pattern.heard(), 3, "each is asked once");
    for _ in 0..10 {
        assert_eq!(pattern.status("any-nobody").await, 404);
    }
    assert_eq!(pattern.heard(), 3);
    tokio::time::sleep(secs(301)).await;
    for scribe in &pattern.scribes {
        scribe.refusing(b"never", Said::json(404, UNKNOWN));
    }
    assert_eq!(pattern.status("any-nobody").await, 200);
    pattern.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_has_is_a_404_in_every_dialect() {
    for (dialect, ask) in Ask::stream_in_every_dialect("any-nobody") {
        let pattern = Pattern::of(2);
        for _ in 0..2 {
            let answer = pattern.lab.send(&ask).await;
            assert_eq!(answer.status, 404, "{dialect}: {}", answer.text());
            let error = &answer.json()["error"];
            match dialect {
                "anthropic" => assert_eq!(error["type"], "not_found_error"),
                "gemini" => assert_eq!(error["status"], "NOT_FOUND"),
                _ => assert_eq!(error["code"], "model_not_found"),
            }
        }
        pattern.lab.assert_quiet().await;
    }
}

/// Five of six lack it, which is more than a request has attempts.
#[tokio::test(start_paused = true)]
async fn a_name_that_one_of_many_has_is_found_there_and_asked_there() {
    let pattern = Pattern::of(6);
    pattern.scribes[5].refusing(b"never", Said::json(404, UNKNOWN));
    for _ in 0..20 {
        assert_eq!(pattern.status("any-nobody-but-one").await, 200);
    }
    assert_eq!(pattern.scribes[5].heard().len(), 20);
    assert!(pattern.scribes[..5].iter().all(|scribe| scribe.heard().len() <= 1), "asked again in vain");
    pattern.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_asked_has_not_said_that_there_is_no_such_model() {
    let pattern = Pattern::of(3);
    pattern.scribes[2].refuse();
    for _ in 0..3 {
        let status = pattern.status("any-nobody").await;
        assert!(status.is_server_error(), "{status}");
    }
    assert_eq!(pattern.status("any-good").await, 200);
    pattern.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_model_that_makes_no_vectors_is_still_asked_to_chat() {
    let pattern = Pattern::of(2);
    for scribe in &pattern.scribes {
        scribe.refusing(b"\"input\"", Said::json(404, r#"{"detail":"Not Found"}"#));
    }
    let vectors = Ask::post("/v1/embeddings", r#"{"model":"any-good","input":"hello"}"#);
    assert_eq!(pattern.lab.send(&vectors).await.status, 404);
    assert_eq!(pattern.status("any-good").await, 200);
    pattern.lab.assert_quiet().await;
}

/// What the pattern has not is asked of another route, as when the pattern's channels are down.
#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_has_goes_on_to_the_fallback_whose_failure_is_no_404() {
    let yaml = "
version: 1
upstreams:
  a: {provider: custom, dialect: openai, base_url: 'http://a/v1'}
  b: {provider: custom, dialect: openai, base_url: 'http://b/v1'}
routes:
  - {model: any-*, channels: [{upstream: a}], fallback: [spare]}
  - {model: spare, channels: [{upstream: b}]}
";
    let scribes = [(); 2].map(|()| Scribe::saying(Said::json(200, ANSWER)));
    let lab = Lab::beside(yaml, &[("a", &scribes[0]), ("b", &scribes[1])]);
    let status = async |model: &str| lab.send(&Ask::chat(model)).await.status;
    scribes[0].refusing(b"nobody", Said::json(404, UNKNOWN));
    for _ in 0..2 {
        assert_eq!(status("any-nobody").await, 200);
    }
    assert_eq!((scribes[0].heard().len(), scribes[1].heard().len()), (1, 2));
    scribes[1].say(Said::json(500, BROKEN));
    for _ in 0..2 {
        assert!(status("any-nobody").await.is_server_error());
    }
    assert_eq!(status("any-good").await, 200);
    lab.assert_quiet().await;
}

/// What the configuration names and nobody has is the operator's mistake, and no caller's.
#[tokio::test(start_paused = true)]
async fn a_configured_model_that_is_missing_is_no_404() {
    let yaml = "
version: 1
upstreams: {a: {provider: custom, dialect: openai, base_url: 'http://a/v1'}}
routes:
  - {model: demo, channels: [{upstream: a, model: nobody}]}
  - {model: any-*, channels: [{upstream: a}]}
";
    let scribe = Scribe::saying(Said::json(200, ANSWER));
    scribe.refusing(b"nobody", Said::json(404, UNKNOWN));
    let lab = Lab::beside(yaml, &[("a", &scribe)]);
    assert_eq!(lab.send(&Ask::chat("demo")).await.status, 502);
    assert_eq!(lab.send(&Ask::chat("demo")).await.status, 503);
    assert_eq!(scribe.heard().len(), 1, "asked again in vain");
    lab.assert_quiet().await;
}

/// Gemini's `v1` has fewer models than `v1beta`, and both are asked.
#[tokio::test(start_paused = true)]
async fn what_one_version_of_an_api_lacks_is_not_held_against_the_other() {
    const HERE: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hi"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2}}"#;
    const LACKS: &str = r#"{"error":{"code":404,"message":"models/g-1 is not found for API version v1, or is not supported for generateContent.","status":"NOT_FOUND"}}"#;
    // Whom the file names is missed by its operator, whoever asks; what callers name is asked for once.
    for (route, lacks, heard) in [("g-*", 404, 4), ("g-1", 502, 6)] {
        let scribe = Scribe::saying(Said::json(200, HERE));
        scribe.refusing(b"in v1", Said::json(404, LACKS));
        let yaml = format!(
            "version: 1\nupstreams: {{g: {{provider: gemini, base_url: 'http://g', credentials: [a-key-of-a-test]}}}}\n\
             routes: [{{model: {route}, channels: [{{upstream: g}}]}}]\n"
        );
        let lab = Lab::beside(&yaml, &[("g", &scribe)]);
        let ask = |version: &str, said: &str| {
            let body = format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{said}"}}]}}]}}"#);
            Ask::post(&format!("/gemini/{version}/models/g-1:generateContent"), body)
        };
        for _ in 0..3 {
            for (version, said, status) in [("v1", "in v1", lacks), ("v1beta", "hi", 200)] {
                let answer = lab.send(&ask(version, said)).await;
                assert_eq!(answer.status, status, "{route} {version}: {}", answer.text());
            }
        }
        assert_eq!(scribe.heard().len(), heard, "{route}");
        lab.assert_quiet().await;
    }
}
