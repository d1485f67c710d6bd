//! The engine: one queue of events, and time that leaps to the next of them.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::bell::{Calls, Listening};
use super::drive::{Drive, Parted};
use super::fate;
use super::queue::{Event, Queue, Turn};
use super::seen::{End, Seen, Witness};
use super::setup::{Handover, Rehearsal, Reload, Unroutable};
use super::watch::{self, Heard, Watches};
use super::weather::Weather;
use crate::algo::dice::Dice;
use crate::algo::tick::Tick;
use crate::config::rehearsal::{Call, Caller, Target};
use crate::config::{Blueprint, Lineage};
use crate::route::{Need, line};
use crate::state::memoir::Memoir;
use crate::state::{Hand, Live, Registry, Table};
use crate::telemetry::Shed;

/// As often as `server::host` lets time act on breakers, and looks for trials to make.
const EXPIRE: Duration = Duration::from_millis(250);
/// As often as it rechecks keys and drains samples.
const RECHECK: Duration = Duration::from_secs(5);
/// Nobody hangs up later than this after his answer should have begun.
const HANGS_UP_WITHIN: Duration = Duration::from_secs(20);

/// What callers asked for that no route takes, and how often.
pub type Unrouted = BTreeMap<String, u64>;

/// Runs it. `witness` hears everything.
///
/// # Errors
/// A kind of requests that no route takes; of requests that were written down, where none has a route.
pub fn run(rehearsal: &Rehearsal<'_>, witness: &mut dyn Witness) -> Result<Unrouted, Unroutable> {
    let hand = Hand::default();
    let live = Arc::new(Live::moved_by(&hand, rehearsal.seed));
    let tables: Vec<OnceCell<Table>> = (0..=rehearsal.reloads.len()).map(|_| OnceCell::new()).collect();
    let mut world = World {
        rehearsal,
        witness,
        hand,
        live,
        gone: Vec::new(),
        tables: &tables,
        revision: 0,
        registry: Registry::default(),
        weather: Weather::new(rehearsal.script),
        places: Vec::new(),
        watches: Watches::default(),
        queue: Queue::default(),
        guests: Vec::new(),
        free: Vec::new(),
        alive: 0,
        arrived: 0,
        scheduled: 0,
        calls: Calls::default(),
        unrouted: Unrouted::new(),
        arrivals: Dice::seeded(rehearsal.seed ^ 0x6172_7269_7665),
        fates: Dice::seeded(rehearsal.seed ^ 0x0066_6174_6573),
    };
    world.put_in_force(rehearsal.blueprint);
    let workload = rehearsal.workload;
    let has_route = |call: &&Call| world.route_of(&call.target).is_some();
    let lost = match workload.schedule.is_empty() {
        true => workload.mix.iter().filter(|call| call.share > 0.0).find(|call| !has_route(call)),
        false if workload.mix.iter().any(|call| has_route(&call)) => None,
        false => workload.mix.first(),
    };
    if let Some(call) = lost {
        return Err(Unroutable::new(&call.target));
    }
    world.run();
    Ok(world.unrouted)
}

pub(super) struct World<'r, 't> {
    pub(super) rehearsal: &'t Rehearsal<'r>,
    pub(super) witness: &'t mut dyn Witness,
    pub(super) hand: Hand,
    pub(super) live: Arc<Live>,
    /// Of processes that see their last requests to the end.
    gone: Vec<Arc<Live>>,
    /// One place for every table that is ever in force: requests under way keep theirs.
    pub(super) tables: &'t [OnceCell<Table>],
    pub(super) revision: usize,
    pub(super) registry: Registry,
    pub(super) weather: Weather,
    /// By revision, the weather's place of each upstream.
    pub(super) places: Vec<Vec<usize>>,
    pub(super) watches: Watches,
    pub(super) queue: Queue,
    pub(super) guests: Vec<Option<Guest<'t>>>,
    pub(super) free: Vec<usize>,
    pub(super) alive: usize,
    pub(super) arrived: u64,
    /// How many of the schedule's requests have come.
    scheduled: usize,
    pub(super) calls: Calls,
    unrouted: Unrouted,
    /// Of its own, so that two configurations see the same callers.
    pub(super) arrivals: Dice,
    pub(super) fates: Dice,
}

/// A request under way.
pub(super) struct Guest<'t> {
    pub(super) number: u64,
    pub(super) call: usize,
    pub(super) route: usize,
    pub(super) revision: usize,
    pub(super) begun: Tick,
    pub(super) drive: Drive<'t>,
    /// Tokens of the legs that broke.
    pub(super) told: u64,
    pub(super) lined_up: Tick,
    pub(super) listening: Option<Listening>,
}

impl<'t> World<'_, 't> {
    fn run(&mut self) {
        self.plan_arrival();
        self.plan(Tick::ZERO + EXPIRE, Event::Expire);
        self.plan(Tick::ZERO + RECHECK, Event::Recheck);
        for (index, reload) in self.rehearsal.reloads.iter().enumerate() {
            self.plan(Tick::ZERO + reload.at, Event::Reload(index));
        }
        for (index, freeze) in self.rehearsal.freezes.iter().enumerate() {
            self.plan(Tick::ZERO + freeze.at, Event::Freeze(index));
        }
        for (index, step) in self.rehearsal.steps.iter().enumerate() {
            self.plan(Tick::ZERO + step.at, Event::StepWall(index));
        }
        while let Some((at, event)) = self.queue.next() {
            self.hand.move_to(at);
            match event {
                Event::Arrive => self.arrive(),
                Event::Turn { slot, number, turn } => self.turn(slot, number, turn),
                Event::Expire => self.expire(),
                Event::Recheck => {
                    self.watches.recheck(&self.weather, &self.live);
                    self.plan(self.live.now() + RECHECK, Event::Recheck);
                }
                Event::Watch(call) => self.watch(call),
                Event::Reload(index) => {
                    let Reload { blueprint, how, .. } = &self.rehearsal.reloads[index];
                    self.hand_over(index + 1, blueprint, *how);
                }
                Event::Freeze(index) => {
                    let lasted = self.rehearsal.freezes[index].lasting;
                    self.hand.move_to(self.live.now() + lasted);
                    for live in self.gone.iter().chain([&self.live]) {
                        live.pulse(lasted);
                    }
                    self.tell(&Seen::Froze { lasted });
                }
                Event::StepWall(index) => {
                    let by = self.rehearsal.steps[index].by;
                    self.hand.step_wall(by);
                    self.tell(&Seen::WallStepped { by });
                }
            }
            self.call();
            self.witness.looked(self.live.now(), self.table());
            if self.is_over() || !self.witness.goes_on() {
                break;
            }
        }
        let tables: Vec<&Table> = self.tables.iter().filter_map(OnceCell::get).collect();
        self.witness.closed(self.live.now(), &tables);
    }

    /// Who was called has his turn, until nobody is called any more.
    fn call(&mut self) {
        loop {
            let called = self.calls.take();
            if called.is_empty() {
                return;
            }
            for (slot, number) in called {
                self.turn(slot, number, Turn::Called);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.live.now().since(Tick::ZERO) >= self.rehearsal.duration
            && self.alive == 0
            && self.watches.busy == 0
    }

    pub(super) fn tell(&mut self, seen: &Seen<'_>) {
        self.witness.saw(self.live.now(), seen);
    }

    pub(super) fn plan(&mut self, at: Tick, event: Event) {
        self.queue.plan(at, event);
    }

    fn table(&self) -> &'t Table {
        let tables: &'t [OnceCell<Table>] = self.tables;
        tables[self.revision].get().expect("a revision is in force only once its table is made")
    }

    fn put_in_force(&mut self, blueprint: &Blueprint) {
        let table = Table::compile(blueprint, &mut self.registry, &self.live);
        let places = self.weather.places(blueprint, self.rehearsal.script);
        let _ = self.tables[self.revision].set(table);
        self.places.push(places);
        let calls = self.watches.follow(self.table(), &self.places[self.revision], &self.live);
        self.plan_watches(calls);
    }

    fn hand_over(&mut self, revision: usize, blueprint: &Blueprint, how: Handover) {
        let recalled = match how {
            Handover::Reload => None,
            Handover::Restart => self.restart(revision as u64),
        };
        self.revision = revision;
        self.put_in_force(blueprint);
        match how {
            Handover::Reload => self.tell(&Seen::Reloaded { revision }),
            Handover::Restart => self.tell(&Seen::Restarted { revision, recalled: recalled.as_ref() }),
        }
    }

    /// Another process begins with what this one writes down. Its memory is its own from then on.
    fn restart(&mut self, process: u64) -> Option<Memoir> {
        let unix = self.live.clock.unix_now();
        let written = Memoir::of(self.table(), unix).encode().ok();
        let memoir = written.and_then(|written| Memoir::decode(&written.text, unix).ok());
        let seed = self.rehearsal.seed ^ (process << 32);
        let before = std::mem::replace(&mut self.live, Arc::new(Live::moved_by(&self.hand, seed)));
        self.gone.push(before);
        self.registry = Registry::default();
        if let Some(memoir) = &memoir {
            self.registry.recall(memoir.clone());
        }
        memoir
    }

    fn expire(&mut self) {
        self.table().expire();
        let slots = self.slots();
        let calls = self.watches.rescue(&self.weather, &self.live, &mut self.fates, slots);
        self.plan_watches(calls);
        self.plan(self.live.now() + EXPIRE, Event::Expire);
    }

    fn watch(&mut self, call: watch::Call) {
        let slots = self.slots();
        let mut calls = Vec::new();
        let heard = self.watches.call(call, &self.weather, &self.live, &mut self.fates, slots, &mut calls);
        let passed = match heard {
            Heard::Nothing => None,
            Heard::Passed => Some(true),
            Heard::Failed => Some(false),
        };
        if let Some(passed) = passed {
            let now = self.live.now();
            self.witness.saw(now, &Seen::Probed { upstream: self.watches.name(call.watch), passed });
        }
        self.plan_watches(calls);
    }

    fn plan_watches(&mut self, calls: Vec<watch::Call>) {
        for call in calls {
            self.plan(call.at, Event::Watch(call));
        }
    }

    /// The key of whoever sends such a request, with all above it, as the configuration in force has it.
    fn lineage(&self, said: &Call) -> Option<&'t Lineage> {
        let rehearsal = self.rehearsal;
        let reload = self.revision.checked_sub(1).and_then(|reload| rehearsal.reloads.get(reload));
        let blueprint = reload.map_or(rehearsal.blueprint, |reload| &reload.blueprint);
        let name = said.key.as_deref()?;
        Some(&blueprint.keys.iter().find(|key| *key.name == *name)?.lineage)
    }

    fn slots(&self) -> u32 {
        self.table().server.probe_concurrency.max(1)
    }

    fn route_of(&self, target: &Target) -> Option<usize> {
        match target {
            Target::Model(name) => self.table().route_of_model(name),
            Target::Path(path) => self.table().route_of_path(path),
        }
    }

    /// To the next caller, as independent people come.
    fn gap(&mut self) -> Duration {
        let gap = -(1.0 - self.arrivals.unit()).ln() / self.rehearsal.workload.rate;
        Duration::try_from_secs_f64(gap).unwrap_or(Duration::MAX)
    }

    /// Whoever comes next is expected.
    fn plan_arrival(&mut self) {
        let schedule = &self.rehearsal.workload.schedule;
        let at = if schedule.is_empty() {
            self.live.now() + self.gap()
        } else if let Some(arrival) = schedule.get(self.scheduled) {
            Tick::ZERO + arrival.at
        } else {
            return;
        };
        if at.since(Tick::ZERO) < self.rehearsal.duration {
            self.plan(at, Event::Arrive);
        }
    }

    fn arrive(&mut self) {
        let now = self.live.now();
        let rehearsal = self.rehearsal;
        let call = match rehearsal.workload.schedule.get(self.scheduled) {
            Some(arrival) => arrival.call,
            None => self.drawn(),
        };
        self.scheduled += 1;
        self.plan_arrival();
        let number = self.arrived;
        self.arrived += 1;
        let (hangs_up, patience) = (self.arrivals.unit(), self.arrivals.unit());
        self.tell(&Seen::Began { request: number, call, revision: self.revision });
        let said = &rehearsal.workload.mix[call];
        let refused = |end| Seen::Ended { request: number, call, end, attempts: 0, legs: 0, begun: now };
        let Some(route) = self.route_of(&said.target) else {
            *self.unrouted.entry(said.target.to_string()).or_default() += 1;
            self.tell(&refused(End::NoRoute));
            return;
        };
        let table = self.table();
        let conversations = rehearsal.conversations;
        let session = (conversations > 0).then(|| number % conversations);
        let route = fate::course(table, route, said, (self.lineage(said), session));
        let priority = table.priority(route, table.urgency(said.key.as_deref()), said.priority);
        let others = u32::try_from(self.alive).unwrap_or(u32::MAX);
        if !line::may_come_in(others, table.server.limits.max_inflight, priority) {
            self.tell(&refused(End::Parted(Parted::Shed(Shed::Priority))));
            return;
        }
        table.routes[route].memory.in_flight.fetch_add(1, Relaxed);
        let need = Need { session, ..fate::need(table, route, said, now) };
        let guest = Guest {
            number,
            call,
            route,
            revision: self.revision,
            begun: now,
            drive: Drive::begin(table, route, need, priority),
            told: 0,
            lined_up: now,
            listening: None,
        };
        let slot = self.free.pop().unwrap_or(self.guests.len());
        if slot == self.guests.len() {
            self.guests.push(Some(guest));
        } else {
            self.guests[slot] = Some(guest);
        }
        self.alive += 1;
        let leaves = match said.caller {
            Caller::Leaves { after } => Some(after),
            Caller::Usual | Caller::Mistaken => {
                (hangs_up < said.hang_up).then(|| HANGS_UP_WITHIN.mul_f64(patience * patience))
            }
        };
        if let Some(after) = leaves {
            self.plan(now + after, Event::Turn { slot, number, turn: Turn::HangUp });
        }
        self.turn(slot, number, Turn::Choose);
    }

    /// A kind of request, by the shares of the mix.
    fn drawn(&mut self) -> usize {
        let mix = &self.rehearsal.workload.mix;
        let whole: f64 = mix.iter().map(|call| call.share).sum();
        let mut at = self.arrivals.unit() * whole;
        for (index, call) in mix.iter().enumerate() {
            at -= call.share;
            if at < 0.0 {
                return index;
            }
        }
        mix.iter().rposition(|call| call.share > 0.0).unwrap_or(0)
    }
}
