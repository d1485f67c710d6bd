//! Ids of tool calls, the same for a call and its result.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use sha2::{Digest, Sha256};

use crate::dialect::hub::{Call, Outcome};

/// The ids of calls and their results: the caller's where the API takes them and they occur once.
#[derive(Debug, Default)]
pub struct Ids<'p> {
    nonce: String,
    used: HashSet<String>,
    /// By each of the caller's ids: the calls that have no result yet, and the last that has one.
    called: HashMap<&'p str, Called>,
    /// Calls without an id that have no result yet: their names and ids.
    open: Vec<(&'p str, String)>,
}

/// Calls of one id: some vendors' come again in later turns, or in one answer.
#[derive(Debug, Default)]
pub struct Called {
    waiting: VecDeque<String>,
    answered: Option<String>,
}

impl Called {
    pub fn wait(&mut self, id: String) {
        self.waiting.push_back(id);
    }

    /// The call that the next result is of.
    pub fn answer(&mut self) -> Option<String> {
        self.answered = self.waiting.pop_front().or_else(|| self.answered.take());
        self.answered.clone()
    }
}

impl<'p> Ids<'p> {
    pub fn new(nonce: &str) -> Self {
        Self { nonce: nonce.to_owned(), ..Self::default() }
    }

    pub fn of_call(&mut self, call: &'p Call<'_>) -> Cow<'p, str> {
        let mut id = if call.id.is_empty() {
            format!("toolu_{}_{}", self.nonce, self.used.len())
        } else {
            accepted(&call.id).into_owned()
        };
        if self.used.contains(&id) {
            id = format!("{id}_{}", self.used.len());
        }
        self.used.insert(id.clone());
        if call.id.is_empty() {
            self.open.push((&call.name, id.clone()));
        } else {
            self.called.entry(&call.id).or_default().wait(id.clone());
        }
        Cow::Owned(id)
    }

    pub fn of_outcome(&mut self, outcome: &'p Outcome<'_>) -> Cow<'p, str> {
        if !outcome.call_id.is_empty() {
            let known = self.called.get_mut(&*outcome.call_id).and_then(Called::answer);
            return known.map_or_else(|| accepted(&outcome.call_id), Cow::Owned);
        }
        let named = self.open.iter().position(|(name, _)| Some(*name) == outcome.name.as_deref());
        let index = named.or((!self.open.is_empty()).then_some(0));
        let id = index.map(|index| self.open.remove(index).1);
        Cow::Owned(id.unwrap_or_else(|| format!("toolu_{}_{}", self.nonce, self.used.len())))
    }
}

/// The id itself, or one that follows from it: the API takes letters, digits, `_` and `-` only.
fn accepted(id: &str) -> Cow<'_, str> {
    if id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        return Cow::Borrowed(id);
    }
    let digest = Sha256::digest(id.as_bytes());
    let digits = digest.iter().take(12).map(|byte| format!("{byte:02x}"));
    Cow::Owned(std::iter::once("toolu_".to_owned()).chain(digits).collect())
}
