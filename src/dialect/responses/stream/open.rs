//! A block of a caller's stream, from its beginning to its end.

use super::output::{Output, Place};
use crate::dialect::hub::{Block, CallKind, Signature, namespace, object_of};
use crate::dialect::responses::carry;
use crate::dialect::responses::item::{self, Refusal, Status};
use crate::dialect::responses::request::MADE_UP;
use crate::dialect::write::{self, Object};

/// A block that is open.
#[derive(Debug)]
pub struct Open {
    pub block: u32,
    kind: Kind,
    /// So far.
    text: String,
    signature: Option<Signature<'static>>,
    /// Once it has begun.
    place: Option<Place>,
}

#[derive(Debug)]
enum Kind {
    /// `annotations` and `logprobs` are items of arrays, JSON.
    Text {
        annotations: String,
        cited: usize,
        logprobs: String,
    },
    Refusal,
    Thought {
        id: Option<String>,
        is_redacted: bool,
    },
    Call {
        id: String,
        name: String,
        kind: CallKind,
    },
}

impl Open {
    pub fn new(block: u32, kind: &Block<'_>) -> Self {
        let kind = match kind {
            Block::Text => Kind::Text { annotations: String::new(), cited: 0, logprobs: String::new() },
            Block::Refusal => Kind::Refusal,
            Block::Thought { id, is_redacted, .. } => {
                Kind::Thought { id: id.as_deref().map(str::to_owned), is_redacted: *is_redacted }
            }
            Block::Call { id, name, kind } => {
                Kind::Call { id: id.clone().into_owned(), name: name.clone().into_owned(), kind: *kind }
            }
        };
        Self { block, kind, text: String::new(), signature: None, place: None }
    }

    /// A block of which `text` was said, in this place.
    pub fn resumed(block: u32, kind: &Block<'_>, text: &str, place: Place) -> Self {
        Self { text: text.to_owned(), place: Some(place), ..Self::new(block, kind) }
    }

    /// Gives the block its place, if it has none: its item begins.
    fn begin(&mut self, output: &mut Output, out: &mut Vec<u8>) {
        if self.place.is_some() {
            return;
        }
        let place = match &self.kind {
            Kind::Text { .. } => output.begin_part(Refusal::Unsaid, out),
            Kind::Refusal => output.begin_part(Refusal::Said, out),
            Kind::Thought { id, .. } => {
                let place = output.place(MADE_UP, id.as_deref(), out);
                output.added(&place, |o| item::reasoning(o, &place.item, &[], &[], None), out);
                place
            }
            Kind::Call { id, name, kind } => {
                if let Some(signature) = self.signature.take() {
                    output.sign(&signature, out);
                }
                let place = output.place(item::call_prefix(name, *kind), None, out);
                let called = output.called(id, &place);
                let call = item::Call { id: &place.item, called: &called, name, kind: *kind, arguments: "" };
                output.added(&place, |o| call.write(o, Status::InProgress), out);
                place
            }
        };
        self.place = Some(place);
    }

    /// It has been said; tells whether it was a refusal.
    pub fn close(mut self, output: &mut Output, out: &mut Vec<u8>) -> Refusal {
        match &self.kind {
            Kind::Text { .. } | Kind::Refusal => return self.close_part(output, out),
            Kind::Thought { .. } => self.close_thought(output, out),
            Kind::Call { .. } => self.close_call(output, out),
        }
        Refusal::Unsaid
    }

    pub fn sign(&mut self, signature: &Signature<'_>) {
        let value = signature.value.clone().into_owned().into();
        self.signature = Some(Signature { family: signature.family, value });
    }

    /// Tells chat's form of `logprobs`: of text that was said, so that the delta has no more of it.
    pub fn weigh(&mut self, raw: &str, output: &mut Output, out: &mut Vec<u8>) {
        let tokens = item::tokens(raw);
        if tokens.is_empty() || !matches!(self.kind, Kind::Text { .. }) {
            return;
        }
        self.begin(output, out);
        let (Some(place), Kind::Text { logprobs, .. }) = (&self.place, &mut self.kind) else { return };
        output.event(out, "response.output_text.delta", |o| {
            place.write_content(o).str("delta", "");
            item::array_of(o, "logprobs", &tokens);
        });
        item::join(logprobs, &tokens);
    }

    /// Says more of it.
    pub fn more(&mut self, text: &str, output: &mut Output, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.begin(output, out);
        let Some(place) = &self.place else { return };
        match &self.kind {
            Kind::Text { .. } => output.event(out, "response.output_text.delta", |o| {
                place.write_content(o).str("delta", text).raw("logprobs", "[]");
            }),
            Kind::Refusal => output.event(out, "response.refusal.delta", |o| {
                place.write_content(o).str("delta", text);
            }),
            Kind::Thought { .. } => {
                if self.text.is_empty() {
                    output.event(out, "response.reasoning_summary_part.added", |o| {
                        summary(place.write_summary(o), "");
                    });
                }
                output.event(out, "response.reasoning_summary_text.delta", |o| {
                    place.write_summary(o).str("delta", text);
                });
            }
            // It is told as a whole.
            Kind::Call { name, .. } if name == namespace::TOOL_SEARCH => {}
            Kind::Call { kind, .. } => {
                let name = match kind {
                    CallKind::Function => "response.function_call_arguments.delta",
                    CallKind::Custom => "response.custom_tool_call_input.delta",
                };
                output.event(out, name, |o| {
                    place.write(o).str("delta", text);
                });
            }
        }
        self.text.push_str(text);
    }

    /// Adds a citation of the text so far, in whatever words it came.
    pub fn cite(
        &mut self,
        (url, title): (Option<&str>, Option<&str>),
        raw: &str,
        output: &mut Output,
        out: &mut Vec<u8>,
    ) {
        let length = self.text.chars().count();
        let Some(annotation) = item::annotation(url, title, raw, (0, length as u64)) else { return };
        self.begin(output, out);
        let (Some(place), Kind::Text { annotations, cited, .. }) = (&self.place, &mut self.kind) else {
            return;
        };
        output.event(out, "response.output_text.annotation.added", |o| {
            place.write_content(o).number("annotation_index", *cited).raw("annotation", &annotation);
        });
        *cited += 1;
        item::join(annotations, &annotation);
    }

    fn close_part(&self, output: &mut Output, out: &mut Vec<u8>) -> Refusal {
        // Nothing was said, or only what is an item by itself.
        let Some(place) = &self.place else { return Refusal::Unsaid };
        let text = &*self.text;
        let Kind::Text { annotations, logprobs, .. } = &self.kind else {
            output.event(out, "response.refusal.done", |o| {
                place.write_content(o).str("refusal", text);
            });
            output.end_part(place, write::text(|out| write::object(out, |o| item::refusal(o, text))), out);
            return Refusal::Said;
        };
        output.event(out, "response.output_text.done", |o| {
            place.write_content(o).str("text", text);
            item::array_of(o, "logprobs", logprobs);
        });
        let part = write::text(|out| write::object(out, |o| item::text(o, text, annotations, logprobs)));
        output.end_part(place, part, out);
        Refusal::Unsaid
    }

    fn close_thought(&mut self, output: &mut Output, out: &mut Vec<u8>) {
        let signature = self.signature.take();
        if self.text.is_empty() && signature.is_none() {
            return;
        }
        self.begin(output, out);
        let Some(place) = &self.place else { return };
        let text = &*self.text;
        if !text.is_empty() {
            output.event(out, "response.reasoning_summary_text.done", |o| {
                place.write_summary(o).str("text", text);
            });
            output.event(out, "response.reasoning_summary_part.done", |o| {
                summary(place.write_summary(o), text);
            });
        }
        let texts = if text.is_empty() { &[][..] } else { &[text][..] };
        let is_redacted = matches!(self.kind, Kind::Thought { is_redacted: true, .. });
        let sealed = signature.as_ref();
        let sealed = sealed.map(|it| if is_redacted { carry::seal_redacted(it) } else { carry::seal(it) });
        let sealed = sealed.as_deref().unwrap_or(carry::UNSIGNED);
        output.done(place.output, |o| item::reasoning(o, &place.item, texts, &[], Some(sealed)), out);
    }

    fn close_call(&mut self, output: &mut Output, out: &mut Vec<u8>) {
        let Kind::Call { kind, .. } = self.kind else { return };
        if self.text.is_empty() {
            self.more(item::arguments(kind, ""), output, out);
        }
        self.begin(output, out);
        let (Some(place), Kind::Call { id, name, .. }) = (&self.place, &self.kind) else { return };
        let arguments = item::arguments(kind, &self.text);
        match kind {
            CallKind::Function if name == namespace::TOOL_SEARCH => {}
            CallKind::Function => output.event(out, "response.function_call_arguments.done", |o| {
                // OpenAI's document and SDK have the name here; its service is seen to leave it out.
                place.write(o).str("arguments", arguments).str("name", namespace::divide(name).1);
            }),
            CallKind::Custom => output.event(out, "response.custom_tool_call_input.done", |o| {
                place.write(o).str("input", arguments);
            }),
        }
        let called = output.called(id, place);
        let call = item::Call { id: &place.item, called: &called, name, kind, arguments };
        // How the answer ends is not known yet; half a call tells it.
        let is_cut = kind == CallKind::Function && object_of(arguments).is_none();
        let status = if is_cut { Status::Incomplete } else { Status::Completed };
        output.done(place.output, |o| call.write(o, status), out);
        // One that came too late to go first.
        if let Some(signature) = self.signature.take() {
            output.sign(&signature, out);
        }
    }
}

fn summary(o: &mut Object<'_>, text: &str) {
    o.object("part", |o| {
        o.str("type", "summary_text").str("text", text);
    });
}
