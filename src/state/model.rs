//! Memory of one model on one upstream: its breaker, its latency, what is in flight, its key rates.

use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use super::bar::Bar;
use super::credential::Cell;
use super::gate::{Gate, Rescue};
use super::memoir;
use super::room::Room;
use super::silence::Silence;
use super::timeline::Timeline;
use crate::algo::aimd;
use crate::algo::breaker;
use crate::algo::cooldown;
use crate::algo::ewma::PeakEwma;
use crate::algo::quantile::Quantile;
use crate::algo::quota::{Caps, Quota};
use crate::algo::tick::Tick;

/// Smoothing time of latency (RESILIENCE §4.8).
const LATENCY_TAU: Duration = Duration::from_secs(10);
/// What the latency of a channel that nobody asks drifts to, so that one that was slow once is tried again.
const LATENCY_AT_REST: Duration = Duration::from_secs(1);
/// A failure counts as an answer this slow, or fast failures would look attractive (D9).
pub const FAILURE_PENALTY: Duration = Duration::from_secs(5);
/// How long a model that the upstream says it does not serve is left alone (RESILIENCE §5.1).
pub const MISSING_FOR: Duration = Duration::from_mins(5);

/// How long a model is not asked for what it has refused once: it may be another one by then, or somebody else's
/// configuration.
pub const REFUSES_PREFILL_FOR: Duration = Duration::from_hours(1);

/// How long a computed percentile serves.
const P95_KEPT: Duration = Duration::from_secs(1);
/// Samples below which a 95th percentile says nothing.
const P95_SAMPLES: u64 = 20;

/// Multiple of the p95 for which nothing at all has to come of a model until it counts as silent, and the least.
const SILENT: (u32, Duration) = (2, Duration::from_secs(1));

/// Of streams that have stopped in the middle: one may just think.
const SEVERAL: u32 = 2;
/// One in so many streams, at least.
const A_PART: u32 = 4;

/// Streams and whole answers have nothing in common as latencies go: a stream's first token comes
/// after the prefill, a whole answer after the last token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Stream,
    Whole,
}

/// Percentiles of latencies, and of how many they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    pub count: u64,
    pub p50: Duration,
    pub p95: Duration,
    pub p99: Duration,
}

#[derive(Debug)]
pub struct Model {
    pub name: Arc<str>,
    /// What stands for the name elsewhere, once somebody has asked.
    hashed: OnceLock<Arc<str>>,
    /// Whether the configuration names this model; only then may the name be a label.
    configured: AtomicBool,
    /// Whether a request has named it of which something may be kept beside numbers.
    quotable: AtomicBool,
    /// `None` for plain HTTP, where the upstream's own gate says it all.
    pub gate: Option<Gate>,
    /// Whether operators keep requests from it.
    pub bar: Bar,
    pub timeline: Timeline,
    latency: [Mutex<Latency>; 2],
    pub(super) silence: [Silence; 2],
    pub waiting: AtomicU32,
    pub streaming: AtomicU32,
    /// Of those, how many have stopped in the middle.
    pub(super) stalled: AtomicU32,
    ramp_from: AtomicU64,
    missing_until: AtomicU64,
    /// Until when it is not asked to go on with an answer that the request has begun.
    refuses_prefill_until: AtomicU64,
    /// When the latest attempt began that was answered, and a nanosecond more; 0 before there is one.
    answered: AtomicU64,
    has_rates: AtomicBool,
    rates: ByKey<Cell>,
    has_quotas: AtomicBool,
    quotas: ByKey<Mutex<Quota>>,
    rooms: ByKey<Room>,
}

/// What is known of each key; there are few.
type ByKey<T> = Mutex<Vec<(Arc<str>, Arc<T>)>>;

#[derive(Debug)]
struct Latency {
    ewma: PeakEwma,
    quantile: Quantile,
    /// The p95, of how many samples, and when it was computed; every request asks for it, and it does not
    /// change that fast.
    p95: Option<(Tick, u64, Option<Duration>)>,
}

impl Latency {
    fn new() -> Self {
        Self { ewma: PeakEwma::new(LATENCY_TAU, LATENCY_AT_REST), quantile: Quantile::new(), p95: None }
    }
}

/// No ramp is running.
const NO_RAMP: u64 = u64::MAX;

impl Model {
    pub fn new(name: Arc<str>, breaker: Option<breaker::Settings>) -> Self {
        Self {
            name,
            hashed: OnceLock::new(),
            configured: AtomicBool::new(false),
            quotable: AtomicBool::new(false),
            gate: breaker.map(|settings| Gate::new(settings, Rescue::None)),
            bar: Bar::default(),
            timeline: Timeline::default(),
            latency: [Mutex::new(Latency::new()), Mutex::new(Latency::new())],
            silence: [Silence::new(), Silence::new()],
            waiting: AtomicU32::new(0),
            streaming: AtomicU32::new(0),
            stalled: AtomicU32::new(0),
            ramp_from: AtomicU64::new(NO_RAMP),
            missing_until: AtomicU64::new(0),
            refuses_prefill_until: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            has_rates: AtomicBool::new(false),
            rates: Mutex::default(),
            has_quotas: AtomicBool::new(false),
            quotas: Mutex::default(),
            rooms: Mutex::default(),
        }
    }

    /// As an earlier process left it.
    pub(super) fn recall(&self, kept: &memoir::Model, cooldown: &cooldown::Settings, now: Tick) {
        if let (Some(gate), Some(kept)) = (&self.gate, &kept.gate) {
            gate.recall(&kept.into());
        }
        for (latency, kept) in self.latency.iter().zip(kept.latency) {
            if let Some((at, seconds)) = kept.filter(|&(at, _)| memoir::is_recent(at, now)) {
                latency.lock().ewma.recall(Tick::from_nanos(at), seconds);
            }
        }
        self.ramp_from.store(kept.ramp.unwrap_or(NO_RAMP), Relaxed);
        self.missing_until.store(kept.missing_until, Relaxed);
        for (key, kept) in &kept.rates {
            let cell = Arc::new(Cell::recalled(cooldown.clone(), &kept.into(), now));
            self.rates.lock().push((key.as_str().into(), cell));
            self.has_rates.store(true, Release);
        }
        for (key, kept) in &kept.quotas {
            // The caps come with the first request.
            let quota = Quota::restore(Caps::default(), &kept.into());
            self.quotas.lock().push((key.as_str().into(), Arc::new(Mutex::new(quota))));
            self.has_quotas.store(true, Release);
        }
    }

    pub(super) fn keep(&self) -> memoir::Model {
        let latency = [Shape::Stream, Shape::Whole].map(|shape| {
            let kept = self.latency[shape as usize].lock().ewma.last();
            kept.map(|(at, seconds)| (at.nanos(), seconds))
        });
        let rates = self.rates.lock();
        let quotas = self.quotas.lock();
        memoir::Model {
            name: self.shown(),
            gate: self.gate.as_ref().map(|gate| (&gate.keep()).into()),
            latency,
            ramp: self.ramping_since().map(Tick::nanos),
            missing_until: self.missing_until.load(Relaxed),
            rates: rates
                .iter()
                .filter_map(|(key, cell)| Some((key.to_string(), (&cell.keep()?).into())))
                .collect(),
            quotas: quotas
                .iter()
                .map(|(key, quota)| (key.to_string(), (&quota.lock().keep()).into()))
                .collect(),
        }
    }

    /// Forgets what was learnt of it, but for its quotas, which the upstream has told: faults, latencies, throttles.
    pub(super) fn reset(&self, now: Tick) -> Option<breaker::Transition> {
        for latency in &self.latency {
            *latency.lock() = Latency::new();
        }
        self.missing_until.store(0, Relaxed);
        self.refuses_prefill_until.store(0, Relaxed);
        for (_, cell) in self.rates() {
            cell.reset(now);
        }
        self.gate.as_ref().and_then(|gate| gate.reset(now))
    }

    /// The configuration names this model.
    pub(super) fn configure(&self) {
        self.configured.store(true, Relaxed);
    }

    /// A request has named it whose words may be kept.
    pub fn quote(&self) {
        if !self.quotable.load(Relaxed) {
            self.quotable.store(true, Relaxed);
        }
    }

    /// Whether its name, hashed where callers made it up, may leave this process.
    pub(super) fn may_be_told(&self) -> bool {
        self.configured.load(Relaxed) || self.quotable.load(Relaxed)
    }

    /// The name as a metric's label: callers choose names under a pattern, so those are one.
    pub fn label(&self) -> &str {
        if self.configured.load(Relaxed) { &self.name } else { "other" }
    }

    /// Whether nothing would be lost with it: only callers have named it, nobody has an answer of it, nor waits for
    /// one.
    pub(super) fn is_unused(&self) -> bool {
        !self.configured.load(Relaxed)
            && self.in_flight() == 0
            && self.answered.load(Relaxed) == 0
            && !self.has_rates.load(Acquire)
    }

    pub fn in_flight(&self) -> u32 {
        self.waiting.load(Relaxed) + self.streaming.load(Relaxed)
    }

    pub fn observe(&self, shape: Shape, now: Tick, ttft: Duration) {
        let mut latency = self.latency[shape as usize].lock();
        latency.ewma.observe(now, ttft);
        latency.quantile.observe(now, ttft);
    }

    /// A failure; it counts as slow and stays out of the quantiles.
    pub fn penalise(&self, shape: Shape, now: Tick) {
        self.latency[shape as usize].lock().ewma.penalty(now, FAILURE_PENALTY);
    }

    /// A wait that was given up says only that the answer takes longer than this.
    pub fn at_least(&self, shape: Shape, now: Tick, waited: Duration) {
        let mut latency = self.latency[shape as usize].lock();
        if latency.ewma.value(now).is_some_and(|value| waited > value) {
            latency.ewma.observe(now, waited);
        }
    }

    pub fn latency(&self, shape: Shape, now: Tick) -> Option<Duration> {
        self.latency[shape as usize].lock().ewma.value(now)
    }

    /// How latencies of the last minute are spread; `None` where there was none.
    pub fn spread(&self, shape: Shape, now: Tick) -> Option<Spread> {
        let latency = self.latency[shape as usize].lock();
        let count = latency.quantile.count(now);
        let at = |share| latency.quantile.at(now, share);
        Some(Spread { count, p50: at(0.5)?, p95: at(0.95)?, p99: at(0.99)? })
    }

    /// The 95th percentile of the last minute's latencies, if there were enough of them to have one.
    pub fn p95(&self, shape: Shape, now: Tick) -> Option<Duration> {
        self.p95_of(P95_SAMPLES, shape, now)
    }

    /// As [`Model::p95`], of at least so many samples.
    pub fn p95_of(&self, least: u64, shape: Shape, now: Tick) -> Option<Duration> {
        let mut latency = self.latency[shape as usize].lock();
        let (count, p95) = match latency.p95 {
            Some((at, count, p95)) if now.since(at) < P95_KEPT => (count, p95),
            _ => {
                let count = latency.quantile.count(now);
                let p95 = latency.quantile.at(now, 0.95);
                latency.p95 = Some((now, count, p95));
                (count, p95)
            }
        };
        p95.filter(|_| count >= least)
    }

    /// Whether several wait for it, and nothing has come for longer than it usually takes.
    pub fn is_silent(&self, shape: Shape, now: Tick) -> bool {
        let (factor, least) = SILENT;
        let lasting = self.silence[shape as usize].lasting(now).filter(|lasting| *lasting > least);
        lasting.is_some_and(|lasting| self.p95(shape, now).is_some_and(|p95| lasting > p95 * factor))
    }

    /// Whether it is silent, and somebody has gone to find out a moment ago.
    pub fn is_left_alone(&self, shape: Shape, now: Tick) -> bool {
        self.is_silent(shape, now) && !self.silence[shape as usize].is_due(now)
    }

    /// Whether several of its streams have stopped in the middle, and a good part of all. The others may have as well:
    /// that is not known of those that began a moment ago.
    pub fn is_stalling(&self) -> bool {
        let stalled = self.stalled.load(Relaxed);
        stalled >= SEVERAL && stalled.saturating_mul(A_PART) >= self.streaming.load(Relaxed)
    }

    /// Starts the slow start anew.
    pub fn ramp(&self, now: Tick) {
        self.ramp_from.store(now.nanos(), Relaxed);
    }

    pub fn ramping_since(&self) -> Option<Tick> {
        let from = self.ramp_from.load(Relaxed);
        (from != NO_RAMP).then_some(Tick::from_nanos(from))
    }

    /// An attempt that began at `began` has its answer.
    pub fn answered(&self, began: Tick) {
        self.answered.fetch_max(began.nanos().saturating_add(1), Relaxed);
    }

    /// Whether an attempt that began at `since` or later was answered.
    pub fn has_answered_since(&self, since: Tick) -> bool {
        self.answered.load(Relaxed) > since.nanos()
    }

    pub fn missing(&self, now: Tick) {
        self.missing_until.store((now + MISSING_FOR).nanos(), Relaxed);
    }

    pub fn missing_until(&self, now: Tick) -> Option<Tick> {
        let until = Tick::from_nanos(self.missing_until.load(Relaxed));
        (until > now).then_some(until)
    }

    /// Whether it is not to be asked to go on with a begun answer.
    pub fn refuses_prefill(&self, now: Tick) -> bool {
        Tick::from_nanos(self.refuses_prefill_until.load(Relaxed)) > now
    }

    /// Remembers for a while that it refused to. A restart forgets it.
    pub fn refused_prefill(&self, now: Tick) {
        self.refuses_prefill_until.store((now + REFUSES_PREFILL_FOR).nanos(), Relaxed);
    }

    /// The rate memory of a key on this model, if it was ever throttled here.
    pub fn rate(&self, key: &Arc<str>) -> Option<Arc<Cell>> {
        if !self.has_rates.load(Acquire) {
            return None;
        }
        self.rates.lock().iter().find(|(known, _)| known == key).map(|(_, cell)| Arc::clone(cell))
    }

    /// The rate memories of all keys that were ever throttled here.
    pub(super) fn rates(&self) -> Vec<(Arc<str>, Arc<Cell>)> {
        if self.has_rates.load(Acquire) { self.rates.lock().clone() } else { Vec::new() }
    }

    /// The name as other processes may see it: what callers made up is hashed.
    pub(super) fn shown(&self) -> String {
        if self.configured.load(Relaxed) { self.name.to_string() } else { self.hashed().to_string() }
    }

    /// What stands for the name where callers made it up. Made once: replicas ask several times a second.
    pub(super) fn hashed(&self) -> &Arc<str> {
        self.hashed.get_or_init(|| memoir::hashed(&self.name).into())
    }

    /// Whether anybody has asked for that.
    #[cfg(test)]
    pub(super) fn was_hashed(&self) -> bool {
        self.hashed.get().is_some()
    }

    /// What is left of a key's quota at this model, if anything is known of it.
    pub fn quota(&self, key: &Arc<str>) -> Option<Arc<Mutex<Quota>>> {
        if !self.has_quotas.load(Acquire) {
            return None;
        }
        self.quotas.lock().iter().find(|(known, _)| known == key).map(|(_, quota)| Arc::clone(quota))
    }

    /// As [`Model::quota`]; with caps there is always something to count.
    pub fn capped_quota(&self, key: &Arc<str>, caps: Caps) -> Option<Arc<Mutex<Quota>>> {
        if caps == Caps::default() { self.quota(key) } else { Some(self.quota_or_new(key, caps)) }
    }

    pub fn quota_or_new(&self, key: &Arc<str>, caps: Caps) -> Arc<Mutex<Quota>> {
        let mut quotas = self.quotas.lock();
        if let Some((_, quota)) = quotas.iter().find(|(known, _)| known == key) {
            quota.lock().reconfigure(caps);
            return Arc::clone(quota);
        }
        let quota = Arc::new(Mutex::new(Quota::new(caps)));
        quotas.push((Arc::clone(key), Arc::clone(&quota)));
        self.has_quotas.store(true, Release);
        quota
    }

    /// How many requests of a key are at this model.
    pub fn room(&self, key: &Arc<str>, settings: aimd::Settings) -> Arc<Room> {
        let mut rooms = self.rooms.lock();
        if let Some((_, room)) = rooms.iter().find(|(known, _)| known == key) {
            return Arc::clone(room);
        }
        let room = Arc::new(Room::new(settings));
        rooms.push((Arc::clone(key), Arc::clone(&room)));
        room
    }

    /// Places of all keys that are taken; as many as are in flight.
    pub fn taken(&self) -> u32 {
        self.rooms.lock().iter().map(|(_, room)| room.in_flight()).sum()
    }

    pub(super) fn reconfigure_rooms(&self, settings: aimd::Settings) {
        for (_, room) in &*self.rooms.lock() {
            room.reconfigure(settings);
        }
    }

    pub fn rate_or_new(&self, key: &Arc<str>, settings: &cooldown::Settings) -> Arc<Cell> {
        let mut rates = self.rates.lock();
        if let Some((_, cell)) = rates.iter().find(|(known, _)| known == key) {
            return Arc::clone(cell);
        }
        let cell = Arc::new(Cell::new(settings.clone()));
        rates.push((Arc::clone(key), Arc::clone(&cell)));
        self.has_rates.store(true, Release);
        cell
    }
}
