//! A breaker that many threads share, with its hint of trouble (RESILIENCE E10) beside it.
//!
//! While the breaker is closed and nothing is wrong, asking and entering cost one atomic load: the
//! word says "closed, this generation". It is written only under the lock, and a reader who was a
//! moment too late holds a permit of an old generation, which the breaker ignores when it is settled.

use std::time::Duration;

use super::sync::Mutex;
use super::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};
use crate::algo::breaker::{
    Admissible, Breaker, Forced, Kept, Kind, Permit, Refused, Settings, Settled, Signal, Snapshot, State,
    Transition,
};
use crate::algo::dice::Dice;
use crate::algo::shun::{self, Shun};
use crate::algo::tick::Tick;

#[derive(Debug)]
pub struct Gate {
    /// `generation << 3 | breaks_streams << 2 | shunned << 1 | closed`.
    word: AtomicU64,
    rescue: Rescue,
    core: Mutex<Core>,
}

/// Who else makes trials when callers bring no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rescue {
    /// Nobody: only a caller's request can tell.
    None,
    /// Synthetic probes; callers step back for them.
    Probes,
}

#[derive(Debug)]
struct Core {
    breaker: Breaker,
    shun: Shun,
    /// The last fault came in the middle of a stream, so only a stream that ends well disproves it.
    breaks_streams: bool,
    /// After how many content events the streams broke that broke since one came to its end: the most of them.
    broke_after: u64,
    /// Since when the breaker has not been closed, where that was seen.
    troubled: Option<Tick>,
}

/// How a gate looks to a request that wants through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    Clear,
    /// Something failed here moments ago: others first.
    Last,
    /// Something failed here, and one request may find out whether it still does.
    TryOne,
    /// Half-open, or open and due: one request may be the trial.
    Trial,
    Refused {
        until: Option<Tick>,
    },
}

const CLOSED: u64 = 1;
const SHUNNED: u64 = 2;
const BREAKS_STREAMS: u64 = 4;

/// How an answer came that ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completed {
    /// It was whole before anybody had any of it.
    Whole,
    /// In pieces, and the last of them came, too.
    Stream,
}

impl Gate {
    pub fn new(settings: Settings, rescue: Rescue) -> Self {
        let gate = Self {
            word: AtomicU64::new(0),
            rescue,
            core: Mutex::new(Core {
                breaker: Breaker::new(settings),
                shun: Shun::default(),
                breaks_streams: false,
                broke_after: 0,
                troubled: None,
            }),
        };
        gate.publish(&gate.core.lock());
        gate
    }

    /// As an earlier process left it.
    pub fn recall(&self, kept: &Kept) {
        let mut core = self.core.lock();
        core.breaker = Breaker::restore(core.breaker.settings().clone(), kept);
        self.publish(&core);
    }

    pub fn keep(&self) -> Kept {
        self.core.lock().breaker.keep()
    }

    pub fn standing(&self, now: Tick) -> Standing {
        if self.word.load(Acquire) & (CLOSED | SHUNNED) == CLOSED {
            return Standing::Clear;
        }
        let core = self.core.lock();
        match core.breaker.admissible(now) {
            Admissible::Refused { until } => Standing::Refused { until },
            Admissible::Trial if self.is_reserved(&core) => Standing::Refused { until: None },
            Admissible::Trial => Standing::Trial,
            Admissible::Normal => match core.shun.standing(now) {
                shun::Standing::Clear => Standing::Clear,
                shun::Standing::Last => Standing::Last,
                shun::Standing::TryOne => Standing::TryOne,
            },
        }
    }

    /// Whether it waits for a trial, and has for so long that any request may be it.
    pub fn is_overdue(&self, now: Tick) -> bool {
        self.word.load(Acquire) & CLOSED == 0 && self.core.lock().breaker.is_overdue(now)
    }

    /// Enters. A request that enters while [`Standing::TryOne`] holds is the one that finds out.
    pub fn admit(&self, now: Tick, dice: &mut Dice) -> Result<(Permit, Option<Transition>), Refused> {
        let word = self.word.load(Acquire);
        if word & (CLOSED | SHUNNED) == CLOSED {
            return Ok((Permit { generation: (word >> 3) as u32, kind: Kind::Normal }, None));
        }
        let mut core = self.core.lock();
        if self.is_reserved(&core) {
            return Err(Refused { until: None, transition: None });
        }
        let admitted = core.breaker.admit(now, dice);
        if admitted.is_ok() {
            core.shun.claim(now);
        }
        self.publish(&core);
        admitted
    }

    /// As [`Gate::admit`], for a synthetic trial.
    pub fn admit_probe(&self, now: Tick, dice: &mut Dice) -> Result<(Permit, Option<Transition>), Refused> {
        let mut core = self.core.lock();
        let admitted = core.breaker.admit(now, dice);
        self.publish(&core);
        admitted
    }

    fn is_reserved(&self, core: &Core) -> bool {
        self.rescue == Rescue::Probes && core.breaker.is_undecided()
    }

    /// Phase A: the first verdict of an attempt that began at `began`; it ends a trial's lease.
    pub fn settle(&self, permit: Permit, signal: Signal, began: Tick, now: Tick, dice: &mut Dice) -> Settled {
        let mut core = self.core.lock();
        let settled = core.breaker.settle(permit, signal, now, dice);
        core.hear(signal, began, now);
        self.publish(&core);
        settled
    }

    /// Phase B: a stream that had begun well went wrong.
    pub fn later(&self, permit: Permit, signal: Signal, began: Tick, now: Tick, dice: &mut Dice) -> Settled {
        let mut core = self.core.lock();
        let settled = core.breaker.later(permit, signal, now, dice);
        core.hear(signal, began, now);
        self.publish(&core);
        settled
    }

    /// A stream is about to be settled as broken after so many content events.
    pub fn broke(&self, events: u64) {
        let mut core = self.core.lock();
        let others = if core.breaker.breaks_streams() { core.broke_after } else { 0 };
        core.broke_after = events.max(others);
    }

    /// After how many content events streams broke, where some did and none has come to its end since.
    pub fn broke_after(&self) -> Option<u64> {
        if self.word.load(Acquire) & BREAKS_STREAMS == 0 {
            return None;
        }
        let core = self.core.lock();
        core.breaker.breaks_streams().then_some(core.broke_after)
    }

    /// An answer that began at `began` ended well.
    pub fn completed(&self, completed: Completed, began: Tick) {
        if self.word.load(Acquire) & (SHUNNED | BREAKS_STREAMS) == 0 {
            return;
        }
        let mut core = self.core.lock();
        if completed == Completed::Stream {
            core.breaker.completed(began);
        }
        core.breaks_streams = false;
        core.shun.success(began);
        self.publish(&core);
    }

    /// Lets time act: leases end, the open level decays. Also called by admission.
    pub fn expire(&self, now: Tick, dice: &mut Dice) -> Option<Transition> {
        let mut core = self.core.lock();
        let transition = core.breaker.expire(now, dice);
        self.publish(&core);
        transition
    }

    /// Whether a synthetic probe should stand in for callers who do not come.
    pub fn wants_probe(&self, now: Tick) -> bool {
        self.word.load(Acquire) & CLOSED == 0 && self.core.lock().breaker.wants_probe(now)
    }

    /// Active probes say that the upstream is back.
    pub fn probe_rose(&self, now: Tick) -> Option<Transition> {
        let mut core = self.core.lock();
        let transition = core.breaker.probe_rose(now);
        self.publish(&core);
        transition
    }

    pub fn force(&self, forced: Forced, now: Tick) -> Option<Transition> {
        let mut core = self.core.lock();
        let transition = core.breaker.force(forced, now);
        self.publish(&core);
        transition
    }

    /// The breaker has come to `state`: for how long it had not been closed, should it be closed now.
    pub fn came_to(&self, state: State, now: Tick) -> Option<Duration> {
        let mut core = self.core.lock();
        match state {
            State::Closed => core.troubled.take().map(|since| now.since(since)),
            State::Open { .. }
            | State::HalfOpen
            | State::ForcedClosed
            | State::ForcedOpen
            | State::MetricsOnly => {
                core.troubled.get_or_insert(now);
                None
            }
        }
    }

    /// Forgets all that was held against it. What an operator has said stays.
    pub fn reset(&self, now: Tick) -> Option<Transition> {
        let mut core = self.core.lock();
        let transition = match core.breaker.state() {
            State::Closed | State::Open { .. } | State::HalfOpen => core.breaker.reset(now),
            State::ForcedClosed | State::ForcedOpen | State::MetricsOnly => None,
        };
        core.shun = Shun::default();
        core.breaks_streams = false;
        core.broke_after = 0;
        self.publish(&core);
        transition
    }

    /// New thresholds; what is known stays.
    pub fn reconfigure(&self, settings: &Settings, now: Tick) -> Option<Transition> {
        let mut core = self.core.lock();
        if core.breaker.settings() == settings {
            return None;
        }
        let transition = core.breaker.reconfigure(settings.clone(), now);
        self.publish(&core);
        transition
    }

    pub fn state(&self) -> State {
        self.core.lock().breaker.state()
    }

    pub fn snapshot(&self, now: Tick) -> Snapshot {
        self.core.lock().breaker.snapshot(now)
    }

    fn publish(&self, core: &Core) {
        let closed = match core.breaker.state() {
            State::Closed => CLOSED,
            State::Open { .. }
            | State::HalfOpen
            | State::ForcedClosed
            | State::ForcedOpen
            | State::MetricsOnly => 0,
        };
        let shunned = if core.shun == Shun::new() { 0 } else { SHUNNED };
        let breaks = if core.breaker.breaks_streams() { BREAKS_STREAMS } else { 0 };
        self.word.store(u64::from(core.breaker.generation()) << 3 | breaks | shunned | closed, Release);
    }
}

impl Core {
    fn hear(&mut self, signal: Signal, began: Tick, now: Tick) {
        match signal {
            Signal::StreamFailure => {
                self.breaks_streams = true;
                self.shun.fault(began, now);
            }
            Signal::Failure | Signal::Overload { .. } => self.shun.fault(began, now),
            Signal::Success | Signal::ClientFault if self.breaks_streams => {}
            Signal::Success | Signal::ClientFault => self.shun.success(began),
            // Whoever tried says nothing; let the next one try.
            Signal::Slow | Signal::Neutral => self.shun.release(now),
        }
    }
}
