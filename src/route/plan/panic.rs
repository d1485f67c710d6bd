//! The last resort where nothing is eligible: what a route's throttle lets through goes to the least bad of its
//! channels (D3, RESILIENCE §4.7).
//!
//! D3 forbids retries here. One is made nevertheless: a request that failed at the last eligible channel would be
//! worse off than one that found none. A budget pays for it as for any other, and only somebody gets it who answered
//! lately: he may be well again before his breaker is asked, while what is dead has nothing to gain.

use std::sync::Arc;
use std::time::Duration;

use super::lack::{Exhausted, Lack};
use super::{LastResort, Plan};
use crate::algo::tick::Tick;
use crate::config::PanicMode;
use crate::route::need::Need;
use crate::route::shortlist::{self, Rank, WhyNot};
use crate::state::Channel;
use crate::state::model::Model;
use crate::state::permit::Permit;
use crate::telemetry::RefusedRetry;

/// Whether nothing was heard of it lately, when its breaker is asked again, its tier: smaller is better.
type Badness = (bool, Tick, u8);

/// The window of the throttle that lets requests through to the least bad channel (RESILIENCE §4.7).
const LATELY: Duration = Duration::from_secs(20);

impl<'t> Plan<'t> {
    /// Whether [`Plan::panic`] is open to a request that has come so far; it is so once.
    pub fn may_panic(&self) -> bool {
        match self.last_resort {
            LastResort::Open => self.attempts == 0,
            LastResort::Due(_) => true,
            LastResort::Sought(_) | LastResort::Spent => false,
        }
    }

    /// Whether a request that failed here has somebody left whom only a panic asks.
    pub(in crate::route) fn has_last_resort(&self, need: &Need<'_>) -> bool {
        self.last_resort == LastResort::Open
            && self.visited.len() == 1
            && self.route().config.panic.mode != PanicMode::FailFast
            && self.least_bad(need, self.table.live.now()).is_some()
    }

    /// Nothing is eligible here nor on any fallback: the route that was asked for sends what its
    /// throttle allows to the best of its channels, if only evidence speaks against one (D3).
    pub fn panic(&mut self, need: &Need<'_>, exhausted: Exhausted) -> Result<Permit, Exhausted> {
        let retry = match std::mem::replace(&mut self.last_resort, LastResort::Spent) {
            LastResort::Due(retry) => Some(retry),
            LastResort::Open | LastResort::Sought(_) | LastResort::Spent => None,
        };
        // Somebody who can serve is only busy: what is down is no better for that (S34). Nor does it have what
        // nobody has.
        if matches!(exhausted.lack, Lack::Room | Lack::Model) {
            return Err(exhausted);
        }
        let now = self.table.live.now();
        self.route = self.visited[0];
        let (route, metrics) = (self.route(), &self.table.live.metrics);
        let candidate = self.least_bad(need, now);
        let is_paid = retry.is_some_and(|retry| !retry.free);
        if retry.is_some() && candidate.is_none() {
            return Err(exhausted);
        }
        if is_paid && !self.pay() {
            route.handles.retry_refused(metrics, RefusedRetry::Budget);
            return Err(exhausted);
        }
        let admitted = match route.config.panic.mode {
            PanicMode::FailFast => false,
            PanicMode::All => true,
            PanicMode::Throttle => route.memory.throttle.lock().admit(now, &mut self.table.live.dice()),
        };
        let forced = candidate.filter(|_| admitted);
        let permit = forced.and_then(|(channel, model)| Permit::force(channel, model, need.wants()).ok());
        let Some(permit) = permit else {
            route.handles.panic_refused.increment(1);
            if is_paid {
                self.refund();
            }
            return Err(exhausted);
        };
        route.handles.panic_admitted.increment(1);
        if let Some(retry) = retry {
            route.handles.retried(metrics, retry.after);
        }
        self.count(now);
        self.picked(permit.channel(), now);
        Ok(permit)
    }

    /// The channel that only evidence speaks against: one that answered lately before those that did not, for some
    /// answers are better than none; then the one whose breaker would be asked again soonest. For a retry none but
    /// those that answered lately.
    fn least_bad(&self, need: &Need<'_>, now: Tick) -> Option<(&'t Arc<Channel>, Arc<Model>)> {
        let free = need.freed();
        let need = free.as_ref().unwrap_or(need);
        let route = self.route();
        let mut best: Option<(Badness, &Arc<Channel>, Arc<Model>)> = None;
        for channel in &route.channels {
            let model = need.memory(route, channel, now);
            let until = match shortlist::judge(route, channel, &model, need, now) {
                Err(WhyNot::BreakerOpen { until: Some(until) }) => until,
                Err(why) if why.is_evidence_only() => Tick::MAX,
                Ok(Rank::Ready | Rank::Doubted | Rank::Stalled | Rank::Last | Rank::Short | Rank::Trial)
                | Err(_) => continue,
            };
            let dead = !channel.upstream.memory.proven_within(LATELY, now);
            if self.attempts > 0 && (dead || self.tried.has(channel.slot)) {
                continue;
            }
            let badness = (dead, until, channel.config.tier);
            if best.as_ref().is_none_or(|(least, ..)| badness < *least) {
                best = Some((badness, channel, model));
            }
        }
        best.map(|(_, channel, model)| (channel, model))
    }
}
