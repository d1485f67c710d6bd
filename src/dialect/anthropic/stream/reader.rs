//! Reads an upstream's stream.

use crate::dialect::anthropic::stand_in::{self, FreeText};
use crate::dialect::anthropic::usage::Counts;
use crate::dialect::anthropic::{block, reply, stop};
use crate::dialect::hub::{Block, CallKind, Delta, Event, Stop, Text};
use crate::dialect::tree::{Node, Wrong};

/// Reads an upstream's stream.
#[derive(Debug, Default)]
pub struct Reader {
    stage: Stage,
    /// Blocks that are open, by the upstream's index.
    open: Vec<Open>,
    /// The next block's number.
    blocks: u32,
    has_calls: bool,
    counts: Counts,
    /// The reason, if it was said before the end.
    stop: Option<Stop<'static>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    New,
    Started,
    Finished,
}

#[derive(Debug)]
struct Open {
    index: u64,
    block: u32,
    kind: Kind,
}

/// What deltas of a block mean.
#[derive(Debug)]
enum Kind {
    Text,
    Thought,
    Call(Arguments),
    /// A custom tool's call: its input streams as free text.
    Custom(FreeText),
    /// The input of the tool that stands in for the answer is text.
    Answer,
    /// Only Anthropic knows it.
    Vendor,
}

/// What has been said of a call's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arguments {
    Nothing,
    Some,
    /// All at once, when the block started.
    All,
}

impl Reader {
    /// What one frame means, appended to `events`. `name` is the frame's event, where it has one.
    pub fn read<'f>(
        &mut self,
        name: Option<&str>,
        json: &Node<'f>,
        events: &mut Vec<Event<'f>>,
    ) -> Result<(), Wrong> {
        json.object()?;
        if self.stage == Stage::Finished {
            self.count_late(json, events);
            return Ok(());
        }
        let kind = json.at("type").and_then(Node::as_str).or(name).unwrap_or_default();
        match kind {
            "message_start" => self.message(json.need("message")?, events),
            "content_block_start" => {
                let (index, block) = (json.need("index")?.integer()?, json.need("content_block")?);
                self.start(index, block, events);
            }
            "content_block_delta" => {
                let (index, delta) = (json.need("index")?.integer()?, json.need("delta")?);
                self.delta(index, delta, events);
            }
            "content_block_stop" => self.stop(json.need("index")?.integer()?, events),
            "message_delta" => self.finish(json, events),
            // The terminator says nothing, and errors are found before.
            "message_stop" | "ping" | "error" => {}
            other => events.push(Event::Vendor { kind: other.to_owned().into(), raw: json.raw() }),
        }
        Ok(())
    }

    /// The stream is whole: closes and finishes what is still open.
    pub fn end(&mut self, events: &mut Vec<Event<'_>>) {
        if self.stage == Stage::Finished {
            return;
        }
        self.begin(Text::Borrowed(""), Text::Borrowed(""), events);
        self.close_all(events);
        let stop = reply::settled(self.stop.take(), self.has_calls);
        events.push(Event::Finish { choice: 0, stop });
        if let Some(usage) = self.counts.sum() {
            events.push(Event::Usage(usage));
        }
        self.stage = Stage::Finished;
    }

    /// Counts that come when all else is said.
    fn count_late(&mut self, json: &Node<'_>, events: &mut Vec<Event<'_>>) {
        if let Some(usage) = json.at("usage") {
            self.counts = self.counts.then(Counts::of(Some(usage)));
            events.extend(self.counts.sum().map(Event::Usage));
        }
    }

    fn begin<'f>(&mut self, id: Text<'f>, model: Text<'f>, events: &mut Vec<Event<'f>>) {
        if self.stage == Stage::New {
            self.stage = Stage::Started;
            events.push(Event::Start { id, model, created: 0 });
        }
    }

    /// `message_start`. After a pause for tools it can hold the whole answer.
    fn message<'f>(&mut self, message: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let text = |key| message.at(key).and_then(Node::text).unwrap_or_default();
        self.begin(text("id"), text("model"), events);
        self.counts = self.counts.then(Counts::of(message.at("usage")));
        for (index, block) in message.at("content").map_or(&[][..], Node::elements).iter().enumerate() {
            self.start(index as u64, block, events);
            self.stop(index as u64, events);
        }
        self.note_stop(message);
    }

    /// The reason for the end, if it is said here.
    fn note_stop(&mut self, node: &Node<'_>) {
        let reason = node.at("stop_reason").and_then(Node::text);
        let sequence = node.at("stop_sequence").and_then(Node::text);
        if let Some(stop) = reason.and_then(|reason| stop::read(&reason, sequence).map(Stop::into_owned)) {
            self.stop = Some(stop);
        }
    }

    fn start<'f>(&mut self, index: u64, node: &Node<'f>, events: &mut Vec<Event<'f>>) {
        self.begin(Text::Borrowed(""), Text::Borrowed(""), events);
        // A second block of the same index: the first one was never closed.
        self.stop(index, events);
        let text = |key| node.at(key).and_then(Node::text).unwrap_or_default();
        let thought = |is_redacted| Block::Thought { is_summary: false, is_redacted, id: None };
        let (kind, block) = match node.at("type").and_then(Node::as_str).unwrap_or_default() {
            "text" => (Kind::Text, Block::Text),
            "thinking" => (Kind::Thought, thought(false)),
            "redacted_thinking" => (Kind::Thought, thought(true)),
            "tool_use" => self.call(text("id"), text("name")),
            other => {
                let kind = Text::Owned(other.to_owned());
                events.push(Event::Vendor { kind, raw: node.raw() });
                self.open.push(Open { index, block: 0, kind: Kind::Vendor });
                return;
            }
        };
        let number = self.blocks;
        self.blocks += 1;
        events.push(Event::Open { choice: 0, block: number, kind: block });
        self.open.push(Open { index, block: number, kind });
        self.initial(node, events);
    }

    fn call<'f>(&mut self, id: Text<'f>, name: Text<'f>) -> (Kind, Block<'f>) {
        if name == stand_in::ANSWER {
            return (Kind::Answer, Block::Text);
        }
        self.has_calls = true;
        match name.strip_prefix(stand_in::CUSTOM) {
            Some(own) => {
                let name = Text::Owned(own.to_owned());
                (Kind::Custom(FreeText::default()), Block::Call { id, name, kind: CallKind::Custom })
            }
            None => (Kind::Call(Arguments::Nothing), Block::Call { id, name, kind: CallKind::Function }),
        }
    }

    /// What a block says when it starts: mostly nothing.
    fn initial<'f>(&mut self, node: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let Some(open) = self.open.last_mut() else { return };
        let text = |key| node.at(key).and_then(Node::text).unwrap_or_default();
        match &mut open.kind {
            Kind::Text => {
                open.say(text("text"), events);
                for citation in node.at("citations").map_or(&[][..], Node::elements) {
                    events.push(open.event(block::cite(citation).into()));
                }
            }
            Kind::Thought => {
                open.say(text("thinking"), events);
                open.sign(text("signature"), events);
                open.sign(text("data"), events);
            }
            Kind::Call(_) | Kind::Custom(_) | Kind::Answer => {
                let input = node.at("input").filter(|input| !input.members().is_empty());
                if let Some(input) = input {
                    open.input(input.raw(), events);
                    if let Kind::Call(arguments) = &mut open.kind {
                        *arguments = Arguments::All;
                    }
                }
            }
            Kind::Vendor => {}
        }
    }

    fn delta<'f>(&mut self, index: u64, delta: &Node<'f>, events: &mut Vec<Event<'f>>) {
        if !self.open.iter().any(|open| open.index == index) && !self.begin_with(index, delta, events) {
            return;
        }
        let Some(open) = self.open.iter_mut().find(|open| open.index == index) else { return };
        let text = |key| delta.at(key).and_then(Node::text).unwrap_or_default();
        match (delta.at("type").and_then(Node::as_str).unwrap_or_default(), &open.kind) {
            ("text_delta", Kind::Text) => open.say(text("text"), events),
            ("thinking_delta", Kind::Thought) => open.say(text("thinking"), events),
            ("signature_delta", Kind::Thought) => open.sign(text("signature"), events),
            ("citations_delta", Kind::Text) => {
                if let Some(citation) = delta.at("citation") {
                    events.push(open.event(block::cite(citation).into()));
                }
            }
            ("input_json_delta", Kind::Call(_) | Kind::Custom(_) | Kind::Answer) => {
                match delta.at("partial_json").and_then(Node::text) {
                    Some(Text::Borrowed(json)) => open.input(json, events),
                    Some(Text::Owned(json)) => open.owned_input(json, events),
                    None => {}
                }
            }
            _ => {}
        }
    }

    /// Opens a block that some vendors never start: its first delta tells what it is, unless it is a call, which has a
    /// name.
    fn begin_with(&mut self, index: u64, delta: &Node<'_>, events: &mut Vec<Event<'_>>) -> bool {
        let (kind, block) = match delta.at("type").and_then(Node::as_str).unwrap_or_default() {
            "text_delta" => (Kind::Text, Block::Text),
            "thinking_delta" => {
                (Kind::Thought, Block::Thought { is_summary: false, is_redacted: false, id: None })
            }
            _ => return false,
        };
        self.begin(Text::Borrowed(""), Text::Borrowed(""), events);
        events.push(Event::Open { choice: 0, block: self.blocks, kind: block });
        self.open.push(Open { index, block: self.blocks, kind });
        self.blocks += 1;
        true
    }

    fn stop(&mut self, index: u64, events: &mut Vec<Event<'_>>) {
        if let Some(at) = self.open.iter().position(|open| open.index == index) {
            self.open.remove(at).close(events);
        }
    }

    fn close_all(&mut self, events: &mut Vec<Event<'_>>) {
        for open in self.open.drain(..) {
            open.close(events);
        }
    }

    /// `message_delta`.
    fn finish(&mut self, json: &Node<'_>, events: &mut Vec<Event<'_>>) {
        self.counts = self.counts.then(Counts::of(json.at("usage")));
        let Some(delta) = json.at("delta") else { return };
        self.note_stop(delta);
        if delta.at("stop_reason").is_some() {
            self.end(events);
        }
    }
}

impl Open {
    fn event<'f>(&self, delta: Delta<'f>) -> Event<'f> {
        Event::Delta { choice: 0, block: self.block, delta }
    }

    fn say<'f>(&self, text: Text<'f>, events: &mut Vec<Event<'f>>) {
        if !text.is_empty() {
            events.push(self.event(Delta::Text(text)));
        }
    }

    fn sign<'f>(&self, text: Text<'f>, events: &mut Vec<Event<'f>>) {
        if let Some(signature) = block::sealed(text) {
            events.push(self.event(Delta::Signature(signature)));
        }
    }

    /// More of a tool's input.
    fn input<'f>(&mut self, json: &'f str, events: &mut Vec<Event<'f>>) {
        self.put(Text::Borrowed(json), events);
    }

    fn owned_input(&mut self, json: String, events: &mut Vec<Event<'_>>) {
        self.put(Text::Owned(json), events);
    }

    fn put<'f>(&mut self, json: Text<'f>, events: &mut Vec<Event<'f>>) {
        if json.is_empty() {
            return;
        }
        let delta = match &mut self.kind {
            Kind::Call(Arguments::All) | Kind::Text | Kind::Thought | Kind::Vendor => return,
            Kind::Call(arguments) => {
                *arguments = Arguments::Some;
                Delta::Arguments(json)
            }
            Kind::Custom(reader) => match reader.more(&json) {
                text if text.is_empty() => return,
                text => Delta::Arguments(Text::Owned(text)),
            },
            Kind::Answer => Delta::Text(json),
        };
        events.push(self.event(delta));
    }

    fn close(self, events: &mut Vec<Event<'_>>) {
        match self.kind {
            Kind::Vendor => return,
            // A tool without arguments streams none, and none are no JSON.
            Kind::Call(Arguments::Nothing) => events.push(self.event(Delta::Arguments(Text::Borrowed("{}")))),
            Kind::Text | Kind::Thought | Kind::Call(_) | Kind::Custom(_) | Kind::Answer => {}
        }
        events.push(Event::Close { choice: 0, block: self.block });
    }
}
