//! What somebody with limits has used, and where that is found.
//!
//! It outlives reloads, for it is found by name. Who has used nothing for as long as anything counts is forgotten when
//! his shelf fills up, so that names which come and go do not pile up.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;

use super::booking::Told;
use super::{Holder, Row};
use crate::algo::limit::{Allowance, Booked, Tally, Unit};
use crate::algo::tick::Tick;

/// Shelves for each kind of holder.
const SHELVES: usize = 8;
/// Names on a shelf from which on it is cleared of those who are not needed.
const FULL: usize = 1024;

/// Somebody with limits.
pub struct Held {
    pub holder: Holder,
    pub name: Arc<str>,
    pub(super) books: Mutex<Books>,
}

/// What he has used.
#[derive(Default)]
pub(super) struct Books {
    /// By what this replica has granted.
    pub all: Tally,
    /// Of it, what the other replicas have not heard of.
    pub untold: Tally,
    /// When that was taken to be told.
    pub drained: Tick,
    /// What the last request found that he may use.
    pub allowance: Allowance,
}

impl Books {
    pub fn enter(&mut self, allowance: Allowance) {
        self.all.enter();
        self.allowance = allowance;
    }

    pub fn book(&mut self, allowance: Allowance, booked: Booked, told: Told) {
        self.all.book(allowance, booked);
        if told == Told::Later {
            self.untold.book(allowance, booked);
        }
    }
}

/// Somebody with the limits that a request finds.
#[derive(Clone)]
pub(super) struct Subject {
    pub held: Arc<Held>,
    pub allowance: Allowance,
}

/// How somebody stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub holder: Holder,
    pub name: Arc<str>,
    pub rows: Vec<Row>,
}

impl Seen {
    /// Whether it is a caller with a token, whose name is none of the configuration's.
    pub fn is_issued(&self) -> bool {
        self.holder.is_issued(&self.name)
    }
}

type Shelf = Mutex<HashMap<Arc<str>, Arc<Held>>>;

#[derive(Default)]
pub(super) struct Shelves {
    shelves: [[Shelf; SHELVES]; Holder::ALL.len()],
    hasher: RandomState,
}

impl Shelves {
    pub fn held(&self, holder: Holder, name: &Arc<str>, now: Tick) -> Arc<Held> {
        let kind = Holder::ALL.iter().position(|other| *other == holder).unwrap_or_default();
        let place = self.hasher.hash_one(name) as usize % SHELVES;
        let mut shelf = self.shelves[kind][place].lock();
        if let Some(held) = shelf.get(name) {
            return Arc::clone(held);
        }
        if shelf.len() >= FULL && shelf.len().is_power_of_two() {
            let needed =
                |held: &Arc<Held>| Arc::strong_count(held) > 1 || !held.books.lock().all.is_idle(now);
            shelf.retain(|_, held| needed(held));
        }
        let held = Held { holder, name: Arc::clone(name), books: Mutex::default() };
        Arc::clone(shelf.entry(Arc::clone(name)).or_insert_with(|| Arc::new(held)))
    }

    pub fn is_empty(&self) -> bool {
        self.shelves.iter().flatten().all(|shelf| shelf.lock().is_empty())
    }

    pub fn all(&self) -> Vec<Arc<Held>> {
        let shelves = self.shelves.iter().flatten();
        shelves.flat_map(|shelf| shelf.lock().values().cloned().collect::<Vec<_>>()).collect()
    }

    pub fn seen(&self, now: Tick) -> Vec<Seen> {
        let mut all = self.all();
        let rank = |held: &Held| Holder::ALL.iter().position(|holder| *holder == held.holder);
        all.sort_by(|one, other| (rank(one), &one.name).cmp(&(rank(other), &other.name)));
        let seen = all.into_iter().map(|held| {
            let mut books = held.books.lock();
            let allowance = books.allowance;
            let rows = books.all.used(allowance, now).map(|used| Row::new(used, now)).collect();
            Seen { holder: held.holder, name: Arc::clone(&held.name), rows }
        });
        seen.collect()
    }
}

impl Held {
    /// Where all replicas count a unit of his.
    pub(super) fn key(&self, unit: Unit) -> String {
        format!("{}:{}:{}", self.holder.name(), self.name, unit.name())
    }
}
