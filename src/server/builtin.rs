//! Starts and stops simulated upstreams with the table, and tells the table where they listen.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::{Blueprint, SimulatedSettings};
use crate::simulated::{self, Simulated};

/// Where simulated upstreams run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Simulating {
    /// On loopback sockets, started here.
    Here,
    /// Nothing is started. The dialer is asked for a host of the upstream's name, and a test reaches
    /// there whatever it has put in its place.
    Elsewhere,
}

type Running = HashMap<Arc<str>, (SimulatedSettings, Arc<Simulated>)>;

/// Those that run.
pub(super) struct Builtin {
    simulating: Simulating,
    running: Mutex<Running>,
}

/// The next set, not in force yet. Dropping it ends those that were started for it.
pub(super) struct Prepared(Running);

impl Builtin {
    pub(super) fn new(simulating: Simulating) -> Self {
        Self { simulating, running: Mutex::default() }
    }

    pub(super) fn named(&self, name: &str) -> Option<Arc<Simulated>> {
        self.running.lock().get(name).map(|(_, upstream)| Arc::clone(upstream))
    }

    /// Starts what `blueprint` wants and does not run yet, and writes every address into it. One whose
    /// settings changed is another one: it listens elsewhere, and its faults are gone.
    pub(super) fn prepare(&self, blueprint: &mut Blueprint) -> io::Result<Prepared> {
        let mut next = Running::new();
        let running = self.running.lock();
        for upstream in &mut blueprint.upstreams {
            let Some(wanted) = &upstream.simulated else { continue };
            if self.simulating == Simulating::Elsewhere {
                upstream.base.host = Arc::clone(&upstream.name);
                continue;
            }
            let kept = running.get(&upstream.name).filter(|(settings, _)| settings == wanted);
            let simulated = match kept {
                Some((_, simulated)) => Arc::clone(simulated),
                None => Simulated::start(&upstream.name, settings(wanted))?,
            };
            let address = simulated.address();
            upstream.base.https = false;
            upstream.base.host = address.ip().to_string().into();
            upstream.base.port = address.port();
            next.insert(Arc::clone(&upstream.name), (wanted.clone(), simulated));
        }
        Ok(Prepared(next))
    }

    /// Puts `prepared` in force; those that are not part of it any more come back, still running.
    pub(super) fn commit(&self, Prepared(next): Prepared) -> Vec<Arc<Simulated>> {
        let before = std::mem::replace(&mut *self.running.lock(), next);
        let running = self.running.lock();
        let is_kept = |name: &Arc<str>, old: &Arc<Simulated>| {
            running.get(name).is_some_and(|(_, new)| Arc::ptr_eq(old, new))
        };
        before.into_iter().filter(|(name, (_, old))| !is_kept(name, old)).map(|(_, (_, old))| old).collect()
    }
}

pub(super) fn settings(wanted: &SimulatedSettings) -> simulated::Settings {
    let SimulatedSettings { ttft, pace, words, seed } = *wanted;
    simulated::Settings { ttft, pace, words, seed, ..simulated::Settings::default() }
}
