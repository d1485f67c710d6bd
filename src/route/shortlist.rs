//! Judges one channel for one request: in which rank it may be picked, or why not.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use smallvec::SmallVec;

use super::need::{Need, Resend};
use super::{price, unserved};
use crate::algo::breaker::Admissible;
use crate::algo::cooldown::Readiness;
use crate::algo::health::{self, Standing as Health};
use crate::algo::quota::Standing;
use crate::algo::ramp;
use crate::algo::tick::Tick;
use crate::config::Byok;
use crate::dialect::{Dialect, Operation, translate};
use crate::state::Channel;
use crate::state::bar::Keeps;
use crate::state::gate;
use crate::state::look::ELIGIBLE;
use crate::state::model::Model;
use crate::state::route::Route;
use crate::state::upstream::Upstream;
use crate::vocab::{Abilities, Ability, Payer};

/// How gladly a channel is picked. Ordered: smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Ready,
    /// Others of its group fail alike: after those that look well, and before those that failed themselves.
    Doubted,
    /// Nothing comes of it, or no connection to it comes about: who asks now may wait in vain.
    Stalled,
    /// Failed a moment ago: only when nothing better is there (E10).
    Last,
    /// About to run out of quota: only when nobody else is eligible.
    Short,
    /// Half-open: for one request that can afford to fail, or when nothing else is left.
    Trial,
}

impl Rank {
    pub const fn name(self) -> &'static str {
        ELIGIBLE[self as usize]
    }
}

const _: () = assert!(Rank::Trial as usize + 1 == ELIGIBLE.len(), "every rank has a name");

/// Why a channel cannot be picked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WhyNot {
    /// A credential or address is missing.
    Unconfigured,
    /// An operator keeps requests from it.
    DisabledByOperator {
        until: Option<Tick>,
    },
    /// The caller's key does not reach it.
    OutOfReach,
    /// It speaks none of what the caller speaks.
    Speaks,
    /// What the request refers to is stored at another upstream.
    Bound,
    /// Its model cannot do what the request needs.
    Lacks(Ability),
    /// Its model's window is too small for the prompt.
    Window,
    /// It could cost more than the caller, or somebody above him, allows.
    TooDear,
    /// Active probes say that it is down.
    Down,
    BreakerOpen {
        until: Option<Tick>,
    },
    /// Every key cools down.
    Credentials {
        until: Tick,
    },
    /// A configured `quota` is used up.
    Capped {
        until: Tick,
    },
    /// The upstream said that it does not serve this model.
    ModelMissing {
        until: Tick,
    },
    /// The upstream said that it does not serve what this caller names.
    Unserved {
        until: Tick,
    },
    /// As many requests in flight as configured, or as its keys take.
    Full,
    /// This request has tried it.
    Tried,
}

impl WhyNot {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unconfigured => "unconfigured",
            Self::DisabledByOperator { .. } => "disabled_by_operator",
            Self::OutOfReach => "out_of_reach",
            Self::Speaks => "speaks_another_dialect",
            Self::Bound => "stored_elsewhere",
            Self::Lacks(_) => "lacks_ability",
            Self::Window => "window_too_small",
            Self::TooDear => "too_dear",
            Self::Down => "probes_say_down",
            Self::BreakerOpen { .. } => "breaker_open",
            Self::Credentials { .. } => "credentials_cooling",
            Self::Capped { .. } => "quota_used_up",
            Self::ModelMissing { .. } => "model_missing",
            Self::Unserved { .. } => "model_unknown",
            Self::Full => "full",
            Self::Tried => "tried",
        }
    }

    /// Until when it holds, as far as that is known.
    pub const fn until(self) -> Option<Tick> {
        match self {
            Self::DisabledByOperator { until } | Self::BreakerOpen { until } => until,
            Self::Credentials { until }
            | Self::Capped { until }
            | Self::ModelMissing { until }
            | Self::Unserved { until } => Some(until),
            Self::Unconfigured
            | Self::OutOfReach
            | Self::Speaks
            | Self::Bound
            | Self::Lacks(_)
            | Self::Window
            | Self::TooDear
            | Self::Down
            | Self::Full
            | Self::Tried => None,
        }
    }

    /// Whether the throttle of a panic may send to it all the same.
    pub const fn is_evidence_only(self) -> bool {
        match self {
            Self::Down | Self::BreakerOpen { .. } => true,
            Self::Unconfigured
            | Self::DisabledByOperator { .. }
            | Self::OutOfReach
            | Self::Speaks
            | Self::Bound
            | Self::Lacks(_)
            | Self::Window
            | Self::TooDear
            | Self::Credentials { .. }
            | Self::Capped { .. }
            | Self::ModelMissing { .. }
            | Self::Unserved { .. }
            | Self::Full
            | Self::Tried => false,
        }
    }
}

/// Judges `channel`, whatever this request has tried so far.
pub fn judge(
    route: &Route,
    channel: &Channel,
    model: &Model,
    need: &Need<'_>,
    now: Tick,
) -> Result<Rank, WhyNot> {
    let upstream = &channel.upstream;
    if !upstream.is_configured() {
        return Err(WhyNot::Unconfigured);
    }
    barred(upstream, model, need, now)?;
    if need.lineage.is_some_and(|lineage| lineage.bars_upstream(&upstream.config).is_some())
        || !takes_key(route, channel, need)
    {
        return Err(WhyNot::OutOfReach);
    }
    // The operator put the upstream behind a path, so whatever it speaks is spoken there.
    if need.dialect != Dialect::Http && asked_in(route, channel, need).is_none() {
        return Err(WhyNot::Speaks);
    }
    if need.bond.is_some_and(|bond| bond.upstream != upstream.identity) {
        return Err(WhyNot::Bound);
    }
    suits(route, channel, need)?;
    if price::is_too_dear(&route.config, channel, need) {
        return Err(WhyNot::TooDear);
    }
    if let Some(until) = unserved::until(route, channel, need, now) {
        return Err(WhyNot::Unserved { until });
    }
    if let Some(until) = model.missing_until(now).filter(|_| !unserved::names_model(channel, need)) {
        return Err(WhyNot::ModelMissing { until });
    }
    let room = f64::from(channel.config.max_inflight) * slow_start(route, channel, model, now);
    let full = f64::from(model.in_flight()) >= room.max(1.0)
        || upstream.memory.in_flight.load(Relaxed) >= upstream.config.max_inflight;
    if full {
        return Err(WhyNot::Full);
    }
    let quota = credentials(channel, model, need, now)?;
    let transport = upstream.memory.gate.standing(now);
    let over_model = model.gate.as_ref().map_or(gate::Standing::Clear, |gate| gate.standing(now));
    let resend = resend_at(route, channel, need);
    let mut rank = rank(transport, resend)?.max(rank(over_model, resend)?).max(quota);
    if rank == Rank::Ready && upstream.is_demoted(now) {
        rank = Rank::Doubted;
    }
    let silent = || match resend {
        // It loses nothing by going to find out.
        Resend::Allowed => model.is_left_alone(need.shape, now),
        Resend::IfUnsent | Resend::IfUnsentOrTranslated => model.is_silent(need.shape, now),
    };
    let stalls = || upstream.memory.slow_to_open.load(Relaxed) > 0 || model.is_stalling() || silent();
    if rank < Rank::Stalled && stalls() {
        rank = Rank::Stalled;
    }
    if upstream.memory.health() == health::State::Down {
        let admissible = if rank == Rank::Trial { Admissible::Trial } else { Admissible::Normal };
        return match health::combine(health::State::Down, admissible, upstream.memory.recent(now)) {
            Health::EligibleByVeto => Ok(rank),
            Health::Eligible | Health::TrialOnly | Health::Ineligible(_) => Err(WhyNot::Down),
        };
    }
    Ok(rank)
}

/// Whether operators keep the request from it.
fn barred(upstream: &Upstream, model: &Model, need: &Need<'_>, now: Tick) -> Result<(), WhyNot> {
    for bar in [&upstream.memory.bar, &model.bar] {
        let Some(down) = bar.down(now) else { continue };
        let is_kept = match down.keeps {
            Keeps::Everybody => true,
            Keeps::NewComers => need.bond.is_none_or(|bond| bond.upstream != upstream.identity),
        };
        if is_kept {
            return Err(WhyNot::DisabledByOperator { until: down.until });
        }
    }
    Ok(())
}

/// Whether it is for callers with a key of their own or without one, and that key is for it.
fn takes_key(route: &Route, channel: &Channel, need: &Need<'_>) -> bool {
    let upstream = &channel.upstream.config;
    match (need.own, route.config.byok) {
        (None, Byok::Off | Byok::Allow) => true,
        (None, Byok::Require) => false,
        (Some(taker), byok) => upstream.takes_own(byok) && upstream.taker() == taker,
    }
}

/// What may be done once this channel has had the request.
pub fn resend_at(route: &Route, channel: &Channel, need: &Need<'_>) -> Resend {
    match asked_in(route, channel, need) {
        Some(dialect) if dialect != need.dialect => need.resend.translated(),
        Some(_) | None => need.resend.native(),
    }
}

/// The dialect in which the request can be put to it: the caller's own or another one.
pub fn asked_in(route: &Route, channel: &Channel, need: &Need<'_>) -> Option<Dialect> {
    dialect_at(route, channel, (need.dialect, need.operation), need.model)
}

fn dialect_at(
    route: &Route,
    channel: &Channel,
    (dialect, operation): (Dialect, Operation),
    model: &str,
) -> Option<Dialect> {
    let upstream = &channel.upstream.config;
    let model = channel.model_name(&route.config, model).unwrap_or(model);
    let speaks = upstream.provider.speaks_for(&upstream.speaks, model);
    translate::towards(dialect, operation, &speaks, upstream.provider.quirks)
}

/// Whether what asks so for `model` has to be said in another dialect, whichever channel of the route gets it.
pub fn is_always_translated(route: &Route, asks: (Dialect, Operation), model: &str) -> bool {
    let mut dialects = route.channels.iter().filter_map(|channel| dialect_at(route, channel, asks, model));
    dialects.next().is_some_and(|first| first != asks.0) && dialects.all(|dialect| dialect != asks.0)
}

/// Whether the model can do what the request needs, as far as anybody knows.
fn suits(route: &Route, channel: &Channel, need: &Need<'_>) -> Result<(), WhyNot> {
    if need.abilities == Abilities::default() && need.least_window == 0 {
        return Ok(());
    }
    let facts = channel.facts(&route.config, need.model);
    if let Some(ability) = facts.lacking(need.abilities) {
        return Err(WhyNot::Lacks(ability));
    }
    if facts.context.is_some_and(|window| window < need.least_window) {
        return Err(WhyNot::Window);
    }
    Ok(())
}

/// The share of its weight that a channel has on its way back.
pub fn slow_start(route: &Route, channel: &Channel, model: &Model, now: Tick) -> f64 {
    let settings = &route.config.slow_start;
    let begun = model.ramping_since().max(channel.upstream.memory.ramping_since());
    begun.map_or(1.0, |begun| {
        ramp::factor(now.since(begun), settings.window, settings.floor, settings.aggression)
    })
}

/// Whether every breaker that makes this channel a trial has waited so long for one that any request may be it.
pub fn is_overdue(channel: &Channel, model: &Model, now: Tick) -> bool {
    let waits = |gate: &gate::Gate| gate.standing(now) == gate::Standing::Trial;
    let gates = [Some(&channel.upstream.memory.gate), model.gate.as_ref()];
    gates.into_iter().flatten().all(|gate| !waits(gate) || gate.is_overdue(now))
}

fn rank(standing: gate::Standing, resend: Resend) -> Result<Rank, WhyNot> {
    match standing {
        gate::Standing::Clear => Ok(Rank::Ready),
        // Whoever tries must be able to go elsewhere should it fail; where nobody is, the hint grows stale.
        gate::Standing::TryOne if resend == Resend::Allowed => Ok(Rank::Ready),
        gate::Standing::TryOne | gate::Standing::Last => Ok(Rank::Last),
        gate::Standing::Trial => Ok(Rank::Trial),
        gate::Standing::Refused { until } => Err(WhyNot::BreakerOpen { until }),
    }
}

/// Whether a key may be used, and has quota for this.
fn credentials(channel: &Channel, model: &Model, need: &Need<'_>, now: Tick) -> Result<Rank, WhyNot> {
    if need.payer() == Payer::Caller {
        return Ok(Rank::Ready);
    }
    let upstream = &channel.upstream;
    let has_room = |key: &Arc<str>| !model.room(key, upstream.config.concurrency).is_full();
    if upstream.credentials.is_empty() {
        if !has_room(&upstream.keyless) {
            return Err(WhyNot::Full);
        }
        return match standing(channel, model, &upstream.keyless, need, now) {
            Standing::Fits { .. } => Ok(Rank::Ready),
            Standing::Short => Ok(Rank::Short),
            Standing::Capped { until } => Err(WhyNot::Capped { until }),
        };
    }
    let (mut short, mut full) = (false, false);
    let mut cooling: Option<Tick> = None;
    let mut capped: Option<Tick> = None;
    let sooner = |known: &mut Option<Tick>, until| *known = Some(known.map_or(until, |k| k.min(until)));
    // As `Permit::admit` has it: where the keys that a bond means are gone, every one will do.
    let bound = need.bond.and_then(|bond| bond.key);
    let bound = bound.filter(|bound| upstream.credentials.iter().any(|key| bound.has(key)));
    for key in upstream.credentials.iter().filter(|key| bound.is_none_or(|bound| bound.has(key))) {
        let rate = model.rate(&key.rate_key);
        match key.readiness(rate.as_deref(), now) {
            Readiness::Ready | Readiness::Trickle if !has_room(&key.rate_key) => full = true,
            Readiness::Ready | Readiness::Trickle => match standing(channel, model, &key.rate_key, need, now)
            {
                Standing::Fits { .. } => return Ok(Rank::Ready),
                Standing::Short => short = true,
                Standing::Capped { until } => sooner(&mut capped, until),
            },
            Readiness::Cooling { until, .. } => sooner(&mut cooling, until),
            Readiness::Disabled { recheck_at } => sooner(&mut cooling, recheck_at),
        }
    }
    match (short, capped, cooling) {
        (true, ..) => Ok(Rank::Short),
        (false, ..) if full => Err(WhyNot::Full),
        (false, Some(until), cooling) if cooling.is_none_or(|ready| until <= ready) => {
            Err(WhyNot::Capped { until })
        }
        (false, _, Some(until)) => Err(WhyNot::Credentials { until }),
        (false, _, None) => Ok(Rank::Ready),
    }
}

fn standing(channel: &Channel, model: &Model, key: &Arc<str>, need: &Need<'_>, now: Tick) -> Standing {
    let quota = model.capped_quota(key, channel.config.quota);
    quota.map_or(Standing::Fits { share: 1.0 }, |quota| quota.lock().standing(need.wants().tokens, now))
}

/// The share of quota that its best key has left.
pub fn quota_left(channel: &Channel, model: &Model, need: &Need<'_>, now: Tick) -> f64 {
    let upstream = &channel.upstream;
    if need.payer() == Payer::Caller {
        return 1.0;
    }
    let keys = upstream.credentials.iter().map(|key| &key.rate_key);
    let keyless = upstream.credentials.is_empty().then_some(&upstream.keyless);
    let shares = keys.chain(keyless).map(|key| match standing(channel, model, key, need, now) {
        Standing::Fits { share } => share,
        Standing::Short | Standing::Capped { .. } => 0.0,
    });
    shares.fold(0.0, f64::max)
}

/// Most requests at the same moment that it takes now: what its keys allow together, within `max_inflight`.
pub fn limit(channel: &Channel, model: &Model) -> u32 {
    let upstream = &channel.upstream;
    let mut groups: SmallVec<[&Arc<str>; 8]> = upstream.credentials.iter().map(|key| &key.rate_key).collect();
    if groups.is_empty() {
        groups.push(&upstream.keyless);
    }
    groups.sort_unstable();
    groups.dedup();
    let most = |key: &&Arc<str>| model.room(key, upstream.config.concurrency).most();
    let together = groups.iter().map(most).fold(0, u32::saturating_add);
    together.min(channel.config.max_inflight).min(upstream.config.max_inflight)
}
