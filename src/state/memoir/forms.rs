//! The forms in which memory is written down, and the way from and to the algorithms' own.
//!
//! Times are the clock's nanoseconds. Nothing decides anything here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::algo::breaker::{self, KeptStage};
use crate::algo::cooldown::{self, Kind};
use crate::algo::ring::{Counts, KeptSlots};
use crate::algo::tick::Tick;
use crate::algo::{health, quota};
use crate::state::overrides::{self, Kind as OverrideKind, Subject};

/// One upstream: found again by its name, if its transport is the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    pub name: String,
    pub transport: String,
    pub gate: Breaker,
    pub health: Option<Health>,
    pub last_success: Option<u64>,
    pub ramp: Option<u64>,
    pub models: Vec<Model>,
    /// Cooldowns of its keys, by fingerprint or quota group.
    pub cells: Vec<(String, Cooldown)>,
}

/// One model of it. A name that callers made up is hashed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub name: String,
    pub gate: Option<Breaker>,
    /// Of streams and whole answers: when, and the average in seconds.
    pub latency: [Option<(u64, f64)>; 2],
    pub ramp: Option<u64>,
    pub missing_until: u64,
    /// By fingerprint or quota group.
    pub rates: Vec<(String, Cooldown)>,
    pub quotas: Vec<(String, Quota)>,
}

impl Model {
    /// Until when it says something that matters, or when it last did: what is smallest is missed least.
    pub(super) fn holds_until(&self) -> u64 {
        let latency = self.latency.iter().flatten().map(|(at, _)| *at);
        let rates = self.rates.iter().map(|(_, cooldown)| cooldown.holds_until());
        let quotas = self.quotas.iter().map(|(_, quota)| quota.holds_until());
        let gate = self.gate.as_ref().map(Breaker::holds_until);
        let rest = [self.missing_until, self.ramp.unwrap_or(0)];
        latency.chain(rates).chain(quotas).chain(gate).chain(rest).max().unwrap_or(0)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window<T> {
    width: u64,
    began: u64,
    slots: Vec<T>,
}

impl<T, K> From<(KeptSlots<K>, fn(K) -> T)> for Window<T> {
    fn from((kept, change): (KeptSlots<K>, fn(K) -> T)) -> Self {
        let KeptSlots { width, began, slots } = kept.map(change);
        Self { width, began, slots }
    }
}

impl<T: Clone> Window<T> {
    fn kept<K>(&self, change: fn(T) -> K) -> KeptSlots<K> {
        KeptSlots { width: self.width, began: self.began, slots: self.slots.clone() }.map(change)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Closed,
    Open,
    ForcedClosed,
    ForcedOpen,
    MetricsOnly,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Breaker {
    stage: Stage,
    /// Until when it is open, or when its level last went down.
    at: u64,
    since: u64,
    generation: u32,
    level: u32,
    fast: Window<[u32; 6]>,
    slow: Window<[u32; 6]>,
    run: u32,
    failures: Vec<u64>,
    broken_run: u32,
    broken: Vec<u64>,
    opened: u64,
}

impl Breaker {
    fn holds_until(&self) -> u64 {
        let failed = self.failures.iter().chain(&self.broken).copied().max().unwrap_or(0);
        match self.stage {
            Stage::Closed => failed.max(self.opened),
            Stage::Open => self.at.max(failed),
            // An operator said so, and nobody else takes it back.
            Stage::ForcedClosed | Stage::ForcedOpen | Stage::MetricsOnly => u64::MAX,
        }
    }
}

impl From<&breaker::Kept> for Breaker {
    fn from(kept: &breaker::Kept) -> Self {
        let (stage, at) = match kept.stage {
            KeptStage::Closed { decayed } => (Stage::Closed, decayed),
            KeptStage::Open { until } => (Stage::Open, until),
            KeptStage::ForcedClosed => (Stage::ForcedClosed, Tick::ZERO),
            KeptStage::ForcedOpen => (Stage::ForcedOpen, Tick::ZERO),
            KeptStage::MetricsOnly => (Stage::MetricsOnly, Tick::ZERO),
        };
        Self {
            stage,
            at: at.nanos(),
            since: kept.since.nanos(),
            generation: kept.generation,
            level: kept.level,
            fast: (kept.fast.clone(), counted as fn(_) -> _).into(),
            slow: (kept.slow.clone(), counted as fn(_) -> _).into(),
            run: kept.run,
            failures: kept.failures.iter().map(|at| at.nanos()).collect(),
            broken_run: kept.broken_run,
            broken: kept.broken.iter().map(|at| at.nanos()).collect(),
            opened: kept.opened.nanos(),
        }
    }
}

impl From<&Breaker> for breaker::Kept {
    fn from(form: &Breaker) -> Self {
        let at = Tick::from_nanos(form.at);
        Self {
            stage: match form.stage {
                Stage::Closed => KeptStage::Closed { decayed: at },
                Stage::Open => KeptStage::Open { until: at },
                Stage::ForcedClosed => KeptStage::ForcedClosed,
                Stage::ForcedOpen => KeptStage::ForcedOpen,
                Stage::MetricsOnly => KeptStage::MetricsOnly,
            },
            since: Tick::from_nanos(form.since),
            generation: form.generation,
            level: form.level,
            fast: form.fast.kept(counts),
            slow: form.slow.kept(counts),
            run: form.run,
            failures: form.failures.iter().copied().map(Tick::from_nanos).collect(),
            broken_run: form.broken_run,
            broken: form.broken.iter().copied().map(Tick::from_nanos).collect(),
            opened: Tick::from_nanos(form.opened),
        }
    }
}

const fn counted(counts: Counts) -> [u32; 6] {
    let Counts { ok, fail, overload, slow, given_up, stream_fail } = counts;
    [ok, fail, overload, slow, given_up, stream_fail]
}

const fn counts([ok, fail, overload, slow, given_up, stream_fail]: [u32; 6]) -> Counts {
    Counts { ok, fail, overload, slow, given_up, stream_fail }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rest {
    Ready,
    Short,
    Long,
    Auth,
    Trickle,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cooldown {
    stage: Rest,
    /// Until when it waits, or how many requests a trickle lets through.
    at: u64,
    before: u32,
    throttles: u32,
    quotas: u32,
}

impl Cooldown {
    const fn holds_until(&self) -> u64 {
        match self.stage {
            Rest::Short | Rest::Long | Rest::Auth => self.at,
            Rest::Ready | Rest::Trickle => 0,
        }
    }
}

impl From<&cooldown::Kept> for Cooldown {
    fn from(kept: &cooldown::Kept) -> Self {
        let (stage, at) = match kept.stage {
            cooldown::KeptStage::Ready => (Rest::Ready, 0),
            cooldown::KeptStage::Trickle { limit } => (Rest::Trickle, u64::from(limit)),
            cooldown::KeptStage::Waiting { until, kind } => {
                let stage = match kind {
                    Kind::Short => Rest::Short,
                    Kind::Long => Rest::Long,
                    Kind::Auth => Rest::Auth,
                };
                (stage, until.nanos())
            }
        };
        Self { stage, at, before: kept.before, throttles: kept.throttles, quotas: kept.quotas }
    }
}

impl From<&Cooldown> for cooldown::Kept {
    fn from(form: &Cooldown) -> Self {
        let waiting = |kind| cooldown::KeptStage::Waiting { until: Tick::from_nanos(form.at), kind };
        Self {
            stage: match form.stage {
                Rest::Ready => cooldown::KeptStage::Ready,
                Rest::Short => waiting(Kind::Short),
                Rest::Long => waiting(Kind::Long),
                Rest::Auth => waiting(Kind::Auth),
                Rest::Trickle => {
                    cooldown::KeptStage::Trickle { limit: u32::try_from(form.at).unwrap_or(u32::MAX).max(1) }
                }
            },
            before: form.before,
            throttles: form.throttles,
            quotas: form.quotas,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quota {
    requests: Option<Limit>,
    #[serde(default)]
    input: Option<Limit>,
    #[serde(default)]
    output: Option<Limit>,
    /// Of both together. What older programs wrote as `tokens` was any of the three, and is passed over.
    #[serde(default)]
    both: Option<Limit>,
    minute: Window<[u64; 2]>,
    day: Window<[u64; 2]>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Limit {
    remaining: u64,
    /// The whole of it.
    most: Option<u64>,
    reset_after: Option<u64>,
    at: u64,
    spent: u64,
}

impl Quota {
    fn holds_until(&self) -> u64 {
        let ends = |limit: &Limit| limit.at.saturating_add(limit.reset_after.unwrap_or(0));
        let limits = [&self.requests, &self.input, &self.output, &self.both];
        limits.into_iter().flatten().map(ends).max().unwrap_or(0).max(self.day.began)
    }
}

impl From<&quota::KeptLimit> for Limit {
    fn from(kept: &quota::KeptLimit) -> Self {
        let quota::Told { remaining, limit, reset_after } = kept.told;
        let reset_after = reset_after.map(|after| u64::try_from(after.as_nanos()).unwrap_or(u64::MAX));
        Self { remaining, most: limit, reset_after, at: kept.at.nanos(), spent: kept.spent }
    }
}

impl From<&Limit> for quota::KeptLimit {
    fn from(form: &Limit) -> Self {
        let told = quota::Told {
            remaining: form.remaining,
            limit: form.most,
            reset_after: form.reset_after.map(Duration::from_nanos),
        };
        Self { told, at: Tick::from_nanos(form.at), spent: form.spent }
    }
}

impl From<&quota::Kept> for Quota {
    fn from(kept: &quota::Kept) -> Self {
        let same = (|spent| spent) as fn([u64; 2]) -> [u64; 2];
        Self {
            requests: kept.limits.requests.as_ref().map(Into::into),
            input: kept.limits.input.as_ref().map(Into::into),
            output: kept.limits.output.as_ref().map(Into::into),
            both: kept.limits.tokens.as_ref().map(Into::into),
            minute: (kept.minute.clone(), same).into(),
            day: (kept.day.clone(), same).into(),
        }
    }
}

impl From<&Quota> for quota::Kept {
    fn from(form: &Quota) -> Self {
        Self {
            limits: quota::PerLimit {
                requests: form.requests.as_ref(),
                input: form.input.as_ref(),
                output: form.output.as_ref(),
                tokens: form.both.as_ref(),
            }
            .map(|limit| limit.map(Into::into)),
            minute: form.minute.kept(|spent| spent),
            day: form.day.kept(|spent| spent),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Unknown,
    Up,
    Down,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    said: Said,
    against: u32,
    probes: u32,
    since: u64,
    /// When it was so.
    pub asked: u64,
}

impl Health {
    pub fn of(kept: &health::Kept, asked: Tick) -> Self {
        let said = match kept.state {
            health::State::Unknown => Said::Unknown,
            health::State::Up => Said::Up,
            health::State::Down => Said::Down,
        };
        let (against, probes) = (kept.against, kept.probes);
        Self { said, against, probes, since: kept.since.nanos(), asked: asked.nanos() }
    }
}

impl From<&Health> for health::Kept {
    fn from(form: &Health) -> Self {
        Self {
            state: match form.said {
                Said::Unknown => health::State::Unknown,
                Said::Up => health::State::Up,
                Said::Down => health::State::Down,
            },
            against: form.against,
            probes: form.probes,
            since: Tick::from_nanos(form.since),
        }
    }
}

/// What an operator has said of an upstream, or of a model of it. Times are nanoseconds since the Unix epoch, for it is
/// believed when the clock of the process that wrote it says nothing any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    upstream: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    kind: String,
    since: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    reason: String,
    by: String,
}

impl Override {
    pub(in crate::state) fn of(subject: &Subject, said: &overrides::Override) -> Self {
        let nanos = |unix: Duration| u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX);
        Self {
            upstream: subject.upstream.to_string(),
            model: subject.model.as_ref().map(ToString::to_string),
            kind: said.kind.name().to_owned(),
            since: nanos(said.since_unix),
            until: said.until_unix.map(nanos),
            reason: said.reason.to_string(),
            by: said.by.to_string(),
        }
    }

    /// What it says at this time since the epoch, which is `now`; `None` where its time is over, or where it is of a
    /// kind that this program does not know.
    pub(in crate::state) fn read(&self, unix: Duration, now: Tick) -> Option<(Subject, overrides::Override)> {
        let until_unix = self.until.map(Duration::from_nanos);
        let left = until_unix.map(|until| until.saturating_sub(unix));
        if left == Some(Duration::ZERO) {
            return None;
        }
        let said = overrides::Override {
            kind: OverrideKind::parse(&self.kind)?,
            since_unix: Duration::from_nanos(self.since),
            until: left.map(|left| now + left),
            until_unix,
            reason: self.reason.as_str().into(),
            by: self.by.as_str().into(),
        };
        let subject =
            Subject { upstream: self.upstream.as_str().into(), model: self.model.as_deref().map(Into::into) };
        Some((subject, said))
    }
}
