//! An upstream's stream, read.
//!
//! Deltas are what counts. But some servers send whole texts only, in the events that end a part, an
//! item or the answer: whatever was not said before is said then. A reasoning item's last thought stays
//! open until the item ends, as only then it is known what its vendor wants back.

use super::blocks::{Blocks, Part};
use crate::dialect::hub::{Block, Call, Content, Delta, Event, Stop, Text, Thought};
use crate::dialect::responses::reply;
use crate::dialect::tree::{Node, Wrong};

/// The place of an item that is said at once: no upstream gives it.
const LONE: u64 = u64::MAX;

/// Reads an upstream's stream.
#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    finished: bool,
    blocks: Blocks,
}

impl Reader {
    /// What one frame means, appended to `events`. `name` is the frame's event, where it has one.
    pub fn read<'f>(
        &mut self,
        name: Option<&str>,
        json: &Node<'f>,
        events: &mut Vec<Event<'f>>,
    ) -> Result<(), Wrong> {
        json.object()?;
        let kind = json.at("type").and_then(Node::as_str).or(name).unwrap_or_default();
        let Some(kind) = kind.strip_prefix("response.").filter(|_| !self.finished) else { return Ok(()) };
        self.start(json, events);
        let content = || Part::Content(index(json, "content_index"));
        let reasoning = || Part::Reasoning(index(json, "content_index"));
        let summary = || Part::Summary(index(json, "summary_index"));
        match kind {
            "output_text.delta" => {
                let at = self.text(json, content(), events);
                self.blocks.weigh(at, json, events);
            }
            "refusal.delta" => self.refusal(json, events),
            "reasoning_text.delta" => {
                self.text(json, reasoning(), events);
            }
            "reasoning_summary_text.delta" => {
                self.text(json, summary(), events);
            }
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => self.arguments(json, events),
            "output_item.added" => self.item_added(json, events),
            "content_part.added" => self.part_added(json, events),
            "reasoning_summary_part.added" => {
                self.open(json, summary(), events);
            }
            "output_text.annotation.added" => {
                if let Some(annotation) = json.at("annotation") {
                    let at = self.open(json, content(), events);
                    self.blocks.cite(at, annotation, events);
                }
            }
            "output_text.done" | "refusal.done" | "content_part.done" => self.part_done(json, events),
            "output_item.done" => self.item_done(json, events),
            "completed" | "incomplete" | "failed" | "cancelled" => self.ended(json, events),
            // What is left repeats what was said, or tells how a tool of the vendor's is getting on.
            _ => {}
        }
        Ok(())
    }

    /// The stream is whole: closes and finishes what is still open.
    pub fn end(&mut self, events: &mut Vec<Event<'_>>) {
        if !std::mem::replace(&mut self.started, true) {
            events.push(Event::Start { id: Text::default(), model: Text::default(), created: 0 });
        }
        if !std::mem::replace(&mut self.finished, true) {
            let stop = if self.blocks.said.call { Stop::Calls } else { Stop::End };
            self.blocks.finish(stop, events);
        }
    }

    fn start<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let response = json.at("response");
        let text = |key: &str| response.and_then(|it| it.at(key)?.text()).unwrap_or_default();
        let created = response.and_then(|it| it.at("created_at")?.as_number()).filter(|at| *at >= 1.0);
        let created = created.map_or(0, |at| at as u64);
        events.push(Event::Start { id: text("id"), model: text("model"), created });
    }

    /// The block of a text or a thought.
    fn open<'f>(&mut self, json: &Node<'f>, part: Part, events: &mut Vec<Event<'f>>) -> usize {
        let kind = || {
            let is_summary = match part {
                Part::Content(_) | Part::Whole => return Block::Text,
                Part::Summary(_) => true,
                Part::Reasoning(_) => false,
            };
            Block::Thought { is_summary, is_redacted: false, id: json.at("item_id").and_then(Node::text) }
        };
        self.blocks.open(index(json, "output_index"), part, kind, events)
    }

    fn open_refusal<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) -> usize {
        let part = Part::Content(index(json, "content_index"));
        self.blocks.open(index(json, "output_index"), part, || Block::Refusal, events)
    }

    fn text<'f>(&mut self, json: &Node<'f>, part: Part, events: &mut Vec<Event<'f>>) -> usize {
        let at = self.open(json, part, events);
        if let Some(text) = said(json.at("delta")) {
            self.blocks.say(at, Delta::Text(text), events);
        }
        at
    }

    fn refusal<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let at = self.open_refusal(json, events);
        if let Some(text) = said(json.at("delta")) {
            self.blocks.say(at, Delta::Text(text), events);
        }
    }

    fn arguments<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let known = self.blocks.find(index(json, "output_index"), Part::Whole);
        if let (Some(at), Some(text)) = (known, said(json.at("delta"))) {
            self.blocks.say(at, Delta::Arguments(text), events);
        }
    }

    fn part_added<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let number = index(json, "content_index");
        match json.at("part").and_then(|part| part.at("type")?.as_str()) {
            Some("output_text") => self.open(json, Part::Content(number), events),
            Some("refusal") => self.open_refusal(json, events),
            Some("reasoning_text") => self.open(json, Part::Reasoning(number), events),
            _ => return,
        };
    }

    /// A part of a message, whole: `text` or `refusal` stand in the event or in its part.
    fn part_done<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let part = json.at("part").unwrap_or(json);
        if part.at("type").and_then(Node::as_str) == Some("reasoning_text") {
            return;
        }
        let (at, text) = match (part.at("text"), part.at("refusal")) {
            (Some(text), _) => {
                (self.open(json, Part::Content(index(json, "content_index")), events), said(Some(text)))
            }
            (None, Some(refusal)) => (self.open_refusal(json, events), said(Some(refusal))),
            (None, None) => return,
        };
        if let Some(text) = text {
            self.blocks.say_all(at, Delta::Text(text), events);
        }
        self.blocks.decorate(at, part, events);
        // The last of a part's events.
        if json.at("part").is_some() {
            self.blocks.close(at, events);
        }
    }

    fn item_added<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let Some(item) = json.at("item") else { return };
        let text = |key: &str| item.at(key).and_then(Node::text);
        let kind = text("type").unwrap_or_default();
        if !matches!(&*kind, "function_call" | "custom_tool_call") {
            return;
        }
        let (kind, input) = reply::call_kind(&kind);
        let call = || {
            let id = text("call_id").or_else(|| text("id")).unwrap_or_default();
            Block::Call { id, name: text("name").unwrap_or_default(), kind }
        };
        let at = self.blocks.open(index(json, "output_index"), Part::Whole, call, events);
        // Some servers begin with all of them.
        if let Some(arguments) = said(item.at(input)) {
            self.blocks.say(at, Delta::Arguments(arguments), events);
        }
    }

    /// The whole item: what of it was not said is said now.
    fn item_done<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let Some(item) = json.at("item") else { return };
        let place = index(json, "output_index");
        let parts = self.blocks.parts_of(place);
        if parts.is_empty() {
            return self.whole(item, events);
        }
        for (at, part) in parts {
            let (list, number) = match part {
                Part::Content(number) | Part::Reasoning(number) => ("content", number),
                Part::Summary(number) => ("summary", number),
                Part::Whole => {
                    if let Some(text) = said(item.at("arguments").or_else(|| item.at("input"))) {
                        self.blocks.say_all(at, Delta::Arguments(text), events);
                    }
                    continue;
                }
            };
            let list = item.at(list).map(Node::elements).unwrap_or_default();
            let Some(part) = usize::try_from(number).ok().and_then(|number| list.get(number)) else {
                continue;
            };
            if let Some(text) = said(part.at("text").or_else(|| part.at("refusal"))) {
                self.blocks.say_all(at, Delta::Text(text), events);
            }
            self.blocks.decorate(at, part, events);
        }
        if let (Some(last), Some(carried)) = (self.blocks.last_thought(place), reply::signature(item)) {
            self.blocks.say(last, Delta::Signature(carried.signature), events);
        }
        self.blocks.forget(place, events);
    }

    /// An item of which nothing was said before.
    fn whole<'f>(&mut self, item: &Node<'f>, events: &mut Vec<Event<'f>>) {
        // One part of the item for each part read, in a message at least.
        let mut nodes = item.at("content").map(Node::elements).unwrap_or_default().iter();
        for part in reply::parts(item) {
            let node = nodes.next();
            let Some((kind, deltas)) = block(part.content, events) else { continue };
            let is_text = kind == Block::Text;
            let at = self.blocks.open(LONE, Part::Whole, || kind, events);
            for delta in deltas {
                self.blocks.say(at, delta, events);
            }
            if let Some(node) = node.filter(|_| is_text) {
                self.blocks.decorate(at, node, events);
            }
            self.blocks.forget(LONE, events);
        }
    }

    /// The answer's end, with all of it once more.
    fn ended<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let Some(response) = json.at("response") else { return };
        if self.blocks.is_empty() {
            for item in response.at("output").map(Node::elements).unwrap_or_default() {
                self.whole(item, events);
            }
        }
        if let Some(usage) = reply::usage(response) {
            events.push(Event::Usage(usage));
        }
        self.finished = true;
        self.blocks.finish(reply::stop(response, self.blocks.said), events);
    }
}

fn index(json: &Node<'_>, key: &str) -> u64 {
    json.at(key).and_then(Node::as_integer).unwrap_or_default()
}

/// A text, if it says anything.
fn said<'f>(text: Option<&Node<'f>>) -> Option<Text<'f>> {
    text.and_then(Node::text).filter(|text| !text.is_empty())
}

/// A part as a block and its deltas; what only this dialect knows goes to `events` at once.
fn block<'f>(content: Content<'f>, events: &mut Vec<Event<'f>>) -> Option<(Block<'f>, Vec<Delta<'f>>)> {
    let text = |text: Text<'f>| if text.is_empty() { Vec::new() } else { vec![Delta::Text(text)] };
    Some(match content {
        Content::Text(said) => (Block::Text, text(said)),
        Content::Refusal(said) => (Block::Refusal, text(said)),
        Content::Thought(Thought { text: said, is_summary, signature, is_redacted, id }) => {
            let mut deltas = text(said);
            deltas.extend(signature.map(Delta::Signature));
            (Block::Thought { is_summary, is_redacted, id }, deltas)
        }
        Content::Call(Call { id, name, arguments, kind, .. }) => {
            let deltas = if arguments.is_empty() { Vec::new() } else { vec![Delta::Arguments(arguments)] };
            (Block::Call { id, name, kind }, deltas)
        }
        Content::Image(media) | Content::Audio(media) => (Block::Text, vec![Delta::Media(media)]),
        Content::Vendor { kind, raw } => {
            events.push(Event::Vendor { kind, raw });
            return None;
        }
        Content::Video(_) | Content::File(_) | Content::Outcome(_) => return None,
    })
}
