//! A stream that broke off after its first content, as `proxy::{reply, onward}` have another channel go on with it.
//!
//! Who goes on is `route::onward`'s decision. Here every channel that answers joins the text: whether what a model
//! says continues what was said, and whether it takes a prefill, no script knows.

use std::sync::Arc;
use std::time::Duration;

use super::drive::{Drive, Judged, Race, Step};
use super::seen::Role;
use crate::algo::tick::Tick;
use crate::config::Continuation;
use crate::dialect::translate;
use crate::route::onward::{Leg, MOST_LEGS, PATIENCE, Round, Then, Trail};
use crate::route::{Failure, Need, Plan};
use crate::state::model::Shape;
use crate::state::permit::Repeat;
use crate::state::{Channel, Permit};
use crate::vocab::{Fault, RateHint, Stage};

/// A stream that may be continued, should it break.
pub struct Going<'t> {
    trail: Trail,
    round: Option<Round<'t>>,
    broken: Option<Broken>,
}

#[derive(Clone, Copy)]
struct Broken {
    fault: Fault,
    /// Until when somebody is looked for.
    until: Tick,
}

impl<'t> Going<'t> {
    /// What it takes to go on with a stream that begins at `channel`, where the route asked for has that.
    pub fn of(plan: &Plan<'t>, channel: &Channel, asked: usize, need: &Need<'_>) -> Option<Self> {
        let config = &plan.table().routes[asked].config;
        let is_stream = need.shape == Shape::Stream && translate::generates(need.operation);
        (config.continuation != Continuation::Off && is_stream).then(|| Self {
            trail: Trail::begin(plan, channel, asked, need.model),
            round: None,
            broken: None,
        })
    }
}

impl Drive<'_> {
    /// Whether its stream broke off, and somebody is looked for who goes on.
    pub fn is_broken(&self) -> bool {
        self.going.as_ref().is_some_and(|going| going.broken.is_some())
    }

    /// Channels that have contributed to its stream.
    pub fn legs(&self) -> u32 {
        self.going.as_ref().map_or(1, |going| going.trail.legs)
    }

    /// The answer broke off.
    pub fn broke(&mut self, fault: Fault) -> Option<Step> {
        let permit = self.tries.pop()?.permit;
        let channel = Arc::clone(permit.channel());
        permit.fail(fault, Stage::Committed, &RateHint::default(), Repeat::First);
        let until = (self.live().now() + PATIENCE).min(self.need.deadline);
        let may_go_on = !matches!(fault, Fault::DeadlineExceeded | Fault::Cancelled);
        let Some(going) = self.going.as_mut().filter(|_| may_go_on) else { return Some(Step::Ends(fault)) };
        going.trail.broke(&channel);
        going.broken = Some(Broken { fault, until });
        Some(self.go_on())
    }

    /// Asks the next channel to go on, if there is one.
    pub(super) fn go_on(&mut self) -> Step {
        let (table, now, attempts) = (self.plan.table(), self.live().now(), self.plan.attempts);
        let Some(going) = &mut self.going else { return Step::Ends(Fault::StreamCut) };
        let leg = if going.trail.legs >= MOST_LEGS || now >= self.need.deadline {
            Leg::Exhausted
        } else {
            let trail = &going.trail;
            let round = going.round.get_or_insert_with(|| trail.round(table, attempts, self.need.model));
            round.choose(trail, &self.need)
        };
        match (leg, &going.round) {
            (Leg::Ask(permit), Some(round)) => {
                let limits = round.plan.limits(&permit, &self.need);
                self.plan.attempts = round.plan.attempts;
                Step::Ask { id: self.enter(permit, limits, Role::Leg, Race::Off), hedge: None }
            }
            (Leg::NotNow { soonest }, _) => self.not_now(soonest),
            (Leg::Ask(_) | Leg::NoChannel | Leg::Exhausted, _) => self.stays_broken(),
        }
    }

    fn not_now(&mut self, soonest: Option<Duration>) -> Step {
        let (now, mut dice) = (self.live().now(), self.live().dice());
        let Some(going) = &mut self.going else { return Step::Ends(Fault::StreamCut) };
        let wait = going.trail.look_again(soonest, &mut dice);
        going.round = None;
        match going.broken {
            Some(broken) if wait < broken.until.since(now) => Step::Wait(wait),
            Some(_) | None => self.stays_broken(),
        }
    }

    fn stays_broken(&mut self) -> Step {
        let broken = self.going.as_mut().and_then(|going| going.broken);
        Step::Ends(broken.map_or(Fault::StreamCut, |broken| broken.fault))
    }

    /// A channel has gone on.
    pub(super) fn joined(&mut self) {
        if let Some(going) = &mut self.going {
            going.trail.legs += 1;
            (going.round, going.broken) = (None, None);
        }
    }

    /// One that was asked to go on did not.
    pub(super) fn leg_failed(&mut self, permit: Permit, failure: Failure) -> Option<Judged> {
        let going = self.going.as_mut()?;
        let round = going.round.as_mut()?;
        let channel = Arc::clone(permit.channel());
        let verdict = round.plan.verdict(permit, failure, &self.need);
        let then = round.follow(&mut going.trail, &self.need, &channel, failure, verdict);
        let step = match then {
            Then::Choose { wait } if wait.is_zero() => self.go_on(),
            Then::Choose { wait } => Step::Wait(wait),
            Then::NotNow { soonest } => self.not_now(soonest),
            Then::Exhausted | Then::GiveUp => self.stays_broken(),
        };
        Some(Judged { failure, verdict: Some(verdict), step })
    }
}
