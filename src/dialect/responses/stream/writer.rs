//! A caller's stream, written.
//!
//! The events that end a part, an item and the answer repeat all of it, so the texts are kept: each once
//! while its block is open and once, as JSON, in its ended item. That is no more than about twice the
//! answer itself, which the upstream's own limit bounds.
//!
//! A message stays open after its last part has ended: another part may follow, and how the answer ended
//! decides its status. Calls begin with their first arguments: a signature that comes before them has to
//! go first, as a reasoning item of its own.

use crate::dialect::hub::{Block, CallKind, Delta, Event, Family, Manner, Media, Signature, Source, Stop};
use crate::dialect::responses::item::{self, Ending, Head, Refusal, Status};
use crate::dialect::responses::request::MADE_UP;
use crate::dialect::tree::{self, Node};
use crate::dialect::write::{self, Object};
use crate::vocab::Usage;

/// What a stream's first and last responses say of its end before there is one.
const BEGUN: Ending = Ending { status: Status::InProgress, reason: None };

/// Writes a caller's stream. Of several answers the first.
#[derive(Debug)]
pub struct Writer {
    manner: Manner,
    counter: Counter,
    head: Option<Head>,
    /// The ended items, JSON, by their places; empty for one that has not ended.
    items: Vec<String>,
    blocks: Vec<Open>,
    message: Option<Message>,
    refusal: Refusal,
    stop: Stop<'static>,
    usage: Option<Usage>,
}

/// A block that is open.
#[derive(Debug)]
struct Open {
    block: u32,
    kind: Kind,
    /// So far.
    text: String,
    signature: Option<Signature<'static>>,
    /// Its item's place and id, and its place in that: once it has begun.
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
    },
    Call {
        id: String,
        name: String,
        kind: CallKind,
    },
}

#[derive(Clone, Debug)]
struct Place {
    output: usize,
    content: usize,
    item: String,
}

/// The message that may go on.
#[derive(Debug)]
struct Message {
    output: usize,
    id: String,
    /// Its parts, JSON, by their places; empty for those that have not ended.
    parts: Vec<String>,
    /// How many those are.
    open: usize,
}

/// Numbers the events.
#[derive(Debug, Default)]
struct Counter(u64);

impl Counter {
    fn event(&mut self, out: &mut Vec<u8>, name: &str, members: impl FnOnce(&mut Object<'_>)) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        write::object(out, |o| {
            o.str("type", name).number("sequence_number", self.0);
            members(o);
        });
        out.extend_from_slice(b"\n\n");
        self.0 = self.0.saturating_add(1);
    }
}

impl Place {
    /// The members that say where an event belongs.
    fn write<'o, 'b>(&self, o: &'o mut Object<'b>) -> &'o mut Object<'b> {
        o.str("item_id", &self.item).number("output_index", self.output)
    }

    fn write_content<'o, 'b>(&self, o: &'o mut Object<'b>) -> &'o mut Object<'b> {
        self.write(o).number("content_index", self.content)
    }

    /// A thought's only part.
    fn write_summary<'o, 'b>(&self, o: &'o mut Object<'b>) -> &'o mut Object<'b> {
        self.write(o).number("summary_index", 0)
    }
}

impl Writer {
    pub fn new(manner: Manner) -> Self {
        Self {
            manner,
            counter: Counter::default(),
            head: None,
            items: Vec::new(),
            blocks: Vec::new(),
            message: None,
            refusal: Refusal::Unsaid,
            stop: Stop::End,
            usage: None,
        }
    }

    /// The `sequence_number` of the next event.
    pub fn next_sequence(&self) -> u64 {
        self.counter.0
    }

    /// Says one event, appended to `out`.
    pub fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, created } => self.start(id, model, *created, out),
            Event::Open { choice: 0, block, kind } => self.open(*block, kind),
            Event::Delta { choice: 0, block, delta } => self.delta(*block, delta, out),
            Event::Close { choice: 0, block } => self.close(*block, out),
            Event::Finish { choice: 0, stop } => self.stop = stop.clone().into_owned(),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::End => self.end(out),
            Event::Open { .. }
            | Event::Delta { .. }
            | Event::Close { .. }
            | Event::Finish { .. }
            | Event::Vendor { .. } => {}
        }
    }

    fn start(&mut self, id: &str, model: &str, created: u64, out: &mut Vec<u8>) {
        if self.head.is_some() {
            return;
        }
        let head = Head::new(id, model, created, &self.manner);
        let response = head.response(BEGUN, "[]", None);
        for name in ["response.created", "response.in_progress"] {
            self.counter.event(out, name, |o| {
                o.raw("response", &response);
            });
        }
        self.head = Some(head);
    }

    fn open(&mut self, block: u32, kind: &Block<'_>) {
        let kind = match kind {
            Block::Text => Kind::Text { annotations: String::new(), cited: 0, logprobs: String::new() },
            Block::Refusal => Kind::Refusal,
            Block::Thought { id, .. } => Kind::Thought { id: id.as_deref().map(str::to_owned) },
            Block::Call { id, name, kind } => {
                Kind::Call { id: id.clone().into_owned(), name: name.clone().into_owned(), kind: *kind }
            }
        };
        self.blocks.push(Open { block, kind, text: String::new(), signature: None, place: None });
    }

    /// Puts the block aside while something is said of it.
    fn with(&mut self, block: u32, say: impl FnOnce(&mut Self, &mut Open)) {
        let Some(at) = self.blocks.iter().position(|open| open.block == block) else { return };
        let mut open = self.blocks.swap_remove(at);
        say(self, &mut open);
        self.blocks.push(open);
    }

    fn delta(&mut self, block: u32, delta: &Delta<'_>, out: &mut Vec<u8>) {
        self.with(block, |writer, open| match delta {
            Delta::Text(text) | Delta::Arguments(text) => writer.more(open, text, out),
            Delta::Signature(signature) => {
                let Signature { family, value } = signature;
                open.signature =
                    Some(Signature { family: *family, value: value.clone().into_owned().into() });
            }
            Delta::Media(media) => writer.media(media, out),
            Delta::Citation { url, title, raw } => {
                writer.cite(open, url.as_deref(), title.as_deref(), raw, out);
            }
            Delta::Logprobs(raw) => {
                if let Kind::Text { logprobs, .. } = &mut open.kind {
                    add_tokens(logprobs, raw);
                }
            }
        });
    }

    fn more(&mut self, open: &mut Open, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.begin(open, out);
        let Some(place) = &open.place else { return };
        open.text.push_str(text);
        match &open.kind {
            Kind::Text { .. } => self.counter.event(out, "response.output_text.delta", |o| {
                place.write_content(o).str("delta", text).raw("logprobs", "[]");
            }),
            Kind::Refusal => self.counter.event(out, "response.refusal.delta", |o| {
                place.write_content(o).str("delta", text);
            }),
            Kind::Thought { .. } => {
                if open.text.len() == text.len() {
                    self.counter.event(out, "response.reasoning_summary_part.added", |o| {
                        summary(place.write_summary(o), "");
                    });
                }
                self.counter.event(out, "response.reasoning_summary_text.delta", |o| {
                    place.write_summary(o).str("delta", text);
                });
            }
            Kind::Call { kind, .. } => {
                let name = match kind {
                    CallKind::Function => "response.function_call_arguments.delta",
                    CallKind::Custom => "response.custom_tool_call_input.delta",
                };
                self.counter.event(out, name, |o| {
                    place.write(o).str("delta", text);
                });
            }
        }
    }

    /// Gives the block its place, if it has none: its item begins.
    fn begin(&mut self, open: &mut Open, out: &mut Vec<u8>) {
        if open.place.is_some() {
            return;
        }
        let place = match &open.kind {
            Kind::Text { .. } | Kind::Refusal => self.begin_part(open, out),
            Kind::Thought { id } => {
                let place = self.place(MADE_UP, id.as_deref(), out);
                self.added(&place, |o| item::reasoning(o, &place.item, &[], &[], None), out);
                place
            }
            Kind::Call { id, name, kind } => {
                if let Some(signature) = open.signature.take() {
                    self.sign(&signature, out);
                }
                let prefix = match kind {
                    CallKind::Function => "fc_",
                    CallKind::Custom => "ctc_",
                };
                let place = self.place(prefix, None, out);
                let called = self.call_id(id, &place);
                let call = item::Call { id: &place.item, called: &called, name, kind: *kind, arguments: "" };
                self.added(&place, |o| call.write(o, Status::InProgress), out);
                place
            }
        };
        open.place = Some(place);
    }

    /// A part of a message: of the one that is open, or of a new one.
    fn begin_part(&mut self, open: &Open, out: &mut Vec<u8>) -> Place {
        let last = self.items.len();
        if self.message.as_ref().is_some_and(|message| message.open == 0 && message.output + 1 != last) {
            self.end_message(Status::Completed, out);
        }
        let place = if let Some(message) = &mut self.message {
            message.parts.push(String::new());
            message.open += 1;
            Place { output: message.output, content: message.parts.len() - 1, item: message.id.clone() }
        } else {
            let place = self.place("msg_", None, out);
            self.added(&place, |o| item::message(o, &place.item, Status::InProgress, "[]"), out);
            let (output, id) = (place.output, place.item.clone());
            self.message = Some(Message { output, id, parts: vec![String::new()], open: 1 });
            place
        };
        self.counter.event(out, "response.content_part.added", |o| {
            place.write_content(o).object("part", |o| match open.kind {
                Kind::Refusal => item::refusal(o, ""),
                Kind::Text { .. } | Kind::Thought { .. } | Kind::Call { .. } => item::text(o, "", "", ""),
            });
        });
        place
    }

    /// A new item's place. What is said next is no part of the message before it.
    fn place(&mut self, prefix: &str, id: Option<&str>, out: &mut Vec<u8>) -> Place {
        if self.message.as_ref().is_some_and(|message| message.open == 0) {
            self.end_message(Status::Completed, out);
        }
        let output = self.items.len();
        self.items.push(String::new());
        let item = id.map_or_else(|| item::id(prefix, &self.manner.nonce, output), str::to_owned);
        Place { output, content: 0, item }
    }

    fn call_id(&self, id: &str, place: &Place) -> String {
        if id.is_empty() { format!("call_{}_{}", self.manner.nonce, place.output) } else { id.to_owned() }
    }

    fn added(&mut self, place: &Place, members: impl FnOnce(&mut Object<'_>), out: &mut Vec<u8>) {
        self.counter.event(out, "response.output_item.added", |o| {
            o.number("output_index", place.output).object("item", members);
        });
    }

    fn done(&mut self, output: usize, members: impl FnOnce(&mut Object<'_>), out: &mut Vec<u8>) {
        let item = write::text(|out| write::object(out, members));
        self.counter.event(out, "response.output_item.done", |o| {
            o.number("output_index", output).raw("item", &item);
        });
        if let Some(slot) = self.items.get_mut(output) {
            *slot = item;
        }
    }

    /// A reasoning item that only carries a signature.
    fn sign(&mut self, signature: &Signature<'_>, out: &mut Vec<u8>) {
        let place = self.place(MADE_UP, None, out);
        self.added(&place, |o| item::reasoning(o, &place.item, &[], &[], None), out);
        let sealed = signature.seal(Family::OpenAi);
        self.done(place.output, |o| item::reasoning(o, &place.item, &[], &[], Some(&sealed)), out);
    }

    fn media(&mut self, media: &Media<'_>, out: &mut Vec<u8>) {
        // There is no place for others.
        let Source::Base64(data) = &media.source else { return };
        let is_image = media.mime.as_deref().is_none_or(|mime| mime.starts_with("image/"));
        if !is_image {
            return;
        }
        let place = self.place("ig_", None, out);
        let members = |o: &mut Object<'_>| item::image(o, &place.item, data, media.mime.as_deref());
        self.added(
            &place,
            |o| {
                o.str("id", &place.item).str("type", "image_generation_call");
                o.str("status", Status::InProgress.name()).null("result");
            },
            out,
        );
        self.done(place.output, members, out);
    }

    fn cite(
        &mut self,
        open: &mut Open,
        url: Option<&str>,
        title: Option<&str>,
        raw: &str,
        out: &mut Vec<u8>,
    ) {
        self.begin(open, out);
        let Some(place) = &open.place else { return };
        let length = open.text.chars().count();
        let Kind::Text { annotations, cited, .. } = &mut open.kind else { return };
        let Some(annotation) = annotation(url, title, raw, length) else { return };
        self.counter.event(out, "response.output_text.annotation.added", |o| {
            place.write_content(o).number("annotation_index", *cited).raw("annotation", &annotation);
        });
        *cited += 1;
        if !annotations.is_empty() {
            annotations.push(',');
        }
        annotations.push_str(&annotation);
    }

    fn close(&mut self, block: u32, out: &mut Vec<u8>) {
        self.with(block, |writer, open| writer.close_open(open, out));
        self.blocks.retain(|open| open.block != block);
    }

    fn close_open(&mut self, open: &mut Open, out: &mut Vec<u8>) {
        match &open.kind {
            Kind::Text { .. } | Kind::Refusal => self.close_part(open, out),
            Kind::Thought { .. } => self.close_thought(open, out),
            Kind::Call { .. } => self.close_call(open, out),
        }
    }

    fn close_part(&mut self, open: &Open, out: &mut Vec<u8>) {
        // Nothing was said, or only what is an item by itself.
        let Some(place) = &open.place else { return };
        let text = &*open.text;
        let part = match &open.kind {
            Kind::Text { annotations, logprobs, .. } => {
                self.counter.event(out, "response.output_text.done", |o| {
                    place.write_content(o).str("text", text).array("logprobs", |array| {
                        if !logprobs.is_empty() {
                            array.raw(logprobs);
                        }
                    });
                });
                write::text(|out| write::object(out, |o| item::text(o, text, annotations, logprobs)))
            }
            Kind::Refusal | Kind::Thought { .. } | Kind::Call { .. } => {
                self.refusal = Refusal::Said;
                self.counter.event(out, "response.refusal.done", |o| {
                    place.write_content(o).str("refusal", text);
                });
                write::text(|out| write::object(out, |o| item::refusal(o, text)))
            }
        };
        self.counter.event(out, "response.content_part.done", |o| {
            place.write_content(o).raw("part", &part);
        });
        if let Some(message) = self.message.as_mut().filter(|message| message.output == place.output) {
            message.open = message.open.saturating_sub(1);
            if let Some(slot) = message.parts.get_mut(place.content) {
                *slot = part;
            }
        }
    }

    fn close_thought(&mut self, open: &mut Open, out: &mut Vec<u8>) {
        let signature = open.signature.take();
        if open.text.is_empty() && signature.is_none() {
            return;
        }
        self.begin(open, out);
        let Some(place) = &open.place else { return };
        let text = &*open.text;
        if !text.is_empty() {
            self.counter.event(out, "response.reasoning_summary_text.done", |o| {
                place.write_summary(o).str("text", text);
            });
            self.counter.event(out, "response.reasoning_summary_part.done", |o| {
                summary(place.write_summary(o), text);
            });
        }
        let texts = if text.is_empty() { &[][..] } else { &[text][..] };
        let sealed = signature.as_ref().map(|signature| signature.seal(Family::OpenAi));
        self.done(place.output, |o| item::reasoning(o, &place.item, texts, &[], sealed.as_deref()), out);
    }

    fn close_call(&mut self, open: &mut Open, out: &mut Vec<u8>) {
        let Kind::Call { kind, .. } = &open.kind else { return };
        let kind = *kind;
        if open.text.is_empty() {
            let whole = item::arguments(kind, "");
            self.more(open, whole, out);
        }
        self.begin(open, out);
        let Some(place) = &open.place else { return };
        let Kind::Call { id, name, .. } = &open.kind else { return };
        let arguments = item::arguments(kind, &open.text);
        match kind {
            CallKind::Function => self.counter.event(out, "response.function_call_arguments.done", |o| {
                place.write(o).str("arguments", arguments);
            }),
            CallKind::Custom => self.counter.event(out, "response.custom_tool_call_input.done", |o| {
                place.write(o).str("input", arguments);
            }),
        }
        let called = self.call_id(id, place);
        let call = item::Call { id: &place.item, called: &called, name, kind, arguments };
        self.done(place.output, |o| call.write(o, Status::Completed), out);
        // One that came too late to go first.
        if let Some(signature) = open.signature.take() {
            self.sign(&signature, out);
        }
    }

    fn end_message(&mut self, status: Status, out: &mut Vec<u8>) {
        let Some(message) = self.message.take() else { return };
        let content = format!("[{}]", message.parts.join(","));
        self.done(message.output, |o| item::message(o, &message.id, status, &content), out);
    }

    /// The answer is whole.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.start("", "", 0, out);
        for mut open in std::mem::take(&mut self.blocks) {
            self.close_open(&mut open, out);
        }
        let ending = Ending::of(&self.stop, self.refusal);
        let is_last = self.message.as_ref().is_some_and(|message| message.output + 1 == self.items.len());
        self.end_message(if is_last { ending.last_item() } else { Status::Completed }, out);
        let name = match ending.status {
            Status::Completed | Status::InProgress => "response.completed",
            Status::Incomplete => "response.incomplete",
            Status::Failed => "response.failed",
        };
        let items: Vec<&str> =
            self.items.iter().map(String::as_str).filter(|item| !item.is_empty()).collect();
        let output = format!("[{}]", items.join(","));
        let response = self.head.as_ref().map(|head| head.response(ending, &output, self.usage));
        self.counter.event(out, name, |o| {
            o.raw_if("response", response.as_deref());
        });
    }
}

fn summary(o: &mut Object<'_>, text: &str) {
    o.object("part", |o| {
        o.str("type", "summary_text").str("text", text);
    });
}

/// Chat's form -> the items of ours.
fn add_tokens(logprobs: &mut String, raw: &str) {
    let root = tree::parse(raw.as_bytes()).ok();
    let content = root.as_ref().and_then(|root| root.at("content")).map(Node::elements).unwrap_or_default();
    for token in content {
        if !logprobs.is_empty() {
            logprobs.push(',');
        }
        logprobs.push_str(token.raw());
    }
}

/// A citation in this dialect's words; as it is, if it was said in them. It covers the part's text so
/// far: others do not say where it begins.
fn annotation(url: Option<&str>, title: Option<&str>, raw: &str, length: usize) -> Option<String> {
    let root = tree::parse(raw.as_bytes()).ok();
    let kind = root.as_ref().and_then(|root| root.at("type")?.as_str());
    let whole =
        root.as_ref().is_some_and(|root| root.at("start_index").is_some() || root.at("index").is_some());
    if whole
        && matches!(kind, Some("url_citation" | "file_citation" | "container_file_citation" | "file_path"))
    {
        return Some(raw.to_owned());
    }
    let url = url?;
    Some(write::text(|out| {
        write::object(out, |o| {
            o.str("type", "url_citation").number("start_index", 0).number("end_index", length);
            o.str("url", url).str("title", title.unwrap_or(url));
        });
    }))
}
