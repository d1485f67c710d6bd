//! Writes a caller's stream.
//!
//! Nothing is held back but what the order demands: the reason for the end waits for the counts, a
//! call's start waits for its signature or its first argument (the signature goes before it),
//! redacted thinking is one event with all its data, and a foreign signature that stands alone behind something waits
//! for what comes next. What is known of the input when the message starts is said there,
//! and zero where nothing is; the counts of `message_delta` are totals, which SDKs put in their place.

use crate::dialect::anthropic::usage::{self, Place};
use crate::dialect::anthropic::{reply, stand_in, stop};
use crate::dialect::hub::{Block, CallKind, Delta, Event, Family, Manner, Sequencer, Signature, Stop, Text};
use crate::dialect::write::{self, Object};
use crate::vocab::Usage;

/// Writes a caller's stream.
#[derive(Debug)]
pub struct Writer {
    sequencer: Sequencer,
    pen: Box<Pen>,
}

/// Writes events whose blocks come one behind the other.
#[derive(Debug)]
struct Pen {
    manner: Manner,
    has_started: bool,
    /// The next block's index.
    index: u64,
    /// Blocks that were opened.
    opened: usize,
    open: Option<Open>,
    /// Other vendors' signatures that stand alone behind a block, written once another one follows: no answer of Anthropic's
    /// ends so, and agents take the last block for what was said.
    seals: Vec<Option<Signature<'static>>>,
    stop: Stop<'static>,
    usage: Option<Usage>,
}

/// The block that is open.
#[derive(Debug)]
enum Open {
    Text,
    /// A thought that nobody has signed so far.
    Thought,
    Signed,
    /// Thinking behind another block, of which nothing is written before there are words of it.
    Silent(Option<Signature<'static>>),
    /// Redacted thinking, of which nothing is written before its data is there.
    Redacted(Option<Signature<'static>>),
    /// A call that is not written yet.
    Waiting {
        id: String,
        name: String,
        kind: CallKind,
    },
    /// A call that is, and the signature that came too late to go before it.
    Call {
        id: String,
        kind: CallKind,
        late: Option<Signature<'static>>,
    },
}

impl Writer {
    pub fn new(manner: Manner) -> Self {
        let pen = Pen {
            manner,
            has_started: false,
            index: 0,
            opened: 0,
            open: None,
            seals: Vec::new(),
            stop: Stop::End,
            usage: None,
        };
        Self { sequencer: Sequencer::default(), pen: Box::new(pen) }
    }

    /// So much is known of the usage by now, for the message's start.
    pub fn knows(&mut self, usage: Usage) {
        if !self.pen.has_started {
            self.pen.usage = Some(usage);
        }
    }

    /// Says one event, appended to `out`.
    pub fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Open { choice, .. }
            | Event::Delta { choice, .. }
            | Event::Close { choice, .. }
            | Event::Finish { choice, .. }
                if *choice > 0 => {}
            // Most streams have one block open at a time; then nothing is copied.
            event => self.sequencer.put(event.clone(), &mut |event| self.pen.write(event, out)),
        }
    }
}

impl Pen {
    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, .. } => self.start(id, out),
            Event::Open { kind, .. } => self.open(kind, out),
            Event::Delta { delta, .. } => self.delta(delta, out),
            Event::Close { .. } => self.close(out),
            Event::Finish { stop, .. } => self.stop = stop.clone().into_owned(),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Vendor { .. } => {}
            Event::End => self.end(out),
        }
    }

    fn start(&mut self, id: &str, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        let manner = &self.manner;
        // Clients that add up what they are told get all of the output at the end.
        let known = self.usage.map(|usage| Usage { output: 0, reasoning: 0, ..usage });
        frame("message_start", out, |event| {
            event.object("message", |message| {
                reply::write_head(id, manner, message);
                message.array("content", |_| {}).null("stop_reason").null("stop_sequence");
                message.object("usage", |object| usage::write(known, Place::Message, object));
            });
        });
    }

    fn open(&mut self, kind: &Block<'_>, out: &mut Vec<u8>) {
        self.start("", out);
        self.opened += 1;
        self.open = Some(match kind {
            Block::Text | Block::Refusal => {
                self.block_start(out, |block| {
                    block.str("type", "text").str("text", "");
                });
                Open::Text
            }
            Block::Thought { is_redacted: true, .. } => Open::Redacted(None),
            Block::Thought { .. } if self.index > 0 => Open::Silent(None),
            Block::Thought { .. } => {
                self.thinking_start(out);
                Open::Thought
            }
            Block::Call { id, name, kind } => Open::Waiting {
                id: reply::call_id(id, self.opened, &self.manner).into_owned(),
                name: name.to_string(),
                kind: *kind,
            },
        });
    }

    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match (delta, &mut self.open) {
            (Delta::Text(text), Some(Open::Text)) => self.say("text_delta", "text", text, out),
            (Delta::Text(text), Some(Open::Thought | Open::Signed)) => {
                self.say("thinking_delta", "thinking", text, out);
            }
            (Delta::Text(text), Some(Open::Silent(_))) if !text.is_empty() => {
                self.think(out);
                self.say("thinking_delta", "thinking", text, out);
            }
            (Delta::Signature(signature), Some(Open::Silent(seal))) => *seal = Some(owned(signature)),
            (Delta::Signature(signature), Some(Open::Thought | Open::Signed)) => {
                self.open = Some(Open::Signed);
                self.say("signature_delta", "signature", &signature.seal(Family::Anthropic), out);
            }
            (Delta::Signature(signature), Some(Open::Redacted(data))) => *data = Some(owned(signature)),
            (Delta::Signature(signature), Some(Open::Waiting { id, .. })) => {
                let field = stand_in::carry(id, signature);
                self.carry(&field, out);
                self.start_call(out);
            }
            (Delta::Signature(signature), Some(Open::Call { late, .. })) => *late = Some(owned(signature)),
            (Delta::Arguments(text), Some(Open::Waiting { .. } | Open::Call { .. })) => self.argue(text, out),
            (Delta::Media(media), Some(Open::Text)) => {
                self.say("text_delta", "text", &reply::markdown(media), out);
            }
            (Delta::Citation { url: Some(url), title, .. }, Some(Open::Text)) => {
                self.cite(url, title.as_deref(), out);
            }
            // Of a kind that its block cannot say.
            _ => {}
        }
    }

    /// Writes the start of thinking that waited, and its signature if that came before its words.
    fn think(&mut self, out: &mut Vec<u8>) {
        if let Some(Open::Silent(seal)) = self.open.replace(Open::Thought) {
            self.thinking_start(out);
            if let Some(seal) = seal {
                self.open = Some(Open::Signed);
                self.say("signature_delta", "signature", &seal.seal(Family::Anthropic), out);
            }
        }
    }

    /// A delta with one text.
    fn say(&self, kind: &str, key: &str, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.block_delta(out, |delta| {
            delta.str("type", kind).str(key, text);
        });
    }

    fn cite(&self, url: &str, title: Option<&str>, out: &mut Vec<u8>) {
        self.block_delta(out, |delta| {
            delta.str("type", "citations_delta");
            delta.object("citation", |citation| reply::write_citation(url, title, citation));
        });
    }

    fn argue(&mut self, text: &str, out: &mut Vec<u8>) {
        self.start_call(out);
        match &self.open {
            Some(Open::Call { kind: CallKind::Custom, .. }) => {
                let quoted = write::text(|out| write::string(out, text));
                let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
                self.say("input_json_delta", "partial_json", inner, out);
            }
            _ => self.say("input_json_delta", "partial_json", text, out),
        }
    }

    /// Writes the start of a call that waited.
    fn start_call(&mut self, out: &mut Vec<u8>) {
        match self.open.take() {
            Some(Open::Waiting { id, name, kind }) => {
                self.block_start(out, |block| {
                    block.str("type", "tool_use").str("id", &id).str("name", &name).object("input", |_| {});
                });
                self.open = Some(Open::Call { id, kind, late: None });
                if kind == CallKind::Custom {
                    self.say("input_json_delta", "partial_json", "{\"input\":\"", out);
                }
            }
            other => self.open = other,
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        self.start_call(out);
        match self.open.take() {
            None | Some(Open::Redacted(None) | Open::Waiting { .. }) => {}
            Some(Open::Silent(Some(seal))) if seal.family == Family::Anthropic => {
                self.carry(&seal.value, out);
            }
            Some(Open::Silent(seal)) => self.seals.push(seal),
            Some(Open::Text | Open::Signed) => self.block_stop(out),
            Some(Open::Thought) => {
                // Vercel's SDK sends no thought back of which it has not heard this.
                self.block_delta(out, |delta| {
                    delta.str("type", "signature_delta").str("signature", "");
                });
                self.block_stop(out);
            }
            Some(Open::Redacted(Some(data))) => {
                self.block_start(out, |block| {
                    block.str("type", "redacted_thinking").str("data", &data.seal(Family::Anthropic));
                });
                self.block_stop(out);
            }
            Some(Open::Call { id, kind, late }) => {
                if kind == CallKind::Custom {
                    self.say("input_json_delta", "partial_json", "\"}", out);
                }
                self.block_stop(out);
                if let Some(signature) = late {
                    self.carry(&stand_in::carry(&id, &signature), out);
                }
            }
        }
    }

    /// A thinking block without words, that carries a signature.
    fn carry(&mut self, field: &str, out: &mut Vec<u8>) {
        self.thinking_start(out);
        self.say("signature_delta", "signature", field, out);
        self.block_stop(out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.start("", out);
        self.close(out);
        let (reason, sequence) = stop::write(&self.stop);
        let usage = self.usage;
        frame("message_delta", out, |event| {
            event.object("delta", |delta| {
                delta.str("stop_reason", reason);
                match sequence {
                    Some(sequence) => delta.str("stop_sequence", sequence),
                    None => delta.null("stop_sequence"),
                };
            });
            event.object("usage", |object| match usage {
                Some(usage) => usage::write(Some(usage), Place::Delta, object),
                None => {
                    object.number("output_tokens", 0);
                }
            });
        });
        frame("message_stop", out, |_| {});
    }

    fn thinking_start(&mut self, out: &mut Vec<u8>) {
        self.block_start(out, |block| {
            block.str("type", "thinking").str("thinking", "").str("signature", "");
        });
    }

    fn block_start(&mut self, out: &mut Vec<u8>, block: impl FnOnce(&mut Object<'_>)) {
        for seal in std::mem::take(&mut self.seals) {
            let field = seal.as_ref().map(|seal| seal.seal(Family::Anthropic));
            self.carry(field.as_deref().unwrap_or_default(), out);
        }
        frame("content_block_start", out, |event| {
            event.number("index", self.index).object("content_block", block);
        });
    }

    fn block_delta(&self, out: &mut Vec<u8>, delta: impl FnOnce(&mut Object<'_>)) {
        frame("content_block_delta", out, |event| {
            event.number("index", self.index).object("delta", delta);
        });
    }

    fn block_stop(&mut self, out: &mut Vec<u8>) {
        frame("content_block_stop", out, |event| {
            event.number("index", self.index);
        });
        self.index += 1;
    }
}

/// One event. Its name stands in front of it, too: SDKs drop events without one (WIRE §2.3).
fn frame(name: &str, out: &mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    write::line(out, |event| {
        event.str("type", name);
        members(event);
    });
    out.extend_from_slice(b"\n\n");
}

fn owned(signature: &Signature<'_>) -> Signature<'static> {
    Signature { family: signature.family, value: Text::Owned(signature.value.to_string()) }
}
