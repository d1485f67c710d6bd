//! Texts to be turned into vectors, and the vectors.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Extras, Losses, Text};
use crate::dialect::tree::Wrong;
use crate::dialect::{Dialect, tokens};
use crate::vocab::Usage;

/// A request for vectors, whatever the dialect.
#[derive(Clone, Debug, PartialEq)]
pub struct Embed<'a> {
    /// Where it came from: whose extras these are.
    pub dialect: Dialect,
    pub inputs: Vec<Input<'a>>,
    /// How the caller wants the vectors; the first one is the best liked. Never empty.
    pub encodings: Vec<Encoding>,
    pub dimensions: Option<u64>,
    pub purpose: Option<Purpose>,
    /// A document's title.
    pub title: Option<Text<'a>>,
    /// What becomes of texts that are too long.
    pub truncate: Option<Truncate>,
    pub user: Option<Text<'a>>,
    pub extras: Extras<'a>,
}

/// What becomes one vector.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<'a> {
    Text(Text<'a>),
    /// Ids of OpenAI's vocabulary `cl100k_base`, as LangChain sends them.
    Tokens(Vec<u32>),
    /// Pictures and other things that only their own dialect can say; `kind` is what they are.
    Vendor {
        kind: &'static str,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Float,
    /// Little-endian floats of 32 bits.
    Base64,
}

/// What the vectors are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Query,
    Document,
    Classification,
    Clustering,
    Similarity,
    QuestionAnswering,
    FactVerification,
    Code,
}

/// What becomes of a text that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncate {
    /// It is an error.
    Never,
    Start,
    End,
}

/// What came of it. Vectors are kept as they came, since most callers want them so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vectors<'a> {
    pub id: Option<Text<'a>>,
    /// In the order of the inputs.
    pub vectors: Vec<Vector<'a>>,
    pub usage: Option<Usage>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Vector<'a> {
    /// A JSON array of numbers.
    Floats(&'a str),
    /// Standard base64 of little-endian floats of 32 bits.
    Base64(Text<'a>),
}

impl<'a> Vector<'a> {
    /// As a JSON array of numbers.
    pub fn as_floats(&self) -> Result<Cow<'a, str>, Wrong> {
        let text = match self {
            Self::Floats(array) if array.starts_with('[') => return Ok(Cow::Borrowed(array)),
            Self::Floats(_) => return Err(Wrong::whole("a vector is no list of numbers")),
            Self::Base64(text) => text,
        };
        let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| Wrong::whole("a vector is not base64"))?;
        let (floats, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(Wrong::whole("a vector in base64 is cut off"));
        }
        let mut array = String::with_capacity(floats.len() * 12);
        for float in floats {
            array.push(if array.is_empty() { '[' } else { ',' });
            let float = f32::from_le_bytes(*float);
            if !float.is_finite() {
                return Err(Wrong::whole("a vector in base64 holds what is no number"));
            }
            // Writing to a String cannot fail. Shortest form that reads back as the same float.
            let _ = write!(array, "{float}");
        }
        if array.is_empty() {
            array.push('[');
        }
        array.push(']');
        Ok(Cow::Owned(array))
    }

    /// As base64 of little-endian floats.
    pub fn as_base64(&self) -> Result<Cow<'_, str>, Wrong> {
        let array = match self {
            Self::Base64(text) => return Ok(Cow::Borrowed(text)),
            Self::Floats(array) => array,
        };
        let inner = array.trim().trim_start_matches('[').trim_end_matches(']');
        let mut bytes = Vec::with_capacity(inner.len() / 2);
        for number in inner.split(',').map(str::trim).filter(|number| !number.is_empty()) {
            let float = number.parse().ok().filter(|float: &f32| float.is_finite());
            let float = float.ok_or_else(|| Wrong::whole("a vector holds what is no number"))?;
            bytes.extend_from_slice(&float.to_le_bytes());
        }
        Ok(Cow::Owned(STANDARD.encode(bytes)))
    }
}

impl Embed<'_> {
    /// The inputs as texts, for dialects that take nothing else. What is none is refused.
    pub fn texts(&self, losses: &mut Losses) -> Vec<Cow<'_, str>> {
        let text = |input| text_of(input, losses);
        self.inputs.iter().map(text).collect()
    }

    /// About how many tokens the inputs have, for upstreams that do not say.
    pub fn glance(&self) -> u64 {
        let cost = |input: &Input<'_>| match input {
            Input::Text(text) => tokens::at_a_glance(text.len()),
            Input::Tokens(ids) => ids.len() as u64,
            Input::Vendor { .. } => 0,
        };
        self.inputs.iter().map(cost).sum()
    }
}

fn text_of<'i>(input: &'i Input<'_>, losses: &mut Losses) -> Cow<'i, str> {
    match input {
        Input::Text(text) => return Cow::Borrowed(text),
        Input::Tokens(ids) => match tokens::decode(ids) {
            Some(text) => return Cow::Owned(text),
            None => losses.refuse(
                "input",
                "the channel's dialect takes no token ids, and these are not of cl100k_base, so that they \
                 could be turned into text; send text (LangChain: check_embedding_ctx_length=False)",
            ),
        },
        Input::Vendor { kind } => {
            losses.refuse("input", format!("the channel embeds text only, not {kind}"));
        }
    }
    Cow::Borrowed("")
}

impl Purpose {
    /// What vendors and gateways call them: `search_query`, `RETRIEVAL_QUERY`, `query`, `passage` …
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "search_query" | "retrieval_query" | "query" => Self::Query,
            "search_document" | "retrieval_document" | "document" | "passage" => Self::Document,
            "classification" => Self::Classification,
            "clustering" => Self::Clustering,
            "semantic_similarity" => Self::Similarity,
            "question_answering" => Self::QuestionAnswering,
            "fact_verification" => Self::FactVerification,
            "code_retrieval_query" => Self::Code,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base64_is_little_endian() {
        let ones = Vector::Base64("AACAPwAAAEA=".into());
        assert_eq!(ones.as_floats().expect("floats"), "[1,2]");
        assert_eq!(Vector::Floats("[1, 2.0]").as_base64().expect("numbers"), "AACAPwAAAEA=");
        assert_eq!(Vector::Floats(" [ ] ").as_base64().expect("numbers"), "");
        assert_eq!(Vector::Base64("".into()).as_floats().expect("floats"), "[]");
        for broken in ["AACAPwAA", "?", "AADAfw=="] {
            assert!(Vector::Base64(broken.into()).as_floats().is_err(), "{broken}");
        }
        assert!(Vector::Floats("[1,null]").as_base64().is_err());
        assert!(Vector::Floats("{}").as_floats().is_err());
    }

    proptest! {
        #[test]
        fn floats_survive_both_ways(floats in proptest::collection::vec(-1e30f32..1e30, 0..40)) {
            let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
            let text = STANDARD.encode(&bytes);
            let array = Vector::Base64(text.clone().into()).as_floats().expect("floats").into_owned();
            let back: Vec<f32> = serde_json::from_str(&array).expect("JSON");
            prop_assert_eq!(&back, &floats);
            let vector = Vector::Floats(&array);
            prop_assert_eq!(vector.as_base64().expect("numbers"), text);
        }
    }
}
