//! P-B14: the breaker equals a model that keeps every event of its life in a list and counts anew.
//!
//! The model is slow and plain on purpose; it shares neither window, streak nor trials with the code.

use std::time::Duration;

use proptest::prelude::*;

use super::commands::{Command, World, commands, settings};
use super::{Forced, Permit, Signal, State};
use crate::algo::tick::Tick;

struct Model {
    state: State,
    generation: u32,
    level: u32,
    /// When the state began, and since when the level waits to decay.
    since: Tick,
    decayed: Tick,
    /// What counted since the evidence was last cleared: time, signal, second phase.
    log: Vec<(Tick, Signal, bool)>,
    /// When streams broke since one came to its end. Apart from the log: closing clears that, and not this, for
    /// a trial passes before its stream has come to its end.
    broken: Vec<Tick>,
    /// When it last opened: what began before says nothing of the time since.
    opened: Tick,
    /// Since when trials were possible.
    due: Tick,
    /// Deadlines by ticket, `None` once ended; verdicts of this half-open period.
    leases: Vec<Option<Tick>>,
    passed: u8,
    doubt: bool,
}

impl Model {
    fn enter(&mut self, state: State, now: Tick) {
        (self.state, self.since, self.decayed) = (state, now, now);
        self.generation += 1;
        (self.leases, self.passed, self.doubt) = (vec![], 0, false);
        if state == State::Closed {
            self.log.clear();
        }
    }

    fn open(&mut self, signal: Signal, now: Tick) {
        // 0.5, 1, 2, 3 s: a fifth level would not be longer than the fourth.
        self.level = (self.level + 1).min(4);
        let ours = [0, 500, 1_000, 2_000, 3_000][self.level as usize];
        let theirs = match signal {
            Signal::Overload { retry_after: Some(asked) } => asked.as_millis().min(5_000) as u64,
            _ => 0,
        };
        self.opened = now;
        self.enter(State::Open { until: now + Duration::from_millis(ours.max(theirs)) }, now);
    }

    fn expire(&mut self, now: Tick) {
        let expired = self.leases.iter().flatten().any(|&deadline| deadline <= now);
        if self.state == State::HalfOpen && expired {
            self.open(Signal::Neutral, now);
        }
        while self.state == State::Closed
            && self.level > 0
            && now.since(self.decayed) >= settings().decay_interval
        {
            self.level -= 1;
            self.decayed = self.decayed + settings().decay_interval;
        }
    }

    /// The permit's ticket, if it is a trial.
    fn admit(&mut self, now: Tick) -> Option<bool> {
        let before = self.generation;
        self.expire(now);
        match self.state {
            State::Closed | State::ForcedClosed | State::MetricsOnly => return Some(false),
            State::ForcedOpen => return None,
            State::Open { until } if now < until || self.generation != before => return None,
            State::Open { until } => {
                self.enter(State::HalfOpen, now);
                self.due = until;
            }
            State::HalfOpen => {}
        }
        let out = self.leases.iter().flatten().count();
        (out < 2 && out + (self.passed as usize) < 3).then(|| {
            self.leases.push(Some(now + settings().half_open.probe_timeout));
            true
        })
    }

    /// Whether the signal was too late.
    fn settle(&mut self, permit: Permit, signal: Signal, second: bool, now: Tick) -> bool {
        if permit.generation != self.generation {
            return true;
        }
        self.expire(now);
        if permit.generation != self.generation {
            return true;
        }
        if let (super::Kind::Trial { ticket }, false) = (permit.kind, second)
            && self.leases[ticket as usize].take().is_none()
        {
            return true;
        }
        match self.state {
            State::HalfOpen => self.judge_trial(signal, second, now),
            State::Closed | State::MetricsOnly => {
                let says_nothing = matches!(signal, Signal::Neutral)
                    || second && matches!(signal, Signal::Success | Signal::ClientFault);
                if !says_nothing {
                    self.log.push((now, signal, second));
                    // A run of broken streams trips when it grows, never when something else is heard.
                    let broken = signal == Signal::StreamFailure && self.breaks(now);
                    if (broken || self.trips(now)) && self.state == State::Closed {
                        self.open(signal, now);
                    }
                }
            }
            _ => {}
        }
        false
    }

    fn judge_trial(&mut self, signal: Signal, second: bool, now: Tick) {
        match signal {
            Signal::Failure | Signal::Overload { .. } | Signal::StreamFailure | Signal::Slow => {
                self.open(signal, now);
            }
            Signal::ClientFault if !second && !self.doubt => self.doubt = true,
            Signal::Success | Signal::ClientFault if !second => {
                (self.passed, self.doubt) = (self.passed + 1, false);
                if self.passed == 3 {
                    self.enter(State::Closed, now);
                }
            }
            _ => {}
        }
    }

    fn breaks(&mut self, now: Tick) -> bool {
        self.broken.push(now);
        let run = &self.broken;
        run.len() >= 3 && now.since(run[run.len() - 3]) <= settings().consecutive.max_age
    }

    fn completed(&mut self, began: Tick) {
        if began >= self.opened {
            self.broken.clear();
        }
    }

    fn trips(&self, now: Tick) -> bool {
        let succeeded = |signal| matches!(signal, Signal::Success | Signal::ClientFault);
        let last_ok = self.log.iter().rposition(|&(_, signal, _)| succeeded(signal)).map_or(0, |at| at + 1);
        let run: Vec<Tick> = self.log[last_ok..]
            .iter()
            .filter(|&&(_, signal, second)| signal == Signal::Failure && !second)
            .map(|&(at, ..)| at)
            .collect();
        let consecutive = run.len() >= 3 && now.since(run[run.len() - 3]) <= settings().consecutive.max_age;
        consecutive || self.window(now, 100, 10, 6, 0.5) || self.window(now, 500, 12, 12, 0.4) || {
            let slow = self.within(now, 500, 12, |signal, _| signal == Signal::Slow);
            let (good, bad) = self.verdicts(now, 500, 12);
            let timed =
                good + bad + self.within(now, 500, 12, |signal, second| signal == Signal::Slow && !second);
            slow > 0 && timed >= 5 && slow as f64 / timed as f64 >= 0.8
        }
    }

    fn window(&self, now: Tick, width_ms: u64, buckets: u64, min: usize, rate: f64) -> bool {
        let (good, bad) = self.verdicts(now, width_ms, buckets);
        bad > 0 && good + bad >= min && bad as f64 / (good + bad) as f64 >= rate
    }

    fn verdicts(&self, now: Tick, width_ms: u64, buckets: u64) -> (usize, usize) {
        let count = |what: fn(Signal, bool) -> bool| self.within(now, width_ms, buckets, what);
        let ok = count(|signal, second| !second && matches!(signal, Signal::Success | Signal::ClientFault));
        let bad =
            |signal| matches!(signal, Signal::Failure | Signal::Overload { .. } | Signal::StreamFailure);
        let (first, broken) = (
            self.within(now, width_ms, buckets, |signal, second| !second && bad(signal)),
            self.within(now, width_ms, buckets, |signal, second| second && bad(signal)),
        );
        (ok.saturating_sub(broken), first + broken)
    }

    fn within(&self, now: Tick, width_ms: u64, buckets: u64, what: impl Fn(Signal, bool) -> bool) -> usize {
        let bucket = |at: Tick| at.nanos() / (width_ms * 1_000_000);
        let live = |&&(at, signal, second): &&(Tick, Signal, bool)| {
            bucket(now) - bucket(at) < buckets && what(signal, second)
        };
        self.log.iter().filter(live).count()
    }

    fn force(&mut self, forced: Forced, now: Tick) {
        let is_forced = !matches!(self.state, State::Closed | State::Open { .. } | State::HalfOpen);
        let to = match forced {
            Forced::Open => State::ForcedOpen,
            Forced::Closed => State::ForcedClosed,
            Forced::MetricsOnly => State::MetricsOnly,
            Forced::Release if is_forced => State::Closed,
            Forced::Release => return,
        };
        if to != self.state {
            self.log.clear();
            self.broken.clear();
            self.enter(to, now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_breaker_does_what_the_model_does(commands in commands()) {
        let mut settings = settings();
        settings.open.jitter = 0.0;
        let mut world = World::new(settings);
        let mut model = Model {
            state: State::Closed, generation: 0, level: 0, since: Tick::ZERO, decayed: Tick::ZERO,
            log: vec![], broken: vec![], opened: Tick::ZERO, due: Tick::ZERO, leases: vec![], passed: 0, doubt: false,
        };
        for command in commands {
            let now = world.now;
            let meant = match command {
                Command::Settle(at, _) | Command::Later(at, _) => world.permit(at),
                _ => None,
            };
            let effect = world.run(command);
            match (command, meant) {
                (Command::Admit, _) => {
                    prop_assert_eq!(effect.permit.map(|permit| permit.kind.is_trial()), model.admit(now));
                }
                (Command::Settle(_, signal), Some(permit)) => {
                    prop_assert_eq!(effect.late, model.settle(permit, signal, false, now));
                }
                (Command::Later(_, signal), Some(permit)) => {
                    prop_assert_eq!(effect.late, model.settle(permit, signal, true, now));
                }
                (Command::Complete(at), _) => {
                    if let Some(began) = world.began(at) {
                        model.completed(began);
                    }
                }
                (Command::Settle(..) | Command::Later(..), None) | (Command::Wait(_), _) => {}
                (Command::Expire, _) => model.expire(now),
                (Command::ProbeRose, _) => {
                    let old = now.since(model.since) >= world.breaker.settings().min_open;
                    if matches!(model.state, State::Open { .. }) && old {
                        model.enter(State::HalfOpen, now);
                        model.due = now;
                    }
                }
                (Command::Force(forced), _) => model.force(forced, now),
                (Command::Reset, _) => {
                    model.log.clear();
                    model.broken.clear();
                    model.level = 0;
                    if model.state != State::Closed {
                        model.enter(State::Closed, now);
                    }
                }
            }
            prop_assert_eq!(world.breaker.state(), model.state, "after {:?}", command);
            prop_assert_eq!(world.breaker.generation(), model.generation);
            prop_assert_eq!(world.breaker.level(), model.level);
            let snapshot = world.breaker.snapshot(now);
            prop_assert_eq!(snapshot.leases, model.leases.iter().flatten().count());
            prop_assert_eq!(snapshot.passed, model.passed);
            let due = match model.state {
                State::Open { until } => Some(until),
                State::HalfOpen => Some(model.due),
                _ => None,
            };
            let overdue = due.is_some_and(|due| now.since(due) >= Duration::from_secs(10));
            prop_assert_eq!(world.breaker.is_overdue(now), overdue);
            prop_assert_eq!(world.breaker.breaks_streams(), !model.broken.is_empty());
        }
    }
}
