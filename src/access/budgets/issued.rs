//! Callers with tokens: what each of an issuer's callers may spend, though nobody knows who they are before they come.
//!
//! They are called `issuer:subject`, as no key can be. What they have spent is asked of the store before any of them
//! has come, so that whoever is seen first begins with it and nobody waits. So many of them are remembered here;
//! whoever asked longest ago is forgotten for those who come, first of all those of whom the store or Redis knows
//! everything, and begins with what they say when he comes again. Nothing here is a metric: their names are none of the
//! configuration's.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::Budgets;
use super::held::{Books, Held, Shelf, Windowed};
use super::known::Wanted;
use crate::access::limits::Holder;
use crate::config::{Budget, Issuer, Level};
use crate::state::alerts::Alerts;

/// Callers that are remembered at a time, of about 700 bytes each with one budget.
pub(super) const MOST: usize = 16_384;
/// From so many on, some are forgotten before others come.
pub(super) const CROWDED: usize = MOST / 8 * 7;
/// Of those, how many are forgotten ahead.
const AT_ONCE: usize = MOST / 8;
/// Of so many one goes where there are too many all the same.
const FEW: usize = 16;
/// As many are looked at before others have their turn.
const STRIDE: usize = 256;
/// Between two times that all of them are looked at.
const PAUSE: Duration = Duration::from_millis(100);
/// All callers with tokens are of this kind.
const HOLDER: Holder = Holder::Member(Level::Key);

/// What issuers let each of their callers spend.
#[derive(Default)]
pub(super) struct Templates(Vec<(Arc<str>, Arc<[Budget]>)>);

impl Templates {
    pub fn of<'a>(issuers: impl Iterator<Item = &'a Issuer>) -> Self {
        let with = issuers.filter(|issuer| !issuer.own.budgets.is_empty());
        Self(with.map(|issuer| (Arc::clone(&issuer.name), Arc::clone(&issuer.own.budgets))).collect())
    }

    /// The budgets of the caller of this name, where he is an issuer's.
    pub fn find(&self, holder: Holder, name: &str) -> Option<&Arc<[Budget]>> {
        let (issuer, _) = name.split_once(':').filter(|_| holder.is_issued(name))?;
        self.0.iter().find(|(name, _)| **name == *issuer).map(|(_, budgets)| budgets)
    }

    pub fn budgets(&self) -> impl Iterator<Item = &Budget> {
        self.0.iter().flat_map(|(_, budgets)| budgets.iter())
    }

    /// What the store is to be asked, though nobody may have come yet.
    pub fn wanted(&self, now: Duration) -> impl Iterator<Item = Wanted> {
        self.budgets().map(move |budget| Wanted {
            holder: HOLDER,
            per: budget.per,
            since: budget.per.span(budget.starts, now).begins,
        })
    }
}

/// How much it would matter to forget somebody, the least first.
type Weight = (Known, Duration);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    /// Somebody else has all of it.
    Elsewhere,
    HereAlone,
}

impl Books {
    fn weight(&self) -> Weight {
        let is_known = self.purses.iter().all(Windowed::is_known_elsewhere);
        (if is_known { Known::Elsewhere } else { Known::HereAlone }, self.used)
    }
}

/// How room is made. Looking at all of them takes a while, so that is done beside the requests and ahead of need; where
/// more come at once than that can bear, each of them takes the place of another one.
#[derive(Default)]
pub(super) struct Room {
    /// Rung where there are too many.
    crowded: Notify,
    /// Where those were looked for last who go at once.
    next: AtomicUsize,
}

impl Room {
    /// For one more, at once: of a few without a request under way goes who matters least. Only requests under way can
    /// keep more than so many on the shelf.
    pub fn make(&self, shelf: &mut HashMap<Arc<str>, Arc<Held>>, alerts: &Alerts) {
        if shelf.len() >= CROWDED {
            self.crowded.notify_one();
        }
        if shelf.len() < MOST {
            return;
        }
        let from = self.next.fetch_add(FEW, Relaxed) % shelf.len();
        let round = shelf.values().skip(from).chain(shelf.values().take(from));
        let few = round.filter(|held| !held.has_requests()).take(FEW);
        let Some(gone) = few.min_by_key(|held| held.books.lock().weight()).map(Arc::clone) else { return };
        shelf.remove(&gone.name);
        gone.books.lock().forget(&gone, alerts);
    }

    /// For many, ahead of need.
    pub async fn make_ahead(&self, shelf: &Shelf, alerts: &Alerts) {
        let all: Vec<Arc<Held>> = shelf.read().values().cloned().collect();
        if all.len() < CROWDED {
            return;
        }
        let mut weighed: Vec<(Weight, &Arc<Held>)> = Vec::with_capacity(all.len());
        for some in all.chunks(STRIDE) {
            let idle = some.iter().filter(|held| !held.has_requests());
            weighed.extend(idle.map(|held| (held.books.lock().weight(), held)));
            yield_now().await;
        }
        weighed.sort_unstable_by_key(|(weight, _)| *weight);
        weighed.truncate(AT_ONCE);
        for some in weighed.chunks(STRIDE) {
            forget(some, shelf, alerts);
            yield_now().await;
        }
    }
}

/// Of these go all who are as they were when they were weighed.
fn forget(some: &[(Weight, &Arc<Held>)], shelf: &Shelf, alerts: &Alerts) {
    let mut shelf = shelf.write();
    for (weight, held) in some {
        let mut books = held.books.lock();
        // He may have asked for something since, or have gone and come again.
        let is_he = shelf.get(&held.name).is_some_and(|now| Arc::ptr_eq(now, held));
        if is_he && !held.has_requests() && books.weight() == *weight {
            shelf.remove(&held.name);
            books.forget(held, alerts);
        }
    }
}

impl Budgets {
    /// Forgets callers with tokens before there are too many of them, for as long as the process lives.
    pub async fn make_room(self: Arc<Self>) {
        loop {
            self.shelves.room.crowded.notified().await;
            self.shelves.room.make_ahead(self.shelves.issued(), &self.live.alerts).await;
            sleep(PAUSE).await;
        }
    }
}
