//! What a request has reserved of everybody's budgets, and what its attempts turn out to cost.
//!
//! It hears of each attempt as its books do, and is let go of by the request and by every permit; the last one
//! settles it. So hedges that lost, legs and failed attempts that cost are in it, however late they end.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use smallvec::SmallVec;

use super::held::Books;
use super::{Budgets, Subject, Subjects};
use crate::algo::spend::Entry;
use crate::state::books::{self, Attempt};
use crate::telemetry::catalogue;
use crate::vocab::Money;

/// Of which subject, in which window, and what.
pub(super) type Entries = SmallVec<[(usize, usize, Entry); 4]>;

/// Dropped, it books what was spent and gives back the rest.
pub struct Reserved {
    budgets: Arc<Budgets>,
    subjects: Subjects,
    entries: Entries,
    /// In nano-USD.
    cost: AtomicU64,
}

impl Reserved {
    pub(super) fn new(budgets: &Arc<Budgets>, subjects: Subjects, entries: Entries) -> Self {
        Self { budgets: Arc::clone(budgets), subjects, entries, cost: AtomicU64::new(0) }
    }

    /// One of its attempts has ended; nobody knows what it cost where that is `None`.
    pub fn spend(&self, cost: Option<Money>) {
        match cost {
            Some(cost) => {
                let add = |sum: u64| Some(sum.saturating_add(cost.as_nano_usd()));
                // It always adds.
                let _ = self.cost.fetch_update(Relaxed, Relaxed, add);
            }
            None => self.budgets.metrics().counter(&catalogue::BUDGET_UNPRICED, &[]).increment(1),
        }
    }
}

impl Reserved {
    /// Looks at everything that is reserved, with its number.
    pub(super) fn each(&mut self, mut look: impl FnMut(usize, &Subject, &mut Books, usize, &mut Entry)) {
        for (number, (place, at, entry)) in self.entries.iter_mut().enumerate() {
            let subject = &self.subjects.0[*place];
            look(number, subject, &mut subject.guest.held.books.lock(), *at, entry);
        }
    }

    /// It is given back as if it had never been, and somebody else decides.
    pub(super) fn withdraw(mut self) -> Subjects {
        self.settle();
        std::mem::take(&mut self.subjects)
    }

    fn settle(&mut self) {
        let cost = *self.cost.get_mut();
        for (place, at, entry) in self.entries.drain(..) {
            let held = &self.subjects.0[place].guest.held;
            let mut books = held.books.lock();
            books.purses[at].settle(entry, cost);
            books.tell(held, &self.budgets.live.alerts);
            if let Some(common) = self.budgets.common.get() {
                common.ring(held, &mut books);
            }
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.settle();
    }
}

/// The books of a request that is held against budgets.
pub struct Paid {
    reserved: Reserved,
    books: Arc<dyn books::Books>,
}

impl Paid {
    /// `books` hear of everything as they would without it.
    pub fn new(reserved: Reserved, books: Arc<dyn books::Books>) -> Arc<Self> {
        Arc::new(Self { reserved, books })
    }
}

impl books::Books for Paid {
    fn begins(&self) -> u32 {
        self.books.begins()
    }

    fn ended(&self, attempt: &Attempt<'_>) -> Option<Money> {
        let cost = self.books.ended(attempt);
        self.reserved.spend(cost);
        cost
    }
}

impl fmt::Debug for Paid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Paid").field(&self.books).finish()
    }
}
