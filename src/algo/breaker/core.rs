//! The state machine itself: admission, verdicts and the operator's word.
//!
//! Each public function that may change the state ends in `enter`, which alone begins a generation and
//! reports the transition, and none of them makes more than one transition a call.

pub mod kept;

use std::mem;
use std::time::Duration;

use super::evidence::{Evidence, Phase};
use super::settings::Settings;
use super::trials::{OVERDUE, Trials, Verdict};
use super::words::{
    Admissible, Forced, Kind, Permit, Reason, Refused, Settled, Signal, Snapshot, State, Transition,
};
use crate::algo::dice::Dice;
use crate::algo::ring::Counts;
use crate::algo::tick::Tick;

/// A circuit breaker; see the [module](super) for what it promises.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    settings: Settings,
    stage: Stage,
    /// When `stage` was entered.
    since: Tick,
    generation: u32,
    /// How often the breaker opened lately; stretches the next open time.
    level: u32,
    /// Filled while closed; kept while open, to say why.
    evidence: Evidence,
    /// When it last opened.
    opened: Tick,
}

/// The state, with what only that state needs.
#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// `decayed` is when the level last went down, or when it began to wait for that.
    Closed {
        decayed: Tick,
    },
    Open {
        until: Tick,
    },
    HalfOpen(Trials),
    ForcedClosed,
    ForcedOpen,
    MetricsOnly,
}

impl Stage {
    const fn closed(now: Tick) -> Self {
        Self::Closed { decayed: now }
    }

    const fn state(&self) -> State {
        match self {
            Self::Closed { .. } => State::Closed,
            Self::Open { until } => State::Open { until: *until },
            Self::HalfOpen(_) => State::HalfOpen,
            Self::ForcedClosed => State::ForcedClosed,
            Self::ForcedOpen => State::ForcedOpen,
            Self::MetricsOnly => State::MetricsOnly,
        }
    }
}

impl Breaker {
    /// A closed breaker that knows nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            evidence: Evidence::new(&settings),
            settings,
            stage: Stage::closed(Tick::ZERO),
            since: Tick::ZERO,
            generation: 0,
            level: 0,
            opened: Tick::ZERO,
        }
    }

    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub const fn state(&self) -> State {
        self.stage.state()
    }

    /// Goes up by exactly one with every transition (and wraps after four billion).
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// How many openings the next open time is stretched by, as of the last call that had a `now`.
    pub const fn level(&self) -> u32 {
        self.level
    }

    /// What asking for a permit would bring, without asking. An expired lease counts as worth asking:
    /// the asking ends it, and the breaker never waits for a timer.
    pub fn admissible(&self, now: Tick) -> Admissible {
        match &self.stage {
            Stage::Closed { .. } | Stage::ForcedClosed | Stage::MetricsOnly => Admissible::Normal,
            Stage::Open { until } if now >= *until => Admissible::Trial,
            Stage::Open { until } => Admissible::Refused { until: Some(*until) },
            Stage::HalfOpen(trials)
                if trials.has_room(&self.settings.half_open) || trials.any_expired(now) =>
            {
                Admissible::Trial
            }
            Stage::HalfOpen(trials) => Admissible::Refused { until: trials.first_deadline() },
            Stage::ForcedOpen => Admissible::Refused { until: None },
        }
    }

    /// Leave for one attempt, or why not. An open time that has passed turns into the first trial here.
    pub fn admit(&mut self, now: Tick, dice: &mut Dice) -> Result<(Permit, Option<Transition>), Refused> {
        let expired = self.expire(now, dice);
        match &mut self.stage {
            Stage::Closed { .. } | Stage::ForcedClosed | Stage::MetricsOnly => {
                Ok((Permit { generation: self.generation, kind: Kind::Normal }, None))
            }
            Stage::Open { until } if expired.is_some() || now < *until => {
                Err(Refused { until: Some(*until), transition: expired })
            }
            Stage::Open { until } => {
                let mut trials = Trials::begin(*until, now);
                let ticket = trials.lease(&self.settings.half_open, now);
                let transition = self.enter(Stage::HalfOpen(trials), Reason::OpenElapsed, now);
                Ok((self.trial(ticket), Some(transition)))
            }
            Stage::HalfOpen(trials) if trials.has_room(&self.settings.half_open) => {
                let ticket = trials.lease(&self.settings.half_open, now);
                Ok((self.trial(ticket), None))
            }
            Stage::HalfOpen(trials) => Err(Refused { until: trials.first_deadline(), transition: None }),
            Stage::ForcedOpen => Err(Refused { until: None, transition: None }),
        }
    }

    /// An attempt's first verdict, and the end of its lease if it was a trial.
    pub fn settle(&mut self, permit: Permit, signal: Signal, now: Tick, dice: &mut Dice) -> Settled {
        if let Some(settled) = self.too_late(permit, now, dice) {
            return settled;
        }
        match (permit.kind, &mut self.stage) {
            (Kind::Normal, _) => {}
            (Kind::Trial { ticket }, Stage::HalfOpen(trials)) => {
                if trials.end(ticket, now).is_none() {
                    return Settled { transition: None, late: true };
                }
            }
            // A trial's generation is half open from beginning to end.
            (
                Kind::Trial { .. },
                Stage::Closed { .. }
                | Stage::Open { .. }
                | Stage::ForcedClosed
                | Stage::ForcedOpen
                | Stage::MetricsOnly,
            ) => return Settled { transition: None, late: true },
        }
        Settled { transition: self.weigh(Phase::First, signal, now, dice), late: false }
    }

    /// A stream's second verdict, after a success: it broke, or it turned out slow. Other signals say
    /// nothing new.
    pub fn later(&mut self, permit: Permit, signal: Signal, now: Tick, dice: &mut Dice) -> Settled {
        if let Some(settled) = self.too_late(permit, now, dice) {
            return settled;
        }
        Settled { transition: self.weigh(Phase::Second, signal, now, dice), late: false }
    }

    /// A stream that began at `began` came to its end: the run of broken ones is over. Any state hears this,
    /// since a trial's stream often outlives the trials; but what began before the breaker last opened says
    /// nothing of the time since.
    pub fn completed(&mut self, began: Tick) {
        if began >= self.opened {
            self.evidence.broken.end();
        }
    }

    /// Whether streams broke and none has come to its end since.
    pub const fn breaks_streams(&self) -> bool {
        self.evidence.broken.run() > 0
    }

    /// What time alone does: a lease runs out, a level decays. Every call with `dice` does this first;
    /// a periodic task does it for a breaker that nobody calls.
    pub fn expire(&mut self, now: Tick, dice: &mut Dice) -> Option<Transition> {
        match &mut self.stage {
            Stage::Closed { .. } if self.level == 0 => None,
            Stage::Closed { decayed } => {
                let interval = self.settings.decay_interval.max(Duration::from_nanos(1));
                let steps = now.since(*decayed).as_nanos() / interval.as_nanos();
                let steps = u32::try_from(steps).unwrap_or(u32::MAX);
                *decayed = *decayed + interval.saturating_mul(steps);
                self.level = self.level.saturating_sub(steps);
                None
            }
            Stage::HalfOpen(trials) if trials.any_expired(now) => {
                Some(self.open(Reason::LeaseExpired, None, now, dice))
            }
            Stage::HalfOpen(_)
            | Stage::Open { .. }
            | Stage::ForcedClosed
            | Stage::ForcedOpen
            | Stage::MetricsOnly => None,
        }
    }

    /// Whether somebody should try this upstream synthetically because no caller does, or none that
    /// brings a verdict (E8). The probe asks for a permit like any other attempt.
    pub fn wants_probe(&self, now: Tick) -> bool {
        match &self.stage {
            Stage::Open { until } => now >= *until,
            Stage::HalfOpen(trials) => trials.want_probe(&self.settings.half_open, now),
            Stage::Closed { .. } | Stage::ForcedClosed | Stage::ForcedOpen | Stage::MetricsOnly => false,
        }
    }

    /// Whether trials have been possible for ten seconds without one deciding anything. Requests that can afford
    /// to fail do not come then, and any other is better than an upstream that never comes back (P-B07).
    pub fn is_overdue(&self, now: Tick) -> bool {
        match &self.stage {
            Stage::Open { until } => now.since(*until) >= OVERDUE,
            Stage::HalfOpen(trials) => trials.are_overdue(now),
            Stage::Closed { .. } | Stage::ForcedClosed | Stage::ForcedOpen | Stage::MetricsOnly => false,
        }
    }

    /// Half-open, and so many callers have tried without a verdict that the next trial should be left to
    /// a probe: a crowd of callers who hang up would otherwise always be faster.
    pub fn is_undecided(&self) -> bool {
        match &self.stage {
            Stage::HalfOpen(trials) => trials.are_undecided(&self.settings.half_open),
            Stage::Closed { .. }
            | Stage::Open { .. }
            | Stage::ForcedClosed
            | Stage::ForcedOpen
            | Stage::MetricsOnly => false,
        }
    }

    /// The active health check sees the upstream again: worth a trial now, and no more than that, as a
    /// check does not exercise what callers do (D13).
    pub fn probe_rose(&mut self, now: Tick) -> Option<Transition> {
        match &self.stage {
            Stage::Open { .. } if now.since(self.since) >= self.settings.min_open => {
                Some(self.enter(Stage::HalfOpen(Trials::begin(now, now)), Reason::ProbeRose, now))
            }
            Stage::Open { .. }
            | Stage::Closed { .. }
            | Stage::HalfOpen(_)
            | Stage::ForcedClosed
            | Stage::ForcedOpen
            | Stage::MetricsOnly => None,
        }
    }

    /// An operator's word. Said twice it changes nothing, and there is nothing to release from a breaker
    /// nobody forced.
    pub fn force(&mut self, forced: Forced, now: Tick) -> Option<Transition> {
        let to = match (forced, &self.stage) {
            (Forced::Open, Stage::ForcedOpen)
            | (Forced::Closed, Stage::ForcedClosed)
            | (Forced::MetricsOnly, Stage::MetricsOnly)
            | (Forced::Release, Stage::Closed { .. } | Stage::Open { .. } | Stage::HalfOpen(_)) => {
                return None;
            }
            (Forced::Open, _) => Stage::ForcedOpen,
            (Forced::Closed, _) => Stage::ForcedClosed,
            (Forced::MetricsOnly, _) => Stage::MetricsOnly,
            (Forced::Release, Stage::ForcedClosed | Stage::ForcedOpen | Stage::MetricsOnly) => {
                Stage::closed(now)
            }
        };
        self.evidence.clear();
        Some(self.enter(to, Reason::Forced, now))
    }

    /// Forgets everything, level included. A breaker that is closed already stays in its generation.
    pub fn reset(&mut self, now: Tick) -> Option<Transition> {
        self.evidence.clear();
        self.level = 0;
        match &self.stage {
            Stage::Closed { .. } => None,
            Stage::Open { .. }
            | Stage::HalfOpen(_)
            | Stage::ForcedClosed
            | Stage::ForcedOpen
            | Stage::MetricsOnly => Some(self.enter(Stage::closed(now), Reason::Forced, now)),
        }
    }

    /// New numbers for the same breaker. What it knows stays, except counts cut to another window; a
    /// breaker that is switched off, or needs fewer trials than have passed, closes.
    pub fn reconfigure(&mut self, settings: Settings, now: Tick) -> Option<Transition> {
        self.evidence.refit(&self.settings, &settings);
        self.settings = settings;
        let reason = match &self.stage {
            Stage::Open { .. } | Stage::HalfOpen(_) if !self.settings.enabled => Reason::Forced,
            Stage::HalfOpen(trials) if trials.have_passed(self.settings.half_open.success_threshold) => {
                Reason::TrialsPassed
            }
            Stage::Open { .. }
            | Stage::HalfOpen(_)
            | Stage::Closed { .. }
            | Stage::ForcedClosed
            | Stage::ForcedOpen
            | Stage::MetricsOnly => return None,
        };
        Some(self.close(reason, now))
    }

    /// What happened within the fast window.
    pub fn fast(&self, now: Tick) -> Counts {
        self.evidence.fast.totals(now)
    }

    pub fn snapshot(&self, now: Tick) -> Snapshot {
        let (leases, passed) = match &self.stage {
            Stage::HalfOpen(trials) => (trials.leases(), trials.passed()),
            Stage::Closed { .. }
            | Stage::Open { .. }
            | Stage::ForcedClosed
            | Stage::ForcedOpen
            | Stage::MetricsOnly => (0, 0),
        };
        Snapshot {
            state: self.state(),
            since: self.since,
            generation: self.generation,
            level: self.level,
            consecutive: self.evidence.streak.run().max(self.evidence.broken.run()),
            fast: self.evidence.fast.totals(now),
            slow: self.evidence.slow.totals(now),
            leases,
            passed,
        }
    }

    const fn trial(&self, ticket: u32) -> Permit {
        Permit { generation: self.generation, kind: Kind::Trial { ticket } }
    }

    /// The answer to an outcome that comes too late to count, be it by a generation or by its own lease.
    fn too_late(&mut self, permit: Permit, now: Tick, dice: &mut Dice) -> Option<Settled> {
        if permit.generation != self.generation {
            return Some(Settled { transition: None, late: true });
        }
        let transition = self.expire(now, dice)?;
        Some(Settled { transition: Some(transition), late: true })
    }

    /// What a signal of this generation does.
    fn weigh(&mut self, phase: Phase, signal: Signal, now: Tick, dice: &mut Dice) -> Option<Transition> {
        match &mut self.stage {
            Stage::Closed { .. } => {
                let reason = self.evidence.weigh(phase, signal, &self.settings, now)?;
                self.settings.enabled.then(|| self.open(reason, retry_after(signal), now, dice))
            }
            Stage::MetricsOnly => {
                self.evidence.weigh(phase, signal, &self.settings, now);
                None
            }
            Stage::HalfOpen(trials) => {
                let slow_fails = self.settings.slow_call.is_some();
                let threshold = self.settings.half_open.success_threshold;
                match trials.weigh(phase, signal, slow_fails, threshold) {
                    Verdict::Passed => Some(self.close(Reason::TrialsPassed, now)),
                    Verdict::Failed => Some(self.open(Reason::TrialFailed, retry_after(signal), now, dice)),
                    Verdict::Undecided => None,
                }
            }
            // No permit of such a generation is ever weighed: open ones issue none, forced ones don't ask.
            Stage::Open { .. } | Stage::ForcedClosed | Stage::ForcedOpen => None,
        }
    }

    fn open(&mut self, reason: Reason, asked: Option<Duration>, now: Tick, dice: &mut Dice) -> Transition {
        let open = &self.settings.open;
        self.level = open.climb(self.level);
        let ours = dice.jitter(open.nominal(self.level), open.jitter).max(self.settings.min_open);
        let theirs = asked.unwrap_or_default().min(open.retry_after_cap);
        self.opened = now;
        self.enter(Stage::Open { until: now + ours.max(theirs) }, reason, now)
    }

    fn close(&mut self, reason: Reason, now: Tick) -> Transition {
        self.evidence.forgive();
        self.enter(Stage::closed(now), reason, now)
    }

    /// The only place that changes the state.
    fn enter(&mut self, stage: Stage, reason: Reason, now: Tick) -> Transition {
        let from = mem::replace(&mut self.stage, stage).state();
        self.since = now;
        self.generation = self.generation.wrapping_add(1);
        Transition { from, to: self.state(), reason }
    }
}

const fn retry_after(signal: Signal) -> Option<Duration> {
    match signal {
        Signal::Overload { retry_after } => retry_after,
        Signal::Success
        | Signal::ClientFault
        | Signal::Failure
        | Signal::StreamFailure
        | Signal::Slow
        | Signal::Neutral => None,
    }
}
