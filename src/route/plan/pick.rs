//! Who of those that may be asked is asked: a trial that is due, else the best of the best tier, as the route's
//! strategy chooses among equals; and where a conversation stays.

use smallvec::SmallVec;

use super::{Judged, Plan, Shortlist};
use crate::algo::quota;
use crate::algo::tick::Tick;
use crate::route::need::{Need, Resend};
use crate::route::shortlist::{self, Rank};
use crate::state::Channel;
use crate::state::model::Shape;
use crate::state::permit::Permit;
use crate::strategy::{self, Contender, Session};
use crate::telemetry::SessionPlace;

impl<'t> Plan<'t> {
    pub(in crate::route) fn pick(&self, list: &Shortlist<'t>, need: &Need<'_>, now: Tick) -> Option<usize> {
        // Who is about to run out of quota is asked when everybody is, whatever the tiers say.
        let worst = if list.iter().any(|j| j.rank < Rank::Short) { Rank::Last } else { Rank::Short };
        let eligible = |judged: &Judged<'_>| judged.rank <= worst;
        let tier = list.iter().filter(|j| eligible(j)).map(|j| j.channel.config.tier).min();
        let due =
            |j: &Judged<'_>| j.rank == Rank::Trial && tier.is_none_or(|tier| j.channel.config.tier <= tier);
        // A request that can be sent again and has somewhere to go loses nothing by a failed trial. One that must
        // not be sent twice (`replay: if_unsent`, or what its caller keeps upstream) loses itself, so it is asked
        // to try only when nobody else has for ten seconds: that one now and then, or a channel that is well and
        // stays out for ever. Synthetic trials there are for transports only.
        let may_try = |j: &Judged<'_>| {
            shortlist::resend_at(self.route(), j.channel, need) == Resend::Allowed
                || shortlist::is_overdue(j.channel, &j.model, now)
        };
        match tier {
            // Without an alternative anyone may try.
            None => list.iter().position(due),
            Some(tier) => {
                if self.attempts == 0
                    && let Some(trial) = list.iter().position(|j| due(j) && may_try(j))
                {
                    return Some(trial);
                }
                let tier = spared(list, tier, need, now).unwrap_or(tier);
                let of_tier = |j: &&Judged<'_>| eligible(j) && j.channel.config.tier == tier;
                let best = list.iter().filter(of_tier).map(|j| j.rank).min()?;
                let contenders: SmallVec<[(usize, Contender); 8]> = list
                    .iter()
                    .enumerate()
                    .filter(|(_, j)| of_tier(j) && j.rank == best)
                    .map(|(index, j)| (index, self.contender(j, need, now)))
                    .collect();
                self.strategy(&contenders, need, now)
            }
        }
    }

    fn strategy(&self, contenders: &[(usize, Contender)], need: &Need<'_>, now: Tick) -> Option<usize> {
        let route = self.route();
        let of: SmallVec<[Contender; 8]> = contenders.iter().map(|(_, c)| *c).collect();
        let mut dice = self.table.live.dice();
        let session = need.session.map(|key| {
            let last = route.memory.affinity.find(key, route.config.sticky.ttl, now);
            Session { key, last }
        });
        let chosen =
            strategy::pick(route.config.select, &of, session, &mut route.memory.turn.lock(), &mut dice)?;
        if let (Some(session), strategy::Kind::Sticky) = (session, route.config.select) {
            let place = match session.last {
                None => SessionPlace::New,
                Some(last) if of[chosen].identity == last => SessionPlace::Kept,
                Some(_) => SessionPlace::Moved,
            };
            route.handles.placed(&self.table.live.metrics, place);
        }
        contenders.get(chosen).map(|(index, _)| *index)
    }

    fn contender(&self, judged: &Judged<'_>, need: &Need<'_>, now: Tick) -> Contender {
        let Judged { channel, model, .. } = judged;
        let share = shortlist::slow_start(self.route(), channel, model, now)
            * quota::factor(shortlist::quota_left(channel, model, need, now));
        let select = self.route().config.select;
        let latency =
            (select == strategy::Kind::LowestLatency).then(|| model.latency(need.shape, now)).flatten();
        let cost = (select == strategy::Kind::LeastCost).then(|| self.cost(channel, need)).flatten();
        Contender {
            slot: channel.slot,
            weight: ((f64::from(channel.config.weight) * 1000.0 * share) as u32).max(1),
            latency,
            waiting: model.waiting.load(std::sync::atomic::Ordering::Relaxed),
            streaming: model.streaming.load(std::sync::atomic::Ordering::Relaxed),
            // Turns have no ties, so nobody asks there.
            native: select != strategy::Kind::WeightedRoundRobin
                && shortlist::asked_in(self.route(), channel, need) == Some(need.dialect),
            cost,
            identity: channel.identity,
        }
    }

    fn cost(&self, channel: &Channel, need: &Need<'_>) -> Option<u64> {
        channel.cost(&self.route().config, need.model, need.prompt_tokens, need.answer_tokens())
    }

    /// The attempt that `permit` was for has its answer: its conversation stays there. A trial only found out
    /// whether a channel is back, so it moves nobody.
    pub fn keep(&self, need: &Need<'_>, permit: &Permit) {
        if let (Some(session), false) = (need.session, permit.is_trial() || permit.is_forced()) {
            let route = self.route();
            route.memory.affinity.put(session, permit.channel().identity, self.table.live.now());
        }
    }
}

/// The tier to go to where streams of all that `tier` has to offer are about to break, as those of others of their
/// groups do, or have stopped. Tiers are the operator's word, and what fails before content fails over in silence; a stream that breaks
/// reaches its caller, so streams alone are spared, and only where somebody else looks well.
fn spared(list: &[Judged<'_>], tier: u8, need: &Need<'_>, now: Tick) -> Option<u8> {
    let stalls = |j: &Judged<'_>| j.rank == Rank::Stalled && j.model.is_stalling();
    let breaks =
        |j: &Judged<'_>| j.rank == Rank::Doubted && j.channel.upstream.is_about_to_break(now) || stalls(j);
    let of_tier =
        || list.iter().filter(|j| j.channel.config.tier == tier && (j.rank <= Rank::Doubted || stalls(j)));
    if need.shape != Shape::Stream || of_tier().next().is_none() || !of_tier().all(breaks) {
        return None;
    }
    let well = |j: &&Judged<'_>| j.rank == Rank::Ready && j.channel.config.tier > tier;
    list.iter().filter(well).map(|j| j.channel.config.tier).min()
}
