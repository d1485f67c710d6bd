//! Puts a changed configuration in force, or keeps the old one and says why.
//!
//! A reload is one transaction: read, check, build, swap. Requests see the table before or the table
//! after. Two reloads never run at once; one that waited reads what is there when its turn comes, so
//! the latest content wins.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use serde_json::json;

use super::assemble::{Assembler, Replaced};
use super::builtin::Builtin;
use super::history::History;
use super::loader::{Draft, Fingerprint, Loader, Rejection};
use super::prober::Prober;
use crate::admin::{Applied, Deed, Reloaded, Trail};
use crate::config::{self, Blueprint};
use crate::proxy::{Gateway, Snapshot, beside};
use crate::simulated::Simulated;
use crate::state::Live;
use crate::telemetry::{catalogue, logs};
use crate::upstream::PoolCounts;

/// Who wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Something happened in the file's directory.
    Watch,
    /// Nothing was heard for a while.
    Poll,
    /// An operator: a signal, or the admin API.
    Order,
}

impl Cause {
    /// Who has done it, as the history has it.
    const fn by(self) -> &'static str {
        match self {
            Self::Watch | Self::Poll => "gateway: the file was changed",
            Self::Order => "gateway: a reload was asked for",
        }
    }
}

pub struct Reloader {
    pub(super) loader: Arc<Loader>,
    gateway: Arc<Gateway>,
    prober: Arc<Prober>,
    builtin: Arc<Builtin>,
    pub(super) workshop: tokio::sync::Mutex<Workshop>,
    applied: Mutex<Applied>,
    pub(super) history: Mutex<History>,
    trail: Arc<Trail>,
    leaving: Mutex<Vec<Leaving>>,
    pub(super) started: Started,
}

/// What is read at the start only, as it was then, and is for as long as the process lives.
pub(super) struct Started {
    server: config::Server,
    spool: config::SpoolSettings,
    store: Option<config::Store>,
}

impl Started {
    /// What of `after` is otherwise.
    pub(super) fn differs_from(&self, after: &Blueprint) -> Vec<&'static str> {
        let store = (after.store != self.store).then_some("store");
        let spool = (after.ledger.spool != self.spool).then_some("ledger.spool");
        fixed_at_start(&self.server, &after.server).into_iter().chain(store).chain(spool).collect()
    }
}

/// What only one reload at a time may touch.
pub(super) struct Workshop {
    assembler: Assembler,
    fingerprint: Fingerprint,
}

/// Parts of an older table that requests may still use.
struct Leaving {
    snapshot: Weak<Snapshot>,
    replaced: Replaced,
}

/// The first table, and everything that later ones grow from.
pub(super) struct First {
    pub(super) gateway: Arc<Gateway>,
    pub(super) loader: Arc<Loader>,
    pub(super) assembler: Assembler,
    pub(super) fingerprint: Fingerprint,
    pub(super) prober: Arc<Prober>,
    pub(super) trail: Arc<Trail>,
    pub(super) store: Option<config::Store>,
    pub(super) history: History,
    /// What the first table was made of.
    pub(super) text: String,
}

impl Reloader {
    pub(super) fn new(first: First) -> Arc<Self> {
        let First { gateway, loader, assembler, fingerprint, prober, store, trail, history, text } = first;
        let snapshot = gateway.snapshot();
        let reloader = Arc::new(Self {
            builtin: Arc::clone(&assembler.builtin),
            applied: Mutex::new(Applied { source: loader.source().name(), ..Applied::default() }),
            history: Mutex::new(history),
            workshop: tokio::sync::Mutex::new(Workshop { assembler, fingerprint }),
            trail,
            leaving: Mutex::default(),
            loader,
            gateway,
            prober,
            started: Started {
                server: snapshot.table.server.clone(),
                spool: snapshot.table.ledger.spool.clone(),
                store,
            },
        });
        // A counter that first appears at its first event hides that event from `increase()`.
        for result in ["applied", "unchanged", "refused"] {
            drop(snapshot.table.live.metrics.counter(&catalogue::RELOADS, &[result]));
        }
        reloader.note_applied(&snapshot, &text, "gateway: start");
        reloader.prober.follow(&snapshot);
        reloader
    }

    pub fn loader(&self) -> &Loader {
        &self.loader
    }

    pub fn applied(&self) -> Applied {
        self.applied.lock().clone()
    }

    pub fn simulated(&self, name: &str) -> Option<Arc<Simulated>> {
        self.builtin.named(name)
    }

    /// Reads the configuration again.
    pub async fn reload(&self, cause: Cause) -> Result<Reloaded, Rejection> {
        let mut workshop = self.workshop.lock().await;
        let result = self.reload_in(&mut workshop, cause).await;
        drop(workshop);
        if let Ok(Reloaded::Applied { .. }) = &result {
            self.write_history().await;
        }
        result
    }

    /// As [`Reloader::reload`], for who has the workshop.
    pub(super) async fn reload_in(
        &self,
        workshop: &mut Workshop,
        cause: Cause,
    ) -> Result<Reloaded, Rejection> {
        let before = self.applied().revision;
        let result = self.attempt(workshop, cause).await;
        match &result {
            Ok(Reloaded::Applied { .. }) => self.count("applied"),
            Ok(Reloaded::Unchanged { .. }) => {
                // The file is again what is in force.
                self.applied.lock().refused = None;
                self.refused_gauge(0.0);
                if cause == Cause::Order {
                    self.count("unchanged");
                }
            }
            Err(rejection) => {
                let said = rejection.to_string();
                let known =
                    self.applied.lock().refused.replace(said.clone()).is_some_and(|known| known == said);
                self.refused_gauge(1.0);
                // A bad file lies there until somebody mends it; once is enough to say so.
                if !known || cause == Cause::Order {
                    self.count("refused");
                    tracing::error!("configuration refused, the table in force stays\n{said}");
                }
            }
        }
        if let Ok(Reloaded::Applied { revision }) = &result {
            let detail = json!({ "cause": format!("{cause:?}"), "before": before, "after": revision });
            let subject = self.loader.source().name();
            self.trail
                .note(Deed { actor: "gateway", action: "config.applied", subject: &subject, detail })
                .await;
        }
        result
    }

    pub(super) fn count(&self, result: &'static str) {
        self.gateway.live.metrics.counter(&catalogue::RELOADS, &[result]).increment(1);
    }

    /// Writes down which configurations were in force, where there is a place for it.
    pub(super) async fn write_history(&self) {
        let Some(page) = self.history.lock().page() else { return };
        drop(tokio::task::spawn_blocking(move || page.write()).await);
    }

    async fn attempt(&self, workshop: &mut Workshop, cause: Cause) -> Result<Reloaded, Rejection> {
        let last = workshop.fingerprint.clone();
        let loader = Arc::clone(&self.loader);
        let read = move || if loader.is_unchanged(&last) { None } else { Some(loader.load()) };
        let read = tokio::task::spawn_blocking(read).await;
        let read = read.map_err(|error| Rejection::Unreadable {
            file: self.loader.source().name(),
            why: format!("reading was interrupted: {error}"),
        })?;
        let Some(draft) = read else {
            return Ok(Reloaded::Unchanged { revision: self.applied().revision });
        };
        self.apply(workshop, draft?, cause, cause.by())
    }

    /// Puts `draft` in force.
    pub(super) fn apply(
        &self,
        workshop: &mut Workshop,
        mut draft: Draft,
        cause: Cause,
        by: &str,
    ) -> Result<Reloaded, Rejection> {
        let name = self.loader.source().name();
        // An upstream whose key was never there stays unconfigured; one whose key is being replaced has it still.
        if let Some((path, why)) = draft.fingerprint.loses(&workshop.fingerprint) {
            let why = format!(
                "there was something in it, and now there is not ({why}); put it back, or take what refers to it out of {name}"
            );
            return Err(Rejection::Unusable { file: name, path: path.to_owned(), why });
        }
        // Every key of the store is looked at anew.
        let assemble = || workshop.assembler.assemble(&name, &mut draft);
        let (snapshot, replaced) = beside::work(beside::LONG, assemble)?;
        workshop.fingerprint = draft.fingerprint;
        for pool in &replaced.pools {
            pool.retire();
        }
        let before = self.gateway.swap(snapshot);
        let after = self.gateway.snapshot();
        self.prober.follow(&after);
        self.gateway.live.metrics.gauge(&catalogue::CONFIG_INFO, &[&before.table.revision]).set(0.0);
        self.note_applied(&after, &draft.text, by);
        for warning in &draft.warnings {
            tracing::warn!(path = warning.path, "{}", warning.message);
        }
        let waiting = self.started.differs_from(&draft.blueprint);
        let known = std::mem::replace(&mut self.applied.lock().after_restart, waiting.clone());
        for path in waiting.into_iter().filter(|path| !known.contains(path)) {
            tracing::warn!(path, "changed, and takes effect after a restart only");
        }
        let revision = after.table.revision.clone();
        tracing::info!(revision, ?cause, "configuration applied");
        self.leaving.lock().push(Leaving { snapshot: Arc::downgrade(&before), replaced });
        Ok(Reloaded::Applied { revision })
    }

    /// As [`Reloader::reload`], for a blueprint that no file describes. For tests of what reloads do.
    #[doc(hidden)]
    pub async fn replace(&self, blueprint: Blueprint) -> Result<Reloaded, Rejection> {
        let mut workshop = self.workshop.lock().await;
        let draft = self.loader.draft_of(blueprint)?;
        self.apply(&mut workshop, draft, Cause::Order, Cause::Order.by())
    }

    fn note_applied(&self, snapshot: &Snapshot, text: &str, by: &str) {
        logs::follow(snapshot.table.telemetry.log);
        let live = &self.gateway.live;
        let now = live.clock.unix_now().as_secs_f64();
        let mut applied = self.applied.lock();
        applied.revision.clone_from(&snapshot.table.revision);
        applied.applied_at = now;
        applied.refused = None;
        drop(applied);
        self.history.lock().note(&snapshot.table.revision, text, now, by);
        live.metrics.gauge(&catalogue::CONFIG_INFO, &[&snapshot.table.revision]).set(1.0);
        live.metrics.gauge(&catalogue::RELOAD_SECONDS, &[]).set(now);
        self.refused_gauge(0.0);
    }

    fn refused_gauge(&self, value: f64) {
        let live: &Live = &self.gateway.live;
        live.metrics.gauge(&catalogue::RELOAD_FAILED, &[]).set(value);
    }

    /// Ends what only finished requests used. To be called every few seconds.
    pub(super) async fn clear_away(&self) {
        let is_over = |leaving: &Leaving| {
            let quiet = leaving.replaced.pools.iter().all(|pool| {
                let PoolCounts { in_use, opening, .. } = pool.counts();
                in_use == 0 && opening == 0
            });
            leaving.snapshot.strong_count() == 0 && quiet
        };
        let over: Vec<Leaving> = self.leaving.lock().extract_if(.., |leaving| is_over(leaving)).collect();
        for simulated in over.iter().flat_map(|leaving| &leaving.replaced.simulated) {
            simulated.stop().await;
        }
    }
}

/// What of `server:` differs and is only read when the process starts.
fn fixed_at_start(before: &config::Server, after: &config::Server) -> Vec<&'static str> {
    // Who operators are is looked up each time; the files are not.
    let files = |server: &config::Server| server.admin_tls.clone().map(|tls| (tls.own, tls.client_ca));
    let changes = [
        ("server.listen", before.listen != after.listen),
        ("server.admin", before.admin != after.admin),
        ("server.tls", before.tls != after.tls),
        ("server.admin_tls", files(before) != files(after)),
        ("server.state_file", before.state_file != after.state_file),
        ("server.redis", before.redis != after.redis),
        ("server.key_hash_secret", before.key_hash_secret != after.key_hash_secret),
    ];
    changes.into_iter().filter(|(_, changed)| *changed).map(|(path, _)| path).collect()
}

#[cfg(test)]
mod tests;
