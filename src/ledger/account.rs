//! One request's account: its attempts as they end, and its own end. Whoever lets go of it last sends it off.
//!
//! Attempts of a request may end after it (a tunnel, a loser that is dropped late), so that nobody is told to send; the
//! request and each of its permits hold the account, and dropping it is the end. A mirror has one of its own, so that
//! no caller's row waits for it. Prices are found here, once for an attempt, since what it cost is counted with and
//! without a ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::brief;
use super::decision::Decision;
use super::readers::Readers;
use super::record::{Entry, Record, Whose};
use super::waits::Waits;
use crate::algo::tick::Tick;
use crate::config::Lineage;
use crate::state::Channel;
use crate::state::books::{Attempt, Books};
use crate::state::look::Look;
use crate::telemetry::RequestOutcome;
use crate::vocab::{Money, Priority, Privacy, RequestId, Trace, Usage};

/// Of a model's name, in bytes: as much as a row has of it. A caller may have sent megabytes.
const LONGEST: usize = 512;
/// Looks at a route's channels that are remembered of a request; a plan takes few.
const MOST_LOOKS: usize = 16;

/// A request's end.
#[derive(Clone, Debug)]
pub struct Request {
    pub request_id: RequestId,
    /// Where it stands in its caller's trace or one of its own, where a collector is told of requests.
    pub trace: Option<Box<Trace>>,
    /// What may be kept of it beside numbers.
    pub privacy: Privacy,
    /// The key that it came with, and all above it.
    pub lineage: Option<Lineage>,
    /// From headers.
    pub tags: Vec<(Arc<str>, Box<str>)>,
    /// The one that served it.
    pub route: Arc<str>,
    /// The one that it came to, where that is another.
    pub asked_route: Option<Arc<str>>,
    pub dialect: &'static str,
    pub operation: &'static str,
    /// As the caller named it.
    pub model: Arc<str>,
    pub stream: bool,
    pub priority: Priority,
    /// The last channel that was asked.
    pub channel: Option<Arc<Channel>>,
    pub outcome: RequestOutcome,
    /// Of its answer; 0 where there was none.
    pub status: u16,
    /// What kind of error of ours it was answered with.
    pub error: Option<&'static str>,
    pub replayed: Option<&'static str>,
    /// `shared` or `answer`: it had a part in another one's attempt, or got what the route says when nobody is left.
    pub instead: Option<&'static str>,
    /// Why there was no room for it.
    pub shed: Option<&'static str>,
    /// A budget was spent, so that a cheaper route served it.
    pub downgraded: bool,
    /// Tokens that it asks to have read, estimated.
    pub prompt_tokens: u32,
    /// What its caller was told, as far as anybody said.
    pub usage: Option<Usage>,
    /// The arm of a split that it was given to.
    pub arm: Option<Arc<str>>,
    /// When it came.
    pub begun: Tick,
    /// The same by the wall, since the Unix epoch.
    pub at: Duration,
    pub took: Duration,
    pub first_byte: Option<Duration>,
    /// Of that, the gateway's own.
    pub own: Duration,
    /// The rest of it.
    pub waits: Waits,
}

impl Request {
    /// One of which nothing else is known: it was refused before it came to anything.
    pub fn bare(request_id: RequestId, dialect: &'static str, begun: Tick, at: Duration) -> Self {
        Self {
            request_id,
            trace: None,
            privacy: Privacy::default(),
            lineage: None,
            tags: Vec::new(),
            route: "".into(),
            asked_route: None,
            dialect,
            operation: "",
            model: "".into(),
            stream: false,
            priority: Priority::default(),
            channel: None,
            outcome: RequestOutcome::Refused,
            status: 0,
            error: None,
            replayed: None,
            instead: None,
            shed: None,
            downgraded: false,
            prompt_tokens: 0,
            usage: None,
            arm: None,
            begun,
            at,
            took: Duration::ZERO,
            first_byte: None,
            own: Duration::ZERO,
            waits: Waits::default(),
        }
    }
}

/// What one request comes to.
#[derive(Debug)]
pub struct Account {
    readers: Arc<Readers>,
    begun: AtomicU32,
    // Attempts of a request run in one task, but for a tunnel's: nobody has to wait here. There is one until the end,
    // written where its readers will find it.
    record: Mutex<Option<Box<Record>>>,
}

impl Account {
    /// One for a request, where anybody reads what it comes to.
    pub fn open(readers: &Arc<Readers>) -> Option<Arc<Self>> {
        readers.is_anybody().then(|| Self::of(readers, Record::new(Whose::Callers)))
    }

    fn of(readers: &Arc<Readers>, record: Record) -> Arc<Self> {
        let record = Mutex::new(Some(Box::new(record)));
        Arc::new(Self { readers: Arc::clone(readers), begun: AtomicU32::new(0), record })
    }

    /// Writes something down, unless it has been sent off.
    fn note<T>(&self, write: impl FnOnce(&mut Record) -> T) -> Option<T> {
        self.record.lock().as_deref_mut().map(write)
    }

    /// What was seen when somebody was to be picked.
    pub fn looked(&self, look: Look) {
        self.note(|record| {
            if record.looks.len() < MOST_LOOKS {
                record.looks.push(look);
            }
        });
    }

    /// What is known of the request by now, as a text of at most `most` bytes for its caller; `so_far` stands for the
    /// request as long as it has not ended.
    pub fn explained(&self, so_far: &Request, most: usize) -> Option<String> {
        let record = self.record.lock();
        let record = record.as_ref()?;
        let decision = Decision::of(record).unwrap_or_else(|| Decision::so_far(record, so_far));
        Some(brief::text(decision, most))
    }

    /// What its attempts have cost so far; `None` where nobody knows that of one of them.
    pub fn cost(&self) -> Option<Money> {
        self.record.lock().as_ref()?.cost()
    }

    /// One for a mirror of this request, of which `request` says what is known by now; `chance` is for its name. What
    /// is booked there stands with this request's attempts, and neither waits for the other.
    pub fn beside(&self, mut request: Request, chance: u128) -> Arc<Self> {
        let named = self.note(|own| *own.named.get_or_insert((request.at, chance)));
        let (at, chance) = named.unwrap_or((request.at, chance));
        request.at = at;
        cut(&mut request);
        let record =
            Record { request: Some(request), named: Some((at, chance)), ..Record::new(Whose::Mirrors) };
        Self::of(&self.readers, record)
    }

    /// The request has ended; attempts of it may still be about to.
    pub fn ends(&self, mut request: Request) {
        cut(&mut request);
        self.note(|record| {
            if let Some((at, _)) = record.named {
                request.at = at;
            }
            record.request = Some(request);
        });
    }
}

/// A request has ended that came to no route: for those who look for it.
pub fn turned_away(readers: &Arc<Readers>, mut request: Request) {
    if readers.journal().is_some() {
        cut(&mut request);
        let mut record = Record { request: Some(request), ..Record::new(Whose::Strangers) };
        record.hush();
        readers.take(Box::new(record));
    }
}

fn cut(request: &mut Request) {
    if request.model.len() > LONGEST {
        request.model = request.model[..request.model.floor_char_boundary(LONGEST)].into();
    }
}

impl Books for Account {
    fn begins(&self) -> u32 {
        self.begun.fetch_add(1, Relaxed)
    }

    fn ended(&self, attempt: &Attempt<'_>) -> Option<Money> {
        let entry = Entry::of(attempt);
        let money = entry.money();
        self.note(|record| record.attempts.push(entry));
        money
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let Some(mut record) = self.record.get_mut().take() else { return };
        // Of a mirror that asked nobody there is nothing to say.
        if record.request.is_some() && (record.whose == Whose::Callers || !record.attempts.is_empty()) {
            record.attempts.sort_by_key(|attempt| attempt.place);
            record.hush();
            self.readers.take(record);
        }
    }
}

/// Where nothing is kept: what attempts cost is counted, and forgotten.
#[derive(Debug)]
pub struct Till;

impl Books for Till {
    fn begins(&self) -> u32 {
        0
    }

    fn ended(&self, attempt: &Attempt<'_>) -> Option<Money> {
        Entry::of(attempt).money()
    }
}
