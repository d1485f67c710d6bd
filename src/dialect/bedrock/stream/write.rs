//! Writes a caller's stream.
//!
//! Texts and reasoning have no beginning on this wire, so a block that nothing is said in leaves no
//! trace. The reason for the end goes out when it comes; the usage follows in `metadata`, as on the
//! real wire, and there is no terminator behind it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::dialect::anthropic::stand_in;
use crate::dialect::bedrock::block;
use crate::dialect::bedrock::media::{Medium, image_by_looks};
use crate::dialect::bedrock::{made_id, stop, usage};
use crate::dialect::framing::eventstream::{MessageKind, message};
use crate::dialect::hub::{Block, Delta, Event, Family, Manner, Media, Sequencer, Source, Stop};
use crate::dialect::write::{self, Object};
use crate::vocab::Usage;

/// Writes a caller's stream.
#[derive(Debug)]
pub struct Writer {
    sequencer: Sequencer,
    pen: Pen,
}

/// What has been written, one block behind the other.
#[derive(Debug)]
struct Pen {
    nonce: String,
    /// The number of the block that is open, or comes next.
    index: u32,
    open: Option<Kind>,
    /// Something has been said in the open block.
    said: bool,
    calls: usize,
    /// The open call's id.
    call_id: String,
    /// What carries the call's own signature: a piece of reasoning behind it.
    carried: Option<String>,
    usage: Option<Usage>,
    /// A payload that is being made, kept for its room.
    payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thought,
    Redacted,
    Call,
}

impl Writer {
    pub fn new(manner: Manner) -> Self {
        let pen = Pen {
            nonce: manner.nonce,
            index: 0,
            open: None,
            said: false,
            calls: 0,
            call_id: String::new(),
            carried: None,
            usage: None,
            payload: Vec::new(),
        };
        Self { sequencer: Sequencer::default(), pen }
    }

    /// Says one event, appended to `out`. There is one choice on this wire: the first.
    pub fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        let choice = match event {
            Event::Open { choice, .. }
            | Event::Delta { choice, .. }
            | Event::Close { choice, .. }
            | Event::Finish { choice, .. } => *choice,
            Event::Start { .. } | Event::Usage(_) | Event::Vendor { .. } | Event::End => 0,
        };
        if choice == 0 {
            let pen = &mut self.pen;
            self.sequencer.put(event.clone(), &mut |event| pen.write(event, out));
        }
    }
}

impl Pen {
    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { .. } => self.say("messageStart", out, |payload| {
                payload.str("role", "assistant");
            }),
            Event::Open { kind, .. } => self.open(kind, out),
            Event::Delta { delta, .. } => self.delta(delta, out),
            Event::Close { .. } => self.close(out),
            Event::Finish { stop, .. } => self.finish(stop, out),
            Event::Usage(usage) => self.usage = Some(*usage),
            // Of whatever dialect it is, its own callers are not here.
            Event::Vendor { .. } => {}
            Event::End => self.end(out),
        }
    }

    fn open(&mut self, block: &Block<'_>, out: &mut Vec<u8>) {
        let kind = match block {
            Block::Text | Block::Refusal => Kind::Text,
            Block::Thought { is_redacted: true, .. } => Kind::Redacted,
            Block::Thought { .. } => Kind::Thought,
            Block::Call { .. } => Kind::Call,
        };
        self.open = Some(kind);
        let Block::Call { id, name, .. } = block else { return };
        self.calls += 1;
        let id = if id.is_empty() { made_id(&self.nonce, self.calls) } else { id.clone().into_owned() };
        self.block("contentBlockStart", out, |payload| {
            payload.object("start", |start| {
                start.object("toolUse", |call| {
                    call.str("toolUseId", &id).str("name", name);
                });
            });
        });
        self.call_id = id;
    }

    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let Some(kind) = self.open else { return };
        match (delta, kind) {
            (Delta::Text(text), Kind::Text) => self.said_delta(out, |delta| {
                delta.str("text", text);
            }),
            (Delta::Text(text), Kind::Thought) => self.reasoning(out, |part| {
                part.str("text", text);
            }),
            (Delta::Arguments(text), Kind::Call) => self.said_delta(out, |delta| {
                delta.object("toolUse", |call| {
                    call.str("input", text);
                });
            }),
            (Delta::Signature(signature), Kind::Thought) => {
                let text = signature.seal(Family::Anthropic);
                self.reasoning(out, |part| {
                    part.str("signature", &text);
                });
            }
            (Delta::Signature(signature), Kind::Redacted) => {
                let data = BASE64_STANDARD.encode(&*signature.seal(Family::Anthropic));
                self.reasoning(out, |part| {
                    part.str("redactedContent", &data);
                });
            }
            (Delta::Media(media), Kind::Text) => self.image(media, out),
            (Delta::Citation { url, title, .. }, Kind::Text) if url.is_some() || title.is_some() => {
                self.cite(url.as_deref(), title.as_deref(), out);
            }
            (Delta::Signature(signature), Kind::Call) => {
                self.carried = Some(stand_in::carry(&self.call_id, signature));
            }
            // Tokens' probabilities have no place here.
            (
                Delta::Text(_)
                | Delta::Arguments(_)
                | Delta::Signature(_)
                | Delta::Media(_)
                | Delta::Citation { .. }
                | Delta::Logprobs(_),
                _,
            ) => {}
        }
    }

    fn reasoning(&mut self, out: &mut Vec<u8>, part: impl FnOnce(&mut Object<'_>)) {
        self.said_delta(out, |delta| {
            delta.object("reasoningContent", part);
        });
    }

    fn cite(&mut self, url: Option<&str>, title: Option<&str>, out: &mut Vec<u8>) {
        self.said_delta(out, |delta| {
            delta.object("citation", |citation| block::write_citation(url, title, citation));
        });
    }

    /// An image is a block of its own; the text around it goes on behind it.
    fn image(&mut self, media: &Media<'_>, out: &mut Vec<u8>) {
        let Source::Base64(data) = &media.source else { return };
        let format = media.mime.as_deref().and_then(|mime| Medium::Image.format(mime));
        let Some(format) = format.or_else(|| image_by_looks(data)) else { return };
        self.close(out);
        self.block("contentBlockStart", out, |payload| {
            payload.object("start", |start| {
                start.object("image", |image| {
                    image.str("format", format);
                });
            });
        });
        self.said_delta(out, |delta| {
            delta.object("image", |image| {
                image.object("source", |source| {
                    source.str("bytes", data);
                });
            });
        });
        self.close(out);
        self.open = Some(Kind::Text);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        self.open = None;
        if std::mem::take(&mut self.said) {
            self.block("contentBlockStop", out, |_| {});
            self.index += 1;
            self.said = false;
        }
        if let Some(field) = self.carried.take() {
            // Whoever puts the answer together wants a text beside the signature.
            self.reasoning(out, |part| {
                part.str("text", "");
            });
            self.reasoning(out, |part| {
                part.str("signature", &field);
            });
            self.close(out);
        }
    }

    fn finish(&mut self, reason: &Stop<'_>, out: &mut Vec<u8>) {
        self.say("messageStop", out, |payload| stop::write(reason, payload));
    }

    /// Without usage there is nothing that `metadata` could say.
    fn end(&mut self, out: &mut Vec<u8>) {
        let Some(usage) = self.usage.take() else { return };
        self.say("metadata", out, |payload| {
            payload.object("usage", |object| usage::write(&usage, object));
            // How long it took is not known here.
            payload.raw("metrics", r#"{"latencyMs":0}"#);
        });
    }

    fn said_delta(&mut self, out: &mut Vec<u8>, delta: impl FnOnce(&mut Object<'_>)) {
        self.block("contentBlockDelta", out, |payload| {
            payload.object("delta", delta);
        });
    }

    /// A message about the open block.
    fn block(&mut self, event: &str, out: &mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
        self.said = true;
        let index = self.index;
        self.say(event, out, |payload| {
            members(payload);
            payload.number("contentBlockIndex", index);
        });
    }

    fn say(&mut self, event: &str, out: &mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
        self.payload.clear();
        write::object(&mut self.payload, members);
        message(event, MessageKind::Event, &self.payload, out);
    }
}
