//! The running gateway as one thing: starts its background work, answers the console, and leaves.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::alerting;
use super::assemble::Assembler;
use super::booking;
use super::builtin::Simulating;
use super::capturing;
use super::collector::{self, Farewell};
use super::front::Front;
use super::history::History;
use super::issuers::Messenger;
use super::keeper::Keeper;
use super::keyring;
use super::lifecycle::{Lifecycle, Stage};
use super::loader::{Draft, Loader, Rejection};
use super::prober::{Prober, Subject, probe_now};
use super::recheck::recheck;
use super::reload::{Cause, First, Reloader};
use super::renewal::renew;
use super::rescue::Rescue;
use super::sharing::{self, Sharing};
use super::spending;
use super::storing;
use super::tasks::Tasks;
use super::tls::Certificate;
use super::visitor;
use super::watch;
use crate::access::budgets;
use crate::access::limits::Seen;
use crate::access::tokens::Published;
use crate::access::{Access, Desk, Managed};
use crate::admin::{
    Applied, Calling, Deed, Editing, Phase, Probed, Pulse, Refused, Reloaded, Running, Trail,
};
use crate::alerts::Herald;
use crate::algo::breaker::State;
use crate::cache::{Held, KeptNow};
use crate::capture::Captures;
use crate::ledger::{self, Journal, Ledger};
use crate::proxy::{Gateway, Snapshot};
use crate::shared::{Link, Purses, Standing, Tallies};
use crate::simulated::Simulated;
use crate::state::{Live, Table};
use crate::store::Store;
use crate::telemetry::{catalogue, logs};
use crate::upstream::{Dial, Pool};

/// Leases end and levels decay with this resolution.
const EXPIRE: Duration = Duration::from_millis(250);
/// Series of what is gone are looked for.
const FORGET: Duration = Duration::from_mins(1);
/// What operators have said, and has ended by itself, is told of.
const NOTE: Duration = Duration::from_secs(1);
/// Pages that are left open are told what happens.
const BEAT: Duration = Duration::from_secs(1);
/// Connections past their time are closed, refused keys rechecked.
const SWEEP: Duration = Duration::from_secs(5);
/// A timer of this period tells how late timers are.
const PULSE: Duration = Duration::from_millis(100);

pub struct Host {
    pub front: Arc<Front>,
    pub lifecycle: Arc<Lifecycle>,
    pub tasks: Arc<Tasks>,
    pub reloader: Arc<Reloader>,
    pub certificate: Option<Arc<Certificate>>,
    /// Of the admin side.
    pub admin_certificate: Option<Arc<Certificate>>,
    pub(super) keeper: Option<Arc<Keeper>>,
    /// How many probes may run at the same moment.
    slots: Arc<Semaphore>,
    link: Option<Arc<Link>>,
    /// What outlives the process, where the configuration has a place for it.
    pub store: Option<Arc<Store>>,
    desk: Option<Arc<Desk>>,
    messenger: Arc<Messenger>,
    trail: Arc<Trail>,
    ledger: Option<Arc<Ledger>>,
    journal: Arc<Journal>,
    captures: Arc<Captures>,
    herald: Arc<Herald>,
    pulse: Arc<Pulse>,
    pub(super) farewell: Arc<Farewell>,
}

impl Host {
    /// Builds the first table and starts what keeps it alive. Needs a runtime.
    pub fn start(
        live: Arc<Live>,
        loader: Arc<Loader>,
        mut draft: Draft,
        dial: Arc<dyn Dial>,
        simulating: Simulating,
    ) -> Result<Arc<Self>, Rejection> {
        let mut assembler = Assembler::new(Arc::clone(&live), Arc::clone(&dial), simulating);
        let messenger = Messenger {
            publishers: Arc::clone(&assembler.publishers),
            dial: Arc::clone(&dial),
            live: Arc::clone(&live),
        };
        let messenger = Arc::new(messenger);
        let state_file = draft.blueprint.server.state_file.as_deref().map(|path| loader.beside(path));
        let keeper = state_file.clone().map(|path| Arc::new(Keeper::new(path)));
        let recalled = keeper.as_ref().map(|keeper| keeper.recall(&live)).unwrap_or_default();
        live.overrides.recall(&recalled.lasting.overrides, live.clock.unix_now(), live.now());
        if let Some(memoir) = recalled.memoir {
            assembler.recall(memoir);
        }
        let opened = storing::open(&loader, &draft, &live)?;
        let opened_store = opened.as_ref().map(|opened| &opened.store);
        let trail = Trail::new(Arc::clone(&live), opened_store.cloned());
        let hashed_with = draft.blueprint.server.key_hash_secret.as_ref();
        let desk = opened_store.zip(hashed_with).map(|(store, secret)| {
            let managed = Managed::new(secret);
            assembler.managed = Some(Arc::clone(&managed));
            Desk::new(Arc::clone(store), managed)
        });
        let spool = booking::spool(&loader, &draft, opened.as_ref().map(|opened| &opened.store))?;
        let sharing = draft.blueprint.server.redis.clone().map(|redis| {
            let dialler = sharing::Dialler::new(&redis, draft.roots.get(&redis.ca_file));
            (Sharing::new(redis, &live), dialler)
        });
        let (snapshot, _) = assembler.assemble(&loader.source().name(), &mut draft)?;
        let gateway = Gateway::new(Arc::clone(&live), snapshot);
        gateway.recall_places(&recalled.lasting.left);
        let lifecycle = Arc::new(Lifecycle::default());
        let tasks = Arc::new(Tasks::new(Arc::clone(&live)));
        let prober = Prober::new(Arc::clone(&live), Arc::clone(&tasks));
        let slots = Arc::clone(&prober.slots);
        let rescue = Rescue::new(Arc::clone(&live), Arc::clone(&tasks), Arc::clone(&prober));
        let captures = capturing::begin(&gateway, Arc::clone(&loader), &tasks);
        let reloader = Reloader::new(First {
            gateway: Arc::clone(&gateway),
            loader,
            assembler,
            fingerprint: draft.fingerprint,
            prober,
            store: draft.blueprint.store,
            trail: Arc::clone(&trail),
            history: state_file.map_or_else(History::new, |path| History::beside(&path)),
            text: draft.text,
        });
        let certificate = draft.certificate.map(Arc::new);
        let admin_certificate = draft.admin_certificate.map(Arc::new);
        let live_pages = Arc::new(Pulse::default());

        tasks.spawn("expire", expire(Arc::clone(&gateway), rescue));
        tasks.spawn("series forgotten", forget(Arc::clone(&gateway)));
        tasks.spawn("ended overrides", note_ended(Arc::clone(&live), Arc::clone(&trail)));
        tasks.spawn("pulse", pulse(live));
        tasks.spawn(
            "live pages",
            beats(Arc::clone(&live_pages), Arc::clone(&gateway), Arc::clone(&lifecycle)),
        );
        tasks.spawn("sweep", sweep(Arc::clone(&gateway), Arc::clone(&reloader)));
        tasks.spawn("recheck", rechecks(Arc::clone(&gateway)));
        for certificate in certificate.iter().chain(&admin_certificate) {
            tasks.spawn("certificate", renew(Arc::clone(certificate), Arc::clone(&gateway.live)));
        }
        if let Some(keeper) = &keeper {
            tasks.spawn("state file", Arc::clone(keeper).follow(Arc::clone(&gateway)));
        }
        let link = sharing.map(|(sharing, dialler)| share(&gateway, &tasks, sharing, dialler));
        let store = opened.map(|opened| {
            for work in opened.work {
                tasks.spawn("store", work);
            }
            tasks.spawn("store tended", storing::tend(Arc::clone(&opened.store), opened.retention));
            opened.store
        });
        tasks.spawn("issuers", Arc::clone(&messenger).follow());
        if let Some(desk) = &desk {
            let follow = keyring::follow(Arc::clone(desk), Arc::clone(&trail), Arc::clone(&gateway));
            tasks.spawn("managed keys", follow);
        }
        tasks.spawn("room for callers", Arc::clone(&gateway.budgets).make_room());
        tasks.spawn("budgets", spending::follow(Arc::clone(&gateway), store.clone()));
        let journal = booking::note(&gateway, &tasks);
        let ledger =
            store.as_ref().zip(spool).map(|(store, spool)| booking::keep(&gateway, store, spool, &tasks));
        let keeping = store.clone().zip(ledger.clone());
        let keeping = keeping.map(|(store, ledger)| alerting::Keeping { store, ledger });
        let herald = alerting::begin(&gateway, Arc::clone(&dial), keeping, &tasks);
        let front = Front::new(gateway, Arc::clone(&lifecycle));
        let host = Arc::new(Self {
            front,
            lifecycle,
            tasks,
            reloader,
            certificate,
            admin_certificate,
            keeper,
            slots,
            link,
            store,
            desk,
            messenger,
            trail,
            ledger,
            journal,
            captures,
            herald,
            pulse: live_pages,
            farewell: Arc::default(),
        });
        collector::begin(&host, dial);
        Ok(host)
    }

    /// Waits, not for long, until the keys of the store are known, and what was spent of budgets.
    pub(crate) async fn know_keys(&self) {
        let keys = async {
            if let Some(desk) = &self.desk {
                keyring::first(desk, self.gateway()).await;
            }
        };
        tokio::join!(keys, self.messenger.first());
        spending::first(self.gateway(), self.store.as_deref(), self.ledger.as_deref()).await;
    }

    /// Begins to follow the configuration's source.
    pub fn watch(&self) {
        self.tasks.spawn("reload watcher", watch::watch(Arc::clone(&self.reloader)));
    }

    /// Leaves what is known to the next process, where the configuration names a file for it.
    pub(super) async fn keep(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.leave(self.gateway()).await;
        }
        if let Some(ledger) = &self.ledger {
            booking::close(ledger).await;
        }
        booking::close_journal(&self.journal).await;
        capturing::close(&self.captures).await;
        collector::finish(&self.journal, &self.farewell).await;
    }

    /// The same of the store, once nobody asks for changes any more either.
    pub(super) async fn close_store(&self) {
        if let Some(store) = &self.store {
            storing::close(store).await;
        }
    }

    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.front.gateway
    }
}

/// Begins to share with other replicas what is learnt, limits and budgets.
fn share(gateway: &Arc<Gateway>, tasks: &Tasks, sharing: Sharing, dialler: sharing::Dialler) -> Arc<Link> {
    let link = Arc::clone(&sharing.link);
    // Before there is a connection: it teaches Redis the scripts that are known by then.
    gateway.limiter.share(Tallies::new(Arc::clone(&link), gateway.live.dice().next_u64()));
    gateway.budgets.share(Purses::new(Arc::clone(&link), gateway.live.dice().next_u64()));
    let hold = Arc::clone(&link).hold(move || dialler.clone().dial(), gateway.live.dice());
    tasks.spawn("redis", hold);
    tasks.spawn("budgets together", Arc::clone(&gateway.budgets).follow());
    tasks.spawn("limits", Arc::clone(&gateway.limiter).follow());
    tasks.spawn("sharing", sharing.follow(Arc::clone(gateway)));
    link
}

impl Drop for Host {
    fn drop(&mut self) {
        self.lifecycle.enter(Stage::Gone);
        self.pulse.end();
        self.tasks.abort_all();
        self.gateway().stop_mirrors();
    }
}

impl Running for Host {
    fn panicked(&self) -> Vec<&'static str> {
        self.tasks.panicked()
    }

    fn phase(&self) -> Phase {
        self.lifecycle.phase()
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.gateway().snapshot().table)
    }

    fn pools(&self) -> Vec<Arc<Pool>> {
        self.gateway().snapshot().pools.to_vec()
    }

    fn access(&self) -> Arc<Access> {
        Arc::clone(&self.gateway().snapshot().access)
    }

    fn desk(&self) -> Option<Arc<Desk>> {
        self.desk.clone()
    }

    fn issuers(&self) -> Vec<Arc<Published>> {
        self.messenger.publishers.all()
    }

    fn stock(&self) {
        keyring::stock(self.gateway());
    }

    fn trail(&self) -> Arc<Trail> {
        Arc::clone(&self.trail)
    }

    fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    fn herald(&self) -> Arc<Herald> {
        Arc::clone(&self.herald)
    }

    fn connections(&self) -> usize {
        self.front.open()
    }

    fn in_flight(&self) -> u32 {
        self.gateway().in_flight()
    }

    fn remembered(&self) -> Held {
        self.gateway().remembered()
    }

    fn kept(&self) -> [(&'static str, KeptNow); 2] {
        self.gateway().kept()
    }

    fn shared(&self) -> Option<Standing> {
        self.link.as_ref().map(|link| link.standing())
    }

    fn limits(&self) -> (Option<u32>, Vec<Seen>) {
        let limiter = &self.gateway().limiter;
        (limiter.replicas(), limiter.seen())
    }

    fn budgets(&self) -> Vec<budgets::Seen> {
        self.gateway().budgets.seen()
    }

    fn store(&self) -> Option<Arc<Store>> {
        self.store.clone()
    }

    fn journal(&self) -> Arc<Journal> {
        Arc::clone(&self.journal)
    }

    fn captures(&self) -> Arc<Captures> {
        Arc::clone(&self.captures)
    }

    fn ledger(&self) -> Option<ledger::Standing> {
        self.ledger.as_ref().map(|ledger| ledger.standing())
    }

    fn applied(&self) -> Applied {
        self.reloader.applied()
    }

    fn probe<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = Option<Probed>> + Send + 'a>> {
        Box::pin(async move {
            let snapshot = self.gateway().snapshot();
            let mut subjects = snapshot.table.upstreams.iter().zip(&snapshot.pools);
            let (upstream, pool) = subjects.find(|(upstream, _)| *upstream.config.name == *name)?;
            let subject = Subject { upstream: Arc::clone(upstream), pool: Arc::clone(pool) };
            Some(probe_now(&self.gateway().live, &self.slots, &subject).await)
        })
    }

    fn editing(&self) -> Arc<dyn Editing> {
        Arc::clone(&self.reloader) as _
    }

    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<Reloaded, Refused>> + Send + '_>> {
        let reloaded = self.reloader.reload(Cause::Order);
        Box::pin(async move { reloaded.await.map_err(|rejection| Refused(rejection.to_string())) })
    }

    fn call(&self, request: Request<Bytes>) -> Calling<'_> {
        Box::pin(visitor::call(&self.front, request))
    }

    fn simulated(&self, name: &str) -> Option<Arc<Simulated>> {
        self.reloader.simulated(name)
    }
}

async fn expire(gateway: Arc<Gateway>, rescue: Rescue) {
    loop {
        sleep(EXPIRE).await;
        let snapshot = gateway.snapshot();
        snapshot.table.expire();
        close_idle_where_open(&snapshot);
        rescue.look(&snapshot);
    }
}

/// What was kept to an upstream that has just failed is not worth keeping; streams under way finish
/// (RESILIENCE §4.14).
fn close_idle_where_open(snapshot: &Snapshot) {
    for (upstream, pool) in snapshot.table.upstreams.iter().zip(&snapshot.pools) {
        if matches!(upstream.memory.gate.state(), State::Open { .. }) {
            pool.close_idle();
        }
    }
}

/// What operators have said, and has had its time, is in the audit trail like what they take back.
async fn note_ended(live: Arc<Live>, trail: Arc<Trail>) {
    loop {
        sleep(NOTE).await;
        logs::pass(live.now());
        for (subject, said) in live.overrides.take_ended() {
            let detail = json!({ "ended": said.kind.name(), "said_by": &*said.by, "reason": &*said.reason });
            let subject = subject.to_string();
            trail.note(Deed { actor: "gateway", action: "upstream.enable", subject: &subject, detail }).await;
        }
    }
}

/// Series of what left the configuration go, a while after it.
async fn forget(gateway: Arc<Gateway>) {
    loop {
        sleep(FORGET).await;
        let snapshot = gateway.snapshot();
        let (names, now) = (snapshot.table.names(), gateway.live.now());
        let members = snapshot.access.holders();
        let is_known = |label: &str, value: &str| match label {
            "name" => value.ends_with(":*") || members.contains(value),
            _ => names.has(label, value),
        };
        gateway.live.metrics.forget(&is_known, now);
    }
}

async fn pulse(live: Arc<Live>) {
    let lag = live.metrics.histogram(&catalogue::RUNTIME_LAG, &[]);
    loop {
        let begun = live.now();
        sleep(PULSE).await;
        let late = live.now().since(begun).saturating_sub(PULSE);
        lag.record(late.as_secs_f64());
        live.pulse(late);
    }
}

async fn beats(pulse: Arc<Pulse>, gateway: Arc<Gateway>, lifecycle: Arc<Lifecycle>) {
    let mut gone = pin!(lifecycle.reached(Stage::Gone));
    loop {
        // A pause that loses was one without news.
        tokio::select! {
            () = &mut gone => return pulse.end(),
            () = sleep(BEAT) => pulse.beat(&gateway.snapshot().table),
        }
    }
}

async fn sweep(gateway: Arc<Gateway>, reloader: Arc<Reloader>) {
    loop {
        sleep(SWEEP).await;
        for pool in &gateway.snapshot().pools {
            pool.sweep();
        }
        reloader.clear_away().await;
    }
}

async fn rechecks(gateway: Arc<Gateway>) {
    loop {
        sleep(SWEEP).await;
        recheck(&gateway.live, &gateway.snapshot()).await;
    }
}
