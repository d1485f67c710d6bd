//! Thoughts that nobody has signed. Vercel's SDK sends a thought back only with what its vendor would want of it, even
//! if that is empty; those who sign none (DeepSeek, Moonshot) want their thoughts back all the same.

use serde_json::{Value, json};

use super::streams::{frames, translated};
use super::{MODEL, generation, manner, read, reply, terms, write};
use crate::dialect::hub::{Content, Mode};
use crate::dialect::translate::GENERATING;
use crate::dialect::{Dialect, tree};

/// As DeepSeek says it.
const SAID: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"tool_calls",
    "message":{"role":"assistant","content":null,"reasoning_content":"Let me think.",
    "tool_calls":[{"id":"c1","type":"function","function":{"name":"find","arguments":"{}"}}]}}]}"#;

fn streamed() -> Vec<u8> {
    let delta = |delta: Value, reason: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
        format!(
            "data: {}\n\n",
            json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices})
        )
    };
    let call =
        json!({"index": 0, "id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}});
    let parts = [
        delta(json!({"role": "assistant", "reasoning_content": "Let me "}), Value::Null),
        delta(json!({"reasoning_content": "think."}), Value::Null),
        delta(json!({"tool_calls": [call]}), Value::Null),
        delta(json!({}), json!("tool_calls")),
        "data: [DONE]\n\n".to_owned(),
    ];
    parts.concat().into_bytes()
}

fn events(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).expect("text");
    text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

#[test]
fn each_thought_of_a_stream_says_that_it_is_not_signed() {
    let out = translated(Dialect::OpenAi, Dialect::Anthropic, &frames(Dialect::OpenAi, [&*streamed()]));
    let deltas: Vec<_> = events(&out).into_iter().map(|event| event["delta"].clone()).collect();
    let last = deltas.iter().position(|delta| delta["thinking"] == "think.").expect("the thought");
    assert_eq!(deltas[last + 1], json!({"type": "signature_delta", "signature": ""}));
}

/// The items of a whole answer and of a stream.
fn answers() -> Vec<Vec<Value>> {
    let whole = reply(Dialect::OpenAi, Dialect::Responses, SAID.as_bytes(), &manner()).expect("an answer");
    let whole: Value = serde_json::from_slice(&whole).expect("JSON");
    let out = translated(Dialect::OpenAi, Dialect::Responses, &frames(Dialect::OpenAi, [&*streamed()]));
    let done = events(&out).into_iter().filter(|event| event["type"] == "response.output_item.done");
    vec![
        whole["output"].as_array().cloned().expect("items"),
        done.map(|event| event["item"].clone()).collect(),
    ]
}

#[test]
fn a_thought_that_is_not_signed_has_something_to_send_back() {
    let operation = generation(Dialect::Responses, Mode::Whole).expect("it generates");
    for items in answers() {
        assert!(items[0]["encrypted_content"].as_str().is_some_and(|text| !text.is_empty()), "{items:?}");
        let mut input = vec![json!({"role": "user", "content": "where?"})];
        input.extend(items);
        input.push(json!({"type": "function_call_output", "call_id": "c1", "output": "x"}));
        let body = json!({"model": "m", "store": false, "input": input}).to_string();
        let root = tree::parse(body.as_bytes()).expect("JSON");
        let mut ask = read(Dialect::Responses, operation, MODEL, &root).expect("a request");
        let thoughts = ask.turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match &part.content {
            Content::Thought(thought) => Some((&*thought.text, thought.signature.is_some())),
            _ => None,
        });
        assert_eq!(thoughts.collect::<Vec<_>>(), [("Let me think.", false)]);
        for to in GENERATING {
            let sent = write(&mut ask, to, &terms(to)).expect("a pair").body;
            let sent = String::from_utf8(sent).expect("text");
            assert!(!sent.contains("bWFpbnN0YXkx") && !sent.contains("encrypted_content"), "{to}: {sent}");
        }
    }
}
