//! An answer in one piece.

use super::part::Part;
use super::{Extras, Text};
use crate::dialect::Dialect;
use crate::vocab::Usage;

/// What an upstream answered, whatever the dialect.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply<'a> {
    /// Where it came from: whose extras these are.
    pub dialect: Dialect,
    /// Empty when the dialect gives none.
    pub id: Text<'a>,
    /// The model that answered, as the upstream calls it; empty when it does not say.
    pub model: Text<'a>,
    /// Seconds since 1970; unknown in most dialects.
    pub created: Option<u64>,
    /// At least one, save when the prompt itself was refused; then one without parts.
    pub choices: Vec<Choice<'a>>,
    pub usage: Option<Usage>,
    /// The tier that was used, in the upstream's own word.
    pub tier: Option<Text<'a>>,
    pub extras: Extras<'a>,
}

/// One of the answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice<'a> {
    pub index: u32,
    pub parts: Vec<Part<'a>>,
    pub stop: Stop<'a>,
    /// OpenAI's form of it (`{"content": [...]}`), JSON.
    pub logprobs: Option<Text<'a>>,
    pub extras: Extras<'a>,
}

/// Why an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stop<'a> {
    /// The model had said all.
    #[default]
    End,
    /// One of the caller's stop sequences came, where it is known which.
    Sequence(Option<Text<'a>>),
    /// As long as the caller allowed.
    Length,
    /// As long as the model's window allows.
    Window,
    /// It wants tools to be called.
    Calls,
    /// The vendor's filter ended it.
    Filter,
    /// The model refused.
    Refusal,
    /// A long turn was paused and may be continued (Anthropic).
    Pause,
    /// The model failed to produce a valid answer.
    Failed,
}

impl<'a> Choice<'a> {
    pub fn new(parts: Vec<Part<'a>>, stop: Stop<'a>) -> Self {
        Self { index: 0, parts, stop, logprobs: None, extras: Extras::default() }
    }
}
