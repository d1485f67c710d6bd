//! What a caller has been told so far, from the events of his stream.
//!
//! Keeps the texts, which a request to go on repeats, and what is open. It keeps at most [`MOST_TEXT`]
//! bytes: a longer answer is not continued, and then nothing of it is kept. It judges nothing: what bars a
//! continuation is written down, and [`asking`](super::asking) reads it.

use super::asking::Bar;
use crate::dialect::hub::{Block, Delta, Event};

/// Bytes of text that are kept for one stream.
pub const MOST_TEXT: usize = 256 * 1024;

#[derive(Clone, Debug, Default)]
pub struct Told {
    text: String,
    /// Blocks of the first choice that are open, in the order of opening.
    open: Vec<(u32, Held)>,
    /// A number that no block of the stream has.
    next: u32,
    /// Where in the text the open block of text begins.
    begin: usize,
    bar: Option<Bar>,
    finished: bool,
}

/// What an open block holds, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Text,
    Thought,
    /// What bars a continuation.
    Other,
}

impl Told {
    pub fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Open { choice: 0, block, kind } => {
                self.next = self.next.max(block.saturating_add(1));
                let held = match kind {
                    Block::Text => Held::Text,
                    Block::Thought { .. } => Held::Thought,
                    Block::Refusal => self.other(Bar::Refused),
                    Block::Call { .. } => self.other(Bar::Called),
                };
                if held == Held::Text {
                    self.begin = self.text.len();
                }
                self.open.push((*block, held));
            }
            Event::Delta { choice: 0, block, delta } => self.delta(*block, delta),
            Event::Close { choice: 0, block } => self.open.retain(|(open, _)| open != block),
            Event::Finish { choice: 0, .. } => self.finished = true,
            Event::Open { .. } | Event::Delta { .. } | Event::Close { .. } | Event::Finish { .. } => {
                self.bar(Bar::Choices);
            }
            // Tools that the vendor runs.
            Event::Vendor { .. } => self.bar(Bar::Called),
            Event::Start { .. } | Event::Usage(_) | Event::End => {}
        }
    }

    fn delta(&mut self, block: u32, delta: &Delta<'_>) {
        let held = self.open.iter().find(|(open, _)| *open == block).map(|(_, held)| *held);
        match (delta, held) {
            (Delta::Text(text), Some(Held::Text)) => {
                if self.text.len() + text.len() > MOST_TEXT {
                    self.bar(Bar::TooLong);
                }
                if self.bar.is_none() {
                    self.text.push_str(text);
                }
            }
            (Delta::Media(_), _) => self.bar(Bar::Media),
            (Delta::Logprobs(_), _) => self.bar(Bar::Logprobs),
            (Delta::Text(_) | Delta::Arguments(_) | Delta::Signature(_) | Delta::Citation { .. }, _) => {}
        }
    }

    fn other(&mut self, bar: Bar) -> Held {
        self.bar(bar);
        Held::Other
    }

    /// The first reason stays. From here on there is no use for the text.
    fn bar(&mut self, bar: Bar) {
        if self.bar.is_none() {
            self.bar = Some(bar);
            self.text = String::new();
            self.begin = 0;
        }
    }

    /// Why this stream cannot be continued any more.
    pub fn barred(&self) -> Option<Bar> {
        self.bar
    }

    /// All texts of the first choice, one behind the other; empty once something bars.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of the block that is open, if it holds text.
    pub fn open_text(&self) -> Option<(u32, &str)> {
        let (block, _) = self.open.iter().rev().find(|(_, held)| *held == Held::Text)?;
        Some((*block, self.text.get(self.begin..).unwrap_or_default()))
    }

    pub fn open(&self) -> &[(u32, Held)] {
        &self.open
    }

    pub fn next_block(&self) -> u32 {
        self.next
    }

    /// A reason for the end was given: nothing is left to say but the counts.
    pub fn is_finished(&self) -> bool {
        self.finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::hub::Stop;

    fn say(told: &mut Told, block: u32, text: &str) {
        told.observe(&Event::Delta { choice: 0, block, delta: Delta::Text(text.to_owned().into()) });
    }

    #[test]
    fn texts_are_kept_and_thoughts_are_not() {
        let mut told = Told::default();
        let thought = Block::Thought { is_summary: false, is_redacted: false, id: None };
        told.observe(&Event::Open { choice: 0, block: 0, kind: thought });
        say(&mut told, 0, "hm");
        assert_eq!((told.text(), told.open()), ("", &[(0, Held::Thought)][..]));
        told.observe(&Event::Close { choice: 0, block: 0 });
        told.observe(&Event::Open { choice: 0, block: 1, kind: Block::Text });
        say(&mut told, 1, "One");
        told.observe(&Event::Close { choice: 0, block: 1 });
        assert_eq!(told.open_text(), None);
        told.observe(&Event::Open { choice: 0, block: 2, kind: Block::Text });
        say(&mut told, 2, ", two");
        assert_eq!((told.text(), told.open_text()), ("One, two", Some((2, ", two"))));
        assert_eq!((told.next_block(), told.barred(), told.is_finished()), (3, None, false));
        told.observe(&Event::Finish { choice: 0, stop: Stop::End });
        assert!(told.is_finished());
    }

    #[test]
    fn what_bars_a_continuation_is_written_down_and_frees_the_text() {
        let call =
            Block::Call { id: "c".into(), name: "f".into(), kind: crate::dialect::hub::CallKind::Function };
        let other = Event::Delta { choice: 1, block: 0, delta: Delta::Text("x".into()) };
        for (event, bar) in [
            (Event::Open { choice: 0, block: 1, kind: call }, Bar::Called),
            (Event::Open { choice: 0, block: 1, kind: Block::Refusal }, Bar::Refused),
            (other, Bar::Choices),
        ] {
            let mut told = Told::default();
            told.observe(&Event::Open { choice: 0, block: 0, kind: Block::Text });
            say(&mut told, 0, "One");
            told.observe(&event);
            say(&mut told, 0, "more");
            assert_eq!((told.barred(), told.text()), (Some(bar), ""));
        }
    }

    #[test]
    fn a_long_text_is_not_kept() {
        let mut told = Told::default();
        told.observe(&Event::Open { choice: 0, block: 0, kind: Block::Text });
        say(&mut told, 0, &"x".repeat(MOST_TEXT));
        assert_eq!((told.text().len(), told.barred()), (MOST_TEXT, None));
        say(&mut told, 0, "x");
        assert_eq!((told.text.capacity(), told.barred()), (0, Some(Bar::TooLong)));
    }
}
