//! What operators have said about an upstream, or about one model of it: nobody is to go there, or its breaker is to
//! stand as they say, whatever the evidence.
//!
//! Here is who said what, and until when; it is found by names, so it outlives reloads and changes of transport, and
//! a process by way of the state file. What is said last of an upstream or a model holds. How it takes effect is
//! written into live memory: a [`Bar`] that every request looks at, a gate that is forced.
//! [`Table::uphold`] sees to that, a few times a second and with every table, so that memory which was made
//! meanwhile follows as well, and what has had its time ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Release},
};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::bar::{Bar, Down, Keeps};
use super::clock::Clock;
use super::gate::Gate;
use super::memoir;
use super::model::Model;
use super::table::Table;
use super::timeline::{Change, Subject as Of};
use super::upstream::Upstream;
use crate::algo::breaker::{Forced, State};
use crate::algo::tick::Tick;
use crate::telemetry::{Gauges, catalogue as c};

/// Most of them at the same moment.
pub const MOST: usize = 1024;

/// What is to be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No request goes there.
    Disabled,
    /// As disabled, save for requests about what only this upstream has: files, batches, stored responses.
    Draining,
    ForcedOpen,
    ForcedClosed,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Disabled, Self::Draining, Self::ForcedOpen, Self::ForcedClosed];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Draining => "draining",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    const fn keeps(self) -> Option<Keeps> {
        match self {
            Self::Disabled => Some(Keeps::Everybody),
            Self::Draining => Some(Keeps::NewComers),
            Self::ForcedOpen | Self::ForcedClosed => None,
        }
    }

    const fn forces(self) -> Option<Forced> {
        match self {
            Self::Disabled | Self::Draining => None,
            Self::ForcedOpen => Some(Forced::Open),
            Self::ForcedClosed => Some(Forced::Closed),
        }
    }
}

/// What it is said of: an upstream, or one model of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    pub upstream: Arc<str>,
    pub model: Option<Arc<str>>,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.model {
            None => write!(f, "{}", self.upstream),
            Some(model) => write!(f, "{}/{model}", self.upstream),
        }
    }
}

/// What an operator has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    pub kind: Kind,
    /// Since the epoch.
    pub since_unix: Duration,
    /// When it ends by itself, if it does.
    pub until: Option<Tick>,
    /// The same moment since the epoch.
    pub until_unix: Option<Duration>,
    /// Why, in the operator's words; may be empty.
    pub reason: Arc<str>,
    /// As the audit trail calls who said it.
    pub by: Arc<str>,
}

impl Override {
    /// Said now, by somebody, for a while or until it is taken back.
    pub fn new(kind: Kind, lasting: Option<Duration>, reason: &str, by: &str, clock: &Clock) -> Self {
        let (now, unix) = (clock.now(), clock.unix_now());
        Self {
            kind,
            since_unix: unix,
            until: lasting.map(|lasting| now + lasting),
            until_unix: lasting.map(|lasting| unix + lasting),
            reason: reason.into(),
            by: by.into(),
        }
    }

    fn is_over(&self, now: Tick) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    fn down(&self) -> Option<Down> {
        self.kind.keeps().map(|keeps| Down { keeps, until: self.until })
    }
}

/// There are [`MOST`] of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("operators have said something of {MOST} upstreams and models already; end one of those first")]
pub struct TooMany;

/// All of them.
#[derive(Debug, Default)]
pub struct Overrides {
    core: Mutex<Core>,
    /// Live memory may not be as they say: there is a new table.
    unsettled: AtomicBool,
    /// Rung when something is said or ends, for whoever writes it down.
    pub changed: Notify,
}

#[derive(Debug, Default)]
struct Core {
    said: BTreeMap<Subject, Override>,
    /// Those that ended by themselves and were not told of yet; at most [`MOST`].
    ended: Vec<(Subject, Override)>,
    /// Labels of those that were ever counted: their series go on at 0.
    counted: BTreeSet<[Arc<str>; 2]>,
}

impl Overrides {
    /// What holds of exactly this upstream or model.
    pub fn of(&self, upstream: &str, model: Option<&str>, now: Tick) -> Option<Override> {
        let core = self.core.lock();
        let subject = Subject { upstream: upstream.into(), model: model.map(Into::into) };
        core.said.get(&subject).filter(|said| !said.is_over(now)).cloned()
    }

    /// All that hold, in the order of names.
    pub fn all(&self, now: Tick) -> Vec<(Subject, Override)> {
        let core = self.core.lock();
        let hold = core.said.iter().filter(|(_, said)| !said.is_over(now));
        hold.map(|(subject, said)| (subject.clone(), said.clone())).collect()
    }

    /// Takes those that have ended by themselves since this was asked last.
    pub fn take_ended(&self) -> Vec<(Subject, Override)> {
        std::mem::take(&mut self.core.lock().ended)
    }

    /// As an earlier process left them. Before the first table.
    pub fn recall(&self, kept: &[memoir::Override], unix: Duration, now: Tick) {
        let mut core = self.core.lock();
        for (subject, said) in kept.iter().filter_map(|kept| kept.read(unix, now)).take(MOST) {
            core.said.insert(subject, said);
        }
        drop(core);
        self.unsettle();
    }

    pub(super) fn keep(&self, now: Tick) -> Vec<memoir::Override> {
        self.all(now).iter().map(|(subject, said)| memoir::Override::of(subject, said)).collect()
    }

    /// There is memory that may not know of them.
    pub(super) fn unsettle(&self) {
        self.unsettled.store(true, Release);
    }

    /// Takes out what has had its time, and says what that was, and whether memory has to be looked through.
    fn pass(&self, now: Tick) -> (Vec<(Subject, Override)>, Look) {
        let mut core = self.core.lock();
        let over: Vec<_> = core.said.extract_if(.., |_, said| said.is_over(now)).collect();
        let holds_any = !core.said.is_empty() || !over.is_empty();
        if !over.is_empty() {
            let room = MOST.saturating_sub(core.ended.len());
            core.ended.extend(over.iter().take(room).cloned());
            self.changed.notify_one();
        }
        let look = self.unsettled.swap(false, AcqRel) || holds_any;
        (over, if look { Look::Through } else { Look::Away })
    }
}

/// Whether live memory may be otherwise than operators have said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Through,
    Away,
}

impl Table {
    /// An operator says something of `subject`, which is in this table.
    pub fn say(&self, subject: &Subject, said: &Override) -> Result<(), TooMany> {
        let overrides = &self.live.overrides;
        let mut core = overrides.core.lock();
        if core.said.len() >= MOST && !core.said.contains_key(subject) {
            return Err(TooMany);
        }
        let before = core.said.insert(subject.clone(), said.clone());
        drop(core);
        let from = before.map_or(NOTHING, |before| before.kind.name());
        self.changed(subject, from, said.kind.name(), said.reason.to_string());
        Ok(())
    }

    /// Nothing is said of `subject` any more. What was, if anything.
    pub fn unsay(&self, subject: &Subject, reason: &str) -> Option<Override> {
        let before = self.live.overrides.core.lock().said.remove(subject)?;
        self.changed(subject, before.kind.name(), NOTHING, reason.to_owned());
        Some(before)
    }

    /// Sees to it that live memory is as operators have said, and ends what has had its time.
    pub fn uphold(&self) {
        let now = self.live.now();
        let overrides = &self.live.overrides;
        let (over, look) = overrides.pass(now);
        for (subject, said) in over {
            self.write_down(&subject, said.kind.name(), NOTHING, "its time was over".to_owned());
        }
        if look == Look::Away {
            return;
        }
        let all: BTreeMap<Subject, Override> = overrides.all(now).into_iter().collect();
        for upstream in &self.upstreams {
            let name = &upstream.config.name;
            let of = |model: Option<&Arc<str>>| {
                all.get(&Subject { upstream: Arc::clone(name), model: model.cloned() })
            };
            let memory = &upstream.memory;
            hold(upstream, None, &memory.bar, Some(&memory.gate), of(None), now);
            let models: Vec<Arc<Model>> = memory.models.iter().map(|model| Arc::clone(&model)).collect();
            for model in models {
                hold(upstream, Some(&model), &model.bar, model.gate.as_ref(), of(Some(&model.name)), now);
            }
        }
    }

    fn changed(&self, subject: &Subject, from: &'static str, to: &'static str, reason: String) {
        self.write_down(subject, from, to, reason);
        self.live.overrides.unsettle();
        self.uphold();
        self.live.overrides.changed.notify_one();
    }

    fn write_down(&self, subject: &Subject, from: &'static str, to: &'static str, reason: String) {
        tracing::warn!(
            upstream = %subject.upstream,
            from,
            to,
            "an operator's word about an upstream has changed"
        );
        let Some(upstream) = self.upstreams.iter().find(|known| known.config.name == subject.upstream) else {
            return;
        };
        let change = Change { at: self.live.now(), of: Of::Override, from, to, reason: reason.into() };
        match &subject.model {
            None => upstream.memory.timeline.note(change),
            Some(name) => {
                if let Some(model) = upstream.memory.models.get(name) {
                    model.timeline.note(change);
                }
            }
        }
    }

    /// How many hold of each, and none of those that held once.
    pub(super) fn export_overrides(&self, gauges: &Gauges<'_>, now: Tick) {
        let all = self.live.overrides.all(now);
        let mut counts: BTreeMap<([Arc<str>; 2], Kind), u32> = BTreeMap::new();
        for (subject, said) in &all {
            *counts.entry((self.labels(subject), said.kind)).or_default() += 1;
        }
        let mut core = self.live.overrides.core.lock();
        core.counted
            .extend(self.upstreams.iter().map(|upstream| [Arc::clone(&upstream.config.name), "".into()]));
        core.counted.extend(counts.keys().map(|(labels, _)| labels.clone()));
        for labels in &core.counted {
            for kind in Kind::ALL {
                let count = counts.get(&(labels.clone(), kind)).copied().unwrap_or_default();
                gauges.set(&c::OVERRIDES, &[&labels[0], &labels[1], kind.name()], f64::from(count));
            }
        }
        // What is gone has been set to 0 once, and is forgotten like other series of what is gone.
        let is_here = |name: &Arc<str>| self.upstreams.iter().any(|upstream| upstream.config.name == *name);
        let holds = |labels: &[Arc<str>; 2]| counts.keys().any(|(counted, _)| counted == labels);
        core.counted.retain(|labels| is_here(&labels[0]) || holds(labels));
    }

    /// As metrics have it: a name that callers have made up is no label.
    fn labels(&self, subject: &Subject) -> [Arc<str>; 2] {
        let label = |name: &Arc<str>| -> Arc<str> {
            let upstream = self.upstreams.iter().find(|known| known.config.name == subject.upstream);
            let model = upstream.and_then(|upstream| upstream.memory.models.get(name));
            model.map_or_else(|| "other".into(), |model| model.label().into())
        };
        let model = subject.model.as_ref().map_or_else(|| "".into(), label);
        [Arc::clone(&subject.upstream), model]
    }
}

/// What a timeline calls it where operators have said nothing.
const NOTHING: &str = "none";

/// Makes one memory be as was said.
fn hold(
    upstream: &Upstream,
    model: Option<&Model>,
    bar: &Bar,
    gate: Option<&Gate>,
    said: Option<&Override>,
    now: Tick,
) {
    match said.and_then(Override::down) {
        Some(down) => bar.lower(down),
        None => bar.raise(),
    }
    let Some(gate) = gate else { return };
    let wanted = said.and_then(|said| said.kind.forces());
    let forced = match gate.state() {
        // Without a word for it, it is left by an earlier process, or by a word that was taken back.
        State::ForcedOpen | State::ForcedClosed => Some(wanted.unwrap_or(Forced::Release)),
        State::Closed | State::Open { .. } | State::HalfOpen | State::MetricsOnly => wanted,
    };
    if let Some(forced) = forced {
        upstream.note(model, gate.force(forced, now), now);
    }
}

#[cfg(test)]
mod tests;
