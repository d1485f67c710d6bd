//! Follows a stream that passes to a caller as it is, so that another hand can write its rest.
//!
//! Every item and every part of this dialect has an id and a place, and the last event repeats all of it. So
//! what an upstream has said of them is kept as it said it: ended items and parts as JSON, the ids of those
//! that are open. The open part's text is kept elsewhere, with the caller's other text.

use super::open::Open;
use super::output::{Message, Output, Place};
use super::writer::Writer;
use crate::dialect::hub::{Block, Manner};
use crate::dialect::responses::item::Head;
use crate::dialect::tree::Node;

/// Bytes of ended items and parts that are kept for one stream: texts, and reasoning that is encrypted.
const MOST_KEPT: usize = 1024 * 1024;
/// Items of an answer, and parts of an item.
const MOST_PLACES: usize = 1024;

#[derive(Debug, Default)]
pub struct Follower {
    begun: Option<Begun>,
    next_sequence: u64,
    items: Vec<Item>,
    kept: usize,
    lost: bool,
}

#[derive(Debug)]
struct Begun {
    id: String,
    model: String,
    created: u64,
}

#[derive(Debug, Default)]
struct Item {
    id: String,
    is_message: bool,
    /// As it was added, until it is done; then all of it.
    json: String,
    is_done: bool,
    /// A message's parts, JSON; empty while they are open.
    parts: Vec<String>,
}

impl Follower {
    /// Takes an event that the caller was sent.
    pub fn follow(&mut self, event: &Node<'_>) {
        if let Some(number) = event.at("sequence_number").and_then(Node::as_integer) {
            self.next_sequence = number.saturating_add(1);
        }
        match event.at("type").and_then(Node::as_str).unwrap_or_default() {
            "response.created" | "response.in_progress" if self.begun.is_none() => {
                self.begun = event.at("response").map(|response| {
                    let text =
                        |key: &str| response.at(key).and_then(Node::text).unwrap_or_default().into_owned();
                    let created = response.at("created_at").and_then(Node::as_number).unwrap_or(0.0);
                    Begun { id: text("id"), model: text("model"), created: created as u64 }
                });
            }
            "response.output_item.added" => self.item(event, Progress::Added),
            "response.output_item.done" => self.item(event, Progress::Done),
            "response.content_part.added" => self.part(event, Progress::Added),
            "response.content_part.done" => self.part(event, Progress::Done),
            _ => {}
        }
    }

    /// The `sequence_number` of the event that comes next.
    pub const fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    fn item(&mut self, event: &Node<'_>, progress: Progress) {
        let (Some(place), Some(json)) = (index(event, "output_index"), event.at("item")) else { return };
        if let Some(item) = self.place(place) {
            let text = |key: &str| json.at(key).and_then(Node::text).unwrap_or_default().into_owned();
            item.id = text("id");
            item.is_message = text("type") == "message";
            json.raw().clone_into(&mut item.json);
            item.is_done = progress == Progress::Done;
        }
        self.weigh(json.raw().len());
    }

    fn part(&mut self, event: &Node<'_>, progress: Progress) {
        let places = index(event, "output_index").zip(index(event, "content_index"));
        let Some((place, content)) = places.filter(|(_, content)| *content < MOST_PLACES) else { return };
        let raw = match progress {
            Progress::Added => "",
            Progress::Done => event.at("part").map_or("", Node::raw),
        };
        if let Some(item) = self.place(place) {
            if item.parts.len() <= content {
                item.parts.resize(content + 1, String::new());
            }
            if let Some(slot) = item.parts.get_mut(content) {
                raw.clone_into(slot);
            }
        }
        self.weigh(raw.len());
    }

    fn place(&mut self, place: usize) -> Option<&mut Item> {
        if place >= MOST_PLACES {
            self.lost = true;
            return None;
        }
        if self.items.len() <= place {
            self.items.resize_with(place + 1, Item::default);
        }
        self.items.get_mut(place)
    }

    fn weigh(&mut self, bytes: usize) {
        self.kept += bytes;
        if self.kept > MOST_KEPT {
            self.lost = true;
            self.items = Vec::new();
        }
    }

    /// The writer of the rest. `open` is the block of text that the caller is in the middle of, by the number
    /// that the stream's events give it, and its text so far. `None` where too little is known. What has to
    /// be said first, if anything, goes to `out`.
    pub fn writer(self, manner: Manner, open: Option<(u32, &str)>, out: &mut Vec<u8>) -> Option<Writer> {
        let begun = self.begun.filter(|_| !self.lost)?;
        let mut head = Head::new(&begun.id, &begun.model, begun.created, &manner);
        if !begun.id.is_empty() {
            // Wherever it will be remembered, the caller knows it by this name.
            head.id = begun.id;
        }
        let mut output = Output::new(manner.nonce.clone());
        output.next_sequence = self.next_sequence;
        let mut writer = Writer::new(manner);
        let mut open = open;
        for (place, item) in self.items.into_iter().enumerate() {
            output.items.push(if item.is_done { item.json.clone() } else { String::new() });
            if item.is_done || item.json.is_empty() {
                continue;
            }
            if !item.is_message {
                // Reasoning that broke off: it ends as it began.
                output.done_as(place, item.json, out);
                continue;
            }
            let content = item.parts.iter().rposition(String::is_empty);
            let pending = content.zip(open.take());
            if let Some((content, (block, text))) = pending {
                let place = Place { output: place, content, item: item.id.clone() };
                writer.blocks.push(Open::resumed(block, &Block::Text, text, place));
            }
            output.message = Some(Message {
                output: place,
                id: item.id,
                parts: item.parts,
                open: usize::from(pending.is_some()),
            });
        }
        writer.head = Some(head);
        writer.output = output;
        // A text that has no place here would be said twice.
        open.is_none().then_some(writer)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Added,
    Done,
}

fn index(event: &Node<'_>, key: &str) -> Option<usize> {
    event.at(key).and_then(Node::as_integer).and_then(|number| usize::try_from(number).ok())
}
