//! One request's account: its attempts as they end, and its own end. Whoever lets go of it last sends it off.
//!
//! Attempts of a request may end after it (a tunnel, a loser that is dropped late), so that nobody is told to send; the
//! request and each of its permits hold the account, and dropping it is the end. Prices are found here, once for an
//! attempt, since what it cost is counted with and without a ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::Ledger;
use super::record::{Entry, Record};
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
    // Attempts of a request run in one task, but for a tunnel's and a mirror's: nobody has to wait here.
    collected: Mutex<Collected>,
}

#[derive(Debug, Default)]
struct Collected {
    request: Option<Request>,
    attempts: SmallVec<[Entry; 1]>,
}

impl Account {
    pub fn open(ledger: &Arc<Ledger>) -> Arc<Self> {
        let ledger = Arc::clone(ledger);
        Arc::new(Self { ledger, begun: AtomicU32::new(0), collected: Mutex::default() })
    }

    /// The request has ended; attempts of it may still be about to.
    pub fn ends(&self, mut request: Request) {
        if request.model.len() > LONGEST {
            request.model = request.model[..request.model.floor_char_boundary(LONGEST)].into();
        }
        self.collected.lock().request = Some(request);
    }
}

impl Books for Account {
    fn begins(&self) -> u32 {
        self.begun.fetch_add(1, Relaxed)
    }

    fn ended(&self, attempt: &Attempt<'_>) -> Option<Money> {
        let entry = Entry::of(attempt);
        let money = entry.money();
        self.collected.lock().attempts.push(entry);
        money
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let Collected { request, attempts } = std::mem::take(self.collected.get_mut());
        if let Some(request) = request {
            self.ledger.take(Record { request, attempts });
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
