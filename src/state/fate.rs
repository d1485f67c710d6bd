//! Groups of upstreams that share a fate, and who is in them.
//!
//! While nothing fails in a group, asking it and telling it of successes cost one atomic load. Which
//! upstreams belong together is `config::fate`'s business, what follows from failures `algo::fate`'s.

use std::collections::HashMap;
use std::sync::Arc;

use super::sync::Mutex;
use super::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use crate::algo::fate::{self, Kind, LEAST};
use crate::algo::tick::Tick;
use crate::config;
use crate::telemetry::{Metrics, catalogue};
use crate::vocab::{Class, Fault};

/// One group. Survives reloads that leave its members alone.
#[derive(Debug)]
pub struct Group {
    pub name: Arc<str>,
    members: Vec<Arc<str>>,
    /// Whether anything is held against anybody.
    troubled: AtomicBool,
    core: Mutex<fate::Group>,
}

/// An upstream's place in its group.
#[derive(Clone, Debug)]
pub struct Member {
    pub group: Arc<Group>,
    place: usize,
}

impl Member {
    /// A call of this upstream failed in a way that counts against it.
    pub fn failed(&self, fault: Fault, metrics: &Metrics, now: Tick) {
        let Some(kind) = kind(fault) else { return };
        let begins = {
            let mut core = self.group.core.lock();
            self.group.troubled.store(true, Release);
            core.failed(self.place, kind, now)
        };
        if begins {
            metrics.counter(&catalogue::FATE_DEMOTIONS, &[&self.group.name]).increment(1);
            tracing::warn!(group = %self.group.name, fault = fault.name(), "several of a group fail alike: its others are picked after the rest");
        }
    }

    /// A call that began at `began` went well.
    pub fn succeeded(&self, began: Tick, now: Tick) {
        if !self.group.troubled.load(Acquire) {
            return;
        }
        let mut core = self.group.core.lock();
        core.succeeded(self.place, began, now);
        self.group.troubled.store(!core.is_quiet(now), Release);
    }

    /// Whether its streams are expected to break, because those of others of its group do.
    pub fn is_about_to_break(&self, now: Tick) -> bool {
        self.group.troubled.load(Acquire) && self.group.core.lock().is_about_to_break(self.place, now)
    }

    /// Whether it should be picked after others, because others of its group fail alike.
    pub fn is_demoted(&self, now: Tick) -> bool {
        self.group.troubled.load(Acquire) && self.group.core.lock().is_demoted(self.place, now)
    }
}

/// Faults that befall a region or a vendor as a whole.
const fn kind(fault: Fault) -> Option<Kind> {
    match fault.class() {
        Class::UpstreamFault => Some(Kind::Fault),
        Class::Overload => Some(Kind::Overload),
        Class::StreamFault => Some(Kind::Stream),
        Class::ClientFault
        | Class::Throttled
        | Class::QuotaExhausted
        | Class::AuthFault
        | Class::ConfigFault
        | Class::Cancelled
        | Class::LocalFault => None,
    }
}

/// Every group that is large enough to spare anybody.
#[derive(Debug, Default)]
pub(super) struct Fates(HashMap<Arc<str>, Arc<Group>>);

impl Fates {
    /// Takes the groups of another blueprint.
    pub(super) fn follow(&mut self, blueprint: &config::Blueprint, metrics: &Metrics) {
        let mut wanted: HashMap<Arc<str>, Vec<Arc<str>>> = HashMap::new();
        for upstream in &blueprint.upstreams {
            if let Some(name) = upstream.fate_group() {
                wanted.entry(name).or_default().push(Arc::clone(&upstream.name));
            }
        }
        wanted.retain(|_, members| members.len() >= LEAST);
        let mut before = std::mem::take(&mut self.0);
        for (name, members) in wanted {
            let kept = before.remove(&name).filter(|group| group.members == members);
            let group = kept.unwrap_or_else(|| {
                // A counter that first appears at its first event hides that event from `increase()`.
                drop(metrics.counter(&catalogue::FATE_DEMOTIONS, &[&name]));
                let core = Mutex::new(fate::Group::new(members.len()));
                Arc::new(Group { name: Arc::clone(&name), members, troubled: AtomicBool::new(false), core })
            });
            self.0.insert(name, group);
        }
    }

    pub(super) fn member(&self, upstream: &config::Upstream) -> Option<Member> {
        let group = self.0.get(&upstream.fate_group()?)?;
        let place = group.members.iter().position(|name| *name == upstream.name)?;
        Some(Member { group: Arc::clone(group), place })
    }
}
