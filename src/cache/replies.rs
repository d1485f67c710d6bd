//! Whole answers, to be said again to the same request.
//!
//! One lock, bounded bytes: never more than the bound once a call has returned. What is out of date goes,
//! then what was longest unused. Whose an answer is and how old it may be is the asker's to say: it is in
//! the likeness, and in `until`. `Debug` shows no words.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;

use super::likeness::Likeness;
use crate::algo::tick::Tick;
use crate::vocab::Usage;

/// What an answer costs beside its bytes: its head, and its places in the indices.
const ENTRY: u64 = 512;
/// What a header costs beside its text.
const FIELD: u64 = 64;

/// An answer as it was said.
pub struct Kept {
    pub status: StatusCode,
    pub fields: HeaderMap,
    pub body: Bytes,
    /// Of a stream: where each of its pieces ends in `body`.
    pub pieces: Option<Box<[u32]>>,
    pub usage: Option<Usage>,
    /// When it ended.
    pub at: Tick,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    Yes,
    /// It takes more than there is.
    TooLarge,
}

/// What is held now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptNow {
    pub answers: usize,
    pub bytes: u64,
}

#[derive(Debug, Default)]
pub struct Replies(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    answers: HashMap<Likeness, Entry>,
    /// By their last use, the longest unused first.
    unused: BTreeMap<u64, Likeness>,
    /// By their end.
    ends: BTreeMap<(Tick, u64), Likeness>,
    /// The next number of a use.
    next: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Entry {
    kept: Arc<Kept>,
    request: Likeness,
    until: Tick,
    /// Of its coming, with `until` its place in `ends`.
    number: u64,
    used: u64,
}

impl Kept {
    /// Bytes that it takes.
    pub fn size(&self) -> u64 {
        let fields =
            self.fields.iter().map(|(name, value)| (name.as_str().len() + value.len()) as u64 + FIELD);
        let pieces = self.pieces.as_ref().map_or(0, |pieces| pieces.len() * size_of::<u32>());
        ENTRY + (self.body.len() + pieces) as u64 + fields.sum::<u64>()
    }

    /// One piece of a stream after the other; a whole answer is one piece.
    pub fn piece(&self, number: usize) -> Option<Bytes> {
        let Some(pieces) = &self.pieces else { return (number == 0).then(|| self.body.clone()) };
        let end = *pieces.get(number)? as usize;
        let begin =
            number.checked_sub(1).and_then(|before| pieces.get(before)).map_or(0, |end| *end as usize);
        (begin <= end && end <= self.body.len()).then(|| self.body.slice(begin..end))
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("status", &self.status)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl Replies {
    /// Keeps an answer under `likeness` until then, at most `memory` bytes of all of them. `request` is what
    /// else a finder may want to compare.
    pub fn keep(
        &self,
        (likeness, request): (Likeness, Likeness),
        kept: Arc<Kept>,
        until: Tick,
        now: Tick,
        memory: u64,
    ) -> Stored {
        let mut shelf = self.0.lock();
        shelf.forget(&likeness);
        if kept.size() > memory {
            return Stored::TooLarge;
        }
        let number = shelf.number();
        shelf.bytes += kept.size();
        shelf.unused.insert(number, likeness);
        shelf.ends.insert((until, number), likeness);
        shelf.answers.insert(likeness, Entry { kept, request, until, number, used: number });
        shelf.fit(now, memory);
        Stored::Yes
    }

    /// The answer, and the request that it was kept with.
    pub fn find(&self, likeness: &Likeness, now: Tick, memory: u64) -> Option<(Arc<Kept>, Likeness)> {
        let mut shelf = self.0.lock();
        shelf.fit(now, memory);
        let used = shelf.number();
        let entry = shelf.answers.get_mut(likeness)?;
        let before = std::mem::replace(&mut entry.used, used);
        let found = (Arc::clone(&entry.kept), entry.request);
        shelf.unused.remove(&before);
        shelf.unused.insert(used, *likeness);
        Some(found)
    }

    /// What is held, once what is too old or too much is gone.
    pub fn held(&self, now: Tick, memory: u64) -> KeptNow {
        let mut shelf = self.0.lock();
        shelf.fit(now, memory);
        KeptNow { answers: shelf.answers.len(), bytes: shelf.bytes }
    }
}

impl Shelf {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn forget(&mut self, likeness: &Likeness) {
        let Some(entry) = self.answers.remove(likeness) else { return };
        self.unused.remove(&entry.used);
        self.ends.remove(&(entry.until, entry.number));
        self.bytes = self.bytes.saturating_sub(entry.kept.size());
    }

    /// Forgets what is too old, and then what is too much.
    fn fit(&mut self, now: Tick, memory: u64) {
        while let Some(((until, _), likeness)) = self.ends.first_key_value()
            && *until <= now
        {
            let likeness = *likeness;
            self.forget(&likeness);
        }
        while self.bytes > memory
            && let Some((_, likeness)) = self.unused.first_key_value()
        {
            let likeness = *likeness;
            self.forget(&likeness);
        }
    }
}
