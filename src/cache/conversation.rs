//! A response as it is remembered: every item that was said, and the object that ended it.
//!
//! Items are shared: a conversation of many turns is remembered under the id of each of them, and its
//! texts are there once. `Debug` shows sizes and no words.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What an item costs beside its text and id: its own head, and its place in the index.
const ITEM: u64 = 256;
/// What a response costs beside its texts.
const RESPONSE: u64 = 512;
/// What one more response costs that holds an item.
const PLACE: u64 = 8;

/// One item of a conversation, JSON.
pub struct Item {
    id: Option<Box<str>>,
    text: Box<str>,
    /// How many remembered responses hold it. Written under the memory's lock only.
    holders: AtomicU32,
}

/// All that was said up to the end of one response, and what the response says of itself.
pub struct Conversation {
    pub items: Box<[Arc<Item>]>,
    /// So many of the items are the input; the others are the output.
    pub input: usize,
    /// The response object's text before the items of its output, and behind them.
    pub head: Box<str>,
    pub tail: Box<str>,
}

impl Item {
    pub fn new(id: Option<&str>, text: &str) -> Arc<Self> {
        Arc::new(Self { id: id.map(Into::into), text: text.into(), holders: AtomicU32::new(0) })
    }

    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> u64 {
        // Its id is there once more, in the index.
        (self.text.len() + 2 * self.id.as_ref().map_or(0, |id| id.len())) as u64 + ITEM
    }

    /// One more response holds it; tells whether that is the first.
    pub(super) fn hold(&self) -> bool {
        self.holders.fetch_add(1, Relaxed) == 0
    }

    /// One response less holds it; tells whether that was the last.
    pub(super) fn release(&self) -> bool {
        self.holders.fetch_sub(1, Relaxed) == 1
    }
}

impl Conversation {
    pub fn input(&self) -> &[Arc<Item>] {
        self.items.get(..self.input).unwrap_or_default()
    }

    pub fn output(&self) -> &[Arc<Item>] {
        self.items.get(self.input..).unwrap_or_default()
    }

    /// The response object, as the caller got it.
    pub fn response(&self) -> String {
        let output: Vec<&str> = self.output().iter().map(|item| item.text()).collect();
        [&self.head, "[", &*output.join(","), "]", &self.tail].concat()
    }

    /// Bytes that it takes beside its items.
    pub(super) fn own_size(&self) -> u64 {
        (self.head.len() + self.tail.len()) as u64 + self.items.len() as u64 * PLACE + RESPONSE
    }

    /// Bytes that it would take if it shared no item with any other.
    pub(super) fn size(&self) -> u64 {
        self.items.iter().map(|item| item.size()).sum::<u64>() + self.own_size()
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation").field("items", &self.items.len()).finish_non_exhaustive()
    }
}
