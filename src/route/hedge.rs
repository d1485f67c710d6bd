//! Whether a second channel is asked while the first lets a request wait, after how long, and which one
//! (RESILIENCE §4.11, D11). Who of the two is heard is the proxy's affair, which has their answers.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::limits::Limits;
use super::need::{Need, Resend};
use super::plan::{Judged, Plan, Shortlist};
use super::shortlist::{self, Rank, WhyNot};
use crate::algo::tick::Tick;
use crate::config::{Hedge, HedgeDelay};
use crate::state::Channel;
use crate::state::model::Model;
use crate::state::permit::Permit;
use crate::state::route::Route;
use crate::telemetry::Hedged;

/// Fewer answers than this say nothing of how long one is usually waited for.
const LEAST_ANSWERS: u64 = 100;
/// The shortest delay that experience may suggest: below it, nobody feels the wait.
const LEAST_DELAY: Duration = Duration::from_millis(500);
/// A channel that is filled to more than this share of its `max_inflight` is not asked for what somebody else
/// is at work on already.
const BUSY: f64 = 0.8;

/// What speaks for and against a hedge when an attempt begins.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    pub settings: Hedge,
    pub attempt: Attempt,
    /// What may be done with the request once the first channel has it.
    pub resend: Resend,
    /// How many more attempts the route's limit allows after this one.
    pub more_attempts: u32,
    /// Of the first channel's last minute, if that had at least 100 answers.
    pub p95: Option<Duration>,
    /// How long the first channel may stay silent.
    pub patience: Duration,
    /// To the request's deadline.
    pub left: Duration,
}

/// What sort of attempt it is that a hedge would stand beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    Usual,
    /// It is made although nothing is eligible.
    Panic,
    /// The request had its hedge.
    Hedged,
    /// It says nothing about the time to an answer: tokens are counted, not made.
    Aside,
}

/// Why a silent attempt is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unhedged {
    Off,
    Attempt(Attempt),
    /// It must not be sent a second time.
    NotRepeatable,
    NoMoreAttempts,
    /// `delay: auto`, and too few answers to know what is usual.
    TooFewAnswers,
    /// The attempt ends before.
    Impatient,
    /// The route has no second channel.
    Alone,
    /// The second channel could hardly answer before the deadline.
    TooLate,
}

impl Unhedged {
    /// For people.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Off => "hedging is off",
            Self::Attempt(_) => "this attempt is not hedged",
            Self::NotRepeatable => "it may not be sent twice",
            Self::NoMoreAttempts => "max_attempts allows no second attempt",
            Self::TooFewAnswers => "fewer than 100 answers in the last minute",
            Self::Impatient => "its own timeout comes before",
            Self::Alone => "the route has no other channel",
            Self::TooLate => "the deadline would come before an answer",
        }
    }
}

/// How long the first channel is waited for, from the attempt's begin.
pub fn delay(at: &Circumstances) -> Result<Duration, Unhedged> {
    if !at.settings.enabled {
        return Err(Unhedged::Off);
    }
    if at.attempt != Attempt::Usual {
        return Err(Unhedged::Attempt(at.attempt));
    }
    if at.resend != Resend::Allowed {
        return Err(Unhedged::NotRepeatable);
    }
    if at.more_attempts == 0 {
        return Err(Unhedged::NoMoreAttempts);
    }
    let delay = match (at.settings.delay, at.p95) {
        (HedgeDelay::Fixed(delay), _) => delay,
        (HedgeDelay::Auto, Some(p95)) => p95.max(LEAST_DELAY),
        (HedgeDelay::Auto, None) => return Err(Unhedged::TooFewAnswers),
    };
    if delay >= at.patience {
        return Err(Unhedged::Impatient);
    }
    if delay + at.p95.unwrap_or_default() >= at.left {
        return Err(Unhedged::TooLate);
    }
    Ok(delay)
}

/// The circumstances of a usual attempt at `channel`, which may stay silent as long as there is time.
pub fn circumstances(
    route: &Route,
    channel: &Channel,
    model: &Model,
    need: &Need<'_>,
    now: Tick,
) -> Circumstances {
    let left = need.deadline.since(now);
    Circumstances {
        settings: route.config.hedge,
        attempt: if need.operation.health_neutral() { Attempt::Aside } else { Attempt::Usual },
        resend: shortlist::resend_at(route, channel, need),
        more_attempts: route.config.retry.max_attempts.min(need.most_attempts).saturating_sub(1),
        p95: model.p95_of(LEAST_ANSWERS, need.shape, now),
        patience: left,
        left,
    }
}

impl Plan<'_> {
    /// After how long without an answer a second channel is to be asked beside that of `permit`, if at all.
    pub fn hedge_delay(
        &self,
        permit: &Permit,
        limits: Limits,
        need: &Need<'_>,
    ) -> Result<Duration, Unhedged> {
        let route = self.route();
        if !route.config.hedge.enabled {
            return Err(Unhedged::Off);
        }
        let usual = circumstances(route, permit.channel(), permit.model(), need, self.table().live.now());
        delay(&Circumstances {
            attempt: match usual.attempt {
                Attempt::Usual if permit.is_forced() => Attempt::Panic,
                Attempt::Usual if self.hedges > 0 => Attempt::Hedged,
                other => other,
            },
            more_attempts: (usual.more_attempts + 1).saturating_sub(self.attempts_in_route),
            patience: limits.first_event,
            ..usual
        })
    }

    /// The permit for the one hedge of this request, at a channel that is neither `first` nor tried. Paid for
    /// from the retry budgets, and within the share that hedges may have.
    pub fn choose_other(&mut self, first: &Channel, need: &Need<'_>) -> Option<Permit> {
        let now = self.table().live.now();
        // The process did not run when it was time: nobody waits for the answer any more.
        if now >= need.deadline {
            return None;
        }
        let route = self.route();
        let refuse = |how| {
            route.handles.hedged(&self.table().live.metrics, how);
            None
        };
        if route.memory.queue.length() > 0 {
            return refuse(Hedged::RefusedSaturated);
        }
        let (mut list, busy) = self.others(first, need, now);
        if list.is_empty() {
            return if busy { refuse(Hedged::RefusedSaturated) } else { None };
        }
        if !route.memory.hedges.lock().withdraw(now) {
            return refuse(Hedged::RefusedCap);
        }
        if !self.pay() {
            route.memory.hedges.lock().refund(now);
            return refuse(Hedged::RefusedBudget);
        }
        // Its conversation is not at home there, whoever is picked, so that nobody counts it as moved.
        let homeless = Need { session: None, ..need.clone() };
        while let Some(pick) = self.pick(&list, &homeless, now) {
            let Judged { channel, model, .. } = list.remove(pick);
            if let Ok(permit) = Permit::admit(channel, model, need.wants()) {
                self.count(now);
                self.picked(permit.channel(), now);
                self.hedges += 1;
                return Some(permit);
            }
        }
        self.refund_hedge();
        None
    }

    /// Nothing was sent to the second channel.
    pub fn withdraw_hedge(&mut self, permit: Permit) {
        self.withdraw(permit);
        self.refund_hedge();
    }

    fn refund_hedge(&self) {
        self.refund();
        self.route().memory.hedges.lock().refund(self.table().live.now());
    }
}

impl<'t> Plan<'t> {
    /// Healthy channels beside `first` that have room, on other upstreams where there are such; and whether
    /// one was left out only because it is busy.
    fn others(&self, first: &Channel, need: &Need<'_>, now: Tick) -> (Shortlist<'t>, bool) {
        let route: &'t Arc<Route> = self.route();
        let mut list = Shortlist::new();
        let mut busy = false;
        for channel in &route.channels {
            if channel.slot == first.slot || self.has_tried(channel) {
                continue;
            }
            let model = need.memory(route, channel, now);
            let rank = match self.judge(channel, &model, need, now) {
                Ok(rank @ (Rank::Ready | Rank::Doubted | Rank::Stalled | Rank::Last)) => rank,
                Err(WhyNot::Full) => {
                    busy = true;
                    continue;
                }
                Ok(Rank::Short | Rank::Trial) | Err(_) => continue,
            };
            if shortlist::resend_at(route, channel, need) != Resend::Allowed {
                continue;
            }
            if is_busy(channel, &model) {
                busy = true;
                continue;
            }
            list.push(Judged { channel, model, rank });
        }
        if list.iter().any(|other| other.channel.upstream_index != first.upstream_index) {
            list.retain(|other| other.channel.upstream_index != first.upstream_index);
        }
        (list, busy)
    }
}

/// Whether what little room it has left is for those who have no other, the learnt limits of its keys included.
fn is_busy(channel: &Channel, model: &Model) -> bool {
    let upstream = &channel.upstream;
    let filled = |in_flight: u32, most: u32| f64::from(in_flight) >= f64::from(most) * BUSY;
    filled(model.in_flight(), shortlist::limit(channel, model))
        || filled(upstream.memory.in_flight.load(Relaxed), upstream.config.max_inflight)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn settings(delay: HedgeDelay) -> Hedge {
        Hedge { enabled: true, delay, max_share: 0.05 }
    }

    #[test]
    fn whether_and_when_as_a_table() {
        let usual = Circumstances {
            settings: settings(HedgeDelay::Auto),
            attempt: Attempt::Usual,
            resend: Resend::Allowed,
            more_attempts: 2,
            p95: Some(ms(800)),
            patience: ms(10_000),
            left: ms(60_000),
        };
        let fixed = settings(HedgeDelay::Fixed(ms(300)));
        let off = Hedge { enabled: false, ..fixed };
        let attempt = |attempt| Circumstances { attempt, ..usual };
        let resend = |resend| Circumstances { resend, ..usual };
        let rows = [
            ("usually", usual, Ok(ms(800))),
            ("fast", Circumstances { p95: Some(ms(90)), ..usual }, Ok(ms(500))),
            ("fixed", Circumstances { settings: fixed, ..usual }, Ok(ms(300))),
            ("fixed, new", Circumstances { settings: fixed, p95: None, ..usual }, Ok(ms(300))),
            ("new", Circumstances { p95: None, ..usual }, Err(Unhedged::TooFewAnswers)),
            ("off", Circumstances { settings: off, ..usual }, Err(Unhedged::Off)),
            ("panic", attempt(Attempt::Panic), Err(Unhedged::Attempt(Attempt::Panic))),
            ("a second hedge", attempt(Attempt::Hedged), Err(Unhedged::Attempt(Attempt::Hedged))),
            ("counted tokens", attempt(Attempt::Aside), Err(Unhedged::Attempt(Attempt::Aside))),
            ("an order", resend(Resend::IfUnsent), Err(Unhedged::NotRepeatable)),
            ("a conversation", resend(Resend::IfUnsentOrTranslated), Err(Unhedged::NotRepeatable)),
            ("the last attempt", Circumstances { more_attempts: 0, ..usual }, Err(Unhedged::NoMoreAttempts)),
            ("short patience", Circumstances { patience: ms(800), ..usual }, Err(Unhedged::Impatient)),
            ("little time", Circumstances { left: ms(1600), ..usual }, Err(Unhedged::TooLate)),
            ("just enough time", Circumstances { left: ms(1601), ..usual }, Ok(ms(800))),
        ];
        for (name, at, expected) in rows {
            assert_eq!(delay(&at), expected, "{name}");
        }
    }
}
