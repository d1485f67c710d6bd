//! Who may go on with a stream that broke off after the commit, and when it is asked.
//!
//! A [`Trail`] is what a stream has behind it; a [`Round`] is one plan to go on with it. What is said to a channel,
//! and whether its answer joins, is the proxy's affair.

mod failures;

use std::time::Duration;

use smallvec::SmallVec;

use failures::Failures;

use super::need::Need;
use super::plan::{Exhausted, Lack, LastResort, Plan};
use super::verdict::{Failure, Verdict};
use crate::algo::dice::Dice;
use crate::algo::tick::Tick;
use crate::catalog;
use crate::config::{self, Continuation};
use crate::state::Permit;
use crate::state::{Channel, Table};
use crate::vocab::{Class, Scope};

/// Channels that may contribute to one stream, the first one included. One that refuses a prefill, or says
/// something else, counts.
pub const MOST_LEGS: u32 = 3;

/// A stream for which nobody is there just now is not given up at once: the alternative is an error for certain.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// After which it is looked again who is there, at first; each time twice as long.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// And no longer than this, or the last look would be long before patience ends.
const LOOK_AT_LAST: Duration = Duration::from_secs(2);
/// Streams break together; they do not look together.
const SPREAD: f64 = 0.2;

/// What a stream has behind it.
#[derive(Clone, Debug)]
pub struct Trail {
    continuation: Continuation,
    /// The route that was asked for.
    asked: usize,
    /// Where the stream began: the route, the tier, the model by its common name.
    route: usize,
    tier: u8,
    model: String,
    /// Channels that broke, or did not go on, by their labels.
    left_out: Vec<Box<str>>,
    failures: Failures,
    /// How often it was looked again since it broke.
    looks: u32,
    pub legs: u32,
}

/// The common name of the model that a channel serves for a request for `asked`.
fn model_of(route: &config::Route, channel: &Channel, asked: &str) -> String {
    let name = channel.model_name(route, asked).unwrap_or(asked);
    catalog::base_name(channel.upstream.config.provider.catalog_name(), name)
}

impl Trail {
    /// A stream begins at `channel`, which `plan` chose for a request for `model` on the route `asked`.
    pub fn begin(plan: &Plan<'_>, channel: &Channel, asked: usize, model: &str) -> Self {
        Self {
            continuation: plan.table().routes[asked].config.continuation,
            asked,
            route: plan.route_index(),
            tier: channel.config.tier,
            model: model_of(&plan.route().config, channel, model),
            left_out: Vec::new(),
            failures: Failures::default(),
            looks: 0,
            legs: 1,
        }
    }

    /// The stream broke off at `channel`.
    pub fn broke(&mut self, channel: &Channel) {
        self.leave_out(channel);
        self.failures.forget();
        self.looks = 0;
    }

    /// `channel` is not asked again for this stream.
    pub fn leave_out(&mut self, channel: &Channel) {
        self.left_out.push(channel.label.clone());
    }

    /// How long to wait before it is looked again, when somebody may be there after `soonest`.
    pub fn look_again(&mut self, soonest: Option<Duration>, dice: &mut Dice) -> Duration {
        let look = LOOK_AGAIN.saturating_mul(1_u32.checked_shl(self.looks).unwrap_or(u32::MAX));
        self.looks += 1;
        soonest.unwrap_or_default().max(dice.jitter_up(look.min(LOOK_AT_LAST), SPREAD))
    }

    /// A plan to go on, for a request for `model` that has made `attempts`.
    pub fn round<'t>(&self, table: &'t Table, attempts: u32, model: &str) -> Round<'t> {
        let begin = match self.continuation {
            Continuation::Any => self.asked,
            Continuation::SameModel | Continuation::Off => self.route,
        };
        let mut plan = Plan::begin(table, begin);
        plan.attempts = attempts;
        // Its request is not a new one.
        plan.deposited = true;
        self.arrive(&mut plan);
        self.restrict(&mut plan, model);
        Round { plan, routes: SmallVec::from_slice(&[begin]), soonest: None, possible: false, paid: false }
    }

    /// A plan has come to a route: attempts that were made there count, and to ask the same one again, or a last
    /// resort, is for the next round, not for the plan.
    fn arrive(&self, plan: &mut Plan<'_>) {
        plan.attempts_in_route = self.failures.on(plan.route_index());
        plan.asked_again = true;
        plan.waited = true;
        plan.last_resort = LastResort::Spent;
    }

    /// Leaves out the channels of the plan's route that must not go on, or not now.
    pub fn restrict(&self, plan: &mut Plan<'_>, model: &str) {
        let (now, route) = (plan.table().live.now(), plan.route_index());
        let config = &plan.route().config;
        plan.leave_out(|channel| {
            !self.allows(route, config, channel, model) || self.failures.not_before(&channel.label) > now
        });
    }

    /// Whether a channel of a route may go on, now or later.
    fn allows(&self, route: usize, config: &config::Route, channel: &Channel, model: &str) -> bool {
        let same = || channel.config.tier == self.tier && model_of(config, channel, model) == self.model;
        !self.left_out.contains(&channel.label)
            && !self.failures.is_out(&channel.label)
            && self.failures.on(route) < config.retry.max_attempts
            && (self.continuation != Continuation::SameModel || same())
    }

    /// Goes on to a fallback, where those may go on.
    fn falls_back(&self, plan: &mut Plan<'_>) -> bool {
        let falls = self.continuation == Continuation::Any && plan.fall_back();
        if falls {
            self.arrive(plan);
        }
        falls
    }
}

/// One plan to go on, to its end.
pub struct Round<'t> {
    pub plan: Plan<'t>,
    /// Where it has been.
    routes: SmallVec<[usize; 2]>,
    /// When somebody who cannot be picked now can be, as far as their memories tell.
    soonest: Option<Duration>,
    /// Somebody has what it takes to be asked.
    possible: bool,
    /// The first try is paid like a retry; those after it the verdict pays.
    paid: bool,
}

/// Who could go on later.
enum Outlook {
    Somebody { soonest: Option<Duration> },
    Nobody,
}

/// Who is asked next.
#[derive(Debug)]
pub enum Leg {
    Ask(Permit),
    /// Somebody could go on, but not just now.
    NotNow {
        soonest: Option<Duration>,
    },
    NoChannel,
    /// The attempts, or the retry budget, are.
    Exhausted,
}

/// What follows from a try that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Choose {
        wait: Duration,
    },
    NotNow {
        soonest: Option<Duration>,
    },
    /// Everybody has failed who may be asked.
    Exhausted,
    GiveUp,
}

impl Round<'_> {
    /// The permit of the next try.
    pub fn choose(&mut self, trail: &Trail, need: &Need<'_>) -> Leg {
        let permit = loop {
            trail.restrict(&mut self.plan, need.model);
            match self.plan.choose(need) {
                Ok(permit) => break permit,
                Err(exhausted) => self.note(exhausted),
            }
            if !self.falls_back(trail) {
                return match self.outlook(trail, need) {
                    Outlook::Somebody { soonest } => Leg::NotNow { soonest },
                    Outlook::Nobody if trail.failures.any() => Leg::Exhausted,
                    Outlook::Nobody => Leg::NoChannel,
                };
            }
        };
        self.possible = true;
        if !std::mem::replace(&mut self.paid, true) && !self.plan.pay() {
            // Nobody has been asked.
            self.plan.withdraw(permit);
            return Leg::Exhausted;
        }
        Leg::Ask(permit)
    }

    /// Nobody could be picked on the plan's route.
    fn note(&mut self, exhausted: Exhausted) {
        let Exhausted { soonest, lack } = exhausted;
        self.possible |=
            !matches!(lack, Lack::Dialect | Lack::Ability(_) | Lack::Configuration | Lack::Model);
        // Who is busy may be free at any time.
        let soonest = soonest.filter(|_| lack != Lack::Room);
        self.soonest = [self.soonest, soonest].into_iter().flatten().min();
    }

    fn falls_back(&mut self, trail: &Trail) -> bool {
        let falls = trail.falls_back(&mut self.plan);
        if falls {
            self.routes.push(self.plan.route_index());
        }
        falls
    }

    /// Who could go on later, of all that this round has come by.
    fn outlook(&self, trail: &Trail, need: &Need<'_>) -> Outlook {
        let table = self.plan.table();
        let now = table.live.now();
        let (mut anybody, mut at_once) = (false, false);
        let mut asked_for: Option<Duration> = None;
        for &index in &self.routes {
            let route = &table.routes[index];
            let allowed =
                |channel: &&std::sync::Arc<Channel>| trail.allows(index, &route.config, channel, need.model);
            for channel in route.channels.iter().filter(allowed) {
                anybody = true;
                let wait = trail.failures.not_before(&channel.label).since(now);
                if wait.is_zero() {
                    at_once = true;
                } else {
                    asked_for = Some(asked_for.map_or(wait, |known| known.min(wait)));
                }
            }
        }
        if !anybody || !self.possible {
            return Outlook::Nobody;
        }
        let soonest = match (at_once, self.soonest) {
            (false, _) => asked_for,
            (true, None) => None,
            (true, Some(soonest)) => Some(asked_for.map_or(soonest, |wait| wait.min(soonest))),
        };
        Outlook::Somebody { soonest }
    }

    /// The plan has given its verdict on a try of `channel` that failed like this.
    pub fn follow(
        &mut self,
        trail: &mut Trail,
        need: &Need<'_>,
        channel: &Channel,
        failure: Failure,
        verdict: Verdict,
    ) -> Then {
        let live = &self.plan.table().live;
        // A key's own rest is known without this, and another key may be asked meanwhile.
        let of_key = failure.fault.scope() == Scope::Credential && !channel.upstream.credentials.is_empty();
        let rest = failure.hint.retry_after.filter(|_| !of_key);
        let not_before = rest.map_or(Tick::ZERO, |rest| live.now() + live.dice().jitter_up(rest, SPREAD));
        trail.failures.note(&channel.label, self.plan.route_index(), &failure, not_before);
        match verdict {
            Verdict::Retry { wait } => Then::Choose { wait },
            Verdict::GiveUp if matches!(failure.fault.class(), Class::ClientFault | Class::Cancelled) => {
                Then::GiveUp
            }
            Verdict::NextRoute | Verdict::GiveUp if self.falls_back(trail) => {
                Then::Choose { wait: Duration::ZERO }
            }
            // Nobody else just now; a moment later there may be.
            Verdict::NextRoute | Verdict::GiveUp => match self.outlook(trail, need) {
                Outlook::Somebody { soonest } => Then::NotNow { soonest },
                Outlook::Nobody => Then::Exhausted,
            },
        }
    }
}
