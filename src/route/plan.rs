//! One request's way through a route and its fallbacks: what it has tried, and what comes next.
//!
//! Here is the order of things. Who may be asked at all is `list`'s affair; whom of them, `pick`'s; what is sent where
//! nobody may be, `panic`'s; what the request has learnt on its way, `tried`'s; and what is said when nothing is left,
//! `lack`'s.

mod lack;
mod list;
mod panic;
mod pick;
mod tried;

use std::sync::Arc;

use smallvec::SmallVec;

use super::need::Need;
use crate::algo::tick::Tick;
use crate::state::look::{Judgements, Look};
use crate::state::permit::{Permit, Refusal};
use crate::state::route::Route;
use crate::state::{Channel, Table};
use crate::telemetry::RefusedRetry;
use crate::vocab::{Class, Fault};

use list::Listed;
use tried::Slots;

pub use lack::{Exhausted, Lack};
pub(super) use list::{Judged, Shortlist};

/// A request's memory of its own attempts.
pub struct Plan<'t> {
    table: &'t Table,
    pub(super) route: usize,
    /// Routes whose channels were asked, this one included.
    visited: SmallVec<[usize; 4]>,
    /// Fallbacks that remain, next one first.
    ahead: SmallVec<[usize; 4]>,
    /// Channels of this route that failed this request, as bits.
    tried: Slots,
    /// Channels of this route that must not be asked again even when nothing else is left.
    spent: Slots,
    pub(super) attempts_in_route: u32,
    /// Over all routes.
    pub attempts: u32,
    /// The budgets have heard of this request.
    pub(super) deposited: bool,
    /// How often a second channel was asked beside a silent one; at most once.
    pub(super) hedges: u32,
    /// The one second chance of an only channel is taken.
    pub(super) asked_again: bool,
    /// A Retry-After was waited out.
    pub(super) waited: bool,
    pub(super) last_resort: LastResort,
    /// Windows of up to this many tokens were too small, as an upstream said.
    pub(super) overflown: u64,
    failures: SmallVec<[(usize, usize, Fault); 2]>,
    /// Channels that had nothing to fail at: the request could not be put to them, or they lack what its caller names.
    unasked: u32,
    /// What was seen when somebody was to be picked, the last time.
    look: Option<Look>,
}

/// The one question to a channel that only a panic asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastResort {
    Open,
    /// Everybody who could be chosen has failed this request: nobody of them is asked again before it.
    Sought(Retry),
    /// It is to be put now.
    Due(Retry),
    /// It was put, or refused.
    Spent,
}

/// A retry that is not paid yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retry {
    pub after: Class,
    /// Nobody has to pay for it.
    pub free: bool,
}

impl<'t> Plan<'t> {
    pub fn begin(table: &'t Table, route: usize) -> Self {
        let ahead = table.routes[route].config.fallback.iter().copied().collect();
        Self {
            table,
            route,
            visited: SmallVec::from_slice(&[route]),
            ahead,
            tried: Slots::default(),
            spent: Slots::default(),
            attempts_in_route: 0,
            attempts: 0,
            deposited: false,
            hedges: 0,
            asked_again: false,
            waited: false,
            last_resort: LastResort::Open,
            overflown: 0,
            failures: SmallVec::new(),
            unasked: 0,
            look: None,
        }
    }

    /// The plan of a mirrored request: this route and no other, and no caller's retries are paid for by it.
    pub fn aside(table: &'t Table, route: usize) -> Self {
        Self { ahead: SmallVec::new(), deposited: true, ..Self::begin(table, route) }
    }

    /// The same request's way from `route` on, after it has waited.
    #[must_use]
    pub fn anew(&self, route: usize) -> Self {
        let last_resort = match self.last_resort {
            LastResort::Spent => LastResort::Spent,
            LastResort::Open | LastResort::Sought(_) | LastResort::Due(_) => LastResort::Open,
        };
        // Its attempts were made, and the caller is told of them.
        Self { attempts: self.attempts, last_resort, ..Self::begin(self.table, route) }
    }

    pub fn route(&self) -> &'t Arc<Route> {
        &self.table.routes[self.route]
    }

    /// The route that it began with.
    pub(super) fn asked(&self) -> &'t Arc<Route> {
        &self.table.routes[self.visited[0]]
    }

    /// The next attempt's permit, or why there is none. A bond that yields does so when nobody else is left.
    pub fn choose(&mut self, need: &Need<'_>) -> Result<Permit, Exhausted> {
        if let LastResort::Sought(retry) = self.last_resort {
            if !self.has_untried(need) {
                self.last_resort = LastResort::Due(retry);
                return Err(self.outlook_without_room(need));
            }
            // Somebody is back.
            self.last_resort = LastResort::Open;
            if !retry.free && !self.pay() {
                self.last_resort = LastResort::Spent;
                self.route().handles.retry_refused(&self.table.live.metrics, RefusedRetry::Budget);
                return Err(self.outlook_without_room(need));
            }
            self.route().handles.retried(&self.table.live.metrics, retry.after);
        }
        let Some(free) = need.freed() else { return self.choose_for(need) };
        if self.is_untried(need)
            && let Ok(permit) = self.choose_for(need)
        {
            return Ok(permit);
        }
        self.choose_for(&free)
    }

    fn choose_for(&mut self, need: &Need<'_>) -> Result<Permit, Exhausted> {
        let now = self.table.live.now();
        let mut refused = Slots::default();
        let mut crowded = false;
        // Each turn of this loop takes one channel out, so it ends.
        loop {
            let Listed { list, exhausted, judged } = self.shortlist(need, &refused, now);
            self.look = Some(Look { at: now, route: Arc::clone(self.route()), judged, picked: None });
            let Some(pick) = self.pick(&list, need, now) else {
                let lack = if crowded { Lack::Room } else { exhausted.lack };
                return Err(Exhausted { lack, ..exhausted });
            };
            let Judged { channel, model, .. } = &list[pick];
            match Permit::admit(channel, Arc::clone(model), need.wants()) {
                Ok(permit) => {
                    self.count(now);
                    self.saw(channel);
                    return Ok(permit);
                }
                // Somebody was faster; look again without it.
                Err(refusal) => {
                    crowded |= refusal == Refusal::Room;
                    refused.add(channel.slot);
                }
            }
        }
    }

    /// How the route looks to a request that does not wait in line for those who have failed it.
    fn outlook_without_room(&self, need: &Need<'_>) -> Exhausted {
        let outlook = self.outlook(need);
        let lack = if outlook.lack == Lack::Room { Lack::Health } else { outlook.lack };
        Exhausted { lack, ..outlook }
    }

    /// What was seen when somebody was picked last, or nobody could be; once.
    pub fn take_look(&mut self) -> Option<Look> {
        self.look.take()
    }

    /// Somebody was picked for another reason than that he looked best.
    pub(super) fn picked(&mut self, channel: &Channel, now: Tick) {
        let (route, picked) = (Arc::clone(self.route()), Some(channel.slot));
        self.look = Some(Look { at: now, route, judged: Judgements::new(), picked });
    }

    /// It was this one.
    fn saw(&mut self, channel: &Channel) {
        if let Some(look) = &mut self.look {
            look.picked = Some(channel.slot);
        }
    }

    pub(super) fn count(&mut self, now: Tick) {
        if !std::mem::replace(&mut self.deposited, true) {
            if self.route().config.hedge.enabled {
                self.route().memory.hedges.lock().deposit(now);
            }
            self.route().memory.budget.lock().deposit(now);
            self.table.budget.lock().deposit(now);
        }
        self.attempts += 1;
        self.attempts_in_route += 1;
    }

    /// Gives a permit back that nothing was done with: no attempt was made.
    pub fn withdraw(&mut self, permit: Permit) {
        permit.withdraw();
        self.attempts = self.attempts.saturating_sub(1);
        self.attempts_in_route = self.attempts_in_route.saturating_sub(1);
    }

    pub fn has_fallback(&self) -> bool {
        self.ahead.iter().any(|route| !self.visited.contains(route))
    }

    /// The index of the route that is being tried.
    pub const fn route_index(&self) -> usize {
        self.route
    }

    /// Goes on to the next fallback route. Each route is visited once, so this ends.
    pub fn fall_back(&mut self) -> bool {
        while !self.ahead.is_empty() {
            let next = self.ahead.remove(0);
            if self.visited.contains(&next) {
                continue;
            }
            let from = self.route();
            from.handles.fell_back(&self.table.live.metrics, &self.table.routes[next].config.name);
            self.route = next;
            self.visited.push(next);
            self.ahead.insert_many(0, self.table.routes[next].config.fallback.iter().copied());
            self.tried = Slots::default();
            self.spent = Slots::default();
            self.attempts_in_route = 0;
            self.asked_again = false;
            return true;
        }
        false
    }

    pub fn table(&self) -> &'t Table {
        self.table
    }
}
