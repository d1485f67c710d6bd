//! What the store says that everybody has spent, whoever asks for it: the same sums that reports are made of.
//!
//! It is read every few seconds by a task of `server`, and never on the way of a request. What it said last is kept, so
//! that somebody whose first request comes later begins with what he spent before. Mirrored attempts are in the sums of
//! the store and in nobody's budget: nobody asked for them but the operator.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::Budgets;
use crate::access::limits::Holder;
use crate::algo::spend::Per;
use crate::vocab::Money;

/// Names that are remembered of one question, those who have spent most; the others have to wait for an answer after
/// their first request.
const MOST: usize = 100_000;

/// A question for the store: what has each of this kind spent since then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wanted {
    pub holder: Holder,
    pub per: Per,
    /// Seconds since the Unix epoch.
    pub since: u64,
}

/// The last answers.
#[derive(Default)]
pub(super) struct Sums(Mutex<HashMap<Wanted, HashMap<Box<str>, Money>>>);

impl Sums {
    pub fn of(&self, holder: Holder, name: &str, per: Per, since: u64) -> u64 {
        let known = self.0.lock();
        let sums = known.get(&Wanted { holder, per, since });
        sums.and_then(|sums| sums.get(name)).copied().unwrap_or_default().as_nano_usd()
    }
}

impl Budgets {
    /// What the store should be asked, in order and none of it twice; nothing while nobody has a budget.
    pub fn wanted(&self) -> Vec<Wanted> {
        self.turn();
        let mut wanted: Vec<Wanted> = self.templates.lock().wanted(self.now()).collect();
        for held in self.shelves.all() {
            let books = held.books.lock();
            wanted.extend(books.purses.iter().map(|known| Wanted {
                holder: held.holder,
                per: known.per,
                since: known.purse.span().begins,
            }));
        }
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// The store's answer: all that was booked anywhere and has reached it.
    pub fn hear(&self, wanted: Wanted, mut sums: HashMap<Box<str>, Money>) {
        for held in self.shelves.all().into_iter().filter(|held| held.holder == wanted.holder) {
            let Some(sum) = sums.get(&*held.name) else { continue };
            let mut books = held.books.lock();
            let of_this = |per, since| per == wanted.per && since == wanted.since;
            for known in &mut books.purses {
                if !of_this(known.per, known.purse.span().begins) {
                    continue;
                }
                match self.common.get() {
                    Some(_) => known.hear_stored(sum.as_nano_usd()),
                    None => known.hear_all_stored(sum.as_nano_usd()),
                }
            }
            books.tell(&held, &self.live.alerts);
        }
        if sums.len() > MOST {
            let mut costs: Vec<Money> = sums.values().copied().collect();
            let (_, least, _) = costs.select_nth_unstable_by(MOST - 1, |one, other| other.cmp(one));
            let least = *least;
            sums.retain(|_, sum| *sum > least);
        }
        let mut known = self.sums.0.lock();
        // Of windows that are over nobody asks any more.
        let is_over = |other: &Wanted| {
            (other.holder, other.per) == (wanted.holder, wanted.per) && other.per != Per::Total
        };
        let over: Vec<_> = known.extract_if(|other, _| is_over(other)).collect();
        let before = known.insert(wanted, sums);
        // Requests wait for who has this.
        drop(known);
        drop((over, before));
    }
}
