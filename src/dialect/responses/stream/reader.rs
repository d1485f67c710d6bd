//! An upstream's stream, read.
//!
//! Deltas are what counts. But some servers send whole texts only, in the events that end a part, an
//! item or the answer: whatever was not said before is said then. A reasoning item's last thought stays
//! open until the item ends, as only then it is known what its vendor wants back.

use crate::dialect::hub::{Block, Call, Content, Delta, Event, Stop, Text, Thought};
use crate::dialect::responses::reply::{self, Said};
use crate::dialect::tree::{Node, Wrong};

/// The place of an item that is said at once: no upstream gives it.
const LONE: u64 = u64::MAX;

/// Reads an upstream's stream.
#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    finished: bool,
    /// The number of the next block.
    next: u32,
    /// Blocks of items that have not ended.
    blocks: Vec<Opened>,
    said: Said,
}

/// A block, and what it is in the upstream's stream.
#[derive(Debug)]
struct Opened {
    block: u32,
    /// The item's place in the answer.
    item: u64,
    part: Place,
    /// Something of it was said.
    said: bool,
    citations: usize,
    closed: bool,
}

/// Which part of its item a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A text or a refusal of a message.
    Content(u64),
    Summary(u64),
    /// Reasoning itself.
    Reasoning(u64),
    Call,
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
        match kind {
            "content_part.added" => self.part_added(json, events),
            "output_text.delta" => {
                self.text(json, Place::Content(index(json, "content_index")), Block::Text, events);
            }
            "refusal.delta" => {
                self.text(json, Place::Content(index(json, "content_index")), Block::Refusal, events);
            }
            "reasoning_text.delta" => {
                self.text(
                    json,
                    Place::Reasoning(index(json, "content_index")),
                    thought(json, Kind::Whole),
                    events,
                );
            }
            "reasoning_summary_text.delta" => {
                self.text(
                    json,
                    Place::Summary(index(json, "summary_index")),
                    thought(json, Kind::Summary),
                    events,
                );
            }
            "reasoning_summary_part.added" => {
                self.open(
                    json,
                    Place::Summary(index(json, "summary_index")),
                    thought(json, Kind::Summary),
                    events,
                );
            }
            "output_text.annotation.added" => {
                if let Some(annotation) = json.at("annotation") {
                    let place = Place::Content(index(json, "content_index"));
                    let at = self.open(json, place, Block::Text, events);
                    self.cite(at, annotation, events);
                }
            }
            "output_text.done" | "refusal.done" | "content_part.done" => self.part_done(json, events),
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
                self.arguments(json, json.at("delta"), Saying::More, events);
            }
            "function_call_arguments.done" => self.arguments(json, json.at("arguments"), Saying::All, events),
            "custom_tool_call_input.done" => self.arguments(json, json.at("input"), Saying::All, events),
            "output_item.added" => self.item_added(json, events),
            "output_item.done" => self.item_done(json, events),
            "completed" | "incomplete" | "failed" | "cancelled" => self.ended(json, events),
            _ => {}
        }
        Ok(())
    }

    /// The stream is whole: closes and finishes what is still open.
    pub fn end(&mut self, events: &mut Vec<Event<'_>>) {
        if self.finished {
            return;
        }
        if !self.started {
            self.started = true;
            events.push(Event::Start { id: Text::default(), model: Text::default(), created: 0 });
        }
        let stop = if self.said.call { Stop::Calls } else { Stop::End };
        self.finish(stop, events);
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

    fn finish(&mut self, stop: Stop<'static>, events: &mut Vec<Event<'_>>) {
        self.finished = true;
        for opened in self.blocks.drain(..).filter(|opened| !opened.closed) {
            events.push(Event::Close { choice: 0, block: opened.block });
        }
        events.push(Event::Finish { choice: 0, stop });
    }

    /// Where the block of this part is among those that are open; opens it if it is new.
    fn open<'f>(
        &mut self,
        json: &Node<'f>,
        part: Place,
        kind: Block<'f>,
        events: &mut Vec<Event<'f>>,
    ) -> usize {
        let item = index(json, "output_index");
        if let Some(at) = self.blocks.iter().position(|opened| opened.item == item && opened.part == part) {
            return at;
        }
        // The thought before it has no more to say.
        if matches!(part, Place::Summary(_) | Place::Reasoning(_)) {
            self.close(events, |opened| opened.item == item);
        }
        self.push(item, part, kind, events)
    }

    fn push<'f>(&mut self, item: u64, part: Place, kind: Block<'f>, events: &mut Vec<Event<'f>>) -> usize {
        match &kind {
            Block::Call { .. } => self.said.call = true,
            Block::Refusal => self.said.refusal = true,
            Block::Text | Block::Thought { .. } => {}
        }
        let block = self.next;
        self.next = self.next.saturating_add(1);
        events.push(Event::Open { choice: 0, block, kind });
        self.blocks.push(Opened { block, item, part, said: false, citations: 0, closed: false });
        self.blocks.len() - 1
    }

    fn close(&mut self, events: &mut Vec<Event<'_>>, which: impl Fn(&Opened) -> bool) {
        for opened in self.blocks.iter_mut().filter(|opened| !opened.closed && which(opened)) {
            opened.closed = true;
            events.push(Event::Close { choice: 0, block: opened.block });
        }
    }

    /// More of a block, unless it is over.
    fn say<'f>(&mut self, at: usize, delta: Delta<'f>, events: &mut Vec<Event<'f>>) {
        if let Some(opened) = self.blocks.get_mut(at).filter(|opened| !opened.closed) {
            opened.said = true;
            events.push(Event::Delta { choice: 0, block: opened.block, delta });
        }
    }

    fn text<'f>(&mut self, json: &Node<'f>, part: Place, kind: Block<'f>, events: &mut Vec<Event<'f>>) {
        let at = self.open(json, part, kind, events);
        if let Some(text) = json.at("delta").and_then(Node::text).filter(|text| !text.is_empty()) {
            self.say(at, Delta::Text(text), events);
        }
    }

    fn part_added<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let index = index(json, "content_index");
        match json.at("part").and_then(|part| part.at("type")?.as_str()) {
            Some("output_text") => self.open(json, Place::Content(index), Block::Text, events),
            Some("refusal") => self.open(json, Place::Content(index), Block::Refusal, events),
            Some("reasoning_text") => {
                self.open(json, Place::Reasoning(index), thought(json, Kind::Whole), events)
            }
            _ => return,
        };
    }

    /// The whole part: said now if it was not said before. `text` or `refusal` stand in the event or in
    /// its part.
    fn part_done<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let part = json.at("part").unwrap_or(json);
        let (text, kind) = match (part.at("text"), part.at("refusal")) {
            (Some(text), _) => (text, Block::Text),
            (None, Some(refusal)) => (refusal, Block::Refusal),
            (None, None) => return,
        };
        if part.at("type").and_then(Node::as_str) == Some("reasoning_text") {
            return;
        }
        let at = self.open(json, Place::Content(index(json, "content_index")), kind, events);
        self.complete(at, text, events);
        self.cite_rest(at, part, events);
        // The part is over with the last of its events.
        if json.at("part").is_some() {
            let block = self.blocks.get(at).map(|opened| opened.block);
            self.close(events, |opened| Some(opened.block) == block);
        }
    }

    fn complete<'f>(&mut self, at: usize, text: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let unsaid = self.blocks.get(at).is_some_and(|opened| !opened.said);
        if let Some(text) = text.text().filter(|text| unsaid && !text.is_empty()) {
            self.say(at, Delta::Text(text), events);
        }
    }

    fn cite<'f>(&mut self, at: usize, annotation: &Node<'f>, events: &mut Vec<Event<'f>>) {
        if let Some(opened) = self.blocks.get_mut(at).filter(|opened| !opened.closed) {
            opened.citations += 1;
            events.push(Event::Delta { choice: 0, block: opened.block, delta: citation(annotation) });
        }
    }

    /// Citations that no event has told.
    fn cite_rest<'f>(&mut self, at: usize, part: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let told = self.blocks.get(at).map_or(0, |opened| opened.citations);
        for annotation in part.at("annotations").map(Node::elements).unwrap_or_default().iter().skip(told) {
            self.cite(at, annotation, events);
        }
    }

    fn item_added<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let Some(item) = json.at("item") else { return };
        let text = |key: &str| item.at(key).and_then(Node::text);
        let kind = text("type").unwrap_or_default();
        if matches!(&*kind, "function_call" | "custom_tool_call") {
            let (kind, input) = reply::call_kind(&kind);
            let id = text("call_id").or_else(|| text("id")).unwrap_or_default();
            let name = text("name").unwrap_or_default();
            let at = self.open(json, Place::Call, Block::Call { id, name, kind }, events);
            // Some servers begin with all of them.
            if let Some(arguments) = text(input).filter(|text| !text.is_empty()) {
                self.say(at, Delta::Arguments(arguments), events);
            }
        }
    }

    fn arguments<'f>(
        &mut self,
        json: &Node<'f>,
        said: Option<&Node<'f>>,
        saying: Saying,
        events: &mut Vec<Event<'f>>,
    ) {
        let item = index(json, "output_index");
        let at = self.blocks.iter().position(|opened| opened.item == item && opened.part == Place::Call);
        let (Some(at), Some(text)) = (at, said.and_then(Node::text)) else { return };
        let already = self.blocks.get(at).is_some_and(|opened| opened.said);
        if !text.is_empty() && (saying == Saying::More || !already) {
            self.say(at, Delta::Arguments(text), events);
        }
    }

    /// The whole item: what of it was not said is said now.
    fn item_done<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let Some(item) = json.at("item") else { return };
        let index = index(json, "output_index");
        let begun = self.blocks.iter().any(|opened| opened.item == index);
        if !begun {
            return self.whole(item, events);
        }
        for at in 0..self.blocks.len() {
            let Some(part) = self.blocks.get(at).filter(|opened| opened.item == index) else { continue };
            let (list, number) = match part.part {
                Place::Content(number) | Place::Reasoning(number) => ("content", number),
                Place::Summary(number) => ("summary", number),
                Place::Call => continue,
            };
            let list = item.at(list).map(Node::elements).unwrap_or_default();
            let Some(part) = usize::try_from(number).ok().and_then(|number| list.get(number)) else {
                continue;
            };
            if let Some(text) = part.at("text").or_else(|| part.at("refusal")) {
                self.complete(at, text, events);
                self.cite_rest(at, part, events);
            }
        }
        let call = self.blocks.iter().position(|opened| opened.item == index && opened.part == Place::Call);
        if let (Some(at), Some(text)) = (call, item.at("arguments").or_else(|| item.at("input"))) {
            let unsaid = self.blocks.get(at).is_some_and(|opened| !opened.said);
            if let Some(text) = text.text().filter(|text| unsaid && !text.is_empty()) {
                self.say(at, Delta::Arguments(text), events);
            }
        }
        if let Some(signature) = reply::signature(item) {
            let last = self.blocks.iter().rposition(|opened| {
                opened.item == index && matches!(opened.part, Place::Summary(_) | Place::Reasoning(_))
            });
            if let Some(last) = last {
                self.say(last, Delta::Signature(signature), events);
            }
        }
        self.close(events, |opened| opened.item == index);
        self.blocks.retain(|opened| opened.item != index);
    }

    /// An item of which nothing was said before.
    fn whole<'f>(&mut self, item: &Node<'f>, events: &mut Vec<Event<'f>>) {
        // One part of the item for each part read, in a message at least.
        let mut nodes = item.at("content").map(Node::elements).unwrap_or_default().iter();
        for part in reply::parts(item) {
            let node = nodes.next();
            let Some((kind, deltas)) = block(part.content, events) else { continue };
            let is_text = kind == Block::Text;
            let at = self.push(LONE, Place::Call, kind, events);
            for delta in deltas {
                self.say(at, delta, events);
            }
            if let Some(node) = node.filter(|_| is_text) {
                self.cite_rest(at, node, events);
            }
            self.close(events, |opened| opened.item == LONE);
            self.blocks.retain(|opened| opened.item != LONE);
        }
    }

    /// The answer's end, with all of it once more.
    fn ended<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let Some(response) = json.at("response") else { return };
        if self.next == 0 {
            for item in response.at("output").map(Node::elements).unwrap_or_default() {
                self.whole(item, events);
            }
        }
        if let Some(usage) = reply::usage(response) {
            events.push(Event::Usage(usage));
        }
        self.finish(reply::stop(response, self.said), events);
    }
}

/// Whether a text is a piece, or all there is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Saying {
    More,
    All,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Summary,
    Whole,
}

fn index(json: &Node<'_>, key: &str) -> u64 {
    json.at(key).and_then(Node::as_integer).unwrap_or_default()
}

fn thought<'f>(json: &Node<'f>, kind: Kind) -> Block<'f> {
    let id = json.at("item_id").and_then(Node::text);
    Block::Thought { is_summary: kind == Kind::Summary, is_redacted: false, id }
}

fn citation<'f>(annotation: &Node<'f>) -> Delta<'f> {
    let text = |key: &str| annotation.at(key).and_then(Node::text);
    Delta::Citation { url: text("url"), title: text("title"), raw: annotation.raw() }
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
