//! Who may go on with a stream that broke off after the commit, and when it is asked.
//!
//! A [`Trail`] is what a stream has behind it; a [`Round`] is one plan to go on with it. What is said to a channel,
//! and whether its answer joins, is the proxy's affair.

use std::time::Duration;

use super::need::Need;
use super::plan::{Lack, Plan};
use super::verdict::Verdict;
use crate::catalog;
use crate::config::{self, Continuation};
use crate::state::Permit;
use crate::state::table::{Channel, Table};
use crate::vocab::{Class, Fault};

/// Channels that may contribute to one stream, the first one included. One that refuses a prefill, or says
/// something else, counts.
pub const MOST_LEGS: u32 = 3;

/// A stream for which nobody is there just now is not given up at once: the alternative is an error for certain.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// After which it is looked again who is there.
pub const LOOK_AGAIN: Duration = Duration::from_millis(250);

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
            legs: 1,
        }
    }

    /// `channel` is not asked again for this stream.
    pub fn leave_out(&mut self, channel: &Channel) {
        self.left_out.push(channel.label.clone());
    }

    /// A plan to go on, for a request for `model` that has made `attempts`.
    pub fn round<'t>(&self, table: &'t Table, attempts: u32, model: &str) -> Round<'t> {
        let begin = match self.continuation {
            Continuation::Any => self.asked,
            Continuation::SameModel | Continuation::Off => self.route,
        };
        let mut plan = Plan::begin(table, begin);
        plan.attempts = attempts;
        self.restrict(&mut plan, model);
        let anybody = plan.has_unspent();
        Round { plan, anybody, paid: false }
    }

    /// Leaves out the channels of the plan's route that must not go on.
    pub fn restrict(&self, plan: &mut Plan<'_>, model: &str) {
        let route = plan.route();
        plan.leave_out(|channel| {
            let same =
                channel.config.tier == self.tier && model_of(&route.config, channel, model) == self.model;
            self.left_out.contains(&channel.label) || (self.continuation == Continuation::SameModel && !same)
        });
    }

    /// Goes on to a fallback, where those may go on.
    fn falls_back(&self, plan: &mut Plan<'_>, model: &str) -> bool {
        let falls = self.continuation == Continuation::Any && plan.fall_back();
        if falls {
            self.restrict(plan, model);
        }
        falls
    }
}

/// One plan to go on, to its end.
pub struct Round<'t> {
    pub plan: Plan<'t>,
    anybody: bool,
    /// The first try is paid like a retry; those after it the verdict pays.
    paid: bool,
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
    /// The retry budget is.
    Exhausted,
}

/// What follows from a try that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Choose { wait: Duration },
    NotNow,
    GiveUp,
}

impl Round<'_> {
    /// The permit of the next try.
    pub fn choose(&mut self, trail: &Trail, need: &Need<'_>) -> Leg {
        let permit = loop {
            match self.plan.choose(need) {
                Ok(permit) => break permit,
                Err(_) if trail.falls_back(&mut self.plan, need.model) => {
                    self.anybody |= self.plan.has_unspent();
                }
                Err(exhausted) => {
                    let never = matches!(
                        exhausted.lack,
                        Lack::Dialect | Lack::Ability(_) | Lack::Configuration | Lack::Model
                    );
                    if never || !self.anybody {
                        return Leg::NoChannel;
                    }
                    return Leg::NotNow { soonest: exhausted.soonest };
                }
            }
        };
        if !std::mem::replace(&mut self.paid, true) && !self.plan.pay() {
            return Leg::Exhausted;
        }
        Leg::Ask(permit)
    }

    /// The plan has given its verdict on a try that failed like this.
    pub fn follow(&mut self, trail: &Trail, need: &Need<'_>, fault: Fault, verdict: Verdict) -> Then {
        match verdict {
            Verdict::Retry { wait } => Then::Choose { wait },
            Verdict::GiveUp if matches!(fault.class(), Class::ClientFault | Class::Cancelled) => Then::GiveUp,
            Verdict::NextRoute | Verdict::GiveUp if trail.falls_back(&mut self.plan, need.model) => {
                Then::Choose { wait: Duration::ZERO }
            }
            // Nobody else just now; a moment later there may be.
            Verdict::NextRoute | Verdict::GiveUp => Then::NotNow,
        }
    }
}
