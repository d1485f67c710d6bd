//! What is kept of a body: its text, redacted, in a form in which that is safe. JSON stays JSON; a stream becomes its
//! texts, put together; other text is looked through as it stands. What is no text, or encoded, is left out, and it is
//! said why.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::joined::{End, Joined, Text, drop_tail};
use super::{json, redact};
use crate::config::Redact;
use crate::dialect::{Dialect, Framing, Operation, Splitter};

/// As it was seen.
#[derive(Clone, Default)]
pub struct Seen {
    /// Its beginning, or all of it.
    pub begin: Bytes,
    /// How long it was, in bytes, as far as it came.
    pub length: u64,
}

/// As it is kept.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CaptureBody")]
pub struct Body {
    /// How long it was, in bytes, as far as it came.
    pub bytes: u64,
    /// Whether there was more of it than is kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    #[serde(flatten)]
    pub content: Content,
}

/// What it said.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// JSON, whole.
    Json(#[schemars(with = "serde_json::Value")] Box<RawValue>),
    /// Other text, or the beginning of a JSON text.
    Text(String),
    /// The texts of a stream's events, each put together.
    Stream(Vec<Text>),
    /// Nothing, and why.
    LeftOut(String),
}

/// Whose body it is.
#[derive(Clone, Copy)]
pub struct Language {
    pub dialect: Dialect,
    pub operation: Operation,
}

impl Body {
    /// At most `most` bytes of what was `seen` under `headers`.
    pub fn of(seen: &Seen, headers: &HeaderMap, language: Language, most: usize, what: &Redact) -> Self {
        let mut cut = seen.length > seen.begin.len() as u64;
        let field = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let media = field(&CONTENT_TYPE);
        let content = if seen.length == 0 {
            Content::LeftOut("it is empty".to_owned())
        } else if let Some(encoding) = field(&CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
            Content::LeftOut(format!("it is encoded: {}", redact::clean(encoding, what)))
        } else {
            match framing(language, media) {
                Framing::Opaque if is_text(media, &seen.begin) => text(&seen.begin, &mut cut, most, what),
                Framing::Opaque => {
                    let media = media.unwrap_or("of a kind that nobody says");
                    Content::LeftOut(format!("it is no text: {}", redact::clean(media, what)))
                }
                framing => stream(framing, &seen.begin, &mut cut, most, what),
            }
        };
        Self { bytes: seen.length, cut, content }
    }
}

/// Of plain HTTP nothing is assumed but what its content type says.
fn framing(Language { dialect, operation }: Language, media: Option<&str>) -> Framing {
    let dialect = if dialect == Dialect::Http { Dialect::OpenAi } else { dialect };
    Framing::of(dialect, operation, media)
}

/// Whether there may be words in it.
pub fn is_streamed(language: Language, headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    framing(language, media) != Framing::Opaque
}

fn is_text(media: Option<&str>, begin: &[u8]) -> bool {
    let essence =
        media.and_then(|media| media.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
    match &*essence {
        "" => valid(begin).is_some_and(|text| !text.contains('\0')),
        "application/x-www-form-urlencoded" | "application/xml" | "application/x-ndjson" => true,
        essence => essence.starts_with("text/") || essence.contains("json") || essence.ends_with("+xml"),
    }
}

/// As UTF-8, but for a character that is cut at the end.
fn valid(bytes: &[u8]) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok(),
        Err(_) => None,
    }
}

fn text(begin: &[u8], cut: &mut bool, most: usize, what: &Redact) -> Content {
    let text = match valid(begin) {
        Some(text) => text.into(),
        None => String::from_utf8_lossy(begin),
    };
    let is_json = !*cut && serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
    let cleaned = json::clean(&text, what);
    let is_clean_json = is_json && cleaned.is_some();
    let mut cleaned = cleaned.unwrap_or_else(|| redact::clean(&text, what).into_owned());
    if is_clean_json {
        match RawValue::from_string(cleaned) {
            Ok(json) => return Content::Json(json),
            // It was JSON before, and is one token for another since; should it be none, nothing is shown of it.
            Err(_) => return Content::LeftOut("it cannot be redacted".to_owned()),
        }
    }
    if *cut {
        drop_tail(&mut cleaned);
    }
    shorten(&mut cleaned, most, cut);
    Content::Text(cleaned)
}

fn stream(framing: Framing, begin: &Bytes, cut: &mut bool, most: usize, what: &Redact) -> Content {
    let (mut splitter, mut joined) = (Splitter::new(framing), Joined::default());
    splitter.push(begin.clone());
    loop {
        match splitter.next() {
            Ok(Some(frame)) => joined.push(&frame),
            Ok(None) => break,
            // Framed no further: the rest of it is no event that could be read.
            Err(_) => {
                *cut = true;
                break;
            }
        }
    }
    // An event that is cut says nothing.
    if !*cut && let Some(frame) = splitter.leftover().filter(|_| framing != Framing::EventStream) {
        joined.push(&frame);
    }
    *cut |= joined.left_out > 0;
    let end = if *cut { End::Cut } else { End::Whole };
    let mut left = most;
    let mut texts = joined.clean(what, end);
    for text in &mut texts {
        shorten(&mut text.text, left, cut);
        left -= text.text.len();
    }
    texts.retain(|text| !text.text.is_empty());
    Content::Stream(texts)
}

fn shorten(text: &mut String, most: usize, cut: &mut bool) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        *cut = true;
    }
}
