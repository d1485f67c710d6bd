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
use smallvec::SmallVec;

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
    whose: Whose,
    begun: AtomicU32,
    // Attempts of a request run in one task, but for a tunnel's: nobody has to wait here.
    collected: Mutex<Collected>,
}

#[derive(Debug, Default)]
struct Collected {
    request: Option<Request>,
    /// Where a mirror knows it already: when it came by the wall, and what its name has of chance.
    named: Option<(Duration, u128)>,
    attempts: SmallVec<[Entry; 1]>,
}

impl Account {
    pub fn open(ledger: &Arc<Ledger>) -> Arc<Self> {
        Arc::new(Self::of(ledger, Whose::Callers, Collected::default()))
    }

    fn of(ledger: &Arc<Ledger>, whose: Whose, collected: Collected) -> Self {
        let ledger = Arc::clone(ledger);
        Self { ledger, whose, begun: AtomicU32::new(0), collected: Mutex::new(collected) }
    }

    /// One for a mirror of this request, of which `request` says what is known by now; `chance` is for its name. What is
    /// booked there stands with this request's attempts, and neither waits for the other.
    pub fn beside(&self, mut request: Request, chance: u128) -> Arc<Self> {
        let (at, chance) = *self.collected.lock().named.get_or_insert((request.at, chance));
        request.at = at;
        cut(&mut request);
        let collected =
            Collected { request: Some(request), named: Some((at, chance)), ..Collected::default() };
        Arc::new(Self::of(&self.ledger, Whose::Mirrors, collected))
    }

    /// The request has ended; attempts of it may still be about to.
    pub fn ends(&self, mut request: Request) {
        cut(&mut request);
        let mut collected = self.collected.lock();
        if let Some((at, _)) = collected.named {
            request.at = at;
        }
        collected.request = Some(request);
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
        self.collected.lock().attempts.push(entry);
        money
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let Collected { request, named, attempts } = std::mem::take(self.collected.get_mut());
        // Of a mirror that asked nobody there is nothing to say.
        if self.whose == Whose::Mirrors && attempts.is_empty() {
            return;
        }
        if let Some(request) = request {
            let chance = named.map(|(_, chance)| chance);
            self.ledger.take(Record { request, attempts, whose: self.whose, chance });
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
