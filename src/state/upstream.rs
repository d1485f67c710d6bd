//! Memory of one upstream, and an upstream as a table holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use dashmap::DashMap;
use parking_lot::Mutex;

use super::credential::Credential;
use super::gate::{Gate, Rescue};
use super::live::Live;
use super::model::Model;
use crate::algo::dice::Dice;
use crate::algo::health::{self, Health};
use crate::algo::tick::Tick;
use crate::algo::{breaker, ring};
use crate::config;
use crate::telemetry::{UpstreamHandles, catalogue};

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
    pub health: Mutex<Health>,
    pub in_flight: AtomicU32,
    pub models: DashMap<Arc<str>, Arc<Model>>,
    last_success: AtomicU64,
    ramp_from: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl Memory {
    pub fn new(name: Arc<str>, settings: &config::Upstream) -> Self {
        Self {
            name,
            gate: Gate::new(settings.breaker.clone(), Rescue::Probes),
            health: Mutex::new(Health::new(settings.probe.settings.clone())),
            in_flight: AtomicU32::new(0),
            models: DashMap::new(),
            last_success: AtomicU64::new(NEVER),
            ramp_from: AtomicU64::new(NEVER),
        }
    }

    /// The memory of `name`, made when it is asked for first.
    pub fn model(&self, name: &str, breaker: Option<&breaker::Settings>) -> Arc<Model> {
        if let Some(model) = self.models.get(name) {
            return Arc::clone(&model);
        }
        let name = if self.models.len() < MOST_MODELS { name } else { OTHER_MODELS };
        let name: Arc<str> = name.into();
        let made = || Arc::new(Model::new(Arc::clone(&name), breaker.cloned()));
        Arc::clone(&self.models.entry(Arc::clone(&name)).or_insert_with(made))
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
    pub credentials: Box<[Arc<Credential>]>,
    pub handles: UpstreamHandles,
    pub live: Arc<Live>,
    /// Where the next search for a ready key begins.
    /// Its name as a number.
    pub identity: u64,
    pub(super) cursor: AtomicUsize,
    /// What stands for a key where none is needed.
    pub keyless: Arc<str>,
}

impl std::fmt::Debug for UpstreamHandles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UpstreamHandles")
    }
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

    /// Books an active probe's result.
    pub fn probed(&self, verdict: health::Verdict, now: Tick) {
        match verdict {
            health::Verdict::Pass => self.handles.probe_pass.increment(1),
            health::Verdict::Fail => self.handles.probe_fail.increment(1),
        }
        let (flip, state) = {
            let mut health = self.memory.health.lock();
            let flip = health.record(verdict, now);
            (flip, health.state())
        };
        if let Some((from, to)) = flip {
            tracing::info!(upstream = %self.config.name, from = from.name(), to = to.name(), "health changed");
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
        let labels = [&*self.config.name, name, to.name(), reason.name()];
        self.live.metrics.counter(&catalogue::BREAKER_TRANSITIONS, &labels).increment(1);
        if to == breaker::State::Closed {
            match model {
                Some(model) => model.ramp(now),
                None => self.memory.ramp(now),
            }
        }
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
