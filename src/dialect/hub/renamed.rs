//! Names of tools that a dialect does not take.
//!
//! Each vendor has a rule for them, and refuses the whole request for one name that breaks it, be it that of a call
//! long ago. Where a request is translated, another name stands for such a one, and the answer has the caller's own
//! again. A stand-in is as much of the name as there is room for, and the beginning of its hash: between requests
//! nothing is kept, and the same name has the same stand-in on every turn, so that vendors' prompt caches hold. What
//! is taken stays as it is. So do the vendors' own tools, and whatever texts say of a tool.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::custom::CUSTOM;
use super::event::Block;
use super::namespace::{MARK, TOOL_SEARCH, divide, is_qualified};
use super::{Ask, Content, Event, Family, Reply, Terms, Text, ToolChoice, ToolKind};
use crate::dialect::Dialect;

/// The stand-ins of one request, each with the name that it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renamed {
    names: BTreeMap<String, String>,
}

/// What a name of a tool has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    /// What may be in it beside letters and digits, in ASCII.
    others: &'static [u8],
    first: First,
    longest: usize,
}

/// What it may begin with, of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Any,
    LetterOrUnderscore,
    Letter,
}

/// `^[a-zA-Z0-9_-]{1,64}$`: OpenAI's reference ("a-z, A-Z, 0-9, or contain underscores and dashes, with a maximum
/// length of 64"). Some of its models were seen to take more, and dots; others refuse both.
const OPENAI: Rule = Rule { others: b"_-", first: First::Any, longest: 64 };
/// Those who are compatible with OpenAI, or with Anthropic. Mistral's, DeepSeek's and Qwen's errors say 64; Moonshot's:
/// "must start with a letter and can contain letters, numbers, underscores, and dashes".
const COMPATIBLE: Rule = Rule { first: First::Letter, ..OPENAI };
/// Claude's error: "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'", which was 64 until 2025.
const CLAUDE: Rule = Rule { longest: 128, ..OPENAI };
/// "Must start with a letter or an underscore. Must be a-z, A-Z, 0-9, or contain underscores, dots and dashes, with a
/// maximum length of 64" (Gemini's API and Vertex); newer texts of theirs have colons as well, and 128.
const GEMINI: Rule = Rule { others: b"_.-", first: First::LetterOrUnderscore, longest: 64 };
/// "Valid names contain only the characters a-z, A-Z, 0-9, _ and must not begin with a digit" (Cohere's v1; v2 and
/// Oracle's copy of it say no more). Nobody names a length.
const COHERE: Rule = Rule { others: b"_", first: First::LetterOrUnderscore, longest: 64 };
/// `[a-zA-Z0-9_-]+`, at most 64: `ToolSpecification` and `ToolUseBlock` of Bedrock's runtime.
const BEDROCK: Rule = OPENAI;

/// Digits of the hash. They tell any two names apart that one request is likely to have; where they do not, another
/// hash is taken.
const DIGITS: usize = 8;
/// What is kept of a long name's beginning. The rest of the room is its end's: tools of one server differ there.
const HEAD: usize = 24;
/// Stands before what no name may begin with.
const BEFORE: &str = "tool_";

impl Renamed {
    /// Gives each name that the upstream does not take its stand-in, everywhere.
    pub fn replace(ask: &mut Ask<'_>, to: Dialect, terms: &Terms<'_>) -> Self {
        let mut renamed = Self::default();
        let mut in_namespace = false;
        each(ask, |name| in_namespace |= is_qualified(name));
        // Whoever takes any name takes none with a namespace's mark in it.
        let Some(rule) = Rule::of(to, terms).or(in_namespace.then_some(COMPATIBLE)) else { return renamed };
        let mut all_taken = true;
        each(ask, |name| all_taken &= rule.takes(name));
        if all_taken {
            return renamed;
        }
        // Whatever else a name is, it cannot be in the way of a stand-in.
        let mut in_the_way = HashSet::new();
        each(ask, |name| {
            if rule.takes(name) && (looks_like_one(name) || &**name == divide(TOOL_SEARCH).1) {
                in_the_way.insert(name.to_string());
            }
        });
        // A hostile body says one name very often.
        let mut given: HashMap<String, String> = HashMap::new();
        each(ask, |name| {
            if rule.takes(name) {
                return;
            }
            if let Some(stand_in) = given.get(&**name) {
                *name = Cow::Owned(stand_in.clone());
                return;
            }
            let is_free =
                |stand_in: &String| !in_the_way.contains(stand_in) && !renamed.names.contains_key(stand_in);
            // Models know it by this name from what they are told elsewhere.
            let known = (&**name == TOOL_SEARCH).then(|| divide(TOOL_SEARCH).1.to_owned());
            let others = (0..=u32::MAX).map(|again| rule.stand_in(name, again));
            let Some(stand_in) = known.into_iter().chain(others).find(is_free) else {
                return;
            };
            let old = std::mem::replace(name, Cow::Owned(stand_in.clone())).into_owned();
            given.insert(old.clone(), stand_in.clone());
            renamed.names.insert(stand_in, old);
        });
        renamed
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Has the request say what the caller said.
    pub fn undo(&self, ask: &mut Ask<'_>) {
        if !self.is_empty() {
            each(ask, |name| self.restore_name(name));
        }
    }

    /// Has the caller's names in an answer. What the model calls that was not told of stays as it is.
    pub fn restore(&self, reply: &mut Reply<'_>) {
        if self.is_empty() {
            return;
        }
        for part in reply.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
            if let Content::Call(call) = &mut part.content {
                self.restore_name(&mut call.name);
            }
        }
    }

    /// The same for events of a stream.
    pub fn restore_events(&self, events: &mut [Event<'_>]) {
        if self.is_empty() {
            return;
        }
        for event in events {
            if let Event::Open { kind: Block::Call { name, .. }, .. } = event {
                self.restore_name(name);
            }
        }
    }

    fn restore_name(&self, name: &mut Text<'_>) {
        if let Some(old) = self.names.get(&**name) {
            *name = Cow::Owned(old.clone());
            return;
        }
        // Some readers have made a custom tool's call of it already.
        let old = self.names.get(&[CUSTOM, name].concat()).and_then(|old| old.strip_prefix(CUSTOM));
        if let Some(old) = old {
            *name = Cow::Owned(old.to_owned());
        }
    }
}

/// Visits each name of a caller's tool, wherever a request has one. The tools come first, so that what is said later
/// changes no stand-in of theirs.
fn each<'a>(ask: &mut Ask<'a>, mut visit: impl FnMut(&mut Text<'a>)) {
    for tool in &mut ask.tools {
        match &mut tool.kind {
            ToolKind::Function { name, .. } | ToolKind::Custom { name, .. } => visit(name),
            ToolKind::WebSearch { .. } | ToolKind::Vendor { .. } => {}
        }
    }
    match &mut ask.tool_choice {
        Some(ToolChoice::Tool(name)) => visit(name),
        Some(ToolChoice::Allowed { names, .. }) => names.iter_mut().for_each(&mut visit),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => {}
    }
    for part in ask.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        match &mut part.content {
            Content::Call(call) => visit(&mut call.name),
            Content::Outcome(outcome) => outcome.name.iter_mut().for_each(&mut visit),
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Image(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::File(_)
            | Content::Thought(_)
            | Content::Vendor { .. } => {}
        }
    }
}

/// Does it end as stand-ins do?
fn looks_like_one(name: &str) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.len().checked_sub(DIGITS + 1).is_some_and(|at| {
        let (_, end) = name.as_bytes().split_at(at);
        end.first() == Some(&b'_') && end.iter().skip(1).all(is_digit)
    })
}

impl Rule {
    /// `None` where whatever is said is taken: Ollama hands names to its models as they are.
    fn of(to: Dialect, terms: &Terms<'_>) -> Option<Self> {
        Some(match to {
            Dialect::OpenAi | Dialect::Responses if terms.family == Family::OpenAi => OPENAI,
            Dialect::Anthropic if terms.is_claude() => CLAUDE,
            Dialect::OpenAi | Dialect::Responses | Dialect::Anthropic => COMPATIBLE,
            Dialect::Gemini => GEMINI,
            Dialect::Cohere => COHERE,
            Dialect::Bedrock => BEDROCK,
            Dialect::Ollama | Dialect::Http => return None,
        })
    }

    fn takes(self, name: &str) -> bool {
        name.len() <= self.longest && self.may_begin(name) && name.bytes().all(|byte| self.may_hold(byte))
    }

    fn may_hold(self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || self.others.contains(&byte)
    }

    /// Nothing at all is no name.
    fn may_begin(self, name: &str) -> bool {
        name.bytes().next().is_some_and(|first| match self.first {
            First::Any => true,
            First::LetterOrUnderscore => first.is_ascii_alphabetic() || first == b'_',
            First::Letter => first.is_ascii_alphabetic(),
        })
    }

    /// A name that is taken, in the place of one that is not; `again` counts those that could not be had.
    fn stand_in(self, name: &str, again: u32) -> String {
        let sound = |char: char| u8::try_from(char).is_ok_and(|byte| self.may_hold(byte));
        let mut kept: String =
            name.trim_start_matches(MARK).chars().map(|char| if sound(char) { char } else { '_' }).collect();
        if !self.may_begin(&kept) {
            kept.insert_str(0, BEFORE);
        }
        let room = self.longest - DIGITS - 1;
        if kept.len() > room {
            let tail = kept.len() - (room - HEAD - 1);
            kept.replace_range(HEAD..tail, "_");
        }
        let mut hash = Sha256::new();
        hash.update(name);
        if again > 0 {
            hash.update([0]);
            hash.update(again.to_be_bytes());
        }
        let [a, b, c, d, ..]: [u8; 32] = hash.finalize().into();
        format!("{kept}_{:08x}", u32::from_be_bytes([a, b, c, d]))
    }
}

#[cfg(test)]
mod tests;
