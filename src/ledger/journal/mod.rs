//! The last requests, at hand: what `GET /admin/requests` finds, and the log's line for each.
//!
//! | file | job |
//! |---|---|
//! | `clerk` | reads what requests leave, off their path: into the journal and the log |
//! | `json` | how a decision is written there |
//! | `line` | a request's line of the log, for machines or for people |
//! | `spans` | a request's spans, for a collector |
//! | `spending` | what each key, and everybody above it, has spent, for the metrics |
//! | `tracer` | which requests' spans are made, and when they leave |
//! | `wanted` | what is looked for |
//!
//! A request leaves its record in a bounded queue and goes on; should nobody empty it, it is missing here and in the
//! log, and counted. Beside the queue at most `journal.requests` records are held, some 1.2 KB each, in memory only.

mod clerk;
mod json;
mod line;
mod spans;
mod spending;
mod tracer;
mod wanted;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::telemetry::Counter;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::decision::Decision;
use super::record::Record;
use crate::state::Live;
use crate::state::flush::Flush;
use crate::telemetry::catalogue;
use crate::telemetry::otlp::{Mailbox, Resource};
use tracer::Outlet;

pub use clerk::Clerk;
pub use wanted::Wanted;

/// Requests that have ended since the clerk looked last; it does ten times a second, and when there are [`MANY`].
const QUEUE: usize = 16 * 1024;
/// As many records as are still in a processor's cache when they are read.
const MANY: usize = 64;
/// Most requests for which room is reserved; beyond that it grows.
const RESERVED: usize = 16 * 1024;

/// Where requests leave what became of them.
pub struct Journal {
    queue: mpsc::Sender<Box<Record>>,
    /// Rung when there are [`MANY`] in it.
    many: Notify,
    flush: Flush<()>,
    /// One beside the other: memory that was last touched thousands of requests ago is slow to come by, the more so in
    /// many places.
    kept: Mutex<VecDeque<Kept>>,
    most: AtomicUsize,
    written: AtomicU64,
    lost: Counter,
    outlet: OnceLock<Outlet>,
}

/// One of the last requests.
struct Kept {
    /// In the order in which they ended, from 1.
    number: u64,
    record: Record,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Journal")
    }
}

impl Journal {
    /// One that keeps `most` requests, and who writes it; its future has to be run.
    pub fn open(live: &Arc<Live>, most: usize) -> (Arc<Self>, Clerk) {
        let (queue, records) = mpsc::channel(QUEUE);
        let (flush, asked) = Flush::open();
        let journal = Arc::new(Self {
            queue,
            many: Notify::new(),
            flush,
            kept: Mutex::new(VecDeque::with_capacity(most.min(RESERVED))),
            most: AtomicUsize::new(most),
            written: AtomicU64::new(0),
            lost: live.metrics.counter(&catalogue::JOURNAL_LOST, &[]),
            outlet: OnceLock::new(),
        });
        (Arc::clone(&journal), Clerk::new(live, journal, records, asked))
    }

    /// Puts spans into `mailbox` from now on, as coming from `resource`. The first one stays.
    pub fn tell(&self, mailbox: Arc<Mailbox>, resource: Resource) {
        let _ = self.outlet.set(Outlet { mailbox, resource });
    }

    /// Where spans go.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        self.outlet.get().map(|outlet| &*outlet.mailbox)
    }

    /// Returns once all that was left here before is at hand and in the log, or `patience` is over.
    pub async fn flush(&self, patience: Duration) {
        if self.flush.ask(patience).await.is_err() {
            tracing::warn!("the last requests were not written down in time");
        }
    }

    /// Never waits.
    pub(super) fn take(&self, record: Box<Record>) {
        if self.queue.try_send(record).is_err() {
            self.lost.increment(1);
        } else if QUEUE - self.queue.capacity() == MANY {
            self.many.notify_one();
        }
    }

    /// Keeps so many from now on.
    pub fn keep_most(&self, most: usize) {
        self.most.store(most, Relaxed);
        let mut kept = self.kept.lock();
        keep_last(&mut kept, most);
        kept.shrink_to(most);
    }

    fn put(&self, record: Box<Record>) {
        let number = self.written.fetch_add(1, Relaxed) + 1;
        let most = self.most.load(Relaxed);
        let mut kept = self.kept.lock();
        keep_last(&mut kept, most.saturating_sub(1));
        if most > 0 {
            // Its own memory is given back at once to whoever allocates next.
            kept.push_back(Kept { number, record: *record });
        }
    }

    /// How many requests are at hand.
    pub fn length(&self) -> usize {
        self.kept.lock().len()
    }

    /// The last request of this id, as `show` has it; its mirror's, only where there is no other.
    pub fn find<T>(&self, request_id: &str, show: impl FnOnce(&Decision<'_>) -> T) -> Option<T> {
        let record = {
            let kept = self.kept.lock();
            let mut named =
                kept.iter().rev().map(|kept| &kept.record).filter(|record| record.is_called(request_id));
            let last = named.clone().next();
            named.find(|record| !record.is_mirrors()).or(last).cloned()?
        };
        Decision::of(&record).map(|decision| show(&decision))
    }

    /// Callers' requests of these ids that are at hand, as `show` has them, by id.
    pub fn find_all<T>(
        &self,
        request_ids: &HashSet<&str>,
        show: impl Fn(&Decision<'_>) -> T,
    ) -> HashMap<String, T> {
        let found: Vec<Record> = {
            let kept = self.kept.lock();
            let wanted = |record: &&Record| {
                !record.is_mirrors() && record.request_id().is_some_and(|id| request_ids.contains(id))
            };
            kept.iter().map(|kept| &kept.record).filter(wanted).cloned().collect()
        };
        let decisions = found.iter().filter_map(Decision::of);
        decisions.map(|decision| (decision.request.to_owned(), show(&decision))).collect()
    }

    /// When the oldest one that is at hand came, since the Unix epoch.
    pub fn oldest(&self) -> Option<Duration> {
        let kept = self.kept.lock();
        kept.front().and_then(|kept| kept.record.request.as_ref()).map(|request| request.at)
    }

    /// Those that are wanted, the newest first, as `show` has them; and the number of the last one, where there may be
    /// more.
    pub fn search<T>(&self, wanted: &Wanted, show: impl Fn(&Decision<'_>) -> T) -> (Vec<T>, Option<u64>) {
        let fits = |kept: &&Kept| {
            wanted.before.is_none_or(|before| kept.number < before) && wanted.fits(&kept.record)
        };
        // Nobody is kept waiting while texts are made.
        let found: Vec<(u64, Record)> = {
            let kept = self.kept.lock();
            let found = kept.iter().rev().filter(fits).take(wanted.most);
            found.map(|kept| (kept.number, kept.record.clone())).collect()
        };
        let next = found.last().map(|(number, _)| *number).filter(|_| found.len() == wanted.most);
        let shown =
            found.iter().filter_map(|(_, record)| Decision::of(record)).map(|decision| show(&decision));
        (shown.collect(), next)
    }
}

fn keep_last<T>(queue: &mut VecDeque<T>, most: usize) {
    queue.drain(..queue.len().saturating_sub(most));
}

#[cfg(test)]
mod tests;
