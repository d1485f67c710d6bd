//! What all dialects mean: the canonical request and answer when two of them have to meet.
//!
//! | file | holds |
//! |---|---|
//! | `ask` | [`Ask`]: a request to generate, and what belongs to it as a whole |
//! | `part` | [`Part`]: what a turn is made of: text, media, reasoning, tool calls and results |
//! | `reply` | [`Reply`]: an answer in one piece; [`Stop`]: why it ended |
//! | `event` | [`Event`]: one step of a streamed answer; [`Sequencer`]: for dialects that speak one block at a time |
//! | `carry` | signatures of reasoning, and how they travel through a dialect that is not theirs |
//! | [`custom`] | functions that stand for OpenAI's custom tools |
//! | [`namespace`] | names of tools that are in one of OpenAI's namespaces |
//! | `renamed` | [`Renamed`]: names of tools that an upstream would refuse, and what stands for them |
//! | `stops` | [`Stops`]: stop sequences that an upstream cannot be told of, heeded here |
//! | `losses` | what could not be said in the other dialect, by name |
//! | `terms` | what a writer has to know of the upstream or of the caller |
//! | `embed`, `rerank`, `media` | [`Embed`], [`Rerank`], [`Draw`] and [`Speak`]: what else is asked, and what came of it |
//!
//! Everything borrows from the bytes that it was read from. What only one dialect can say is kept
//! beside what it belongs to as [`Extras`]: the same dialect writes it again, any other one reports it
//! as lost. `null` is the same as absent.

mod ask;
mod carry;
pub mod custom;
mod embed;
mod event;
mod losses;
mod media;
pub mod namespace;
mod part;
mod renamed;
mod reply;
mod rerank;
#[cfg(test)]
pub mod samples;
mod stops;
mod terms;

pub use ask::{
    Ask, Effort, Format, GO_ON, Logprobs, Mode, NOTHING, Reasoning, Role, SEARCH, Summary, Tier, Tool,
    ToolChoice, ToolKind, Turn,
};
pub use carry::{Family, MADE_UP, Signature};
pub use embed::{Embed, Encoding, Input, Purpose, Truncate, Vector, Vectors};
pub use event::{Block, Delta, Event, Sequencer};
pub use losses::{Loss, Losses};
pub use media::{Draw, Drawn, Picture, Said, Sound, Speak};
pub use part::{
    CacheMark, Call, CallKind, Citation, Content, Media, Outcome, Part, Source, Thought, object_of,
};
pub use renamed::Renamed;
pub use reply::{Choice, Reply, Stop};
pub use rerank::{Document, Ranked, Ranking, Rerank};
pub use stops::{Stopper, Stops};
pub use terms::{Keeping, Manner, Terms};

use std::borrow::Cow;

use super::tree::Node;
use super::write::Object;

/// Text that borrows where it can.
pub type Text<'a> = Cow<'a, str>;

/// Members that only the dialect of origin understands, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras<'a> {
    members: Vec<(Text<'a>, &'a str)>,
    /// What has no meaning outside its dialect: leaving it out loses nothing, so nobody is told.
    asides: Vec<(Text<'a>, &'a str)>,
}

impl<'a> Extras<'a> {
    /// The members of `node` that are neither `known` nor null.
    pub fn of(node: &Node<'a>, known: &[&str]) -> Self {
        let unknown = |key: &str| !known.contains(&key);
        let others = node.members().iter().filter(|(key, value)| unknown(key) && !value.is_null());
        Self { members: others.map(|(key, value)| (key.clone(), value.raw())).collect(), asides: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.asides.is_empty()
    }

    pub fn keep(&mut self, key: impl Into<Text<'a>>, raw: &'a str) {
        self.members.push((key.into(), raw));
    }

    /// Keeps what no other dialect would miss: an item's id at its vendor, a default that is said aloud.
    pub fn keep_aside(&mut self, key: impl Into<Text<'a>>, raw: &'a str) {
        self.asides.push((key.into(), raw));
    }

    /// As [`Extras::keep_aside`], in the place of whatever has this name.
    pub fn put_aside(&mut self, key: &'static str, raw: &'static str) {
        self.members.retain(|(name, _)| name != key);
        self.asides.retain(|(name, _)| name != key);
        self.keep_aside(key, raw);
    }

    /// The JSON text of one of them.
    pub fn find(&self, key: &str) -> Option<&'a str> {
        self.all().find(|(name, _)| *name == key).map(|(_, raw)| raw)
    }

    /// Those that are lost in another dialect.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().map(|(key, raw)| (&**key, *raw))
    }

    /// Those, and what was kept aside.
    pub fn all(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().chain(&self.asides).map(|(key, raw)| (&**key, *raw))
    }

    /// Says them again: for the dialect that they came from.
    pub fn write(&self, object: &mut Object<'_>) {
        for (key, raw) in self.all() {
            object.raw(key, raw);
        }
    }
}
