//! Writes a caller's stream.
//!
//! Calls leave one behind the other: Vercel's SDK holds one at a time. The reason and the counts leave
//! together at the end. Text is content even when calls follow it (see [`cohere`](super::super)).

use crate::dialect::cohere::{reply, usage};
use crate::dialect::hub::{Block, Delta, Event, Manner, Sequencer, Stop};
use crate::dialect::tree;
use crate::dialect::write::{self, Object};
use crate::vocab::Usage;

#[derive(Debug)]
pub struct Writer {
    sequencer: Sequencer,
    pen: Pen,
}

impl Writer {
    pub fn new(manner: Manner) -> Self {
        Self { sequencer: Sequencer::default(), pen: Pen::new(manner) }
    }

    /// Says one event, appended to `out`. Of several choices the first one is all that fits.
    pub fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        let (Event::Open { choice, .. }
        | Event::Delta { choice, .. }
        | Event::Close { choice, .. }
        | Event::Finish { choice, .. }) = event
        else {
            return self.sequencer.put(event.clone(), &mut |event| self.pen.write(event, out));
        };
        if *choice == 0 {
            self.sequencer.put(event.clone(), &mut |event| self.pen.write(event, out));
        }
    }
}

#[derive(Debug)]
struct Pen {
    manner: Manner,
    contents: usize,
    calls: usize,
    open: Open,
    stop: Stop<'static>,
    usage: Option<Usage>,
}

/// What the open block is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// Nothing that could be said.
    None,
    Text,
    Thought,
    Call,
}

impl Pen {
    fn new(manner: Manner) -> Self {
        Self { manner, contents: 0, calls: 0, open: Open::None, stop: Stop::End, usage: None }
    }

    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, .. } => self.start(id, out),
            Event::Open { kind, .. } => self.open(kind, out),
            Event::Delta { delta, .. } => self.delta(delta, out),
            Event::Close { .. } => self.close(out),
            Event::Finish { stop, .. } => self.stop = stop.clone().into_owned(),
            Event::Usage(usage) => self.usage = Some(*usage),
            // Whose it is nobody knows.
            Event::Vendor { .. } => {}
            Event::End => self.end(out),
        }
    }

    fn start(&self, id: &str, out: &mut Vec<u8>) {
        say("message-start", out, |o| {
            o.str("id", &reply::id(id, &self.manner));
            message(o, |o| {
                o.str("role", "assistant").array("content", |_| {}).str("tool_plan", "");
                o.array("tool_calls", |_| {}).array("citations", |_| {});
            });
        });
    }

    fn open(&mut self, kind: &Block<'_>, out: &mut Vec<u8>) {
        self.open = match kind {
            Block::Text | Block::Refusal => Open::Text,
            Block::Thought { is_redacted: true, .. } => Open::None,
            Block::Thought { .. } => Open::Thought,
            Block::Call { .. } => Open::Call,
        };
        let index = self.index();
        match (self.open, kind) {
            (Open::Text, _) => say("content-start", out, |o| {
                o.number("index", index);
                content(o, |o| {
                    o.str("type", "text").str("text", "");
                });
            }),
            (Open::Thought, _) => say("content-start", out, |o| {
                o.number("index", index);
                content(o, |o| {
                    o.str("type", "thinking").str("thinking", "");
                });
            }),
            (Open::Call, Block::Call { id, name, .. }) => say("tool-call-start", out, |o| {
                o.number("index", index);
                call(o, |o| {
                    o.str("id", &reply::call_id(id, index, &self.manner)).str("type", "function");
                    o.object("function", |o| {
                        o.str("name", name).str("arguments", "");
                    });
                });
            }),
            (Open::None | Open::Call, _) => {}
        }
    }

    /// The open block's place among its kind.
    fn index(&self) -> usize {
        if self.open == Open::Call { self.calls } else { self.contents }
    }

    fn delta(&self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let index = self.index();
        match (self.open, delta) {
            (Open::Text, Delta::Text(text)) => said("text", text, index, out),
            (Open::Thought, Delta::Text(text)) => said("thinking", text, index, out),
            (Open::Call, Delta::Arguments(text)) => say("tool-call-delta", out, |o| {
                o.number("index", index);
                call(o, |o| {
                    o.object("function", |o| {
                        o.str("arguments", text);
                    });
                });
            }),
            (Open::Text, Delta::Citation { url, title, .. }) => {
                citation(url.as_deref(), title.as_deref(), index, out);
            }
            (Open::Text, Delta::Logprobs(json)) => logprobs(json, index, out),
            // There is no place for the rest.
            (
                _,
                Delta::Text(_)
                | Delta::Arguments(_)
                | Delta::Signature(_)
                | Delta::Media(_)
                | Delta::Citation { .. }
                | Delta::Logprobs(_),
            ) => {}
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let index = self.index();
        let name = match std::mem::replace(&mut self.open, Open::None) {
            Open::None => return,
            Open::Text | Open::Thought => {
                self.contents += 1;
                "content-end"
            }
            Open::Call => {
                self.calls += 1;
                "tool-call-end"
            }
        };
        say(name, out, |o| {
            o.number("index", index);
        });
    }

    fn end(&self, out: &mut Vec<u8>) {
        say("message-end", out, |o| {
            o.object("delta", |o| {
                o.str("finish_reason", reply::reason(&self.stop));
                usage::write(self.usage, o);
            });
        });
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

/// One event.
fn say(name: &str, out: &mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    write::line(out, |o| {
        o.str("type", name);
        members(o);
    });
    out.extend_from_slice(b"\n\n");
}

fn message(object: &mut Object<'_>, members: impl FnOnce(&mut Object<'_>)) {
    object.object("delta", |o| {
        o.object("message", members);
    });
}

fn content(object: &mut Object<'_>, members: impl FnOnce(&mut Object<'_>)) {
    message(object, |o| {
        o.object("content", members);
    });
}

fn call(object: &mut Object<'_>, members: impl FnOnce(&mut Object<'_>)) {
    message(object, |o| {
        o.object("tool_calls", members);
    });
}

fn said(key: &str, text: &str, index: usize, out: &mut Vec<u8>) {
    say("content-delta", out, |o| {
        o.number("index", index);
        content(o, |o| {
            o.str(key, text);
        });
    });
}

fn citation(url: Option<&str>, title: Option<&str>, index: usize, out: &mut Vec<u8>) {
    if url.is_none() && title.is_none() {
        return;
    }
    say("citation-start", out, |o| {
        o.number("index", index);
        message(o, |o| {
            o.object("citations", |o| reply::write_citation(url, title, o));
        });
    });
    say("citation-end", out, |o| {
        o.number("index", index);
    });
}

/// They go with a delta, one token each.
fn logprobs(json: &str, index: usize, out: &mut Vec<u8>) {
    let Ok(root) = tree::parse(json.as_bytes()) else { return };
    reply::each_logprob(&root, |token, value| {
        say("content-delta", out, |o| {
            o.number("index", index);
            content(o, |o| {
                o.str("text", "");
            });
            o.object("logprobs", |o| reply::write_logprob(token, value, o));
        });
    });
}
