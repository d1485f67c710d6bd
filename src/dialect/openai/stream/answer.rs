//! One choice of a stream: which blocks are open, and what a delta adds to them.
//!
//! At most one block of text, refusal or reasoning is open at a time, beside any number of tool calls.

use super::slots::{Said, Slots};
use crate::dialect::hub::{Block, Citation, Delta, Event, Family, Media, Signature, Source, Stop, Text};
use crate::dialect::openai::stops::{self, Held};
use crate::dialect::openai::thoughts::{self, Detail, Kind, Shape};
use crate::dialect::openai::{calls, reply};
use crate::dialect::tree::{Node, Wrong};

#[derive(Debug)]
pub struct Answer {
    pub index: u32,
    blocks: u32,
    saying: Option<(u32, Saying)>,
    slots: Slots,
    /// Signatures of calls that have not begun, by the call's id.
    unclaimed: Vec<(String, Signature<'static>)>,
    held: Held,
    cited: bool,
    /// Why it ended, as was said last. Some say so with each piece, so that more may come.
    stop: Option<Stop<'static>>,
    finished: bool,
}

/// What the open block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saying {
    Text,
    Refusal,
    /// Reasoning without details.
    Thought,
    Detailed(Shape),
}

impl Answer {
    pub fn new(index: u32) -> Self {
        Self {
            index,
            blocks: 0,
            saying: None,
            slots: Slots::default(),
            unclaimed: Vec::new(),
            held: Held::default(),
            cited: false,
            stop: None,
            finished: false,
        }
    }

    pub fn read<'f>(&mut self, choice: &Node<'f>, events: &mut Vec<Event<'f>>) -> Result<(), Wrong> {
        if self.finished {
            return Ok(());
        }
        // Perplexity repeats the whole `message` beside each delta.
        if let Some(delta) = choice.at("delta").or_else(|| choice.at("message")) {
            self.think(delta, events);
            self.speak(delta, events);
            for call in delta.at("tool_calls").map(Node::elements).unwrap_or_default() {
                self.call(Said::of(call), events)?;
            }
            if let Some(call) = calls::legacy(delta) {
                self.call(Said::of_legacy(call), events)?;
            }
        }
        if let Some(logprobs) = choice.at("logprobs").filter(|said| tells(said)) {
            self.decorate(Delta::Logprobs(logprobs.raw().into()), events);
        }
        if let Some(stop) = stops::read(choice, self.held).map(Stop::into_owned) {
            let failed = stop == Stop::Failed;
            self.stop = Some(stop);
            if failed {
                self.end(events);
            }
        }
        Ok(())
    }

    /// Nothing more comes of it where it has said why it ended.
    pub fn settle(&mut self, events: &mut Vec<Event<'_>>) {
        if self.stop.is_some() {
            self.end(events);
        }
    }

    pub fn end(&mut self, events: &mut Vec<Event<'_>>) {
        if !self.finished {
            self.close_all(events);
            // What came behind a mere end is why it ended.
            let said = self.stop.take().filter(|stop| *stop != Stop::End);
            let stop = said.unwrap_or_else(|| stops::unsaid(self.held));
            events.push(Event::Finish { choice: self.index, stop });
            self.finished = true;
        }
    }

    /// Is a text open?
    pub fn is_speaking(&self) -> bool {
        matches!(self.saying, Some((_, Saying::Text)))
    }

    /// Adds something to the text that is open; without one it has no place.
    fn decorate<'f>(&mut self, delta: Delta<'f>, events: &mut Vec<Event<'f>>) {
        if let Some((block, Saying::Text | Saying::Refusal)) = self.saying {
            events.push(Event::Delta { choice: self.index, block, delta });
        }
    }

    /// Has a source been told? Perplexity repeats all of its in every chunk.
    pub fn is_cited(&self) -> bool {
        self.cited
    }

    /// Adds a source to the text that is open.
    pub fn cite<'f>(&mut self, citation: Citation<'f>, events: &mut Vec<Event<'f>>) {
        self.cited = true;
        self.decorate(citation.into(), events);
    }

    fn think<'f>(&mut self, delta: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let details = delta.at("reasoning_details").map(Node::elements).unwrap_or_default();
        let mut details: Vec<_> = details.iter().filter_map(Detail::read).collect();
        // The same text is there twice when the details tell it.
        if details.iter().all(|detail| detail.text.is_empty())
            && let Some(text) = thoughts::plain(delta)
        {
            self.muse(text, events);
        }
        for detail in details.drain(..) {
            self.detail(detail, events);
        }
    }

    fn muse<'f>(&mut self, text: Text<'f>, events: &mut Vec<Event<'f>>) {
        let goes_on = match self.saying {
            Some((_, Saying::Thought)) => true,
            Some((_, Saying::Detailed(shape))) => !shape.is_signed && !shape.is_redacted,
            Some((_, Saying::Text | Saying::Refusal)) | None => false,
        };
        if !goes_on {
            let kind = Block::Thought { is_summary: false, is_redacted: false, id: None };
            self.open(Saying::Thought, kind, events);
        }
        self.add(Delta::Text(text), events);
    }

    fn detail<'f>(&mut self, detail: Detail<'f>, events: &mut Vec<Event<'f>>) {
        if detail.text.is_empty() && detail.signature.is_none() {
            return;
        }
        let Some(detail) = self.sign_call(detail, events) else { return };
        let mut shape = detail.shape();
        match self.saying {
            Some((_, Saying::Detailed(last))) if detail.continues(last) => {
                let is_signed = shape.is_signed;
                shape = last;
                shape.is_signed = is_signed;
            }
            // The text came without details, and this is the signature for it.
            Some((_, Saying::Thought)) if detail.text.is_empty() && !shape.is_redacted => {}
            Some(_) | None => {
                let Shape { is_summary, is_redacted, .. } = shape;
                let kind = Block::Thought { is_summary, is_redacted, id: detail.id };
                self.open(Saying::Detailed(shape), kind, events);
            }
        }
        if let Some((_, saying)) = &mut self.saying {
            *saying = Saying::Detailed(shape);
        }
        if !detail.text.is_empty() {
            self.add(Delta::Text(detail.text), events);
        }
        if let Some(signature) = detail.signature {
            self.add(Delta::Signature(signature), events);
        }
    }

    /// OpenRouter sends the signature of Gemini's call apart from it, under the call's id. Gives back
    /// what is none.
    fn sign_call<'f>(&mut self, detail: Detail<'f>, events: &mut Vec<Event<'f>>) -> Option<Detail<'f>> {
        let is_geminis = |signature: &Signature<'_>| signature.family == Family::Gemini;
        let is_call = detail.kind == Kind::Encrypted && detail.signature.as_ref().is_some_and(is_geminis);
        let Some(id) = detail.id.as_deref().filter(|_| is_call) else { return Some(detail) };
        let signature = detail.signature?;
        if let Some(block) = self.slots.block_of(id) {
            let delta = Delta::Signature(signature);
            events.push(Event::Delta { choice: self.index, block, delta });
        } else {
            let value = signature.value.into_owned().into();
            self.unclaimed.push((id.to_owned(), Signature { family: signature.family, value }));
        }
        None
    }

    fn speak<'f>(&mut self, delta: &Node<'f>, events: &mut Vec<Event<'f>>) {
        if let Some(content) = delta.at("content") {
            self.say(Saying::Text, content.text(), events);
            for part in content.elements() {
                self.part(part, events);
            }
        }
        let refusal = delta.at("refusal").and_then(Node::text);
        self.held.refusal |= refusal.as_ref().is_some_and(|text| !text.is_empty());
        self.say(Saying::Refusal, refusal, events);
        for image in delta.at("images").map(Node::elements).unwrap_or_default() {
            self.show(reply::image(image), events);
        }
        if let Some(audio) = delta.at("audio") {
            self.say(Saying::Text, audio.at("transcript").and_then(Node::text), events);
            let data = audio.at("data").and_then(Node::text);
            self.show(data.map(|data| Media::new(Source::Base64(data), None)), events);
        }
        for note in delta.at("annotations").map(Node::elements).unwrap_or_default() {
            self.need_text(events);
            self.cite(reply::cite(note), events);
        }
    }

    /// A part of a content that comes as an array: Mistral's.
    fn part<'f>(&mut self, part: &Node<'f>, events: &mut Vec<Event<'f>>) {
        match part.at("type").and_then(Node::as_str) {
            Some("text") => self.say(Saying::Text, part.at("text").and_then(Node::text), events),
            Some("thinking") => {
                let text = thoughts::of_part(part);
                if !text.is_empty() {
                    self.muse(text, events);
                }
            }
            Some("image_url") => self.show(reply::image(part), events),
            Some(_) | None => {}
        }
    }

    fn say<'f>(&mut self, saying: Saying, text: Option<Text<'f>>, events: &mut Vec<Event<'f>>) {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        if self.saying.is_none_or(|(_, now)| now != saying) {
            let kind = if saying == Saying::Refusal { Block::Refusal } else { Block::Text };
            self.open(saying, kind, events);
        }
        self.add(Delta::Text(text), events);
    }

    fn show<'f>(&mut self, media: Option<Media<'f>>, events: &mut Vec<Event<'f>>) {
        if let Some(media) = media {
            self.need_text(events);
            self.add(Delta::Media(media), events);
        }
    }

    fn need_text(&mut self, events: &mut Vec<Event<'_>>) {
        if !self.is_speaking() {
            self.open(Saying::Text, Block::Text, events);
        }
    }

    fn call<'f>(&mut self, said: Said<'f>, events: &mut Vec<Event<'f>>) -> Result<(), Wrong> {
        self.held.call = true;
        let at = self.slots.find(&said)?;
        if self.slots.is_ready(at, &said) {
            self.close(events);
            self.slots.open(at, &said, self.index, &mut self.blocks, events);
            let id = self.slots.id(at);
            if let Some(claimed) = self.unclaimed.iter().position(|(unclaimed, _)| unclaimed == id) {
                let (_, signature) = self.unclaimed.swap_remove(claimed);
                self.slots.sign(at, signature, self.index, events);
            }
        }
        self.slots.add(at, said, self.index, events);
        Ok(())
    }

    fn open<'f>(&mut self, saying: Saying, kind: Block<'f>, events: &mut Vec<Event<'f>>) {
        self.close(events);
        self.slots.close_whole(self.index, events);
        events.push(Event::Open { choice: self.index, block: self.blocks, kind });
        self.saying = Some((self.blocks, saying));
        self.blocks += 1;
    }

    fn add<'f>(&mut self, delta: Delta<'f>, events: &mut Vec<Event<'f>>) {
        if let Some((block, _)) = self.saying {
            events.push(Event::Delta { choice: self.index, block, delta });
        }
    }

    fn close(&mut self, events: &mut Vec<Event<'_>>) {
        if let Some((block, _)) = self.saying.take() {
            events.push(Event::Close { choice: self.index, block });
        }
    }

    fn close_all(&mut self, events: &mut Vec<Event<'_>>) {
        self.close(events);
        self.slots.open_rest(self.index, &mut self.blocks, events);
        self.slots.close_all(self.index, events);
        for (_, signature) in std::mem::take(&mut self.unclaimed) {
            let kind = Block::Thought { is_summary: false, is_redacted: false, id: None };
            self.open(Saying::Thought, kind, events);
            self.add(Delta::Signature(signature), events);
            self.close(events);
        }
    }
}

/// OpenAI's first chunk has empty lists.
fn tells(logprobs: &Node<'_>) -> bool {
    ["content", "refusal"].iter().any(|key| logprobs.at(key).is_some_and(|list| !list.elements().is_empty()))
}
