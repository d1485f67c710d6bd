//! OpenAI's own endpoints but responses: chat, completions, embeddings and the small ones.
//!
//! Shapes: the OpenAI OpenAPI document and recorded streams. Every chunk of a stream has `usage: null`
//! when usage was asked for, and the usage itself comes in a last chunk without choices.

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::{Ask, DEFAULT_MODEL, Operation};
use super::complaint::Complaint;
use super::encode::{base64, vector};
use super::speech::{Answer, Event, Events, Part};

/// A PNG of one transparent pixel.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAAC0lEQVR42mNgAAIAAAUAAen63NgAAAAASUVORK5CYII=";

const FINGERPRINT: &str = "fp_simulated";

const MODERATED: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// Every answer that is one JSON value.
pub(super) fn whole(ask: &Ask, answer: &Answer) -> Value {
    match ask.place.operation {
        Operation::Completions => completion(answer),
        Operation::Embeddings => embeddings(ask, answer),
        Operation::Moderations => moderation(answer),
        Operation::Images => json!({"created": answer.created, "data": [{"b64_json": PIXEL}]}),
        Operation::Transcription => json!({"text": answer.text.whole()}),
        Operation::Models => json!({"object": "list", "data": [model(DEFAULT_MODEL, answer)]}),
        Operation::Model => model(&answer.model, answer),
        _ => chat(answer),
    }
}

fn chat(answer: &Answer) -> Value {
    json!({
        "id": format!("chatcmpl-{}", answer.id),
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": answer.text.whole(), "refusal": null, "annotations": []},
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": usage(answer),
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    })
}

fn completion(answer: &Answer) -> Value {
    json!({
        "id": format!("cmpl-{}", answer.id),
        "object": "text_completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [{"index": 0, "text": answer.text.whole(), "logprobs": null, "finish_reason": "stop"}],
        "usage": usage(answer),
        "system_fingerprint": FINGERPRINT,
    })
}

fn usage(answer: &Answer) -> Value {
    json!({
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.text.tokens(),
        "total_tokens": answer.total_tokens(),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

fn embeddings(ask: &Ask, answer: &Answer) -> Value {
    let embedding = ask.embedding;
    let data: Vec<Value> = (0..embedding.inputs)
        .map(|index| {
            let vector = vector(answer.seed, index as u64, embedding.dimensions);
            let vector = if embedding.base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                json!(base64(&bytes))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": vector})
        })
        .collect();
    json!({
        "object": "list",
        "data": data,
        "model": answer.model,
        "usage": {"prompt_tokens": answer.input_tokens, "total_tokens": answer.input_tokens},
    })
}

fn moderation(answer: &Answer) -> Value {
    let each = |value: Value| -> Value {
        MODERATED
            .iter()
            .map(|name| ((*name).to_owned(), value.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    json!({
        "id": format!("modr-{}", answer.id),
        "model": answer.model,
        "results": [{
            "flagged": false,
            "categories": each(json!(false)),
            "category_scores": each(json!(0.0)),
            "category_applied_input_types": each(json!(["text"])),
        }],
    })
}

fn model(id: &str, answer: &Answer) -> Value {
    json!({"id": id, "object": "model", "created": answer.created, "owned_by": "mainstay-simulated"})
}

/// A tenth of a second of silence, as WAV whatever format was asked for.
pub(super) fn speech() -> Bytes {
    const RATE: u32 = 8_000;
    const SAMPLES: u32 = RATE / 10;
    let mut wav = Vec::with_capacity(44 + SAMPLES as usize);
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + SAMPLES).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend_from_slice(&RATE.to_le_bytes());
    wav.extend_from_slice(&RATE.to_le_bytes());
    wav.extend_from_slice(b"\x01\0\x08\0data");
    wav.extend_from_slice(&SAMPLES.to_le_bytes());
    wav.resize(wav.len() + SAMPLES as usize, 0x80);
    wav.into()
}

pub(super) fn chat_events(ask: &Ask, answer: &Answer) -> Events {
    let frame = Frame::new("chatcmpl", "chat.completion.chunk", ask, answer);
    let choice = |delta: &str, finish: &str| {
        format!(r#"[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]"#)
    };
    let lead =
        frame.event(Part::Lead, &choice(r#"{"role":"assistant","content":"","refusal":null}"#, "null"));
    let finish = frame.event(Part::Tail, &choice("{}", r#""stop""#));
    let tail = frame.tail(finish, ask, answer);
    let words = answer.text.pieces().map(move |piece| {
        frame.event(Part::Content, &choice(&format!(r#"{{"content":{}}}"#, Value::from(piece)), "null"))
    });
    Box::new(std::iter::once(lead).chain(words).chain(tail))
}

pub(super) fn completion_events(ask: &Ask, answer: &Answer) -> Events {
    let frame = Frame::new("cmpl", "text_completion", ask, answer);
    let choice = |text: &Value, finish: &str| {
        format!(r#"[{{"index":0,"text":{text},"logprobs":null,"finish_reason":{finish}}}]"#)
    };
    let finish = frame.event(Part::Tail, &choice(&Value::from(""), r#""stop""#));
    let tail = frame.tail(finish, ask, answer);
    let words = answer
        .text
        .pieces()
        .map(move |piece| frame.event(Part::Content, &choice(&Value::from(piece), "null")));
    Box::new(words.chain(tail))
}

/// What is the same in every chunk of one stream, as text.
struct Frame {
    before: String,
    after: &'static str,
}

impl Frame {
    fn new(prefix: &str, object: &str, ask: &Ask, answer: &Answer) -> Self {
        let Answer { id, created, model, .. } = answer;
        let model = Value::from(model.as_str());
        let before = format!(
            r#"data: {{"id":"{prefix}-{id}","object":"{object}","created":{created},"model":{model},"service_tier":"default","system_fingerprint":"{FINGERPRINT}","choices":"#
        );
        Self { before, after: if ask.include_usage { ",\"usage\":null}\n\n" } else { "}\n\n" } }
    }

    fn event(&self, part: Part, choices: &str) -> Event {
        Event::new(part, [&self.before, choices, self.after].concat())
    }

    /// The finish reason, the usage where it was asked for, the terminator.
    fn tail(&self, finish: Event, ask: &Ask, answer: &Answer) -> Vec<Event> {
        let mut tail = vec![finish];
        if ask.include_usage {
            let chunk = format!("{}[],\"usage\":{}}}\n\n", self.before, usage(answer));
            tail.push(Event::new(Part::Tail, chunk));
        }
        tail.push(Event::new(Part::Tail, "data: [DONE]\n\n"));
        tail
    }
}

/// As recorded from OpenAI and OpenRouter: an error object where a chunk should be.
pub(super) fn in_band(complaint: Complaint) -> Bytes {
    format!("data: {}\n\n", json!({"error": complaint.openai(None)})).into()
}
