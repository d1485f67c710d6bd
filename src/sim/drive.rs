//! One request's way through a plan: what `proxy::drive`, `proxy::attempt` and `proxy::reply` do with a
//! [`Plan`] and its permits, without a wire. Whoever changes what those ask of a plan changes it here too,
//! and nowhere else in this room.

use std::time::Duration;

use super::seen::Passage;
use crate::algo::throttle;
use crate::algo::tick::Tick;
use crate::route::{Failure, Lack, Limits, Need, Plan, Verdict};
use crate::state::permit::Repeat;
use crate::state::{Live, Permit, Table};
use crate::vocab::{Class, Fault, RateHint, Stage};

/// A request between its arrival and its end.
pub struct Drive<'t> {
    plan: Plan<'t>,
    need: Need<'t>,
    /// The attempt under way, or the answer that goes to the caller.
    permit: Option<Permit>,
    /// When the last attempt began.
    asked: Tick,
    last: Option<Fault>,
}

/// What a request does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// An attempt has begun; [`Drive::permit`] has it.
    Ask(Limits),
    /// Choose again after this.
    Wait(Duration),
    /// Nobody answers it.
    Part(Parted),
}

/// Why nobody answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Parted {
    /// Nothing could be asked.
    Refused(Lack),
    /// The last attempt failed like this.
    Failed(Fault),
    /// The deadline passed before anybody could be asked.
    TooLate,
}

impl Parted {
    /// The word for it in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Refused(_) => "nothing_eligible",
            Self::Failed(fault) => fault.name(),
            Self::TooLate => "too_late",
        }
    }
}

impl<'t> Drive<'t> {
    pub fn begin(table: &'t Table, route: usize, need: Need<'t>) -> Self {
        Self { plan: Plan::begin(table, route), need, permit: None, asked: Tick::ZERO, last: None }
    }

    pub fn need(&self) -> &Need<'t> {
        &self.need
    }

    pub fn attempts(&self) -> u32 {
        self.plan.attempts
    }

    pub fn permit(&self) -> Option<&Permit> {
        self.permit.as_ref()
    }

    /// When the attempt under way began.
    pub fn asked(&self) -> Tick {
        self.asked
    }

    pub fn passage(&self) -> Passage {
        match &self.permit {
            Some(permit) if permit.is_forced() => Passage::Forced,
            Some(permit) if permit.is_trial() => Passage::Trial,
            Some(_) | None => Passage::Normal,
        }
    }

    /// Begins the next attempt, if there is one to make.
    pub fn next(&mut self) -> Step {
        loop {
            if self.live().now() >= self.need.deadline {
                return Step::Part(self.last.map_or(Parted::TooLate, Parted::Failed));
            }
            let permit = match self.plan.choose(&self.need) {
                Ok(permit) => permit,
                Err(_) if self.plan.fall_back() => continue,
                Err(exhausted) if self.plan.attempts == 0 => match self.plan.panic(&self.need, exhausted) {
                    Ok(permit) => permit,
                    Err(exhausted) => return self.part(exhausted.lack),
                },
                Err(exhausted) => return self.part(exhausted.lack),
            };
            let limits = self.plan.limits(&permit, &self.need);
            self.asked = self.live().now();
            self.permit = Some(permit);
            return Step::Ask(limits);
        }
    }

    fn part(&self, lack: Lack) -> Step {
        Step::Part(self.last.map_or(Parted::Refused(lack), Parted::Failed))
    }

    /// The attempt under way has failed before content. What the plan makes of that, and what comes next.
    pub fn failed(&mut self, failure: Failure) -> Option<(Failure, Verdict, Step)> {
        let permit = self.permit.take()?;
        let failure = Failure { fault: self.fair(failure.fault), ..failure };
        match failure.fault.class() {
            Class::UpstreamFault => self.record(throttle::Outcome::Fail),
            Class::Overload | Class::Throttled => self.record(throttle::Outcome::Overload),
            Class::ClientFault => self.record(throttle::Outcome::Ok),
            Class::QuotaExhausted
            | Class::AuthFault
            | Class::ConfigFault
            | Class::StreamFault
            | Class::Cancelled
            | Class::LocalFault => {}
        }
        let verdict = self.plan.verdict(permit, failure, &self.need);
        self.last = Some(failure.fault);
        let step = match verdict {
            Verdict::Retry { wait } if wait.is_zero() => self.next(),
            Verdict::Retry { wait } => Step::Wait(wait),
            Verdict::NextRoute if self.plan.fall_back() => self.next(),
            Verdict::NextRoute | Verdict::GiveUp => Step::Part(Parted::Failed(failure.fault)),
        };
        Some((failure, verdict, step))
    }

    /// A wait that ended while the process did not run, or because the request's own time was up, is
    /// nobody else's failure.
    fn fair(&self, fault: Fault) -> Fault {
        let waited = fault.silent() || matches!(fault, Fault::Tls | Fault::PoolFull);
        if waited && self.live().starved_since(self.asked) {
            return Fault::Starved;
        }
        if fault.silent() && self.live().now() >= self.need.deadline {
            return Fault::DeadlineExceeded;
        }
        fault
    }

    /// The first content is here: nothing is tried again.
    pub fn answered(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.first_content();
        }
        self.record(throttle::Outcome::Ok);
    }

    /// The answer goes on and has had `events` of content.
    pub fn keeps_going(&mut self, events: u64) {
        if let Some(permit) = &mut self.permit {
            permit.keeps_going(events);
        }
    }

    /// The answer is whole.
    pub fn finished(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.finish();
        }
    }

    /// The answer broke off.
    pub fn broke(&mut self, fault: Fault) {
        if let Some(permit) = self.permit.take() {
            permit.fail(fault, Stage::Committed, &RateHint::default(), Repeat::First);
        }
    }

    /// The caller is gone.
    pub fn hung_up(&mut self) {
        self.permit = None;
    }

    fn record(&self, outcome: throttle::Outcome) {
        self.plan.route().memory.throttle.lock().record(self.live().now(), outcome);
    }

    fn live(&self) -> &'t Live {
        &self.plan.table().live
    }
}
