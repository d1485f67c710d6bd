//! A gateway between simulated upstreams, all in memory.
//!
//! `Lab::start(yaml)` compiles the same blueprint that `serve` would; every `provider: simulated`
//! upstream becomes an in-memory one. Callers speak HTTP/1.1 over a pipe, so that hang-ups, cut
//! transports and framing are as on a socket.

pub mod books;
mod caller;
mod deaf;
mod load;
mod scribe;
pub mod strict;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mainstay::access::Access;
use mainstay::access::tokens::Publishers;
use mainstay::app::App;
use mainstay::config::{self, Blueprint, Env};
use mainstay::proxy::{Gateway, Snapshot};
use mainstay::simulated::{self, Simulated};
use mainstay::state::{Live, Registry, Table};
use mainstay::upstream::{Dial, DialError, Dialing, Fetcher, Pool, Resolving, Socket, Target};
use mainstay::vocab::Fault;
use parking_lot::Mutex;

pub use caller::{Answer, Ask, End, Kept, send};
pub use load::{Load, Report};
pub use scribe::{Heard, Said, Scribe, Step};

/// Buffer of an in-memory connection; small enough that a slow reader is felt.
const PIPE: usize = 64 * 1024;

pub struct Lab {
    pub gateway: Arc<Gateway>,
    sims: BTreeMap<String, Arc<Simulated>>,
    registry: Mutex<Registry>,
    dial: Arc<MemoryDial>,
    /// Whose public keys nobody fetches here: a test says them.
    pub publishers: Publishers,
    /// What goes on in the background; it ends with the lab.
    background: Background,
}

enum Background {
    /// Breakers age, and nothing else happens that a test did not ask for.
    Ticker(tokio::task::JoinHandle<()>),
    /// All tasks of the program: probes, rechecks, reloads.
    Whole { app: App },
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Background::Ticker(ticker) = &self.background {
            ticker.abort();
        }
    }
}

struct NoEnv;

impl Env for NoEnv {
    /// A variable of the lab is worth its own name.
    fn var(&self, name: &str) -> Option<String> {
        name.starts_with("LAB_").then(|| format!("secret-of-{name}"))
    }

    /// The lab has the files that a test has written, by their whole paths.
    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
    }
}

impl Lab {
    /// Panics with the rendered problems where `yaml` is wrong.
    pub fn start(yaml: &str) -> Self {
        Self::seeded(yaml, 7)
    }

    pub fn seeded(yaml: &str, seed: u64) -> Self {
        Self::build(yaml, seed, &[], Sims::default())
    }

    /// As [`Lab::start`], with upstreams that close a connection after so much idleness.
    pub fn hasty(yaml: &str, keep_alive: Duration) -> Self {
        Self::build(yaml, 7, &[], Sims { keep_alive: Some(keep_alive), ..Sims::default() })
    }

    /// As [`Lab::start`], with scribes as the upstreams of those names, whatever their `base_url`.
    pub fn beside(yaml: &str, scribes: &[(&str, &Arc<Scribe>)]) -> Self {
        Self::build(yaml, 7, scribes, Sims::default())
    }

    /// As [`Lab::start`], with upstreams that say "overloaded" to more requests at once than `capacity`.
    pub fn narrow(yaml: &str, capacity: u32) -> Self {
        Self::build(yaml, 7, &[], Sims { capacity: Some(capacity), ..Sims::default() })
    }

    /// The whole program without its sockets: with health probes and everything else that runs beside
    /// the requests.
    pub fn whole(yaml: &str) -> Self {
        Self::whole_beside(yaml, &[])
    }

    /// As [`Lab::whole`], with scribes at the hosts of those names.
    pub fn whole_beside(yaml: &str, scribes: &[(&str, &Arc<Scribe>)]) -> Self {
        let blueprint = read(yaml);
        let sims = simulate(&blueprint, Sims::default());
        let scribes = scribes.iter().map(|(name, scribe)| ((*name).to_owned(), Arc::clone(scribe))).collect();
        let dial = Arc::new(MemoryDial { sims: sims.clone(), scribes, ..MemoryDial::default() });
        let dialing: Arc<dyn Dial> = dial.clone();
        let app =
            App::in_memory(Live::seeded(7), blueprint, dialing).unwrap_or_else(|error| panic!("{error}"));
        let gateway = Arc::clone(app.gateway());
        Self {
            gateway,
            sims,
            registry: Mutex::default(),
            dial,
            publishers: Publishers::default(),
            background: Background::Whole { app },
        }
    }

    fn build(yaml: &str, seed: u64, scribes: &[(&str, &Arc<Scribe>)], of: Sims) -> Self {
        let live = Arc::new(Live::seeded(seed));
        let blueprint = read(yaml);
        let sims = simulate(&blueprint, of);
        let scribes = scribes.iter().map(|(name, scribe)| ((*name).to_owned(), Arc::clone(scribe))).collect();
        let dial = Arc::new(MemoryDial { sims: sims.clone(), scribes, ..MemoryDial::default() });
        let mut registry = Registry::default();
        let publishers = Publishers::default();
        let snapshot = compile(&blueprint, &mut registry, &live, &dial, (None, &publishers));
        let gateway = Gateway::new(live, snapshot);
        let ticking = Arc::clone(&gateway);
        let ticker = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(250)).await;
                ticking.snapshot().table.expire();
            }
        });
        Self {
            gateway,
            sims,
            registry: Mutex::new(registry),
            dial,
            publishers,
            background: Background::Ticker(ticker),
        }
    }

    /// Another configuration, with the same upstreams.
    pub fn reload(&self, yaml: &str) {
        assert!(matches!(self.background, Background::Ticker(_)), "the whole program reloads by itself");
        let before = self.gateway.snapshot();
        let blueprint = read(yaml);
        let live = Arc::clone(&self.gateway.live);
        let snapshot = compile(
            &blueprint,
            &mut self.registry.lock(),
            &live,
            &self.dial,
            (Some(&before), &self.publishers),
        );
        self.gateway.swap(snapshot);
    }

    /// The whole program, where it is that.
    pub fn app(&self) -> &App {
        match &self.background {
            Background::Whole { app } => app,
            Background::Ticker(_) => panic!("only a part of the program runs"),
        }
    }

    /// As [`Lab::reload`], by the whole program.
    pub async fn replace(&self, yaml: &str) {
        let reloaded = self.app().host().reloader.replace(read(yaml)).await;
        reloaded.unwrap_or_else(|rejection| panic!("{rejection}"));
    }

    /// Every connection to `name` that is open now falls silent, unnoticed by either end, as behind a firewall that
    /// has forgotten it. New ones are well.
    pub fn lose_connections(&self, name: &str) {
        self.dial.lost.lock().entry(name.to_owned()).or_default().lose();
    }

    /// Whatever is sent to `name` is dropped on the way, and new connections to it do not come about.
    pub fn swallow(&self, name: &str) {
        self.lose_connections(name);
        self.dial.swallowed.lock().insert(name.to_owned());
    }

    /// Connections to `name` that nobody uses.
    pub fn kept(&self, name: &str) -> usize {
        let snapshot = self.gateway.snapshot();
        snapshot.pools.iter().filter(|pool| &**pool.name() == name).map(|pool| pool.counts().idle).sum()
    }

    pub fn sim(&self, name: &str) -> &Arc<Simulated> {
        self.sims.get(name).unwrap_or_else(|| panic!("no upstream {name}"))
    }

    /// Requests that reached `name` so far.
    pub fn arrived(&self, name: &str) -> u64 {
        self.sim(name).control().counts().arrived
    }

    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.gateway.snapshot().table)
    }

    /// The value of one series, 0 where it was never counted.
    pub fn metric(&self, series: &str) -> f64 {
        self.table().export();
        let text = self.gateway.live.metrics.render();
        let line =
            text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
    }

    /// The sum of all series of `name` whose labels contain every one of `labels`.
    pub fn metric_sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.table().export();
        let text = self.gateway.live.metrics.render();
        text.lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// The name of the state of a breaker; the transport's for an empty model.
    pub fn breaker(&self, upstream: &str, model: &str) -> &'static str {
        let table = self.table();
        let upstream = table.upstreams.iter().find(|u| &*u.config.name == upstream).unwrap();
        if model.is_empty() {
            return upstream.memory.gate.state().name();
        }
        let model = upstream.memory.model(model, None);
        model.gate.as_ref().unwrap().state().name()
    }

    /// Nothing is in flight anywhere: no request, no permit, no connection, nothing upstream.
    pub async fn assert_quiet(&self) {
        // What was dropped a moment ago takes a few polls to be gone at the other end.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let unrest = self.unrest();
        assert!(unrest.is_empty(), "{unrest:#?}");
    }

    /// The same for threads in real time, which need a while on a loaded machine.
    pub async fn becomes_quiet(&self) {
        for _ in 0..50 {
            if self.unrest().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.assert_quiet().await;
    }

    /// What is in flight, and where.
    fn unrest(&self) -> Vec<String> {
        let mut unrest = Vec::new();
        let mut see = |count: &dyn Display, what: String| {
            let count = count.to_string();
            if count != "0" {
                unrest.push(format!("{count} {what}"));
            }
        };
        see(&self.gateway.in_flight(), "requests in flight".to_owned());
        see(&self.gateway.unattended(), "answers that nobody waits for".to_owned());
        let (snapshot, now) = (self.gateway.snapshot(), self.gateway.live.now());
        for (upstream, pool) in snapshot.table.upstreams.iter().zip(&snapshot.pools) {
            let name = &upstream.config.name;
            see(&upstream.memory.in_flight.load(Relaxed), format!("attempts in flight at {name}"));
            for model in &upstream.memory.models {
                see(&model.in_flight(), format!("attempts in flight at {name}/{}", model.name));
                see(&model.taken(), format!("places taken at {name}/{}", model.name));
                if let Some(gate) = &model.gate {
                    see(&gate.snapshot(now).leases, format!("leases of {name}/{}", model.name));
                }
            }
            see(&upstream.memory.gate.snapshot(now).leases, format!("leases of {name}"));
            let counts = pool.counts();
            see(&(counts.in_use + counts.opening), format!("connections of {name}"));
        }
        for route in &snapshot.table.routes {
            let name = &route.config.name;
            see(&route.memory.in_flight.load(Relaxed), format!("requests in flight on {name}"));
            see(&route.memory.queue.length(), format!("requests that wait on {name}"));
        }
        for seen in self.gateway.budgets.seen() {
            see(&seen.reserved.as_nano_usd(), format!("nano-USD reserved of {}'s budget", seen.name));
        }
        see(&snapshot.fetcher.busy(), "fetches of callers' URLs".to_owned());
        see(&self.gateway.live.holdings.bytes(), "bytes held for requests".to_owned());
        for (name, sim) in &self.sims {
            see(&sim.control().counts().in_flight, format!("requests that {name} still works on"));
        }
        unrest
    }
}

/// What the file does not say of simulated upstreams.
#[derive(Clone, Copy, Default)]
struct Sims {
    keep_alive: Option<Duration>,
    capacity: Option<u32>,
}

fn simulate(blueprint: &Blueprint, of: Sims) -> BTreeMap<String, Arc<Simulated>> {
    let mut sims = BTreeMap::new();
    for upstream in &blueprint.upstreams {
        if let Some(settings) = &upstream.simulated {
            let settings = simulated::Settings {
                ttft: settings.ttft,
                pace: settings.pace,
                words: settings.words,
                seed: settings.seed,
                keep_alive: of.keep_alive,
                capacity: of.capacity,
            };
            sims.insert(upstream.name.to_string(), Simulated::in_memory(&upstream.name, settings));
        }
    }
    sims
}

fn read(yaml: &str) -> Blueprint {
    match config::load(yaml, &NoEnv) {
        Ok(loaded) => loaded.blueprint,
        Err(problems) => panic!("{problems:#?}"),
    }
}

fn compile(
    blueprint: &Blueprint,
    registry: &mut Registry,
    live: &Arc<Live>,
    dial: &Arc<MemoryDial>,
    (before, publishers): (Option<&Snapshot>, &Publishers),
) -> Snapshot {
    let table = Arc::new(Table::compile(blueprint, registry, live));
    let known: BTreeMap<&str, &Arc<Pool>> = before
        .map(|before| before.pools.iter().map(|pool| (&**pool.name(), pool)).collect())
        .unwrap_or_default();
    let pools = blueprint
        .upstreams
        .iter()
        .map(|upstream| {
            if let Some(pool) = known.get(&*upstream.name) {
                Arc::clone(pool)
            } else {
                let mut base = upstream.base.clone();
                base.host = Arc::clone(&upstream.name);
                let target = Target::new(&base, upstream.pool.http2);
                let dial: Arc<dyn Dial> = dial.clone();
                Pool::new(Arc::clone(&upstream.name), target, upstream.pool.clone(), dial)
            }
        })
        .collect();
    let access = Access::compile(blueprint, &live.metrics);
    let access = Arc::new(access.trusting(&blueprint.issuers, publishers, &live.metrics));
    let dialing: Arc<dyn Dial> = dial.clone();
    let fetcher = Fetcher::new(blueprint.server.media.clone(), dialing);
    Snapshot { table, pools, access, fetcher }
}

/// Connects to the simulated upstream, or the scribe, whose name is the host's.
#[derive(Default)]
struct MemoryDial {
    sims: BTreeMap<String, Arc<Simulated>>,
    scribes: BTreeMap<String, Arc<Scribe>>,
    lost: Mutex<BTreeMap<String, deaf::Era>>,
    swallowed: Mutex<BTreeSet<String>>,
}

impl Dial for MemoryDial {
    /// There are no names here but the upstreams'; a URL of a caller has to have an address.
    fn resolve(&self, _: &str, _: u16) -> Resolving {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn dial(&self, target: Arc<Target>) -> Dialing {
        let sim = self.sims.get(&*target.host).cloned();
        let scribe = self.scribes.get(&*target.host).cloned();
        let era = self.lost.lock().entry(target.host.to_string()).or_default().clone();
        if self.swallowed.lock().contains(&*target.host) {
            return Box::pin(std::future::pending());
        }
        Box::pin(async move {
            let refused = |error: io::Error| DialError { fault: Fault::Connect, detail: error.to_string() };
            let (ours, theirs) = tokio::io::duplex(PIPE);
            match (sim, scribe) {
                (Some(sim), _) => sim.serve_connection(theirs).map_err(refused)?,
                (None, Some(scribe)) => scribe.serve(theirs, target.http2).map_err(refused)?,
                (None, None) => {
                    return Err(DialError { fault: Fault::Dns, detail: "no such host".to_owned() });
                }
            }
            Ok(Box::new(era.socket(ours)) as Box<dyn Socket>)
        })
    }
}
