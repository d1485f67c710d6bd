//! Documents to be put in order, and the order.

use super::{Extras, Text};
use crate::dialect::Dialect;
use crate::vocab::Usage;

/// A request for a ranking. Cohere's words are everybody's, but for a few names.
#[derive(Clone, Debug, PartialEq)]
pub struct Rerank<'a> {
    /// Where it came from: whose extras these are.
    pub dialect: Dialect,
    pub query: Text<'a>,
    pub documents: Vec<Document<'a>>,
    /// The best so many only.
    pub top: Option<u64>,
    /// The documents are to be repeated in the answer.
    pub repeat: Option<bool>,
    pub extras: Extras<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Document<'a> {
    Text(Text<'a>),
    /// An object with a member `text`, and perhaps others; JSON.
    Object {
        text: Option<Text<'a>>,
        raw: &'a str,
    },
}

/// What came of it, in the upstream's order: the best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking<'a> {
    pub id: Option<Text<'a>>,
    pub places: Vec<Ranked<'a>>,
    pub usage: Option<Usage>,
    /// What Cohere bills.
    pub search_units: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Ranked<'a> {
    /// Which of the request's documents it is.
    pub index: u64,
    /// A JSON number, as it came.
    pub score: &'a str,
}

impl Document<'_> {
    /// What is read of it: its text, or all of it.
    pub fn as_text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Object { text: Some(text), .. } => text,
            Self::Object { text: None, raw } => raw,
        }
    }
}
