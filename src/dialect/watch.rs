//! What each frame of a stream means: does it commit, finish, end, fail, count?
//!
//! Watches and never changes. One pass over a frame's JSON without a tree, and not even that for a frame that says what
//! the one before it said; usage is read only when somebody asks. What commits is RESILIENCE §5.5, what is an in-band
//! error WIRE §0.5, what is a complete stream RESILIENCE E5.

mod glimpse;
mod mould;
#[cfg(test)]
mod tests;

use super::billed::Wish;
use super::classify::{self, InBand};
use super::framing::{Frame, Framing};
use super::json::{Walked, Walker};
use super::{
    Begun, Dialect, Operation, anthropic, bedrock, cohere, gemini, meter, ollama, openai, responses,
};
use crate::vocab::{Fault, Tier, Usage};
use mould::Mould;
pub use mould::words;

pub(super) use glimpse::{Glimpse, Says};

/// For errors that say nothing about themselves.
const FAILED: &str = "the upstream reported an error";
/// For a stream that is over without one.
const NO_ANSWER: &str = "the stream ended without an answer in it";

/// What one frame means to whoever forwards it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Comments, pings, beginnings, empty deltas: alive, but nothing to commit to.
    Lifecycle,
    /// The caller can see something of it: commit.
    Content,
    /// A chat chunk with `choices: []` and usage: of no use to a caller who did not ask for it.
    UsageOnly,
    /// A reason to end, and no content beside it.
    Finish,
    /// The last frame.
    Terminal,
    /// Not what the dialect allows; the stream may go on behind it.
    Broken,
    /// The upstream says that it failed.
    Error(InBand),
}

/// What the clean end of a transport means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The answer is whole. A caller who waits for the dialect's terminator needs these bytes.
    Complete { missing_terminator: Option<&'static [u8]> },
    /// Something is missing, or the upstream said that it failed.
    Truncated,
}

/// What stands for the end in a dialect.
#[derive(Clone, Copy, Debug)]
pub(super) enum Terminator {
    /// These bytes, which we can say as well as the upstream.
    Bytes(&'static [u8]),
    /// A frame that only the upstream can say.
    Upstreams,
    /// Nothing: a finish reason is the end.
    None,
}

/// The observer of one stream.
#[derive(Debug)]
pub struct Watch {
    dialect: Dialect,
    operation: Operation,
    framing: Framing,
    /// The last usage object, as it came.
    usage_last: Vec<u8>,
    /// What Anthropic's have said together.
    counts: anthropic::usage::Counts,
    content_events: u64,
    next_sequence: u64,
    seen: u64,
    finished: u64,
    last: Last,
    /// How it was hurried, where that stands beside the usage.
    tier: Option<Tier>,
    /// What its request says of its price.
    wish: Wish,
    /// What was encrypted in it and nobody has asked for yet.
    encrypted: Vec<u64>,
    /// What a response's first event said of it.
    begun: Option<Begun>,
    /// The last delta, booked like every frame.
    mould: Mould,
}

/// How far the stream has come.
#[derive(Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Nothing,
    Frames,
    Terminal,
    /// Gemini's closing bracket.
    Bracket,
    Error,
}

impl Watch {
    pub fn new(dialect: Dialect, operation: Operation, framing: Framing) -> Self {
        Self {
            dialect,
            operation,
            framing,
            usage_last: Vec::new(),
            counts: anthropic::usage::Counts::default(),
            content_events: 0,
            next_sequence: 0,
            seen: 0,
            finished: 0,
            last: Last::Nothing,
            tier: None,
            wish: Wish::default(),
            encrypted: Vec::new(),
            begun: None,
            mould: Mould::default(),
        }
    }

    /// The same, for a request that says so much of its price.
    #[must_use]
    pub fn wishing(self, wish: Wish) -> Self {
        Self { wish, ..self }
    }

    /// The same, but each frame is walked: what the shorter way is measured by.
    #[cfg(test)]
    pub(super) fn walking(dialect: Dialect, operation: Operation, framing: Framing) -> Self {
        Self { mould: Mould::never(), ..Self::new(dialect, operation, framing) }
    }

    /// Names of what was encrypted in it since the last call.
    pub fn take_encrypted(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.encrypted)
    }

    /// Looks at the next frame.
    pub fn frame(&mut self, frame: &Frame) -> Beat {
        let beat = self.look(frame);
        match beat {
            Beat::Content => self.content_events += 1,
            Beat::Terminal => self.last = Last::Terminal,
            Beat::Error(_) => self.last = Last::Error,
            Beat::Lifecycle | Beat::UsageOnly | Beat::Finish | Beat::Broken => {}
        }
        if self.last == Last::Nothing {
            self.last = Last::Frames;
        }
        beat
    }

    fn look(&mut self, frame: &Frame) -> Beat {
        if self.framing == Framing::Opaque || self.dialect == Dialect::Http {
            return if frame.raw.is_empty() { Beat::Lifecycle } else { Beat::Content };
        }
        let json = match frame.data() {
            Some(data) => data.trim_ascii(),
            None => match self.bare(frame) {
                Some(json) => json,
                None => return Beat::Lifecycle,
            },
        };
        match json {
            [] => return Beat::Lifecycle,
            b"[DONE]" => return self.done(),
            _ => {}
        }
        let named_error = frame.event() == Some(b"error");
        if !named_error && let Some(cast) = self.mould.fits(json) {
            // Choices are booked already: the kept frame was booked.
            self.number(cast.sequence);
            return Beat::Content;
        }
        let Ok(glimpse) = self.glimpse(frame.event(), json) else {
            return if named_error { Beat::Error(InBand::unnamed(FAILED)) } else { Beat::Broken };
        };
        self.keep_usage(&glimpse, json);
        if self.dialect == Dialect::Responses {
            self.encrypted.extend(responses::encrypted::of_event(json));
        }
        if let (None, Some(span)) = (&self.begun, glimpse.response.clone()) {
            self.begun = json.get(span).map(Begun::of);
        }
        self.number(glimpse.sequence);
        self.tier = glimpse.tier.or(self.tier);
        self.seen |= glimpse.seen;
        self.finished |= glimpse.finished;
        if glimpse.says == Says::Error || named_error {
            let error = match frame.event() {
                Some(kind) if self.framing == Framing::EventStream => classify::exception(kind, json),
                _ => classify::in_band(json),
            };
            return Beat::Error(error.unwrap_or_else(|| InBand::unnamed(FAILED)));
        }
        if glimpse.says == Says::Content && glimpse.usage.is_none() {
            self.mould.keep(json, glimpse.sequence.is_some());
        }
        self.beat(&glimpse)
    }

    /// The end, unless there was nothing that it could be the end of.
    fn done(&self) -> Beat {
        if self.last == Last::Terminal || self.finished != 0 || self.content_events > 0 {
            return Beat::Terminal;
        }
        Beat::Error(InBand { fault: Fault::Truncated, ..InBand::unnamed(NO_ANSWER) })
    }

    /// JSON that stands in the stream without `data:`, as Google's servers send errors; in an array
    /// it may also be the closing bracket.
    fn bare<'f>(&mut self, frame: &'f Frame) -> Option<&'f [u8]> {
        let text = frame.raw.trim_ascii();
        if self.framing == Framing::JsonArray {
            if text.ends_with(b"]") {
                self.last = Last::Bracket;
            }
            return None;
        }
        matches!(text, [b'{' | b'[', ..]).then_some(text)
    }

    fn glimpse(&self, event: Option<&[u8]>, json: &[u8]) -> Walked<Glimpse> {
        match self.dialect {
            Dialect::OpenAi if matches!(self.operation, Operation::Chat | Operation::Completions) => {
                openai::watch::chunk(json)
            }
            Dialect::OpenAi | Dialect::Http => openai::watch::media(json),
            Dialect::Responses => responses::watch::event(json),
            Dialect::Anthropic => anthropic::watch::event(json),
            Dialect::Gemini => gemini::watch::chunk(json),
            Dialect::Cohere => cohere::watch::event(json),
            Dialect::Bedrock => bedrock::watch::event(event, json),
            Dialect::Ollama => ollama::watch::chunk(json),
        }
    }

    fn number(&mut self, sequence: Option<u64>) {
        if let Some(sequence) = sequence {
            self.next_sequence = sequence.saturating_add(1);
        }
    }

    fn keep_usage(&mut self, glimpse: &Glimpse, json: &[u8]) {
        let Some(usage) = glimpse.usage.clone().and_then(|span| json.get(span)) else {
            return;
        };
        if self.dialect == Dialect::Anthropic {
            let counts = anthropic::usage::Counts::read(&mut Walker::new(usage)).unwrap_or_default();
            self.counts = self.counts.then(counts);
            return;
        }
        // Counts only grow: one that has nothing any more was made before the others.
        let says_nothing = !usage.iter().any(|byte| matches!(byte, b'1'..=b'9'));
        if says_nothing && !self.usage_last.is_empty() {
            return;
        }
        self.usage_last.clear();
        self.usage_last.extend_from_slice(usage);
    }

    fn beat(&self, glimpse: &Glimpse) -> Beat {
        // After content it is how the answer ends; before, another try may give one.
        if glimpse.model_failed && glimpse.says < Says::Content && self.content_events == 0 {
            return Beat::Error(InBand::unnamed("the model failed to produce a valid answer"));
        }
        match glimpse.says {
            Says::Lifecycle => Beat::Lifecycle,
            Says::UsageOnly => Beat::UsageOnly,
            Says::Finish => Beat::Finish,
            Says::Content => Beat::Content,
            Says::Terminal | Says::Error => Beat::Terminal,
        }
    }

    /// What it means that the transport has ended cleanly here.
    pub fn end(&self) -> Ending {
        const WHOLE: Ending = Ending::Complete { missing_terminator: None };
        if self.framing == Framing::Opaque || self.dialect == Dialect::Http {
            return WHOLE;
        }
        let finished = self.finished != 0 && self.seen & !self.finished == 0;
        match self.last {
            Last::Nothing | Last::Error => Ending::Truncated,
            Last::Terminal => WHOLE,
            Last::Bracket if finished => WHOLE,
            Last::Frames | Last::Bracket if !finished => Ending::Truncated,
            Last::Frames | Last::Bracket if self.framing == Framing::JsonArray => {
                Ending::Complete { missing_terminator: Some(b"]") }
            }
            Last::Frames | Last::Bracket => match self.terminator() {
                Terminator::Bytes(bytes) => Ending::Complete { missing_terminator: Some(bytes) },
                Terminator::Upstreams => Ending::Truncated,
                Terminator::None => WHOLE,
            },
        }
    }

    fn terminator(&self) -> Terminator {
        match self.dialect {
            Dialect::OpenAi => openai::watch::TERMINATOR,
            Dialect::Responses => Terminator::Upstreams,
            Dialect::Anthropic => anthropic::watch::TERMINATOR,
            Dialect::Cohere => cohere::watch::TERMINATOR,
            Dialect::Bedrock => bedrock::watch::TERMINATOR,
            Dialect::Gemini | Dialect::Ollama | Dialect::Http => Terminator::None,
        }
    }

    /// What was used, as far as the stream has told.
    pub fn usage(&self) -> Option<Usage> {
        let told = match self.dialect {
            Dialect::Anthropic => self.counts.sum().filter(Usage::is_plausible),
            Dialect::OpenAi
            | Dialect::Responses
            | Dialect::Gemini
            | Dialect::Cohere
            | Dialect::Bedrock
            | Dialect::Ollama
            | Dialect::Http => meter::usage_at(self.dialect, &self.usage_last),
        };
        let told = told.map(|usage| Usage { tier: usage.tier.or(self.tier), ..usage });
        self.wish.complete(self.operation, told)
    }

    /// The stream has said that it is over; nothing that follows matters.
    pub fn is_terminated(&self) -> bool {
        matches!(self.last, Last::Terminal | Last::Bracket)
    }

    /// How many frames carried content.
    pub fn content_events(&self) -> u64 {
        self.content_events
    }

    /// A response as its first event had it.
    pub fn begun(&self) -> Option<&Begun> {
        self.begun.as_ref()
    }

    /// The `sequence_number` of the next event of a response.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }
}
