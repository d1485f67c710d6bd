//! Active health checks: one loop per upstream (RESILIENCE §4.6).
//!
//! When to probe is the algorithm's business (`algo::health`), how is the connection room's
//! (`upstream::probe`). This file keeps the loops: they are found again over reloads, so that a reload
//! is no reason to probe (P-H04), and all of them together never send more than the configured number
//! of probes at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep_until, timeout};

use super::tasks::Tasks;
use crate::admin::Probed;
use crate::algo::breaker::Admissible;
use crate::algo::cooldown::Readiness;
use crate::algo::health::{self, Standing, Verdict};
use crate::algo::tick::Tick;
use crate::config::ProbeKind;
use crate::proxy::Snapshot;
use crate::state::upstream::{Memory, Upstream};
use crate::state::{Live, credential::Credential};
use crate::upstream::Pool;
use crate::upstream::probe::{Introduction, ProbeFault, probe};
use crate::vocab::Fault;

/// Probes that a semaphore can count.
const MOST_SLOTS: usize = Semaphore::MAX_PERMITS;

pub struct Prober {
    live: Arc<Live>,
    tasks: Arc<Tasks>,
    pub(super) slots: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    slots: usize,
    loops: HashMap<Arc<str>, Loop>,
}

/// One upstream that is being probed.
struct Loop {
    memory: Arc<Memory>,
    subject: watch::Sender<Subject>,
    task: AbortHandle,
}

/// An upstream as the table in force has it.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) upstream: Arc<Upstream>,
    pub(super) pool: Arc<Pool>,
}

impl Prober {
    pub fn new(live: Arc<Live>, tasks: Arc<Tasks>) -> Arc<Self> {
        let state = Mutex::new(State { slots: 0, loops: HashMap::new() });
        Arc::new(Self { live, tasks, slots: Arc::new(Semaphore::new(0)), state })
    }

    /// Probes what `snapshot` wants probed. An upstream that was probed before, and has the same
    /// transport, is probed when it would have been.
    pub fn follow(&self, snapshot: &Snapshot) {
        let mut state = self.state.lock();
        self.resize(&mut state, snapshot.table.server.probe_concurrency as usize);
        let mut before = std::mem::take(&mut state.loops);
        for (upstream, pool) in snapshot.table.upstreams.iter().zip(&snapshot.pools) {
            if upstream.config.probe.kind == ProbeKind::Off || !upstream.is_configured() {
                continue;
            }
            let subject = Subject { upstream: Arc::clone(upstream), pool: Arc::clone(pool) };
            let kept = before.remove(&upstream.config.name).filter(|known| {
                let same = Arc::ptr_eq(&known.memory, &upstream.memory);
                if !same {
                    known.task.abort();
                }
                same
            });
            let found = match kept {
                Some(known) => {
                    known.subject.send_replace(subject);
                    known
                }
                None => self.begin(subject),
            };
            state.loops.insert(Arc::clone(&upstream.config.name), found);
        }
        for gone in before.into_values() {
            gone.task.abort();
        }
    }

    fn begin(&self, subject: Subject) -> Loop {
        let memory = Arc::clone(&subject.upstream.memory);
        let (sender, receiver) = watch::channel(subject);
        let attended = attend(Arc::clone(&self.live), Arc::clone(&self.slots), receiver);
        Loop { memory, subject: sender, task: self.tasks.spawn("prober", attended) }
    }

    fn resize(&self, state: &mut State, wanted: usize) {
        let wanted = wanted.clamp(1, MOST_SLOTS);
        if wanted > state.slots {
            self.slots.add_permits(wanted - state.slots);
            state.slots = wanted;
        } else {
            // Those in use are taken away by a later reload, if there is one; it is a bound, not a promise.
            state.slots -= self.slots.forget_permits(state.slots - wanted);
        }
    }
}

/// Probes one upstream for ever.
async fn attend(live: Arc<Live>, slots: Arc<Semaphore>, mut subject: watch::Receiver<Subject>) {
    let mut due = {
        let upstream = Arc::clone(&subject.borrow_and_update().upstream);
        live.now() + upstream.memory.health.lock().initial_gap(&mut live.dice())
    };
    loop {
        let settings = subject.borrow().upstream.config.probe.settings.clone();
        // A change that loses stays visible; a timer that loses is set again to the same moment.
        tokio::select! {
            changed = subject.changed() => {
                if changed.is_err() {
                    return;
                }
                let upstream = Arc::clone(&subject.borrow().upstream);
                if upstream.config.probe.settings != settings {
                    // Only other intervals are a reason to plan anew, and then only to probe earlier.
                    due = due.min(live.now() + next_gap(&upstream, &live));
                }
            }
            () = sleep_until(live.clock.instant(due)) => {
                let current = subject.borrow().clone();
                turn(&live, &slots, &current).await;
                due = live.now() + next_gap(&current.upstream, &live);
            }
        }
    }
}

/// One probe, or the reason to leave it out.
async fn turn(live: &Live, slots: &Semaphore, subject: &Subject) {
    let Subject { upstream, .. } = subject;
    if upstream.needs_no_probe(live.now()) {
        upstream.handles.probe_skipped.increment(1);
        return;
    }
    let Ok(_slot) = slots.acquire().await else { return };
    let begun = live.now();
    let verdict = match ask(live, subject, &upstream.config.probe.kind).await {
        Ok(()) => Verdict::Pass,
        Err(fault) if proves_nothing(&fault, live, begun) => return,
        Err(_) if upstream.is_cut_off(live.now()) => return,
        Err(fault) => {
            tracing::debug!(upstream = %upstream.config.name, %fault, "probe failed");
            Verdict::Fail
        }
    };
    let now = live.now();
    upstream.probed(verdict, now);
    if verdict == Verdict::Fail && is_overruled(upstream, now) {
        upstream.handles.conflicts.increment(1);
        tracing::warn!(upstream = %upstream.config.name, "probes fail while callers succeed: is the probe right?");
    }
}

/// Sends one probe of `kind`.
pub(super) async fn ask(live: &Live, subject: &Subject, kind: &ProbeKind) -> Result<(), ProbeFault> {
    let Subject { upstream, pool } = subject;
    let timeout = upstream.config.probe.settings.timeout;
    let key = match kind {
        ProbeKind::ListModels { .. } => ready_key(upstream, live.now()),
        ProbeKind::Off | ProbeKind::Tcp | ProbeKind::Http { .. } => None,
    };
    probe(pool, kind, introduction(upstream, key), timeout).await
}

/// Whether a failed probe says more about this machine than about the upstream.
pub(super) fn proves_nothing(fault: &ProbeFault, live: &Live, begun: Tick) -> bool {
    match fault.fault {
        Fault::PoolFull => true,
        Fault::HeadersTimeout | Fault::ConnectTimeout | Fault::Tls => live.starved_since(begun),
        _ => false,
    }
}

/// A probe that an operator wants now, whatever is planned. Its answer counts like any other's, where the upstream is
/// probed at all; where it is not, whether it can be connected to is found out, and remembered by nobody.
pub(super) async fn probe_now(live: &Live, slots: &Semaphore, subject: &Subject) -> Probed {
    let Subject { upstream, .. } = subject;
    let patience = upstream.config.probe.settings.timeout;
    let is_probed = upstream.config.probe.kind != ProbeKind::Off;
    let kind = if is_probed { &upstream.config.probe.kind } else { &ProbeKind::Tcp };
    let begun = live.now();
    let asked = async {
        let slot = slots.acquire().await;
        let answer = ask(live, subject, kind).await;
        drop(slot);
        answer
    };
    // All slots may be taken by probes that hang.
    let answer = timeout(2 * patience, asked).await;
    let now = live.now();
    let (result, why) = match answer {
        Ok(Ok(())) => ("pass", None),
        Err(_) => ("inconclusive", Some("other probes were in the way for too long".to_owned())),
        Ok(Err(fault)) if proves_nothing(&fault, live, begun) || upstream.is_cut_off(now) => {
            ("inconclusive", Some(fault.to_string()))
        }
        Ok(Err(fault)) => ("fail", Some(fault.to_string())),
    };
    if is_probed {
        match result {
            "pass" => upstream.probed(Verdict::Pass, now),
            "fail" => upstream.probed(Verdict::Fail, now),
            _ => {}
        }
    }
    let kind = match kind {
        ProbeKind::Off | ProbeKind::Tcp => "tcp",
        ProbeKind::Http { .. } => "http",
        ProbeKind::ListModels { .. } => "list_models",
    };
    Probed { result, kind, why, took_ms: now.since(begun).as_secs_f64() * 1e3 }
}

fn next_gap(upstream: &Upstream, live: &Live) -> Duration {
    upstream.next_probe(live.now(), &mut live.dice())
}

fn is_overruled(upstream: &Upstream, now: Tick) -> bool {
    let memory = &upstream.memory;
    let standing = health::combine(memory.health(), Admissible::Normal, memory.recent(now));
    standing == Standing::EligibleByVeto
}

/// A key that may be used now; a probe never wears out one that is cooling down.
fn ready_key(upstream: &Upstream, now: Tick) -> Option<&Credential> {
    let is_ready = |key: &&Arc<Credential>| key.readiness(None, now) == Readiness::Ready;
    upstream.credentials.iter().find(is_ready).or(upstream.credentials.first()).map(|key| &**key)
}

/// What every request to `upstream` carries, with `key` if there is one.
pub(super) fn introduction(upstream: &Upstream, key: Option<&Credential>) -> Introduction {
    let settings = &upstream.config;
    let mut headers = HeaderMap::new();
    for (name, value) in settings.provider.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    for (name, value) in &settings.headers {
        headers.insert(name.clone(), value.clone());
    }
    let auth = settings.speaks.first().map(|dialect| settings.provider.auth_in(*dialect));
    let credential = auth.zip(key.map(|key| key.secret.clone()));
    Introduction { credential, headers }
}
