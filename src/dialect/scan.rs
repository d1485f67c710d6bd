//! Finds in a request's body the few things that routing needs, without building a tree.
//!
//! A JSON body is walked once: it has to be one well-formed object in UTF-8 with no second `model`
//! or `stream` (an upstream might take the other one). A form is searched for its `model` and
//! `stream` parts. Everything else in a body is between the caller and the upstream.

mod deployed;
mod form;
mod others;
#[cfg(test)]
pub(super) mod tests;
mod unwrapped;

use std::ops::Range;

use memchr::memmem;

use super::billed::Wish;
use super::entry::{Entry, ModelAt};
use super::json::{Kind, LONG, Malformed, Media, Text, Walked, Walker};
use super::{Dialect, Operation, responses, tier, tokens};
use crate::vocab::Tier;

pub use deployed::with_model;
pub use unwrapped::{Unwrapped, unwrapped};

/// Longer names are refused: no vendor has one, and it ends up in logs and errors.
const MAX_MODEL_BYTES: usize = 256;

/// What OpenAI takes when a moderation names no model (its API reference).
const DEFAULT_MODERATION: &str = "omni-moderation-latest";

/// What a body says to the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// As the caller wrote it, decoded; empty where the operation names none.
    pub model: String,
    pub(super) model_at: Named,
    /// What else it lets an upstream serve in the model's place (`models`), empty where an entry is no name.
    pub others: Vec<String>,
    pub stream: bool,
    pub include_usage: IncludeUsage,
    /// The caller's limit on output tokens.
    pub max_output_tokens: Option<u64>,
    /// Where a chat's `max_tokens` stands, the name with its quotes, if there is no `max_completion_tokens`.
    pub(super) older_limit: Option<Range<usize>>,
    /// Has tools, and does not forbid the model to reason (chat only).
    pub calls_tools: bool,
    pub shape: Shape,
    pub state: State,
    pub store: Store,
    /// The response or conversation at the upstream that it refers to, as `stored_at` names it.
    pub refers_to: Option<u64>,
    /// About how many tokens the prompt has, for limits that depend on it.
    pub prompt_tokens: u64,
    pub thinks: Thinks,
    /// What it asks for that has a price.
    pub wish: Wish,
    /// JSON values in it; 0 or 1 where they were not counted: in a form, or a short body.
    pub values: usize,
}

impl Scan {
    /// Whether it refers to, or leaves behind, anything at its upstream.
    pub fn is_stateful(&self) -> bool {
        self.state != State::None
    }

    /// Whether a chat limits its answer with `max_tokens`, and with nothing else.
    pub fn has_older_limit(&self) -> bool {
        self.older_limit.is_some()
    }
}

/// Whether a request has its model think before it speaks, whatever the model would do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinks {
    Yes,
    /// It says nothing of it, or that it is not to.
    Unsaid,
}

/// What a request refers to, or leaves behind, at its upstream (responses only).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    None,
    /// A response. Stored twice, it is one that nobody refers to.
    Kept,
    /// Something beside its own answer: a conversation, which would have it twice.
    Lasting,
    /// Work that goes on when nobody waits for it, whatever it refers to.
    Background,
}

/// Does the caller want to refer to the answer later (responses only)?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// The default.
    Wanted,
    Declined,
}

/// Whose shape a body has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Own,
    /// A chat request in the shape of responses, as Cursor sends it: it has `input` and no `messages`.
    OfResponses,
}

/// Does the caller want usage at the end of his chat stream?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IncludeUsage {
    Yes,
    /// No; the patch would ask for it.
    No(Patch),
    /// Streams of this operation report usage by themselves.
    Inherent,
}

/// A change of a body: these bytes of it become that text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    pub(super) at: Range<usize>,
    pub(super) text: &'static str,
}

/// Where the model's name stands in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A JSON string, quotes included.
    Json(Range<usize>),
    /// Bytes of a form's part.
    Form(Range<usize>),
    /// A JSON object without the key; a member can be put in here.
    Absent(usize),
    /// Not in the body.
    Elsewhere,
}

/// The body cannot be understood. The message is for the caller and quotes nothing of the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at byte {at})")]
pub struct ScanError {
    pub message: String,
    pub at: usize,
}

impl ScanError {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { message: message.into(), at }
    }
}

impl From<Malformed> for ScanError {
    fn from(Malformed { at, expected }: Malformed) -> Self {
        Self::new(at, format!("the body is not valid JSON: expected {expected}"))
    }
}

/// Reads what `entry` needs of `body`.
pub fn scan(entry: &Entry<'_>, content_type: Option<&str>, body: &[u8]) -> Result<Scan, ScanError> {
    match &entry.model {
        ModelAt::Path(model) => Ok(elsewhere(model, entry.operation, body)),
        ModelAt::Left(_) | ModelAt::Nowhere => Ok(elsewhere("", entry.operation, body)),
        ModelAt::Multipart => match content_type.and_then(form::boundary) {
            Some(boundary) => form::scan(&boundary, body),
            None => scan_json(entry, body),
        },
        ModelAt::Body => scan_json(entry, body),
    }
}

/// Four bytes a token, WIRE's rule of thumb; and a flat number for each medium, whose bytes say nothing.
fn prompt_tokens(body_len: usize, media: Media) -> u64 {
    body_len.saturating_sub(media.bytes) as u64 / 4 + media.count * tokens::PER_MEDIUM
}

/// Nothing of the body has to be known, and a short one is not looked at.
fn elsewhere(model: &str, operation: Operation, body: &[u8]) -> Scan {
    let mut walker = Walker::new(body);
    if body.len() > LONG {
        // Where it is no JSON, its vendor will say so.
        let _ = walker.skip();
    }
    let values = walker.values();
    let wish = Wish { answers: candidates(operation, body), ..Wish::default() };
    Scan {
        model: model.to_owned(),
        model_at: Named::Elsewhere,
        others: Vec::new(),
        stream: matches!(operation, Operation::StreamGenerate | Operation::ConverseStream),
        include_usage: IncludeUsage::Inherent,
        max_output_tokens: None,
        older_limit: None,
        calls_tools: false,
        shape: Shape::Own,
        state: State::None,
        store: Store::Declined,
        refers_to: None,
        prompt_tokens: prompt_tokens(body.len(), walker.media()),
        thinks: Thinks::Unsaid,
        wish,
        values,
    }
}

/// How many answers Gemini is asked for, at most: what looks like its member may be one of a tool's. Within texts its
/// quotes are escaped.
fn candidates(operation: Operation, body: &[u8]) -> u32 {
    if !matches!(operation, Operation::Generate | Operation::StreamGenerate) {
        return 1;
    }
    let after = |name: &'static str| {
        memmem::find_iter(body, name.as_bytes()).filter_map(move |at| {
            let rest = body[at + name.len()..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            // So many digits are no number that anybody serves.
            (digits > 0)
                .then(|| std::str::from_utf8(&rest[..digits]).ok()?.parse().ok())
                .map(|n| n.unwrap_or(u32::MAX))
        })
    };
    after(r#""candidateCount""#).chain(after(r#""candidate_count""#)).max().unwrap_or(1)
}

/// Efforts with which no model thinks for long, as JSON.
const NO_EFFORT: [&[u8]; 4] = [b"null", b"\"none\"", b"\"minimal\"", b"\"low\""];

/// What the walk has met so far.
#[expect(clippy::struct_excessive_bools, reason = "each is a member of the body that was met")]
#[derive(Default)]
struct Seen {
    model: Option<(String, Range<usize>)>,
    others: Vec<String>,
    stream: Option<bool>,
    stream_options: Option<IncludeUsage>,
    max_output_tokens: Option<u64>,
    /// Where `max_tokens` stands, the name itself.
    max_tokens: Option<Range<usize>>,
    max_completion_tokens: bool,
    refers_to_state: bool,
    lasting: bool,
    background: bool,
    refers_to: Option<u64>,
    thread: bool,
    tools: bool,
    effort_none: bool,
    /// Anthropic's `thinking`, or an effort of OpenAI's.
    thinks: bool,
    /// Where the value stands, if it is not null.
    input: Option<Range<usize>>,
    messages: bool,
    store: Option<bool>,
    tier: Option<Tier>,
    /// Anthropic's faster answers, and those from within one country, cost more than any list says.
    surcharged: bool,
    /// Pictures, or answers.
    several: Option<u64>,
    best_of: Option<u64>,
}

fn scan_json(entry: &Entry<'_>, body: &[u8]) -> Result<Scan, ScanError> {
    if let Err(error) = std::str::from_utf8(body) {
        return Err(ScanError::new(error.valid_up_to(), "the body is not valid UTF-8"));
    }
    let mut seen = Seen::default();
    let mut refusal = None;
    let mut walker = Walker::new(body);
    let first = walker.offset().saturating_add(1);
    let mut members = 0_usize;
    let end = walker.object(|walker, key| {
        members += 1;
        let at = walker.offset();
        match seen.member(walker, key)? {
            Some(message) if refusal.is_none() => refusal = Some(ScanError::new(at, message)),
            _ => {}
        }
        Ok(())
    })?;
    walker.end()?;
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    let (model, model_at) = match seen.model {
        Some((model, span)) => (model, Named::Json(span)),
        None if entry.operation == Operation::Moderations && members > 0 => {
            (DEFAULT_MODERATION.to_owned(), Named::Absent(first))
        }
        None => return Err(ScanError::new(end, "the body names no `model`")),
    };
    let stream = seen.stream.unwrap_or(false);
    let chat = matches!(entry.operation, Operation::Chat | Operation::Completions);
    let ask = Patch { at: end..end, text: r#","stream_options":{"include_usage":true}"# };
    Ok(Scan {
        model,
        model_at,
        others: seen.others,
        stream,
        include_usage: match seen.stream_options {
            _ if !chat => IncludeUsage::Inherent,
            Some(said) => said,
            None => IncludeUsage::No(ask),
        },
        max_output_tokens: seen.max_output_tokens,
        older_limit: match entry.operation {
            Operation::Chat if !seen.max_completion_tokens => seen.max_tokens,
            _ => None,
        },
        calls_tools: seen.tools && !seen.effort_none,
        shape: match (entry.operation, seen.input.is_some() && !seen.messages) {
            (Operation::Chat, true) => Shape::OfResponses,
            _ => Shape::Own,
        },
        state: match entry.dialect {
            Dialect::Responses if seen.background => State::Background,
            Dialect::Responses if seen.lasting => State::Lasting,
            Dialect::Responses if seen.refers_to_state || seen.store != Some(false) => State::Kept,
            Dialect::Anthropic if seen.thread => State::Kept,
            _ => State::None,
        },
        refers_to: match entry.dialect {
            Dialect::Responses | Dialect::Anthropic => seen.refers_to,
            _ => None,
        },
        store: match (entry.operation, seen.store) {
            (Operation::Responses, None | Some(true)) => Store::Wanted,
            _ => Store::Declined,
        },
        prompt_tokens: prompt_tokens(body.len(), walker.media()),
        thinks: if seen.thinks { Thinks::Yes } else { Thinks::Unsaid },
        wish: Wish {
            tier: if seen.surcharged { Some(Tier::Other) } else { seen.tier },
            images: count(seen.several),
            // Of `best_of` answers one is shown, or `n` are, and all are charged.
            answers: if chat { count(seen.several.max(seen.best_of)) } else { 1 },
            characters: match (entry.operation, seen.input) {
                (Operation::Speech, Some(span)) => characters(walker.slice(span)),
                _ => 0,
            },
        },
        values: walker.values(),
    })
}

/// One where nothing is said.
fn count(said: Option<u64>) -> u32 {
    said.map_or(1, |count| u32::try_from(count).unwrap_or(u32::MAX))
}

/// How many characters a JSON string has.
fn characters(json: &[u8]) -> u32 {
    let text = Walker::new(json).string().ok();
    text.and_then(|text| text.decode().map(|text| text.chars().count())).unwrap_or(0) as u32
}

impl Seen {
    /// Takes one member's value. `Some` is why the body is refused though it is JSON.
    fn member(&mut self, walker: &mut Walker<'_>, key: &Text<'_>) -> Walked<Option<&'static str>> {
        if key.is("model") {
            return self.model(walker);
        }
        if let Some(refusal) = misspelt(&key.bytes()) {
            walker.skip()?;
            return Ok(Some(refusal));
        }
        if key.is("models") {
            return others::read(walker, &mut self.others);
        }
        if key.is("stream") {
            let kind = walker.skip()?;
            let twice = self.stream.replace(kind == Kind::True).is_some();
            return Ok(match kind {
                _ if twice => Some("`stream` is there twice"),
                Kind::True | Kind::False | Kind::Null => None,
                _ => Some("`stream` has to be true or false"),
            });
        }
        if key.is("stream_options") {
            let said = stream_options(walker)?;
            return Ok(self.stream_options.replace(said).map(|_| "`stream_options` is there twice"));
        }
        if key.is("max_completion_tokens") || key.is("max_output_tokens") || key.is("max_tokens") {
            self.max_completion_tokens |= key.is("max_completion_tokens");
            if key.is("max_tokens") {
                self.max_tokens = Some(walker.place_of(key));
            }
            self.max_output_tokens = self.max_output_tokens.max(walker.integer()?);
        } else if key.is("tools") || key.is("functions") {
            self.tools |= !walker.is_blank()?;
        } else if key.is("messages") {
            self.messages |= walker.skip()? != Kind::Null;
        } else if key.is("input") {
            let (kind, span) = walker.value()?;
            self.input = (kind != Kind::Null).then_some(span);
        } else if key.is("reasoning_effort") {
            let (_, span) = walker.value()?;
            let effort = walker.slice(span);
            self.effort_none = effort == b"\"none\"";
            self.thinks |= !NO_EFFORT.contains(&effort);
        } else if key.is("reasoning") {
            walker.if_object(|walker, key| {
                let (_, span) = walker.value()?;
                self.thinks |= key.is("effort") && !NO_EFFORT.contains(&walker.slice(span));
                Ok(())
            })?;
        } else if key.is("thinking") {
            walker.if_object(|walker, key| {
                let (_, span) = walker.value()?;
                let is_on = [&b"\"enabled\""[..], b"\"adaptive\""].contains(&walker.slice(span));
                self.thinks |= key.is("type") && is_on;
                Ok(())
            })?;
        } else if key.is("previous_response_id") || key.is("conversation") {
            let (kind, span) = walker.value()?;
            self.refers_to_state |= kind != Kind::Null;
            self.lasting |= kind != Kind::Null && key.is("conversation");
            self.refers_to = responses::stored_at::of_reference(walker.slice(span)).or(self.refers_to);
        } else if key.is("thread") {
            // Anthropic's: a conversation that is kept there (beta `message-threads-2026-08-12`).
            let (kind, span) = walker.value()?;
            self.thread |= kind == Kind::Object;
            self.refers_to = responses::stored_at::of_thread(walker.slice(span)).or(self.refers_to);
        } else if key.is("background") {
            self.background = walker.skip()? == Kind::True;
        } else if key.is("store") {
            self.store = Some(walker.skip()? != Kind::False);
        } else if key.is("service_tier") {
            self.tier = tier::read(walker)?;
        } else if key.is("speed") || key.is("inference_geo") {
            let (_, span) = walker.value()?;
            self.surcharged |= matches!(walker.slice(span), b"\"fast\"" | b"\"us\"");
        } else if key.is("n") {
            self.several = walker.count()?;
        } else if key.is("best_of") {
            self.best_of = walker.count()?;
        } else {
            walker.skip()?;
        }
        Ok(None)
    }

    fn model(&mut self, walker: &mut Walker<'_>) -> Walked<Option<&'static str>> {
        let start = walker.offset();
        if walker.kind()? != Kind::String {
            walker.skip()?;
            return Ok(Some("`model` has to be a string"));
        }
        let text = walker.string()?;
        let Some(name) = text.decode() else {
            return Ok(Some("`model` holds half a surrogate pair"));
        };
        if let Some(refusal) = refuse(&name) {
            return Ok(Some(refusal));
        }
        let span = start..start + text.raw.len() + 2;
        Ok(self.model.replace((name.into_owned(), span)).map(|_| "`model` is there twice"))
    }
}

/// Why a member is refused that is one of those by which requests are judged, but for capitals: Go's parser, which
/// relays are written with, takes both for the same, and the last of them.
fn misspelt(key: &[u8]) -> Option<&'static str> {
    const JUDGED_BY: [&str; 9] = [
        "model",
        "models",
        "n",
        "best_of",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "service_tier",
        "stream",
    ];
    is_otherwise_written(key, &JUDGED_BY).then_some("this member has to be written in small letters")
}

/// Whether a key is one of these names but for its capitals.
pub(super) fn is_otherwise_written(key: &[u8], names: &[&str]) -> bool {
    if !key.iter().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        return false;
    }
    // To Go `ſ` is an `s`, and the sign for Kelvin a `k`.
    let text = std::str::from_utf8(key).unwrap_or_default();
    let folded: String = text.chars().flat_map(char::to_lowercase).flat_map(char::to_uppercase).collect();
    names.iter().any(|name| folded.eq_ignore_ascii_case(name))
}

/// Why this is no model's name.
fn refuse(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("`model` is empty")
    } else if name.len() > MAX_MODEL_BYTES {
        Some("`model` is longer than 256 bytes")
    } else if name.contains(char::is_control) {
        Some("`model` holds a control character")
    } else {
        None
    }
}

fn stream_options(walker: &mut Walker<'_>) -> Walked<IncludeUsage> {
    let start = walker.offset();
    if walker.kind()? != Kind::Object {
        // Null asks for nothing; anything else is for the upstream to refuse.
        return Ok(match walker.value()? {
            (Kind::Null, at) => IncludeUsage::No(Patch { at, text: r#"{"include_usage":true}"# }),
            _ => IncludeUsage::Yes,
        });
    }
    let mut said = None;
    let mut members = 0_usize;
    walker.object(|walker, key| {
        members += 1;
        let (kind, at) = walker.value()?;
        if key.is("include_usage") {
            said = Some(match kind {
                Kind::False | Kind::Null => IncludeUsage::No(Patch { at, text: "true" }),
                _ => IncludeUsage::Yes,
            });
        }
        Ok(())
    })?;
    let inside = start + 1;
    let text = if members == 0 { r#""include_usage":true"# } else { r#""include_usage":true,"# };
    Ok(said.unwrap_or(IncludeUsage::No(Patch { at: inside..inside, text })))
}
