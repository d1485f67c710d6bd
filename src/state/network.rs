//! Whether this machine's own network is to blame when nobody can be reached.
//!
//! A provider is a *way* out of here. Whatever a provider answers proves the network; what cannot even
//! connect is evidence against it, and `algo::outage` says when there is enough. While it lasts, such
//! failures are nobody's guilt. Hearing of somebody costs one store, a fence and one load.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sync::Mutex;
use super::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
    fence,
};
use crate::algo::name;
use crate::algo::outage::{self, FORGET, Sight};
use crate::algo::tick::Tick;
use crate::config;
use crate::vocab::Fault;

/// One provider, as far as reaching it goes.
#[derive(Debug)]
pub struct Way {
    heard: AtomicU64,
    failed: AtomicU64,
    host: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl Default for Way {
    fn default() -> Self {
        Self { heard: AtomicU64::new(NEVER), failed: AtomicU64::new(NEVER), host: AtomicU64::new(0) }
    }
}

impl Way {
    fn sight(&self) -> Sight {
        let at =
            |nanos: &AtomicU64| Some(nanos.load(Relaxed)).filter(|&at| at != NEVER).map(Tick::from_nanos);
        Sight { heard: at(&self.heard), failed: at(&self.failed), host: self.host.load(Relaxed) }
    }
}

/// An upstream's way out, and the host at its end.
#[derive(Clone, Debug)]
pub struct WayOut {
    way: Arc<Way>,
    host: u64,
}

/// Whose guilt a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guilt {
    /// Whoever the fault itself names.
    Usual,
    /// The network here.
    Network,
}

#[derive(Debug, Default)]
pub struct Network {
    suspected: AtomicBool,
    core: Mutex<Core>,
}

#[derive(Debug, Default)]
struct Core {
    ways: BTreeMap<String, Arc<Way>>,
    /// The newest failure while the network was suspected.
    last: Option<Tick>,
}

impl Network {
    /// Takes the providers of another blueprint.
    pub(super) fn follow(&self, blueprint: &config::Blueprint) {
        let mut core = self.core.lock();
        let mut before = std::mem::take(&mut core.ways);
        for out in blueprint.upstreams.iter().filter_map(config::Upstream::way_out) {
            let way = before.remove(&out.way).unwrap_or_default();
            core.ways.entry(out.way).or_insert(way);
        }
    }

    pub(super) fn way_of(&self, upstream: &config::Upstream) -> Option<WayOut> {
        let out = upstream.way_out()?;
        let way = Arc::clone(self.core.lock().ways.get(&out.way)?);
        Some(WayOut { way, host: name::number(out.host.as_bytes()) })
    }

    /// Somebody at the end of this way has answered.
    pub fn heard(&self, out: &WayOut, now: Tick) {
        out.way.heard.store(now.nanos(), Relaxed);
        // Who answers looks for a suspicion after this; who suspects looks for answers after that. One of them
        // sees the other.
        fence(SeqCst);
        if self.suspected.load(Acquire) && self.suspected.swap(false, AcqRel) {
            tracing::info!("a provider answers: the network here is no longer suspected");
        }
    }

    /// An attempt failed.
    pub fn failed(&self, out: &WayOut, fault: Fault, now: Tick) -> Guilt {
        match news(fault) {
            News::Cut => self.cut(out, now),
            News::Answer => {
                self.heard(out, now);
                Guilt::Usual
            }
            News::None => Guilt::Usual,
        }
    }

    fn cut(&self, out: &WayOut, now: Tick) -> Guilt {
        let mut core = self.core.lock();
        out.way.host.store(out.host, Relaxed);
        out.way.failed.store(now.nanos(), Relaxed);
        let lasts = self.lasts(&core, now);
        if !lasts {
            let is_everywhere = || {
                let sights: Vec<Sight> = core.ways.values().map(|way| way.sight()).collect();
                outage::is_everywhere(&sights, now)
            };
            if !is_everywhere() {
                self.suspected.store(false, Release);
                return Guilt::Usual;
            }
            self.suspected.store(true, Release);
            fence(SeqCst);
            // Somebody may have answered while it was not yet suspected, and so have ended nothing.
            if !is_everywhere() {
                self.suspected.store(false, Release);
                return Guilt::Usual;
            }
            tracing::warn!(
                providers = core.ways.len(),
                "no provider can be reached: the network here is suspected, and no upstream is blamed until one answers"
            );
        }
        core.last = Some(now);
        Guilt::Network
    }

    /// Whether the network is to blame, as far as anybody knows.
    pub fn is_suspected(&self, now: Tick) -> bool {
        self.suspected.load(Acquire) && self.lasts(&self.core.lock(), now)
    }

    fn lasts(&self, core: &Core, now: Tick) -> bool {
        self.suspected.load(Acquire) && core.last.is_some_and(|last| now.since(last) < FORGET)
    }
}

/// What a failure says about the way to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// It could not be reached.
    Cut,
    /// It could.
    Answer,
    None,
}

const fn news(fault: Fault) -> News {
    match fault {
        Fault::Dns | Fault::Connect | Fault::ConnectTimeout | Fault::Tls | Fault::Reset => News::Cut,
        Fault::BadRequest
        | Fault::ContextOverflow
        | Fault::ContentPolicy
        | Fault::ForeignReasoning
        | Fault::Throttled
        | Fault::QuotaExhausted
        | Fault::AuthRefused
        | Fault::ModelMissing
        | Fault::BadGateway
        | Fault::ServerError
        | Fault::Overloaded
        | Fault::Busy
        | Fault::StreamError => News::Answer,
        // Silence, and what ends in the middle, may be either's; the rest is ours.
        Fault::NotProcessed
        | Fault::Protocol
        | Fault::HeadersTimeout
        | Fault::FirstEventTimeout
        | Fault::Truncated
        | Fault::StreamCut
        | Fault::StreamStalled
        | Fault::Cancelled
        | Fault::PoolFull
        | Fault::DeadlineExceeded
        | Fault::Starved
        | Fault::Unsayable => News::None,
    }
}
