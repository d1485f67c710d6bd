//! Reads an upstream's stream.
//!
//! Only tool calls (and images) have a beginning; the first delta of any other block tells what it is.
//! Blocks come one behind the other. What the vendor's own tools do is passed over.

use crate::dialect::bedrock::block::{self, redacted};
use crate::dialect::bedrock::media::Medium;
use crate::dialect::bedrock::stop;
use crate::dialect::hub::{Block, CallKind, Delta, Event, Family, Media, Signature, Source, Stop, Text};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::{Dialect, meter};

/// Reads an upstream's stream.
#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    finished: bool,
    /// The number of the next block.
    next: u32,
    called: bool,
    open: Option<Open>,
}

/// The block that is being said.
#[derive(Debug)]
struct Open {
    /// As the upstream numbers it.
    index: u64,
    kind: Kind,
    block: u32,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thought,
    Redacted,
    Call {
        filled: bool,
    },
    /// An image of this format; others have it within a text.
    Image {
        format: String,
    },
    /// Of the vendor's own tools: not told to anybody.
    Hidden,
}

/// What deltas tell of a block that had no beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Text,
    Thought,
    Redacted,
}

impl Kind {
    const fn says(&self, said: Said) -> bool {
        match self {
            Self::Text => matches!(said, Said::Text),
            Self::Thought => matches!(said, Said::Thought),
            Self::Redacted => matches!(said, Said::Redacted),
            Self::Call { .. } | Self::Image { .. } | Self::Hidden => false,
        }
    }
}

impl Reader {
    /// What one message means, appended to `events`. `name` is its type.
    pub fn read<'f>(
        &mut self,
        name: Option<&str>,
        json: &Node<'f>,
        events: &mut Vec<Event<'f>>,
    ) -> Result<(), Wrong> {
        json.object()?;
        match name.unwrap_or_default() {
            "messageStart" => self.start(events),
            "contentBlockStart" => self.block_start(json, events)?,
            "contentBlockDelta" => self.block_delta(json, events)?,
            "contentBlockStop" => {
                let index = json.at("contentBlockIndex").and_then(Node::as_integer).unwrap_or(0);
                if self.open.as_ref().is_some_and(|open| open.index == index) {
                    self.close(events);
                }
            }
            "messageStop" => {
                let reason = json.at("stopReason").and_then(Node::text).unwrap_or_default();
                self.finish(stop::read(&reason, stop::sequence(json)), events);
            }
            "metadata" => {
                let usage = json.at("usage").map(|usage| usage.raw().as_bytes());
                let usage = usage.and_then(|usage| meter::usage_at(Dialect::Bedrock, usage));
                events.extend(usage.map(Event::Usage));
            }
            other => {
                self.start(events);
                events.push(Event::Vendor { kind: Text::Owned(other.to_owned()), raw: json.raw() });
            }
        }
        Ok(())
    }

    /// The stream is whole: closes and finishes what is still open.
    pub fn end(&mut self, events: &mut Vec<Event<'_>>) {
        let stop = if self.called { Stop::Calls } else { Stop::End };
        self.finish(stop, events);
    }

    fn start(&mut self, events: &mut Vec<Event<'_>>) {
        if !std::mem::replace(&mut self.started, true) {
            events.push(Event::Start { id: Text::Borrowed(""), model: Text::Borrowed(""), created: 0 });
        }
    }

    fn finish<'f>(&mut self, stop: Stop<'f>, events: &mut Vec<Event<'f>>) {
        self.start(events);
        self.close(events);
        if !std::mem::replace(&mut self.finished, true) {
            events.push(Event::Finish { choice: 0, stop });
        }
    }

    fn close(&mut self, events: &mut Vec<Event<'_>>) {
        let Some(Open { kind, block, .. }) = self.open.take() else { return };
        match kind {
            Kind::Hidden => return,
            // A tool without arguments is called with none, which other dialects have to spell.
            Kind::Call { filled: false } => events.push(arguments(block, Text::Borrowed("{}"))),
            Kind::Text | Kind::Thought | Kind::Redacted | Kind::Call { .. } | Kind::Image { .. } => {}
        }
        events.push(Event::Close { choice: 0, block });
    }

    /// Opens a block, after whatever was open.
    fn open<'f>(
        &mut self,
        index: u64,
        kind: Kind,
        said: Option<Block<'f>>,
        events: &mut Vec<Event<'f>>,
    ) -> u32 {
        self.start(events);
        self.close(events);
        let block = self.next;
        if let Some(said) = said {
            self.next += 1;
            events.push(Event::Open { choice: 0, block, kind: said });
        }
        self.open = Some(Open { index, kind, block });
        block
    }

    fn block_start<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) -> Result<(), Wrong> {
        let index = json.need("contentBlockIndex")?.integer()?;
        let Some(start) = json.at("start") else { return Ok(()) };
        if let Some(call) = start.at("toolUse") {
            if call.at("type").and_then(Node::as_str) == Some("server_tool_use") {
                self.open(index, Kind::Hidden, None, events);
                return Ok(());
            }
            let id = call.need("toolUseId")?.string()?;
            let name = call.need("name")?.string()?;
            let said = Block::Call { id, name, kind: CallKind::Function };
            self.called = true;
            self.open(index, Kind::Call { filled: false }, Some(said), events);
        } else if start.at("toolResult").is_some() {
            self.open(index, Kind::Hidden, None, events);
        } else if let Some(image) = start.at("image") {
            let format = image.at("format").and_then(Node::as_str).unwrap_or("png").to_owned();
            self.open(index, Kind::Image { format }, Some(Block::Text), events);
        }
        Ok(())
    }

    fn block_delta<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) -> Result<(), Wrong> {
        let index = json.need("contentBlockIndex")?.integer()?;
        let delta = json.need("delta")?.object()?;
        if let Some(text) = delta.at("text") {
            let text = text.string()?;
            let block = self.block_of(index, Said::Text, events);
            events.push(Event::Delta { choice: 0, block, delta: Delta::Text(text) });
        } else if let Some(call) = delta.at("toolUse") {
            self.more_arguments(index, call.need("input")?.string()?, events);
        } else if let Some(reasoning) = delta.at("reasoningContent") {
            self.more_reasoning(index, reasoning, events)?;
        } else if let Some(citation) = delta.at("citation") {
            let block = self.block_of(index, Said::Text, events);
            events.push(Event::Delta { choice: 0, block, delta: block::cite(citation).into() });
        } else if let Some(image) = delta.at("image") {
            self.more_image(index, image, events);
        }
        Ok(())
    }

    /// The block of texts that a delta belongs to, opened if it has to be.
    fn block_of(&mut self, index: u64, said: Said, events: &mut Vec<Event<'_>>) -> u32 {
        if let Some(open) = &self.open
            && open.index == index
            && open.kind.says(said)
        {
            return open.block;
        }
        let thought = |is_redacted| Block::Thought { is_summary: false, is_redacted, id: None };
        let (kind, block) = match said {
            Said::Text => (Kind::Text, Block::Text),
            Said::Thought => (Kind::Thought, thought(false)),
            Said::Redacted => (Kind::Redacted, thought(true)),
        };
        self.open(index, kind, Some(block), events)
    }

    /// Arguments of a call that has not begun belong to nobody.
    fn more_arguments<'f>(&mut self, index: u64, text: Text<'f>, events: &mut Vec<Event<'f>>) {
        let Some(open) = self.open.as_mut().filter(|open| open.index == index) else { return };
        if let Kind::Call { filled } = &mut open.kind
            && !text.is_empty()
        {
            *filled = true;
            events.push(arguments(open.block, text));
        }
    }

    fn more_reasoning<'f>(
        &mut self,
        index: u64,
        reasoning: &Node<'f>,
        events: &mut Vec<Event<'f>>,
    ) -> Result<(), Wrong> {
        let (said, delta) = if let Some(text) = reasoning.at("text") {
            (Said::Thought, Delta::Text(text.string()?))
        } else if let Some(text) = reasoning.at("signature") {
            (Said::Thought, Delta::Signature(Signature::unseal(text.string()?, Family::Anthropic)))
        } else if let Some(signature) =
            reasoning.at("redactedContent").and_then(Node::as_str).and_then(redacted)
        {
            (Said::Redacted, Delta::Signature(signature))
        } else {
            return Ok(());
        };
        let block = self.block_of(index, said, events);
        events.push(Event::Delta { choice: 0, block, delta });
        Ok(())
    }

    fn more_image<'f>(&mut self, index: u64, image: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let Some(Open { index: open, kind: Kind::Image { format }, block }) = &self.open else { return };
        let bytes = image.at("source").and_then(|source| source.at("bytes")?.text());
        let Some(bytes) = bytes.filter(|_| *open == index) else { return };
        let media = Media::new(Source::Base64(bytes), Some(Medium::Image.mime(format)));
        events.push(Event::Delta { choice: 0, block: *block, delta: Delta::Media(media) });
    }
}

fn arguments(block: u32, text: Text<'_>) -> Event<'_> {
    Event::Delta { choice: 0, block, delta: Delta::Arguments(text) }
}
