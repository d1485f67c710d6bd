//! Gemini's generateContent, its stream in both framings, counts, embeddings and models.
//!
//! Shapes: the google-genai types and recorded streams. Usage is repeated in every chunk, the finish
//! reason is in the last one together with the last words, and nothing else marks the end.

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::{Ask, DEFAULT_MODEL, Dialect, Framing, Operation};
use super::complaint::{Complaint, Said};
use super::encode::vector;
use super::speech::{Answer, Event, Events, Part};

pub(super) fn whole(ask: &Ask, answer: &Answer) -> Value {
    let embedding = |index| json!({"values": vector(answer.seed, index, ask.embedding.dimensions)});
    match ask.place.operation {
        Operation::CountTokens => json!({
            "totalTokens": answer.input_tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": answer.input_tokens}],
        }),
        Operation::EmbedContent => json!({"embedding": embedding(0)}),
        Operation::BatchEmbed => {
            json!({"embeddings": (0..ask.embedding.inputs as u64).map(embedding).collect::<Vec<_>>()})
        }
        Operation::Models => json!({"models": [model(DEFAULT_MODEL)]}),
        Operation::Model => model(&answer.model),
        _ => chunk(answer, &answer.text.whole(), answer.text.tokens(), Finish::Stop),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Finish {
    Stop,
    NotYet,
}

fn chunk(answer: &Answer, text: &str, tokens_so_far: u64, finish: Finish) -> Value {
    let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0});
    if let (Finish::Stop, Some(candidate)) = (finish, candidate.as_object_mut()) {
        candidate.insert("finishReason".to_owned(), "STOP".into());
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": answer.input_tokens,
            "candidatesTokenCount": tokens_so_far,
            "totalTokenCount": answer.input_tokens.saturating_add(tokens_so_far),
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": answer.input_tokens}],
        },
        "modelVersion": answer.model,
        "responseId": answer.id,
    })
}

fn model(id: &str) -> Value {
    json!({
        "name": format!("models/{id}"),
        "version": "001",
        "displayName": id,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
    })
}

fn chunks(answer: &Answer) -> impl Iterator<Item = Value> + Send + 'static {
    let answer = answer.clone();
    let total = answer.text.tokens();
    (1_u64..).zip(answer.text.pieces()).map(move |(so_far, piece)| {
        let finish = if so_far == total { Finish::Stop } else { Finish::NotYet };
        chunk(&answer, &piece, so_far, finish)
    })
}

pub(super) fn sse_events(answer: &Answer) -> Events {
    Box::new(chunks(answer).map(|chunk| Event::new(Part::Content, format!("data: {chunk}\r\n\r\n"))))
}

/// One JSON array whose elements come one by one.
pub(super) fn array_events(answer: &Answer) -> Events {
    let elements = (0_u64..).zip(chunks(answer)).map(|(index, chunk)| {
        let before = if index == 0 { "[" } else { ",\r\n" };
        Event::new(Part::Content, format!("{before}{chunk}"))
    });
    Box::new(elements.chain([Event::new(Part::Tail, "]")]))
}

/// Google sends the error bare, not as an event; in an array it is one more element.
pub(super) fn in_band(complaint: Complaint, framing: Framing, sent: u64) -> Bytes {
    let body = complaint.body(Dialect::Gemini, Said::default());
    match (framing, sent) {
        (Framing::Sse, _) => body.to_string().into(),
        (Framing::JsonArray, 0) => format!("[{body}]").into(),
        (Framing::JsonArray, _) => format!(",\r\n{body}]").into(),
    }
}
