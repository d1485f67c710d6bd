//! Requests that not every channel can take: what cannot be said in another dialect, what a model lacks,
//! and prompts that are too long for it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::lab::{Answer, Ask, Lab, Said, Scribe};

const UPSTREAMS: &str = "
  claude: {provider: custom, dialect: anthropic, base_url: 'http://claude'}
  gemini: {provider: custom, dialect: gemini, base_url: 'http://gemini'}
  cohere: {provider: custom, dialect: cohere, base_url: 'http://cohere'}
  chat: {provider: openai, dialect: openai, base_url: 'http://chat/v1', credentials: [sk-a-key-of-a-test]}
";

/// A gateway before scribes that answer in their own dialect.
struct Scene {
    lab: Lab,
    scribes: Vec<(&'static str, Arc<Scribe>)>,
}

impl Scene {
    fn new(rest: &str) -> Self {
        let said = |name: &str| {
            let body = match name {
                "claude" => json!({"id": "m", "type": "message", "role": "assistant", "model": "m",
                    "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn",
                    "usage": {"input_tokens": 1, "output_tokens": 1}}),
                "gemini" => {
                    json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]},
                    "finishReason": "STOP"}]})
                }
                "cohere" => json!({"id": "c", "finish_reason": "COMPLETE",
                    "message": {"role": "assistant", "content": [{"type": "text", "text": "hello"}]}}),
                _ => json!({"id": "c", "object": "chat.completion", "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]}),
            };
            Said::json(200, body.to_string())
        };
        let scribes = ["claude", "gemini", "cohere", "chat"].map(|name| (name, Scribe::saying(said(name))));
        let beside: Vec<_> = scribes.iter().map(|(name, scribe)| (*name, scribe)).collect();
        let yaml = format!("version: 1\nupstreams:{UPSTREAMS}{rest}");
        Self { lab: Lab::beside(&yaml, &beside), scribes: scribes.to_vec() }
    }

    /// The answer, and who heard of the request, in their order here.
    async fn send(&self, ask: &Ask) -> (Answer, String) {
        let answer = self.lab.send(ask).await;
        let heard: Vec<&str> = self
            .scribes
            .iter()
            .filter(|(_, scribe)| !scribe.heard().is_empty())
            .map(|(name, scribe)| {
                scribe.only();
                *name
            })
            .collect();
        (answer, heard.join(" "))
    }
}

/// A chat request with these members more.
fn chat(more: &Value) -> Ask {
    let mut body = json!({"model": "demo", "messages": [{"role": "user", "content": "hello"}]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    Ask::post("/v1/chat/completions", body.to_string())
}

/// Two things that Anthropic's dialect cannot say.
fn odd() -> Ask {
    chat(&json!({"logit_bias": {"7": 1}, "seed": 7}))
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_said_is_named_unless_the_route_says_otherwise() {
    let to_claude = "[{upstream: claude, model: m}]";
    for (policy, header) in
        [("", "logit_bias,seed"), (", unsupported: warn", "logit_bias,seed"), (", unsupported: drop", "")]
    {
        let scene = Scene::new(&format!("routes: [{{model: demo{policy}, channels: {to_claude}}}]"));
        let (answer, heard) = scene.send(&odd()).await;
        assert_eq!((answer.status.as_u16(), &*heard), (200, "claude"), "{policy}: {}", answer.text());
        let mut names: Vec<&str> = answer.header("x-mainstay-dropped").split(',').collect();
        names.sort_unstable();
        assert_eq!(names.join(","), header, "{policy}");
        let (answer, _) = scene.send(&chat(&json!({}))).await;
        assert_eq!(answer.header("x-mainstay-dropped"), "", "{policy}");
    }
    // For all routes at once, and one that is an exception.
    let scene = Scene::new(&format!(
        "defaults: {{unsupported: reject}}\nroutes: [{{model: demo, channels: {to_claude}}}, {{model: free, unsupported: drop, channels: {to_claude}}}]"
    ));
    assert_eq!(scene.send(&odd()).await.0.status, 400);
    let free = Ask::post(
        "/v1/chat/completions",
        String::from_utf8(odd().body.to_vec()).unwrap().replace("demo", "free"),
    );
    assert_eq!(scene.send(&free).await.0.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_route_that_rejects_names_the_fields_and_asks_nobody() {
    let scene =
        Scene::new("routes: [{model: demo, unsupported: reject, channels: [{upstream: claude, model: m}]}]");
    let (answer, heard) = scene.send(&odd()).await;
    assert_eq!((answer.status.as_u16(), &*heard), (400, ""), "{}", answer.text());
    let error = &answer.json()["error"];
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("logit_bias") && message.contains("seed"), "{message}");
    assert!(message.contains("leave") && message.contains("unsupported: warn"), "{message}");
    assert!(["logit_bias", "seed"].contains(&error["param"].as_str().unwrap()), "{error}");
    assert_eq!(scene.send(&chat(&json!({"temperature": 0.5}))).await.1, "claude");
    assert_eq!(scene.lab.metric_sum("mainstay_requests_total", &["outcome=\"client_fault\""]), 1.0);
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_can_say_it_takes_a_request_that_others_would_reject() {
    // More of the others than `retry.max_attempts`: what was never sent is no attempt.
    let channels = "[{upstream: claude, model: m}, {upstream: claude, model: n}, {upstream: claude, model: o}, {upstream: claude, model: p}, {upstream: chat, model: gpt-4.1, tier: 2}]";
    let scene = Scene::new(&format!("routes: [{{model: demo, unsupported: reject, channels: {channels}}}]"));
    let (answer, heard) = scene.send(&odd()).await;
    assert_eq!((answer.status.as_u16(), &*heard), (200, "chat"), "{}", answer.text());
    assert_eq!(scene.send(&chat(&json!({}))).await.1, "claude");
    scene.lab.assert_quiet().await;
}

/// A picture in each dialect.
fn pictures() -> [(&'static str, Ask); 4] {
    let image = "iVBORw0KGgo=";
    let link = format!("data:image/png;base64,{image}");
    [
        ("openai", chat(&json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": link}}]}]}))),
        ("responses", Ask::post("/v1/responses", json!({"model": "demo", "store": false, "input": [{"role": "user", "content": [{"type": "input_image", "image_url": link}]}]}).to_string())),
        ("anthropic", Ask::post("/anthropic/v1/messages", json!({"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": image}}]}]}).to_string())),
        ("gemini", Ask::post("/gemini/v1beta/models/demo:generateContent", json!({"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": image}}]}]}).to_string())),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_picture_goes_to_a_model_that_can_see_or_nowhere() {
    let blind = "{upstream: chat, model: o3-mini}";
    let scene = Scene::new(&format!("routes: [{{model: demo, channels: [{blind}]}}]"));
    for (dialect, ask) in pictures() {
        let (answer, heard) = scene.send(&ask).await;
        assert_eq!((answer.status.as_u16(), &*heard), (400, ""), "{dialect}: {}", answer.text());
        assert!(answer.text().contains("vision"), "{dialect}: {}", answer.text());
    }
    assert_eq!(scene.send(&chat(&json!({}))).await.1, "chat");
    let refused = scene.lab.metric_sum("mainstay_requests_total", &["outcome=\"client_fault\""]);
    assert_eq!(refused, 4.0);
    scene.lab.assert_quiet().await;

    let scene = Scene::new(&format!(
        "routes: [{{model: demo, channels: [{blind}, {{upstream: claude, model: m, tier: 2}}]}}]"
    ));
    for (dialect, ask) in pictures() {
        let (answer, heard) = scene.send(&ask).await;
        assert_eq!((answer.status.as_u16(), &*heard), (200, "claude"), "{dialect}: {}", answer.text());
    }
    assert_eq!(scene.send(&chat(&json!({}))).await.1, "chat");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_never_reasons_is_not_asked_to() {
    let asked = json!({"model": "demo", "max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [{"role": "user", "content": "hello"}]});
    for (speaks, path) in [(", dialect: openai", "/v1/chat/completions"), ("", "/v1/responses")] {
        let routing = format!(
            "version: 1\nupstreams: {{far: {{provider: openai{speaks}, base_url: 'http://far/v1', credentials: [k]}}}}\nroutes: [{{model: demo, channels: [{{upstream: far, model: gpt-4.1}}]}}]"
        );
        let said = match path {
            "/v1/responses" => {
                json!({"id": "r", "object": "response", "status": "completed", "model": "m", "output": [
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hello"}]}]})
            }
            _ => json!({"id": "c", "object": "chat.completion", "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]}),
        };
        let scribe = Scribe::saying(Said::json(200, said.to_string()));
        let lab = Lab::beside(&routing, &[("far", &scribe)]);
        let answer = lab.send(&Ask::post("/anthropic/v1/messages", asked.to_string())).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let heard = scribe.only();
        let body: Value = serde_json::from_slice(&heard.body).unwrap();
        assert_eq!(heard.uri.path(), path);
        for member in ["reasoning", "reasoning_effort", "include"] {
            assert_eq!(body.get(member), None, "{path}: {body}");
        }
        assert_eq!(answer.header("x-mainstay-dropped"), "reasoning_effort", "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_with_stop_sequences_goes_by_chat_to_a_model_that_does_not_reason() {
    let chat = json!({"id": "c", "object": "chat.completion", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]});
    let response = json!({"id": "r", "object": "response", "status": "completed", "model": "m", "output": [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hello"}]}]});
    let turns = json!([{"role": "user", "content": "count to ten"}]);
    let anthropic = |stops: Value| {
        let body = json!({"model": "demo", "max_tokens": 9, "stop_sequences": stops, "messages": turns});
        Ask::post("/anthropic/v1/messages", body.to_string())
    };
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "count to ten"}]}],
        "generationConfig": {"stopSequences": ["five"]}});
    let gemini = Ask::post("/gemini/v1beta/models/demo:generateContent", gemini.to_string());
    let stops = || anthropic(json!(["five"]));
    for (model, ask, path, told) in [
        ("gpt-4.1", stops(), "/v1/chat/completions", Some(json!(["five"]))),
        ("gpt-4.1", gemini, "/v1/chat/completions", Some(json!(["five"]))),
        // It is heeded here (`stopped`).
        ("gpt-5.1", stops(), "/v1/responses", None),
    ] {
        let routing = format!(
            "version: 1\nupstreams: {{far: {{provider: openai, base_url: 'http://far/v1', credentials: [k]}}}}\nroutes: [{{model: demo, channels: [{{upstream: far, model: {model}}}]}}]"
        );
        let said = if path == "/v1/responses" { &response } else { &chat };
        let scribe = Scribe::saying(Said::json(200, said.to_string()));
        let lab = Lab::beside(&routing, &[("far", &scribe)]);
        let answer = lab.send(&ask).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        let heard = scribe.only();
        let body: Value = serde_json::from_slice(&heard.body).unwrap();
        assert_eq!(heard.uri.path(), path);
        assert_eq!(body.get("stop"), told.as_ref(), "{model}: {body}");
        assert_eq!(answer.header("x-mainstay-dropped"), "", "{model}");
    }
}

/// A chat that its first channel fails, at the second one, which is of this provider and model.
async fn heard_after_failover(provider: &str, model: &str, body: &str) -> String {
    let yaml = format!(
        "version: 1\nupstreams:\n  own: {{provider: custom, dialect: openai, base_url: 'http://own/v1', probe: {{kind: 'off'}}}}\n  far: {{provider: {provider}, dialect: openai, base_url: 'http://far/v1', credentials: [sk-a-key-of-a-test]}}\nroutes: [{{model: demo, channels: [{{upstream: own, model: qwen3}}, {{upstream: far, model: {model}, tier: 2}}]}}]"
    );
    let good = json!({"id": "c", "object": "chat.completion", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]});
    let (own, far) = (Scribe::saying(Said::status(503)), Scribe::saying(Said::json(200, good.to_string())));
    let lab = Lab::beside(&yaml, &[("own", &own), ("far", &far)]);
    let answer = lab.send(&Ask::post("/v1/chat/completions", body.to_owned())).await;
    assert_eq!(answer.status, 200, "{provider} {model}: {}", answer.text());
    assert_eq!(answer.header("x-mainstay-dropped"), "", "{provider} {model}");
    let first = own.heard().first().map(|heard| String::from_utf8_lossy(&heard.body).into_owned());
    assert_eq!(first, Some(body.replace("demo", "qwen3")));
    String::from_utf8_lossy(&far.only().body).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_limit_by_its_older_name_reaches_a_model_that_reasons_by_the_newer_one() {
    let older = r#"{"model":"demo", "max_tokens" : 9,"messages":[{"role":"user","content":"hello"}]}"#;
    let newer = older.replace("max_tokens", "max_completion_tokens");
    for (provider, model, expected) in [
        ("openai", "gpt-5.4-mini", &*newer),
        ("azure", "a-deployment", &newer),
        ("openai", "gpt-4.1", older),
        ("deepseek", "deepseek-reasoner", older),
        ("custom", "gpt-5.4-mini", older),
    ] {
        let heard = heard_after_failover(provider, model, older).await;
        assert_eq!(heard, expected.replace("demo", model), "{provider} {model}");
    }
    let both = newer.replace("{\"model", "{\"max_tokens\":8,\"model");
    let heard = heard_after_failover("openai", "gpt-5.4-mini", &both).await;
    assert_eq!(heard, both.replace("demo", "gpt-5.4-mini"));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_is_too_long_moves_to_a_model_with_a_larger_window() {
    let too_long = || {
        let body = json!({"error": {"message": "This model's maximum context length is 8192 tokens.",
            "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}});
        Said::json(400, body.to_string())
    };
    let channels = "[{upstream: chat, model: gpt-4}, {upstream: small, model: gpt-4, tier: 2}, {upstream: large, model: gpt-4.1, tier: 3}]";
    let yaml = format!(
        "version: 1\nupstreams:\n  chat: {{provider: openai, dialect: openai, base_url: 'http://chat/v1', credentials: [sk-a]}}\n  small: {{provider: openai, dialect: openai, base_url: 'http://small/v1', credentials: [sk-b]}}\n  large: {{provider: openai, dialect: openai, base_url: 'http://large/v1', credentials: [sk-c]}}\nroutes: [{{model: demo, channels: {channels}}}]"
    );
    let good = json!({"id": "c", "object": "chat.completion", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]});
    let (chat, small, large) = (
        Scribe::saying(too_long()),
        Scribe::saying(too_long()),
        Scribe::saying(Said::json(200, good.to_string())),
    );
    let lab = Lab::beside(&yaml, &[("chat", &chat), ("small", &small), ("large", &large)]);
    for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
        // In one piece, as the scribe answers.
        let path = ask.path.replace(":streamGenerateContent?alt=sse", ":generateContent");
        let body = String::from_utf8(ask.body.to_vec())
            .unwrap()
            .replace("\"stream\":true,", "")
            .replace("\"stream_options\":{\"include_usage\":true},", "");
        let answer = lab.send(&Ask::post(&path, body)).await;
        assert_eq!(answer.status, 200, "{dialect}: {}", answer.text());
        chat.only();
        large.only();
        assert!(small.heard().is_empty(), "{dialect}: a window of the same size is no help");
    }
    // No window is large enough: the caller learns it in the words that his SDK knows.
    large.say(too_long());
    for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
        let answer = lab.send(&ask).await;
        assert_eq!(answer.status, 400, "{dialect}: {}", answer.text());
        assert!(answer.text().contains("maximum context length"), "{dialect}: {}", answer.text());
    }
    assert_eq!(lab.breaker("chat", "gpt-4"), "closed");
    lab.assert_quiet().await;
}
