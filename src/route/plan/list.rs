//! Who of a route's channels may be asked by a request that has come so far. `shortlist` judges a channel for any
//! request; here is added what this one has tried and learnt. Who of the list is asked is `pick`'s affair.

use std::sync::Arc;

use smallvec::SmallVec;

use super::Plan;
use super::lack::{Exhausted, Summary};
use super::tried::Slots;
use crate::algo::tick::Tick;
use crate::route::need::Need;
use crate::route::shortlist::{self, Rank, WhyNot};
use crate::state::Channel;
use crate::state::look::Judgements;
use crate::state::model::Model;

/// What is said of a channel that could have been picked, had somebody not been faster.
const TAKEN: &str = "taken";

/// A channel that may be asked, and how it looks.
pub(in crate::route) struct Judged<'t> {
    pub channel: &'t Arc<Channel>,
    pub model: Arc<Model>,
    pub rank: Rank,
}

pub(in crate::route) type Shortlist<'t> = SmallVec<[Judged<'t>; 8]>;

/// All channels of a route, as they look to a request.
pub(super) struct Listed<'t> {
    pub list: Shortlist<'t>,
    /// What is to be said where nobody is on it.
    pub exhausted: Exhausted,
    pub judged: Judgements,
}

impl<'t> Plan<'t> {
    /// Channels that may be asked, untried ones; where none is left, tried ones that may be asked again.
    pub(super) fn shortlist(&self, need: &Need<'_>, refused: &Slots, now: Tick) -> Listed<'t> {
        let route = self.route();
        let mut list = Shortlist::new();
        let mut again = Shortlist::new();
        let mut narrow = Shortlist::new();
        let mut summary = Summary::default();
        let mut awaited = false;
        let mut words = Judgements::new();
        for channel in &route.channels {
            let model = need.memory(route, channel, now);
            let judged = self.judge(channel, &model, need, now);
            words.push(match judged {
                Ok(_) if refused.has(channel.slot) => TAKEN,
                Ok(_) if self.tried.has(channel.slot) => WhyNot::Tried.name(),
                Ok(rank) => rank.name(),
                Err(why) => why.name(),
            });
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
        Listed { list: chosen, exhausted: summary.close(route.channels.len()), judged: words }
    }

    /// Judges `channel`, with what this request has learnt about windows.
    pub(in crate::route) fn judge(
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

    /// How the route looks to this request now, all of its channels taken together.
    pub fn outlook(&self, need: &Need<'_>) -> Exhausted {
        let free = need.freed();
        let need = free.as_ref().unwrap_or(need);
        self.shortlist(need, &Slots::default(), self.table.live.now()).exhausted
    }

    /// Whether a channel could be picked now that this request has not tried.
    pub fn has_untried(&self, need: &Need<'_>) -> bool {
        let free = need.freed();
        self.is_untried(free.as_ref().unwrap_or(need))
    }

    pub(super) fn is_untried(&self, need: &Need<'_>) -> bool {
        let now = self.table.live.now();
        let route = self.route();
        route.channels.iter().any(|channel| {
            !self.tried.has(channel.slot) && {
                let model = need.memory(route, channel, now);
                // Who is only busy is waited for.
                matches!(self.judge(channel, &model, need, now), Ok(_) | Err(WhyNot::Full))
            }
        })
    }

    /// As [`Plan::has_untried`], `channel` itself left out: is there somewhere else to go from it?
    pub fn has_other(&self, channel: &Channel, need: &Need<'_>, now: Tick) -> bool {
        if self.attempts_in_route >= self.route().config.retry.max_attempts.min(need.most_attempts) {
            return self.has_fallback();
        }
        let free = need.freed();
        let need = free.as_ref().unwrap_or(need);
        let route = self.route();
        self.has_fallback()
            || route.channels.iter().any(|other| {
                other.slot != channel.slot && !self.tried.has(other.slot) && {
                    let model = need.memory(route, other, now);
                    self.judge(other, &model, need, now).is_ok()
                }
            })
    }
}
