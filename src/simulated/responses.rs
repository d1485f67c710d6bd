//! OpenAI's responses endpoint: the response object and its events in order, numbered.
//!
//! Shapes: the OpenAI OpenAPI document and recorded streams. There is no `[DONE]`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::{Ask, Operation};
use super::complaint::Complaint;
use super::speech::{Answer, Event, Events, Part};

pub(super) fn whole(ask: &Ask, answer: &Answer) -> Value {
    match ask.place.operation {
        Operation::InputTokens => {
            json!({"object": "response.input_tokens", "input_tokens": answer.input_tokens})
        }
        _ => response(answer, &Status::Completed),
    }
}

pub(super) enum Status {
    Queued,
    InProgress,
    Completed,
    Cancelled,
    Failed(Complaint),
}

pub(super) fn response(answer: &Answer, status: &Status) -> Value {
    let (name, error, output, usage) = match status {
        Status::Queued => ("queued", Value::Null, json!([]), Value::Null),
        Status::Cancelled => ("cancelled", Value::Null, json!([]), Value::Null),
        Status::InProgress => ("in_progress", Value::Null, json!([]), Value::Null),
        Status::Completed => {
            let part = text_part(&answer.text.whole());
            ("completed", Value::Null, json!([item(answer, "completed", &json!([part]))]), usage(answer))
        }
        Status::Failed(complaint) => {
            let said = complaint.openai(None);
            let code = said.get("code").filter(|code| code.is_string()).cloned();
            let code = code.unwrap_or_else(|| "server_error".into());
            ("failed", json!({"code": code, "message": said.get("message")}), json!([]), Value::Null)
        }
    };
    json!({
        "id": format!("resp_{}", answer.id),
        "object": "response",
        "created_at": answer.created,
        "status": name,
        "background": false,
        "error": error,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "metadata": {},
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "service_tier": "default",
        "store": false,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
        "user": null,
    })
}

fn item(answer: &Answer, status: &str, content: &Value) -> Value {
    json!({"id": item_id(answer), "type": "message", "status": status, "role": "assistant", "content": content})
}

fn item_id(answer: &Answer) -> String {
    format!("msg_{}", answer.id)
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

fn usage(answer: &Answer) -> Value {
    json!({
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": answer.text.tokens(),
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.total_tokens(),
    })
}

/// An event's frame; its name is also its `type`, and `fields` is an object.
fn frame(name: &str, sequence: u64, mut fields: Value) -> String {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("type".to_owned(), name.into());
        fields.insert("sequence_number".to_owned(), sequence.into());
    }
    format!("event: {name}\ndata: {fields}\n\n")
}

pub(super) fn events(answer: &Answer) -> Events {
    let id = item_id(answer);
    let place = json!({"item_id": id, "output_index": 0, "content_index": 0});
    let at = move |extra: Value| {
        let mut fields = place.clone();
        if let (Some(fields), Value::Object(extra)) = (fields.as_object_mut(), extra) {
            fields.extend(extra);
        }
        fields
    };
    let lead = [
        ("response.created", json!({"response": response(answer, &Status::InProgress)})),
        ("response.in_progress", json!({"response": response(answer, &Status::InProgress)})),
        (
            "response.output_item.added",
            json!({"output_index": 0, "item": item(answer, "in_progress", &json!([]))}),
        ),
        ("response.content_part.added", at(json!({"part": text_part("")}))),
    ];
    let text = answer.text.whole();
    let done = json!([text_part(&text)]);
    let tail = [
        ("response.output_text.done", at(json!({"text": text, "logprobs": []}))),
        ("response.content_part.done", at(json!({"part": text_part(&text)}))),
        ("response.output_item.done", json!({"output_index": 0, "item": item(answer, "completed", &done)})),
        ("response.completed", json!({"response": response(answer, &Status::Completed)})),
    ];
    let words = answer.text.pieces().map(move |piece| {
        (Part::Content, "response.output_text.delta", at(json!({"delta": piece, "logprobs": []})))
    });
    let all = lead
        .into_iter()
        .map(|(name, fields)| (Part::Lead, name, fields))
        .chain(words)
        .chain(tail.into_iter().map(|(name, fields)| (Part::Tail, name, fields)));
    Box::new(
        (0_u64..)
            .zip(all)
            .map(|(sequence, (part, name, fields))| Event::new(part, frame(name, sequence, fields))),
    )
}

/// As recorded: `error` with a nested error object, then `response.failed`.
pub(super) fn in_band(answer: &Answer, complaint: Complaint, sent: u64) -> Bytes {
    let error = frame("error", sent, json!({"error": complaint.openai(None)}));
    let failed = json!({"response": response(answer, &Status::Failed(complaint))});
    (error + &frame("response.failed", sent.saturating_add(1), failed)).into()
}
