//! Reads an upstream's stream.
//!
//! Some models name a finish reason in every chunk, and usage comes again and again: both are kept
//! until the stream ends, and the last ones count.

use super::partial::Arguments;
use crate::dialect::gemini::names::member;
use crate::dialect::gemini::part::{self, Reading};
use crate::dialect::gemini::stop::{self, Called};
use crate::dialect::gemini::{logprobs, reply, signature, usage};
use crate::dialect::hub::{
    Block, CallKind, Content, Delta, Event, Media, Part, Signature, Stop, Text, Thought,
};
use crate::dialect::tree::{Node, Wrong};
use crate::vocab::Usage;

/// Google makes at most eight.
const MOST_CANDIDATES: u32 = 64;

/// Reads an upstream's stream.
#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    candidates: Vec<Candidate>,
    usage: Option<Usage>,
}

/// One of the answers.
#[derive(Debug)]
struct Candidate {
    index: u32,
    blocks: u32,
    open: Open,
    called: Called,
    stop: Option<Stop<'static>>,
    /// Citations that were passed on; each chunk repeats those before.
    cited: usize,
}

/// The block that is open.
#[derive(Debug)]
enum Open {
    None,
    Text,
    Thought,
    Call,
    /// A call whose arguments come in pieces.
    Pieces(Arguments),
}

impl Reader {
    /// What one frame means, appended to `events`. `name` is the frame's event, where it has one.
    pub fn read<'f>(
        &mut self,
        _name: Option<&str>,
        json: &Node<'f>,
        events: &mut Vec<Event<'f>>,
    ) -> Result<(), Wrong> {
        let text = |name| member(json, name).and_then(Node::text).unwrap_or_default();
        if !std::mem::replace(&mut self.started, true) {
            events.push(Event::Start { id: text("responseId"), model: text("modelVersion"), created: 0 });
        }
        for node in member(json.object()?, "candidates").map(Node::elements).unwrap_or_default() {
            self.candidate(node)?.read(node, events)?;
        }
        if reply::block_reason(json).is_some() {
            self.numbered(0).stop = Some(Stop::Filter);
        }
        if let Some(usage) = member(json, "usageMetadata").and_then(usage::of) {
            self.usage = Some(usage);
        }
        Ok(())
    }

    /// What is known of the usage by now.
    pub const fn known(&self) -> Option<Usage> {
        self.usage
    }

    /// The stream is whole: closes and finishes what is still open.
    pub fn end(&mut self, events: &mut Vec<Event<'_>>) {
        if !std::mem::replace(&mut self.started, true) {
            events.push(Event::Start { id: Text::default(), model: Text::default(), created: 0 });
        }
        if self.candidates.is_empty() {
            // Not even an empty answer.
            self.numbered(0).stop = Some(Stop::Failed);
        }
        for candidate in &mut self.candidates {
            candidate.close(events);
            let stop = candidate.stop.take().unwrap_or_else(|| stop::said_nothing(candidate.called));
            let stop = if stop == Stop::End { stop::said_nothing(candidate.called) } else { stop };
            events.push(Event::Finish { choice: candidate.index, stop });
        }
        self.candidates.clear();
        events.extend(self.usage.take().map(Event::Usage));
    }

    fn candidate(&mut self, node: &Node<'_>) -> Result<&mut Candidate, Wrong> {
        let index = member(node, "index").and_then(Node::as_integer).unwrap_or(0);
        match u32::try_from(index) {
            Ok(index) if index < MOST_CANDIDATES => Ok(self.numbered(index)),
            _ => Err(node.wrong("an answer of a number that was not asked for")),
        }
    }

    fn numbered(&mut self, index: u32) -> &mut Candidate {
        let at = self.candidates.iter().position(|candidate| candidate.index == index).unwrap_or_else(|| {
            self.candidates.push(Candidate::new(index));
            self.candidates.len() - 1
        });
        &mut self.candidates[at]
    }
}

impl Candidate {
    const fn new(index: u32) -> Self {
        Self { index, blocks: 0, open: Open::None, called: Called::No, stop: None, cited: 0 }
    }

    fn read<'f>(&mut self, node: &Node<'f>, events: &mut Vec<Event<'f>>) -> Result<(), Wrong> {
        let parts = member(node, "content").and_then(|content| member(content, "parts"));
        for part in parts.map(Node::elements).unwrap_or_default() {
            match member(part, "functionCall").filter(|call| is_piece(call)) {
                Some(call) => self.piece(part, call, events)?,
                None => self.whole(part, events)?,
            }
        }
        self.cite(node, events);
        let logprobs = member(node, "logprobsResult").filter(|_| matches!(self.open, Open::Text));
        if let Some(said) = logprobs.and_then(logprobs::read) {
            self.delta(Delta::Logprobs(said.into()), events);
        }
        if let Some(reason) =
            member(node, "finishReason").and_then(Node::as_str).filter(|reason| !reason.is_empty())
        {
            self.stop = Some(stop::read(reason, Called::No));
        }
        Ok(())
    }

    fn whole<'f>(&mut self, node: &Node<'f>, events: &mut Vec<Event<'f>>) -> Result<(), Wrong> {
        let mut parts = Vec::with_capacity(2);
        part::read(node, Reading::Lenient, &mut parts)?;
        for part in parts {
            self.part(part, node, events);
        }
        Ok(())
    }

    fn part<'f>(&mut self, part: Part<'f>, node: &Node<'f>, events: &mut Vec<Event<'f>>) {
        match part.content {
            Content::Text(text) | Content::Refusal(text) => {
                if !text.is_empty() {
                    self.text(events);
                    self.delta(Delta::Text(text), events);
                }
            }
            Content::Thought(thought) => self.thought(thought, node, events),
            Content::Call(call) => {
                self.call(call.id, call.name, call.signature, events);
                self.delta(Delta::Arguments(call.arguments), events);
                self.close(events);
            }
            Content::Image(media) | Content::Audio(media) | Content::Video(media) | Content::File(media) => {
                self.media(media, events);
            }
            Content::Vendor { kind, raw } => {
                self.close(events);
                events.push(Event::Vendor { kind, raw });
            }
            Content::Outcome(_) => {}
        }
    }

    /// Thoughts go on over several parts; a signature ends one. One that belongs to a text, or stands
    /// alone, is a block of its own.
    fn thought<'f>(&mut self, thought: Thought<'f>, node: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let thinks = member(node, "thought").and_then(Node::as_bool) == Some(true);
        if thought.text.is_empty() && thought.signature.is_none() {
            return;
        }
        if !(thinks && matches!(self.open, Open::Thought)) {
            let is_redacted = thought.is_redacted;
            let kind = Block::Thought { is_summary: thought.is_summary, is_redacted, id: None };
            self.begin(Open::Thought, kind, events);
        }
        if !thought.text.is_empty() {
            self.delta(Delta::Text(thought.text), events);
        }
        if let Some(signature) = thought.signature {
            self.delta(Delta::Signature(signature), events);
            self.close(events);
        }
    }

    fn media<'f>(&mut self, media: Media<'f>, events: &mut Vec<Event<'f>>) {
        self.text(events);
        self.delta(Delta::Media(media), events);
    }

    fn call<'f>(
        &mut self,
        id: Text<'f>,
        name: Text<'f>,
        signature: Option<Signature<'f>>,
        events: &mut Vec<Event<'f>>,
    ) {
        self.called = Called::Yes;
        self.begin(Open::Call, Block::Call { id, name, kind: CallKind::Function }, events);
        if let Some(signature) = signature {
            self.delta(Delta::Signature(signature), events);
        }
    }

    /// A call in pieces: the first one names it, and the last one does not say that it goes on.
    fn piece<'f>(
        &mut self,
        part: &Node<'f>,
        call: &Node<'f>,
        events: &mut Vec<Event<'f>>,
    ) -> Result<(), Wrong> {
        if let Some(name) = member(call, "name").and_then(Node::text) {
            let id = member(call, "id").and_then(Node::text).unwrap_or_default();
            let signature = member(part, "thoughtSignature").and_then(Node::text).and_then(signature::read);
            self.call(id, name, signature, events);
            self.open = Open::Pieces(Arguments::default());
        }
        if let Open::Pieces(arguments) = &mut self.open {
            for piece in member(call, "partialArgs").map(Node::elements).unwrap_or_default() {
                arguments.add(piece)?;
            }
            if !goes_on(call) {
                self.close(events);
            }
        }
        Ok(())
    }

    /// Passes on what the answer is grounded on, each source once.
    fn cite<'f>(&mut self, node: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let chunks = reply::grounds(node);
        for citation in chunks.iter().skip(self.cited).filter_map(reply::cite) {
            self.text(events);
            self.delta(citation.into(), events);
        }
        self.cited = self.cited.max(chunks.len());
    }

    /// Makes sure that a text is open.
    fn text(&mut self, events: &mut Vec<Event<'_>>) {
        if !matches!(self.open, Open::Text) {
            self.begin(Open::Text, Block::Text, events);
        }
    }

    fn begin<'f>(&mut self, open: Open, kind: Block<'f>, events: &mut Vec<Event<'f>>) {
        self.close(events);
        self.open = open;
        events.push(Event::Open { choice: self.index, block: self.blocks, kind });
        self.blocks += 1;
    }

    fn delta<'f>(&self, delta: Delta<'f>, events: &mut Vec<Event<'f>>) {
        events.push(Event::Delta { choice: self.index, block: self.blocks.saturating_sub(1), delta });
    }

    fn close(&mut self, events: &mut Vec<Event<'_>>) {
        match std::mem::replace(&mut self.open, Open::None) {
            Open::None => return,
            Open::Pieces(mut arguments) => self.delta(Delta::Arguments(arguments.take().into()), events),
            Open::Text | Open::Thought | Open::Call => {}
        }
        events.push(Event::Close { choice: self.index, block: self.blocks.saturating_sub(1) });
    }
}

fn is_piece(call: &Node<'_>) -> bool {
    goes_on(call) || member(call, "partialArgs").is_some() || member(call, "name").is_none()
}

fn goes_on(call: &Node<'_>) -> bool {
    member(call, "willContinue").and_then(Node::as_bool) == Some(true)
}
