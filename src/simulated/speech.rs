//! What every dialect's answer is made of, and the one place that picks the dialect.

use bytes::Bytes;
use serde_json::Value;

use super::ask::{Ask, DEFAULT_MODEL, Dialect, Framing, Operation};
use super::rule::InBand;
use super::text::{Text, hex};
use super::{anthropic, complaint::Complaint, gemini, openai, responses};

/// Bytes a prompt token is taken to have. Only consistency matters: the same body, the same count.
const BYTES_PER_TOKEN: u64 = 4;

/// `created` of an answer at the start of the upstream: a fixed date, so that runs repeat to the byte.
const EPOCH: u64 = 1_780_000_000;

/// The facts of one answer, before any dialect words them.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) text: Text,
    /// Unique per upstream and request; dialects put their prefix before it.
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: u64,
    pub(super) input_tokens: u64,
    pub(super) seed: u64,
}

/// One piece of a stream, as it goes on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) part: Part,
    pub(super) bytes: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Before any content: roles, ids, pings.
    Lead,
    Content,
    /// After all content: finish reasons, usage, terminators.
    Tail,
}

pub(super) type Events = Box<dyn Iterator<Item = Event> + Send>;

/// An answer in the words of its dialect.
pub(super) enum Speech {
    Whole { content_type: &'static str, body: Bytes },
    Stream { content_type: &'static str, events: Events },
}

pub(super) const JSON: &str = "application/json";
pub(super) const SSE: &str = "text/event-stream; charset=utf-8";

impl Answer {
    /// `name`, `words` and `seed` are the upstream's, `elapsed` is its age in seconds.
    pub(super) fn new(name: &str, words: u32, seed: u64, serial: u64, elapsed: u64, ask: &Ask) -> Self {
        Self {
            text: Text::new(name, serial, words),
            id: hex(&serial.to_be_bytes()),
            model: ask.model.clone().unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
            created: EPOCH.saturating_add(elapsed),
            input_tokens: (ask.body_bytes / BYTES_PER_TOKEN).max(1),
            seed,
        }
    }

    pub(super) fn total_tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.text.tokens())
    }
}

/// The id of a request, as its answer's headers and error bodies have it.
pub(super) fn request_id(id: &str) -> String {
    format!("req_{id}")
}

impl Event {
    pub(super) fn new(part: Part, bytes: impl Into<Bytes>) -> Self {
        Self { part, bytes: bytes.into() }
    }
}

impl Speech {
    pub(super) fn json(value: &Value) -> Self {
        Self::Whole { content_type: JSON, body: value.to_string().into() }
    }

    /// The good answer to an ask. `Operation::Echo` is answered elsewhere: it needs the request itself.
    pub(super) fn of(ask: &Ask, answer: &Answer) -> Self {
        let sse = |events| Self::Stream { content_type: SSE, events };
        match (ask.place.operation, ask.stream) {
            (Operation::Chat, true) => sse(openai::chat_events(ask, answer)),
            (Operation::Completions, true) => sse(openai::completion_events(ask, answer)),
            (Operation::Responses, true) => sse(responses::events(answer)),
            (Operation::Messages, true) => sse(anthropic::events(answer)),
            (Operation::StreamGenerate, _) => match ask.place.framing {
                Framing::Sse => sse(gemini::sse_events(answer)),
                Framing::JsonArray => {
                    Self::Stream { content_type: JSON, events: gemini::array_events(answer) }
                }
            },
            (Operation::Speech, _) => Self::Whole { content_type: "audio/wav", body: openai::speech() },
            _ => Self::json(&match ask.place.dialect {
                Dialect::Responses => responses::whole(ask, answer),
                Dialect::Anthropic => anthropic::whole(ask, answer),
                Dialect::Gemini => gemini::whole(ask, answer),
                Dialect::OpenAi | Dialect::Http => openai::whole(ask, answer),
            }),
        }
    }

    /// The error inside a stream of which `sent` events have gone out.
    pub(super) fn in_band(ask: &Ask, answer: &Answer, error: InBand, sent: u64) -> Bytes {
        let complaint = Complaint::from(error);
        match ask.place.dialect {
            Dialect::OpenAi | Dialect::Http => openai::in_band(complaint),
            Dialect::Responses => responses::in_band(answer, complaint, sent),
            Dialect::Anthropic => anthropic::in_band(complaint, &request_id(&answer.id)),
            Dialect::Gemini => gemini::in_band(complaint, ask.place.framing, sent),
        }
    }
}

impl From<InBand> for Complaint {
    fn from(error: InBand) -> Self {
        match error {
            InBand::Overloaded => Self::Overloaded,
            InBand::ServerError => Self::Server,
            InBand::RateLimited => Self::Throttled,
            InBand::QuotaExhausted => Self::Quota,
        }
    }
}
