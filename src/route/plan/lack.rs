//! Why nothing can be picked: the reasons of all channels of a route, added up to the one that its caller is told.

use std::time::Duration;

use crate::algo::tick::Tick;
use crate::route::shortlist::WhyNot;
use crate::vocab::Ability;

/// Nothing can be picked. Everything that the answer needs to be honest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exhausted {
    /// When the first channel may be picked again, as far as that is known.
    pub soonest: Option<Duration>,
    pub lack: Lack,
}

/// What all channels of a route lack that could have served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// No channel speaks the caller's dialect.
    Dialect,
    /// No channel's model can do what the request needs.
    Ability(Ability),
    /// What the request refers to is stored at an upstream that has no channel here.
    Bound,
    /// No channel has what it needs to be asked at all.
    Configuration,
    /// No channel's upstream has a model of the name that the caller chose.
    Model,
    /// Keys are all that is missing: this is a rate limit, not an outage.
    Credentials,
    /// Who could serve is as busy as he may be.
    Room,
    /// This request has tried them, or evidence speaks against them.
    Health,
}

/// Reasons of all channels, added up.
#[derive(Default)]
pub(super) struct Summary {
    soonest: Option<Tick>,
    counts: [usize; 9],
    lacking: Option<Ability>,
    now: Tick,
}

const CREDENTIALS: usize = 0;
const FULL: usize = 1;
const SPEAKS: usize = 2;
const UNCONFIGURED: usize = 3;
const UNABLE: usize = 4;
const BOUND: usize = 5;
const UNSERVED: usize = 6;
const OUT_OF_REACH: usize = 7;
const OTHER: usize = 8;

impl Summary {
    pub(super) fn add(&mut self, why: WhyNot, now: Tick) {
        self.now = now;
        let slot = match why {
            WhyNot::Credentials { .. } | WhyNot::Capped { .. } => CREDENTIALS,
            WhyNot::Full => FULL,
            WhyNot::Speaks => SPEAKS,
            WhyNot::Bound => BOUND,
            WhyNot::OutOfReach => OUT_OF_REACH,
            WhyNot::Unconfigured => UNCONFIGURED,
            WhyNot::Unserved { .. } => UNSERVED,
            WhyNot::Lacks(ability) => {
                self.lacking = Some(ability);
                UNABLE
            }
            WhyNot::DisabledByOperator { .. }
            | WhyNot::BreakerOpen { .. }
            | WhyNot::ModelMissing { .. }
            | WhyNot::Down
            | WhyNot::Tried
            | WhyNot::Window
            | WhyNot::TooDear => OTHER,
        };
        self.counts[slot] += 1;
        if let Some(until) = why.until() {
            self.soonest = Some(self.soonest.map_or(until, |known| known.min(until)));
        }
    }

    /// What is said of the route leaves out channels that could never have served.
    pub(super) fn close(self, channels: usize) -> Exhausted {
        let [credentials, full, speaks, unconfigured, unable, bound, unserved, out_of_reach, _] = self.counts;
        let possible = channels - speaks - unconfigured - unable - bound - out_of_reach;
        let lack = match (possible, self.lacking) {
            (0, Some(ability)) if bound == 0 => Lack::Ability(ability),
            (0, _) if bound > 0 => Lack::Bound,
            (0, None) if speaks > 0 => Lack::Dialect,
            (0, None) => Lack::Configuration,
            _ if unserved == possible => Lack::Model,
            _ if credentials == possible => Lack::Credentials,
            _ if full > 0 => Lack::Room,
            _ => Lack::Health,
        };
        Exhausted { soonest: self.soonest.map(|until| until.since(self.now)), lack }
    }
}
