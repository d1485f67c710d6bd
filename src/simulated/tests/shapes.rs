//! What a healthy upstream says, dialect by dialect.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Client, Ended, ask, post};
use super::*;

/// 12 words and the seal.
const TOKENS: u64 = 13;

fn joined<'a>(pieces: impl Iterator<Item = &'a Value>) -> String {
    pieces.filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn a_chat_completion_has_the_shape_that_sdks_read() {
    let sim = start();
    let body = r#"{"model":"gpt-x","messages":[{"role":"user","content":"hello"}]}"#;
    let exchange = post(sim.address(), "/v1/chat/completions", body).await;
    assert_eq!((exchange.status, exchange.ended), (200, Ended::Whole));
    assert_eq!(exchange.header("content-type"), Some("application/json"));
    assert!(exchange.header("x-request-id").unwrap().starts_with("req_"));
    let said = exchange.json();
    assert_eq!(said["object"], "chat.completion");
    assert_eq!(said["model"], "gpt-x");
    assert!(said["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(said["created"].as_u64().unwrap() > 1_700_000_000);
    let choice = &said["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["role"]), (&json!("stop"), &json!("assistant")));
    let spoken = oracle(choice["message"]["content"].as_str().unwrap()).unwrap();
    assert_eq!((spoken.upstream, spoken.serial, spoken.words), ("sim-a", 1, 12));
    let input = body.len() as u64 / 4;
    let usage = &said["usage"];
    assert_eq!(usage["prompt_tokens"], input);
    assert_eq!(usage["completion_tokens"], TOKENS);
    assert_eq!(usage["total_tokens"], input + TOKENS);
}

#[tokio::test]
async fn a_chat_stream_has_role_words_finish_and_done() {
    let sim = start();
    let exchange = post(sim.address(), "/v1/chat/completions", r#"{"model":"m","stream":true}"#).await;
    assert_eq!(exchange.ended, Ended::Whole);
    assert!(exchange.header("content-type").unwrap().starts_with("text/event-stream"));
    let events = exchange.events();
    assert_eq!(events.len() as u64, 1 + TOKENS + 1 + 1);
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(oracle(&joined(events.iter().map(|event| &event["choices"][0]["delta"]["content"]))).is_ok());
    assert_eq!(events[events.len() - 2]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events.last(), Some(&json!("[DONE]")));
    assert!(events.iter().all(|event| event.get("usage").is_none()), "usage was not asked for");
    let chunks = &events[..events.len() - 1];
    assert!(chunks.iter().all(|chunk| chunk["id"] == events[0]["id"]));
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"));
}

#[tokio::test]
async fn usage_comes_in_a_chunk_of_its_own_when_asked_for() {
    let sim = start();
    for path in ["/v1/chat/completions", "/v1/completions"] {
        let body = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
        let events = post(sim.address(), path, body).await.events();
        let usage = &events[events.len() - 2];
        assert_eq!(usage["choices"], json!([]));
        assert_eq!(usage["usage"]["completion_tokens"], TOKENS);
        assert!(events[..events.len() - 2].iter().all(|event| event["usage"].is_null()));
    }
}

#[tokio::test]
async fn text_completions_speak_whole_and_streamed() {
    let sim = start();
    let whole = post(sim.address(), "/v1/completions", r#"{"model":"m","prompt":"x"}"#).await.json();
    assert_eq!(whole["object"], "text_completion");
    assert!(oracle(whole["choices"][0]["text"].as_str().unwrap()).is_ok());
    let events = post(sim.address(), "/v1/completions", r#"{"model":"m","stream":true}"#).await.events();
    assert!(oracle(&joined(events.iter().map(|event| &event["choices"][0]["text"]))).is_ok());
}

#[tokio::test]
async fn embeddings_are_floats_by_default_and_the_same_numbers_in_base64() {
    let sim = start();
    let ask = |format: &'static str| {
        let address = sim.address();
        async move {
            let body = format!(r#"{{"model":"e","input":["a","b"],"dimensions":4{format}}}"#);
            post(address, "/v1/embeddings", &body).await.json()
        }
    };
    let floats = ask("").await;
    let encoded = ask(r#","encoding_format":"base64""#).await;
    assert_eq!((&floats["object"], &floats["data"][1]["index"]), (&json!("list"), &json!(1)));
    for index in 0..2 {
        let vector: Vec<f32> = serde_json::from_value(floats["data"][index]["embedding"].clone()).unwrap();
        assert_eq!(vector.len(), 4);
        let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(encoded["data"][index]["embedding"], encode::base64(&bytes));
    }
    assert_eq!(floats["usage"]["prompt_tokens"], floats["usage"]["total_tokens"]);
}

#[tokio::test]
async fn a_response_is_complete_whole_and_streamed() {
    let sim = start();
    let whole = post(sim.address(), "/v1/responses", r#"{"model":"m","input":"x"}"#).await.json();
    assert_eq!((&whole["object"], &whole["status"]), (&json!("response"), &json!("completed")));
    assert!(oracle(whole["output"][0]["content"][0]["text"].as_str().unwrap()).is_ok());

    let stream = post(sim.address(), "/v1/responses", r#"{"model":"m","input":"x","stream":true}"#).await;
    let events = stream.events();
    let names: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(stream.names(), names, "the event line repeats the type");
    let lead = ["created", "in_progress", "output_item.added", "content_part.added"]
        .map(|name| format!("response.{name}"));
    assert_eq!(names[..4], lead);
    let tail = ["output_text.done", "content_part.done", "output_item.done", "completed"]
        .map(|name| format!("response.{name}"));
    assert_eq!(names[names.len() - 4..], tail);
    let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let text = joined(events.iter().map(|event| &event["delta"]));
    assert!(oracle(&text).is_ok());
    let completed = &events.last().unwrap()["response"];
    assert_eq!(completed["output"][0]["content"][0]["text"], text);
    assert_eq!(completed["usage"]["output_tokens"], TOKENS);
    assert_eq!(completed["usage"]["input_tokens_details"]["cache_write_tokens"], 0);
    assert!(!stream.text().contains("[DONE]"));

    let count = post(sim.address(), "/v1/responses/input_tokens", r#"{"model":"m","input":"xxxx"}"#).await;
    assert!(count.json()["input_tokens"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_message_is_complete_whole_and_streamed() {
    let sim = start();
    let body = r#"{"model":"claude","max_tokens":64,"messages":[]}"#;
    let exchange = post(sim.address(), "/v1/messages", body).await;
    assert!(exchange.header("request-id").is_some());
    let whole = exchange.json();
    assert_eq!((&whole["type"], &whole["stop_reason"]), (&json!("message"), &json!("end_turn")));
    assert!(oracle(whole["content"][0]["text"].as_str().unwrap()).is_ok());

    let body = r#"{"model":"claude","max_tokens":64,"messages":[],"stream":true}"#;
    let stream = post(sim.address(), "/anthropic/v1/messages", body).await;
    let events = stream.events();
    let names: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(stream.names(), names);
    assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(names[names.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    assert!(oracle(&joined(events.iter().map(|event| &event["delta"]["text"]))).is_ok());
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], body.len() as u64 / 4);
    assert_eq!(events[names.len() - 2]["usage"]["output_tokens"], TOKENS);

    let count = post(sim.address(), "/v1/messages/count_tokens?beta=true", body).await.json();
    assert_eq!(count["input_tokens"], body.len() as u64 / 4);
}

#[tokio::test]
async fn gemini_streams_as_events_or_as_one_array() {
    let sim = start();
    let text = |chunks: &[Value]| {
        joined(chunks.iter().map(|chunk| &chunk["candidates"][0]["content"]["parts"][0]["text"]))
    };
    let body = r#"{"contents":[]}"#;
    let whole = post(sim.address(), "/v1/models/g:generateContent", body).await.json();
    assert_eq!(whole["candidates"][0]["finishReason"], "STOP");
    assert_eq!(whole["modelVersion"], "g");
    assert!(oracle(&text(&[whole])).is_ok());

    let sse = post(sim.address(), "/v1beta/models/g:streamGenerateContent?alt=sse", body).await;
    assert!(sse.text().ends_with("}\r\n\r\n"));
    let array = post(sim.address(), "/v1beta/models/g:streamGenerateContent", body).await;
    assert_eq!(array.header("content-type"), Some("application/json"));
    let array = array.json().as_array().unwrap().clone();
    for chunks in [sse.events(), array] {
        assert!(oracle(&text(&chunks)).is_ok());
        let last = chunks.last().unwrap();
        assert_eq!(last["candidates"][0]["finishReason"], "STOP");
        assert_eq!(last["usageMetadata"]["candidatesTokenCount"], TOKENS);
        assert!(chunks[..chunks.len() - 1].iter().all(|c| c["candidates"][0].get("finishReason").is_none()));
    }
    let count = post(sim.address(), "/v1beta/models/g:countTokens", body).await.json();
    assert!(count["totalTokens"].as_u64().unwrap() > 0);
    let embedding = post(sim.address(), "/v1/models/g:embedContent", r#"{"content":{}}"#).await.json();
    assert_eq!(embedding["embedding"]["values"].as_array().unwrap().len(), 8);
    let batch = r#"{"requests":[{},{},{}],"outputDimensionality":2}"#;
    let batch = post(sim.address(), "/v1/models/g:batchEmbedContents", batch).await.json();
    assert_eq!(batch["embeddings"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn models_are_listed_in_the_shape_that_the_headers_ask_for() {
    let sim = start();
    let list = |path: &'static str, headers: &'static [(&'static str, &'static str)]| {
        let address = sim.address();
        async move { ask(address, "GET", path, headers, "").await.json() }
    };
    assert_eq!(list("/v1/models", &[]).await["data"][0]["object"], "model");
    let anthropic = list("/v1/models", &[("anthropic-version", "2023-06-01")]).await;
    assert_eq!((&anthropic["data"][0]["type"], &anthropic["has_more"]), (&json!("model"), &json!(false)));
    let gemini = list("/v1/models", &[("x-goog-api-key", "k")]).await;
    assert!(gemini["models"][0]["name"].as_str().unwrap().starts_with("models/"));
    assert_eq!(list("/v1/models/org/m", &[]).await["id"], "org/m");
    assert_eq!(list("/v1beta/models/g", &[]).await["name"], "models/g");
}

#[tokio::test]
async fn the_small_endpoints_answer() {
    let sim = start();
    let moderation = post(sim.address(), "/v1/moderations", r#"{"input":"x"}"#).await.json();
    assert_eq!(moderation["results"][0]["categories"]["violence"], false);
    let image = post(sim.address(), "/v1/images/generations", r#"{"model":"i","prompt":"x"}"#).await.json();
    assert!(image["data"][0]["b64_json"].as_str().unwrap().starts_with("iVBOR"));
    let speech = post(sim.address(), "/v1/audio/speech", r#"{"model":"t","input":"x"}"#).await;
    assert_eq!(speech.header("content-type"), Some("audio/wav"));
    assert!(speech.body.starts_with(b"RIFF"));
    let form = "--x\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nw\r\n--x--\r\n";
    let headers = [("content-type", "multipart/form-data; boundary=x")];
    let heard = ask(sim.address(), "POST", "/v1/audio/transcriptions", &headers, form).await.json();
    assert!(oracle(heard["text"].as_str().unwrap()).is_ok());
}

#[tokio::test]
async fn anything_else_is_echoed() {
    let sim = start();
    let said = ask(sim.address(), "PUT", "/orders/7?x=1", &[], "abc").await.json();
    assert_eq!(
        (&said["method"], &said["path"], &said["query"]),
        (&json!("PUT"), &json!("/orders/7"), &json!("x=1"))
    );
    assert_eq!(said["body_bytes"], 3);
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(said["body_sha256"], abc);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_the_dialect_of_its_path() {
    let sim = start();
    let openai = post(sim.address(), "/v1/chat/completions", "{").await;
    assert_eq!((openai.status, &openai.json()["error"]["type"]), (400, &json!("invalid_request_error")));
    let anthropic = post(sim.address(), "/v1/messages", "{}").await;
    assert_eq!((anthropic.status, &anthropic.json()["type"]), (400, &json!("error")));
    let gemini = post(sim.address(), "/v1/models/g:generateContent", "nonsense").await;
    assert_eq!(gemini.json()["error"]["status"], "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_websocket_upgrade_is_accepted_and_every_byte_comes_back() {
    let sim = start();
    let mut client = Client::connect(sim.address()).await.unwrap();
    let headers = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    client.send("GET", "/socket", &headers, b"").await;
    let exchange = client.answer().await;
    assert_eq!(exchange.status, 101);
    assert_eq!(exchange.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    for frame in [&b"\x81\x05hello"[..], b"\x88\0"] {
        client.io.write_all(frame).await.unwrap();
        let mut echoed = vec![0; frame.len()];
        client.io.read_exact(&mut echoed).await.unwrap();
        assert_eq!(echoed, frame);
    }
    sim.control().set(vec![Rule::new(Fault::Refuse)]);
    assert_eq!(client.io.read(&mut [0; 8]).await.unwrap_or(0), 0, "refusing ends upgraded connections too");
}
