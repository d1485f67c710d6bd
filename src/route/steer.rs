//! Which route serves a request: the one that it asked for, the one that a rule sends it to, or an arm of a split.
//!
//! One rule of the route asked for, then one split of the route where the request is by then, and no more: what an
//! arm leads to is final, so nothing goes in circles. Everything here is known when the request is whole, and
//! nothing depends on anybody's health: who fails is `plan`'s affair. (Mirrors change no request's way.)

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::algo::dice::Dice;
use crate::algo::name::{self, Parts};
use crate::algo::rendezvous;
use crate::config::{Arm, Lineage, Split, Sticks, Wanted, When};
use crate::state::Table;
use crate::state::model::Shape;
use crate::vocab::{Abilities, Ability};

/// Names a request, for callers who send it again.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What rules and splits know of a request.
#[derive(Clone, Debug)]
pub struct Occasion<'a> {
    /// The key that the caller has proven to hold, and all above it.
    pub lineage: Option<&'a Lineage>,
    pub headers: &'a HeaderMap,
    /// Estimated.
    pub prompt_tokens: u64,
    pub shape: Shape,
    /// Tools and pictures, where [`Looks::brings`] says that it matters.
    pub brings: Abilities,
    /// The conversation, where [`Looks::session`] says that it matters.
    pub session: Option<u64>,
    /// Since the Unix epoch.
    pub at: Duration,
}

/// What has to be found out about a request before [`course`] can be told; it costs a walk of the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    pub brings: bool,
    pub session: bool,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Index of the route that serves it.
    pub route: usize,
    /// The place of the rule that was followed.
    pub rule: Option<usize>,
    pub arm: Option<Taken>,
}

/// The arm of a split that a request was given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The route that is split.
    pub of: Arc<str>,
    pub arm: Arc<str>,
}

impl Course {
    /// The route that was asked for serves it.
    pub const fn straight(route: usize) -> Self {
        Self { route, rule: None, arm: None }
    }
}

/// What [`course`] needs to know of requests for the route `asked`.
pub fn looks(table: &Table, asked: usize) -> Looks {
    let steering = &table.routes[asked].config.steering;
    let by_session = |route: usize| {
        let split = &table.routes[route].config.steering.split;
        split.as_ref().is_some_and(|split| split.by == Sticks::Session)
    };
    Looks {
        brings: steering.rules.iter().any(|rule| rule.when.tools.or(rule.when.images).is_some()),
        session: by_session(asked) || steering.rules.iter().any(|rule| by_session(rule.to)),
    }
}

/// Where a request for the route `asked` goes. `dice` decides where nothing sticks.
pub fn course(table: &Table, asked: usize, occasion: &Occasion<'_>, dice: &mut Dice) -> Course {
    let steering = &table.routes[asked].config.steering;
    let rule = steering.rules.iter().position(|rule| holds(&rule.when, occasion));
    let there = rule.map_or(asked, |rule| steering.rules[rule].to);
    let of = &table.routes[there].config;
    match of.steering.split.as_ref().map(|split| (split, key(split, occasion))) {
        Some((split, key)) => {
            let key = key.unwrap_or_else(|| dice.next_u64());
            let arm = pick(&of.name, &split.arms, key);
            let taken = arm.map(|arm| Taken { of: Arc::clone(&of.name), arm: Arc::clone(&arm.name) });
            Course { route: arm.map_or(there, |arm| arm.to), rule, arm: taken }
        }
        None => Course { route: there, rule, arm: None },
    }
}

/// Whether it is no matter of chance which arm of `split` a request gets.
pub fn sticks(split: &Split, occasion: &Occasion<'_>) -> bool {
    key(split, occasion).is_some()
}

/// Whether all of a rule's conditions hold.
fn holds(when: &When, occasion: &Occasion<'_>) -> bool {
    let wanted = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
    let caller = |level, names: &[Arc<str>]| {
        let member = occasion.lineage.and_then(|lineage| lineage.at(level));
        member.is_some_and(|member| names.contains(&member.name))
    };
    let header = |name, wanted: &Wanted| {
        let mut values = occasion.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.any(|value| match wanted {
            Wanted::Exactly(text) => value == &**text,
            Wanted::Beginning(begin) => value.starts_with(&**begin),
        })
    };
    when.callers.iter().all(|(level, names)| caller(*level, names))
        && when.above.is_none_or(|bound| occasion.prompt_tokens > bound)
        && when.below.is_none_or(|bound| occasion.prompt_tokens < bound)
        && wanted(when.stream, occasion.shape == Shape::Stream)
        && wanted(when.tools, occasion.brings.has(Ability::Tools))
        && wanted(when.images, occasion.brings.has(Ability::Vision))
        && when.headers.iter().all(|(name, value)| header(name, value))
        && when.time.as_ref().is_none_or(|time| time.hours.include(occasion.at))
}

/// What of a request keeps its arm, as a number; `None` where it has nothing of the kind.
fn key(split: &Split, occasion: &Occasion<'_>) -> Option<u64> {
    let header = |name: &str| occasion.headers.get(name).map(|value| name::number(value.as_bytes()));
    match &split.by {
        Sticks::Request => header(IDEMPOTENCY_KEY),
        Sticks::Caller(level) => {
            let member = occasion.lineage.and_then(|lineage| lineage.at(*level));
            member.map(|member| name::number(member.name.as_bytes()))
        }
        Sticks::Session => occasion.session,
        Sticks::Header(name) => header(name.as_str()),
    }
}

/// The arm of what has this number. Whoever is at another arm after a change of the shares was at one that lost some,
/// or is at one that has got some.
fn pick<'a>(of: &str, arms: &'a [Arm], key: u64) -> Option<&'a Arm> {
    let score = |arm: &Arm| {
        // Two splits of the same callers have nothing to do with each other.
        let mut node = Parts::default();
        for part in [of, "\n", &*arm.name] {
            node.add(part.as_bytes());
        }
        rendezvous::score(key, node.number(), arm.share.hundredths())
    };
    arms.iter().max_by(|a, b| score(a).total_cmp(&score(b)))
}

#[cfg(test)]
mod tests;
