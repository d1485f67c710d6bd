//! One request's account: its attempts as they end, and its own end. Whoever lets go of it last sends it off.
//!
//! Attempts of a request may end after it (a tunnel, a loser that is dropped late), so that nobody is told to send; the
//! request and each of its permits hold the account, and dropping it is the end. A mirror has one of its own, so that no
//! caller's row waits for it. Prices are found here, once for an
//! attempt, since what it cost is counted with and without a ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::Ledger;
use super::record::{Entry, Record, Whose};
use crate::algo::tick::Tick;
use crate::config::Lineage;
use crate::state::books::{Attempt, Books};
use crate::telemetry::RequestOutcome;
use crate::vocab::Money;

/// Of a model's name, in bytes: as much as a row has of it. A caller may have sent megabytes.
const LONGEST: usize = 512;

/// A request's end.
#[derive(Debug)]
pub struct Request {
    pub request_id: Box<str>,
    /// The key that it came with, and all above it.
    pub lineage: Option<Lineage>,
    /// From headers.
    pub tags: Vec<(Arc<str>, Box<str>)>,
    pub route: Arc<str>,
    pub dialect: &'static str,
    pub operation: &'static str,
    /// As the caller named it.
    pub model: Box<str>,
    pub stream: bool,
    pub outcome: RequestOutcome,
    pub replayed: Option<&'static str>,
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
}

/// What one request comes to.
#[derive(Debug)]
pub struct Account {
    ledger: Arc<Ledger>,
    begun: AtomicU32,
    // Attempts of a request run in one task, but for a tunnel's: nobody has to wait here. In a box, which is all that
    // leaves in the end; there is one until then.
    record: Mutex<Option<Box<Record>>>,
}

impl Account {
    pub fn open(ledger: &Arc<Ledger>) -> Arc<Self> {
        Self::of(ledger, Record::new(Whose::Callers))
    }

    fn of(ledger: &Arc<Ledger>, record: Record) -> Arc<Self> {
        let record = Mutex::new(Some(Box::new(record)));
        Arc::new(Self { ledger: Arc::clone(ledger), begun: AtomicU32::new(0), record })
    }

    /// One for a mirror of this request, of which `request` says what is known by now; `chance` is for its name. What is
    /// booked there stands with this request's attempts, and neither waits for the other.
    pub fn beside(&self, mut request: Request, chance: u128) -> Arc<Self> {
        let named = self.record.lock().as_mut().map(|own| *own.named.get_or_insert((request.at, chance)));
        let (at, chance) = named.unwrap_or((request.at, chance));
        request.at = at;
        cut(&mut request);
        let record =
            Record { request: Some(request), named: Some((at, chance)), ..Record::new(Whose::Mirrors) };
        Self::of(&self.ledger, record)
    }

    /// The request has ended; attempts of it may still be about to.
    pub fn ends(&self, mut request: Request) {
        cut(&mut request);
        if let Some(record) = &mut *self.record.lock() {
            if let Some((at, _)) = record.named {
                request.at = at;
            }
            record.request = Some(request);
        }
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
        if let Some(record) = &mut *self.record.lock() {
            record.attempts.push(entry);
        }
        money
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let Some(record) = self.record.get_mut().take() else { return };
        // Of a mirror that asked nobody there is nothing to say.
        if record.request.is_some() && (record.whose == Whose::Callers || !record.attempts.is_empty()) {
            self.ledger.take(record);
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
