//! Conversations that go on at another vendor or model, in the caller's own dialect: what earlier answers left in them,
//! and what was asked of another model, reaches nobody who refuses it. All else passes byte for byte.

use serde_json::{Value, json};

use crate::lab::{Answer, Ask, Heard, Lab, Said, Scribe};

const MESSAGE: &str = r#"{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
const CHAT: &str = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}"#;
const CONVERSE: &str = r#"{"output":{"message":{"role":"assistant","content":[{"text":"hello"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}"#;

/// What an upstream of this provider hears of the request, beside one that is down where `models` are two.
async fn heard(provider: &str, models: &[&str], answer: &'static str, ask: &Ask) -> (Answer, Heard) {
    let (down, up) = (Scribe::saying(Said::status(503)), Scribe::saying(Said::json(200, answer)));
    let channels = match models {
        [first, second] => {
            format!("{{upstream: down, model: {first}}}, {{upstream: up, model: '{second}', tier: 1}}")
        }
        _ => format!("{{upstream: up, model: '{}'}}", models[0]),
    };
    let yaml = format!(
        "
version: 1
upstreams:
  down: {{provider: {provider}, base_url: 'http://down', credentials: [k], aws_region: us-east-1}}
  up: {{provider: {provider}, base_url: 'http://up', credentials: [k], aws_region: us-east-1}}
routes: [{{model: demo, channels: [{channels}]}}]
"
    );
    let yaml = if provider == "bedrock" { yaml } else { yaml.replace(", aws_region: us-east-1", "") };
    let in_project = |yaml: &str| yaml.replace("up', cred", "up/v1/projects/p/locations/l', cred");
    let yaml = if provider == "vertex" { in_project(&yaml.replace("//down'", "//up'")) } else { yaml };
    let lab = Lab::beside(&yaml, &[("down", &down), ("up", &up)]);
    let answer = lab.send(ask).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    (answer, up.only())
}

fn message(more: &Value) -> Ask {
    let mut body =
        json!({"model": "demo", "max_tokens": 32_000, "messages": [{"role": "user", "content": "hello"}]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    Ask::post("/anthropic/v1/messages", body.to_string()).header("anthropic-version", "2023-06-01")
}

#[tokio::test(start_paused = true)]
async fn another_model_of_the_dialect_is_asked_for_what_it_takes() {
    let thinking = json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}});
    let (answer, up) =
        heard("anthropic", &["claude-opus-4-7", "claude-sonnet-4-5"], MESSAGE, &message(&thinking)).await;
    let body: Value = serde_json::from_slice(&up.body).unwrap();
    assert_eq!((&body["thinking"]["type"], &body["output_config"]), (&json!("enabled"), &Value::Null));
    assert_eq!(answer.header("x-mainstay-dropped"), "output_config.effort,thinking");
    // Whoever asks for one model gets that model's own answer to what he said.
    let (answer, up) = heard("anthropic", &["claude-sonnet-4-5"], MESSAGE, &message(&thinking)).await;
    let body: Value = serde_json::from_slice(&up.body).unwrap();
    assert_eq!((&body["thinking"]["type"], answer.header("x-mainstay-dropped")), (&json!("adaptive"), ""));
}

#[tokio::test(start_paused = true)]
async fn a_strict_vendor_hears_nothing_that_others_left_in_a_chat() {
    let chat = |assistant: &str| {
        let body = format!(
            r#"{{"model":"demo" ,"messages":[{{"role":"user","content":"a"}},{assistant},{{"role":"user","content":"b"}}]}}"#
        );
        Ask::post("/v1/chat/completions", body)
    };
    let plain = chat(r#"{"role":"assistant","content":"c"}"#);
    let told = chat(r#"{"role":"assistant","content":"c","reasoning_content":"d"}"#);
    for (provider, ask, passes) in [
        ("mistral", &plain, true),
        ("groq", &told, false),
        ("mistral", &told, false),
        ("deepseek", &told, true),
    ] {
        let (_, up) = heard(provider, &["demo"], CHAT, ask).await;
        assert_eq!(up.body == ask.body, passes, "{provider}");
        let body: Value = serde_json::from_slice(&up.body).unwrap();
        assert!(passes || body["messages"][1].get("reasoning_content").is_none(), "{provider}: {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn mistral_is_not_asked_for_what_it_tells_anyway() {
    let body = r#"{"model":"demo","stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":9,"messages":[{"role":"user","content":"a"}]}"#;
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let up = Scribe::saying(Said::status(200).header("content-type", "text/event-stream").data(stream));
    let yaml = "
version: 1
upstreams: {up: {provider: mistral, base_url: 'http://up', credentials: [k]}}
routes: [{model: demo, channels: [{upstream: up, model: m}]}]
";
    let lab = Lab::beside(yaml, &[("up", &up)]);
    let answer = lab.send(&Ask::post("/v1/chat/completions", body)).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, stream));
    let heard: Value = serde_json::from_slice(&up.only().body).unwrap();
    assert_eq!((heard.get("stream_options"), &heard["max_tokens"]), (None, &json!(9)));
}

#[tokio::test(start_paused = true)]
async fn all_lines_of_betas_are_heard_and_each_host_hears_its_own() {
    let ask = message(&json!({}))
        .header("anthropic-beta", "context-1m-2025-08-07")
        .header("anthropic-beta", "claude-code-20250219");
    let (_, up) = heard("anthropic", &["claude-opus-4-7"], MESSAGE, &ask).await;
    assert_eq!(up.header("anthropic-beta"), "context-1m-2025-08-07,claude-code-20250219");
    let (answer, up) = heard("bedrock", &["us.anthropic.claude-opus-4-7"], CONVERSE, &ask).await;
    let body: Value = serde_json::from_slice(&up.body).unwrap();
    assert_eq!(body["additionalModelRequestFields"]["anthropic_beta"], json!(["context-1m-2025-08-07"]));
    assert_eq!(
        (up.header("anthropic-beta"), answer.header("x-mainstay-dropped")),
        ("", "claude-code-20250219")
    );
}

#[tokio::test(start_paused = true)]
async fn members_go_with_the_betas_that_they_belong_to() {
    let mark = json!({"type": "ephemeral", "scope": "global", "ttl": "1h"});
    let tool = json!({"name": "f", "cache_control": mark,
        "input_schema": {"type": "object", "properties": {"cache_control": {"scope": 1.0}, "speed": {}}}});
    let more = json!({"speed": "fast", "diagnostics": {"previous_message_id": "msg_x"}, "tools": [tool],
        "system": [{"type": "text", "text": "speed", "cache_control": mark}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": mark}]}]});
    let flags = "prompt-caching-scope-2026-01-05,cache-diagnosis-2026-04-07,fast-mode-2026-02-01";
    let ask = message(&more).header("anthropic-beta", flags);
    // Where the flags go, all goes.
    let (answer, up) = heard("anthropic", &["claude-opus-4-7"], MESSAGE, &ask).await;
    let body: Value = serde_json::from_slice(&up.body).unwrap();
    assert_eq!((&body["system"][0]["cache_control"], &body["speed"]), (&mark, &json!("fast")));
    assert_eq!(answer.header("x-mainstay-dropped"), "");
    let (answer, up) = heard("vertex", &["claude-opus-4-7"], MESSAGE, &ask).await;
    let body: Value = serde_json::from_slice(&up.body).unwrap();
    let left = json!({"type": "ephemeral", "ttl": "1h"});
    assert_eq!((body.get("speed"), body.get("diagnostics")), (None, None), "{body}");
    assert_eq!((&body["system"][0]["cache_control"], &body["system"][0]["text"]), (&left, &json!("speed")));
    assert_eq!(body["messages"][0]["content"][0]["cache_control"], left);
    assert_eq!(body["tools"][0]["cache_control"], left);
    assert_eq!(body["tools"][0]["input_schema"], more["tools"][0]["input_schema"]);
    assert!(String::from_utf8_lossy(&up.body).contains("1.0"));
    assert_eq!(up.header("anthropic-beta"), "");
    assert_eq!(answer.header("x-mainstay-dropped"), format!("speed,diagnostics,cache_control.scope,{flags}"));
    // What belongs to none of them is the caller's own affair.
    let alone = message(&json!({"speed": "fast"})).header("anthropic-beta", "context-1m-2025-08-07");
    let (_, up) = heard("vertex", &["claude-opus-4-7"], MESSAGE, &alone).await;
    assert!(String::from_utf8_lossy(&up.body).contains("fast"));
}

#[tokio::test(start_paused = true)]
async fn claudes_callers_are_told_googles_errors_in_anthropics_words() {
    let refused = |body: &'static str| async move {
        let up = Scribe::saying(Said::json(400, body));
        let yaml = "
version: 1
upstreams: {up: {provider: vertex, base_url: 'http://up/v1/projects/p/locations/l', credentials: [ya29.t]}}
routes: [{model: demo, channels: [{upstream: up, model: claude-opus-4-7}]}]
";
        let lab = Lab::beside(yaml, &[("up", &up)]);
        let answer = lab.send(&message(&json!({}))).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        serde_json::from_str::<Value>(answer.text()).unwrap()
    };
    for googles in [
        r#"[{"error":{"code":400,"message":"Request contains an invalid argument.","status":"INVALID_ARGUMENT"}}]"#,
        r#"{"error":{"code":400,"message":"Request contains an invalid argument.","status":"INVALID_ARGUMENT"}}"#,
    ] {
        let told = refused(googles).await;
        assert_eq!(
            (&told["type"], &told["error"]["type"]),
            (&json!("error"), &json!("invalid_request_error"))
        );
        assert_eq!(told["error"]["message"], "Request contains an invalid argument.");
    }
    let own =
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too many","x":1}}"#;
    assert_eq!(refused(own).await.to_string(), serde_json::from_str::<Value>(own).unwrap().to_string());
}

#[tokio::test(start_paused = true)]
async fn claude_behind_an_inference_profile_is_asked_as_claude_where_the_operator_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3";
    let models = format!("providers: {{bedrock: {{'{arn}': {{like: us.anthropic.claude-opus-4-7}}}}}}");
    let file = folder.path().join("models.yaml");
    std::fs::write(&file, models).unwrap();
    let up = Scribe::saying(Said::json(200, CONVERSE));
    let yaml = format!(
        "
version: 1
catalog: {{file: '{}'}}
upstreams: {{up: {{provider: bedrock, base_url: 'http://up', credentials: [k], aws_region: us-east-1}}}}
routes: [{{model: demo, channels: [{{upstream: up, model: '{arn}'}}]}}]
",
        file.display()
    );
    let lab = Lab::beside(&yaml, &[("up", &up)]);
    let ask = message(&json!({"thinking": {"type": "adaptive"}, "system":
        [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]}));
    let answer = lab.send(&ask).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-mainstay-dropped")), (200, ""), "{}", answer.text());
    let sent = up.only();
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body["system"][1]["cachePoint"]["type"], "default", "{body}");
    assert_eq!(body["additionalModelRequestFields"]["thinking"]["type"], "adaptive", "{body}");
    assert!(sent.uri.path().contains("application-inference-profile"), "{}", sent.uri);
}

#[tokio::test(start_paused = true)]
async fn a_budget_gives_way_to_another_models_calls() {
    let ask = message(&json!({"thinking": {"type": "enabled", "budget_tokens": 2_000}, "messages": [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call_1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "1"}]}]}));
    let (answer, up) = heard("anthropic", &["claude-sonnet-4-5"], MESSAGE, &ask).await;
    let body: Value = serde_json::from_slice(&up.body).unwrap();
    assert_eq!((body.get("thinking"), answer.header("x-mainstay-dropped")), (None, "thinking"));
}
