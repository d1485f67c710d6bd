//! What holds in every world (RESILIENCE §6), checked after every event.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mainstay::algo::breaker::{Snapshot, State};
use mainstay::algo::budget;
use mainstay::algo::tick::Tick;
use mainstay::config::{Matcher, Replay};
use mainstay::route::Verdict;
use mainstay::sim::{End, Passage, Role, Seen, Witness};
use mainstay::state::gate::Gate;
use mainstay::state::memoir::Memoir;
use mainstay::state::{Channel, Table};
use mainstay::vocab::{Class, Fault, Stage};

use super::chaos::Chaos;
use super::quotas::{self, Quotas};

/// Retries over so long a time are bounded.
const WINDOW: Duration = Duration::from_secs(10);

/// How often something happened, so that the laws are known to have had something to hold.
#[derive(Clone, Copy, Default)]
pub struct Met {
    pub trials: u64,
    pub forced: u64,
    pub retries: u64,
    pub paid: u64,
    pub commits: u64,
    pub broken: u64,
    pub failed: u64,
    pub hung_up: u64,
    pub reloads: u64,
    pub froze: u64,
    pub opened: u64,
    pub hedges: u64,
    pub legs: u64,
    pub queued: u64,
    pub stepped: u64,
    pub restarts: u64,
    pub capped: u64,
}

impl Met {
    pub fn add(&mut self, other: &Self) {
        self.trials += other.trials;
        self.forced += other.forced;
        self.retries += other.retries;
        self.paid += other.paid;
        self.commits += other.commits;
        self.broken += other.broken;
        self.failed += other.failed;
        self.hung_up += other.hung_up;
        self.reloads += other.reloads;
        self.froze += other.froze;
        self.opened += other.opened;
        self.hedges += other.hedges;
        self.legs += other.legs;
        self.queued += other.queued;
        self.stepped += other.stepped;
        self.restarts += other.restarts;
        self.capped += other.capped;
    }
}

pub struct Laws {
    pub met: Met,
    broken: Vec<String>,
    /// By revision, the upstreams' names.
    served: Vec<HashSet<Arc<str>>>,
    most_attempts: u32,
    resend: Replay,
    total: Duration,
    min_open: Duration,
    /// No breaker is open for longer at a stretch.
    max_open: Duration,
    /// From then on everybody is served.
    well: Duration,
    /// For so long at most the process does not run.
    frozen: Duration,
    most_trials: u8,
    /// Of each route; the two of them share a third one of the same size.
    budget: budget::Settings,
    requests: HashMap<u64, Request>,
    /// Attempts under way, by upstream's memory.
    under_way: HashMap<usize, u32>,
    /// Gates by address, as they were seen last.
    gates: BTreeMap<usize, (Tick, Snapshot)>,
    /// First attempts and paid retries of the last time.
    firsts: VecDeque<Tick>,
    paid: VecDeque<Tick>,
    finished: u64,
    begun: u64,
    /// Processes that may still have requests, by the time when the next one began.
    before: VecDeque<Tick>,
    /// What another process was told, until its first table is looked at.
    recalled: Option<Memoir>,
    quotas: Quotas,
}

struct Request {
    revision: usize,
    begun: Tick,
    attempts: u32,
    hedges: u32,
    under_way: u32,
    phase: Phase,
    /// What is asked next follows from a verdict, which has paid for it.
    follows: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Asking,
    Committed,
}

fn address<T: ?Sized>(of: &T) -> usize {
    std::ptr::from_ref(of).cast::<()>() as usize
}

impl Laws {
    pub fn new(chaos: &Chaos) -> Self {
        let route = &chaos.blueprints[0].routes[0];
        let channel = &route.channels[0];
        let trials = chaos.blueprints.iter().flat_map(|blueprint| &blueprint.routes);
        let trials = trials.map(|route| route.channels[0].breaker.half_open.max_concurrent).max();
        let names = |blueprint: &mainstay::config::Blueprint| {
            blueprint.upstreams.iter().map(|upstream| Arc::clone(&upstream.name)).collect()
        };
        Self {
            met: Met::default(),
            broken: Vec::new(),
            served: chaos.blueprints.iter().map(names).collect(),
            most_attempts: route.retry.max_attempts * 2,
            resend: route.retry.replay,
            total: channel.timeouts.total,
            min_open: channel.breaker.min_open,
            // Upwards by a fifth at most, whatever the walls show.
            max_open: channel.breaker.open.max.max(channel.breaker.open.retry_after_cap).mul_f64(1.25),
            well: if chaos.blueprints.iter().all(quotas::spare_somebody) {
                chaos.well
            } else {
                Duration::MAX
            },
            frozen: chaos.frozen(),
            budget: route.retry.budget,
            most_trials: trials.unwrap_or(1).max(1),
            requests: HashMap::new(),
            under_way: HashMap::new(),
            gates: BTreeMap::new(),
            firsts: VecDeque::new(),
            paid: VecDeque::new(),
            finished: 0,
            begun: 0,
            before: VecDeque::new(),
            recalled: None,
            quotas: Quotas::default(),
        }
    }

    pub fn broken(self) -> Vec<String> {
        self.broken
    }

    fn must(&mut self, now: Tick, holds: bool, law: impl FnOnce() -> String) {
        // The first few say what happened; the rest follows from them.
        if !holds && self.broken.len() < 5 {
            self.broken.push(format!("at {:.3} s: {}", now.since(Tick::ZERO).as_secs_f64(), law()));
        }
    }

    fn asked(&mut self, now: Tick, number: u64, channel: &Channel, passage: Passage, role: Role) {
        *self.under_way.entry(address(&*channel.upstream.memory)).or_default() += 1;
        match passage {
            Passage::Normal => {}
            Passage::Trial => self.met.trials += 1,
            Passage::Forced => self.met.forced += 1,
        }
        let Some(request) = self.requests.get_mut(&number) else {
            return self.must(now, false, || format!("request {number} asks after its end"));
        };
        let Request { phase, attempts, begun, revision, under_way, hedges, .. } = *request;
        request.attempts += 1;
        request.under_way += 1;
        let follows = std::mem::replace(&mut request.follows, false);
        let (others, before, pays) = match role {
            Role::Own => (0, Phase::Asking, false),
            Role::Hedge => {
                request.hedges += 1;
                self.met.hedges += 1;
                (1, Phase::Asking, true)
            }
            Role::Leg => {
                self.met.legs += 1;
                (0, Phase::Committed, !follows)
            }
        };
        if attempts == 0 {
            self.firsts.push_back(now);
        }
        if pays {
            self.paid.push_back(now);
            self.amplification(now);
        }
        self.must(now, under_way == others && phase == before, || {
            format!("request {number} asks ({role:?}) while {phase:?} with {under_way} under way")
        });
        self.must(now, role != Role::Hedge || hedges == 0, || format!("request {number} hedges twice"));
        let name = &channel.upstream.config.name;
        let served = self.served[revision].contains(name);
        self.must(now, served, || {
            format!("request {number} of revision {revision} asks {name}, which is not in it")
        });
        let (most, total) = (self.most_attempts, self.total);
        self.must(now, attempts < most || role == Role::Leg, || {
            format!("request {number} makes more than {most} attempts")
        });
        self.must(now, now.since(begun) < total, || format!("request {number} asks after its deadline"));
        if passage == Passage::Normal {
            let open = |gate: &Gate| gate.state() != State::Closed;
            let shut = open(&channel.upstream.memory.gate)
                || channel.upstream.memory.models.iter().any(|model| {
                    channel.label.ends_with(&format!("/{}", model.name))
                        && model.gate.as_ref().is_some_and(open)
                });
            self.must(now, !shut, || {
                format!("request {number} passes a breaker of {} that is not closed", channel.label)
            });
        }
    }

    fn judged(
        &mut self,
        now: Tick,
        number: u64,
        failed: (Fault, Stage),
        passage: Passage,
        verdict: Option<Verdict>,
    ) {
        let (fault, stage) = failed;
        let Some(request) = self.requests.get_mut(&number) else { return };
        request.follows = true;
        let (left, expected) = (request.under_way, u32::from(verdict.is_none()));
        self.must(now, left == expected, || format!("request {number} is judged with {left} under way"));
        let Some(Verdict::Retry { wait }) = verdict else { return };
        self.met.retries += 1;
        self.must(now, wait <= Duration::from_secs(4), || format!("request {number} waits for {wait:?}"));
        self.must(now, passage != Passage::Forced, || format!("request {number} follows up a gift"));
        let turned_away = matches!(
            fault.class(),
            Class::Throttled | Class::QuotaExhausted | Class::AuthFault | Class::ConfigFault
        );
        let unsent = stage == Stage::NotSent || fault == Fault::NotProcessed;
        let safe = self.resend == Replay::Allowed || unsent || turned_away;
        self.must(now, safe, || format!("request {number} is sent twice after {fault:?} at {stage:?}"));
        if !unsent && passage != Passage::Trial {
            self.met.paid += 1;
            self.paid.push_back(now);
            self.amplification(now);
        }
    }

    /// P-R05: retries are a share of first attempts and a small reserve, whatever happens.
    fn amplification(&mut self, now: Tick) {
        let drop_old = |of: &mut VecDeque<Tick>, window: Duration| {
            while of.front().is_some_and(|at| now.since(*at) > window) {
                of.pop_front();
            }
        };
        drop_old(&mut self.paid, WINDOW);
        // What was deposited may have been spent a window later.
        drop_old(&mut self.firsts, WINDOW * 2);
        // Whoever sees his last requests to the end still has a budget of his own.
        drop_old(&mut self.before, self.total + self.frozen + WINDOW);
        let processes = (1 + self.before.len()) as f64;
        // So may the reserve.
        let reserve = self.budget.reserve_per_sec * WINDOW.as_secs_f64();
        let bound = self.budget.ratio * self.firsts.len() as f64 + processes * (2.0 * reserve + 1.0);
        let paid = self.paid.len();
        self.must(now, paid as f64 <= bound, || format!("{paid} retries in 10 s, and {bound} are allowed"));
    }

    fn ended(&mut self, now: Tick, number: u64, end: End, attempts: u32, begun: Tick) {
        let Some(request) = self.requests.remove(&number) else {
            return self.must(now, false, || format!("request {number} ends twice"));
        };
        self.finished += 1;
        self.must(now, request.attempts == attempts, || {
            format!("request {number} made {} attempts and counted {attempts}", request.attempts)
        });
        let left = request.under_way;
        self.must(now, left == 0, || format!("request {number} leaves {left} attempts behind"));
        let well = begun.since(Tick::ZERO) >= self.well;
        match end {
            End::Answered | End::HungUp => {}
            End::Broken(_) | End::Parted(_) | End::NoRoute => {
                self.must(now, !well, || {
                    format!("request {number}, which came at {:?}, ended as {end:?}", begun.since(Tick::ZERO))
                });
            }
        }
        match end {
            End::Answered => {}
            End::HungUp => self.met.hung_up += 1,
            End::Broken(_) => self.met.broken += 1,
            End::Parted(_) | End::NoRoute => self.met.failed += 1,
        }
        let expected = matches!(end, End::Answered | End::Broken(_));
        let committed = request.phase == Phase::Committed;
        self.must(now, !expected || committed, || {
            format!("request {number} ended as {end:?} before content")
        });
        let late = now.since(begun);
        // A freeze makes everything late.
        let patience = self.total + self.frozen;
        self.must(now, late <= patience, || format!("request {number} lasted {late:?}"));
    }

    fn gate(&mut self, now: Tick, gate: &Gate, name: &str) {
        let snapshot = gate.snapshot(now);
        let trials = self.most_trials;
        self.must(now, snapshot.leases <= trials.into(), || {
            format!("{name} has {} trials under way, and {trials} are allowed", snapshot.leases)
        });
        if let State::Open { until } = snapshot.state {
            let (open, most) = (until.since(snapshot.since), self.max_open);
            self.must(now, open <= most, || format!("{name} opens for {open:?}"));
        }
        let Some((_, before)) = self.gates.insert(address(gate), (now, snapshot)) else { return };
        let steps = snapshot.generation.wrapping_sub(before.generation);
        let (from, to): (State, State) = (before.state, snapshot.state);
        if steps == 0 {
            let same = std::mem::discriminant(&from) == std::mem::discriminant(&to);
            self.must(now, same, || format!("{name} went from {from:?} to {to:?} in one generation"));
            self.must(now, snapshot.level <= before.level, || format!("{name} climbed without opening"));
            return;
        }
        if matches!(to, State::Open { .. }) {
            self.met.opened += 1;
        }
        let level = snapshot.level;
        self.must(now, level <= before.level + steps, || {
            format!("{name} climbed to level {level} in one step")
        });
        if steps == 1 {
            let legal = matches!(
                (from, to),
                (State::Closed | State::HalfOpen, State::Open { .. })
                    | (State::Open { .. }, State::HalfOpen)
                    | (State::HalfOpen, State::Closed)
            );
            self.must(now, legal, || format!("{name} went from {from:?} to {to:?}"));
            // One that was half-open when its process ended may be tried at once by the next one.
            if let (State::Open { until }, State::HalfOpen) = (from, to)
                && until > before.since
            {
                let (open, least) = (now.since(before.since), self.min_open);
                self.must(now, open >= least, || format!("{name} was open for {open:?} only"));
            }
        }
    }
}

impl Witness for Laws {
    fn saw(&mut self, now: Tick, seen: &Seen<'_>) {
        match *seen {
            Seen::Began { request, revision, .. } => {
                self.begun += 1;
                let begun = Request {
                    revision,
                    begun: now,
                    attempts: 0,
                    hedges: 0,
                    under_way: 0,
                    phase: Phase::Asking,
                    follows: false,
                };
                let twice = self.requests.insert(request, begun).is_some();
                self.must(now, !twice, || format!("request {request} begins twice"));
            }
            Seen::Asked { request, channel, passage, role, credential } => {
                self.asked(now, request, channel, passage, role);
                let spent = self.quotas.asked(now, request, channel, credential);
                self.met.capped += u64::from(spent.is_some_and(|(spent, most)| spent == most));
                self.must(now, spent.is_none_or(|(spent, most)| spent <= most), || {
                    format!("request {request} takes {} beyond its quota: {spent:?}", channel.label)
                });
            }
            Seen::Committed { request, .. } => {
                self.met.commits += 1;
                let known = self.requests.get_mut(&request);
                let before = known.map(|request| {
                    (std::mem::replace(&mut request.phase, Phase::Committed), request.under_way)
                });
                self.must(now, before == Some((Phase::Asking, 1)), || {
                    format!("request {request} commits while {before:?}")
                });
            }
            Seen::GoesOn { request, .. } => {
                let known = self.requests.get(&request).map(|request| (request.phase, request.under_way));
                self.must(now, known == Some((Phase::Committed, 1)), || {
                    format!("request {request} goes on while {known:?}")
                });
            }
            Seen::Queued { request, waited } => {
                self.met.queued += 1;
                let most = self.total + self.frozen;
                self.must(now, waited <= most, || format!("request {request} waits for {waited:?} in line"));
            }
            Seen::Left { request, channel, how, bill, .. } => {
                self.quotas.left(request, channel, how, bill);
                if let Some(request) = self.requests.get_mut(&request) {
                    request.under_way = request.under_way.saturating_sub(1);
                }
                let count = self.under_way.entry(address(&*channel.upstream.memory)).or_default();
                let before = *count;
                *count = count.saturating_sub(1);
                self.must(now, before > 0, || format!("{} ends more attempts than it began", channel.label));
            }
            Seen::Judged { request, fault, stage, passage, verdict } => {
                self.judged(now, request, (fault, stage), passage, verdict);
            }
            Seen::Ended { request, end, attempts, begun, .. } => {
                self.ended(now, request, end, attempts, begun);
            }
            Seen::Probed { .. } => {}
            Seen::Reloaded { revision } => {
                self.met.reloads += 1;
                let known = revision < self.served.len();
                self.must(now, known, || format!("there is no revision {revision}"));
            }
            Seen::Restarted { revision, recalled } => {
                self.met.restarts += 1;
                self.before.push_back(now);
                let known = revision < self.served.len() && recalled.is_some();
                self.must(now, known, || format!("process {revision} knows nothing: {recalled:?}"));
                self.recalled = recalled.cloned();
            }
            Seen::Froze { .. } => self.met.froze += 1,
            Seen::WallStepped { .. } => self.met.stepped += 1,
        }
    }

    fn looked(&mut self, now: Tick, table: &Table) {
        if let Some(told) = self.recalled.take() {
            let unix = table.live.clock.unix_now();
            let known = Memoir::of(table, unix);
            self.must(now, !known.differs(&told), || format!("{told:?}\nwas recalled as\n{known:?}"));
            let resumed = told.resumes_at(unix);
            self.must(now, resumed == now, || {
                format!("the next process begins at {resumed:?}, and not {now:?}")
            });
        }
        for upstream in &table.upstreams {
            let (memory, name) = (&upstream.memory, &upstream.config.name);
            let (counted, expected) = (
                memory.in_flight.load(Relaxed),
                self.under_way.get(&address(&**memory)).copied().unwrap_or_default(),
            );
            self.must(now, counted == expected, || {
                format!("{name} counts {counted} in flight, and has {expected}")
            });
            self.gate(now, &memory.gate, name);
            for model in &memory.models {
                if let Some(gate) = &model.gate {
                    self.gate(now, gate, &model.name);
                }
            }
        }
    }

    fn closed(&mut self, now: Tick, tables: &[&Table]) {
        let (begun, finished) = (self.begun, self.finished);
        self.must(now, begun == finished && begun > 0, || {
            format!("{begun} requests began and {finished} ended")
        });
        for table in tables {
            for route in &table.routes {
                let left = route.memory.in_flight.load(Relaxed);
                self.must(now, left == 0, || format!("{left} requests are left on {}", route.config.name));
            }
            for upstream in &table.upstreams {
                let memory = &upstream.memory;
                let left = memory.in_flight.load(Relaxed);
                let models: u32 = memory.models.iter().map(|model| model.in_flight()).sum();
                self.must(now, left == 0 && models == 0, || {
                    format!("{left} attempts and {models} of models are left on {}", upstream.config.name)
                });
            }
        }
        let Some(table) = tables.last() else { return };
        for upstream in &table.upstreams {
            let state = upstream.memory.gate.state();
            self.must(now, state == State::Closed, || {
                format!("{} is {state:?} long after the end", upstream.config.name)
            });
        }
        // A model's breaker is closed by callers: by those who can go elsewhere should it fail, and where there are
        // none for ten seconds by any. Nobody calls the second tier while the first one serves.
        for route in &table.routes {
            let first = route.channels.iter().map(|channel| channel.config.tier).min();
            let named = matches!(route.config.matcher, Matcher::Model { .. });
            let asked = |channel: &&Arc<Channel>| {
                named && Some(channel.config.tier) == first && !quotas::is_capped(&channel.config)
            };
            for channel in route.channels.iter().filter(asked) {
                let model = channel.model(&route.config, "");
                let state = model.gate.as_ref().map(Gate::state);
                self.must(now, state == Some(State::Closed), || {
                    format!("{} is {state:?} long after the end", channel.label)
                });
            }
        }
    }
}
