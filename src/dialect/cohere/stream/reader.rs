//! Reads an upstream's stream.
//!
//! A block of content or a call is opened and closed by events of its own; a plan has only deltas, and
//! ends when anything else comes. Nothing is relied on: a delta whose block nobody opened opens it.

use crate::dialect::cohere::{reply, usage};
use crate::dialect::hub::{Block, CallKind, Delta, Event, Text};
use crate::dialect::json::Walker;
use crate::dialect::tree::{Node, Wrong};

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
    Plan,
    Thought,
    Call {
        arguments: Arguments,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arguments {
    /// A call without any may end without having said so.
    Unsaid,
    Said,
}

impl Reader {
    /// What one frame means, appended to `events`. `name` is the frame's event, where it has one.
    pub fn read<'f>(
        &mut self,
        name: Option<&str>,
        json: &Node<'f>,
        events: &mut Vec<Event<'f>>,
    ) -> Result<(), Wrong> {
        let kind = json.object()?.at("type").and_then(Node::text);
        let kind = kind.or_else(|| name.map(|name| Text::Owned(name.to_owned()))).unwrap_or_default();
        let delta = json.at("delta");
        let message = delta.and_then(|delta| delta.at("message"));
        if self.finished {
            return Ok(());
        }
        self.start(json, events);
        match &*kind {
            "message-start" | "citation-end" => {}
            "content-start" => self.content_start(message.and_then(|message| message.at("content")), events),
            "content-delta" => {
                self.content_delta(message.and_then(|message| message.at("content")), events);
                if let Some(said) = json.at("logprobs").filter(|_| self.open == Open::Text) {
                    self.delta(Delta::Logprobs(reply::logprobs(said)), events);
                }
            }
            "content-end" | "tool-call-end" => self.close(events),
            "tool-plan-delta" => {
                let plan = message.and_then(|message| message.at("tool_plan")).and_then(Node::text);
                self.text(Open::Plan, plan, events);
            }
            "tool-call-start" => {
                self.call_start(message.and_then(|message| message.at("tool_calls")), events);
            }
            "tool-call-delta" => {
                let call = message.and_then(|message| message.at("tool_calls"));
                self.arguments(call.and_then(arguments), events);
            }
            "citation-start" => {
                self.citation(json, message.and_then(|message| message.at("citations")), events);
            }
            "message-end" => self.message_end(delta, events),
            _ => events.push(Event::Vendor { kind: kind.clone(), raw: json.raw() }),
        }
        Ok(())
    }

    /// The stream is whole: closes and finishes what is still open.
    pub fn end(&mut self, events: &mut Vec<Event<'_>>) {
        self.close(events);
        if self.started && !std::mem::replace(&mut self.finished, true) {
            events.push(Event::Finish { choice: 0, stop: reply::stop(None, self.calls) });
        }
    }

    fn start<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        if !std::mem::replace(&mut self.started, true) {
            let id = json.at("id").and_then(Node::text).unwrap_or_default();
            events.push(Event::Start { id, model: Text::Borrowed(""), created: 0 });
        }
    }

    fn content_start<'f>(&mut self, content: Option<&Node<'f>>, events: &mut Vec<Event<'f>>) {
        self.close(events);
        let is_thought = content.and_then(|content| content.at("type")?.as_str()) == Some("thinking");
        self.open(if is_thought { Open::Thought } else { Open::Text }, events);
        self.content_delta(content, events);
    }

    fn content_delta<'f>(&mut self, content: Option<&Node<'f>>, events: &mut Vec<Event<'f>>) {
        let text = |key| content.and_then(|content| content.at(key)).and_then(Node::text);
        self.text(Open::Thought, text("thinking"), events);
        self.text(Open::Text, text("text"), events);
    }

    /// More of a text, into the open block if it is of this kind, else into a new one.
    fn text<'f>(&mut self, kind: Open, text: Option<Text<'f>>, events: &mut Vec<Event<'f>>) {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        if self.open != kind {
            self.close(events);
            self.open(kind, events);
        }
        self.delta(Delta::Text(text), events);
    }

    fn open(&mut self, kind: Open, events: &mut Vec<Event<'_>>) {
        let block = match kind {
            Open::Thought => Block::Thought { is_summary: false, is_redacted: false, id: None },
            Open::None | Open::Text | Open::Plan | Open::Call { .. } => Block::Text,
        };
        self.open_block(kind, block, events);
    }

    fn open_block<'f>(&mut self, open: Open, kind: Block<'f>, events: &mut Vec<Event<'f>>) {
        events.push(Event::Open { choice: 0, block: self.blocks, kind });
        self.blocks += 1;
        self.open = open;
    }

    fn call_start<'f>(&mut self, call: Option<&Node<'f>>, events: &mut Vec<Event<'f>>) {
        self.close(events);
        let id = call.and_then(|call| call.at("id")).and_then(Node::text).unwrap_or_default();
        let function = call.and_then(|call| call.at("function"));
        let name = function.and_then(|function| function.at("name")).and_then(Node::text).unwrap_or_default();
        let kind = Block::Call { id, name, kind: CallKind::Function };
        self.calls += 1;
        self.open_block(Open::Call { arguments: Arguments::Unsaid }, kind, events);
        self.arguments(call.and_then(arguments), events);
    }

    /// More of the open call's arguments. No object begins with `null`: it stands for none.
    fn arguments<'f>(&mut self, text: Option<Text<'f>>, events: &mut Vec<Event<'f>>) {
        let Open::Call { arguments } = self.open else { return };
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        if arguments == Arguments::Unsaid && text == "null" {
            return;
        }
        self.open = Open::Call { arguments: Arguments::Said };
        self.delta(Delta::Arguments(text), events);
    }

    fn citation<'f>(&mut self, json: &Node<'f>, citation: Option<&Node<'f>>, events: &mut Vec<Event<'f>>) {
        match citation {
            Some(citation) if self.open == Open::Text => {
                self.delta(reply::cite(citation).into(), events);
            }
            _ => events.push(Event::Vendor { kind: Text::Borrowed("citation-start"), raw: json.raw() }),
        }
    }

    fn delta<'f>(&self, delta: Delta<'f>, events: &mut Vec<Event<'f>>) {
        events.push(Event::Delta { choice: 0, block: self.blocks.saturating_sub(1), delta });
    }

    fn close(&mut self, events: &mut Vec<Event<'_>>) {
        let open = std::mem::take(&mut self.open);
        if open == (Open::Call { arguments: Arguments::Unsaid }) {
            self.delta(Delta::Arguments(Text::Borrowed("{}")), events);
        }
        if open != Open::None {
            events.push(Event::Close { choice: 0, block: self.blocks.saturating_sub(1) });
        }
    }

    fn message_end<'f>(&mut self, delta: Option<&Node<'f>>, events: &mut Vec<Event<'f>>) {
        self.close(events);
        let reason = delta.and_then(|delta| delta.at("finish_reason")).and_then(Node::text);
        events.push(Event::Finish { choice: 0, stop: reply::stop(reason.as_deref(), self.calls) });
        self.finished = true;
        let counts = delta.and_then(|delta| delta.at("usage"));
        if let Some(usage) =
            counts.and_then(|node| usage::read(&mut Walker::new(node.raw().as_bytes())).ok()?)
        {
            events.push(Event::Usage(usage));
        }
    }
}

fn arguments<'f>(call: &Node<'f>) -> Option<Text<'f>> {
    call.at("function")?.at("arguments")?.text()
}
