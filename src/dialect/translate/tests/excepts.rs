//! What cannot be kept, and why.

use super::CALLERS;
use crate::dialect::Dialect;

/// Something that a translation into a dialect cannot keep.
pub struct Except {
    pub to: &'static [Dialect],
    pub samples: &'static [&'static str],
    /// The member of the gist, or `refused`.
    pub member: &'static str,
    pub reason: &'static str,
}

impl Except {
    pub fn covers(&self, to: Dialect, sample: &str, member: &str) -> bool {
        self.member == member && self.to.contains(&to) && self.samples.contains(&sample)
    }
}

/// Golden files that are not there, as the dialect cannot say the sample.
pub const HOLES: &[(&str, Dialect, &str)] = &[
    ("file", Dialect::Cohere, "takes no files but plain text"),
    ("audio", Dialect::Cohere, "hears nothing"),
    ("audio", Dialect::Anthropic, "hears nothing"),
    ("filtered", Dialect::Ollama, "filters nothing"),
    ("refusal", Dialect::Ollama, "has no word for it"),
    ("cached", Dialect::Ollama, "counts no cached tokens"),
    ("interleaved", Dialect::Ollama, "its calls come whole"),
];

pub const ASKS: &[Except] = &[
    Except {
        to: &[Dialect::Bedrock],
        samples: &["image"],
        member: "refused",
        reason: "it fetches no URLs, and a picture that was not seen is another request",
    },
    Except {
        to: &[Dialect::Cohere],
        samples: &["file"],
        member: "refused",
        reason: "it takes no files but plain text",
    },
    Except {
        to: &[Dialect::Anthropic, Dialect::Cohere, Dialect::Bedrock],
        samples: &["audio"],
        member: "refused",
        reason: "they hear nothing",
    },
    Except {
        to: &[Dialect::Cohere],
        samples: &["sampling"],
        member: "logprobs",
        reason: "it gives no alternatives, which is lost as `top_logprobs`",
    },
    Except {
        to: &[Dialect::Cohere],
        samples: &["tool_forced"],
        member: "tool_choice",
        reason: "it cannot name the tool: some tool has to be called, and there is only this one",
    },
    Except {
        to: &[Dialect::Cohere],
        samples: &["tool_forced"],
        member: "tools",
        reason: "it cannot name the tool: the others are left out",
    },
    Except {
        to: &[Dialect::Anthropic, Dialect::Bedrock],
        samples: &["json"],
        member: "messages",
        reason: "it has no such format: a sentence asks for it",
    },
    Except {
        to: &[Dialect::OpenAi, Dialect::Responses, Dialect::Gemini, Dialect::Cohere],
        samples: &["reasoning_back"],
        member: "messages",
        reason: "what Claude thought and signed goes back to Claude only",
    },
];

pub const ANSWERS: &[Except] = &[
    Except {
        to: &CALLERS,
        samples: &["filtered", "refusal"],
        member: "stop",
        reason: "most dialects have one word for what was filtered and what was refused",
    },
    Except {
        to: &[Dialect::Gemini, Dialect::Cohere],
        samples: &["cached"],
        member: "usage",
        reason: "tokens that were written to a cache are not counted apart",
    },
    Except {
        to: &[Dialect::Bedrock],
        samples: &["reasoning"],
        member: "reasoning_tokens",
        reason: "tokens of thoughts are not counted apart",
    },
];
