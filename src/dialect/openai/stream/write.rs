//! A caller's stream: what OpenAI's SDKs, Vercel's and their like accept (WIRE §2.3).
//!
//! The first piece of a call has its id and its name, later ones only its number. A call's opening is
//! held back until the next event, for Vercel's SDK reads the signature of a Gemini call there or not
//! at all. A call that ends without arguments gets `{}`: callers parse them.

use crate::dialect::hub::{Block, CallKind, Delta, Event, Family, Manner, Media, Signature, Source};
use crate::dialect::openai::{calls, reply, stops, thoughts, usage};
use crate::dialect::write::{self, Object};
use crate::vocab::Usage;

/// Writes a caller's stream.
#[derive(Debug)]
pub struct Writer {
    manner: Manner,
    /// What every chunk begins with, up to its choices.
    begin: Vec<u8>,
    answers: Vec<Answer>,
    held: Option<Opening>,
    usage: Option<Usage>,
    /// Calls so far, of all choices: what ids are made up from.
    named: u32,
}

/// What was said of one choice.
#[derive(Debug, Default)]
struct Answer {
    index: u32,
    open: Vec<(u32, Opened)>,
    calls: u32,
    details: u32,
    notes: u32,
    images: u32,
    refused: bool,
}

/// An open block.
#[derive(Debug)]
enum Opened {
    Text,
    Refusal,
    Thought { is_summary: bool, is_redacted: bool, id: Option<String>, detail: Option<u32> },
    Call { number: u32, kind: CallKind, empty: bool },
}

/// The first piece of a call.
#[derive(Debug)]
struct Opening {
    choice: u32,
    block: u32,
    number: u32,
    id: String,
    name: String,
    kind: CallKind,
}

impl Writer {
    pub fn new(manner: Manner) -> Self {
        Self { manner, begin: Vec::new(), answers: Vec::new(), held: None, usage: None, named: 0 }
    }

    /// Says one event, appended to `out`.
    pub fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if let Some(opening) = self.held.take() {
            let signature = opening.signed_by(event);
            chunk(&self.begin, opening.choice, out, |delta| opening.write(signature, delta));
            if signature.is_some() {
                return;
            }
        }
        match event {
            Event::Start { id, model, created } => {
                self.start(id, model, *created);
                self.answer(0, out);
            }
            Event::Open { choice, block, kind } => self.open(*choice, *block, kind, out),
            Event::Delta { choice, block, delta } => self.delta(*choice, *block, delta, out),
            Event::Close { choice, block } => self.close(*choice, *block, out),
            Event::Finish { choice, stop } => {
                let refusal = self.answer(*choice, out).refused;
                let reason = stops::name(stop, stops::Held { call: false, refusal });
                choice_of(&self.begin, *choice, out, |object| {
                    object.object("delta", |_| {}).str("finish_reason", reason);
                });
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            // Only the dialect of origin knows it, and streams of this one pass as they are.
            Event::Vendor { .. } => {}
            Event::End => self.end(out),
        }
    }

    fn start(&mut self, id: &str, model: &str, created: u64) {
        let manner = &self.manner;
        self.begin.clear();
        self.begin.extend_from_slice(b"data: ");
        write::object(&mut self.begin, |object| {
            object.str("id", &reply::id(id, manner)).str("object", "chat.completion.chunk");
            object.number("created", if created == 0 { manner.now } else { created });
            object.str("model", if model.is_empty() { &manner.model } else { model });
        });
        // Its last brace: the choices follow.
        self.begin.pop();
    }

    /// A choice, which begins with its role.
    fn answer(&mut self, index: u32, out: &mut Vec<u8>) -> &mut Answer {
        let known = self.answers.iter().position(|answer| answer.index == index);
        let at = known.unwrap_or_else(|| {
            chunk(&self.begin, index, out, |delta| {
                delta.str("role", "assistant").str("content", "");
            });
            self.answers.push(Answer { index, ..Answer::default() });
            self.answers.len() - 1
        });
        &mut self.answers[at]
    }

    fn open(&mut self, choice: u32, block: u32, kind: &Block<'_>, out: &mut Vec<u8>) {
        let answer = self.answer(choice, out);
        let opened = match kind {
            Block::Text => Opened::Text,
            Block::Refusal => {
                answer.refused = true;
                Opened::Refusal
            }
            Block::Thought { is_summary, is_redacted, id } => Opened::Thought {
                is_summary: *is_summary,
                is_redacted: *is_redacted,
                id: id.as_deref().map(str::to_owned),
                detail: None,
            },
            Block::Call { id, name, kind } => {
                let number = answer.calls;
                answer.calls += 1;
                let id =
                    if id.is_empty() { reply::call_id(self.named, &self.manner) } else { id.to_string() };
                self.named += 1;
                self.held = Some(Opening { choice, block, number, id, name: name.to_string(), kind: *kind });
                Opened::Call { number, kind: *kind, empty: true }
            }
        };
        self.answer(choice, out).open.push((block, opened));
    }

    fn delta(&mut self, choice: u32, block: u32, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let Some(answer) = self.answers.iter_mut().find(|answer| answer.index == choice) else { return };
        let Some((_, opened)) = answer.open.iter_mut().find(|(open, _)| *open == block) else { return };
        let (details, notes, images) = (&mut answer.details, &mut answer.notes, &mut answer.images);
        let begin = &self.begin;
        match delta {
            Delta::Text(text) => chunk(begin, choice, out, |object| opened.write_text(text, details, object)),
            Delta::Arguments(text) => {
                if let Opened::Call { number, kind, empty } = opened {
                    *empty &= text.trim().is_empty();
                    chunk(begin, choice, out, |object| write_arguments(*number, *kind, text, None, object));
                }
            }
            Delta::Signature(signature) => match opened {
                Opened::Call { number, kind, .. } => {
                    chunk(begin, choice, out, |object| {
                        write_arguments(*number, *kind, "", Some(&signature.seal(Family::Gemini)), object);
                    });
                }
                Opened::Thought { .. } => {
                    chunk(begin, choice, out, |object| opened.write_signature(signature, details, object));
                }
                Opened::Text | Opened::Refusal => {}
            },
            Delta::Media(media) => chunk(begin, choice, out, |object| write_media(media, images, object)),
            Delta::Citation { url, title, raw } => chunk(begin, choice, out, |object| {
                object.array("annotations", |array| {
                    reply::write_annotation(
                        (url.as_deref(), title.as_deref()),
                        None,
                        raw,
                        Some(*notes),
                        array,
                    );
                    *notes += u32::from(!array.is_empty());
                });
            }),
            Delta::Logprobs(raw) => choice_of(begin, choice, out, |object| {
                object.object("delta", |_| {}).raw("logprobs", raw).null("finish_reason");
            }),
        }
    }

    fn close(&mut self, choice: u32, block: u32, out: &mut Vec<u8>) {
        let Some(answer) = self.answers.iter_mut().find(|answer| answer.index == choice) else { return };
        let Some(at) = answer.open.iter().position(|(open, _)| *open == block) else { return };
        if let (_, Opened::Call { number, kind: CallKind::Function, empty: true }) =
            answer.open.swap_remove(at)
        {
            chunk(&self.begin, choice, out, |object| {
                write_arguments(number, CallKind::Function, "{}", None, object);
            });
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(usage) = self.usage.take().filter(|_| self.manner.usage_wanted) {
            out.extend_from_slice(&self.begin);
            out.extend_from_slice(b",\"choices\":[],");
            let said = write::text(|out| write::object(out, |object| usage::write(&usage, object)));
            out.extend_from_slice(said.trim_start_matches('{').as_bytes());
            out.extend_from_slice(b"\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl Opening {
    /// The signature, if this event is the call's.
    fn signed_by<'e>(&self, event: &'e Event<'_>) -> Option<&'e Signature<'e>> {
        match event {
            Event::Delta { choice, block, delta: Delta::Signature(signature) } => {
                (*choice == self.choice && *block == self.block).then_some(signature)
            }
            _ => None,
        }
    }

    fn write(&self, signature: Option<&Signature<'_>>, delta: &mut Object<'_>) {
        delta.array("tool_calls", |array| {
            array.object(|call| {
                call.number("index", self.number).str("id", &self.id);
                let (kind, input) = words(self.kind);
                call.str("type", kind).object(kind, |said| {
                    said.str("name", &self.name).str(input, "");
                });
                if let Some(signature) = signature {
                    calls::write_signature(&signature.seal(Family::Gemini), call);
                }
            });
        });
    }
}

impl Opened {
    fn write_text(&mut self, text: &str, details: &mut u32, delta: &mut Object<'_>) {
        match self {
            Self::Text => {
                delta.str("content", text);
            }
            Self::Refusal => {
                delta.str("refusal", text);
            }
            Self::Thought { is_summary, id, detail, .. } => {
                // SDKs join the texts of pieces with the same index, the id among them: it is said once.
                let id = id.as_deref().filter(|_| detail.is_none());
                let index = *detail.get_or_insert_with(|| next(details));
                delta.str("reasoning_content", text).array("reasoning_details", |array| {
                    array.object(|entry| {
                        thoughts::write_text(*is_summary, text, entry);
                        entry.str_if("id", id).number("index", index);
                    });
                });
            }
            Self::Call { .. } => {}
        }
    }

    fn write_signature(&mut self, signature: &Signature<'_>, details: &mut u32, delta: &mut Object<'_>) {
        let Self::Thought { is_redacted, id, detail, .. } = self else { return };
        delta.array("reasoning_details", |array| {
            array.object(|entry| {
                if thoughts::is_encrypted(signature, *is_redacted) {
                    thoughts::write_encrypted(signature, id.as_deref(), next(details), entry);
                } else {
                    let id = id.as_deref().filter(|_| detail.is_none());
                    let index = *detail.get_or_insert_with(|| next(details));
                    entry.str("type", "reasoning.text").str("signature", &signature.value);
                    entry.str("format", thoughts::format(signature.family));
                    entry.str_if("id", id).number("index", index);
                }
            });
        });
    }
}

fn next(count: &mut u32) -> u32 {
    *count += 1;
    *count - 1
}

/// The word for a kind of call, and that for what it is called with.
const fn words(kind: CallKind) -> (&'static str, &'static str) {
    match kind {
        CallKind::Function => ("function", "arguments"),
        CallKind::Custom => ("custom", "input"),
    }
}

fn write_arguments(number: u32, kind: CallKind, text: &str, signature: Option<&str>, delta: &mut Object<'_>) {
    let (kind, input) = words(kind);
    delta.array("tool_calls", |array| {
        array.object(|call| {
            call.number("index", number).object(kind, |said| {
                said.str(input, text);
            });
            if let Some(signature) = signature {
                calls::write_signature(signature, call);
            }
        });
    });
}

/// `images` counts those before it.
fn write_media(media: &Media<'_>, images: &mut u32, delta: &mut Object<'_>) {
    let is_image = media.mime.as_deref().is_some_and(|mime| mime.starts_with("image/"));
    match (&media.source, media.as_url()) {
        (Source::Base64(data), _) if !is_image => {
            delta.object("audio", |audio| {
                audio.str("data", data);
            });
        }
        (_, Some(url)) => {
            delta.array("images", |array| reply::write_image(&url, Some(*images), array));
            *images += 1;
        }
        (_, None) => {}
    }
}

/// A chunk with this delta of a choice.
fn chunk(begin: &[u8], choice: u32, out: &mut Vec<u8>, delta: impl FnOnce(&mut Object<'_>)) {
    choice_of(begin, choice, out, |object| {
        object.object("delta", delta).null("finish_reason");
    });
}

fn choice_of(begin: &[u8], choice: u32, out: &mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
    out.extend_from_slice(begin);
    out.extend_from_slice(b",\"choices\":[");
    write::line(out, |object| {
        object.number("index", choice);
        members(object);
    });
    out.extend_from_slice(b"]}\n\n");
}
