//! What callers may spend: the budgets of a request's key, of everybody above that, and of the route that serves it.
//!
//! | file | job |
//! |---|---|
//! | `held` | what somebody has spent in his windows, where that is found, and what is said when a share of it is |
//! | `paid` | what a request has reserved, and what its attempts cost, until the last of them has ended |
//! | `issued` | callers with tokens, whom nobody knows before they come |
//! | `common` | the same for all replicas together, where there is a Redis |
//! | `known` | what the store says that everybody has spent |
//!
//! What a request can cost at most is reserved at all of its holders at once, or at none. What it did cost is booked in
//! its place when the last of its attempts has ended. Replicas that share a store hear of each other's spending within
//! seconds, those that share a Redis let requests in together; `algo::spend` says by how much a limit can be
//! overrun. What a refused caller is told, and where a
//! request goes instead, is the proxy's affair. Alone, nothing here waits.

mod common;
mod held;
mod issued;
mod known;
mod paid;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;
use tokio::sync::Notify;

pub use held::Seen;
pub use known::Wanted;
pub use paid::{Paid, Reserved};

use common::{Common, Judged};
use held::{Books, Guest, Shelves};
use issued::Templates;
use known::Sums;

use super::limits::Holder;
use super::{Caller, Key};
use crate::algo::spend::{Grant, Per};
use crate::config::{self, Budget, Exceeded, Issuer, Level, Lineage, Member, Unpriced};
use crate::shared::Waited;
use crate::state::Live;
use crate::state::alerts::Alerts;
use crate::telemetry::{Metrics, catalogue};
use crate::vocab::Money;

/// What everybody has spent.
pub struct Budgets {
    live: Arc<Live>,
    shelves: Shelves,
    templates: Mutex<Templates>,
    sums: Sums,
    common: OnceLock<Arc<Common>>,
    /// Rung when somebody may have other budgets than before.
    news: Notify,
}

/// Everybody whose budgets a request is held against: from the top of the tree down, its route last, so that two
/// requests never wait for each other.
#[derive(Clone, Default)]
pub struct Subjects(Arc<[Subject]>);

/// Somebody with the budgets that a request finds.
#[derive(Clone)]
struct Subject {
    guest: Guest,
    budgets: Arc<[Budget]>,
}

/// Why a request is not let in as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broke {
    /// Somebody has too little left for it.
    Refused(Box<Refused>),
    /// The same, and the route of this name would serve it.
    Downgraded(Arc<str>, Box<Refused>),
}

/// Whose budget refuses a request, and how that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub holder: Holder,
    pub name: Arc<str>,
    pub per: Per,
    pub limit: Money,
    pub spent: Money,
    /// By requests under way.
    pub reserved: Money,
    /// In seconds since the Unix epoch, where it ever ends.
    pub ends: Option<u64>,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nothing is left.
    Spent,
    /// What is left may be spent by requests under way.
    Reserved,
    /// Nobody knows what it would cost.
    Unpriced,
}

impl Why {
    const fn name(self) -> &'static str {
        match self {
            Self::Spent => "spent",
            Self::Reserved => "reserved",
            Self::Unpriced => "unpriced",
        }
    }
}

impl Budgets {
    pub fn new(live: &Arc<Live>) -> Arc<Self> {
        live.metrics.counter(&catalogue::BUDGET_UNPRICED, &[]).increment(0);
        Arc::new(Self {
            live: Arc::clone(live),
            shelves: Shelves::default(),
            templates: Mutex::default(),
            sums: Sums::default(),
            common: OnceLock::new(),
            news: Notify::new(),
        })
    }

    /// Whose budgets a request of `caller` is held against that this route serves; nobody's where nobody has any, or
    /// where he pays the provider himself.
    pub fn subjects(&self, caller: &Caller, route: &config::Route) -> Subjects {
        if caller.own().is_some() {
            return Subjects::default();
        }
        let members = |key: &Arc<Key>| {
            let looked_for = || self.members(&key.lineage);
            // Others may take the place of a caller with a token while nothing of his is under way.
            if Holder::Member(Level::Key).is_issued(&key.name) {
                return looked_for();
            }
            key.found.budgets.get_or_init(looked_for).clone()
        };
        let members = caller.key().map(members).unwrap_or_default();
        if route.budgets.is_empty() {
            return members;
        }
        let route = self.subject(Holder::Route, &route.name, &route.budgets);
        Subjects(members.0.iter().cloned().chain([route]).collect())
    }

    /// Those of a key and of all above it.
    fn members(&self, lineage: &Lineage) -> Subjects {
        let with = lineage.members().iter().filter(|member| !member.budgets.is_empty());
        let subject =
            |member: &Arc<Member>| self.subject(Holder::Member(member.level), &member.name, &member.budgets);
        Subjects(with.map(subject).collect())
    }

    fn subject(&self, holder: Holder, name: &Arc<str>, budgets: &Arc<[Budget]>) -> Subject {
        let guest = self.shelves.held(holder, name, &self.live.alerts);
        Subject { guest, budgets: Arc::clone(budgets) }
    }

    /// Makes those known who have budgets, before any of their requests come; whoever has none any more is not shown.
    /// Callers of `issuers` are known when they come.
    pub fn expect<'a>(
        &self,
        lineages: &'a [Lineage],
        issuers: impl Iterator<Item = &'a Issuer>,
        routes: impl Iterator<Item = &'a config::Route>,
    ) {
        let members = lineages.iter().flat_map(Lineage::members);
        let members = members.map(|member| (Holder::Member(member.level), &member.name, &member.budgets));
        let routes = routes
            .inspect(|route| self.count_from_nothing(route))
            .map(|route| (Holder::Route, &route.name, &route.budgets));
        let with = members.chain(routes).filter(|(_, _, budgets)| !budgets.is_empty());
        let present: HashMap<(Holder, &str), &Arc<[Budget]>> =
            with.map(|(holder, name, budgets)| ((holder, &**name), budgets)).collect();
        for ((holder, name), budgets) in &present {
            self.shelves.held(*holder, &Arc::from(*name), &self.live.alerts);
            budgets.iter().for_each(|budget| self.count_refusals_from_nothing(*holder, budget));
        }
        let templates = Templates::of(issuers);
        let key = Holder::Member(Level::Key);
        templates.budgets().for_each(|budget| self.count_refusals_from_nothing(key, budget));
        let now = self.now();
        for held in self.shelves.all() {
            let none = Arc::default();
            let present = present.get(&(held.holder, &*held.name)).copied();
            let budgets = present.or_else(|| templates.find(held.holder, &held.name)).unwrap_or(&none);
            let mut books = held.books.lock();
            books.meet(&held, budgets, self.beside(), now);
        }
        *self.templates.lock() = templates;
    }

    fn count_refusals_from_nothing(&self, holder: Holder, budget: &Budget) {
        for why in [Why::Spent, Why::Reserved] {
            let labels = [holder.name(), budget.per.name(), why.name()];
            self.metrics().counter(&catalogue::BUDGET_REFUSALS, &labels).increment(0);
        }
    }

    /// Somebody may have other budgets than before: what was spent of them has to be found out.
    pub fn changed(&self) {
        self.news.notify_one();
    }

    /// Waits until [`Self::changed`] is called, or returns at once if it was since the last time.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Lets what may stay silent for long begin at 0.
    fn count_from_nothing(&self, route: &config::Route) {
        self.metrics().counter(&catalogue::TOO_DEAR, &[&route.name]).increment(0);
        for budget in route.budgets.iter() {
            if let Exceeded::Downgrade(to) = &budget.exceeded {
                self.metrics().counter(&catalogue::BUDGET_DOWNGRADES, &[&route.name, to]).increment(0);
            }
        }
    }

    /// Whether somebody lets nothing in that has no price.
    pub fn unpriced(&self, subjects: &Subjects) -> Unpriced {
        if subjects.strict(|| self.now()).is_some() { Unpriced::Refuse } else { Unpriced::Allow }
    }

    /// Reserves what a request may cost, `most`, if all of `subjects` let it in; `None`: nobody knows it. `serving` is
    /// the route that would serve it, and whether it may still be given to another one is the caller's to know.
    /// `waited`: for Redis, so far.
    ///
    /// # Errors
    /// Somebody does not, or would have another route serve it.
    pub async fn reserve(
        self: &Arc<Self>,
        subjects: Subjects,
        most: Option<Money>,
        serving: &str,
        waited: &mut Waited,
    ) -> Result<Reserved, Broke> {
        let Some(common) = self.common.get() else { return self.alone(subjects, most, serving, 1) };
        if most.is_none()
            && let Some((subject, budget)) = subjects.strict(|| self.now())
        {
            let mut books = subject.guest.held.books.lock();
            books.meet(&subject.guest.held, &subject.budgets, self.beside(), self.now());
            return Err(Broke::Refused(Box::new(subject.unpriced(&books, budget))));
        }
        match common.reserve(self, subjects, most, serving, waited).await {
            Judged::Decided(decided) => decided,
            Judged::Nobody(subjects, replicas) => self.alone(subjects, most, serving, replicas),
        }
    }

    /// The same by what is known here, by one of so many `replicas`.
    fn alone(
        self: &Arc<Self>,
        subjects: Subjects,
        most: Option<Money>,
        serving: &str,
        replicas: u32,
    ) -> Result<Reserved, Broke> {
        let (now, amount) = (self.now(), most.unwrap_or_default().as_nano_usd());
        let mut books = subjects.lock();
        let mut downgrade = None;
        let mut grants: SmallVec<[(usize, usize, Grant); 4]> = SmallVec::new();
        for (place, (book, subject)) in books.iter_mut().zip(subjects.0.iter()).enumerate() {
            book.meet(&subject.guest.held, &subject.budgets, self.beside(), now);
            book.used = now;
            let in_force = |budget: &&Budget| is_in_force(budget, now);
            for budget in subject.budgets.iter().filter(in_force) {
                let at = book.place(budget);
                let refused = |book: &Books| subject.refused(book, budget);
                if most.is_none() && budget.unpriced == Unpriced::Refuse {
                    return Err(Broke::Refused(Box::new(subject.unpriced(book, budget))));
                }
                let purse = &mut book.purses[at].purse;
                let part = purse.part(budget.limit.as_nano_usd(), replicas);
                let judged = purse.judge(part, amount);
                match (judged, &budget.exceeded) {
                    (None, Exceeded::Refuse) => {
                        return Err(Broke::Refused(Box::new(refused(book))));
                    }
                    (None, Exceeded::Downgrade(to)) if **to != *serving => {
                        downgrade.get_or_insert_with(|| (Arc::clone(to), refused(book)));
                    }
                    (None, Exceeded::Downgrade(_) | Exceeded::Alert) | (Some(_), _) => {}
                }
                // What is served all the same counts as any other does, and is nobody's last one.
                let grant = judged.unwrap_or(Grant::Within);
                match grants.iter_mut().find(|(other, known, _)| (*other, *known) == (place, at)) {
                    Some((_, _, known)) => *known = (*known).max(grant),
                    None => grants.push((place, at, grant)),
                }
            }
        }
        if let Some((to, refused)) = downgrade {
            return Err(Broke::Downgraded(to, Box::new(refused)));
        }
        let entries = grants
            .into_iter()
            .map(|(place, at, grant)| (place, at, books[place].purses[at].reserve(amount, grant)))
            .collect();
        drop(books);
        Ok(Reserved::new(self, subjects, entries))
    }

    /// Everybody with budgets as they stand here, in the order of the tree.
    pub fn seen(&self) -> Vec<Seen> {
        self.shelves.seen(&self.sums, &self.live.alerts, self.now())
    }

    /// Lets windows that are over end, though nobody asks for anything.
    pub fn turn(&self) {
        self.shelves.turn(&self.sums, &self.live.alerts, self.now());
    }

    /// A request is refused, and goes nowhere else.
    pub fn count(&self, refused: &Refused) {
        let labels = [refused.holder.name(), refused.per.name(), refused.why.name()];
        self.live.metrics.counter(&catalogue::BUDGET_REFUSALS, &labels).increment(1);
    }

    /// Since the Unix epoch.
    fn now(&self) -> Duration {
        self.live.clock.unix_now()
    }

    /// What books have to know of others, and whom they tell.
    fn beside(&self) -> (&Sums, &Alerts) {
        (&self.sums, &self.live.alerts)
    }

    fn metrics(&self) -> &Metrics {
        &self.live.metrics
    }
}

fn is_in_force(budget: &Budget, now: Duration) -> bool {
    budget.starts.is_none_or(|starts| starts <= now)
}

impl Subject {
    /// How it stands with a budget of his that has too little left for a request.
    fn refused(&self, book: &Books, budget: &Budget) -> Refused {
        let purse = &book.purses[book.place(budget)].purse;
        let is_spent = purse.spent() >= budget.limit.as_nano_usd();
        let why = if is_spent { Why::Spent } else { Why::Reserved };
        Refused {
            holder: self.guest.held.holder,
            name: Arc::clone(&self.guest.held.name),
            per: budget.per,
            limit: budget.limit,
            spent: Money::nano_usd(purse.spent()),
            reserved: Money::nano_usd(purse.reserved()),
            ends: purse.span().ends,
            why,
        }
    }

    /// The same where nobody knows what the request would cost.
    fn unpriced(&self, book: &Books, budget: &Budget) -> Refused {
        Refused { why: Why::Unpriced, ..self.refused(book, budget) }
    }
}

impl Subjects {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose budget lets nothing in that has no price, now that it is in force.
    fn strict(&self, now: impl Fn() -> Duration) -> Option<(&Subject, &Budget)> {
        let mut all =
            self.0.iter().flat_map(|subject| subject.budgets.iter().map(move |budget| (subject, budget)));
        all.find(|(_, budget)| budget.unpriced == Unpriced::Refuse && is_in_force(budget, now()))
    }

    /// Everybody's at once, in the order in which everybody takes them.
    fn lock(&self) -> SmallVec<[MutexGuard<'_, Books>; 5]> {
        self.0.iter().map(|subject| subject.guest.held.books.lock()).collect()
    }
}
