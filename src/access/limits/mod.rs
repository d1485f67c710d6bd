//! What callers may use: the limits of a request's key, of everybody above that, and of its route, held against what
//! each has used, all in one step.
//!
//! | file | job |
//! |---|---|
//! | `held` | what somebody has used, and where that is found |
//! | `booking` | what a request has taken, until its end tells what it really was |
//! | `common` | the same for all replicas together, where there is a Redis |
//!
//! A request is granted by everybody or by nobody, and then nothing is counted anywhere. Where replicas share a Redis
//! it decides; does it not answer in time, each replica grants its own part of every limit, and tells what it has
//! granted when Redis is back. Alone, nothing here waits. What a refused caller is told is the proxy's affair.

mod booking;
mod common;
mod held;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::MutexGuard;
use smallvec::SmallVec;

pub use booking::Booking;
pub use held::Seen;

use booking::Told;
use common::{Common, Judged};
use held::{Books, Shelves, Subject};

use super::{Caller, Key};
use crate::algo::limit::{Allowance, Booked, Short, Unit, Used, When};
use crate::algo::tick::Tick;
use crate::config::{Level, Lineage, Member};
use crate::shared::{Tallies, Wait, Waited};
use crate::state::Live;
use crate::telemetry::catalogue;

/// Who has a limit, or a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A key, or whoever is above it.
    Member(Level),
    Route,
}

impl Holder {
    pub const ALL: [Self; 5] = [
        Self::Member(Level::Organisation),
        Self::Member(Level::Team),
        Self::Member(Level::User),
        Self::Member(Level::Key),
        Self::Route,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Member(level) => level.name(),
            Self::Route => "route",
        }
    }

    /// Whether somebody of this kind and name has a token and no key: he is called `issuer:subject`, as no key can be.
    pub fn is_issued(self, name: &str) -> bool {
        self == Self::Member(Level::Key) && name.contains(':')
    }
}

/// Everybody whose limits a request is held against: from the top of the tree down, its route last, so that two
/// requests never wait for each other.
#[derive(Clone, Default)]
pub struct Subjects(Arc<[Subject]>);

/// How many requests each subject has, with the turn of that number.
type Present = SmallVec<[(u64, u32); 4]>;

/// How a limit stands once a request has been judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub unit: Unit,
    pub limit: u64,
    /// The request included, where it is granted.
    pub used: u64,
    /// Until nothing of it is used, at the latest.
    pub whole_in: Duration,
}

/// Why a request is not granted: the limit that it would have to wait for longest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub holder: Holder,
    pub name: Arc<str>,
    pub unit: Unit,
    pub limit: u64,
    pub until: Until,
    pub rows: Vec<Row>,
}

/// When it would be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Another request of the same holder ends.
    Freed,
    In(Duration),
    Never,
}

/// What everybody has used.
pub struct Limiter {
    live: Arc<Live>,
    shelves: Shelves,
    common: OnceLock<Arc<Common>>,
}

impl Limiter {
    pub fn new(live: &Arc<Live>) -> Arc<Self> {
        for holder in Holder::ALL {
            for unit in Unit::ALL {
                let _ = live.metrics.counter(&catalogue::LIMIT_REFUSALS, &[holder.name(), unit.name()]);
            }
        }
        Arc::new(Self { live: Arc::clone(live), shelves: Shelves::default(), common: OnceLock::new() })
    }

    /// Lets replicas count together. Only the first call means anything.
    pub fn share(&self, tallies: Tallies) {
        self.common.get_or_init(|| Common::new(tallies, &self.live.metrics));
    }

    /// Whose limits a request of `caller` is held against; nobody's where nobody has any.
    pub fn subjects(&self, caller: &Caller, (route, allowance): (&Arc<str>, Allowance)) -> Subjects {
        let members = |key: &Arc<Key>| key.found.limits.get_or_init(|| self.members(&key.lineage)).clone();
        let members = caller.key().map(members).unwrap_or_default();
        if allowance.is_unlimited() {
            return members;
        }
        let route = self.subject(Holder::Route, route, allowance);
        Subjects(members.0.iter().cloned().chain([route]).collect())
    }

    /// Those of a key and of all above it.
    fn members(&self, lineage: &Lineage) -> Subjects {
        let limited = lineage.members().iter().filter(|member| !member.limits.is_unlimited());
        let subject =
            |member: &Arc<Member>| self.subject(Holder::Member(member.level), &member.name, member.limits);
        Subjects(limited.map(subject).collect())
    }

    fn subject(&self, holder: Holder, name: &Arc<str>, allowance: Allowance) -> Subject {
        Subject { held: self.shelves.held(holder, name, self.live.now()), allowance }
    }

    /// Counts a request that is estimated to take so many tokens, if all of `subjects` grant it.
    ///
    /// # Errors
    /// Somebody does not.
    pub async fn reserve(
        self: &Arc<Self>,
        subjects: Subjects,
        tokens: u64,
        waited: &mut Waited,
    ) -> Result<(Booking, Vec<Row>), Box<Refused>> {
        let Some(common) = self.common.get() else {
            return self.alone(subjects, tokens, Allowance::clone, Told::Nobody);
        };
        let (subjects, told) = match common.reserve(self, subjects, tokens, waited).await {
            Judged::Granted(booking, rows) => return Ok((booking, rows)),
            Judged::Refused(refused) => return Err(refused),
            Judged::Nobody(subjects, told) => (subjects, told),
        };
        let replicas = common.replicas();
        self.alone(subjects, tokens, |whole| whole.part(replicas, tokens), told)
    }

    /// What everybody has used at this replica, in the order of the tree.
    pub fn seen(&self) -> Vec<Seen> {
        self.shelves.seen(self.live.now())
    }

    /// How many replicas count together, as far as this one knows; `None` where it counts for itself.
    pub fn replicas(&self) -> Option<u32> {
        self.common.get().map(|common| common.replicas())
    }

    fn alone(
        self: &Arc<Self>,
        subjects: Subjects,
        tokens: u64,
        part: impl Fn(&Allowance) -> Allowance,
        told: Told,
    ) -> Result<(Booking, Vec<Row>), Box<Refused>> {
        let now = self.live.now();
        let mut books = subjects.lock();
        let parts: SmallVec<[Allowance; 5]> =
            subjects.0.iter().map(|subject| part(&subject.allowance)).collect();
        let mut worst: Option<(usize, Short)> = None;
        for (place, (book, allowance)) in books.iter_mut().zip(&parts).enumerate() {
            if let Err(short) = book.all.judge(*allowance, tokens, now)
                && worst.is_none_or(|(_, worst)| worst.when < short.when)
            {
                worst = Some((place, short));
            }
        }
        if worst.is_none() {
            for (book, subject) in books.iter_mut().zip(subjects.0.iter()) {
                book.enter(subject.allowance);
                book.book(subject.allowance, Booked { tokens, at: now }, told);
            }
        }
        let rows = rows(&mut books, &parts, now);
        drop(books);
        match worst {
            None => Ok((Booking::new(self, subjects, Booked { tokens, at: now }, told), rows)),
            Some((place, Short { unit, limit, when })) => {
                let until = match when {
                    When::Freed => Until::Freed,
                    When::At(at) => Until::In(at.since(now)),
                    When::Never => Until::Never,
                };
                Err(Box::new(subjects.refuse((place, unit, limit), until, rows)))
            }
        }
    }

    /// Counts a request that was refused for good.
    pub fn count(&self, refused: &Refused) {
        let labels = [refused.holder.name(), refused.unit.name()];
        self.live.metrics.counter(&catalogue::LIMIT_REFUSALS, &labels).increment(1);
    }

    fn common(&self) -> Option<&Arc<Common>> {
        self.common.get()
    }
}

impl Subjects {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets a request in that Redis has not granted yet: how many there are of everybody's, each with its turn.
    ///
    /// # Errors
    /// Somebody has as many as he may have here already: the number of the subject, and his limit.
    fn enter(&self) -> Result<Present, (usize, u64)> {
        let mut books = self.lock();
        for (place, (book, subject)) in books.iter().zip(self.0.iter()).enumerate() {
            let limit = subject.allowance.concurrency.filter(|most| book.all.in_flight() >= *most);
            if let Some(limit) = limit {
                return Err((place, limit.into()));
            }
        }
        let entered = books.iter_mut().zip(self.0.iter()).map(|(book, subject)| {
            book.enter(subject.allowance);
            book.all.presence()
        });
        Ok(entered.collect())
    }

    /// Says who refuses.
    fn refuse(&self, (place, unit, limit): (usize, Unit, u64), until: Until, rows: Vec<Row>) -> Refused {
        let held = &self.0[place].held;
        Refused { holder: held.holder, name: Arc::clone(&held.name), unit, limit, until, rows }
    }

    /// How everybody stands here.
    fn rows(&self, now: Tick) -> Vec<Row> {
        let allowances: SmallVec<[Allowance; 5]> = self.0.iter().map(|subject| subject.allowance).collect();
        rows(&mut self.lock(), &allowances, now)
    }

    /// Everybody's at once, in the order in which everybody takes them.
    fn lock(&self) -> SmallVec<[MutexGuard<'_, Books>; 5]> {
        self.0.iter().map(|subject| subject.held.books.lock()).collect()
    }
}

fn rows(books: &mut [MutexGuard<'_, Books>], allowances: &[Allowance], now: Tick) -> Vec<Row> {
    let mut rows = Vec::with_capacity(2 * allowances.len());
    for (book, allowance) in books.iter_mut().zip(allowances) {
        rows.extend(book.all.used(*allowance, now).map(|used| Row::new(used, now)));
    }
    rows
}

impl Row {
    fn new(used: Used, now: Tick) -> Self {
        let Used { unit, limit, used, whole_at } = used;
        Self { unit, limit, used, whole_in: whole_at.since(now) }
    }
}

impl From<Wait> for Until {
    fn from(wait: Wait) -> Self {
        match wait {
            Wait::Nothing => Self::In(Duration::ZERO),
            Wait::Freed => Self::Freed,
            Wait::For(wait) => Self::In(wait),
            Wait::Forever => Self::Never,
        }
    }
}

impl Until {
    /// How long it is, the longest last.
    fn rank(self) -> (u8, Duration) {
        match self {
            Self::Freed => (0, Duration::ZERO),
            Self::In(wait) => (1, wait),
            Self::Never => (2, Duration::ZERO),
        }
    }
}
