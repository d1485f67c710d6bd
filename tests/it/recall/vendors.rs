//! What upstreams of each dialect say: a text, or a call of `weather`, whole or streamed.

use std::fmt::Write;

use mainstay::dialect::framing::eventstream::{MessageKind, message};
use serde_json::{Value, json};

use crate::lab::Said;

/// How an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Whole,
    Streamed,
}

pub const WAYS: [Way; 2] = [Way::Whole, Way::Streamed];

pub struct Vendor {
    /// Of the dialect, the upstream and the route.
    pub name: &'static str,
    text: fn(Way, &str) -> Said,
    call: fn(Way) -> Said,
}

impl Vendor {
    pub fn text(&self, way: Way, text: &str) -> Said {
        (self.text)(way, text)
    }

    pub fn call(&self, way: Way) -> Said {
        (self.call)(way)
    }

    pub fn named(name: &str) -> &'static Self {
        VENDORS.iter().find(|vendor| vendor.name == name).unwrap()
    }
}

pub const VENDORS: &[Vendor] = &[
    Vendor { name: "openai", text: chat_text, call: chat_call },
    Vendor { name: "anthropic", text: anthropic_text, call: anthropic_call },
    Vendor { name: "gemini", text: gemini_text, call: gemini_call },
    Vendor { name: "bedrock", text: bedrock_text, call: bedrock_call },
    Vendor { name: "responses", text: responses_text, call: |_| Said::status(500) },
];

fn sse(events: &[(&str, Value)], end: &str) -> Said {
    let mut body = String::new();
    for (name, data) in events {
        if !name.is_empty() {
            let _ = writeln!(body, "event: {name}");
        }
        let _ = write!(body, "data: {data}\n\n");
    }
    Said::status(200).header("content-type", "text/event-stream").data(body + end)
}

fn whole(body: &Value) -> Said {
    Said::json(200, body.to_string())
}

fn chat(way: Way, message: &Value, finish: &str) -> Said {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    let head = json!({"id": "chatcmpl-1", "created": 1, "model": "m"});
    let body = |kind: &str, choice: Value| {
        let mut body = head.clone();
        body["object"] = json!(kind);
        body["choices"] = json!([choice]);
        body
    };
    match way {
        Way::Whole => {
            let choice = json!({"index": 0, "finish_reason": finish, "message": message});
            let mut body = body("chat.completion", choice);
            body["usage"] = usage;
            whole(&body)
        }
        Way::Streamed => {
            let kind = "chat.completion.chunk";
            let delta = body(kind, json!({"index": 0, "finish_reason": null, "delta": message}));
            let mut last = body(kind, json!({"index": 0, "finish_reason": finish, "delta": {}}));
            last["usage"] = usage;
            sse(&[("", delta), ("", last)], "data: [DONE]\n\n")
        }
    }
}

fn chat_text(way: Way, text: &str) -> Said {
    chat(way, &json!({"role": "assistant", "content": text}), "stop")
}

fn chat_call(way: Way) -> Said {
    let call = json!({"index": 0, "id": "call_7", "type": "function",
        "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}});
    chat(way, &json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls")
}

/// `begun` and `delta` are a block's first and further event, `block` is all of it.
fn anthropic(way: Way, block: &Value, (begun, delta): (&Value, &Value), stop: &str) -> Said {
    let usage = json!({"input_tokens": 3, "output_tokens": 2});
    let head = json!({"id": "msg_01", "type": "message", "role": "assistant", "model": "claude",
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage});
    match way {
        Way::Whole => {
            let mut body = head;
            body["content"] = json!([block]);
            body["stop_reason"] = json!(stop);
            whole(&body)
        }
        Way::Streamed => {
            let event = |kind: &'static str, mut data: Value| {
                data["type"] = json!(kind);
                (kind, data)
            };
            let events = [
                event("message_start", json!({"message": head})),
                event("content_block_start", json!({"index": 0, "content_block": begun})),
                event("content_block_delta", json!({"index": 0, "delta": delta})),
                event("content_block_stop", json!({"index": 0})),
                event(
                    "message_delta",
                    json!({"delta": {"stop_reason": stop}, "usage": {"output_tokens": 2}}),
                ),
                event("message_stop", json!({})),
            ];
            sse(&events, "")
        }
    }
}

fn anthropic_text(way: Way, text: &str) -> Said {
    let block = |text: &str| json!({"type": "text", "text": text});
    let parts = (&block(""), &json!({"type": "text_delta", "text": text}));
    anthropic(way, &block(text), parts, "end_turn")
}

fn anthropic_call(way: Way) -> Said {
    let block =
        |input: Value| json!({"type": "tool_use", "id": "toolu_7", "name": "weather", "input": input});
    let delta = json!({"type": "input_json_delta", "partial_json": "{\"city\":\"Oslo\"}"});
    anthropic(way, &block(json!({"city": "Oslo"})), (&block(json!({})), &delta), "tool_use")
}

fn gemini(way: Way, part: &Value) -> Said {
    let body = json!({"responseId": "g1", "modelVersion": "gemini",
        "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [part]}}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}});
    match way {
        Way::Whole => whole(&body),
        Way::Streamed => sse(&[("", body)], ""),
    }
}

fn gemini_text(way: Way, text: &str) -> Said {
    gemini(way, &json!({"text": text}))
}

fn gemini_call(way: Way) -> Said {
    // The signature has to come back with the call.
    gemini(
        way,
        &json!({"functionCall": {"name": "weather", "args": {"city": "Oslo"}},
        "thoughtSignature": "c2lnbmF0dXJl"}),
    )
}

fn bedrock(way: Way, block: &Value, begun: Option<&Value>, delta: &Value, stop: &str) -> Said {
    let usage = json!({"inputTokens": 3, "outputTokens": 2, "totalTokens": 5});
    match way {
        Way::Whole => whole(&json!({"output": {"message": {"role": "assistant", "content": [block]}},
            "stopReason": stop, "usage": usage, "metrics": {"latencyMs": 1}})),
        Way::Streamed => {
            let mut events = vec![("messageStart", json!({"role": "assistant"}))];
            events.extend(
                begun.map(|begun| ("contentBlockStart", json!({"contentBlockIndex": 0, "start": begun}))),
            );
            events.push(("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": delta})));
            events.push(("contentBlockStop", json!({"contentBlockIndex": 0})));
            events.push(("messageStop", json!({"stopReason": stop})));
            events.push(("metadata", json!({"usage": usage, "metrics": {"latencyMs": 1}})));
            let mut body = Vec::new();
            for (name, data) in events {
                message(name, MessageKind::Event, data.to_string().as_bytes(), &mut body);
            }
            Said::status(200).header("content-type", "application/vnd.amazon.eventstream").data(body)
        }
    }
}

fn bedrock_text(way: Way, text: &str) -> Said {
    let block = json!({"text": text});
    bedrock(way, &block, None, &block, "end_turn")
}

fn bedrock_call(way: Way) -> Said {
    let block = json!({"toolUse": {"toolUseId": "tooluse_7", "name": "weather", "input": {"city": "Oslo"}}});
    let begun = json!({"toolUse": {"toolUseId": "tooluse_7", "name": "weather"}});
    let delta = json!({"toolUse": {"input": "{\"city\":\"Oslo\"}"}});
    bedrock(way, &block, Some(&begun), &delta, "tool_use")
}

fn responses_text(way: Way, text: &str) -> Said {
    let part = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let message = json!({"id": "msg_68af", "type": "message", "role": "assistant", "status": "completed",
        "content": [part]});
    let body = json!({"id": "resp_68af4030592c8193", "object": "response", "created_at": 1, "model": "m",
        "status": "completed", "output": [message], "error": null, "incomplete_details": null,
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}});
    match way {
        Way::Whole => whole(&body),
        Way::Streamed => {
            let delta = json!({"type": "response.output_text.delta", "sequence_number": 0, "item_id": "msg_68af",
                "output_index": 0, "content_index": 0, "delta": text});
            let last = json!({"type": "response.completed", "sequence_number": 1, "response": body});
            sse(&[("response.output_text.delta", delta), ("response.completed", last)], "")
        }
    }
}
