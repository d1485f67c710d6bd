//! What somebody with limits has used, and where that is found.
//!
//! It outlives reloads, for it is found by name. Who has used nothing for as long as anything counts is forgotten when
//! his shelf fills up, so that names which come and go do not pile up.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::booking::Told;
use super::{Holder, Row};
use crate::algo::limit::{Allowance, Booked, Tally, Unit};
use crate::algo::tick::Tick;

/// Names of one kind from which on those are cleared away who are not needed.
const FULL: usize = 8192;

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

type Shelf = RwLock<HashMap<Arc<str>, Arc<Held>>>;

/// One for each kind of holder.
#[derive(Default)]
pub(super) struct Shelves([Shelf; Holder::ALL.len()]);

impl Shelves {
    pub fn held(&self, holder: Holder, name: &Arc<str>, now: Tick) -> Arc<Held> {
        let kind = Holder::ALL.iter().position(|other| *other == holder).unwrap_or_default();
        if let Some(held) = self.0[kind].read().get(name) {
            return Arc::clone(held);
        }
        let mut shelf = self.0[kind].write();
        if shelf.len() >= FULL && shelf.len().is_power_of_two() {
            let needed =
                |held: &Arc<Held>| Arc::strong_count(held) > 1 || !held.books.lock().all.is_idle(now);
            shelf.retain(|_, held| needed(held));
        }
        let held = || Arc::new(Held { holder, name: Arc::clone(name), books: Mutex::default() });
        Arc::clone(shelf.entry(Arc::clone(name)).or_insert_with(held))
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|shelf| shelf.read().is_empty())
    }

    pub fn all(&self) -> Vec<Arc<Held>> {
        self.0.iter().flat_map(|shelf| shelf.read().values().cloned().collect::<Vec<_>>()).collect()
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
