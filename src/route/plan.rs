//! One request's way through a route and its fallbacks: what it has tried, and what comes next.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::need::{Need, Resend};
use super::shortlist::{self, Rank, WhyNot};
use super::verdict::Failure;
use crate::algo::quota;
use crate::algo::tick::Tick;
use crate::config::PanicMode;
use crate::state::model::{Model, Shape};
use crate::state::permit::{Permit, Refusal, Repeat};
use crate::state::route::Route;
use crate::state::table::{Channel, Table};
use crate::strategy::{self, Contender, Session};
use crate::telemetry::SessionPlace;
use crate::vocab::{Ability, Fault};

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
    /// Windows of up to this many tokens were too small, as an upstream said.
    pub(super) overflown: u64,
    failures: SmallVec<[(usize, usize, Fault); 2]>,
    /// Channels that had nothing to fail at: the request could not be put to them, or they lack what its caller names.
    unasked: u32,
}

/// Whether nothing was heard of it lately, when its breaker is asked again, its tier: smaller is better.
type Badness = (bool, Tick, u8);

/// The window of the throttle that lets requests through to the least bad channel (RESILIENCE §4.7).
const LATELY: Duration = Duration::from_secs(20);

/// Each of them is another reading of the whole body, or another question in vain.
const MOST_UNASKED: u32 = 8;

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

/// A small set of channel slots. `config` allows at most 64 channels in a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slots(u64);

impl Slots {
    fn add(&mut self, slot: usize) {
        self.0 |= 1_u64.checked_shl(slot as u32).unwrap_or(0);
    }

    fn has(self, slot: usize) -> bool {
        self.0.checked_shr(slot as u32).is_some_and(|bits| bits & 1 == 1)
    }
}

pub(super) struct Judged<'t> {
    pub channel: &'t Arc<Channel>,
    pub model: Arc<Model>,
    pub rank: Rank,
}

pub(super) type Shortlist<'t> = SmallVec<[Judged<'t>; 8]>;

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
            overflown: 0,
            failures: SmallVec::new(),
            unasked: 0,
        }
    }

    /// The plan of a mirrored request: this route and no other, and no caller's retries are paid for by it.
    pub fn aside(table: &'t Table, route: usize) -> Self {
        Self { ahead: SmallVec::new(), deposited: true, ..Self::begin(table, route) }
    }

    pub fn route(&self) -> &'t Arc<Route> {
        &self.table.routes[self.route]
    }

    /// The next attempt's permit, or why there is none. A bond that yields does so when nobody else is left.
    pub fn choose(&mut self, need: &Need<'_>) -> Result<Permit, Exhausted> {
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
            let (list, exhausted) = self.shortlist(need, refused, now);
            let Some(pick) = self.pick(&list, need, now) else {
                let lack = if crowded { Lack::Room } else { exhausted.lack };
                return Err(Exhausted { lack, ..exhausted });
            };
            let Judged { channel, model, .. } = &list[pick];
            match Permit::admit(channel, Arc::clone(model), need.wants()) {
                Ok(permit) => {
                    self.count(now);
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

    /// Channels that may be asked, untried ones; where none is left, tried ones that may be asked again.
    fn shortlist(&self, need: &Need<'_>, refused: Slots, now: Tick) -> (Shortlist<'t>, Exhausted) {
        let route = self.route();
        let mut list = Shortlist::new();
        let mut again = Shortlist::new();
        let mut narrow = Shortlist::new();
        let mut summary = Summary::default();
        let mut awaited = false;
        for channel in &route.channels {
            let model = need.memory(route, channel);
            let judged = self.judge(channel, &model, need, now);
            if refused.has(channel.slot) {
                // Somebody was faster: what he took is missing now, and the caller is told what it was.
                if let Err(why) = judged {
                    summary.add(why, now);
                }
                continue;
            }
            match judged {
                // An estimate must not be the last word: the upstream decides when nobody else is left.
                Err(WhyNot::Window) if self.overflown == 0 => {
                    summary.add(WhyNot::Window, now);
                    let unhurried = Need { least_window: 0, ..need.clone() };
                    if let Ok(rank) = self.judge(channel, &model, &unhurried, now)
                        && !self.tried.has(channel.slot)
                    {
                        narrow.push(Judged { channel, model, rank });
                    }
                }
                Err(why) => {
                    awaited |= why == WhyNot::Full && !self.tried.has(channel.slot);
                    summary.add(why, now);
                }
                Ok(rank) if self.tried.has(channel.slot) => {
                    summary.add(WhyNot::Tried, now);
                    if !self.spent.has(channel.slot) {
                        again.push(Judged { channel, model, rank });
                    }
                }
                Ok(rank) => list.push(Judged { channel, model, rank }),
            }
        }
        // Who has failed this request is not asked again while somebody who has not is only busy.
        if awaited {
            again.clear();
        }
        let chosen = [list, narrow, again].into_iter().find(|list| !list.is_empty()).unwrap_or_default();
        (chosen, summary.close(route.channels.len()))
    }

    /// Judges `channel`, with what this request has learnt about windows.
    pub(super) fn judge(
        &self,
        channel: &Channel,
        model: &Model,
        need: &Need<'_>,
        now: Tick,
    ) -> Result<Rank, WhyNot> {
        let route = self.route();
        let window = || channel.facts(&route.config, need.model).context;
        if self.overflown > 0 && window().is_some_and(|window| window <= self.overflown) {
            return Err(WhyNot::Window);
        }
        shortlist::judge(route, channel, model, need, now)
    }

    pub(super) fn pick(&self, list: &Shortlist<'t>, need: &Need<'_>, now: Tick) -> Option<usize> {
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

    /// Nothing is eligible here nor on any fallback: the route that was asked for sends what its
    /// throttle allows to the best of its channels, if only evidence speaks against one (D3).
    pub fn panic(&mut self, need: &Need<'_>, exhausted: Exhausted) -> Result<Permit, Exhausted> {
        // Somebody who can serve is only busy: what is down is no better for that (S34). Nor does it have what
        // nobody has.
        if matches!(exhausted.lack, Lack::Room | Lack::Model) {
            return Err(exhausted);
        }
        let now = self.table.live.now();
        self.route = self.visited[0];
        let route = self.route();
        let admitted = match route.config.panic.mode {
            PanicMode::FailFast => false,
            PanicMode::All => true,
            PanicMode::Throttle => route.memory.throttle.lock().admit(now, &mut self.table.live.dice()),
        };
        let candidate = admitted.then(|| self.least_bad(need, now)).flatten();
        let Some((channel, model)) = candidate else {
            route.handles.panic_refused.increment(1);
            return Err(exhausted);
        };
        let permit = Permit::force(channel, model, need.wants()).map_err(|_| exhausted)?;
        route.handles.panic_admitted.increment(1);
        self.count(now);
        Ok(permit)
    }

    /// The channel that only evidence speaks against: one that answered lately before those that did not, for some
    /// answers are better than none; then the one whose breaker would be asked again soonest.
    fn least_bad(&self, need: &Need<'_>, now: Tick) -> Option<(&'t Arc<Channel>, Arc<Model>)> {
        let free = need.freed();
        let need = free.as_ref().unwrap_or(need);
        let route = self.route();
        let mut best: Option<(Badness, &Arc<Channel>, Arc<Model>)> = None;
        for channel in &route.channels {
            let model = need.memory(route, channel);
            let until = match shortlist::judge(route, channel, &model, need, now) {
                Err(WhyNot::BreakerOpen { until: Some(until) }) => until,
                Err(why) if why.is_evidence_only() => Tick::MAX,
                Ok(Rank::Ready | Rank::Doubted | Rank::Stalled | Rank::Last | Rank::Short | Rank::Trial)
                | Err(_) => continue,
            };
            let dead = !channel.upstream.memory.proven_within(LATELY, now);
            let badness = (dead, until, channel.config.tier);
            if best.as_ref().is_none_or(|(least, ..)| badness < *least) {
                best = Some((badness, channel, model));
            }
        }
        best.map(|(_, channel, model)| (channel, model))
    }

    /// Remembers a failure, and whether another channel had failed this request in the same way.
    pub(super) fn remember(&mut self, channel: &Channel, fault: Fault) -> Repeat {
        let (route, slot) = (self.route, channel.slot);
        let alike = self.failures.iter().any(|&(r, s, f)| f == fault && (r, s) != (route, slot));
        self.failures.push((route, slot, fault));
        if alike { Repeat::OnAnotherChannel } else { Repeat::First }
    }

    pub(super) fn has_tried(&self, channel: &Channel) -> bool {
        self.tried.has(channel.slot)
    }

    pub(super) fn mark_tried(&mut self, channel: &Channel) {
        self.tried.add(channel.slot);
    }

    /// The request could not be put to a channel, or the channel has not what its caller names: that takes no
    /// attempt from those who can be asked.
    pub(super) fn mark_unasked(&mut self, channel: &Channel) {
        self.mark_spent(channel);
        if self.unasked < MOST_UNASKED {
            self.unasked += 1;
            self.attempts_in_route = self.attempts_in_route.saturating_sub(1);
        }
    }

    /// Settles a failed attempt that is to be made again otherwise: nobody's failure, and no retry.
    pub fn excuse(&mut self, permit: Permit, failure: Failure) {
        permit.fail(failure.fault, failure.stage, &failure.hint, Repeat::First);
        self.attempts_in_route = self.attempts_in_route.saturating_sub(1);
    }

    /// Never again within this request.
    pub(super) fn mark_spent(&mut self, channel: &Channel) {
        self.tried.add(channel.slot);
        self.spent.add(channel.slot);
    }

    /// How the route looks to this request now, all of its channels taken together.
    pub fn outlook(&self, need: &Need<'_>) -> Exhausted {
        let free = need.freed();
        let need = free.as_ref().unwrap_or(need);
        self.shortlist(need, Slots::default(), self.table.live.now()).1
    }

    /// Whether a channel could be picked now that this request has not tried.
    pub fn has_untried(&self, need: &Need<'_>) -> bool {
        let free = need.freed();
        self.is_untried(free.as_ref().unwrap_or(need))
    }

    fn is_untried(&self, need: &Need<'_>) -> bool {
        let now = self.table.live.now();
        let route = self.route();
        route.channels.iter().any(|channel| {
            !self.tried.has(channel.slot) && {
                let model = need.memory(route, channel);
                // Who is only busy is waited for.
                matches!(self.judge(channel, &model, need, now), Ok(_) | Err(WhyNot::Full))
            }
        })
    }

    /// Remembers that a prompt did not fit, and says whether a channel of this route is known to have more
    /// room.
    pub(super) fn overflew(&mut self, channel: &Channel, need: &Need<'_>) -> bool {
        let route = self.route();
        let window = channel.facts(&route.config, need.model).context.unwrap_or(0);
        self.overflown = self.overflown.max(window);
        let roomier = |other: &Channel| {
            let window = other.facts(&route.config, need.model).context;
            !self.tried.has(other.slot) && window.is_some_and(|window| window > self.overflown)
        };
        self.overflown > 0 && route.channels.iter().any(|other| roomier(other)) && self.has_untried(need)
    }

    /// As [`Plan::has_untried`], `channel` itself left out: is there somewhere else to go from it?
    pub fn has_other(&self, channel: &Channel, need: &Need<'_>) -> bool {
        if self.attempts_in_route >= self.route().config.retry.max_attempts.min(need.most_attempts) {
            return self.has_fallback();
        }
        let free = need.freed();
        let need = free.as_ref().unwrap_or(need);
        let now = self.table.live.now();
        let route = self.route();
        self.has_fallback()
            || route.channels.iter().any(|other| {
                other.slot != channel.slot && !self.tried.has(other.slot) && {
                    let model = need.memory(route, other);
                    self.judge(other, &model, need, now).is_ok()
                }
            })
    }

    pub fn has_fallback(&self) -> bool {
        self.ahead.iter().any(|route| !self.visited.contains(route))
    }

    /// Leaves channels of this route out of it, for good. A fallback's have to be left out once it is come to.
    pub fn leave_out(&mut self, which: impl Fn(&Channel) -> bool) {
        for channel in &self.route().channels {
            if which(channel) {
                self.mark_spent(channel);
            }
        }
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

/// Reasons of all channels, added up.
#[derive(Default)]
struct Summary {
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
    fn add(&mut self, why: WhyNot, now: Tick) {
        self.now = now;
        let (slot, until) = match why {
            WhyNot::Credentials { until } | WhyNot::Capped { until } => (CREDENTIALS, Some(until)),
            WhyNot::Full => (FULL, None),
            WhyNot::Speaks => (SPEAKS, None),
            WhyNot::Bound => (BOUND, None),
            WhyNot::OutOfReach => (OUT_OF_REACH, None),
            WhyNot::Unconfigured => (UNCONFIGURED, None),
            WhyNot::BreakerOpen { until } => (OTHER, until),
            WhyNot::ModelMissing { until } => (OTHER, Some(until)),
            WhyNot::Unserved { until } => (UNSERVED, Some(until)),
            WhyNot::Lacks(ability) => {
                self.lacking = Some(ability);
                (UNABLE, None)
            }
            WhyNot::Down | WhyNot::Tried | WhyNot::Window | WhyNot::TooDear => (OTHER, None),
        };
        self.counts[slot] += 1;
        if let Some(until) = until {
            self.soonest = Some(self.soonest.map_or(until, |known| known.min(until)));
        }
    }

    /// What is said of the route leaves out channels that could never have served.
    fn close(self, channels: usize) -> Exhausted {
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

/// The tier to go to where streams of all that `tier` has to offer are about to break, as those of others of their
/// groups do. Tiers are the operator's word, and what fails before content fails over in silence; a stream that breaks
/// reaches its caller, so streams alone are spared, and only where somebody else looks well.
fn spared(list: &[Judged<'_>], tier: u8, need: &Need<'_>, now: Tick) -> Option<u8> {
    let of_tier = || list.iter().filter(|j| j.channel.config.tier == tier && j.rank <= Rank::Doubted);
    let breaks = |j: &Judged<'_>| j.rank == Rank::Doubted && j.channel.upstream.is_about_to_break(now);
    if need.shape != Shape::Stream || of_tier().next().is_none() || !of_tier().all(breaks) {
        return None;
    }
    let well = |j: &&Judged<'_>| j.rank == Rank::Ready && j.channel.config.tier > tier;
    list.iter().filter(well).map(|j| j.channel.config.tier).min()
}
