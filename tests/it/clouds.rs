//! Anthropic's SDKs in the modes that they have for clouds: what they ask is what they would ask of Anthropic, whoever
//! answers.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mainstay::dialect::{Framing, Splitter};
use serde_json::{Value, json};

use crate::lab::{Answer, Ask, End, Heard, Lab, Said, Scribe};

const YAML: &str = "
version: 1
access: keys
keys: {shop: {secret: '${LAB_SHOP}'}}
upstreams:
  claude: {provider: anthropic, base_url: 'http://claude', credentials: [k]}
  vertex: {provider: vertex, base_url: 'http://vertex/v1/projects/ours/locations/l', credentials: [ya29.t]}
  chat: {provider: custom, dialect: openai, base_url: 'http://chat', credentials: [k]}
routes:
  - {model: claude-a@20250929, channels: [{upstream: claude, model: claude-sonnet-4-5}]}
  - {model: 'claude/v;2', channels: [{upstream: vertex, model: claude-sonnet-4-5@20250929}]}
  - {model: claude-c, channels: [{upstream: chat, model: m}]}
";

/// Each of the routes, and how its name stands in a path.
const ROUTES: [(&str, &str, &str); 3] = [
    ("claude", "claude-a@20250929", "claude-a@20250929"),
    ("vertex", "claude/v;2", "claude%2Fv%3B2"),
    ("chat", "claude-c", "claude-c"),
];

const FLAGS: &str = "context-1m-2025-08-07,interleaved-thinking-2025-05-14";

struct Scene {
    lab: Lab,
    scribes: [(&'static str, Arc<Scribe>); 3],
}

impl Scene {
    fn new(said: impl Fn(&str) -> Said) -> Self {
        let scribes = ["claude", "vertex", "chat"].map(|name| (name, Scribe::saying(said(name))));
        let named: Vec<_> = scribes.iter().map(|(name, scribe)| (*name, scribe)).collect();
        Self { lab: Lab::beside(YAML, &named), scribes }
    }

    /// What came of it, and what the upstream heard, if it was asked.
    async fn send(&self, upstream: &str, ask: Ask) -> (Answer, Option<Heard>) {
        let ask = ask.header("authorization", "Bearer secret-of-LAB_SHOP");
        let answer = self.lab.send(&ask).await;
        let scribe = self.scribes.iter().find(|(name, _)| *name == upstream).map(|(_, scribe)| scribe);
        let scribe = scribe.expect("one of the scribes");
        let heard = if scribe.heard().is_empty() { None } else { Some(scribe.only()) };
        (answer, heard)
    }
}

fn body() -> Value {
    let tool = json!({"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}});
    json!({"max_tokens": 100, "messages": [{"role": "user", "content": "The weather in Oslo?"}], "tools": [tool], "x": 1.0})
}

fn with(mut body: Value, more: &[(&str, Value)]) -> String {
    for (name, value) in more {
        body[*name] = value.clone();
    }
    body.to_string()
}

/// A call of the tool, as each upstream says it.
fn call(upstream: &str, streamed: bool) -> Said {
    let events = |events: &[Value]| {
        let said = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
        Said::status(200)
            .header("content-type", "text/event-stream")
            .data(events.iter().map(said).collect::<String>())
    };
    let usage = json!({"input_tokens": 7, "output_tokens": 5});
    let block = json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}});
    match (upstream, streamed) {
        ("chat", false) => {
            let call = json!({"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}});
            let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
            Said::json(200, json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}).to_string())
        }
        ("chat", true) => {
            let call = json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}});
            let chunk = |choices: Value, usage: Value| format!("data: {}\n\n", json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, "usage": usage}));
            let text = chunk(json!([{"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}, "finish_reason": null}]), Value::Null)
                + &chunk(json!([{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]), Value::Null)
                + &chunk(json!([]), json!({"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}))
                + "data: [DONE]\n\n";
            Said::status(200).header("content-type", "text/event-stream").data(text)
        }
        (_, false) => Said::json(200, json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [block], "stop_reason": "tool_use", "stop_sequence": null, "usage": usage}).to_string()),
        (_, true) => events(&[
            json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 7, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{\"city\":\"Oslo\"}"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 5}}),
            json!({"type": "message_stop"}),
        ]),
    }
}

/// As its body and the headers that mean something stand.
fn gist(heard: &Heard) -> (String, Value, String, String) {
    let body = serde_json::from_slice(&heard.body).unwrap();
    let header = |name: &str| {
        heard.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(",")
    };
    (heard.uri.path().to_owned(), body, header("anthropic-version"), header("anthropic-beta"))
}

fn at_vertex(name: &str, verb: &str, body: String) -> Ask {
    Ask::post(&format!("/v1/projects/p/locations/us-east5/publishers/anthropic/models/{name}:{verb}"), body)
}

/// The law of all of this.
#[tokio::test(start_paused = true)]
async fn whoever_asks_vertex_gets_what_he_would_get_who_asks_anthropic() {
    for (upstream, model, name) in ROUTES {
        for streamed in [false, true] {
            let stream = ("stream", json!(streamed));
            let said = |name: &str| call(name, streamed);
            let own = with(body(), &[("model", json!(model)), stream.clone()]);
            let own = Ask::post("/v1/messages", own)
                .header("anthropic-version", "2023-06-01")
                .header("anthropic-beta", FLAGS);
            let (expected, told) = Scene::new(said).send(upstream, own).await;
            assert_eq!(expected.status, 200, "{upstream}: {}", expected.text());
            assert!(expected.text().contains("Oslo"), "{upstream}: {}", expected.text());

            let verb = if streamed { "streamRawPredict" } else { "rawPredict" };
            let version = ("anthropic_version", json!("vertex-2023-10-16"));
            let by_header = at_vertex(name, verb, with(body(), &[version.clone(), stream.clone()]));
            let flags: Vec<&str> = FLAGS.split(',').collect();
            let by_member = at_vertex(
                name,
                verb,
                with(body(), &[version, stream.clone(), ("anthropic_beta", json!(flags))]),
            );
            for ask in [
                by_header.header("anthropic-beta", FLAGS),
                by_member.clone(),
                by_member.header("anthropic-beta", FLAGS),
            ] {
                let scene = Scene::new(said);
                let (answer, heard) = scene.send(upstream, ask).await;
                assert_eq!(heard.as_ref().map(gist), told.as_ref().map(gist), "{upstream}");
                assert_eq!((answer.status, answer.text()), (expected.status, expected.text()), "{upstream}");
                assert_eq!(answer.header("content-type"), expected.header("content-type"), "{upstream}");
                let ended = [r#"dialect="anthropic""#, r#"outcome="ok""#];
                assert_eq!(scene.lab.metric_sum("mainstay_requests_total", &ended), 1.0);
                assert_eq!(scene.lab.metric_sum("mainstay_tokens_total", &[r#"kind="output""#]), 5.0);
                scene.lab.assert_quiet().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_counted_for_vertexs_callers() {
    let scene = Scene::new(|_| Said::json(200, r#"{"input_tokens":14}"#));
    for upstream in ["claude", "vertex"] {
        let (_, model, _) = ROUTES.into_iter().find(|(name, ..)| *name == upstream).unwrap();
        let count = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
        let ask = at_vertex(
            "count-tokens",
            "rawPredict",
            with(count, &[("anthropic_version", json!("2026-10-21"))]),
        );
        let (answer, heard) = scene.send(upstream, ask).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"input_tokens": 14})), "{upstream}");
        let heard = heard.expect("a question for a count");
        let body: Value = serde_json::from_slice(&heard.body).unwrap();
        if upstream == "claude" {
            let version = heard.header("anthropic-version");
            assert_eq!((heard.uri.path(), version), ("/v1/messages/count_tokens", "2026-10-21"));
            let question =
                json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "hello"}]});
            assert_eq!(body, question);
        } else {
            assert!(heard.uri.path().ends_with("/publishers/anthropic/models/count-tokens:rawPredict"));
            assert_eq!(body["anthropic_version"], "vertex-2023-10-16");
        }
    }
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn vertexs_callers_hear_of_errors_as_anthropics_do() {
    let scene = Scene::new(|_| {
        Said::json(429, r#"{"type":"error","error":{"type":"rate_limit_error","message":"slowly"}}"#)
            .header("retry-after", "400")
    });
    let said = |answer: &Answer| {
        (answer.status.as_u16(), answer.json()["error"]["type"].as_str().unwrap().to_owned())
    };
    let ask = |name: &str, more: &[(&str, Value)]| at_vertex(name, "rawPredict", with(body(), more));
    for upstream in ["claude", "chat"] {
        let (_, _, name) = ROUTES.into_iter().find(|(name, ..)| *name == upstream).unwrap();
        let (answer, _) = scene.send(upstream, ask(name, &[])).await;
        assert_eq!(said(&answer), (429, "rate_limit_error".to_owned()), "{upstream}: {}", answer.text());
    }
    let (answer, _) = scene.send("claude", ask("claude-x", &[])).await;
    assert_eq!(said(&answer), (404, "not_found_error".to_owned()));
    assert!(answer.text().contains("claude-c"), "{}", answer.text());
    for wrong in [("anthropic_version", json!(1)), ("anthropic_beta", json!({})), ("stream", json!(1))] {
        let (answer, heard) = scene.send("claude", ask("claude-c", std::slice::from_ref(&wrong))).await;
        assert_eq!(said(&answer), (400, "invalid_request_error".to_owned()), "{wrong:?}");
        assert!(answer.text().contains(wrong.0) && heard.is_none(), "{wrong:?}: {}", answer.text());
    }
    let (answer, _) = scene.send("claude", Ask { body: "{".into(), ..ask("claude-c", &[]) }).await;
    assert_eq!(said(&answer), (400, "invalid_request_error".to_owned()));
    let answer = scene.lab.send(&ask("claude-c", &[])).await;
    assert_eq!(said(&answer), (401, "authentication_error".to_owned()));
    let answer = scene
        .lab
        .send(&Ask::get("/v1/projects/p/locations/l/publishers/anthropic/models/claude-c:rawPredict"))
        .await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"));
}

#[tokio::test(start_paused = true)]
async fn a_path_route_that_was_written_for_vertexs_paths_goes_before() {
    let service = Scribe::saying(Said::json(200, "{}"));
    let yaml = format!("{YAML}  - {{path: /v1/projects/, access: open, channels: [{{upstream: own}}]}}\n")
        .replace("\nroutes:", "\n  own: {provider: http, base_url: 'http://own/v1/projects/'}\nroutes:");
    let lab = Lab::beside(&yaml, &[("own", &service)]);
    let asked = with(body(), &[("anthropic_version", json!("vertex-2023-10-16"))]);
    let answer = lab.send(&at_vertex("claude-c", "rawPredict", asked.clone())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(service.only().body, asked);
}

fn at_bedrock(name: &str, streamed: bool, body: String) -> Ask {
    let verb = if streamed { "invoke-with-response-stream" } else { "invoke" };
    Ask::post(&format!("/bedrock/model/{name}/{verb}"), body)
        .header("accept", "application/vnd.amazon.eventstream")
}

/// The events of chunks, and exceptions by their names.
fn messages(answer: &Answer) -> Vec<Value> {
    let mut splitter = Splitter::new(Framing::EventStream);
    splitter.push(answer.body.clone());
    let mut messages = Vec::new();
    while let Some(frame) = splitter.next().expect("sound messages") {
        let payload: Value = serde_json::from_slice(frame.data().unwrap()).unwrap();
        messages.push(match frame.event().unwrap() {
            b"chunk" => {
                serde_json::from_slice(&BASE64_STANDARD.decode(payload["bytes"].as_str().unwrap()).unwrap())
                    .unwrap()
            }
            name => json!({ String::from_utf8(name.to_vec()).unwrap(): payload }),
        });
    }
    messages
}

/// The same law.
#[tokio::test(start_paused = true)]
async fn whoever_invokes_at_bedrock_gets_what_he_would_get_who_asks_anthropic() {
    for (upstream, model, name) in ROUTES {
        for streamed in [false, true] {
            let said = |name: &str| call(name, streamed);
            let mut own = with(body(), &[("model", json!(model))]);
            if streamed {
                own = with(serde_json::from_str(&own).unwrap(), &[("stream", json!(true))]);
            }
            let own = Ask::post("/v1/messages", own)
                .header("anthropic-version", "2023-06-01")
                .header("anthropic-beta", FLAGS);
            let (expected, told) = Scene::new(said).send(upstream, own).await;
            assert_eq!(expected.status, 200, "{upstream}: {}", expected.text());

            let flags: Vec<&str> = FLAGS.split(',').collect();
            let more = [("anthropic_version", json!("bedrock-2023-05-31")), ("anthropic_beta", json!(flags))];
            let scene = Scene::new(said);
            let ask = at_bedrock(name, streamed, with(body(), &more));
            let (answer, heard) = scene.send(upstream, ask).await;
            assert_eq!(heard.as_ref().map(gist), told.as_ref().map(gist), "{upstream}");
            assert!(!heard.expect("a request").header("accept").contains("amazon"), "{upstream}");
            assert_eq!(answer.status, 200, "{upstream}");
            assert_ne!(answer.header("x-amzn-requestid"), "");
            if streamed {
                assert_eq!(answer.header("content-type"), "application/vnd.amazon.eventstream");
                assert_eq!((answer.header("content-length"), answer.end), ("", End::Clean));
                let mut events = messages(&answer);
                let last = events.last_mut().and_then(Value::as_object_mut).expect("a last one");
                let metrics = last.remove("amazon-bedrock-invocationMetrics").expect("its metrics");
                assert_eq!(
                    (&metrics["inputTokenCount"], &metrics["outputTokenCount"]),
                    (&json!(7), &json!(5))
                );
                assert_eq!(events, expected.events(), "{upstream}");
            } else {
                assert_eq!(answer.text(), expected.text(), "{upstream}");
                assert_eq!(answer.header("content-type"), "application/json");
                let counts = ["input", "output"].map(|kind| format!("x-amzn-bedrock-{kind}-token-count"));
                assert_eq!(counts.map(|name| answer.header(&name).to_owned()), ["7", "5"]);
            }
            let ended = [r#"dialect="anthropic""#, r#"outcome="ok""#];
            assert_eq!(scene.lab.metric_sum("mainstay_requests_total", &ended), 1.0);
            assert_eq!(scene.lab.metric_sum("mainstay_tokens_total", &[r#"kind="output""#]), 5.0);
            scene.lab.assert_quiet().await;
        }
    }
}

/// What AWS' SDKs know an error by.
fn amazons(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert_eq!(body["__type"], answer.header("x-amzn-errortype"), "{}", answer.text());
    assert!(body["message"].is_string(), "{}", answer.text());
    (answer.status.as_u16(), answer.header("x-amzn-errortype").to_owned())
}

#[tokio::test(start_paused = true)]
async fn bedrocks_callers_hear_of_errors_as_amazon_says_them() {
    let limited = r#"{"type":"error","error":{"type":"rate_limit_error","message":"slowly"}}"#;
    let scene = Scene::new(|_| Said::json(429, limited).header("retry-after", "400"));
    let ask = |name: &str, more: &[(&str, Value)]| at_bedrock(name, true, with(body(), more));
    for upstream in ["claude", "chat"] {
        let (_, _, name) = ROUTES.into_iter().find(|(name, ..)| *name == upstream).unwrap();
        let (answer, _) = scene.send(upstream, ask(name, &[])).await;
        assert_eq!(
            amazons(&answer),
            (429, "ThrottlingException".to_owned()),
            "{upstream}: {}",
            answer.text()
        );
    }
    let (answer, _) = scene.send("claude", ask("claude-x", &[])).await;
    assert_eq!(amazons(&answer), (404, "ResourceNotFoundException".to_owned()));
    assert!(answer.text().contains("claude-c"), "{}", answer.text());
    let titan = at_bedrock("claude-c", false, json!({"inputText": "hello"}).to_string());
    let (answer, heard) = scene.send("chat", titan).await;
    assert_eq!(amazons(&answer), (400, "ValidationException".to_owned()));
    assert!(answer.text().contains("Converse") && heard.is_none(), "{}", answer.text());
    let answer = scene.lab.send(&ask("claude-c", &[])).await;
    assert_eq!(amazons(&answer), (403, "MissingAuthenticationTokenException".to_owned()));
    let answer = scene.lab.send(&Ask::get("/model/claude-c/invoke")).await;
    assert_eq!(amazons(&answer), (405, "ValidationException".to_owned()));

    // What the upstream itself has against a request comes in Amazon's words as well.
    for (upstream, model) in [("claude", "claude-a@20250929"), ("chat", "claude-c")] {
        let wrong =
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too many"}}"#;
        let scene = Scene::new(|_| Said::json(400, wrong));
        let (answer, _) = scene.send(upstream, ask(model, &[])).await;
        assert_eq!(amazons(&answer), (400, "ValidationException".to_owned()), "{upstream}");
        assert!(
            answer.json()["message"].as_str().unwrap().contains("max_tokens: too many"),
            "{}",
            answer.text()
        );
        scene.lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_ends_with_an_exception_and_a_cut() {
    let begin = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Oslo\"}}\n\n";
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n";
    for rest in ["", error] {
        let events = format!("{begin}{rest}");
        let scene = Scene::new(|_| {
            Said::status(200).header("content-type", "text/event-stream").data(events.clone())
        });
        let (answer, _) =
            scene.send("claude", at_bedrock("claude-a@20250929", true, body().to_string())).await;
        assert_eq!((answer.status.as_u16(), answer.end), (200, End::Cut));
        let messages = messages(&answer);
        assert_eq!(messages.len(), 4, "{messages:?}");
        assert!(
            messages[3]
                .get("serviceUnavailableException")
                .or(messages[3].get("internalServerException"))
                .is_some(),
            "{messages:?}"
        );
        scene.lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_goes_out_early_is_amazons_too() {
    let yaml = "
version: 1
upstreams: {slow: {provider: simulated, simulated: {ttft: 5s}}}
routes: [{model: late, early_commit: 1s, channels: [{upstream: slow}]}]
";
    let lab = Lab::start(yaml);
    let answer = lab.send(&at_bedrock("late", true, body().to_string())).await;
    assert_eq!((answer.status.as_u16(), answer.end), (200, End::Clean));
    assert_eq!(answer.header("content-type"), "application/vnd.amazon.eventstream");
    assert_eq!(messages(&answer).last().unwrap()["type"], "message_stop");
    lab.assert_quiet().await;
}
