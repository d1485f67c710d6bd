//! Stop sequences that an upstream cannot be told of.
//!
//! OpenAI's responses know none, chat takes four of them, others refuse those of white space. What a request has of
//! them beyond that is heeded here: the text of its answer ends before it, each choice's by itself, and the answer says
//! that a stop sequence has come. Only text counts, no thoughts and no calls; blocks of text that follow each other are
//! one text, as they are to whoever makes them, and whatever else comes between two parts them.
//!
//! The sequence that is complete first wins, so that it does not matter how a text is cut into pieces; of several that
//! are complete with the same character, the one that the caller names first. So does vLLM (`check_stop_strings`). Of a
//! stream no more is held back than what may still become one, and that until its block ends: what has gone out by then
//! of a sequence that ends in a later block stays. The same is true of answers in one piece.

use std::borrow::Cow;

use super::event::Block;
use super::{Choice, Content, Delta, Event, Reply, Stop, Text};
use crate::dialect::tree::{self, Node};
use crate::dialect::write;

/// More of them are not heeded: each is compared with each byte of the answer. OpenAI takes 4, Google 5.
const MOST: usize = 64;
/// Nor is a longer one, in bytes: eight times as much is held for it. No model writes that by itself.
const LONGEST: usize = 4 * 1024;

/// What is heeded here of a request's stop sequences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stops {
    texts: Vec<String>,
    /// How many answers the upstream was asked for, beside the first.
    others: u64,
}

impl Stops {
    /// Another one; whether it can be heeded. Nothing at all stands everywhere, and would leave nothing of any answer.
    pub fn add(&mut self, text: &str) -> bool {
        let takes = (1..=LONGEST).contains(&text.len()) && self.texts.len() < MOST;
        if takes {
            self.texts.push(text.to_owned());
        }
        takes
    }

    #[cfg(test)]
    pub fn of(texts: &[&str]) -> Self {
        let mut stops = Self::default();
        for text in texts {
            assert!(stops.add(text), "{text:?} cannot be heeded");
        }
        stops
    }

    #[must_use]
    pub fn of_answers(self, answers: u64) -> Self {
        Self { others: answers.saturating_sub(1), ..self }
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Ends the answers where they have to.
    pub fn cut(&self, reply: &mut Reply<'_>) {
        if self.is_empty() {
            return;
        }
        let needles = self.needles();
        for choice in &mut reply.choices {
            cut(choice, &needles);
        }
    }

    /// What does the same to a stream; `None` where there are none.
    pub fn of_stream(&self) -> Option<Stopper> {
        (!self.is_empty()).then(|| Stopper {
            needles: self.needles(),
            others: self.others,
            choices: Vec::new(),
            is_done: false,
        })
    }

    fn needles(&self) -> Vec<Needle> {
        self.texts.iter().map(|text| Needle::new(text.clone())).collect()
    }
}

/// A text that is looked for in another one, byte by byte (Knuth, Morris and Pratt).
#[derive(Debug)]
struct Needle {
    text: String,
    /// Of each begin of it: how much of the text's begin that ends with, beside itself.
    borders: Vec<usize>,
}

impl Needle {
    fn new(text: String) -> Self {
        let mut needle = Self { borders: vec![0; text.len()], text };
        let mut found = 0;
        for at in 1..needle.text.len() {
            found = needle.step(found, needle.text.as_bytes()[at]);
            needle.borders[at] = found;
        }
        needle
    }

    /// How much of its begin a text ends with that ended with `found` of it, and has this byte now.
    fn step(&self, mut found: usize, byte: u8) -> usize {
        loop {
            if self.text.as_bytes().get(found) == Some(&byte) {
                return found + 1;
            }
            if found == 0 {
                return 0;
            }
            found = self.borders[found - 1];
        }
    }
}

/// How much of each of them the text ends with that has come so far.
#[derive(Debug)]
struct Search(Vec<usize>);

impl Search {
    fn new(needles: &[Needle]) -> Self {
        Self(vec![0; needles.len()])
    }

    /// Goes on with the next piece: where in it the first one is complete, and which that is.
    fn find<'n>(&mut self, needles: &'n [Needle], piece: &str) -> Option<(usize, &'n str)> {
        for (at, byte) in piece.bytes().enumerate() {
            let mut hit = None;
            for (needle, found) in needles.iter().zip(&mut self.0) {
                *found = needle.step(*found, byte);
                if *found == needle.text.len() && hit.is_none() {
                    hit = Some(&*needle.text);
                }
            }
            if let Some(text) = hit {
                return Some((at + 1, text));
            }
        }
        None
    }

    /// How much of the text's end may become one.
    fn longest(&self) -> usize {
        self.0.iter().copied().max().unwrap_or_default()
    }

    /// Something else stands before what follows.
    fn part(&mut self) {
        self.0.fill(0);
    }
}

/// Ends an answer in one piece.
fn cut(choice: &mut Choice<'_>, needles: &[Needle]) {
    let mut search = Search::new(needles);
    let mut before = 0;
    for (at, part) in choice.parts.iter_mut().enumerate() {
        let text = match &mut part.content {
            Content::Text(text) => text,
            // What a vendor ran, or only he can say: no stream tells where it stands.
            Content::Vendor { .. } => continue,
            Content::Refusal(_)
            | Content::Image(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::File(_)
            | Content::Thought(_)
            | Content::Call(_)
            | Content::Outcome(_) => {
                search.part();
                continue;
            }
        };
        let Some((end, stop)) = search.find(needles, text) else {
            before += text.len();
            continue;
        };
        let kept = end.saturating_sub(stop.len());
        match text {
            Cow::Borrowed(text) => *text = &text[..kept],
            Cow::Owned(text) => text.truncate(kept),
        }
        // They come behind their text, where nothing comes any more.
        part.citations.clear();
        choice.parts.truncate(if kept == 0 { at } else { at + 1 });
        choice.stop = Stop::Sequence(Some(Cow::Owned(stop.to_owned())));
        choice.logprobs =
            choice.logprobs.take().and_then(|all| tokens_of(&all, before + kept)).map(Cow::Owned);
        return;
    }
}

/// The probabilities of those tokens that lie within the first `length` bytes of the text.
fn tokens_of(logprobs: &str, length: usize) -> Option<String> {
    let root = tree::parse(logprobs.as_bytes()).ok()?;
    let mut end = 0;
    let is_within = |token: &&Node<'_>| {
        let bytes = token.at("bytes").filter(|bytes| bytes.is_array()).map(|bytes| bytes.elements().len());
        end += bytes.or_else(|| Some(token.at("token")?.text()?.len())).unwrap_or_default();
        end <= length
    };
    let tokens: Vec<_> = root.at("content")?.elements().iter().take_while(is_within).collect();
    Some(write::text(|out| {
        write::object(out, |object| {
            object.array("content", |array| {
                for token in tokens {
                    array.raw(token.raw());
                }
            });
        });
    }))
}

/// Ends the answers of a stream.
#[derive(Debug)]
pub struct Stopper {
    needles: Vec<Needle>,
    others: u64,
    choices: Vec<Told>,
    /// All have come to their ends, the last of them at a stop sequence: the upstream does not know, and goes on.
    is_done: bool,
}

/// One of the answers, as far as it was told.
#[derive(Debug)]
struct Told {
    choice: u32,
    search: Search,
    /// Blocks that were opened, in their order.
    open: Vec<(u32, Kind)>,
    /// A block of text that has no text yet. It is told with the first of it, so that none is empty because of a stop.
    unopened: Option<u32>,
    /// What may become a stop sequence, and the block that it stands in.
    held: (u32, String),
    is_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Other,
}

impl Stopper {
    /// Whether nothing of the upstream is wanted any more, though it may have more to say.
    pub const fn is_done(&self) -> bool {
        self.is_done
    }

    /// What is left of the upstream's next events.
    pub fn pass<'e>(&mut self, events: Vec<Event<'e>>) -> Vec<Event<'e>> {
        let mut out = Vec::with_capacity(events.len() + 1);
        for event in events {
            self.take(event, &mut out);
        }
        out
    }

    fn take<'e>(&mut self, event: Event<'e>, out: &mut Vec<Event<'e>>) {
        let choice = match &event {
            Event::Open { choice, .. }
            | Event::Delta { choice, .. }
            | Event::Close { choice, .. }
            | Event::Finish { choice, .. } => *choice,
            Event::Vendor { .. } if self.is_done => return,
            Event::Start { .. } | Event::Usage(_) | Event::Vendor { .. } | Event::End => {
                return out.push(event);
            }
        };
        let at = self.choices.iter().position(|told| told.choice == choice).unwrap_or_else(|| {
            self.choices.push(Told::new(choice, &self.needles));
            self.choices.len() - 1
        });
        let told = &mut self.choices[at];
        if told.is_over {
            return;
        }
        if told.take(event, &self.needles, out) == Went::Stopped
            && self.choices.iter().filter(|told| told.is_over).count() as u64 > self.others
        {
            self.is_done = true;
        }
    }
}

/// How an answer went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Went {
    On,
    Stopped,
}

impl Told {
    fn new(choice: u32, needles: &[Needle]) -> Self {
        Self {
            choice,
            search: Search::new(needles),
            open: Vec::new(),
            unopened: None,
            held: (0, String::new()),
            is_over: false,
        }
    }

    fn take<'e>(&mut self, event: Event<'e>, needles: &[Needle], out: &mut Vec<Event<'e>>) -> Went {
        match event {
            Event::Open { block, kind: Block::Text, .. } => {
                self.open_text(out);
                self.unopened = Some(block);
            }
            Event::Open { block, .. } => {
                self.part(out);
                self.open.push((block, Kind::Other));
                out.push(event);
            }
            Event::Delta { block, delta: Delta::Text(text), .. } if self.is_text(block) => {
                return self.text(block, text, needles, out);
            }
            Event::Delta { delta: Delta::Media(_), .. } => {
                self.part(out);
                out.push(event);
            }
            Event::Delta { block, .. } => {
                if self.unopened == Some(block) {
                    self.open_text(out);
                }
                out.push(event);
            }
            Event::Close { block, .. } => {
                if self.is_text(block) {
                    self.give_out(out);
                    self.open_text(out);
                }
                self.open.retain(|(open, _)| *open != block);
                out.push(event);
            }
            Event::Finish { .. } => {
                self.give_out(out);
                self.open_text(out);
                self.is_over = true;
                out.push(event);
            }
            // Of no choice.
            Event::Start { .. } | Event::Usage(_) | Event::Vendor { .. } | Event::End => out.push(event),
        }
        Went::On
    }

    fn is_text(&self, block: u32) -> bool {
        self.unopened == Some(block) || self.open.contains(&(block, Kind::Text))
    }

    /// More of a text.
    fn text<'e>(
        &mut self,
        block: u32,
        piece: Text<'e>,
        needles: &[Needle],
        out: &mut Vec<Event<'e>>,
    ) -> Went {
        if self.held.0 != block {
            self.give_out(out);
            self.held.0 = block;
        }
        let found = self.search.find(needles, &piece);
        let (end, begun) = match found {
            Some((end, stop)) => (end, stop.len()),
            None => (piece.len(), self.search.longest()),
        };
        let held = &mut self.held.1;
        if found.is_none() && held.is_empty() && begun == 0 {
            self.say(piece, out);
            return Went::On;
        }
        held.push_str(&piece[..end]);
        // Both begin and end with whole characters, for what is sought does, and the text.
        let rest = held.split_off(held.len().saturating_sub(begun));
        let said = std::mem::replace(held, rest);
        self.say(Cow::Owned(said), out);
        match found {
            None => Went::On,
            Some((_, stop)) => {
                self.stop(stop, out);
                Went::Stopped
            }
        }
    }

    fn say<'e>(&mut self, text: Text<'e>, out: &mut Vec<Event<'e>>) {
        if !text.is_empty() {
            self.open_text(out);
            let (choice, block) = (self.choice, self.held.0);
            out.push(Event::Delta { choice, block, delta: Delta::Text(text) });
        }
    }

    /// Something that is no text comes.
    fn part(&mut self, out: &mut Vec<Event<'_>>) {
        self.give_out(out);
        self.open_text(out);
        self.search.part();
    }

    /// What was held back will have no end in its block.
    fn give_out(&mut self, out: &mut Vec<Event<'_>>) {
        let held = std::mem::take(&mut self.held.1);
        self.say(Cow::Owned(held), out);
    }

    fn open_text(&mut self, out: &mut Vec<Event<'_>>) {
        if let Some(block) = self.unopened.take() {
            self.open.push((block, Kind::Text));
            out.push(Event::Open { choice: self.choice, block, kind: Block::Text });
        }
    }

    /// The answer ends here.
    fn stop(&mut self, stop: &str, out: &mut Vec<Event<'_>>) {
        let choice = self.choice;
        out.extend(self.open.drain(..).map(|(block, _)| Event::Close { choice, block }));
        out.push(Event::Finish { choice, stop: Stop::Sequence(Some(Cow::Owned(stop.to_owned()))) });
        self.held.1 = String::new();
        self.unopened = None;
        self.is_over = true;
    }
}

#[cfg(test)]
mod tests;
