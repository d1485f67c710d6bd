//! What all replicas count together.
//!
//! A request waits for one round trip, and for all of them `server.redis.timeout` at most. All else is told by a task
//! beside the requests: what requests turned out to use, which have ended, what was granted while Redis was away. What
//! Redis certainly has not taken is told until it has, and so is what runs here. What was told when Redis lost it (it was
//! started anew) is told once more: each replica still has what it has granted itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::booking::{Booking, Told};
use super::held::{Held, Subject};
use super::{Limiter, Refused, Row, Subjects, Until};
use crate::algo::limit::{Booked, Measure, SLOTS, Spent, Unit, amount, corrections, slot_of};
use crate::algo::tick::Tick;
use crate::shared::{self, Beat, Change, Correction, Silence, Taken, Takes, Tallies, Waited};
use crate::telemetry::{Counter, Gauge, Metrics, catalogue};

/// How often a replica says that it is there.
const BEAT: Duration = Duration::from_secs(1);
/// Changes in one round trip.
const AT_ONCE: usize = 256;
/// Most changes that wait; what is beyond stays as it was estimated.
const MOST: usize = 65_536;

pub(super) struct Common {
    tallies: Tallies,
    replicas: AtomicU32,
    /// `None` while nobody has said in which we are: then Redis is not asked.
    age: ArcSwapOption<Age>,
    /// The name of the last one.
    last_age: Mutex<Option<String>>,
    waiting: Mutex<Waiting>,
    /// Redis may not know how many requests run here: it has not answered since it was told of all of them, and one
    /// that takes the place of another has not heard the last.
    is_unsure: AtomicBool,
    /// Rung when something is to be told.
    bell: Notify,
    alone: Counter,
    known: Gauge,
}

/// Since when Redis has what it has, and how its clock goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Age {
    name: String,
    /// The same moment, by Redis's clock in microseconds and by ours.
    moment: (u64, Tick),
}

/// What is to be told.
#[derive(Default)]
struct Waiting {
    /// What to add, by where and when.
    amounts: HashMap<Place, i64>,
    /// Whose requests come and go.
    present: HashMap<String, Arc<Held>>,
}

/// Where something is counted: whose, and in which slot by Redis's clock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    key: String,
    unit: Unit,
    slot: u64,
}

/// What came of asking.
pub(super) enum Judged {
    Granted(Booking, Vec<Row>),
    Refused(Box<Refused>),
    /// Nobody has answered: it is this replica's to decide.
    Nobody(Subjects, Told),
}

impl Age {
    /// Our time by Redis's clock.
    fn at(&self, then: Tick) -> u64 {
        let (micros, tick) = self.moment;
        let micros = micros.saturating_sub(whole_micros(tick.since(then)));
        micros.saturating_add(whole_micros(then.since(tick)))
    }
}

impl Waiting {
    fn add(&mut self, held: &Held, unit: Unit, at: u64, more: i64) {
        let place = Place { key: held.key(unit), unit, slot: at / width(unit) };
        self.merge(place, more);
    }

    fn merge(&mut self, place: Place, more: i64) {
        if more != 0 && (self.amounts.len() < MOST || self.amounts.contains_key(&place)) {
            let amount = self.amounts.entry(place).or_default();
            *amount = amount.saturating_add(more);
        }
    }
}

impl Common {
    pub fn new(tallies: Tallies, metrics: &Metrics) -> Arc<Self> {
        let alone = metrics.counter(&catalogue::LIMITS_ALONE, &[]);
        alone.increment(0);
        let known = metrics.gauge(&catalogue::LIMITS_REPLICAS, &[]);
        known.set(f64::from(tallies.expected()));
        Arc::new(Self {
            replicas: AtomicU32::new(tallies.expected()),
            tallies,
            age: ArcSwapOption::empty(),
            last_age: Mutex::default(),
            waiting: Mutex::default(),
            is_unsure: AtomicBool::new(false),
            bell: Notify::new(),
            alone,
            known,
        })
    }

    /// As far as this one knows, itself included.
    pub fn replicas(&self) -> u32 {
        self.replicas.load(Relaxed)
    }

    pub async fn reserve(
        &self,
        limiter: &Arc<Limiter>,
        subjects: Subjects,
        tokens: u64,
        waited: &mut Waited,
    ) -> Judged {
        let Some(age) = self.age.load_full() else {
            self.bell.notify_one();
            self.alone.increment(1);
            return Judged::Nobody(subjects, Told::Later);
        };
        let present = match subjects.enter() {
            Ok(present) => present,
            Err((place, limit)) => {
                let rows = subjects.rows(limiter.live.now());
                let by = (place, Unit::Concurrency, limit);
                return Judged::Refused(Box::new(subjects.refuse(by, Until::Freed, rows)));
            }
        };
        // Whatever happens from here on, even that nobody waits any more: the request is not there for ever.
        let mut booking = Booking::entered(limiter, subjects);
        let (rows, whose) = asked(booking.subjects(), &present, tokens);
        let told = match self.tallies.take(&age.name, &rows, waited).await {
            Ok(Some(taken)) if taken.is_granted() => {
                let booked = Booked { tokens, at: limiter.live.now() };
                booking.book(booked, Told::Since(taken.now));
                return Judged::Granted(booking, stands(&taken, &rows, &whose));
            }
            Ok(Some(taken)) => {
                let until = |row: usize| Until::from(taken.rows[row].wait);
                let worst = (0..rows.len()).max_by_key(|row| until(*row).rank()).unwrap_or_default();
                let (place, unit) = whose[worst];
                let shown = stands(&taken, &rows, &whose);
                let by = (place, unit, rows[worst].limit);
                let refused = booking.subjects().refuse(by, until(worst), shown);
                return Judged::Refused(Box::new(refused));
            }
            // Another age has begun. What this replica has granted is told first.
            Ok(None) => {
                self.age.store(None);
                self.bell.notify_one();
                Told::Later
            }
            Err(silence) => {
                // It may be another one the next time, which has not heard what this one has.
                self.is_unsure.store(true, Relaxed);
                match silence {
                    Silence::Late | Silence::Broken => Told::Perhaps,
                    Silence::Away
                    | Silence::Refused(_)
                    | Silence::Untaken(_)
                    | Silence::Unfit(_)
                    | Silence::Unread => Told::Later,
                }
            }
        };
        self.alone.increment(1);
        Judged::Nobody(booking.withdraw(), told)
    }

    /// Has all replicas count what a request has used instead of what was booked: at `since`, by Redis's clock, or when
    /// Redis was back.
    pub fn correct(&self, subject: &Subject, booked: Booked, since: Option<u64>, spent: Spent, now: Tick) {
        // Without one everything is about to be told anew.
        let Some(age) = self.age.load_full() else { return };
        let (requests, tokens) = corrections(booked, spent);
        let mut waiting = self.waiting.lock();
        for unit in Unit::ALL.into_iter().filter(|unit| subject.allowance.limit(*unit).is_some()) {
            let more = match unit.measure() {
                Measure::Requests => requests,
                Measure::Tokens => tokens,
                Measure::Presence => continue,
            };
            // What was told later is where its slot began.
            let booked_at = since.unwrap_or_else(|| age.at(slot_of(unit.length(), booked.at)));
            let at = if more < 0 { booked_at } else { age.at(now) };
            waiting.add(&subject.held, unit, at, more);
        }
        drop(waiting);
        self.bell.notify_one();
    }

    /// One of somebody's requests has ended.
    pub fn has_left(&self, held: &Arc<Held>) {
        self.waiting.lock().present.insert(held.key(Unit::Concurrency), Arc::clone(held));
        self.bell.notify_one();
    }

    /// Says that this replica is there, and finds out what the others do not know.
    async fn beat(&self, limiter: &Limiter, word: u64) {
        let Ok(Beat { now, replicas, age: name }) = self.tallies.beat(word).await else {
            self.is_unsure.store(true, Relaxed);
            return;
        };
        let tells_all = self.is_unsure.swap(false, Relaxed);
        self.replicas.store(replicas.max(1), Relaxed);
        self.known.set(f64::from(replicas));
        let age = Age { name, moment: (now, limiter.live.now()) };
        let before = self.last_age.lock().replace(age.name.clone());
        let lost = before.is_some_and(|before| before != age.name);
        if lost {
            self.waiting.lock().amounts.clear();
        }
        for held in limiter.shelves.all() {
            let mut books = held.books.lock();
            let mut waiting = self.waiting.lock();
            for unit in Unit::ALL {
                let untold = books.untold.drain(unit, age.moment.1);
                let parts = if lost { books.all.parts(unit, age.moment.1) } else { untold };
                for (at, amount) in parts {
                    waiting.add(&held, unit, age.at(at), i64::try_from(amount).unwrap_or(i64::MAX));
                }
            }
            books.drained = age.moment.1;
            if books.allowance.concurrency.is_some() && (tells_all || books.all.in_flight() > 0) {
                waiting.present.insert(held.key(Unit::Concurrency), Arc::clone(&held));
            }
        }
        self.age.store(Some(Arc::new(age)));
    }

    async fn tell(&self) {
        let Some(age) = self.age.load_full() else { return };
        let Waiting { amounts, present } = std::mem::take(&mut *self.waiting.lock());
        let mut amounts: Vec<(Place, i64)> = amounts.into_iter().collect();
        let mut present: Vec<(String, Arc<Held>)> = present.into_iter().collect();
        loop {
            let counted = amounts.split_off(amounts.len().saturating_sub(AT_ONCE));
            let there = present.split_off(present.len().saturating_sub(AT_ONCE));
            if counted.is_empty() && there.is_empty() {
                return;
            }
            let of_amount = |(place, more): &(Place, i64)| Change {
                key: place.key.clone(),
                what: Correction::Amount {
                    at: place.slot.saturating_mul(width(place.unit)),
                    more: *more,
                    length: place.unit.length(),
                },
            };
            let of_presence = |(key, held): &(String, Arc<Held>)| {
                let (turn, count) = held.books.lock().all.presence();
                Change { key: key.clone(), what: Correction::Running { count, turn } }
            };
            let changes: Vec<Change> =
                counted.iter().map(of_amount).chain(there.iter().map(of_presence)).collect();
            let Err(silence) = self.tallies.tell(&age.name, &changes).await else { continue };
            self.is_unsure.store(true, Relaxed);
            let mut waiting = self.waiting.lock();
            waiting.present.extend(there);
            // What may have been counted is not counted twice, and the rest has its try.
            if silence.wrote_nothing() {
                counted.into_iter().chain(amounts).for_each(|(place, more)| waiting.merge(place, more));
                waiting.present.extend(present);
                return;
            }
        }
    }
}

impl Limiter {
    /// Tells the other replicas what requests turn out to use, for as long as the process lives. Does nothing where
    /// they share nothing, and nothing while nobody has limits.
    pub async fn follow(self: Arc<Self>) {
        let Some(common) = self.common.get() else { return };
        let mut dice = self.live.dice();
        let mut next = now(&self);
        loop {
            tokio::select! {
                () = sleep_until(next) => {}
                () = common.bell.notified() => {}
            }
            let due = now(&self) >= next;
            if due {
                next = now(&self) + BEAT;
            }
            if !self.shelves.is_empty() && (due || common.age.load().is_none()) {
                common.beat(&self, dice.next_u64()).await;
            }
            common.tell().await;
        }
    }
}

fn now(limiter: &Limiter) -> Instant {
    limiter.live.clock.instant(limiter.live.now())
}

/// What Redis is asked, and whose limit of what each row is.
fn asked(subjects: &Subjects, present: &[(u64, u32)], tokens: u64) -> (Vec<shared::Row>, Vec<(usize, Unit)>) {
    let mut rows = Vec::new();
    let mut whose = Vec::new();
    for (place, (subject, (turn, count))) in subjects.0.iter().zip(present).enumerate() {
        for unit in Unit::ALL {
            let Some(limit) = subject.allowance.limit(unit) else { continue };
            let takes = match unit.measure() {
                Measure::Requests | Measure::Tokens => {
                    Takes::Amount { amount: amount(unit, tokens), length: unit.length() }
                }
                Measure::Presence => Takes::Running { count: *count, turn: *turn },
            };
            rows.push(shared::Row { key: subject.held.key(unit), limit, takes });
            whose.push((place, unit));
        }
    }
    (rows, whose)
}

fn stands(taken: &Taken, rows: &[shared::Row], whose: &[(usize, Unit)]) -> Vec<Row> {
    let known = taken.rows.iter().zip(rows).zip(whose);
    let row = known.map(|((stand, row), (_, unit))| Row {
        unit: *unit,
        limit: row.limit,
        used: stand.used,
        // What was used a moment ago counts for a slot more than the length.
        whole_in: if stand.used == 0 {
            Duration::ZERO
        } else {
            unit.length() + Duration::from_micros(width(*unit))
        },
    });
    row.collect()
}

/// Microseconds of a slot.
fn width(unit: Unit) -> u64 {
    (whole_micros(unit.length()) / SLOTS).max(1)
}

fn whole_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
