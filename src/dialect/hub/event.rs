//! One step of a streamed answer.
//!
//! Readers keep to these rules, and writers rely on them: `Start` comes first and once; a block is
//! opened before its deltas and closed once; `Finish` comes once for each choice, after its blocks are
//! closed; `Usage` may come at any time, the last one counts; `End` comes last, and only when the
//! upstream has said that the answer is whole. Blocks of one choice may be open side by side (OpenAI
//! may interleave parallel tool calls): a writer whose dialect cannot do that goes through a
//! [`Sequencer`]. Errors are no events: `watch` finds them before.

use std::collections::VecDeque;

use super::Text;
use super::carry::Signature;
use super::part::{CallKind, Citation, Media};
use super::reply::Stop;
use crate::vocab::Usage;

#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// Empty texts and 0 stand for what the dialect does not say.
    Start {
        id: Text<'a>,
        model: Text<'a>,
        created: u64,
    },
    /// `block` counts up from 0 within a choice, in the order of opening.
    Open {
        choice: u32,
        block: u32,
        kind: Block<'a>,
    },
    Delta {
        choice: u32,
        block: u32,
        delta: Delta<'a>,
    },
    Close {
        choice: u32,
        block: u32,
    },
    Finish {
        choice: u32,
        stop: Stop<'a>,
    },
    Usage(Usage),
    /// Something that only the dialect of origin knows. Another one leaves it out.
    Vendor {
        kind: Text<'a>,
        raw: &'a str,
    },
    End,
}

/// What a block holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Block<'a> {
    Text,
    Refusal,
    Thought { is_summary: bool, is_redacted: bool, id: Option<Text<'a>> },
    Call { id: Text<'a>, name: Text<'a>, kind: CallKind },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Delta<'a> {
    /// More of a text, a refusal or a thought.
    Text(Text<'a>),
    /// More of a call's arguments, as the model writes them.
    Arguments(Text<'a>),
    /// The signature of a thought or a call, whole.
    Signature(Signature<'a>),
    /// An image or a sound that the model made, inside a text block.
    Media(Media<'a>),
    /// A citation of the text before it: `url` and `title` as far as they are known, and all of it in
    /// the upstream's own words.
    Citation { url: Option<Text<'a>>, title: Option<Text<'a>>, raw: &'a str },
    /// OpenAI's form of a choice's `logprobs`, JSON.
    Logprobs(Text<'a>),
}

impl<'a> From<Citation<'a>> for Delta<'a> {
    fn from(Citation { url, title, raw, .. }: Citation<'a>) -> Self {
        Self::Citation { url, title, raw }
    }
}

impl Event<'_> {
    /// The same, owing nothing to the bytes that it was read from.
    fn into_owned(self) -> Event<'static> {
        match self {
            Self::Start { id, model, created } => {
                Event::Start { id: owned(id), model: owned(model), created }
            }
            Self::Open { choice, block, kind } => Event::Open { choice, block, kind: kind.into_owned() },
            Self::Delta { choice, block, delta } => match delta.into_owned() {
                Some(delta) => Event::Delta { choice, block, delta },
                None => Event::Delta { choice, block, delta: Delta::Text(Text::Borrowed("")) },
            },
            Self::Close { choice, block } => Event::Close { choice, block },
            Self::Finish { choice, stop } => Event::Finish { choice, stop: stop.into_owned() },
            Self::Usage(usage) => Event::Usage(usage),
            Self::Vendor { kind, .. } => Event::Vendor { kind: owned(kind), raw: "{}" },
            Self::End => Event::End,
        }
    }
}

impl Block<'_> {
    fn into_owned(self) -> Block<'static> {
        match self {
            Self::Text => Block::Text,
            Self::Refusal => Block::Refusal,
            Self::Thought { is_summary, is_redacted, id } => {
                Block::Thought { is_summary, is_redacted, id: id.map(owned) }
            }
            Self::Call { id, name, kind } => Block::Call { id: owned(id), name: owned(name), kind },
        }
    }
}

impl Delta<'_> {
    /// `None` for what is not worth holding back: it borrows JSON and only decorates.
    fn into_owned(self) -> Option<Delta<'static>> {
        match self {
            Self::Text(text) => Some(Delta::Text(owned(text))),
            Self::Arguments(text) => Some(Delta::Arguments(owned(text))),
            Self::Signature(Signature { family, value }) => {
                Some(Delta::Signature(Signature { family, value: owned(value) }))
            }
            Self::Logprobs(text) => Some(Delta::Logprobs(owned(text))),
            Self::Media(_) | Self::Citation { .. } => None,
        }
    }
}

impl Stop<'_> {
    pub fn into_owned(self) -> Stop<'static> {
        match self {
            Self::End => Stop::End,
            Self::Sequence(text) => Stop::Sequence(text.map(owned)),
            Self::Length => Stop::Length,
            Self::Window => Stop::Window,
            Self::Calls => Stop::Calls,
            Self::Filter => Stop::Filter,
            Self::Refusal => Stop::Refusal,
            Self::Pause => Stop::Pause,
            Self::Failed => Stop::Failed,
        }
    }
}

fn owned(text: Text<'_>) -> Text<'static> {
    Text::Owned(text.into_owned())
}

/// Puts the blocks of interleaved tool calls one behind the other, for dialects that speak one block at
/// a time. The block that opened first goes through as it comes; events of others wait for its end.
/// Streams that do not interleave, which is nearly all, are not held back at all.
#[derive(Debug, Default)]
pub struct Sequencer {
    open: Option<u32>,
    waiting: VecDeque<Event<'static>>,
}

impl Sequencer {
    /// Passes `event` to `write` now, or later, and in the right order. Only for the first choice.
    pub fn put(&mut self, event: Event<'_>, write: &mut impl FnMut(&Event<'_>)) {
        let block = match &event {
            Event::Open { block, .. } | Event::Delta { block, .. } | Event::Close { block, .. } => *block,
            Event::Finish { .. } | Event::End => {
                self.release(write);
                return write(&event);
            }
            Event::Start { .. } | Event::Usage(_) | Event::Vendor { .. } => return write(&event),
        };
        match (self.open, &event) {
            (None, Event::Open { .. }) => {
                self.open = Some(block);
                write(&event);
            }
            (Some(open), Event::Close { .. }) if open == block => {
                self.open = None;
                write(&event);
                self.release(write);
            }
            (Some(open), _) if open == block => write(&event),
            (Some(_), _) => self.waiting.push_back(event.into_owned()),
            // A delta of a block that has ended: there is no place for it any more.
            (None, _) => {}
        }
    }

    /// Lets those go whose turn has come: the next block, as far as it has come.
    fn release(&mut self, write: &mut impl FnMut(&Event<'_>)) {
        while self.open.is_none() && !self.waiting.is_empty() {
            for event in std::mem::take(&mut self.waiting) {
                self.put(event, write);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(events: &str, expected: &str) {
        let mut sequencer = Sequencer::default();
        let mut seen = Vec::new();
        for word in events.split(' ') {
            let block = word[1..].parse().unwrap_or_default();
            let event = match &word[..1] {
                "o" => Event::Open { choice: 0, block, kind: Block::Text },
                "d" => Event::Delta { choice: 0, block, delta: Delta::Text("x".into()) },
                "c" => Event::Close { choice: 0, block },
                _ => Event::Finish { choice: 0, stop: Stop::End },
            };
            sequencer.put(event, &mut |event| {
                seen.push(match event {
                    Event::Open { block, .. } => format!("o{block}"),
                    Event::Delta { block, .. } => format!("d{block}"),
                    Event::Close { block, .. } => format!("c{block}"),
                    _ => "f".to_owned(),
                });
            });
        }
        assert_eq!(seen.join(" "), expected);
    }

    #[test]
    fn blocks_leave_one_behind_the_other() {
        check("o0 d0 c0 o1 d1 c1 f", "o0 d0 c0 o1 d1 c1 f");
        check("o0 d0 o1 d1 d0 d1 c0 d1 c1 f", "o0 d0 d0 c0 o1 d1 d1 d1 c1 f");
        check("o0 o1 o2 d2 d1 c2 c1 d0 c0 f", "o0 d0 c0 o1 d1 c1 o2 d2 c2 f");
    }
}
