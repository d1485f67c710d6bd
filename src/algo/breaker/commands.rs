//! Random command sequences and a breaker they run against, shared by the laws and the model.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    Breaker, Consecutive, Forced, HalfOpen, Open, Permit, Rule, Settings, Signal, SlowCall, Transition,
};
use crate::algo::dice::Dice;
use crate::algo::tick::Tick;

#[derive(Clone, Copy, Debug)]
pub enum Command {
    Admit,
    /// The permit is chosen among those issued so far, settled ones included.
    Settle(usize, Signal),
    Later(usize, Signal),
    /// The stream of that permit came to its end.
    Complete(usize),
    Wait(Duration),
    Expire,
    ProbeRose,
    Force(Forced),
    Reset,
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Small numbers, so that short sequences reach every rule.
pub fn settings() -> Settings {
    Settings {
        enabled: true,
        consecutive: Consecutive { failures: 3, max_age: ms(700) },
        fast: Rule { window: ms(1_000), min: 6, rate: 0.5 },
        slow: Rule { window: ms(6_000), min: 12, rate: 0.4 },
        slow_call: Some(SlowCall { ttfb: ms(100), rate: 0.8, min: 5 }),
        open: Open { base: ms(500), mult: 2.0, max: ms(3_000), jitter: 0.2, retry_after_cap: ms(5_000) },
        half_open: HalfOpen {
            max_concurrent: 2,
            success_threshold: 3,
            probe_timeout: ms(2_000),
            hold: ms(0),
            max_neutral: 4,
        },
        decay_interval: ms(1_500),
        min_open: ms(300),
    }
}

pub fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        6 => Just(Signal::Success),
        1 => Just(Signal::ClientFault),
        6 => Just(Signal::Failure),
        2 => prop::option::of(0..8_000_u64)
            .prop_map(|asked| Signal::Overload { retry_after: asked.map(ms) }),
        1 => Just(Signal::StreamFailure),
        2 => Just(Signal::Slow),
        1 => Just(Signal::Neutral),
    ]
}

pub fn command() -> impl Strategy<Value = Command> {
    // Mostly the newest permits: an index counts from the end.
    let permit = prop_oneof![4 => 0..2_usize, 1 => 0..40_usize];
    prop_oneof![
        12 => Just(Command::Admit),
        12 => (permit.clone(), signal()).prop_map(|(at, signal)| Command::Settle(at, signal)),
        3 => (permit.clone(), signal()).prop_map(|(at, signal)| Command::Later(at, signal)),
        4 => permit.clone().prop_map(|at| Command::Later(at, Signal::StreamFailure)),
        1 => permit.prop_map(Command::Complete),
        6 => prop_oneof![0..50_u64, 100..3_500_u64].prop_map(|wait| Command::Wait(ms(wait))),
        1 => Just(Command::Expire),
        1 => Just(Command::ProbeRose),
        1 => prop_oneof![
            1 => Just(Forced::Open), 1 => Just(Forced::Closed), 1 => Just(Forced::MetricsOnly),
            4 => Just(Forced::Release),
        ].prop_map(Command::Force),
        1 => Just(Command::Reset),
    ]
}

pub fn commands() -> impl Strategy<Value = Vec<Command>> {
    prop::collection::vec(command(), 1..200)
}

/// A breaker, its time and everything it ever issued.
#[derive(Clone)]
pub struct World {
    pub breaker: Breaker,
    pub dice: Dice,
    pub now: Tick,
    pub permits: Vec<Permit>,
    /// When each of them was issued.
    pub begun: Vec<Tick>,
}

/// What a command brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Effect {
    pub transition: Option<Transition>,
    pub permit: Option<Permit>,
    pub late: bool,
}

impl World {
    pub fn new(settings: Settings) -> Self {
        Self {
            breaker: Breaker::new(settings),
            dice: Dice::seeded(1),
            now: Tick::ZERO + Duration::from_secs(1),
            permits: Vec::new(),
            begun: Vec::new(),
        }
    }

    /// When the permit that a command means was issued.
    pub fn began(&self, from_end: usize) -> Option<Tick> {
        self.begun.iter().rev().cycle().nth(from_end).copied()
    }

    /// The permit a command means, if there is any.
    pub fn permit(&self, from_end: usize) -> Option<Permit> {
        self.permits.iter().rev().cycle().nth(from_end).copied()
    }

    pub fn run(&mut self, command: Command) -> Effect {
        let (breaker, now) = (&mut self.breaker, self.now);
        let none = Effect::default();
        match command {
            Command::Wait(wait) => {
                self.now = now + wait;
                none
            }
            Command::Admit => match breaker.admit(now, &mut self.dice) {
                Ok((permit, transition)) => {
                    self.permits.push(permit);
                    self.begun.push(now);
                    Effect { transition, permit: Some(permit), late: false }
                }
                Err(refused) => Effect { transition: refused.transition, ..none },
            },
            Command::Settle(at, signal) => match self.permits.iter().rev().cycle().nth(at) {
                Some(&permit) => {
                    let settled = breaker.settle(permit, signal, now, &mut self.dice);
                    Effect { transition: settled.transition, late: settled.late, ..none }
                }
                None => none,
            },
            Command::Later(at, signal) => match self.permits.iter().rev().cycle().nth(at) {
                Some(&permit) => {
                    let settled = breaker.later(permit, signal, now, &mut self.dice);
                    Effect { transition: settled.transition, late: settled.late, ..none }
                }
                None => none,
            },
            Command::Complete(at) => {
                if let Some(began) = self.began(at) {
                    self.breaker.completed(began);
                }
                none
            }
            Command::Expire => Effect { transition: breaker.expire(now, &mut self.dice), ..none },
            Command::ProbeRose => Effect { transition: breaker.probe_rose(now), ..none },
            Command::Force(forced) => Effect { transition: breaker.force(forced, now), ..none },
            Command::Reset => Effect { transition: breaker.reset(now), ..none },
        }
    }

    pub fn admit(&mut self) -> Option<Permit> {
        self.run(Command::Admit).permit
    }

    /// One attempt that ends at once.
    pub fn attempt(&mut self, signal: Signal) -> Effect {
        match self.admit() {
            Some(_) => self.run(Command::Settle(0, signal)),
            None => Effect::default(),
        }
    }

    pub fn wait(&mut self, wait: Duration) {
        self.run(Command::Wait(wait));
    }
}
