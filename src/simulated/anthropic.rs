//! Anthropic's messages, token counts and models.
//!
//! Shapes: the SDK's types and recorded streams. Usage comes twice in a stream: input in
//! `message_start`, the cumulative output in `message_delta`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::{Ask, DEFAULT_MODEL, Dialect, Operation};
use super::complaint::{Complaint, Said};
use super::speech::{Answer, Event, Events, Part};

/// `created_at` of every model: the date means nothing, its format does.
const CREATED_AT: &str = "2026-01-01T00:00:00Z";

pub(super) fn whole(ask: &Ask, answer: &Answer) -> Value {
    match ask.place.operation {
        Operation::CountTokens => json!({"input_tokens": answer.input_tokens}),
        Operation::Models => json!({
            "data": [model(DEFAULT_MODEL)],
            "has_more": false,
            "first_id": DEFAULT_MODEL,
            "last_id": DEFAULT_MODEL,
        }),
        Operation::Model => model(&answer.model),
        _ => message(
            answer,
            &json!([{"type": "text", "text": answer.text.whole(), "citations": null}]),
            Some("end_turn"),
            answer.text.tokens(),
        ),
    }
}

fn message(answer: &Answer, content: &Value, stop_reason: Option<&str>, output_tokens: u64) -> Value {
    json!({
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": {
            "input_tokens": answer.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output_tokens,
            "service_tier": "standard",
        },
    })
}

fn model(id: &str) -> Value {
    json!({
        "type": "model",
        "id": id,
        "display_name": id,
        "created_at": CREATED_AT,
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    })
}

/// An event's frame; the SDKs drop data that comes without an event name.
fn frame(part: Part, name: &str, fields: &Value) -> Event {
    Event::new(part, format!("event: {name}\ndata: {fields}\n\n"))
}

pub(super) fn events(answer: &Answer) -> Events {
    let start = json!({"type": "message_start", "message": message(answer, &json!([]), None, 1)});
    let block =
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let lead = [
        frame(Part::Lead, "message_start", &start),
        frame(Part::Lead, "content_block_start", &block),
        frame(Part::Lead, "ping", &json!({"type": "ping"})),
    ];
    let words = answer.text.pieces().map(|piece| {
        let delta = json!({"type": "text_delta", "text": piece});
        let fields = json!({"type": "content_block_delta", "index": 0, "delta": delta});
        frame(Part::Content, "content_block_delta", &fields)
    });
    let delta = json!({
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {
            "input_tokens": answer.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": answer.text.tokens(),
        },
    });
    let tail = [
        frame(Part::Tail, "content_block_stop", &json!({"type": "content_block_stop", "index": 0})),
        frame(Part::Tail, "message_delta", &delta),
        frame(Part::Tail, "message_stop", &json!({"type": "message_stop"})),
    ];
    Box::new(lead.into_iter().chain(words).chain(tail))
}

pub(super) fn in_band(complaint: Complaint, request_id: &str) -> Bytes {
    let said = Said { request_id, ..Said::default() };
    format!("event: error\ndata: {}\n\n", complaint.body(Dialect::Anthropic, said)).into()
}
