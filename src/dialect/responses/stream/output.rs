//! The items of an answer that is being streamed to a caller: their places, ids and ends.
//!
//! A message stays open after its last part has ended: another part may follow, and how the answer ended
//! decides its status.

use crate::dialect::hub::{Media, Signature, Source};
use crate::dialect::responses::carry;
use crate::dialect::responses::item::{self, Refusal, Status};
use crate::dialect::responses::request::MADE_UP;
use crate::dialect::write::{self, Object};

#[derive(Debug)]
pub struct Output {
    /// Makes the items' ids.
    nonce: String,
    /// The `sequence_number` of the next event.
    pub next_sequence: u64,
    /// The ended items, JSON, by their places; empty for those that have not ended.
    pub(super) items: Vec<String>,
    pub(super) message: Option<Message>,
}

/// Where an event belongs: its item, and its part of that.
#[derive(Debug)]
pub struct Place {
    pub output: usize,
    pub content: usize,
    pub item: String,
}

/// The message that may go on.
#[derive(Debug)]
pub(super) struct Message {
    pub output: usize,
    pub id: String,
    /// Its parts, JSON, by their places; empty for those that have not ended.
    pub parts: Vec<String>,
    /// How many those are.
    pub open: usize,
}

impl Place {
    /// The members that say where an event belongs.
    pub fn write<'o, 'b>(&self, o: &'o mut Object<'b>) -> &'o mut Object<'b> {
        o.str("item_id", &self.item).number("output_index", self.output)
    }

    pub fn write_content<'o, 'b>(&self, o: &'o mut Object<'b>) -> &'o mut Object<'b> {
        self.write(o).number("content_index", self.content)
    }

    /// Each thought is an item with one part.
    pub fn write_summary<'o, 'b>(&self, o: &'o mut Object<'b>) -> &'o mut Object<'b> {
        self.write(o).number("summary_index", 0)
    }
}

impl Output {
    pub fn new(nonce: String) -> Self {
        Self { nonce, next_sequence: 0, items: Vec::new(), message: None }
    }

    pub fn event(&mut self, out: &mut Vec<u8>, name: &str, members: impl FnOnce(&mut Object<'_>)) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        write::line(out, |o| {
            o.str("type", name).number("sequence_number", self.next_sequence);
            members(o);
        });
        out.extend_from_slice(b"\n\n");
        self.next_sequence = self.next_sequence.saturating_add(1);
    }

    /// A new item's place; its id is made up if there is none. What is said next is no part of the
    /// message before it.
    pub fn place(&mut self, prefix: &str, id: Option<&str>, out: &mut Vec<u8>) -> Place {
        if self.message.as_ref().is_some_and(|message| message.open == 0) {
            self.end_message(Status::Completed, out);
        }
        let output = self.items.len();
        self.items.push(String::new());
        let item = id.map_or_else(|| item::id(prefix, &self.nonce, output), str::to_owned);
        Place { output, content: 0, item }
    }

    /// The call's id, as its result will name it.
    pub fn called(&self, id: &str, place: &Place) -> String {
        if id.is_empty() { format!("call_{}_{}", self.nonce, place.output) } else { id.to_owned() }
    }

    pub fn added(&mut self, place: &Place, members: impl FnOnce(&mut Object<'_>), out: &mut Vec<u8>) {
        self.event(out, "response.output_item.added", |o| {
            o.number("output_index", place.output).object("item", members);
        });
    }

    pub fn done(&mut self, output: usize, members: impl FnOnce(&mut Object<'_>), out: &mut Vec<u8>) {
        let item = write::text(|out| write::object(out, members));
        self.done_as(output, item, out);
    }

    /// The end of an item; `item` is all of it, JSON.
    pub fn done_as(&mut self, output: usize, item: String, out: &mut Vec<u8>) {
        self.event(out, "response.output_item.done", |o| {
            o.number("output_index", output).raw("item", &item);
        });
        if let Some(slot) = self.items.get_mut(output) {
            *slot = item;
        }
    }

    /// A reasoning item that only carries a signature.
    pub fn sign(&mut self, signature: &Signature<'_>, out: &mut Vec<u8>) {
        let place = self.place(MADE_UP, None, out);
        self.added(&place, |o| item::reasoning(o, &place.item, &[], &[], None), out);
        let sealed = carry::seal(signature);
        self.done(place.output, |o| item::reasoning(o, &place.item, &[], &[], Some(&sealed)), out);
    }

    /// A picture is an item of its own; there is no place for other media.
    pub fn picture(&mut self, media: &Media<'_>, out: &mut Vec<u8>) {
        let Source::Base64(data) = &media.source else { return };
        if !media.mime.as_deref().is_none_or(|mime| mime.starts_with("image/")) {
            return;
        }
        let place = self.place("ig_", None, out);
        let begun = |o: &mut Object<'_>| {
            o.str("id", &place.item).str("type", "image_generation_call");
            o.str("status", Status::InProgress.name()).null("result");
        };
        self.added(&place, begun, out);
        self.done(place.output, |o| item::image(o, &place.item, data, media.mime.as_deref()), out);
    }

    /// A part of a message: of the last item if that is one, or of a new one.
    pub fn begin_part(&mut self, refusal: Refusal, out: &mut Vec<u8>) -> Place {
        let end = self.items.len();
        if self.message.as_ref().is_some_and(|message| message.open == 0 && message.output + 1 != end) {
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
        self.event(out, "response.content_part.added", |o| {
            place.write_content(o).object("part", |o| match refusal {
                Refusal::Said => item::refusal(o, ""),
                Refusal::Unsaid => item::text(o, "", "", ""),
            });
        });
        place
    }

    /// The end of a part of a message; `part` is all of it, JSON.
    pub fn end_part(&mut self, place: &Place, part: String, out: &mut Vec<u8>) {
        self.event(out, "response.content_part.done", |o| {
            place.write_content(o).raw("part", &part);
        });
        if let Some(message) = self.message.as_mut().filter(|message| message.output == place.output) {
            message.open = message.open.saturating_sub(1);
            if let Some(slot) = message.parts.get_mut(place.content) {
                *slot = part;
            }
        }
    }

    fn end_message(&mut self, status: Status, out: &mut Vec<u8>) {
        let Some(message) = self.message.take() else { return };
        let content = format!("[{}]", message.parts.join(","));
        self.done(message.output, |o| item::message(o, &message.id, status, &content), out);
    }

    /// The end of all: the items that have ended, a JSON array. `last` is the status of the last one, if
    /// that is a message.
    pub fn end(&mut self, last: Status, out: &mut Vec<u8>) -> String {
        let is_last = self.message.as_ref().is_some_and(|message| message.output + 1 == self.items.len());
        self.end_message(if is_last { last } else { Status::Completed }, out);
        let items: Vec<&str> =
            self.items.iter().map(String::as_str).filter(|item| !item.is_empty()).collect();
        format!("[{}]", items.join(","))
    }
}
