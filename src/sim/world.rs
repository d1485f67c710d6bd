//! The engine: one queue of events, and time that leaps to the next of them.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::drive::Drive;
use super::fate;
use super::queue::{Event, Queue, Turn};
use super::seen::{End, Seen, Witness};
use super::setup::{Rehearsal, Unroutable};
use super::watch::{self, Heard, Watches};
use super::weather::{Answer, Weather};
use crate::algo::aimd::Mode;
use crate::algo::dice::Dice;
use crate::algo::tick::Tick;
use crate::config::Blueprint;
use crate::config::rehearsal::Target;
use crate::state::{Hand, Live, Registry, Table};

/// As often as `server::host` lets time act on breakers, and looks for trials to make.
const EXPIRE: Duration = Duration::from_millis(250);
/// As often as it rechecks keys and drains samples.
const RECHECK: Duration = Duration::from_secs(5);
/// Nobody hangs up later than this after his answer should have begun.
const HANGS_UP_WITHIN: Duration = Duration::from_secs(20);

/// Runs it. `witness` hears everything.
pub fn run(rehearsal: &Rehearsal<'_>, witness: &mut dyn Witness) -> Result<(), Unroutable> {
    let hand = Hand::default();
    let live = Arc::new(Live::moved_by(&hand, rehearsal.seed));
    let tables: Vec<OnceCell<Table>> = (0..=rehearsal.reloads.len()).map(|_| OnceCell::new()).collect();
    let mut world = World {
        rehearsal,
        witness,
        hand,
        live,
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
        arrivals: Dice::seeded(rehearsal.seed ^ 0x6172_7269_7665),
        fates: Dice::seeded(rehearsal.seed ^ 0x0066_6174_6573),
    };
    world.put_in_force(rehearsal.blueprint);
    for call in &rehearsal.workload.mix {
        if call.share > 0.0 && world.route_of(&call.target).is_none() {
            return Err(Unroutable::new(&call.target));
        }
    }
    world.run();
    Ok(())
}

pub(super) struct World<'r, 't> {
    pub(super) rehearsal: &'t Rehearsal<'r>,
    pub(super) witness: &'t mut dyn Witness,
    pub(super) hand: Hand,
    pub(super) live: Arc<Live>,
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
    pub(super) answer: Option<Answer>,
    /// The weather's place that works at it.
    pub(super) works: Option<usize>,
}

impl<'t> World<'_, 't> {
    fn run(&mut self) {
        let first = self.gap();
        self.plan(self.live.now() + first, Event::Arrive);
        self.plan(Tick::ZERO + EXPIRE, Event::Expire);
        self.plan(Tick::ZERO + RECHECK, Event::Recheck);
        for (index, reload) in self.rehearsal.reloads.iter().enumerate() {
            self.plan(Tick::ZERO + reload.at, Event::Reload(index));
        }
        for (index, freeze) in self.rehearsal.freezes.iter().enumerate() {
            self.plan(Tick::ZERO + freeze.at, Event::Freeze(index));
        }
        while let Some((at, event)) = self.queue.next() {
            self.hand.move_to(at);
            match event {
                Event::Arrive => self.arrive(),
                Event::Turn { slot, number, turn } => self.turn(slot, number, turn),
                Event::Expire => self.expire(),
                Event::Recheck => {
                    self.watches.recheck(&self.weather, &self.live);
                    self.live.metrics.upkeep();
                    self.plan(self.live.now() + RECHECK, Event::Recheck);
                }
                Event::Watch(call) => self.watch(call),
                Event::Reload(index) => {
                    let rehearsal = self.rehearsal;
                    self.revision = index + 1;
                    self.put_in_force(&rehearsal.reloads[index].blueprint);
                    self.tell(&Seen::Reloaded { revision: self.revision });
                }
                Event::Freeze(index) => {
                    let lasted = self.rehearsal.freezes[index].lasting;
                    self.hand.move_to(self.live.now() + lasted);
                    self.live.pulse(lasted);
                    self.tell(&Seen::Froze { lasted });
                }
            }
            self.witness.looked(self.live.now(), self.table());
            if self.is_over() {
                break;
            }
        }
        let tables: Vec<&Table> = self.tables.iter().filter_map(OnceCell::get).collect();
        self.witness.closed(self.live.now(), &tables);
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
        let table = Table::compile(&without_learnt_limits(blueprint), &mut self.registry, &self.live);
        let places = self.weather.places(blueprint, self.rehearsal.script);
        let _ = self.tables[self.revision].set(table);
        self.places.push(places);
        let calls = self.watches.follow(self.table(), &self.places[self.revision], &self.live);
        self.plan_watches(calls);
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

    fn arrive(&mut self) {
        let now = self.live.now();
        if now.since(Tick::ZERO) >= self.rehearsal.duration {
            return;
        }
        let gap = self.gap();
        self.plan(now + gap, Event::Arrive);
        let (call, number) = (self.drawn(), self.arrived);
        self.arrived += 1;
        let (hangs_up, patience) = (self.arrivals.unit(), self.arrivals.unit());
        self.tell(&Seen::Began { request: number, call, revision: self.revision });
        let rehearsal = self.rehearsal;
        let said = &rehearsal.workload.mix[call];
        let Some(route) = self.route_of(&said.target) else {
            self.tell(&Seen::Ended { request: number, call, end: End::NoRoute, attempts: 0, begun: now });
            return;
        };
        let table = self.table();
        table.routes[route].memory.in_flight.fetch_add(1, Relaxed);
        let guest = Guest {
            number,
            call,
            route,
            revision: self.revision,
            begun: now,
            drive: Drive::begin(table, route, fate::need(table, route, said, now)),
            answer: None,
            works: None,
        };
        let slot = self.free.pop().unwrap_or(self.guests.len());
        if slot == self.guests.len() {
            self.guests.push(Some(guest));
        } else {
            self.guests[slot] = Some(guest);
        }
        self.alive += 1;
        if hangs_up < said.hang_up {
            let after = HANGS_UP_WITHIN.mul_f64(patience * patience);
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

/// Rehearsed upstreams fail by script and have no capacity that could be learnt, and nothing waits in a queue here:
/// a limit learnt from a scripted overload would refuse at once whom the gateway lets wait.
fn without_learnt_limits(blueprint: &Blueprint) -> Blueprint {
    let mut blueprint = blueprint.clone();
    for upstream in &mut blueprint.upstreams {
        upstream.concurrency.mode = Mode::Fixed;
    }
    blueprint
}
