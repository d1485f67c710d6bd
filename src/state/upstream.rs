//! Memory of one upstream, and an upstream as a table holds it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use dashmap::{DashMap, Entry};
use parking_lot::Mutex;

use super::bar::Bar;
use super::credential::Credential;
use super::fate;
use super::gate::{Gate, Rescue};
use super::live::Live;
use super::memoir;
use super::model::Model;
use super::network::{Guilt, WayOut};
use super::queue::Awaited;
use super::timeline::{Change, Subject, Timeline};
use super::unserved::Unserved;
use crate::algo::dice::Dice;
use crate::algo::health::{self, Health};
use crate::algo::tick::Tick;
use crate::algo::{breaker, cooldown, ring};
use crate::config;
use crate::telemetry::{UpstreamHandles, catalogue};
use crate::vocab::Fault;

/// Models of one upstream that are remembered apart. Callers name models under a pattern route, so
/// the number must have a bound; names beyond it share one memory.
const MOST_MODELS: usize = 512;
/// The name of that shared memory, which no model can have.
const OTHER_MODELS: &str = "*";

/// What is known of an upstream. Survives reloads that leave its transport alone.
#[derive(Debug)]
pub struct Memory {
    pub name: Arc<str>,
    pub gate: Gate,
    /// Whether operators keep requests from it.
    pub bar: Bar,
    pub timeline: Timeline,
    pub health: Mutex<Health>,
    pub in_flight: AtomicU32,
    /// Connections to it that are slow to open, at this moment; its pool counts them.
    pub slow_to_open: Arc<AtomicUsize>,
    pub models: DashMap<Arc<str>, Arc<Model>>,
    /// How many of them are remembered apart. The map itself can be asked only before it is changed.
    apart: AtomicUsize,
    /// What callers asked for and it does not have.
    pub unserved: Unserved,
    /// Who waits for places here.
    pub(super) awaited: Awaited,
    last_success: AtomicU64,
    ramp_from: AtomicU64,
    /// What an earlier process knew of models that nobody has asked for yet.
    recalled: Mutex<Option<Recalled>>,
}

#[derive(Debug)]
struct Recalled {
    models: HashMap<String, memoir::Model>,
    cooldown: cooldown::Settings,
    at: Tick,
}

const NEVER: u64 = u64::MAX;

impl Memory {
    pub fn new(name: Arc<str>, settings: &config::Upstream) -> Self {
        Self {
            name,
            gate: Gate::new(settings.breaker.clone(), Rescue::Probes),
            bar: Bar::default(),
            timeline: Timeline::default(),
            health: Mutex::new(Health::new(settings.probe.settings.clone())),
            in_flight: AtomicU32::new(0),
            slow_to_open: Arc::default(),
            models: DashMap::new(),
            apart: AtomicUsize::new(0),
            unserved: Unserved::default(),
            awaited: Awaited::default(),
            last_success: AtomicU64::new(NEVER),
            ramp_from: AtomicU64::new(NEVER),
            recalled: Mutex::new(None),
        }
    }

    /// As an earlier process left it.
    pub(super) fn recalled(
        name: Arc<str>,
        settings: &config::Upstream,
        kept: memoir::Upstream,
        now: Tick,
    ) -> Self {
        let memory = Self::new(name, settings);
        memory.gate.recall(&(&kept.gate).into());
        if let Some(health) = kept.health.filter(|health| memoir::is_recent(health.asked, now)) {
            *memory.health.lock() = Health::restore(settings.probe.settings.clone(), &(&health).into());
        }
        memory.last_success.store(kept.last_success.unwrap_or(NEVER), Relaxed);
        memory.ramp_from.store(kept.ramp.unwrap_or(NEVER), Relaxed);
        let models = kept.models.into_iter().take(MOST_MODELS);
        let models = models.map(|model| (model.name.clone(), model)).collect();
        *memory.recalled.lock() = Some(Recalled { models, cooldown: settings.cooldown.clone(), at: now });
        memory
    }

    /// What it knows; `now` is when its probes are taken to have spoken last.
    pub(super) fn keep(&self, now: Tick) -> memoir::Upstream {
        let known = |nanos: &AtomicU64| Some(nanos.load(Relaxed)).filter(|&nanos| nanos != NEVER);
        let mut models: Vec<_> =
            self.models.iter().filter(|model| model.may_be_told()).map(|model| model.keep()).collect();
        // Those that nobody has asked for since the start are as they were.
        models.extend(self.recalled.lock().iter().flat_map(|recalled| recalled.models.values().cloned()));
        models.sort_by(|a, b| a.name.cmp(&b.name));
        memoir::Upstream {
            name: self.name.to_string(),
            transport: String::new(),
            gate: (&self.gate.keep()).into(),
            health: Some(memoir::Health::of(&self.health.lock().keep(), now)),
            last_success: known(&self.last_success),
            ramp: known(&self.ramp_from),
            models,
            cells: Vec::new(),
        }
    }

    fn made(&self, name: &Arc<str>, breaker: Option<&breaker::Settings>) -> Arc<Model> {
        let model = Model::new(Arc::clone(name), breaker.cloned());
        if let Some(recalled) = &mut *self.recalled.lock() {
            let by_name = recalled.models.remove(&**name);
            if let Some(kept) = by_name.or_else(|| recalled.models.remove(&memoir::hashed(name))) {
                model.recall(&kept, &recalled.cooldown, recalled.at);
                // It was told before.
                model.quote();
            }
        }
        Arc::new(model)
    }

    /// The memory of `name`, made when it is asked for first.
    pub fn model(&self, name: &str, breaker: Option<&breaker::Settings>) -> Arc<Model> {
        if let Some(model) = self.models.get(name) {
            return Arc::clone(&model);
        }
        if self.apart.load(Relaxed) < MOST_MODELS {
            let name: Arc<str> = name.into();
            match self.models.entry(Arc::clone(&name)) {
                Entry::Occupied(known) => return Arc::clone(known.get()),
                // Looked at again now that nobody else can bring the same name.
                Entry::Vacant(vacant) if self.takes_one_more() => {
                    return Arc::clone(&vacant.insert(self.made(&name, breaker)));
                }
                Entry::Vacant(_) => {}
            }
        }
        self.other_models(breaker)
    }

    /// The memory that names share which are not remembered apart.
    pub fn other_models(&self, breaker: Option<&breaker::Settings>) -> Arc<Model> {
        let made = || self.made(&OTHER_MODELS.into(), breaker);
        Arc::clone(&self.models.entry(OTHER_MODELS.into()).or_insert_with(made))
    }

    /// Lets go of the memory of a model that was never there, so that its place is free for one that is.
    pub fn forget(&self, name: &str) {
        let unused = |_: &Arc<str>, model: &mut Arc<Model>| model.is_unused();
        if name != OTHER_MODELS && self.models.remove_if_mut(name, unused).is_some() {
            self.apart.fetch_sub(1, Relaxed);
        }
    }

    fn takes_one_more(&self) -> bool {
        let more = |apart| (apart < MOST_MODELS).then_some(apart + 1);
        self.apart.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    pub fn succeeded(&self, now: Tick) {
        self.last_success.store(now.nanos(), Relaxed);
    }

    /// Whether live traffic succeeded within `window`, so that a probe could add nothing.
    pub fn proven_within(&self, window: Duration, now: Tick) -> bool {
        let last = self.last_success.load(Relaxed);
        last != NEVER && now.since(Tick::from_nanos(last)) < window
    }

    pub fn ramp(&self, now: Tick) {
        self.ramp_from.store(now.nanos(), Relaxed);
    }

    pub fn ramping_since(&self) -> Option<Tick> {
        let from = self.ramp_from.load(Relaxed);
        (from != NEVER).then_some(Tick::from_nanos(from))
    }

    /// What active probes say.
    pub fn health(&self) -> health::State {
        self.health.lock().state()
    }

    /// The transport breaker's recent counts.
    pub fn recent(&self, now: Tick) -> ring::Counts {
        self.gate.snapshot(now).fast
    }
}

/// An upstream of one table: its settings, its memory, its keys.
#[derive(Debug)]
pub struct Upstream {
    pub config: config::Upstream,
    pub memory: Arc<Memory>,
    /// Where it stands among those that fail together with it.
    pub fate: Option<fate::Member>,
    pub(super) way: Option<WayOut>,
    pub credentials: Box<[Arc<Credential>]>,
    pub handles: UpstreamHandles,
    pub live: Arc<Live>,
    /// Its name as a number.
    pub identity: u64,
    /// Where the next search for a ready key begins.
    pub(super) cursor: AtomicUsize,
    /// What stands for a key where none is needed.
    pub keyless: Arc<str>,
}

impl Upstream {
    pub fn is_configured(&self) -> bool {
        self.config.readiness == config::Readiness::Ready
    }

    /// What callers say of it, as far as it spares probes.
    fn traffic(&self, now: Tick) -> health::Traffic {
        if self.memory.proven_within(self.config.probe.settings.interval, now) {
            health::Traffic::Succeeding
        } else if self.memory.recent(now).total() > 0 {
            health::Traffic::Failing
        } else {
            health::Traffic::None
        }
    }

    /// Whether callers prove what a probe would ask.
    pub fn needs_no_probe(&self, now: Tick) -> bool {
        let traffic = self.traffic(now);
        self.memory.health.lock().is_suppressed(traffic)
    }

    /// How long to wait before the next probe.
    pub fn next_probe(&self, now: Tick, dice: &mut Dice) -> Duration {
        let traffic = self.traffic(now);
        self.memory.health.lock().next_gap(traffic, dice)
    }

    /// An attempt that began at `began` went well.
    pub(super) fn succeeded(&self, began: Tick, now: Tick) {
        self.memory.succeeded(now);
        if let Some(way) = &self.way {
            self.live.network.heard(way, now);
        }
        if let Some(fate) = &self.fate {
            fate.succeeded(began, now);
        }
    }

    /// Whose guilt a failed attempt is.
    pub(super) fn guilt(&self, fault: Fault, now: Tick) -> Guilt {
        self.way.as_ref().map_or(Guilt::Usual, |way| self.live.network.failed(way, fault, now))
    }

    /// Whether the network here is suspected of what befalls this upstream.
    pub fn is_cut_off(&self, now: Tick) -> bool {
        self.way.is_some() && self.live.network.is_suspected(now)
    }

    /// Whether it is picked after others because others of its group fail alike.
    pub fn is_demoted(&self, now: Tick) -> bool {
        self.fate.as_ref().is_some_and(|fate| fate.is_demoted(now))
    }

    /// Whether its streams are expected to break, because those of others of its group do.
    pub fn is_about_to_break(&self, now: Tick) -> bool {
        self.fate.as_ref().is_some_and(|fate| fate.is_about_to_break(now))
    }

    /// Books an active probe's result.
    pub fn probed(&self, verdict: health::Verdict, now: Tick) {
        match verdict {
            health::Verdict::Pass => self.handles.probe_pass.increment(1),
            health::Verdict::Fail => self.handles.probe_fail.increment(1),
        }
        if let (health::Verdict::Pass, Some(way)) = (verdict, &self.way) {
            self.live.network.heard(way, now);
        }
        let (flip, state) = {
            let mut health = self.memory.health.lock();
            let flip = health.record(verdict, now);
            (flip, health.state())
        };
        if let Some((from, to)) = flip {
            tracing::info!(upstream = %self.config.name, from = from.name(), to = to.name(), "health changed");
            let reason = match verdict {
                health::Verdict::Pass => "probes pass",
                health::Verdict::Fail => "probes fail",
            };
            let change = Change {
                at: now,
                of: Subject::Health,
                from: from.name(),
                to: to.name(),
                reason: reason.into(),
            };
            self.memory.timeline.note(change);
            if from == health::State::Down && to == health::State::Up {
                self.memory.ramp(now);
            }
        }
        // Probes may end the open state early, never close the breaker: they do not exercise what
        // callers use (D13).
        if verdict == health::Verdict::Pass && state == health::State::Up {
            let transition = self.memory.gate.probe_rose(now);
            self.note(None, transition, now);
        }
    }

    /// Logs and counts a transition of the transport's breaker, or of `model`'s.
    pub fn note(&self, model: Option<&Model>, transition: Option<breaker::Transition>, now: Tick) {
        let Some(breaker::Transition { from, to, reason }) = transition else { return };
        let name = model.map_or("", Model::label);
        tracing::warn!(
            upstream = %self.config.name,
            model = name,
            from = from.name(),
            to = to.name(),
            reason = reason.name(),
            "breaker changed"
        );
        let timeline = model.map_or(&self.memory.timeline, |model| &model.timeline);
        timeline.note(Change {
            at: now,
            of: Subject::Breaker,
            from: from.name(),
            to: to.name(),
            reason: reason.name().into(),
        });
        let labels = [&*self.config.name, name, to.name(), reason.name()];
        self.live.metrics.counter(&catalogue::BREAKER_TRANSITIONS, &labels).increment(1);
        let gate = model.map_or(Some(&self.memory.gate), |model| model.gate.as_ref());
        if let Some(lasted) = gate.and_then(|gate| gate.came_to(to, now)) {
            let labels = [&*self.config.name, name];
            self.live.metrics.histogram(&catalogue::BREAKER_SECONDS, &labels).record(lasted.as_secs_f64());
        }
        if to == breaker::State::Closed {
            match model {
                Some(model) => model.ramp(now),
                None => self.memory.ramp(now),
            }
        }
    }

    /// Forgets what was learnt of it and of its models and keys: faults, latencies, cooldowns.
    pub fn reset(&self, now: Tick) {
        *self.memory.recalled.lock() = None;
        self.note(None, self.memory.gate.reset(now), now);
        let models: Vec<_> = self.memory.models.iter().map(|entry| Arc::clone(entry.value())).collect();
        for model in models {
            self.reset_model(&model, now);
        }
        for key in &self.credentials {
            key.own.reset(now);
            key.quota.reset(now);
        }
    }

    /// As [`Upstream::reset`], of one model alone.
    pub fn reset_model(&self, model: &Model, now: Tick) {
        let transition = model.reset(now);
        self.note(Some(model), transition, now);
    }

    /// Lets time act on every gate of this upstream.
    pub fn expire(&self, now: Tick, dice: &mut Dice) {
        let transition = self.memory.gate.expire(now, dice);
        self.note(None, transition, now);
        let mut models: Vec<_> = self.memory.models.iter().map(|entry| Arc::clone(entry.value())).collect();
        // The map has an order of its own in each process, and each draw of the dice has its place.
        models.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for model in models {
            if let Some(gate) = &model.gate {
                let transition = gate.expire(now, dice);
                self.note(Some(&model), transition, now);
            }
        }
    }
}
