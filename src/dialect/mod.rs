//! Wire languages: what callers and upstreams say to each other, as bytes.
//!
//! Shared files, in the order in which a request meets them:
//!
//! | file | job |
//! |---|---|
//! | [`entry`] | method + path -> dialect, operation, where the model is named; the one table of ways in |
//! | `operation`, `session`, `tier`, `billed` | what a request asks for, to which conversation it belongs, what it says of its price |
//! | [`scan`] / [`splice`] | find `model`, `stream`… in a body without a JSON tree; replace them in place |
//! | [`provider`] | the vendor table |
//! | [`framing`] | a chunked stream ([`sse`] or a JSON array) -> frames, byte for byte |
//! | [`watch`] | what each frame of a stream means: does it commit, end, fail, count? |
//! | [`meter`] | the same questions for an answer in one piece |
//! | [`classify`] | an upstream's failure -> [`Fault`](crate::vocab::Fault) and rate hint |
//! | [`trouble`] | our own errors, in the caller's dialect |
//! | [`allowance`] | what a caller has left of his limits, in his dialect's headers |
//! | [`hub`] | what all dialects mean, for when two of them have to meet |
//! | [`anew`] | whether a request of the upstream's own dialect passes as it is |
//! | [`translate`] | a request or an answer of one dialect -> another |
//! | [`task`] | the same for vectors, rankings and counts of tokens |
//! | [`continuation`] | an answer that broke off, continued by another model |
//! | [`tokens`] | token counts where no upstream counts |
//! | [`responses::conversation`], [`responses::stored`] | what callers of responses refer to; the ways to it |
//! | [`left`] | names of the files and batches that callers leave at an upstream |
//! | [`responses::encrypted`] | reasoning that only whoever encrypted it can read |
//! | [`models`] | lists of models, as each dialect's clients read them |
//! | `claude`, `quirks`, `remote` | which Claude a model is; how a vendor's wire differs; media given as URLs |
//! | `json`, `tree`, `write` | JSON: walked over, as a tree that borrows, and written |
//! | `openai`, `responses`, `anthropic`, `gemini`, `cohere`, `bedrock`, `ollama`, `http` | the dialects |
//!
//! Each dialect's directory holds the same files: `watch.rs` (its frames), `usage.rs` (its token
//! counts) and `error.rs` (our errors in its shape); `http` has only the last. A dialect is one
//! directory and one arm in `watch`, `meter` and `trouble`; the compiler lists them. Errors of
//! upstreams are read in one place, `classify`: vendors mix each other's shapes.
//!
//! Nothing here does I/O, reads a clock or knows the configuration. Same-dialect traffic is never
//! parsed into a tree nor rewritten: replies pass untouched (RESILIENCE E7). Facts about the wire
//! are WIRE.md's; what commits and whose fault it is are RESILIENCE §5.

pub mod allowance;
pub mod anew;
mod anthropic;
mod bedrock;
pub mod billed;
pub mod classify;
mod claude;
mod cohere;
pub mod continuation;
pub mod entry;
pub mod framing;
mod gemini;
#[cfg(test)]
mod golden;
mod http;
pub mod hub;
mod json;
pub mod left;
pub mod meter;
pub mod models;
mod ollama;
mod openai;
pub mod operation;
pub mod provider;
pub mod quirks;
pub mod remote;
mod responses;
pub mod scan;
pub mod session;
pub mod splice;
pub mod task;
mod tier;
pub mod tokens;
pub mod translate;
pub mod tree;
pub mod trouble;
pub mod watch;
pub mod write;

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use anthropic::flagged;
pub use bedrock::{flags, invoke};
pub use framing::{Frame, Framing, Splitter, sse};
pub use gemini::named;
pub use operation::{Operation, Replay};
pub use provider::Provider;
pub use responses::begun::Begun;
pub use responses::{conversation, encrypted, stored, stored_at};

/// A wire language. What an upstream `speaks` and what a caller used are both one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI's chat completions and their family: completions, embeddings, images, audio…
    #[serde(rename = "openai")]
    OpenAi,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Anthropic,
    /// Google's generateContent.
    Gemini,
    /// Cohere's v2 chat.
    Cohere,
    /// Amazon Bedrock's converse.
    Bedrock,
    /// Ollama's own API; of upstreams only.
    Ollama,
    /// Anything over HTTP; nothing about its bodies is assumed.
    Http,
}

impl Dialect {
    /// Every dialect, for tables and tests.
    pub const ALL: [Self; 8] = [
        Self::OpenAi,
        Self::Responses,
        Self::Anthropic,
        Self::Gemini,
        Self::Cohere,
        Self::Bedrock,
        Self::Ollama,
        Self::Http,
    ];

    /// Whether a call's arguments are an object in it, and not the text of one.
    pub const fn has_objects_for_arguments(self) -> bool {
        match self {
            Self::Anthropic | Self::Gemini | Self::Bedrock | Self::Ollama => true,
            Self::OpenAi | Self::Responses | Self::Cohere | Self::Http => false,
        }
    }

    /// The name in configuration, metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Responses => "responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Cohere => "cohere",
            Self::Bedrock => "bedrock",
            Self::Ollama => "ollama",
            Self::Http => "http",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is not the name of a dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a dialect; the dialects are openai, responses, anthropic, gemini, cohere, bedrock, ollama and http"
)]
pub struct UnknownDialect;

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == text).ok_or(UnknownDialect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_is_its_name_in_text_and_in_json() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.name().parse(), Ok(dialect));
            assert_eq!(serde_json::to_value(dialect).expect("an enum"), dialect.name());
        }
        assert_eq!("OpenAI".parse::<Dialect>(), Err(UnknownDialect));
    }
}
