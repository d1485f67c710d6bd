//! The path of one request, from its head to the last byte of its answer.
//!
//! ```text
//! Request ─ intake ─► Guest ─ drive ─► (plan ─ choose ─► Permit ─ attempt ─► Answer | Failure ─ verdict)* ─► Response
//! ```
//!
//! | file | job |
//! |---|---|
//! | `intake` | head and body -> [`Guest`]: whose dialect, which route, what may be sent again |
//! | `cors` | which web pages of other sites may ask, and read the answers |
//! | `identity` | who asks, and what he is told who may not |
//! | `leave` | how far a caller's key reaches |
//! | `byok` | callers' own keys to providers |
//! | `steer` | which route serves a request that came to another: rules and splits |
//! | `needs` | what a request needs of a model: abilities, a window |
//! | `reckon` | a prompt's tokens, counted where an estimate will not do |
//! | `once` | a body that is too large to keep, and is sent once |
//! | `deadline` | deadlines that callers bring along |
//! | `admission` | who is served when not all can be: priorities, the wait for room |
//! | `budgets` | whether a caller may spend more, and which route serves him if not |
//! | `limits` | whether a caller may use more, and what he has used |
//! | `privacy` | what may be kept of a request beside numbers |
//! | `cost` | what a request has cost, for a caller who asks |
//! | `capture` | which requests are captured, and what of them is seen |
//! | `memory` | who may make the gateway hold more bytes |
//! | `beside` | work that takes long, beside the threads that serve |
//! | `again` | answers that are kept, for the same request later |
//! | `named` | requests that callers name by an `Idempotency-Key` |
//! | `share`, `flight` | one attempt for all who ask the same at the same moment |
//! | `drive` | the attempt loop |
//! | `hedge` | two attempts that race, where the first one is silent |
//! | `early` | the head of a stream that goes out before anybody has answered |
//! | `attempt` | one try on one channel, up to the commit |
//! | `peek` | holds a stream back until its first content |
//! | `media` | what a request's URLs hold, for channels that fetch nothing |
//! | `thoughts` | where encrypted reasoning was made, and goes back to |
//! | `degrade` | what becomes of a request that no channel can take |
//! | `count` | counts tokens where no upstream does |
//! | `onward` | has another channel go on with a stream that broke off |
//! | `reply` | the body that goes to the caller, and what happens when it breaks |
//! | `tail` | reads the usage at the end of an answer too large to hold |
//! | `unattended` | attempts that are read to their ends though nobody waits for them |
//! | `tunnel` | connections that have switched protocols |
//! | `wrapped` | answers to those who have Anthropic's Messages as a cloud has them |
//! | `refuse` | our own errors, in the caller's dialect |
//! | `strike` | what no caller is to read of an upstream's words |
//! | `seal` | what is put last on every answer |
//! | `settle` | books a request's end exactly once |
//! | `metering` | what attempts are metered by, and the labels of a request's row |
//! | `explain` | tells a caller who may ask why his request went where it went |
//! | `trace` | where a request stands in a distributed trace, and who is told of that |
//! | `stranger` | requests that came to no route, for those who look for them |
//! | `mirror` | a share of the requests goes to another route as well, whose answers nobody gets |
//! | `recall` | the responses that callers refer to, which are remembered here |
//! | `bonds` | where responses are stored that only their upstream has |
//! | `left` | the files and batches that callers leave at an upstream, and where each is |
//! | `models` | the list of models, which no upstream is asked for |
//!
//! One request sees one [`Snapshot`] for its whole life; what it leaves for later requests is kept within the bounds
//! that are in force by then. After the commit the answer owns its permit, and there is no plan left that could retry;
//! a route may have its streams *continued*, which is another plan's affair.

mod admission;
mod again;
mod attempt;
pub mod beside;
mod bonds;
mod budgets;
mod byok;
mod capture;
mod cors;
mod cost;
mod count;
mod deadline;
mod degrade;
mod drive;
mod early;
mod explain;
mod flight;
mod hedge;
mod identity;
mod intake;
mod leave;
mod left;
mod limits;
mod media;
mod memory;
mod metering;
mod mirror;
mod models;
mod named;
mod needs;
mod once;
mod onward;
mod peek;
mod privacy;
mod recall;
mod reckon;
mod refuse;
mod reply;
mod seal;
mod settle;
mod share;
mod steer;
mod stranger;
mod strike;
mod tail;
mod thoughts;
mod trace;
mod tunnel;
mod unattended;
mod wrapped;

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use tokio::time::sleep;

pub use intake::{Arriving, Guest};
pub use reply::Reply;

use self::seal::{Seal, Wishes};
use crate::access::budgets::Budgets;
use crate::access::limits::Limiter;
use crate::access::{Access, Caller, Guesses, OwnKeys};
use crate::cache::{Held, KeptNow, Memory};
use crate::capture::Captures;
use crate::dialect::Dialect;
use crate::ledger::{Journal, Ledger, Readers, Till};
use crate::route::{Bond, Hold};
use crate::state::{Live, Recent, Table};
use crate::upstream::{Fetcher, Pool};

/// How often those look whether everything has to end whom nobody wakes for it.
const LOOK_UP: Duration = Duration::from_secs(1);

/// A routing table, the connections to its upstreams and who may call: what one request sees.
pub struct Snapshot {
    pub table: Arc<Table>,
    /// As [`Table::upstreams`], place by place.
    pub pools: Box<[Arc<Pool>]>,
    pub access: Arc<Access>,
    pub fetcher: Arc<Fetcher>,
}

impl Snapshot {
    /// What the plans of requests may know of connections.
    fn connect_memories(&self) {
        for (upstream, pool) in self.table.upstreams.iter().zip(&self.pools) {
            pool.count_slow(&upstream.memory.slow_to_open);
        }
    }
}

/// Everything that requests share.
pub struct Gateway {
    pub live: Arc<Live>,
    snapshot: ArcSwap<Snapshot>,
    /// Where responses and conversations are stored that passed through here.
    bonds: bonds::Bonds,
    /// Where files and batches are.
    left: left::Places,
    /// Whose model encrypted which reasoning.
    thoughts: Recent<Bond>,
    guesses: Guesses,
    own_keys: OwnKeys,
    in_flight: AtomicU32,
    followed: trace::Followed,
    cut_off: AtomicBool,
    memory: Memory,
    before: again::Before,
    /// Who reads what requests come to.
    readers: Arc<Readers>,
    /// Where what they say is kept, if it is.
    captures: OnceLock<Arc<Captures>>,
    /// Prices attempts of requests that have no account.
    till: Arc<Till>,
    /// What callers have used of their limits.
    pub limiter: Arc<Limiter>,
    /// What they have spent of their budgets.
    pub budgets: Arc<Budgets>,
    mirrors: mirror::Mirrors,
    reckoner: Arc<reckon::Reckoner>,
    /// Answers that are read to their ends though nobody waits for them, or made in the background.
    unattended: unattended::Taken,
}

impl Gateway {
    pub fn new(live: Arc<Live>, snapshot: Snapshot) -> Arc<Self> {
        media::expect(&live.metrics);
        recall::expect(&live.metrics);
        thoughts::expect(&live.metrics);
        left::expect(&live.metrics);
        again::expect(&live.metrics);
        memory::expect(&live.metrics);
        refuse::expect(&live.metrics);
        snapshot.connect_memories();
        Arc::new(Self {
            limiter: Limiter::new(&live),
            budgets: Budgets::new(&live),
            reckoner: Arc::new(reckon::Reckoner::new(&live)),
            live,
            snapshot: ArcSwap::from_pointee(snapshot),
            bonds: bonds::Bonds::default(),
            thoughts: Recent::default(),
            left: left::Places::default(),
            guesses: Guesses::default(),
            own_keys: OwnKeys::default(),
            in_flight: AtomicU32::new(0),
            followed: trace::Followed::default(),
            cut_off: AtomicBool::new(false),
            memory: Memory::default(),
            before: again::Before::default(),
            readers: Arc::default(),
            captures: OnceLock::new(),
            till: Arc::new(Till),
            mirrors: mirror::Mirrors::default(),
            unattended: unattended::Taken::default(),
        })
    }

    /// Leaves what requests come to with `ledger`, from the next one on. For the very start.
    pub fn keep_books(&self, ledger: Arc<Ledger>) {
        self.readers.keep_books(ledger);
    }

    /// The same with `journal`.
    pub fn keep_journal(&self, journal: Arc<Journal>) {
        self.readers.keep_journal(journal);
    }

    /// The same with what they say, where that is to be captured.
    pub fn keep_captures(&self, captures: Arc<Captures>) {
        captures.follow(self.snapshot().table.telemetry.capture.as_ref());
        // The first one stays.
        let _ = self.captures.set(captures);
    }

    /// Where what has this id is stored for the caller. Who cannot look one of Anthropic's threads up says so, and then
    /// the caller sends all of it.
    fn bond(&self, caller: &Caller, dialect: Dialect, id: u64) -> Option<Bond> {
        let hold = if dialect == Dialect::Anthropic { Hold::Yields } else { Hold::Firm };
        self.bonds.find(caller, id, self.live.now()).map(|bond| Bond { hold, ..bond })
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts another snapshot in force and gives back the one before. Requests under way keep theirs.
    pub fn swap(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        snapshot.connect_memories();
        self.readers
            .journal()
            .inspect(|journal| journal.keep_most(snapshot.table.telemetry.journal_requests));
        if let Some(captures) = self.captures.get() {
            captures.follow(snapshot.table.telemetry.capture.as_ref());
        }
        let before = self.snapshot.swap(Arc::new(snapshot));
        self.budgets.changed();
        before
    }

    /// Requests that have not ended, tunnels included.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Answers that are read to their ends though nobody waits for them, or made in the background: of requests that are
    /// in flight, or have ended with another attempt's.
    pub fn unattended(&self) -> u32 {
        self.unattended.all()
    }

    /// What is remembered of translated responses.
    pub fn remembered(&self) -> Held {
        self.memory.held(self.live.now(), &self.snapshot().table.server.responses)
    }

    /// Answers that are kept, by what for.
    pub fn kept(&self) -> [(&'static str, KeptNow); 2] {
        self.before.held(self)
    }

    /// Attempts that several requests may share.
    pub fn shared(&self) -> usize {
        self.before.flights.under_way()
    }

    /// Where responses, files and batches are, for the next process: numbers that mean nothing to anybody else.
    pub fn places(&self) -> Vec<[u64; 4]> {
        [self.bonds.keep(), self.left.keep()].concat()
    }

    /// Takes what an earlier process knew of that.
    pub fn recall_places(&self, kept: &[[u64; 4]]) {
        let now = self.live.now();
        self.left.recall(&self.bonds.recall(kept, now), now);
    }

    /// Ends all requests that are mirrored, and begins no more: for the begin of a drain, since nobody waits for them.
    pub fn stop_mirrors(&self) {
        self.mirrors.stop();
    }

    /// Ends every open stream with an error event, and every request that waits for its answer with a 503, as soon as
    /// their tasks wake; within seconds where nobody wakes them. For the end of a drain.
    pub fn cut_off(&self) {
        self.cut_off.store(true, Relaxed);
    }

    /// Comes back when it is cut off, within seconds.
    async fn is_over(&self) {
        while !self.is_cut_off() {
            sleep(LOOK_UP).await;
        }
    }

    fn is_cut_off(&self) -> bool {
        self.cut_off.load(Relaxed)
    }

    /// What `serve` comes to; `None` where that would be too late.
    async fn in_time<T>(&self, mut serve: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        poll_fn(|cx| match serve.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if self.is_cut_off() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Answers one request of a connection that came `from` there. Dropping the future, or the answer's body, cancels
    /// the upstream's work, or has it read to its end (`on_hangup`).
    pub async fn serve(
        self: &Arc<Self>,
        request: Request<hyper::body::Incoming>,
        from: Option<IpAddr>,
    ) -> Response<Reply> {
        let snapshot = self.snapshot();
        let sharing = cors::Sharing::of(&snapshot.table, &request);
        let arrival = intake::Arrival::new(self, &snapshot, request, from);
        let (begun, wrapping) = (arrival.begun, arrival.wrapping);
        let wishes = Wishes::of(&arrival);
        let response = match intake::admit(self, &snapshot, arrival).await {
            Ok(intake::Admitted::Guest(guest)) => {
                let seal = Seal::of(&guest.settle, guest.dialect, wishes);
                let (dialect, request_id) = (guest.dialect, guest.request_id.clone());
                let served = match early::silence(&snapshot, &guest) {
                    None => self.in_time(pin!(again::serve(self, &snapshot, guest))).await,
                    // In a box, for the future of every request would be as large.
                    Some(silence) => {
                        self.in_time(Box::pin(early::serve(self, &snapshot, guest, silence)).as_mut()).await
                    }
                };
                let too_late = || refuse::too_late(dialect, &request_id).into_response(&self.live);
                seal.put(self, served.unwrap_or_else(too_late))
            }
            Ok(intake::Admitted::Answered(response)) => *response,
            Err(mut refusal) => {
                refusal.dialect = wrapped::told_in(wrapping, refusal.dialect);
                stranger::note(self, &refusal, begun);
                let seal = Seal::of_refused(&refusal, wishes);
                seal.put(self, refusal.into_response(&self.live))
            }
        };
        let mut response = wrapped::on(self, wrapping, begun, response);
        sharing.say(response.headers_mut());
        response
    }
}
