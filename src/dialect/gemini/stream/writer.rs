//! Writes a caller's stream.
//!
//! Held back is what Google has whole: a call's arguments until the call is closed, and the reasons why
//! the answers ended until the stream does, when they go with the usage. Sources are gathered for the
//! last chunk, too. A thought is one piece behind, so that its signature comes with its last piece:
//! the Vercel SDK forgets signatures of thoughts that come without any text.

use crate::dialect::framing::Framing;
use crate::dialect::gemini::{logprobs, part, reply, signature, stop, usage};
use crate::dialect::hub::{
    Block, Call, CallKind, Delta, Event, Family, Manner, Media, Signature, Stop, Text,
};
use crate::dialect::write::{self, Object};
use crate::vocab::Usage;

/// Sources beyond this are left out.
const MOST_SOURCES: usize = 256;

/// Writes a caller's stream.
#[derive(Debug)]
pub struct Writer {
    manner: Manner,
    /// `"modelVersion":…,"responseId":…}` with what divides chunks: the end of each.
    tail: Vec<u8>,
    first: bool,
    open: Vec<Opened>,
    calls: usize,
    /// The choices that have called something.
    callers: Vec<u32>,
    finished: Vec<(u32, Stop<'static>)>,
    usage: Option<Usage>,
    /// URLs and titles.
    sources: Vec<(String, Option<String>)>,
}

/// A block that is open.
#[derive(Debug)]
struct Opened {
    choice: u32,
    block: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thought {
        /// The last piece.
        held: String,
        is_redacted: bool,
    },
    Call(Box<Call<'static>>),
}

impl Writer {
    pub fn new(manner: Manner) -> Self {
        let mut writer = Self {
            manner,
            tail: Vec::new(),
            first: true,
            open: Vec::new(),
            calls: 0,
            callers: Vec::new(),
            finished: Vec::new(),
            usage: None,
            sources: Vec::new(),
        };
        writer.introduce("", "");
        writer
    }

    /// Says one event, appended to `out`.
    pub fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, created: _ } => self.introduce(id, model),
            Event::Open { choice, block, kind } => {
                self.open.push(Opened { choice: *choice, block: *block, kind: Kind::of(kind) });
            }
            Event::Delta { choice, block, delta } => self.delta(*choice, *block, delta, out),
            Event::Close { choice, block } => {
                let at = self.open.iter().position(|open| (open.choice, open.block) == (*choice, *block));
                match at.map(|at| self.open.swap_remove(at).kind) {
                    // Cut off: it was never made.
                    Some(Kind::Call(call)) if call.kind == CallKind::Function && call.object().is_none() => {}
                    Some(Kind::Call(call)) => self.call(*choice, &call, out),
                    Some(Kind::Thought { held, .. }) => self.thought(*choice, &held, None, out),
                    Some(Kind::Text) | None => {}
                }
            }
            Event::Finish { choice, stop } => self.finished.push((*choice, stop.clone().into_owned())),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Vendor { kind, raw } => {
                if ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"].contains(&&**kind) {
                    self.part(0, out, |out| out.extend_from_slice(raw.as_bytes()));
                }
            }
            Event::End => self.end(out),
        }
    }

    /// The caller has got, from somebody else, what is held back here.
    pub fn forget_held(&mut self) {
        self.sources.clear();
        for open in &mut self.open {
            if let Kind::Thought { held, .. } = &mut open.kind {
                held.clear();
            }
        }
    }

    fn introduce(&mut self, id: &str, model: &str) {
        let or = |text: &str, otherwise: &str| if text.is_empty() { otherwise } else { text }.to_owned();
        let mut tail = Vec::new();
        write::object(&mut tail, |o| {
            o.str("modelVersion", &or(model, &self.manner.model))
                .str("responseId", &or(id, &self.manner.nonce));
        });
        // Without its opening brace, since it ends another object.
        tail.remove(0);
        if self.manner.framing != Framing::JsonArray {
            tail.extend_from_slice(b"\r\n\r\n");
        }
        self.tail = tail;
    }

    fn delta(&mut self, choice: u32, block: u32, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let Some(at) = self.open.iter().position(|open| (open.choice, open.block) == (choice, block)) else {
            return;
        };
        match (delta, self.open.get_mut(at).map(|open| &mut open.kind)) {
            (Delta::Text(text), Some(Kind::Thought { held, .. })) => {
                if !text.is_empty() {
                    let before = std::mem::replace(held, text.to_string());
                    self.thought(choice, &before, None, out);
                }
            }
            (Delta::Text(text), _) => {
                if !text.is_empty() {
                    self.object(choice, out, |o| {
                        o.str("text", text);
                    });
                }
            }
            (Delta::Arguments(text), Some(Kind::Call(call))) => call.arguments.to_mut().push_str(text),
            (Delta::Signature(signature), Some(Kind::Call(call))) => {
                let value = Text::Owned(signature.value.clone().into_owned());
                call.signature = Some(Signature { family: signature.family, value });
            }
            (Delta::Signature(signature), Some(Kind::Thought { held, is_redacted })) => {
                let sealed = if *is_redacted {
                    signature::seal_redacted(signature)
                } else {
                    signature.seal(Family::Gemini)
                };
                let last = std::mem::take(held);
                self.thought(choice, &last, Some(&sealed), out);
            }
            (Delta::Media(media), _) => self.object(choice, out, |o| say_media(o, media)),
            (Delta::Citation { url, title, raw: _ }, _) => self.cite(url.as_deref(), title.as_deref()),
            (Delta::Logprobs(openai), _) => {
                self.begin(out);
                out.extend_from_slice(b"{\"candidates\":[");
                write::object(out, |o| {
                    o.raw("content", r#"{"parts":[{"text":""}],"role":"model"}"#).number("index", choice);
                    logprobs::write(o, openai);
                });
                out.extend_from_slice(b"],");
                out.extend_from_slice(&self.tail);
            }
            (Delta::Arguments(_) | Delta::Signature(_), _) => {}
        }
    }

    fn thought(&mut self, choice: u32, text: &str, signature: Option<&str>, out: &mut Vec<u8>) {
        if !text.is_empty() || signature.is_some() {
            self.object(choice, out, |o| reply::write_thought(o, text, signature));
        }
    }

    fn call(&mut self, choice: u32, call: &Call<'_>, out: &mut Vec<u8>) {
        let id = reply::call_id(&call.id, &self.manner.nonce, 0, self.calls).into_owned();
        let own = call.signature.as_ref().map(|signature| signature.seal(Family::Gemini));
        // What stands for a signature, lest Google refuse the call when it is sent back.
        let standing = (!self.callers.contains(&choice)).then_some(signature::SENTINEL_BASE64);
        self.callers.push(choice);
        self.calls += 1;
        self.object(choice, out, |o| {
            part::write_call(o, call, Some(&id), own.as_deref().or(standing), |_| {});
        });
    }

    fn cite(&mut self, url: Option<&str>, title: Option<&str>) {
        if let Some(url) = url
            && self.sources.len() < MOST_SOURCES
        {
            self.sources.push((url.to_owned(), title.map(str::to_owned)));
        }
    }

    /// A chunk with one part, an object.
    fn object(&mut self, choice: u32, out: &mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
        self.part(choice, out, |out| write::object(out, members));
    }

    /// A chunk with one part.
    fn part(&mut self, choice: u32, out: &mut Vec<u8>, part: impl FnOnce(&mut Vec<u8>)) {
        self.begin(out);
        out.extend_from_slice(b"{\"candidates\":[{\"content\":{\"parts\":[");
        let begin = out.len();
        part(out);
        write::unbreak(&mut out[begin..]);
        out.extend_from_slice(b"],\"role\":\"model\"},");
        let mut index = Vec::with_capacity(12);
        write::object(&mut index, |o| {
            o.number("index", choice);
        });
        out.extend_from_slice(index.get(1..).unwrap_or_default());
        out.extend_from_slice(b"],");
        out.extend_from_slice(&self.tail);
    }

    /// What stands before a chunk.
    fn begin(&mut self, out: &mut Vec<u8>) {
        let first = std::mem::replace(&mut self.first, false);
        out.extend_from_slice(match (self.manner.framing, first) {
            (Framing::JsonArray, true) => b"[",
            (Framing::JsonArray, false) => b",\r\n",
            (Framing::Sse | Framing::Lines | Framing::EventStream | Framing::Opaque, _) => b"data: ",
        });
    }

    /// The last chunk: why the answers ended, and what they cost.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        let mut chunk = Vec::with_capacity(256);
        write::object(&mut chunk, |o| {
            o.array("candidates", |a| {
                for (choice, stop) in &self.finished {
                    a.object(|o| {
                        // A part without text: Google's SDKs take an answer without parts for a bad one.
                        o.raw("content", r#"{"parts":[{"text":""}],"role":"model"}"#);
                        o.str("finishReason", stop::word(stop)).number("index", choice);
                        if *choice == 0 && !self.sources.is_empty() {
                            let sources = self.sources.iter();
                            reply::ground(o, sources.map(|(url, title)| (&**url, title.as_deref())));
                        }
                    });
                }
            });
            if let Some(usage) = &self.usage {
                usage::write(o, usage, None);
            }
        });
        chunk.pop();
        out.append(&mut chunk);
        out.push(b',');
        out.extend_from_slice(&self.tail);
        if self.manner.framing == Framing::JsonArray {
            out.extend_from_slice(b"\r\n]");
        }
    }
}

impl Kind {
    fn of(block: &Block<'_>) -> Self {
        match block {
            Block::Text | Block::Refusal => Self::Text,
            Block::Thought { is_redacted, .. } => {
                Self::Thought { held: String::new(), is_redacted: *is_redacted }
            }
            Block::Call { id, name, kind } => Self::Call(Box::new(Call {
                id: Text::Owned(id.clone().into_owned()),
                name: Text::Owned(name.clone().into_owned()),
                arguments: Text::Owned(String::new()),
                kind: *kind,
                signature: None,
            })),
        }
    }
}

fn say_media(o: &mut Object<'_>, media: &Media<'_>) {
    part::write_media(o, media, "image/png", |_| {});
}
