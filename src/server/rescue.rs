//! Synthetic trials: a breaker that is due for a trial and has no caller to make it gets a probe instead
//! (RESILIENCE E8), so that recovery does not wait for somebody to be brave.
//!
//! Only for the breakers of upstreams, which judge what a probe can judge: is the host there? Whether
//! one of its models answers, only a generation can tell, and that costs money; a model's breaker gives
//! its trials to callers who have somewhere else to go. Probes stay out of latencies, attempts and
//! windows (RESILIENCE §4.6), so the trial is taken from the gate itself and not through a permit.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::prober::{Prober, Subject, ask, proves_nothing};
use super::tasks::Tasks;
use crate::algo::breaker::Signal;
use crate::algo::health;
use crate::config::ProbeKind;
use crate::proxy::Snapshot;
use crate::state::Live;

pub(super) struct Rescue {
    live: Arc<Live>,
    tasks: Arc<Tasks>,
    prober: Arc<Prober>,
    /// Upstreams that are being tried: one trial at a time.
    trying: Arc<Mutex<HashSet<Arc<str>>>>,
}

impl Rescue {
    pub(super) fn new(live: Arc<Live>, tasks: Arc<Tasks>, prober: Arc<Prober>) -> Self {
        Self { live, tasks, prober, trying: Arc::default() }
    }

    /// Begins the trials that are due. To be called a few times a second.
    pub(super) fn look(&self, snapshot: &Snapshot) {
        let now = self.live.now();
        for (upstream, pool) in snapshot.table.upstreams.iter().zip(&snapshot.pools) {
            let memory = &upstream.memory;
            // While probes say down, nobody would be sent there, and the prober is at it already.
            let wanted = upstream.is_configured()
                && memory.gate.wants_probe(now)
                && memory.health() != health::State::Down;
            if !wanted || !self.trying.lock().insert(Arc::clone(&memory.name)) {
                continue;
            }
            let subject = Subject { upstream: Arc::clone(upstream), pool: Arc::clone(pool) };
            let trial = Trying { set: Arc::clone(&self.trying), name: Arc::clone(&memory.name) };
            let (live, slots) = (Arc::clone(&self.live), Arc::clone(&self.prober.slots));
            self.tasks.spawn("synthetic trial", async move {
                let _trial = trial;
                let Ok(_slot) = slots.acquire().await else { return };
                attempt(&live, &subject).await;
            });
        }
    }
}

/// One trial. Aborted in the middle, its lease runs out by itself.
async fn attempt(live: &Live, subject: &Subject) {
    let upstream = &subject.upstream;
    let gate = &upstream.memory.gate;
    let begun = live.now();
    let permit = match gate.admit_probe(begun, &mut live.dice()) {
        Ok((permit, transition)) => {
            upstream.note(None, transition, begun);
            permit
        }
        Err(refused) => return upstream.note(None, refused.transition, begun),
    };
    let kind = match &upstream.config.probe.kind {
        ProbeKind::Off => &ProbeKind::Tcp,
        kind @ (ProbeKind::Tcp | ProbeKind::Http { .. } | ProbeKind::ListModels { .. }) => kind,
    };
    let signal = match ask(live, subject, kind).await {
        Ok(()) => {
            upstream.handles.probe_pass.increment(1);
            Signal::Success
        }
        Err(fault) if proves_nothing(&fault, live, begun) => Signal::Neutral,
        Err(_) if upstream.is_cut_off(live.now()) => Signal::Neutral,
        Err(fault) => {
            tracing::debug!(upstream = %upstream.config.name, %fault, "synthetic trial failed");
            upstream.handles.probe_fail.increment(1);
            Signal::Failure
        }
    };
    let now = live.now();
    let settled = gate.settle(permit, signal, begun, now, &mut live.dice());
    upstream.note(None, settled.transition, now);
}

/// Takes the upstream's name out again, however the trial ends.
struct Trying {
    set: Arc<Mutex<HashSet<Arc<str>>>>,
    name: Arc<str>,
}

impl Drop for Trying {
    fn drop(&mut self) {
        self.set.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{Bench, FILE};
    use super::*;
    use crate::algo::breaker::State;
    use crate::simulated::{Fault, Rule};
    use crate::state::gate::Gate;

    /// Opens a gate as failing attempts do.
    fn trip(gate: &Gate, live: &Live) {
        for _ in 0..100 {
            let (now, mut dice) = (live.now(), live.dice());
            let Ok((permit, _)) = gate.admit(now, &mut dice) else { return };
            let _ = gate.settle(permit, Signal::Failure, now, now, &mut dice);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_breaker_that_no_caller_tries_closes_by_itself_once_the_upstream_is_back() {
        let bench = Bench::start(FILE);
        let snapshot = bench.host.gateway().snapshot();
        let upstream = &snapshot.table.upstreams[0];
        let (gate, live) = (&upstream.memory.gate, &upstream.live);
        bench.sims["a"].control().set(vec![Rule::new(Fault::Refuse)]);
        trip(gate, live);
        assert!(matches!(gate.state(), State::Open { .. }));
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_ne!(gate.state(), State::Closed, "it is still down");

        bench.sims["a"].control().clear();
        // Open for a minute at most (E8), and probes that said down rise within another.
        tokio::time::sleep(Duration::from_mins(3)).await;
        assert_eq!(gate.state(), State::Closed);
        assert_eq!(bench.sims["a"].control().counts().in_flight, 0);
        let attempts = bench
            .metric(r#"mainstay_attempts_total{route="demo",upstream="a",model="demo",outcome="success"}"#);
        assert_eq!(attempts, 0.0, "probes are no attempts");
    }
}
