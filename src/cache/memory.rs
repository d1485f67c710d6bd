//! The responses that callers may refer to.
//!
//! One lock, held for the time of a few look-ups and never across an await. Its bounds are arguments,
//! since a reload may change them, and so is the time. Whatever happens, no more bytes are remembered
//! than the bound says once a call has returned; requests that are just being said anew may hold items
//! for a little longer, each of them as much as one conversation.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use super::conversation::{Conversation, Item};
use crate::algo::tick::Tick;
use crate::config::Responses;

/// Who may ask for what is remembered: ids of one scope mean nothing in another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope(Arc<str>);

/// What became of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    Yes,
    /// It takes more than its share.
    TooLarge,
}

/// What is held now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub responses: usize,
    pub bytes: u64,
}

#[derive(Debug, Default)]
pub struct Memory(Mutex<Shelves>);

/// An id within its scope.
type Key = (Scope, Box<str>);

#[derive(Debug, Default)]
struct Shelves {
    responses: HashMap<Key, Entry>,
    /// Items that have an id, with a response that holds each, and how many do.
    items: HashMap<Key, Indexed>,
    /// Keys of `responses` by their last use, the longest unused first.
    unused: BTreeMap<u64, Key>,
    /// The next number of a use.
    next: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Entry {
    conversation: Arc<Conversation>,
    use_number: u64,
    used: Tick,
}

#[derive(Debug)]
struct Indexed {
    item: Arc<Item>,
    /// The last response that was remembered with it.
    holder: Key,
    holders: u32,
}

impl Scope {
    /// Callers of this name, which is the configuration's and not a secret.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    fn key(&self, id: &str) -> Key {
        (self.clone(), id.into())
    }
}

impl Memory {
    /// Remembers a conversation under the id of its last response. What was longest unused is forgotten
    /// where room is needed.
    pub fn remember(
        &self,
        scope: &Scope,
        id: &str,
        conversation: Conversation,
        now: Tick,
        bounds: &Responses,
    ) -> Remembered {
        let key = scope.key(id);
        let mut shelves = self.0.lock();
        shelves.forget(&key);
        if conversation.size() > bounds.share() {
            return Remembered::TooLarge;
        }
        shelves.add(key, conversation, now);
        shelves.fit(now, bounds);
        Remembered::Yes
    }

    /// The conversation that ended with this response. It is not forgotten for a while.
    pub fn response(
        &self,
        scope: &Scope,
        id: &str,
        now: Tick,
        bounds: &Responses,
    ) -> Option<Arc<Conversation>> {
        let mut shelves = self.0.lock();
        shelves.fit(now, bounds);
        shelves.use_again(&scope.key(id), now)
    }

    /// An item of a remembered conversation, by its own id.
    pub fn item(&self, scope: &Scope, id: &str, now: Tick, bounds: &Responses) -> Option<Arc<Item>> {
        let mut shelves = self.0.lock();
        shelves.fit(now, bounds);
        let indexed = shelves.items.get(&scope.key(id))?;
        let (item, holder) = (Arc::clone(&indexed.item), indexed.holder.clone());
        shelves.use_again(&holder, now);
        Some(item)
    }

    /// Forgets a response; tells whether it was there. Later responses of the same conversation stay.
    pub fn forget(&self, scope: &Scope, id: &str, now: Tick, bounds: &Responses) -> bool {
        let mut shelves = self.0.lock();
        shelves.fit(now, bounds);
        shelves.forget(&scope.key(id))
    }

    /// What is held, once what is too old or too much is gone.
    pub fn held(&self, now: Tick, bounds: &Responses) -> Held {
        let mut shelves = self.0.lock();
        shelves.fit(now, bounds);
        Held { responses: shelves.responses.len(), bytes: shelves.bytes }
    }
}

impl Shelves {
    fn add(&mut self, key: Key, conversation: Conversation, now: Tick) {
        self.bytes += conversation.own_size();
        for item in &conversation.items {
            if item.hold() {
                self.bytes += item.size();
            }
            if let Some(id) = item.id() {
                let fresh = || Indexed { item: Arc::clone(item), holder: key.clone(), holders: 0 };
                let indexed = self.items.entry(key.0.key(id)).or_insert_with(fresh);
                indexed.holders += 1;
                indexed.item = Arc::clone(item);
                indexed.holder = key.clone();
            }
        }
        let use_number = self.number();
        self.unused.insert(use_number, key.clone());
        self.responses.insert(key, Entry { conversation: Arc::new(conversation), use_number, used: now });
    }

    fn forget(&mut self, key: &Key) -> bool {
        let Some(entry) = self.responses.remove(key) else { return false };
        self.unused.remove(&entry.use_number);
        self.bytes = self.bytes.saturating_sub(entry.conversation.own_size());
        for item in &entry.conversation.items {
            if item.release() {
                self.bytes = self.bytes.saturating_sub(item.size());
            }
            let Some(id) = item.id() else { continue };
            let id = key.0.key(id);
            if let Some(indexed) = self.items.get_mut(&id) {
                indexed.holders -= 1;
                if indexed.holders == 0 {
                    self.items.remove(&id);
                }
            }
        }
        true
    }

    /// Forgets what is too old, and then what is too much.
    fn fit(&mut self, now: Tick, bounds: &Responses) {
        while let Some((_, key)) = self.unused.first_key_value() {
            let old = self.responses.get(key).is_none_or(|entry| now.since(entry.used) >= bounds.ttl);
            if !old && self.bytes <= bounds.memory {
                break;
            }
            let key = key.clone();
            self.forget(&key);
        }
    }

    fn use_again(&mut self, key: &Key, now: Tick) -> Option<Arc<Conversation>> {
        let use_number = self.number();
        let entry = self.responses.get_mut(key)?;
        self.unused.remove(&entry.use_number);
        entry.use_number = use_number;
        entry.used = now;
        self.unused.insert(use_number, key.clone());
        Some(Arc::clone(&entry.conversation))
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
