//! What goes up when another channel is asked to go on, to the byte; and streams that callers of Cohere and Bedrock,
//! and upstreams of Ollama's dialect, had begun in their own words.

use bytes::Bytes;
use http::StatusCode;
use mainstay::dialect::framing::eventstream::{MessageKind, message};
use serde_json::{Value, json};

use crate::lab::{Answer, Ask, End, Lab, Said, Scribe, Step};

/// What the first leg says, in pieces; it breaks in the middle of a line.
const BEGUN: [&str; 3] = ["One two three ", "four five six seven ", "eight nine ten "];
/// What was wanted from the others.
const REST: &str = "eleven twelve.";
/// The end of [`BEGUN`] that is to be repeated: as many whole characters as an anchor has.
const ANCHOR: &str = "three four five six seven eight nine ten";

const COUNT: &str = r#"{"model":"demo","stream":true,"messages":[{"role":"user","content":"count"}]}"#;

fn begun() -> String {
    BEGUN.concat()
}

fn yaml(first: &str, then: &str, model: &str) -> String {
    format!(
        "
version: 1
upstreams:
  a: {{provider: custom, dialect: {first}, base_url: 'http://a'}}
  b: {{{then}, credentials: [k]}}
routes:
  - model: demo
    continuation: any
    timeouts: {{idle: 3s}}
    channels: [{{upstream: a, model: theirs}}, {{upstream: b, model: {model}, tier: 1}}]
"
    )
}

/// How a leg ends.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    Well,
    /// The transport is whole, the dialect's end is missing.
    Early,
    /// Silence.
    Never,
}

/// A stream of one dialect that says `pieces`.
fn stream(dialect: &str, pieces: &[&str], ends: Ends) -> Said {
    let ((kind, mut frames), last) = match dialect {
        "openai" => (openai(pieces), openai_end()),
        "anthropic" => (anthropic(pieces), anthropic_end()),
        "cohere" => (cohere(pieces), cohere_end()),
        "bedrock" => (bedrock(pieces), bedrock_end()),
        "ollama" => (ollama(pieces), ollama_end()),
        other => panic!("no stream of {other}"),
    };
    if ends == Ends::Well {
        frames.extend(last);
    }
    let said = frames
        .into_iter()
        .fold(Said::status(200).header("content-type", kind), |said, frame| said.data(Bytes::from(frame)));
    if ends == Ends::Never { said.step(Step::Hang) } else { said }
}

type Frames = Vec<Vec<u8>>;

const SSE: &str = "text/event-stream";

fn event(name: &str, data: &Value) -> Vec<u8> {
    let name = if name.is_empty() { String::new() } else { format!("event: {name}\n") };
    format!("{name}data: {data}\n\n").into_bytes()
}

fn openai_chunk(delta: &Value, finish: Option<&str>) -> Vec<u8> {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    event(
        "",
        &json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}),
    )
}

fn openai(pieces: &[&str]) -> (&'static str, Frames) {
    let first = openai_chunk(&json!({"role": "assistant", "content": ""}), None);
    let rest = pieces.iter().map(|piece| openai_chunk(&json!({"content": piece}), None));
    (SSE, std::iter::once(first).chain(rest).collect())
}

fn openai_end() -> Frames {
    let counts = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    let usage = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
        "usage": counts});
    vec![openai_chunk(&json!({}), Some("stop")), event("", &usage), b"data: [DONE]\n\n".to_vec()]
}

fn anthropic(pieces: &[&str]) -> (&'static str, Frames) {
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "m", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 3, "output_tokens": 1}}});
    let block =
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let mut frames = vec![event("message_start", &start), event("content_block_start", &block)];
    frames.extend(pieces.iter().map(|piece| {
        let delta = json!({"type": "text_delta", "text": piece});
        event("content_block_delta", &json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    }));
    (SSE, frames)
}

fn anthropic_end() -> Frames {
    let delta = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": 2}});
    vec![
        event("content_block_stop", &json!({"type": "content_block_stop", "index": 0})),
        event("message_delta", &delta),
        event("message_stop", &json!({"type": "message_stop"})),
    ]
}

fn cohere(pieces: &[&str]) -> (&'static str, Frames) {
    let content = |inner: Value| json!({"message": {"content": inner}});
    let start = json!({"id": "c14c80c3", "type": "message-start", "delta": {"message": {"role": "assistant",
        "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}});
    let open =
        json!({"type": "content-start", "index": 0, "delta": content(json!({"type": "text", "text": ""}))});
    let mut frames = vec![event("message-start", &start), event("content-start", &open)];
    frames.extend(pieces.iter().map(|piece| {
        let delta = content(json!({"text": piece}));
        event("content-delta", &json!({"type": "content-delta", "index": 0, "delta": delta}))
    }));
    (SSE, frames)
}

fn cohere_end() -> Frames {
    let usage = json!({"billed_units": {"input_tokens": 3, "output_tokens": 2},
        "tokens": {"input_tokens": 3, "output_tokens": 2}});
    vec![
        event("content-end", &json!({"type": "content-end", "index": 0})),
        event(
            "message-end",
            &json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}}),
        ),
    ]
}

fn bedrock_event(name: &str, data: &Value) -> Vec<u8> {
    let mut frame = Vec::new();
    message(name, MessageKind::Event, data.to_string().as_bytes(), &mut frame);
    frame
}

fn bedrock(pieces: &[&str]) -> (&'static str, Frames) {
    let mut frames = vec![bedrock_event("messageStart", &json!({"role": "assistant"}))];
    frames.extend(pieces.iter().map(|piece| {
        bedrock_event("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"text": piece}}))
    }));
    ("application/vnd.amazon.eventstream", frames)
}

fn bedrock_end() -> Frames {
    let usage = json!({"inputTokens": 3, "outputTokens": 2, "totalTokens": 5});
    vec![
        bedrock_event("contentBlockStop", &json!({"contentBlockIndex": 0})),
        bedrock_event("messageStop", &json!({"stopReason": "end_turn"})),
        bedrock_event("metadata", &json!({"usage": usage, "metrics": {"latencyMs": 1}})),
    ]
}

fn ollama_line(text: &str, more: &Value) -> Vec<u8> {
    let mut line = json!({"model": "m", "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": text}, "done": false});
    for (key, value) in more.as_object().into_iter().flatten() {
        line[key] = value.clone();
    }
    format!("{line}\n").into_bytes()
}

fn ollama(pieces: &[&str]) -> (&'static str, Frames) {
    ("application/x-ndjson", pieces.iter().map(|piece| ollama_line(piece, &json!({}))).collect())
}

fn ollama_end() -> Frames {
    let done = json!({"done": true, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2});
    vec![ollama_line("", &done)]
}

/// What the first leg sends, in bytes.
fn began(dialect: &str) -> Vec<u8> {
    let steps = stream(dialect, &BEGUN, Ends::Early).steps.into_iter();
    let bytes = steps.map(|step| match step {
        Step::Data(data) => data,
        Step::Wait(_) | Step::Trailers(_) | Step::Hang => Bytes::new(),
    });
    bytes.flatten().collect()
}

/// The frames of a stream of AWS's: each one's type and payload.
fn unframe(mut bytes: &[u8]) -> Vec<(String, Value)> {
    let mut frames = Vec::new();
    while let [a, b, c, d, e, f, g, h, ..] = *bytes {
        let total = u32::from_be_bytes([a, b, c, d]) as usize;
        let headers = u32::from_be_bytes([e, f, g, h]) as usize;
        let head = String::from_utf8_lossy(&bytes[12..12 + headers]).into_owned();
        let known = ["messageStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"];
        let name =
            known.iter().find(|name| head.contains(*name)).map_or(head.clone(), |name| (*name).to_owned());
        let payload = serde_json::from_slice(&bytes[12 + headers..total - 4]).expect("JSON in every frame");
        frames.push((name, payload));
        bytes = &bytes[total..];
    }
    assert!(bytes.is_empty(), "half a frame");
    frames
}

/// The text of one well-formed stream of the caller's dialect.
fn one_stream(dialect: &str, answer: &Answer) -> String {
    let said = String::from_utf8_lossy(&answer.body);
    assert_eq!((answer.status, answer.end), (StatusCode::OK, End::Clean), "{dialect}: {said}");
    let (kinds, texts): (Vec<String>, Vec<String>) = match dialect {
        "bedrock" => unframe(&answer.body)
            .into_iter()
            .map(|(name, data)| (name, data["delta"]["text"].as_str().unwrap_or_default().to_owned()))
            .unzip(),
        _ => answer
            .events()
            .into_iter()
            .map(|event| {
                let text = &event["delta"]["message"]["content"]["text"];
                let text = text.as_str().unwrap_or_default().to_owned();
                (event["type"].as_str().unwrap_or_default().to_owned(), text)
            })
            .unzip(),
    };
    let once: &[&str] = match dialect {
        "bedrock" => &["messageStart", "contentBlockStop", "messageStop", "metadata"],
        _ => &["message-start", "content-start", "content-end", "message-end"],
    };
    for kind in once {
        assert_eq!(kinds.iter().filter(|other| other == kind).count(), 1, "{kind} in {kinds:?}");
    }
    assert_eq!(kinds.first().map(String::as_str), once.first().copied(), "{kinds:?}");
    assert_eq!(kinds.last().map(String::as_str), once.last().copied(), "{kinds:?}");
    texts.concat()
}

/// Callers whose own bytes pass untouched until their upstream breaks off.
#[tokio::test(start_paused = true)]
async fn what_cohere_or_bedrock_began_for_its_own_caller_goes_on_in_any_dialect() {
    let converse = r#"{"messages":[{"role":"user","content":[{"text":"count"}]}]}"#;
    for (dialect, path, body) in
        [("cohere", "/cohere/v2/chat", COUNT), ("bedrock", "/bedrock/model/demo/converse-stream", converse)]
    {
        for then in ["openai", "anthropic", "cohere", "bedrock", "ollama"] {
            for ends in [Ends::Early, Ends::Never] {
                let first = Scribe::saying(stream(dialect, &BEGUN, ends));
                let second = Scribe::saying(stream(then, &[ANCHOR, " ", REST], Ends::Well));
                let to_b = format!("provider: custom, dialect: {then}, base_url: 'http://b'");
                let lab = Lab::beside(&yaml(dialect, &to_b, "theirs"), &[("a", &first), ("b", &second)]);
                let answer = lab.send(&Ask::post(path, body)).await;
                assert_eq!(one_stream(dialect, &answer), begun() + REST, "{dialect}, then {then}");
                first.only();
                let asked = second.only();
                let asked = String::from_utf8_lossy(&asked.body).into_owned();
                assert!(asked.contains(&format!("<<<{ANCHOR}>>>")), "{then}: {asked}");
                assert!(
                    answer.body.starts_with(&began(dialect)),
                    "{dialect}: what had come passed untouched"
                );
                lab.assert_quiet().await;
            }
        }
    }
}

/// Nobody calls in Ollama's dialect; its upstreams begin answers for callers of others.
#[tokio::test(start_paused = true)]
async fn what_ollama_began_is_gone_on_with() {
    for ends in [Ends::Early, Ends::Never] {
        let first = Scribe::saying(stream("ollama", &BEGUN, ends));
        let second = Scribe::saying(stream("openai", &[ANCHOR, " ", REST], Ends::Well));
        let to_b = "provider: custom, dialect: openai, base_url: 'http://b'";
        let lab = Lab::beside(&yaml("ollama", to_b, "theirs"), &[("a", &first), ("b", &second)]);
        let answer = lab.send(&Ask::post("/v1/chat/completions", COUNT)).await;
        assert_eq!((answer.status, answer.end), (StatusCode::OK, End::Clean), "{}", answer.text());
        assert_eq!(answer.words(), begun() + REST);
        assert_eq!(answer.text().matches("[DONE]").count(), 1);
        lab.assert_quiet().await;
    }
}

/// What a vendor is asked that takes an answer's begin.
struct Vendor {
    /// Its row, and where it is.
    upstream: &'static str,
    model: &'static str,
    /// The dialect in which it answers.
    dialect: &'static str,
    path: &'static str,
    body: fn(begun: &str) -> Value,
    /// It says the begin again.
    echoes: bool,
}

fn chat(last: &Value, more: &Value) -> Value {
    let mut body = json!({"model": "theirs", "messages": [{"role": "user", "content": "count"}, last],
        "stream": true});
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    body
}

const VENDORS: &[Vendor] = &[
    Vendor {
        upstream: "provider: mistral, base_url: 'http://b/v1'",
        model: "theirs",
        dialect: "openai",
        path: "/v1/chat/completions",
        body: |begun| chat(&json!({"role": "assistant", "content": begun, "prefix": true}), &json!({})),
        echoes: true,
    },
    Vendor {
        upstream: "provider: deepseek, base_url: 'http://b'",
        model: "theirs",
        dialect: "openai",
        path: "/beta/chat/completions",
        body: |begun| {
            let usage = json!({"stream_options": {"include_usage": true}});
            chat(&json!({"role": "assistant", "content": begun, "prefix": true}), &usage)
        },
        echoes: false,
    },
    Vendor {
        upstream: "provider: vllm, base_url: 'http://b/v1'",
        model: "theirs",
        dialect: "openai",
        path: "/v1/chat/completions",
        body: |begun| {
            let template = json!({"stream_options": {"include_usage": true}, "continue_final_message": true,
                "add_generation_prompt": false});
            chat(&json!({"role": "assistant", "content": begun}), &template)
        },
        echoes: false,
    },
    Vendor {
        upstream: "provider: anthropic, base_url: 'http://b'",
        model: "claude-3-haiku-20240307",
        dialect: "anthropic",
        path: "/v1/messages",
        body: |begun| {
            json!({"model": "claude-3-haiku-20240307", "stream": true, "max_tokens": 4096, "messages": [
                {"role": "user", "content": [{"type": "text", "text": "count"}]},
                {"role": "assistant", "content": [{"type": "text", "text": begun}]}]})
        },
        echoes: false,
    },
];

#[tokio::test(start_paused = true)]
async fn a_vendor_that_takes_an_answers_begin_gets_it_in_its_own_form() {
    for vendor in VENDORS {
        let first = Scribe::saying(stream("openai", &BEGUN, Ends::Early));
        let again = begun();
        let pieces: &[&str] = if vendor.echoes { &[again.trim_end(), " ", REST] } else { &[" ", REST] };
        let second = Scribe::saying(stream(vendor.dialect, pieces, Ends::Well));
        let lab =
            Lab::beside(&yaml("openai", vendor.upstream, vendor.model), &[("a", &first), ("b", &second)]);
        let answer = lab.send(&Ask::post("/v1/chat/completions", COUNT)).await;
        assert_eq!((answer.status, answer.end), (StatusCode::OK, End::Clean), "{}", vendor.upstream);
        assert_eq!(answer.words(), begun() + REST, "{}: {}", vendor.upstream, answer.text());
        let heard = second.only();
        assert_eq!(heard.uri.path(), vendor.path, "{}", vendor.upstream);
        let body: Value = serde_json::from_slice(&heard.body).expect("JSON");
        assert_eq!(body, (vendor.body)(again.trim_end()), "{}", vendor.upstream);
        let by = r#"mainstay_continuations_total{route="demo",result="continued",method="prefill"}"#;
        assert_eq!(lab.metric(by), 1.0, "{}", vendor.upstream);
        lab.assert_quiet().await;
    }
}
