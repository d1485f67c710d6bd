//! The running gateway as one thing: starts its background work, answers the console, and leaves.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use tokio::sync::Semaphore;

use super::alerting;
use super::assemble::Assembler;
use super::booking;
use super::builtin::Simulating;
use super::capturing;
use super::collector::{self, Farewell};
use super::front::Front;
use super::history::History;
use super::issuers::Messenger;
use super::keeper::{Keeper, Recalled};
use super::keyring;
use super::lifecycle::{Lifecycle, Stage};
use super::loader::{Draft, Loader, Rejection};
use super::prober::{Prober, Subject, probe_now};
use super::reload::{Cause, First, Reloader};
use super::renewal::renew;
use super::rescue::Rescue;
use super::sharing::{self, Sharing};
use super::spending;
use super::storing;
use super::tasks::Tasks;
use super::tls::Certificate;
use super::upkeep;
use super::visitor;
use super::watch;
use crate::access::budgets;
use crate::access::limits::Seen;
use crate::access::tokens::Published;
use crate::access::{Access, Desk, Managed};
use crate::admin::{Applied, Calling, Editing, Phase, Probed, Pulse, Refused, Reloaded, Running, Trail};
use crate::alerts::Herald;
use crate::cache::{Held, KeptNow};
use crate::capture::Captures;
use crate::ledger::{self, Journal, Ledger, Spool};
use crate::proxy::Gateway;
use crate::shared::{Link, Purses, Standing, Tallies};
use crate::simulated::Simulated;
use crate::state::{Live, Table};
use crate::store::Store;
use crate::upstream::{Dial, Pool};

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
    ///
    /// # Errors
    /// What is configured cannot be had. All that can be refused comes before the first work begins.
    pub fn start(
        live: Arc<Live>,
        loader: Arc<Loader>,
        mut draft: Draft,
        dial: Arc<dyn Dial>,
        simulating: Simulating,
    ) -> Result<Arc<Self>, Rejection> {
        let outside = Outside::open(&live, &loader, &draft)?;
        let store = outside.store.as_ref().map(|opened| Arc::clone(&opened.store));
        let trail = Trail::new(Arc::clone(&live), store.clone());
        let mut assembler = Assembler::new(Arc::clone(&live), Arc::clone(&dial), simulating);
        let messenger = Arc::new(Messenger {
            publishers: Arc::clone(&assembler.publishers),
            dial: Arc::clone(&dial),
            live: Arc::clone(&live),
        });
        let hashed_with = draft.blueprint.server.key_hash_secret.as_ref();
        let desk = store.as_ref().zip(hashed_with).map(|(store, secret)| {
            let managed = Managed::new(secret);
            assembler.managed = Some(Arc::clone(&managed));
            Desk::new(Arc::clone(store), managed)
        });
        if let Some(memoir) = outside.recalled.memoir {
            assembler.recall(memoir);
        }
        let (snapshot, _) = assembler.assemble(&loader.source().name(), &mut draft)?;

        let gateway = Gateway::new(Arc::clone(&live), snapshot);
        gateway.recall_places(&outside.recalled.lasting.left);
        let tasks = Arc::new(Tasks::new(Arc::clone(&live)));
        let prober = Prober::new(Arc::clone(&live), Arc::clone(&tasks));
        let slots = Arc::clone(&prober.slots);
        let rescue = Rescue::new(live, Arc::clone(&tasks), Arc::clone(&prober));
        let captures = capturing::begin(&gateway, Arc::clone(&loader), &tasks);
        let reloader = Reloader::new(First {
            gateway: Arc::clone(&gateway),
            loader,
            assembler,
            fingerprint: draft.fingerprint,
            prober,
            store: draft.blueprint.store,
            trail: Arc::clone(&trail),
            history: outside.state_file.map_or_else(History::new, |path| History::beside(&path)),
            text: draft.text,
        });
        let link = outside.redis.map(|(sharing, dialler)| share(&gateway, &tasks, sharing, dialler));
        if let Some(opened) = outside.store {
            storing::begin(opened, &tasks);
        }
        let journal = booking::note(&gateway, &tasks);
        let ledger = store.as_ref().zip(outside.spool);
        let ledger = ledger.map(|(store, spool)| booking::keep(&gateway, store, spool, &tasks));
        let keeping = store.clone().zip(ledger.clone());
        let keeping = keeping.map(|(store, ledger)| alerting::Keeping { store, ledger });
        let herald = alerting::begin(&gateway, Arc::clone(&dial), keeping, &tasks);
        let lifecycle = Arc::new(Lifecycle::default());
        let host = Arc::new(Self {
            front: Front::new(gateway, Arc::clone(&lifecycle)),
            lifecycle,
            tasks,
            reloader,
            certificate: draft.certificate.map(Arc::new),
            admin_certificate: draft.admin_certificate.map(Arc::new),
            keeper: outside.keeper,
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
            pulse: Arc::default(),
            farewell: Arc::default(),
        });
        host.keep_going(rescue);
        collector::begin(&host, dial);
        Ok(host)
    }

    /// Starts what goes on for as long as the process lives.
    fn keep_going(&self, rescue: Rescue) {
        let (tasks, gateway) = (&self.tasks, || Arc::clone(self.gateway()));
        let live = || Arc::clone(&self.gateway().live);
        tasks.spawn("expire", upkeep::expire(gateway(), rescue));
        tasks.spawn("series forgotten", upkeep::forget(gateway()));
        tasks.spawn("ended overrides", upkeep::note_ended(live(), Arc::clone(&self.trail)));
        tasks.spawn("pulse", upkeep::pulse(live()));
        let beats = upkeep::beats(Arc::clone(&self.pulse), gateway(), Arc::clone(&self.lifecycle));
        tasks.spawn("live pages", beats);
        tasks.spawn("sweep", upkeep::sweep(gateway(), Arc::clone(&self.reloader)));
        tasks.spawn("recheck", upkeep::rechecks(gateway()));
        for certificate in self.certificate.iter().chain(&self.admin_certificate) {
            tasks.spawn("certificate", renew(Arc::clone(certificate), live()));
        }
        if let Some(keeper) = &self.keeper {
            tasks.spawn("state file", Arc::clone(keeper).follow(gateway()));
        }
        tasks.spawn("issuers", Arc::clone(&self.messenger).follow());
        if let Some(desk) = &self.desk {
            let follow = keyring::follow(Arc::clone(desk), Arc::clone(&self.trail), gateway());
            tasks.spawn("managed keys", follow);
        }
        tasks.spawn("room for callers", Arc::clone(&gateway().budgets).make_room());
        tasks.spawn("budgets", spending::follow(gateway(), self.store.clone()));
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

/// What the gateway has beyond its own process, with what an earlier one has left there.
struct Outside {
    state_file: Option<PathBuf>,
    keeper: Option<Arc<Keeper>>,
    recalled: Recalled,
    store: Option<storing::Opened>,
    spool: Option<Spool>,
    redis: Option<(Sharing, sharing::Dialler)>,
}

impl Outside {
    /// The state file comes first, since it sets the clock on by which everything else goes.
    fn open(live: &Arc<Live>, loader: &Loader, draft: &Draft) -> Result<Self, Rejection> {
        let server = &draft.blueprint.server;
        let state_file = server.state_file.as_deref().map(|path| loader.beside(path));
        let keeper = state_file.clone().map(|path| Arc::new(Keeper::new(path)));
        let recalled = keeper.as_ref().map(|keeper| keeper.recall(live)).unwrap_or_default();
        live.overrides.recall(&recalled.lasting.overrides, live.clock.unix_now(), live.now());
        let store = storing::open(loader, draft, live)?;
        let spool = booking::spool(loader, draft, store.as_ref().map(|opened| &opened.store))?;
        let redis = server.redis.clone().map(|redis| {
            let dialler = sharing::Dialler::new(&redis, draft.roots.get(&redis.ca_file));
            (Sharing::new(redis, live), dialler)
        });
        Ok(Self { state_file, keeper, recalled, store, spool, redis })
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
