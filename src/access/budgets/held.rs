//! What somebody with budgets has spent, and where that is found.
//!
//! It outlives reloads, for it is found by name. Whose windows have nothing in them is forgotten when the shelf fills
//! up, so that names which come and go do not pile up (callers with tokens have a shelf and rules of their own,
//! `issued`). When a share of a budget is spent that operators want to know of, an alert is raised once in its window,
//! and taken back when the window ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;

use super::common::What;
use super::issued::Room;
use super::known::Sums;
use crate::access::limits::Holder;
use crate::algo::spend::{Entry, Grant, Per, Purse};
use crate::algo::tick::Tick;
use crate::config::{Budget, Exceeded, Percent};
use crate::state::alerts::Alerts;
use crate::vocab::{Alert, AlertKind, AlertState, Money};

/// Names of one kind from which on those are cleared away who are not needed: who has spent nothing is not shown then
/// until he asks. Some hundred bytes each, and more than a gateway has keys.
const FULL: usize = 64 * 1024;

/// Somebody with budgets.
pub(super) struct Held {
    pub holder: Holder,
    pub name: Arc<str>,
    pub books: Mutex<Books>,
    /// Requests under way hold one of these each, and whoever only looks at him holds none.
    under_way: Arc<()>,
}

/// What he has spent.
#[derive(Default)]
pub(super) struct Books {
    /// One for each window that any of his budgets had; their places stay.
    pub purses: SmallVec<[Windowed; 2]>,
    /// What the last request found that he may spend.
    pub budgets: Arc<[Budget]>,
    /// When the last request was held against them, since the Unix epoch.
    pub used: Duration,
    /// Shares that operators were told of: the window's place, the limit, the share.
    told: SmallVec<[(usize, Money, Percent); 2]>,
    pub listed: Listed,
    remembered: Remembered,
}

/// Whether he is still found by his name. Whoever looked at all at once may come to him after that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Remembered {
    #[default]
    Yes,
    No,
}

/// Whether he is among those of whom other replicas are told next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Listed {
    #[default]
    No,
    Yes,
}

/// A purse, and which windows it goes through.
pub(super) struct Windowed {
    pub per: Per,
    pub starts: Option<Duration>,
    pub purse: Purse,
    /// Of what is said of it to other replicas: goes up with every change.
    pub turn: u64,
    /// The last one that they have heard.
    pub told: u64,
    /// What it is called there, this replica's name aside; 0 before anything was said. Nothing is ever said anew under
    /// an old name, for somebody else may have counted what it stood for.
    pub life: u64,
    /// When others heard of it last, and what had been booked here by then.
    pub heard: Option<(Tick, u64)>,
    /// All that the store says to have been spent.
    pub stored: u64,
}

/// How somebody's budget stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub holder: Holder,
    pub name: Arc<str>,
    pub budget: Budget,
    pub spent: Money,
    pub reserved: Money,
    /// When its window began and ends, in seconds since the Unix epoch.
    pub begins: u64,
    pub ends: Option<u64>,
}

impl Seen {
    /// Whether it is a caller with a token, whose name is none of the configuration's.
    pub fn is_issued(&self) -> bool {
        self.holder.is_issued(&self.name)
    }

    pub fn left(&self) -> Money {
        self.budget.limit.less(self.spent).less(self.reserved)
    }

    /// The share of the limit that is not spent yet, 0..=1.
    pub fn left_ratio(&self) -> f64 {
        let limit = self.budget.limit;
        limit.less(self.spent).as_nano_usd() as f64 / limit.as_nano_usd().max(1) as f64
    }
}

impl Books {
    /// Brings his windows up to `now`, those of `budgets` included; what there is to be told of that is.
    pub fn meet(
        &mut self,
        held: &Held,
        budgets: &Arc<[Budget]>,
        (sums, alerts): (&Sums, &Alerts),
        now: Duration,
    ) {
        let mut is_news = false;
        if !Arc::ptr_eq(&self.budgets, budgets) {
            is_news = true;
            self.budgets = Arc::clone(budgets);
            for budget in budgets.iter() {
                if !self.purses.iter().any(|known| known.is_of(budget)) {
                    let (per, starts) = (budget.per, budget.starts);
                    self.purses.push(Windowed::new(per, starts));
                }
            }
        }
        for windowed in &mut self.purses {
            if windowed.purse.is_in(now) {
                continue;
            }
            let span = windowed.per.span(windowed.starts, now);
            if windowed.purse.turn(span) {
                is_news = true;
                (windowed.life, windowed.heard, windowed.stored) = (0, None, 0);
                windowed.hear_stored(sums.of(held.holder, &held.name, windowed.per, span.begins));
            }
        }
        if is_news {
            self.tell(held, alerts);
        }
    }

    /// The place of a budget's window; [`Self::meet`] has seen to it that there is one.
    pub fn place(&self, budget: &Budget) -> usize {
        self.purses.iter().position(|known| known.is_of(budget)).unwrap_or_default()
    }

    /// Raises what there is to be told, and takes back what is over.
    pub fn tell(&mut self, held: &Held, alerts: &Alerts) {
        let Self { purses, budgets, told, remembered, .. } = self;
        if *remembered == Remembered::No {
            return;
        }
        told.retain(|(place, limit, share)| {
            let windowed = &purses[*place];
            let is_over = windowed.purse.spent() < share_of(*limit, *share);
            let is_his = |budget: &Budget| {
                windowed.is_of(budget) && budget.limit == *limit && budget.soft.contains(share)
            };
            let holds = !is_over && budgets.iter().any(is_his);
            if !holds {
                let why = if is_over {
                    format!("another {} has begun for {}", windowed.per.name(), held.called())
                } else {
                    format!("{} has another budget now, or none", held.called())
                };
                alerts.raise(Alert {
                    kind: AlertKind::Budget,
                    subject: subject(held, windowed.per, *limit, *share),
                    text: why,
                    state: AlertState::Resolved,
                });
            }
            holds
        });
        for budget in budgets.iter() {
            let Some(place) = purses.iter().position(|known| known.is_of(budget)) else { continue };
            let spent = purses[place].purse.spent();
            for share in &budget.soft {
                let of_this = (place, budget.limit, *share);
                if spent < share_of(budget.limit, *share) || told.contains(&of_this) {
                    continue;
                }
                told.push(of_this);
                alerts.raise(Alert {
                    kind: AlertKind::Budget,
                    subject: subject(held, budget.per, budget.limit, *share),
                    text: text(held, budget, Money::nano_usd(spent)),
                    state: AlertState::Firing,
                });
            }
        }
    }

    /// He is not remembered any more: what operators were told of him is taken back.
    pub fn forget(&mut self, held: &Held, alerts: &Alerts) {
        self.remembered = Remembered::No;
        for (place, limit, share) in std::mem::take(&mut self.told) {
            alerts.raise(Alert {
                kind: AlertKind::Budget,
                subject: subject(held, self.purses[place].per, limit, share),
                text: format!("{} has not asked for long, and is not remembered", held.called()),
                state: AlertState::Resolved,
            });
        }
    }

    fn is_idle(&self) -> bool {
        self.purses.iter().all(|known| known.purse.spent() == 0 && known.purse.reserved() == 0)
    }
}

impl Windowed {
    fn new(per: Per, starts: Option<Duration>) -> Self {
        Self { per, starts, purse: Purse::default(), turn: 0, told: 0, life: 0, heard: None, stored: 0 }
    }

    /// The store says that so much was spent by everybody.
    pub fn hear_stored(&mut self, sum: u64) {
        self.stored = self.stored.max(sum);
        self.purse.hear(sum);
    }

    /// The same where the store alone knows of others: less than it has said before is a correction, for whoever asks
    /// it never hears an older sum after a newer one.
    pub fn hear_all_stored(&mut self, sum: u64) {
        if sum < self.stored {
            self.turn += 1;
            self.purse.correct(self.stored - sum);
            self.stored = sum;
        }
        self.hear_stored(sum);
    }

    /// Whether nothing is lost when it is forgotten here.
    pub fn is_known_elsewhere(&self) -> bool {
        let spent = self.purse.spent();
        spent == 0 || self.stored >= spent || (self.life > 0 && self.turn == self.told)
    }

    pub fn reserve(&mut self, amount: u64, grant: Grant) -> Entry {
        self.turn += 1;
        self.purse.reserve(amount, grant)
    }

    /// For a request about which others are asked.
    pub fn ask(&mut self, amount: u64) -> Entry {
        self.turn += 1;
        self.purse.ask(amount)
    }

    pub fn settle(&mut self, entry: Entry, cost: u64) {
        self.turn += 1;
        self.purse.settle(entry, cost);
    }

    /// Whether other replicas have to hear of it.
    pub fn is_due(&self, what: What) -> bool {
        match what {
            What::News => self.turn != self.told,
            What::All => self.turn > 0,
        }
    }

    pub fn is_of(&self, budget: &Budget) -> bool {
        self.per == budget.per && self.starts == budget.starts
    }
}

/// Two budgets of one window may have different limits.
fn subject(held: &Held, per: Per, limit: Money, share: Percent) -> Box<str> {
    format!("{} {}, {}, {share} of {limit}", held.holder.name(), held.name, per.name()).into()
}

fn text(held: &Held, budget: &Budget, spent: Money) -> String {
    let (limit, whose) = (budget.limit, held.called());
    let window = match budget.per {
        Per::Day | Per::Week | Per::Month => format!("this {}", budget.per.name()),
        Per::Total => "altogether".to_owned(),
    };
    let follows = match &budget.exceeded {
        _ if spent < limit => String::new(),
        Exceeded::Refuse => "; further requests are refused".to_owned(),
        Exceeded::Alert => "; requests are served all the same".to_owned(),
        Exceeded::Downgrade(to) => format!("; requests are served by route `{to}`"),
    };
    format!("{whose} has spent {spent} of {limit} {window}{follows}")
}

fn share_of(limit: Money, share: Percent) -> u64 {
    let part = u128::from(limit.as_nano_usd()) * u128::from(share.hundredths()) / u128::from(Percent::WHOLE);
    u64::try_from(part).unwrap_or(u64::MAX)
}

impl Held {
    fn new(holder: Holder, name: &Arc<str>) -> Arc<Self> {
        let (books, under_way) = (Mutex::default(), Arc::default());
        Arc::new(Self { holder, name: Arc::clone(name), books, under_way })
    }

    /// Nobody can come meanwhile where this is asked under the shelf's write lock.
    pub fn has_requests(&self) -> bool {
        Arc::strong_count(&self.under_way) > 1
    }

    /// For people.
    fn called(&self) -> String {
        format!("{} `{}`", self.holder.name(), self.name)
    }
}

pub(super) type Shelf = RwLock<HashMap<Arc<str>, Arc<Held>>>;

/// One for each kind of holder, and one for callers with tokens.
#[derive(Default)]
pub(super) struct Shelves {
    all: [Shelf; ISSUED + 1],
    /// How callers with tokens make room for each other.
    pub room: Room,
}

const ISSUED: usize = Holder::ALL.len();

/// Somebody as a request finds him: he is not forgotten while there is one of these.
#[derive(Clone)]
pub(super) struct Guest {
    pub held: Arc<Held>,
    _under_way: Arc<()>,
}

impl Guest {
    fn of(held: &Arc<Held>) -> Self {
        Self { held: Arc::clone(held), _under_way: Arc::clone(&held.under_way) }
    }
}

impl Shelves {
    pub fn held(&self, holder: Holder, name: &Arc<str>, alerts: &Alerts) -> Guest {
        let is_issued = holder.is_issued(name);
        let kind = Holder::ALL.iter().position(|other| *other == holder).filter(|_| !is_issued);
        let shelf = &self.all[kind.unwrap_or(ISSUED)];
        if let Some(held) = shelf.read().get(name) {
            return Guest::of(held);
        }
        let mut shelf = shelf.write();
        if is_issued {
            if !shelf.contains_key(name) {
                self.room.make(&mut shelf, alerts);
            }
        } else if shelf.len() >= FULL && shelf.len().is_power_of_two() {
            shelf.retain(|_, held| Arc::strong_count(held) > 1 || !held.books.lock().is_idle());
        }
        Guest::of(shelf.entry(Arc::clone(name)).or_insert_with(|| Held::new(holder, name)))
    }

    pub fn issued(&self) -> &Shelf {
        &self.all[ISSUED]
    }

    pub fn is_empty(&self) -> bool {
        self.all.iter().all(|shelf| shelf.read().is_empty())
    }

    pub fn all(&self) -> Vec<Arc<Held>> {
        self.all.iter().flat_map(|shelf| shelf.read().values().cloned().collect::<Vec<_>>()).collect()
    }

    pub fn turn(&self, sums: &Sums, alerts: &Alerts, now: Duration) {
        for held in self.all() {
            let mut books = held.books.lock();
            let budgets = Arc::clone(&books.budgets);
            books.meet(&held, &budgets, (sums, alerts), now);
        }
    }

    pub fn seen(&self, sums: &Sums, alerts: &Alerts, now: Duration) -> Vec<Seen> {
        self.turn(sums, alerts, now);
        let mut all = self.all();
        let rank = |held: &Held| Holder::ALL.iter().position(|holder| *holder == held.holder);
        all.sort_by(|one, other| (rank(one), &one.name).cmp(&(rank(other), &other.name)));
        let mut seen = Vec::new();
        for held in all {
            let books = held.books.lock();
            seen.extend(books.budgets.iter().map(|budget| {
                let purse = &books.purses[books.place(budget)].purse;
                Seen {
                    holder: held.holder,
                    name: Arc::clone(&held.name),
                    budget: budget.clone(),
                    spent: Money::nano_usd(purse.spent()),
                    reserved: Money::nano_usd(purse.reserved()),
                    begins: purse.span().begins,
                    ends: purse.span().ends,
                }
            }));
        }
        seen
    }
}
