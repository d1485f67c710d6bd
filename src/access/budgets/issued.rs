//! Callers with tokens: what each of an issuer's callers may spend, though nobody knows who they are before they come.
//!
//! They are called `issuer:subject`, as no key can be. What they have spent is asked of the store before any of them has come, so
//! that whoever is seen first begins with it and nobody waits. So many of them are remembered here; whoever
//! asked longest ago is forgotten for those who come, first of all those of whom the store or Redis knows everything, and
//! begins with what they say when he comes again. Nothing here is a metric: their names are none of the configuration's.

use std::sync::Arc;
use std::time::Duration;

use super::held::{Books, Held, Windowed};
use super::known::Wanted;
use crate::access::limits::Holder;
use crate::config::{Budget, Issuer, Level};
use crate::state::alerts::Alerts;

/// Callers that are remembered at a time, of about 700 bytes each with one budget.
pub(super) const MOST: usize = 16_384;
/// Of those, how many are forgotten at once.
const AT_ONCE: usize = MOST / 8;
/// All callers with tokens are of this kind.
const HOLDER: Holder = Holder::Member(Level::Key);

/// Whether somebody of this kind and name has a token and no key.
pub(super) fn is_issued(holder: Holder, name: &str) -> bool {
    holder == HOLDER && name.contains(':')
}

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
        let (issuer, _) = name.split_once(':').filter(|_| is_issued(holder, name))?;
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

/// Who goes of `all`, that others may come: nobody with a request under way.
pub(super) fn to_forget(all: &[Arc<Held>], alerts: &Alerts) -> Vec<Arc<Held>> {
    // One reference is the shelf's, one this list's.
    let idle = all.iter().filter(|held| Arc::strong_count(held) <= 2);
    let mut weighed: Vec<(Weight, &Arc<Held>)> =
        idle.map(|held| (held.books.lock().weight(), held)).collect();
    weighed.sort_by_key(|(weight, _)| *weight);
    let gone = weighed.into_iter().take(AT_ONCE).map(|(_, held)| Arc::clone(held));
    gone.inspect(|held| held.books.lock().forget(held, alerts)).collect()
}
