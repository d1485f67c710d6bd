//! One request's way through a plan: what `proxy::{drive, hedge, admission, attempt, reply}` do with a [`Plan`] and
//! its permits, without a wire. Whoever changes what those ask of a plan changes it here too, and nowhere else in
//! this room. (What they do with a stream that broke is in `legs`.)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::Notify;

use super::legs::Going;
use super::seen::{Passage, Role};
use super::weather::Answer;
use crate::algo::tick::Tick;
use crate::config::Degradation;
use crate::route::line::Turn;
use crate::route::{Exhausted, Failure, Lack, Limits, Need, Plan, Verdict, fair};
use crate::state::queue::Waiter;
use crate::state::{Live, Permit, Table};
use crate::telemetry::Shed;
use crate::vocab::{Class, Fault, Priority};

/// A request between its arrival and its end.
pub struct Drive<'t> {
    pub(super) plan: Plan<'t>,
    pub(super) need: Need<'t>,
    pub(super) asked_for: usize,
    priority: Priority,
    /// Attempts under way: two while they race, and one of which the answer goes to the caller.
    pub(super) tries: SmallVec<[Try; 2]>,
    /// One that failed by the request's own fault while the other one runs.
    held: Option<(Try, Failure)>,
    /// Set when one of them has answered.
    beaten: Arc<AtomicBool>,
    tried: u32,
    line: Option<Waiter>,
    lines: u32,
    pub(super) going: Option<Going<'t>>,
    last: Option<Fault>,
}

/// An attempt under way.
pub struct Try {
    pub id: u32,
    pub permit: Permit,
    pub role: Role,
    /// When it began.
    pub asked: Tick,
    pub limits: Limits,
    pub sent: Option<Sent>,
}

/// An attempt that has left the house.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub at: Tick,
    pub answer: Answer,
    /// The weather's place that works at it.
    pub works: Option<usize>,
}

/// What a request does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// This attempt has begun. Should it still be silent after `hedge`, [`Drive::hedge`] has another one.
    Ask { id: u32, hedge: Option<Duration> },
    /// Choose again after this.
    Wait(Duration),
    /// Wait for the bell, for so long at most.
    InLine { line: u32, patience: Duration },
    /// Wait on for the bell.
    StillInLine,
    /// The other attempt runs.
    Silent,
    /// Nobody answers it.
    Part(Parted),
    /// Nobody goes on with its stream, which broke off like this.
    Ends(Fault),
}

/// Why nobody answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Parted {
    /// Nothing could be asked.
    Refused(Lack),
    /// The last attempt failed like this.
    Failed(Fault),
    /// There was no room for it.
    Shed(Shed),
    /// The deadline passed before anybody could be asked.
    TooLate,
}

impl Parted {
    /// The word for it in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Refused(_) => "nothing_eligible",
            Self::Failed(fault) => fault.name(),
            Self::Shed(Shed::Priority) => "shed_by_priority",
            Self::Shed(shed) => shed.name(),
            Self::TooLate => "too_late",
        }
    }
}

/// What was made of an attempt that failed.
pub struct Judged {
    pub failure: Failure,
    /// `None` where nothing follows from it, for another attempt runs.
    pub verdict: Option<Verdict>,
    pub step: Step,
}

impl<'t> Drive<'t> {
    pub fn begin(table: &'t Table, route: usize, need: Need<'t>, priority: Priority) -> Self {
        Self {
            plan: Plan::begin(table, route),
            need,
            asked_for: route,
            priority,
            tries: SmallVec::new(),
            held: None,
            beaten: Arc::new(AtomicBool::new(false)),
            tried: 0,
            line: None,
            lines: 0,
            going: None,
            last: None,
        }
    }

    pub fn need(&self) -> &Need<'t> {
        &self.need
    }

    pub fn attempts(&self) -> u32 {
        self.plan.attempts
    }

    pub fn find(&self, id: u32) -> Option<&Try> {
        self.tries.iter().find(|own| own.id == id)
    }

    pub fn find_mut(&mut self, id: u32) -> Option<&mut Try> {
        self.tries.iter_mut().find(|own| own.id == id)
    }

    /// Whether no attempt is under way but this one.
    pub fn is_last(&self, id: u32) -> bool {
        self.tries.iter().all(|own| own.id == id)
    }

    /// Every attempt that is not settled, the one that is held back included.
    pub fn unsettled(&mut self) -> impl Iterator<Item = &mut Try> {
        self.tries.iter_mut().chain(self.held.as_mut().map(|(held, _)| held))
    }

    /// Begins the next attempt, if there is one to make.
    pub fn next(&mut self) -> Step {
        if self.is_broken() {
            return self.go_on();
        }
        loop {
            if self.live().now() >= self.need.deadline {
                return Step::Part(self.last.map_or(Parted::TooLate, Parted::Failed));
            }
            if self.plan.is_behind_others()
                && let Some(step) = self.line_up()
            {
                return step;
            }
            let exhausted = match self.plan.choose(&self.need) {
                Ok(permit) => return self.ask(permit),
                Err(exhausted) => exhausted,
            };
            if exhausted.lack == Lack::Room {
                if let Some(step) = self.line_up() {
                    return step;
                }
                if !self.falls_back() {
                    return Step::Part(Parted::Shed(Shed::QueueFull));
                }
                continue;
            }
            if let Some(step) = self.rest(exhausted) {
                return step;
            }
        }
    }

    /// Nothing can be chosen here: what else there is. `None` is to choose again, on a fallback.
    fn rest(&mut self, exhausted: Exhausted) -> Option<Step> {
        if self.falls_back() {
            return None;
        }
        if !self.plan.may_panic() {
            return Some(self.part(exhausted.lack));
        }
        Some(match self.plan.panic(&self.need, exhausted) {
            Ok(permit) => self.ask(permit),
            Err(exhausted) => self.part(exhausted.lack),
        })
    }

    fn falls_back(&mut self) -> bool {
        let asked = &self.plan.table().routes[self.asked_for].config;
        asked.exhausted.tries.contains(&Degradation::Fallback) && self.plan.fall_back()
    }

    fn part(&self, lack: Lack) -> Step {
        Step::Part(self.last.map_or(Parted::Refused(lack), Parted::Failed))
    }

    fn ask(&mut self, permit: Permit) -> Step {
        let limits = self.plan.limits(&permit, &self.need);
        // Paths are rehearsed as if they were read, which may be done twice at the same time.
        let hedge = self.plan.hedge_delay(&permit, limits, &self.need).ok();
        let id =
            self.enter(permit, limits, Role::Own, if hedge.is_some() { Race::Begins } else { Race::Off });
        Step::Ask { id, hedge }
    }

    /// The only attempt has been silent for as long as one waits: another one beside it, if there may be one.
    pub fn hedge(&mut self, id: u32) -> Option<Step> {
        let [first] = self.tries.as_slice() else { return None };
        if first.id != id || self.beaten.load(Relaxed) {
            return None;
        }
        let channel = Arc::clone(first.permit.channel());
        let permit = self.plan.choose_other(&channel, &self.need)?;
        let limits = self.plan.limits(&permit, &self.need);
        Some(Step::Ask { id: self.enter(permit, limits, Role::Hedge, Race::Begins), hedge: None })
    }

    pub(super) fn enter(&mut self, mut permit: Permit, limits: Limits, role: Role, race: Race) -> u32 {
        if race == Race::Begins {
            permit.race(&self.beaten);
        }
        self.tried += 1;
        let asked = self.live().now();
        self.tries.push(Try { id: self.tried, permit, role, asked, limits, sent: None });
        self.tried
    }

    /// `None` where the queue is full of requests that matter no less.
    fn line_up(&mut self) -> Option<Step> {
        let patience = self.plan.patience_in_line(&self.need);
        self.line = self.plan.line_up(&self.need, self.priority);
        self.lines += 1;
        self.line.is_some().then_some(Step::InLine { line: self.lines, patience })
    }

    /// There was no room in this route.
    fn shed(&mut self, why: Shed) -> Step {
        if self.falls_back() { self.next() } else { Step::Part(Parted::Shed(why)) }
    }

    /// What rings when it is this request's turn.
    pub fn bell(&self) -> Option<&Arc<Notify>> {
        self.line.as_ref().map(Waiter::bell)
    }

    /// The bell has rung.
    pub fn called(&mut self) -> Option<Step> {
        let waiter = self.line.take()?;
        Some(match self.plan.take_turn(waiter, &self.need) {
            Turn::Served(permit) => self.ask(permit),
            Turn::NotYet(waiter) => {
                self.line = Some(waiter);
                Step::StillInLine
            }
            Turn::Displaced => self.shed(Shed::QueueFull),
            Turn::TooLate => Step::Part(Parted::Shed(Shed::QueueTimeout)),
            Turn::Otherwise(exhausted) => self.rest(exhausted).unwrap_or_else(|| self.next()),
        })
    }

    /// It has waited in this line for as long as it may.
    pub fn waited_in_vain(&mut self, line: u32) -> Option<Step> {
        if line != self.lines {
            return None;
        }
        self.line.take().map(|_| self.shed(Shed::QueueTimeout))
    }

    /// Keeps the failure of an attempt that is about the request itself for as long as another one runs. Whether
    /// it did.
    pub fn hold(&mut self, id: u32, failure: Failure) -> bool {
        let others = self.tries.len() > 1;
        let holds = others && self.held.is_none() && failure.fault.class() == Class::ClientFault;
        if holds && let Some(at) = self.tries.iter().position(|own| own.id == id) {
            self.held = Some((self.tries.remove(at), failure));
        }
        holds
    }

    /// An attempt has failed before content. What the plan makes of that, and what comes next.
    pub fn failed(&mut self, id: u32, failure: Failure) -> Option<Judged> {
        let at = self.tries.iter().position(|own| own.id == id)?;
        let Try { permit, asked, .. } = self.tries.remove(at);
        let failure =
            Failure { fault: fair(self.live(), failure.fault, asked, self.need.deadline), ..failure };
        if !self.tries.is_empty() {
            self.note(permit, failure);
            return Some(Judged { failure, verdict: None, step: Step::Silent });
        }
        if self.is_broken() {
            return self.leg_failed(permit, failure);
        }
        let (permit, failure) = match self.held.take() {
            Some((held, first)) => {
                self.note(permit, failure);
                (held.permit, first)
            }
            None => (permit, failure),
        };
        self.plan.hear(failure.fault);
        let verdict = self.plan.verdict(permit, failure, &self.need);
        self.last = Some(failure.fault);
        let refused = failure.fault.class() == Class::ClientFault;
        let step = match verdict {
            Verdict::Retry { wait } if wait.is_zero() => self.next(),
            Verdict::Retry { wait } => Step::Wait(wait),
            Verdict::NextRoute if refused && self.plan.fall_back() => self.next(),
            Verdict::NextRoute if !refused && self.falls_back() => self.next(),
            Verdict::NextRoute | Verdict::GiveUp => Step::Part(Parted::Failed(failure.fault)),
        };
        Some(Judged { failure, verdict: Some(verdict), step })
    }

    fn note(&mut self, permit: Permit, failure: Failure) {
        self.plan.hear(failure.fault);
        self.plan.note(permit, failure, &self.need);
    }

    /// The first content of an attempt is here: nothing is tried again, and the other one is cancelled.
    pub fn answered(&mut self, id: u32) {
        let now = self.live().now();
        if let Some(own) = self.find_mut(id) {
            own.permit.first_content(own.flowed_since(now));
        }
        self.beaten.store(true, Relaxed);
        self.tries.retain(|own| own.id == id);
        if let Some((held, failure)) = self.held.take() {
            self.note(held.permit, failure);
        }
        if self.is_broken() {
            self.joined();
            return;
        }
        self.plan.hear_success();
        if let [own] = self.tries.as_slice() {
            self.plan.keep(&self.need, &own.permit);
            self.going = Going::of(&self.plan, own.permit.channel(), self.asked_for, &self.need);
        }
    }

    /// The answer goes on and has had `events` of content. Whether it is on trial still.
    pub fn keeps_going(&mut self, id: u32, events: u64) -> bool {
        let Some(own) = self.find_mut(id) else { return false };
        own.permit.came(events);
        own.permit.keeps_going();
        own.permit.is_on_trial()
    }

    /// The answer is whole.
    pub fn finished(&mut self) {
        if let Some(own) = self.tries.pop() {
            own.permit.finish();
        }
    }

    /// The caller is gone.
    pub fn hung_up(&mut self) {
        self.tries.clear();
        self.held = None;
        self.line = None;
    }

    pub(super) fn live(&self) -> &'t Live {
        &self.plan.table().live
    }
}

/// Whether another attempt may stand beside this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Race {
    Off,
    Begins,
}

impl Try {
    /// Since when its content flows, of which nothing may have gone on for a while.
    pub fn flowed_since(&self, now: Tick) -> Tick {
        match self.sent {
            Some(Sent { at, answer: Answer::Speaks { ttft, .. }, .. }) if self.limits.withheld.is_some() => {
                (at + ttft).min(now)
            }
            Some(_) | None => now,
        }
    }

    pub fn passage(&self) -> Passage {
        if self.permit.is_forced() {
            Passage::Forced
        } else if self.permit.is_trial() {
            Passage::Trial
        } else {
            Passage::Normal
        }
    }
}
