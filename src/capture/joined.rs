//! The events of a stream, put together: every text of it that came in pieces is one text again, and only then looked
//! through, for a number may be spread over many events. Nothing is known of dialects here: pieces that stand at the
//! same place of their events are one text, and the place is its name.
//!
//! A text may change its place while it goes on (Gemini's parts, a first word that came with the start of a block), so
//! all that models say is looked through a second time in the order in which it came; and each piece by itself, since
//! what is beside it may be another text.

use std::collections::HashMap;
use std::fmt::Write;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::json;
use super::redact::{self, Found, Label};
use crate::config::Redact;
use crate::dialect::Frame;

/// Places that are told apart; what stands elsewhere is left out.
const MOST_PLACES: usize = 512;
/// How many texts within each other are looked into.
const DEEPEST: usize = 64;

/// Bytes at the end of a text that was cut.
const TAIL: usize = 256;

/// Members in which models say something, piece by piece.
const SAID: [&str; 15] = [
    "arguments",
    "content",
    "data",
    "delta",
    "input",
    "output_text",
    "partial_json",
    "plan",
    "reasoning",
    "reasoning_content",
    "refusal",
    "response",
    "text",
    "thinking",
    "transcript",
];
/// By which Gemini tells them apart.
const THOUGHT: &str = "thought";
/// Numbers that tell pieces of several texts apart.
const INDICES: [&str; 4] = ["index", "output_index", "content_index", "summary_index"];

/// One text of a stream.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CaptureText")]
pub struct Text {
    /// Where in its events it stood: `choices[0].delta.content`.
    pub at: String,
    pub text: String,
}

/// Whether there is more of what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Whole,
    Cut,
}

/// Takes the last of a text away that was cut off: half a number could not be told from others.
pub fn drop_tail(text: &mut String) {
    text.truncate(text.floor_char_boundary(text.len().saturating_sub(TAIL)));
}

/// Events, as far as they were read.
#[derive(Default)]
pub struct Joined {
    places: HashMap<String, usize>,
    fields: Vec<Field>,
    /// What models say, in the order in which it came.
    said: Vec<(usize, Range<usize>)>,
    /// Texts at places beyond the bound.
    pub left_out: u64,
}

struct Field {
    at: String,
    text: String,
    /// Where each piece ends in it.
    ends: Vec<usize>,
    /// Whether every piece is the same, and no piece of something longer.
    repeats: bool,
    is_secret: bool,
}

impl Joined {
    pub fn push(&mut self, frame: &Frame) {
        // Blanks between words are something, where they are data.
        let is_blank = |data: &[u8]| !data.is_empty() && data.iter().all(u8::is_ascii_whitespace);
        if frame.is_sign_of_life() && !frame.data().is_some_and(is_blank) {
            return;
        }
        let data = frame.data().unwrap_or(&frame.raw);
        let event = serde_json::from_slice::<Value>(data).ok();
        let Some(event) = event.filter(|event| event.is_object() || event.is_array()) else {
            self.piece("data", "data", &String::from_utf8_lossy(data));
            return;
        };
        let name = event["type"].as_str().map(str::to_owned);
        let name = name.or_else(|| frame.event().map(|name| String::from_utf8_lossy(name).into_owned()));
        let mut at = name.unwrap_or_default();
        for index in INDICES.iter().filter_map(|name| event[name].as_u64()) {
            let _ = write!(at, "[{index}]");
        }
        self.value(&at, "data", &event, DEEPEST);
    }

    /// Takes what is in `value`, which stands at `at` under the name `member`.
    fn value(&mut self, at: &str, member: &str, value: &Value, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            self.left_out += 1;
            return;
        };
        match value {
            Value::String(text) => self.piece(at, member, text),
            Value::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    let index = item["index"].as_u64().unwrap_or(number as u64);
                    self.value(&format!("{at}[{index}]"), member, item, depth);
                }
            }
            Value::Object(members) => {
                // What a model thinks and what it says may stand at one place, one after the other.
                let thought = members.get(THOUGHT).is_some_and(|thought| *thought == Value::Bool(true));
                let at = if thought { &*format!("{at}({THOUGHT})") } else { at };
                for (name, value) in members.iter().filter(|(name, _)| !json::is_left_out(name)) {
                    let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                    self.value(&at, name, value, depth);
                }
            }
            // What they count is in the request's record.
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn piece(&mut self, at: &str, member: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let place = match self.places.get(at) {
            Some(place) => *place,
            None if self.fields.len() >= MOST_PLACES => {
                self.left_out += 1;
                return;
            }
            None => {
                self.places.insert(at.to_owned(), self.fields.len());
                self.fields.push(Field {
                    at: at.to_owned(),
                    text: String::new(),
                    ends: Vec::new(),
                    repeats: !SAID.contains(&member),
                    is_secret: redact::is_secret_member(member),
                });
                self.fields.len() - 1
            }
        };
        let field = &mut self.fields[place];
        let from = field.text.len();
        field.repeats &= field.ends.first().is_none_or(|end| field.text[..*end] == *text);
        if !SAID.contains(&member) && field.repeats && from > 0 {
            return;
        }
        field.text.push_str(text);
        field.ends.push(field.text.len());
        if SAID.contains(&member) {
            self.said.push((place, from..field.text.len()));
        }
    }

    /// All texts without what is to be struck out of them.
    pub fn clean(self, what: &Redact, end: End) -> Vec<Text> {
        let Self { fields, said, .. } = self;
        let mut found: Vec<Vec<Found>> = fields.iter().map(|field| field.find(what)).collect();
        let whole: String = said.iter().map(|(place, at)| &fields[*place].text[at.clone()]).collect();
        for Found { at, label } in redact::find(&whole, what) {
            let mut from = 0;
            for (place, piece) in &said {
                let to = from + piece.len();
                let (begin, end) = (at.start.clamp(from, to), at.end.clamp(from, to));
                if begin < end {
                    let at = piece.start + (begin - from)..piece.start + (end - from);
                    found[*place].push(Found { at, label });
                }
                from = to;
            }
        }
        let struck = fields.into_iter().zip(found).map(|(field, found)| field.strike(found, what, end));
        struck.map(|(at, text)| Text { at: redact::clean(&at, what).into_owned(), text }).collect()
    }
}

impl Field {
    fn find(&self, what: &Redact) -> Vec<Found> {
        let mut found = redact::find(&self.text, what);
        let mut from = 0;
        for end in self.ends.iter().filter(|_| self.ends.len() > 1) {
            let inside = redact::find(&self.text[from..*end], what);
            found.extend(inside.into_iter().map(|Found { at, label }| {
                let at = at.start + from..at.end + from;
                Found { at, label }
            }));
            from = *end;
        }
        found
    }

    fn strike(self, found: Vec<Found>, what: &Redact, end: End) -> (String, String) {
        let mut text = if what.keys && self.is_secret {
            Label::Key.text().to_owned()
        } else if let Some(instead) = json::left_out(&self.text) {
            instead
        } else {
            redact::strike(&self.text, found).into_owned()
        };
        if end == End::Cut && !self.repeats {
            drop_tail(&mut text);
        }
        (self.at, text)
    }
}
