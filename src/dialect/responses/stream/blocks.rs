//! The blocks of an upstream's stream: which are open, and what was said of them.

use crate::dialect::hub::{Block, Delta, Event, Stop};
use crate::dialect::responses::reply::{self, Said};
use crate::dialect::tree::Node;

#[derive(Debug, Default)]
pub struct Blocks {
    /// The number of the next block.
    next: u32,
    /// Those of items that have not ended.
    known: Vec<Known>,
    pub said: Said,
}

/// A block, and what it is in the upstream's stream.
#[derive(Debug)]
struct Known {
    block: u32,
    /// The item's place in the answer.
    item: u64,
    part: Part,
    /// Something of it was said.
    said: bool,
    citations: usize,
    /// Probabilities of its tokens were told.
    weighed: bool,
    closed: bool,
}

/// Which part of its item a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A text or a refusal of a message.
    Content(u64),
    Summary(u64),
    /// Reasoning itself.
    Reasoning(u64),
    /// A call, or an item that is said at once.
    Whole,
}

impl Blocks {
    /// Nothing was said so far.
    pub fn is_empty(&self) -> bool {
        self.next == 0
    }

    pub fn find(&self, item: u64, part: Part) -> Option<usize> {
        self.known.iter().position(|known| known.item == item && known.part == part)
    }

    /// The parts of an item that have blocks, with their places here.
    pub fn parts_of(&self, item: u64) -> Vec<(usize, Part)> {
        let all = self.known.iter().enumerate().filter(|(_, known)| known.item == item);
        all.map(|(at, known)| (at, known.part)).collect()
    }

    /// The last thought of an item.
    pub fn last_thought(&self, item: u64) -> Option<usize> {
        let is_thought = |part| matches!(part, Part::Summary(_) | Part::Reasoning(_));
        self.known.iter().rposition(|known| known.item == item && is_thought(known.part))
    }

    /// Where the block of this part is; opens it if it is new.
    pub fn open<'f>(
        &mut self,
        item: u64,
        part: Part,
        kind: impl FnOnce() -> Block<'f>,
        events: &mut Vec<Event<'f>>,
    ) -> usize {
        if let Some(at) = self.find(item, part) {
            return at;
        }
        // The thought before it has no more to say.
        if let (Part::Summary(_) | Part::Reasoning(_), Some(last)) = (part, self.last_thought(item)) {
            self.close(last, events);
        }
        let kind = kind();
        match &kind {
            Block::Call { .. } => self.said.call = true,
            Block::Refusal => self.said.refusal = true,
            Block::Text | Block::Thought { .. } => {}
        }
        let block = self.next;
        self.next = self.next.saturating_add(1);
        events.push(Event::Open { choice: 0, block, kind });
        self.known.push(Known {
            block,
            item,
            part,
            said: false,
            citations: 0,
            weighed: false,
            closed: false,
        });
        self.known.len() - 1
    }

    pub fn close(&mut self, at: usize, events: &mut Vec<Event<'_>>) {
        if let Some(known) = self.known.get_mut(at).filter(|known| !known.closed) {
            known.closed = true;
            events.push(Event::Close { choice: 0, block: known.block });
        }
    }

    /// The item has ended.
    pub fn forget(&mut self, item: u64, events: &mut Vec<Event<'_>>) {
        for (at, _) in self.parts_of(item) {
            self.close(at, events);
        }
        self.known.retain(|known| known.item != item);
    }

    pub fn finish(&mut self, stop: Stop<'static>, events: &mut Vec<Event<'_>>) {
        for known in self.known.drain(..).filter(|known| !known.closed) {
            events.push(Event::Close { choice: 0, block: known.block });
        }
        events.push(Event::Finish { choice: 0, stop });
    }

    /// More of a block, unless it is over.
    pub fn say<'f>(&mut self, at: usize, delta: Delta<'f>, events: &mut Vec<Event<'f>>) {
        if let Some(known) = self.known.get_mut(at).filter(|known| !known.closed) {
            known.said = true;
            events.push(Event::Delta { choice: 0, block: known.block, delta });
        }
    }

    /// All of a block, if nothing of it was said before.
    pub fn say_all<'f>(&mut self, at: usize, delta: Delta<'f>, events: &mut Vec<Event<'f>>) {
        if self.known.get(at).is_some_and(|known| !known.said) {
            self.say(at, delta, events);
        }
    }

    pub fn cite<'f>(&mut self, at: usize, annotation: &Node<'f>, events: &mut Vec<Event<'f>>) {
        if let Some(known) = self.known.get_mut(at).filter(|known| !known.closed) {
            known.citations += 1;
            let delta = reply::cite(annotation).into();
            events.push(Event::Delta { choice: 0, block: known.block, delta });
        }
    }

    /// The probabilities of a text's tokens, as this dialect lists them.
    pub fn weigh<'f>(&mut self, at: usize, text: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let Some(known) = self.known.get_mut(at).filter(|known| !known.closed) else { return };
        if let Some(said) = reply::logprobs([text]) {
            known.weighed = true;
            events.push(Event::Delta { choice: 0, block: known.block, delta: Delta::Logprobs(said) });
        }
    }

    /// What of a text beside its words no event has told: citations and probabilities.
    pub fn decorate<'f>(&mut self, at: usize, text: &Node<'f>, events: &mut Vec<Event<'f>>) {
        self.cite_rest(at, text, events);
        if self.known.get(at).is_some_and(|known| !known.weighed) {
            self.weigh(at, text, events);
        }
    }

    /// The citations of a text that no event has told.
    fn cite_rest<'f>(&mut self, at: usize, text: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let told = self.known.get(at).map_or(0, |known| known.citations);
        for annotation in text.at("annotations").map(Node::elements).unwrap_or_default().iter().skip(told) {
            self.cite(at, annotation, events);
        }
    }
}
