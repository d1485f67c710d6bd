//! Books the end of a request exactly once, however it ends: counts it, and leaves what it came to, and why, to the
//! ledger and the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::limits::{Answered, Course, Drawn, Reached};
use super::reckon::{self, Prompt};
use super::{Gateway, metering, privacy};
use crate::access::Caller;
use crate::access::budgets::{Paid, Reserved};
use crate::algo::tick::Tick;
use crate::capture::Taking;
use crate::dialect::{Operation, trouble};
use crate::ledger::{self, Account, Wait, Waits};
use crate::route::steer::Taken;
use crate::shared::Waited;
use crate::state::books::Books;
use crate::state::look::Look;
use crate::state::model::Shape;
use crate::state::route::Route;
use crate::state::{Channel, Permit, Table};
use crate::telemetry::{RequestOutcome, Shed, StreamOutcome, catalogue};
use crate::vocab::{Part, Priority, Privacy, RequestId, Trace, Usage};

/// The longest name of a model that is written down.
const LONGEST_NAME: usize = 128;

/// What a request asks for, as far as its line of the log says it: nothing of what is in it.
#[derive(Clone, Debug)]
pub struct Asked {
    operation: Operation,
    /// The model as the caller named it; empty for plain HTTP.
    model: Arc<str>,
    shape: Shape,
    priority: Priority,
    /// Estimated, for those that no upstream counts.
    prompt_tokens: u32,
}

impl Asked {
    pub fn new(
        operation: Operation,
        model: &str,
        route: &Route,
        shape: Shape,
        priority: Priority,
        prompt_tokens: u64,
    ) -> Self {
        let prompt_tokens = u32::try_from(prompt_tokens).unwrap_or(u32::MAX);
        let model = match &route.config.name {
            // As it is called for most routes.
            name if **name == *model => Arc::clone(name),
            _ => model.char_indices().nth(LONGEST_NAME).map_or(model, |(end, _)| &model[..end]).into(),
        };
        Self { operation, model, shape, priority, prompt_tokens }
    }

    /// Leaves out what only its caller calls the model.
    fn forget_name(&mut self, table: &Table) {
        if !self.model.is_empty() && !table.knows(&self.model) {
            self.model = ledger::OTHER.into();
        }
    }
}

/// Where the end of what it stands for is booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bookkeeping {
    /// It is a caller's request.
    Own,
    /// It is a mirrored request: no caller's figures hear of it.
    Mirror,
    /// It goes along with a part of a request whose end another one books.
    Part,
}

/// How an answer began.
#[derive(Clone, Copy)]
struct FirstByte {
    /// Since the request's arrival.
    after: Duration,
    /// The gateway's own part of that.
    own: Duration,
}

/// Held by whoever has the request. Dropped without a word, it books a caller who hung up.
pub struct Settle {
    gateway: Arc<Gateway>,
    route: Arc<Route>,
    dialect: &'static str,
    request_id: RequestId,
    /// Where it stands in a trace.
    pub trace: Option<Trace>,
    /// What may be kept of it.
    pub privacy: Privacy,
    begun: Tick,
    /// What it waited for before the first byte back.
    waits: Waits,
    outcome: RequestOutcome,
    stream: Option<StreamOutcome>,
    asked: Asked,
    books: Bookkeeping,
    first_byte: Option<FirstByte>,
    /// Of its answer; 0 while there is none.
    status: u16,
    /// Whether the head went out before anybody had answered, where it may (`early`).
    pub ahead: Option<Arc<AtomicBool>>,
    /// What its row is made of, where rows are kept.
    account: Option<Arc<Account>>,
    /// Where what it says is captured, if it is.
    pub taking: Option<Arc<Taking>>,
    tags: Vec<(Arc<str>, Box<str>)>,
    /// What it asks to have read, where that may have to be counted.
    prompt: Option<Arc<Prompt>>,
    /// `hit`, `stale` or `repeat`: it got what was said before.
    pub replayed: Option<&'static str>,
    /// `shared` or `answer`: it had a part in another one's attempt, or got what the route says when nobody is left.
    pub instead: Option<&'static str>,
    /// What kind of error of ours it is answered with.
    pub error: Option<&'static str>,
    pub shed: Option<Shed>,
    /// The route that it came to.
    asked_route: Arc<str>,
    pub attempts: u32,
    /// How many of them were made beside one that was silent and had not failed.
    pub hedges: u32,
    /// Whose it is.
    pub caller: Caller,
    /// The arm of a split that it was given to.
    pub taken: Option<Taken>,
    /// The last one that was asked.
    pub channel: Option<Arc<Channel>>,
    pub usage: Option<Usage>,
    /// Content events of streams that did not come to their end: there are never fewer tokens.
    pub passed: u64,
    /// Time spent waiting for Redis, by limits and budgets.
    pub asked_redis: Waited,
    /// What it has drawn of its limits.
    pub drawn: Option<Box<Drawn>>,
    /// Its books, where it is held against budgets: they hold what it has reserved.
    paid: Option<Arc<Paid>>,
    /// The route that serves it because a budget is spent.
    pub downgraded: Option<Arc<str>>,
    pub reached: Reached,
}

impl Settle {
    pub fn begin(
        gateway: &Arc<Gateway>,
        route: &Arc<Route>,
        dialect: &'static str,
        request_id: &str,
        begun: Tick,
        asked: Asked,
    ) -> Self {
        route.memory.in_flight.fetch_add(1, Relaxed);
        gateway.in_flight.fetch_add(1, Relaxed);
        Self::of(gateway, route, dialect, request_id, begun, asked, Bookkeeping::Own)
    }

    /// Of a mirrored request, which no caller waits for: `mirror` keeps its figures.
    pub fn unheard(&self, route: &Arc<Route>, begun: Tick) -> Self {
        let (gateway, asked) = (&self.gateway, self.asked.clone());
        let mut unheard =
            Self::of(gateway, route, self.dialect, &self.request_id, begun, asked, Bookkeeping::Mirror);
        unheard.privacy = self.privacy;
        // It counts its attempts anew.
        unheard.trace = self.trace.map(|trace| Trace { seed: gateway.live.dice().next_u64(), ..trace });
        // What its attempt costs stands with the caller's request, whose row does not wait for it.
        unheard.account = self.account.as_ref().map(|account| {
            let chance = u128::from(gateway.live.dice().next_u64()) << 64;
            let row = ledger::Request { trace: unheard.trace.map(Box::new), ..self.row_so_far() };
            account.beside(row, chance | u128::from(gateway.live.dice().next_u64()))
        });
        unheard
    }

    /// For an attempt of the same request that goes its own way: this one books the end.
    pub fn aside(&self) -> Self {
        let (gateway, route, asked) = (&self.gateway, &self.route, self.asked.clone());
        let mut aside =
            Self::of(gateway, route, self.dialect, &self.request_id, self.begun, asked, Bookkeeping::Part);
        aside.privacy = self.privacy;
        aside
    }

    fn of(
        gateway: &Arc<Gateway>,
        route: &Arc<Route>,
        dialect: &'static str,
        request_id: &str,
        begun: Tick,
        asked: Asked,
        books: Bookkeeping,
    ) -> Self {
        Self {
            gateway: Arc::clone(gateway),
            route: Arc::clone(route),
            dialect,
            request_id: request_id.into(),
            trace: None,
            privacy: Privacy::default(),
            begun,
            waits: Waits::default(),
            outcome: RequestOutcome::Cancelled,
            stream: None,
            asked,
            books,
            first_byte: None,
            status: 0,
            ahead: None,
            account: match books {
                Bookkeeping::Own => Account::open(&gateway.readers),
                Bookkeeping::Mirror | Bookkeeping::Part => None,
            },
            taking: None,
            tags: Vec::new(),
            prompt: None,
            replayed: None,
            instead: None,
            error: None,
            shed: None,
            asked_route: Arc::clone(&route.config.name),
            attempts: 0,
            hedges: 0,
            caller: Caller::default(),
            taken: None,
            channel: None,
            usage: None,
            passed: 0,
            asked_redis: Waited::default(),
            drawn: None,
            paid: None,
            downgraded: None,
            reached: Reached::Nobody,
        }
    }

    /// Where what becomes of it is collected.
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.account.as_ref()
    }

    /// The one that serves it.
    pub fn route_name(&self) -> &str {
        &self.route.config.name
    }

    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Who asks, and with what labels.
    pub fn comes_from(&mut self, caller: &Caller, table: &Table, headers: &HeaderMap) {
        self.caller.clone_from(caller);
        self.privacy = privacy::of(table, caller.lineage());
        if self.privacy.is_zero_log() {
            self.asked.forget_name(table);
        } else if self.account.is_some() {
            self.tags = metering::tags(&table.ledger.tags, headers);
        }
    }

    /// An attempt begins: what becomes of it is booked.
    pub fn book(&self, permit: &mut Permit, part: Part) {
        let Asked { operation, prompt_tokens, .. } = self.asked;
        let books = match &self.paid {
            Some(paid) => Arc::clone(paid) as _,
            None => self.books(),
        };
        if !self.privacy.is_zero_log() {
            permit.model().quote();
        }
        permit.book_in(books, part, metering::of(operation, prompt_tokens.into()));
        if let Some(prompt) = self.prompt.as_ref().filter(|_| reckon::is_counted(&permit.model().name)) {
            permit.ask_for_prompt(Arc::clone(prompt) as _);
        }
    }

    /// It came to that route, and a rule or a split sent it to this one.
    pub fn came_to(&mut self, route: &Route) {
        self.asked_route = Arc::clone(&route.config.name);
    }

    /// What was seen when somebody was to be picked for it, or nobody could be.
    pub fn saw(&self, look: Option<Look>) {
        if let (Some(account), Some(look)) = (&self.account, look) {
            account.looked(look);
        }
    }

    /// What it costs is booked in place of what it has reserved.
    pub fn pays(&mut self, reserved: Reserved) {
        self.paid = Some(Paid::new(reserved, self.books()));
    }

    /// Its answer is another request's: what it has reserved is anybody's again.
    pub fn owes_nothing(&mut self) {
        self.paid = None;
    }

    fn books(&self) -> Arc<dyn Books> {
        match &self.account {
            Some(account) => Arc::clone(account) as _,
            None => Arc::clone(&self.gateway.till) as _,
        }
    }

    /// Whether it is a mirrored request.
    pub fn is_unheard(&self) -> bool {
        self.books == Bookkeeping::Mirror
    }

    /// Remembers what it asks to have read, for the attempts of which nobody says how many tokens that was; for
    /// nothing, where no books are kept.
    pub fn remember(&mut self, prompt: impl FnOnce() -> Option<Arc<Prompt>>) {
        if self.account.is_some() || self.paid.is_some() {
            self.prompt = prompt();
        }
    }

    /// So many tokens are what it asks to have read, and no estimate of bytes.
    pub fn prompt_has(&mut self, tokens: u64) {
        self.asked.prompt_tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
    }

    /// Another route serves it than the one that it came to.
    pub fn moves_to(&mut self, route: &Arc<Route>, priority: Priority) {
        route.memory.in_flight.fetch_add(1, Relaxed);
        self.route.memory.in_flight.fetch_sub(1, Relaxed);
        self.route = Arc::clone(route);
        self.asked.priority = priority;
    }

    /// Takes `waited` out of the gateway's own time.
    pub fn waited(&mut self, what: Wait, waited: Duration) {
        self.waits.add(what, waited);
    }

    /// The first byte of an answer of this status is about to leave.
    pub fn first_byte(&mut self, status: StatusCode) {
        let after = self.gateway.live.now().since(self.begun);
        let own = after.saturating_sub(self.waits.total());
        self.first_byte = Some(FirstByte { after, own });
        self.status = status.as_u16();
        if self.is_unheard() {
            return;
        }
        self.route.handles.overhead.record(own.as_secs_f64());
        self.route.handles.first_byte.record(after.as_secs_f64());
    }

    /// That its caller has seen; 0 where he has seen none.
    fn status(&self) -> u16 {
        let is_ahead = self.ahead.as_ref().is_some_and(|ahead| ahead.load(Relaxed));
        if is_ahead { StatusCode::OK.as_u16() } else { self.status }
    }

    /// What its limits have to know of it.
    fn course(&self) -> Course {
        // Whoever left while somebody was asked may have been heard.
        let asked = self.outcome == RequestOutcome::Cancelled && self.channel.is_some();
        Course {
            outcome: self.outcome,
            reached: if asked { Reached::Upstream } else { self.reached },
            answered: if self.first_byte.is_some() { Answered::Begun } else { Answered::No },
            tokens: self.usage.map(|usage| usage.input.saturating_add(usage.output.max(self.passed))),
            passed: self.passed,
        }
    }

    pub fn ends(&mut self, outcome: RequestOutcome) {
        self.outcome = outcome;
    }

    pub fn stream_ends(&mut self, stream: StreamOutcome) {
        self.stream = Some(stream);
        self.outcome = match stream {
            StreamOutcome::Complete | StreamOutcome::Unterminated => RequestOutcome::Ok,
            StreamOutcome::Error | StreamOutcome::Cut | StreamOutcome::Stalled => RequestOutcome::Broken,
            StreamOutcome::Cancelled => RequestOutcome::Cancelled,
        };
    }
}

impl Settle {
    /// Whether it went well after a failed attempt.
    fn is_saved(&self) -> bool {
        let good = matches!(self.outcome, RequestOutcome::Ok | RequestOutcome::ClientFault);
        good && self.attempts > self.hedges + 1
    }

    /// What the route remembers of it.
    fn tell_memory(&self) {
        let outcomes = &self.route.memory.outcomes;
        outcomes.add(self.outcome);
        if self.is_saved() {
            outcomes.save();
        }
    }

    /// What arms are compared by.
    fn compare(&self, took: Duration) {
        let (Some(Taken { of, arm }), metrics) = (&self.taken, &self.gateway.live.metrics) else { return };
        metrics.counter(&catalogue::ARM_REQUESTS, &[of, arm, self.outcome.name()]).increment(1);
        metrics.histogram(&catalogue::ARM_SECONDS, &[of, arm]).record(took.as_secs_f64());
        let usage = self.usage.unwrap_or_default();
        for (kind, count) in [("input", usage.input), ("output", usage.output)] {
            if count > 0 {
                metrics.counter(&catalogue::ARM_TOKENS, &[of, arm, kind]).increment(count);
            }
        }
    }
}

impl Drop for Settle {
    fn drop(&mut self) {
        match self.books {
            Bookkeeping::Own => {}
            Bookkeeping::Mirror | Bookkeeping::Part => return,
        }
        // Its caller did not leave: we do.
        if self.outcome == RequestOutcome::Cancelled && self.status == 0 && self.gateway.is_cut_off() {
            self.outcome = RequestOutcome::Failed;
            self.error = Some(trouble::Kind::Unavailable.name());
            self.status = StatusCode::SERVICE_UNAVAILABLE.as_u16();
        }
        if let Some(drawn) = self.drawn.take() {
            drawn.settle(&self.course());
        }
        let handles = &self.route.handles;
        let took = self.gateway.live.now().since(self.begun);
        handles.finished(&self.gateway.live.metrics, self.dialect, self.outcome);
        handles.answered(Some(self.status()).filter(|status| *status > 0));
        self.tell_memory();
        self.compare(took);
        handles.seconds.record(took.as_secs_f64());
        if let Some(stream) = self.stream {
            handles.stream_ended(stream);
        }
        if self.is_saved() {
            handles.saved.increment(1);
        }
        self.route.memory.in_flight.fetch_sub(1, Relaxed);
        self.gateway.in_flight.fetch_sub(1, Relaxed);
        if let Some(taking) = self.taking.take() {
            taking.ends(self.outcome, self.channel.as_ref().map(|channel| &*channel.label));
        }
        let after = self.first_byte.map(|first| first.after);
        if let Some(account) = self.account.take() {
            account.ends(self.row(took, after));
        }
    }
}

impl Settle {
    /// What the ledger hears of it, at its end.
    fn row(&mut self, took: Duration, first_byte: Option<Duration>) -> ledger::Request {
        let (request_id, tags) = (std::mem::take(&mut self.request_id), std::mem::take(&mut self.tags));
        let model = Arc::clone(&self.asked.model);
        ledger::Request { first_byte, ..self.row_of(request_id, tags, model, took) }
    }

    /// The same before its end, for a mirror of it, or for its caller.
    pub fn row_so_far(&self) -> ledger::Request {
        let took = self.gateway.live.now().since(self.begun);
        self.row_of(self.request_id.clone(), self.tags.clone(), self.asked.model.clone(), took)
    }

    fn row_of(
        &self,
        request_id: RequestId,
        tags: Vec<(Arc<str>, Box<str>)>,
        model: Arc<str>,
        took: Duration,
    ) -> ledger::Request {
        let Asked { operation, shape, priority, prompt_tokens, .. } = self.asked;
        ledger::Request {
            request_id,
            trace: self.trace.map(Box::new),
            privacy: self.privacy,
            lineage: self.caller.lineage().cloned(),
            tags,
            route: Arc::clone(&self.route.config.name),
            dialect: self.dialect,
            operation: operation.name(),
            model,
            asked_route: (*self.asked_route != *self.route.config.name)
                .then(|| Arc::clone(&self.asked_route)),
            stream: shape == Shape::Stream,
            priority,
            channel: self.channel.clone(),
            outcome: self.outcome,
            status: self.status(),
            error: self.error,
            replayed: self.replayed,
            instead: self.instead,
            shed: self.shed.map(Shed::name),
            downgraded: self.downgraded.is_some(),
            prompt_tokens,
            usage: self.usage,
            arm: self.taken.as_ref().map(|taken| Arc::clone(&taken.arm)),
            begun: self.begun,
            at: self.gateway.live.clock.unix_now().saturating_sub(took),
            took,
            first_byte: None,
            own: self.first_byte.map_or(Duration::ZERO, |first| first.own),
            waits: self.waits,
        }
    }
}
