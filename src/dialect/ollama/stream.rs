//! Streamed answers: each line holds what came since the last one, and tool calls whole.

use crate::dialect::hub::{Block, Delta, Event, Text};
use crate::dialect::json::Walker;
use crate::dialect::ollama::{reply, usage};
use crate::dialect::tree::{Node, Wrong};

/// Reads an upstream's stream.
#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    finished: bool,
    /// Blocks opened so far.
    blocks: u32,
    open: Open,
    calls: usize,
}

/// The block that is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    None,
    Text,
    Thought,
}

impl Reader {
    /// What one frame means, appended to `events`. `name` is the frame's event, where it has one.
    pub fn read<'f>(
        &mut self,
        _name: Option<&str>,
        json: &Node<'f>,
        events: &mut Vec<Event<'f>>,
    ) -> Result<(), Wrong> {
        json.object()?;
        if self.finished {
            return Ok(());
        }
        if !std::mem::replace(&mut self.started, true) {
            let model = json.at("model").and_then(Node::text).unwrap_or_default();
            events.push(Event::Start { id: Text::Borrowed(""), model, created: reply::created(json) });
        }
        if let Some(message) = json.at("message") {
            self.text(Open::Thought, reply::said(message, "thinking"), events);
            self.text(Open::Text, reply::said(message, "content"), events);
            if let Some(said) = json.at("logprobs").filter(|_| self.open == Open::Text) {
                self.delta(Delta::Logprobs(reply::logprobs(said)), events);
            }
            for call in reply::calls(message)? {
                self.close(events);
                let (choice, block) = (0, self.blocks);
                let kind = Block::Call { id: call.id, name: call.name, kind: call.kind };
                events.push(Event::Open { choice, block, kind });
                events.push(Event::Delta { choice, block, delta: Delta::Arguments(call.arguments) });
                events.push(Event::Close { choice, block });
                self.blocks += 1;
                self.calls += 1;
            }
        }
        if json.at("done").and_then(Node::as_bool) == Some(true) {
            let reason = json.at("done_reason").and_then(Node::text);
            self.finish(reason.as_deref(), events);
            let usage = usage::read(&mut Walker::new(json.raw().as_bytes())).ok().flatten();
            events.extend(usage.map(Event::Usage));
        }
        Ok(())
    }

    /// The stream is whole: closes and finishes what is still open.
    pub fn end(&mut self, events: &mut Vec<Event<'_>>) {
        if self.started && !self.finished {
            self.finish(None, events);
        }
    }

    fn text<'f>(&mut self, kind: Open, text: Option<Text<'f>>, events: &mut Vec<Event<'f>>) {
        let Some(text) = text else { return };
        if self.open != kind {
            self.close(events);
            let kind = match kind {
                Open::Thought => Block::Thought { is_summary: false, is_redacted: false, id: None },
                Open::Text | Open::None => Block::Text,
            };
            events.push(Event::Open { choice: 0, block: self.blocks, kind });
            self.blocks += 1;
        }
        self.open = kind;
        self.delta(Delta::Text(text), events);
    }

    fn delta<'f>(&self, delta: Delta<'f>, events: &mut Vec<Event<'f>>) {
        events.push(Event::Delta { choice: 0, block: self.blocks.saturating_sub(1), delta });
    }

    fn close(&mut self, events: &mut Vec<Event<'_>>) {
        if std::mem::take(&mut self.open) != Open::None {
            events.push(Event::Close { choice: 0, block: self.blocks.saturating_sub(1) });
        }
    }

    fn finish(&mut self, reason: Option<&str>, events: &mut Vec<Event<'_>>) {
        self.close(events);
        events.push(Event::Finish { choice: 0, stop: reply::stop(reason, self.calls) });
        self.finished = true;
    }
}
