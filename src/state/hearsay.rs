//! What replicas tell each other of their keys: the cooldowns that are worth it, as notes with names that
//! mean the same everywhere.
//!
//! A note says of which key it is by upstream and fingerprint (or quota group, and model), so that a
//! replica with other keys takes nothing over, and a key that was replaced inherits nothing. No secret is in
//! it, nor a model's name that callers made up. Which cooldowns are told and what comes of hearing one is
//! `algo::cooldown`'s business; how notes travel is `shared`'s, and when `server::sharing`'s. Breakers,
//! latencies and probes are never told: what one replica cannot reach, another one may.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::credential::{Cell, Credential};
use super::memoir;
use super::model::Model;
use super::table::{Table, quota_cell};
use super::upstream::Upstream;
use crate::algo::cooldown::{Heard, Kind, News};
use crate::algo::tick::Tick;

/// For how long the others may hear that a refused key works again: longer than they rest without.
const HEALED_FOR: Duration = Duration::from_mins(20);
/// Longest note that is read.
const LONGEST: usize = 1024;

/// Something to tell the others.
pub struct Untold {
    cell: Arc<Cell>,
    news: News,
    pub note: Note,
    /// The text of a note that does not hold any more.
    pub outdated: Option<String>,
}

/// What replicas give each other to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub text: String,
    /// For how long it holds from now on.
    pub left: Duration,
}

/// What came of reading notes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    /// What was taken over: `short`, `long`, `auth`, `healed`.
    pub taken: Vec<&'static str>,
    /// Notes that are none of ours.
    pub unreadable: usize,
}

/// A note's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    says: Says,
    /// Troubles in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    level: u32,
    upstream: String,
    /// A fingerprint, or `group` and a quota group.
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Says {
    Short,
    Long,
    Auth,
    Healed,
}

impl Says {
    const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
            Self::Auth => "auth",
            Self::Healed => "healed",
        }
    }
}

impl From<Kind> for Says {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Short => Self::Short,
            Kind::Long => Self::Long,
            Kind::Auth => Self::Auth,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_zero(level: &u32) -> bool {
    *level == 0
}

/// What of `table` the others do not know, `most` at a time.
pub fn untold(table: &Table, most: usize) -> Vec<Untold> {
    let now = table.live.now();
    let mut found = Vec::new();
    for upstream in &table.upstreams {
        let end = each(upstream, |key, model, cell| {
            if found.len() == most {
                return ControlFlow::Break(());
            }
            if let Some(news) = cell.news(now) {
                let (upstream, key) = (upstream.config.name.to_string(), key.to_owned());
                let place = Place { upstream, key, model: model.map(Model::shown) };
                found.push(Untold::new(Arc::clone(cell), news, place, now));
            }
            ControlFlow::Continue(())
        });
        if end.is_break() {
            break;
        }
    }
    found
}

/// Takes over what other replicas say, as far as it concerns keys of `table`.
pub fn hear(table: &Table, notes: &[Note]) -> Learnt {
    let (now, mut dice) = (table.live.now(), table.live.dice());
    let (mut learnt, mut by_hash) = (Learnt::default(), ByHash::default());
    for note in notes {
        let form = Some(&note.text).filter(|text| text.len() <= LONGEST);
        let Some(form) = form.and_then(|text| serde_json::from_str::<Form>(text).ok()) else {
            learnt.unreadable += 1;
            continue;
        };
        let Some(upstream) = table.upstreams.iter().find(|upstream| *upstream.config.name == *form.upstream)
        else {
            continue;
        };
        let Some((key, cell)) = cell_of(upstream, &form, &mut by_hash) else { continue };
        let said = match cell.hear(news(&form, note.left, now), now, &mut dice) {
            Heard::Nothing => continue,
            Heard::Rests(kind) => Says::from(kind),
            Heard::Healed => Says::Healed,
        };
        learnt.taken.push(said.name());
        let model = form.model.as_deref().unwrap_or_default();
        tracing::info!(
            credential = %key.alias,
            model,
            why = said.name(),
            "another replica has found out about a credential"
        );
    }
    learnt
}

impl Untold {
    fn new(cell: Arc<Cell>, news: News, place: Place, now: Tick) -> Self {
        let Place { upstream, key, model } = place;
        let form = |says, level| Form {
            says,
            level,
            upstream: upstream.clone(),
            key: key.clone(),
            model: model.clone(),
        };
        let (form, left, outdated) = match news {
            News::Rests { kind, until, level } => (form(kind.into(), level), until.since(now), None),
            News::Healed { .. } => (form(Says::Healed, 0), HEALED_FOR, Some(written(&form(Says::Auth, 0)))),
        };
        Self { cell, news, note: Note { text: written(&form), left }, outdated }
    }

    /// The others can read it now.
    pub fn told(&self) {
        self.cell.told(self.news);
    }

    /// `short`, `long`, `auth` or `healed`.
    pub fn name(&self) -> &'static str {
        match self.news {
            News::Rests { kind, .. } => Says::from(kind).name(),
            News::Healed { .. } => Says::Healed.name(),
        }
    }
}

/// Where a cooldown is found.
struct Place {
    upstream: String,
    key: String,
    model: Option<String>,
}

fn written(form: &Form) -> String {
    serde_json::to_string(form).expect("names and numbers can be written as JSON")
}

fn news(form: &Form, left: Duration, now: Tick) -> News {
    let rests = |kind| News::Rests { kind, until: now + left, level: form.level };
    match form.says {
        Says::Short => rests(Kind::Short),
        Says::Long => rests(Kind::Long),
        Says::Auth => rests(Kind::Auth),
        Says::Healed => {
            let ago = HEALED_FOR.saturating_sub(left);
            News::Healed { at: Tick::ZERO + now.since(Tick::ZERO).saturating_sub(ago) }
        }
    }
}

/// Shows every cooldown of an upstream's keys, each once, with its key's name and its model. Nothing is made of
/// a name here: as a rule there is nothing to tell of any of them.
fn each(
    upstream: &Upstream,
    mut show: impl FnMut(&str, Option<&Model>, &Arc<Cell>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut groups: HashSet<&str> = HashSet::new();
    let mut by_rate: HashMap<&Arc<str>, Cow<'_, str>> = HashMap::new();
    for (configured, key) in upstream.config.credentials.iter().zip(&upstream.credentials) {
        show(&configured.fingerprint, None, &key.own)?;
        let name = match configured.quota_group.as_deref() {
            Some(group) => {
                let name = quota_cell(group);
                if groups.insert(group) {
                    show(&name, None, &key.quota)?;
                }
                Cow::Owned(name)
            }
            None => Cow::Borrowed(configured.fingerprint.as_str()),
        };
        by_rate.insert(&key.rate_key, name);
    }
    for model in upstream.memory.models.iter().filter(|model| model.may_be_told()) {
        for (rate_key, cell) in model.rates() {
            // A key that is gone from the configuration is nobody's any more.
            if let Some(key) = by_rate.get(&rate_key) {
                show(key, Some(&model), &cell)?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// Models by what stands for their names, for as long as one look at the notes takes: of each upstream that
/// such a note is about, made once.
#[derive(Default)]
struct ByHash<'a>(HashMap<&'a str, HashMap<Arc<str>, Arc<Model>>>);

impl<'a> ByHash<'a> {
    fn find(&mut self, upstream: &'a Upstream, hash: &str) -> Option<Arc<Model>> {
        let known = self.0.entry(&upstream.config.name).or_insert_with(|| {
            let models = upstream.memory.models.iter();
            models.map(|model| (Arc::clone(model.hashed()), Arc::clone(&model))).collect()
        });
        known.get(hash).cloned()
    }
}

/// The cooldown that a note is about, and a key that it concerns.
fn cell_of<'a>(
    upstream: &'a Upstream,
    form: &Form,
    by_hash: &mut ByHash<'a>,
) -> Option<(&'a Credential, Arc<Cell>)> {
    let keys = upstream.config.credentials.iter().zip(&upstream.credentials);
    let group_of = |configured: &crate::config::Credential| configured.quota_group.as_deref().map(quota_cell);
    let (configured, key) = keys.into_iter().find(|(configured, _)| {
        configured.fingerprint == form.key || group_of(configured).is_some_and(|group| group == form.key)
    })?;
    let is_group = configured.fingerprint != form.key;
    let Some(asked) = &form.model else {
        return Some((key, Arc::clone(if is_group { &key.quota } else { &key.own })));
    };
    // The rates of a key with a group are the group's.
    if is_group != configured.quota_group.is_some() {
        return None;
    }
    let by_name = upstream.memory.models.get(asked.as_str()).map(|model| Arc::clone(&model));
    let is_hash = asked.starts_with(memoir::HASHED);
    let model = by_name.or_else(|| if is_hash { by_hash.find(upstream, asked) } else { None })?;
    Some((key, model.rate_or_new(&key.rate_key, &upstream.config.cooldown)))
}

#[cfg(test)]
mod tests;
