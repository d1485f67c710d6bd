//! What all replicas together let in and have spent, where there is a Redis.
//!
//! A request waits for one round trip, and for all of them `server.redis.timeout` at most. It counts as reserved here
//! before Redis is asked, so that every word to Redis is about all that is under way (for these milliseconds one that
//! will be refused is in the way of a smaller one beside it, never the other way round); and whatever comes of it,
//! dropping what it has reserved puts that right. What requests turn out to cost is told by a task beside them. Does
//! Redis not answer, each replica lets in its own part of what was left when it was heard last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::held::{Books, Held, Listed, Windowed};
use super::paid::{Entries, Reserved};
use super::{Broke, Budgets, Subjects, is_in_force};
use crate::algo::spend::Grant;
use crate::algo::tick::Tick;
use crate::config::{Budget, Exceeded};
use crate::shared::{Last, Purse, Purses, Verdict, Waited};
use crate::telemetry::{Counter, catalogue};
use crate::vocab::Money;

/// How often a replica says all, or else it is not believed to be there any more.
const BEAT: Duration = Duration::from_secs(2);
/// Between two words to Redis about what was spent.
const PAUSE: Duration = Duration::from_millis(20);
/// Windows in one round trip.
const AT_ONCE: usize = 128;
/// Windows that are said again at each beat though nothing of them is news, so that Redis has again what it may have
/// lost.
const AGAIN: usize = 2048;
/// Of all who have budgets, as many are looked at before others have their turn.
const STRIDE: usize = 256;
/// After so long a silence others may have counted for good what was said under a name (`shared::purses`), so that it
/// is not used any more.
const SILENCE: Duration = Duration::from_hours(12);

pub(super) struct Common {
    purses: Purses,
    replicas: AtomicU32,
    /// Rung when something is to be told.
    bell: Notify,
    /// Those whom it was rung for, each of them once (`Books::listed`).
    eager: Mutex<Vec<Arc<Held>>>,
    alone: Counter,
    /// Names that were given to windows.
    lives: AtomicU64,
    /// The window at which the next beat goes on.
    next: AtomicUsize,
}

/// What is told to other replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// What the bell was rung for, and they have not heard.
    News,
    /// All that was ever spent or reserved here: that this replica is there, and what Redis may have lost.
    All,
}

/// When all is to be said again.
pub(super) struct Beat {
    next: Tick,
}

impl Beat {
    pub fn new(now: Tick) -> Self {
        Self { next: now + BEAT }
    }

    /// The bell has rung. However often it does, a beat is not put off: what is reserved would lapse in Redis.
    pub fn rung(&mut self, now: Tick) -> What {
        if now < self.next { What::News } else { self.silent(now) }
    }

    /// It has not until the beat.
    fn silent(&mut self, now: Tick) -> What {
        self.next = now + BEAT;
        What::All
    }
}

/// What came of asking.
pub(super) enum Judged {
    Decided(Result<Reserved, Broke>),
    /// Nobody has answered: it is this replica's to decide, one of so many.
    Nobody(Subjects, u32),
}

impl Common {
    pub fn new(budgets: &Budgets, purses: Purses) -> Arc<Self> {
        let alone = budgets.metrics().counter(&catalogue::BUDGETS_ALONE, &[]);
        alone.increment(0);
        Arc::new(Self {
            replicas: AtomicU32::new(purses.expected()),
            purses,
            bell: Notify::new(),
            eager: Mutex::default(),
            alone,
            lives: AtomicU64::new(0),
            next: AtomicUsize::new(0),
        })
    }

    pub async fn reserve(
        &self,
        budgets: &Arc<Budgets>,
        subjects: Subjects,
        most: Option<Money>,
        serving: &str,
        waited: &mut Waited,
    ) -> Judged {
        let (asked, whose, entries) = self.enter(budgets, &subjects, most, serving);
        // Whatever happens from here on, even that nobody waits any more: it is not reserved for ever.
        let mut reserved = Reserved::new(budgets, subjects, entries);
        if asked.is_empty() {
            return Judged::Decided(Ok(reserved));
        }
        let Ok(weighed) = self.purses.spend(&asked, waited).await else {
            self.alone.increment(1);
            return Judged::Nobody(reserved.withdraw(), self.replicas.load(Relaxed));
        };
        self.replicas.store(weighed.replicas.max(1), Relaxed);
        let mut downgrade = None;
        let mut refused = None;
        reserved.each(|number, subject, book: &mut Books, at, entry| {
            let (others, budget_numbers) = (&weighed.purses[number], &whose[number]);
            book.purses[at].hear(&asked[number], others.spent, others.reserved, budgets.live.now());
            book.purses[at].purse.judged(entry);
            for (verdict, budget) in others.verdicts.iter().zip(budget_numbers) {
                let budget = &subject.budgets[*budget];
                let purse = &mut book.purses[at].purse;
                let grant = match verdict {
                    Verdict::Fits => Some(Grant::Within),
                    // Another one may have become the last one meanwhile.
                    Verdict::Last if !purse.has_last() || entry.is_last() => Some(Grant::Last),
                    Verdict::Nothing | Verdict::Last => None,
                };
                match (grant, &budget.exceeded) {
                    (Some(Grant::Within), _) => {}
                    (Some(Grant::Last), _) => purse.make_last(entry),
                    (None, Exceeded::Downgrade(to)) => {
                        downgrade.get_or_insert_with(|| (Arc::clone(to), subject.refused(book, budget)));
                    }
                    (None, Exceeded::Refuse | Exceeded::Alert) => {
                        refused.get_or_insert_with(|| subject.refused(book, budget));
                    }
                }
            }
            book.tell(&subject.guest.held, &budgets.live.alerts);
        });
        Judged::Decided(match (refused, downgrade) {
            (Some(refused), _) => Err(Broke::Refused(Box::new(refused))),
            (None, Some((to, refused))) => Err(Broke::Downgraded(to, Box::new(refused))),
            (None, None) => Ok(reserved),
        })
    }

    /// There is something to tell of him.
    pub fn ring(&self, held: &Arc<Held>, books: &mut Books) {
        if books.listed == Listed::No {
            books.listed = Listed::Yes;
            self.eager.lock().push(Arc::clone(held));
        }
        self.bell.notify_one();
    }

    #[cfg(test)]
    pub fn eager(&self) -> Vec<Arc<Held>> {
        self.eager.lock().clone()
    }

    /// Says how things stand here, where that is something else than was said, or has to be said again.
    pub async fn tell(&self, budgets: &Budgets, what: What) {
        let mut all: Vec<(Arc<Held>, usize, Purse)> = Vec::new();
        let now = budgets.live.now();
        let (from, mut number, mut again) = (self.next.load(Relaxed), 0_usize, 0_usize);
        let held = match what {
            What::News => std::mem::take(&mut *self.eager.lock()),
            What::All => budgets.shelves.all(),
        };
        for (place, held) in held.into_iter().enumerate() {
            if place % STRIDE == STRIDE - 1 {
                yield_now().await;
            }
            let mut books = held.books.lock();
            if what == What::News {
                books.listed = Listed::No;
            }
            for (at, windowed) in books.purses.iter_mut().enumerate() {
                let is_news = windowed.is_due(What::News) || windowed.purse.reserved_here() > 0;
                let is_due = match what {
                    What::News => windowed.is_due(what),
                    What::All if is_news => true,
                    What::All if windowed.is_due(what) => {
                        number += 1;
                        again += usize::from(number > from);
                        number > from && again <= AGAIN
                    }
                    What::All => false,
                };
                if is_due {
                    all.push((Arc::clone(&held), at, windowed.asks(&held, self, now)));
                }
            }
        }
        if what == What::All {
            self.next.store(if number > from + AGAIN { from + AGAIN } else { 0 }, Relaxed);
        }
        // Who has let nothing in yet says at least that it is there: its part of what is left is its own.
        let silent = all.is_empty() && what == What::All && !budgets.shelves.is_empty();
        for some in all.chunks(AT_ONCE).chain(silent.then_some(&[][..])) {
            let rows: Vec<Purse> = some.iter().map(|(_, _, row)| row.clone()).collect();
            let Ok(weighed) = self.purses.spend(&rows, &mut Waited::default()).await else { return };
            self.replicas.store(weighed.replicas.max(1), Relaxed);
            for ((held, at, row), others) in some.iter().zip(weighed.purses) {
                let mut books = held.books.lock();
                books.purses[*at].hear(row, others.spent, others.reserved, budgets.live.now());
                books.tell(held, &budgets.live.alerts);
            }
        }
    }

    /// Reserves a request here before anybody is asked: what Redis is asked, of each window the budgets that it is
    /// about, and what is reserved.
    fn enter(
        &self,
        budgets: &Budgets,
        subjects: &Subjects,
        most: Option<Money>,
        serving: &str,
    ) -> (Vec<Purse>, Vec<SmallVec<[usize; 2]>>, Entries) {
        let (now, amount) = (budgets.now(), most.unwrap_or_default().as_nano_usd());
        let (mut asked, mut whose, mut entries) = (Vec::new(), Vec::new(), Entries::new());
        let mut books = subjects.lock();
        for (place, (book, subject)) in books.iter_mut().zip(subjects.0.iter()).enumerate() {
            book.meet(&subject.guest.held, &subject.budgets, budgets.beside(), now);
            book.used = now;
            for at in 0..book.purses.len() {
                let of_this = |(_, budget): &(usize, &Budget)| {
                    is_in_force(budget, now) && book.purses[at].is_of(budget)
                };
                let mine: SmallVec<[(usize, &Budget); 2]> =
                    subject.budgets.iter().enumerate().filter(of_this).collect();
                if mine.is_empty() {
                    continue;
                }
                // Where it is served all the same, nothing has to fit.
                let holds = |budget: &Budget| match &budget.exceeded {
                    Exceeded::Refuse => true,
                    Exceeded::Downgrade(to) => **to != *serving,
                    Exceeded::Alert => false,
                };
                let held: SmallVec<[(usize, &Budget); 2]> =
                    mine.into_iter().filter(|(_, budget)| holds(budget)).collect();
                let windowed = &mut book.purses[at];
                entries.push((place, at, windowed.ask(amount)));
                let limits = held.iter().map(|(_, budget)| budget.limit.as_nano_usd()).collect();
                let said = windowed.asks(&subject.guest.held, self, budgets.live.now());
                asked.push(Purse { amount, limits, ..said });
                whose.push(held.iter().map(|(number, _)| *number).collect());
            }
        }
        (asked, whose, entries)
    }
}

impl Windowed {
    /// What Redis is told of it.
    pub(super) fn asks(&mut self, held: &Held, common: &Common, now: Tick) -> Purse {
        if let Some((heard, own)) = self.heard
            && now.since(heard) > SILENCE
        {
            self.purse.hand_over(own);
            (self.life, self.heard) = (0, None);
        }
        if self.life == 0 {
            self.life = common.lives.fetch_add(1, Relaxed) + 1;
        }
        let purse = &self.purse;
        let span = purse.span();
        Purse {
            key: format!("{}:{}:{}:{}", held.holder.name(), held.name, self.per.name(), span.begins),
            life: self.life,
            ends: span.ends,
            turn: self.turn,
            own: purse.own(),
            reserved: purse.reserved_here(),
            known: purse.spent(),
            amount: 0,
            last: if purse.has_last() { Last::UnderWay } else { Last::No },
            limits: SmallVec::new(),
        }
    }

    /// What others have said, when this was told. Of a window that is over it is no news.
    pub(super) fn hear(&mut self, told: &Purse, spent: u64, reserved: u64, now: Tick) {
        if self.purse.span().ends == told.ends && self.life == told.life {
            self.purse.hear_others(spent, reserved);
            self.told = self.told.max(told.turn);
            self.heard = Some((now, told.own));
        }
    }
}

impl Budgets {
    /// Lets replicas spend together. Only the first call means anything.
    pub fn share(&self, purses: Purses) {
        self.common.get_or_init(|| Common::new(self, purses));
    }

    /// Tells the other replicas what requests turn out to cost, for as long as the process lives. Does nothing where
    /// they share nothing, and nothing while nobody has budgets.
    pub async fn follow(self: Arc<Self>) {
        let Some(common) = self.common.get() else { return };
        let mut beat = Beat::new(self.live.now());
        loop {
            let patience = beat.next.since(self.live.now());
            let rung = timeout(patience, common.bell.notified()).await;
            let what = if rung.is_ok() { beat.rung(self.live.now()) } else { beat.silent(self.live.now()) };
            common.tell(&self, what).await;
            sleep(PAUSE).await;
        }
    }
}
