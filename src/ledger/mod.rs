//! What every request came to, and what it cost: from the ends of attempts and requests to rows in the store.
//!
//! ```text
//! Permit ─ ended ─► Account ─ the last one lets go ─┬─► Pending ─► Writer ─┬─► store
//!                                                   └─► Journal            └─► Spool ─► replay ─► store
//! ```
//!
//! | file | job |
//! |---|---|
//! | `account` | collects a request's attempts and its end; prices each attempt |
//! | `waits` | what a request waited for before its answer began |
//! | `record` | all of that together -> rows |
//! | `readers` | who reads it: the ledger and the journal |
//! | `pending` | rows that wait for it |
//! | `writer` | batches, off the path of requests; the spool instead while the store is away |
//! | `lane` | the spool's disk work, beside everything else, with deadlines |
//! | `spool` | whole batches on disk, in order, until the store has them |
//! | `codec` | a batch as bytes, and back |
//! | `decision` | a record, as people are told it |
//! | `brief` | the same within a header |
//! | `stored` | the same of rows that the store has |
//! | `journal` | the last records, at hand |
//!
//! A request never waits for any of it: its rows are put beside others', of which there are not too many, or are
//! counted as lost. Within a second of its end it is in the store or on disk, so that `kill -9` loses at most the batch
//! that was under way. A batch has a name, and the store takes it once however often it is told. Without a store
//! nothing is kept, but what attempts cost is counted all the same. Never a word of a prompt or an answer comes here.
//!
//! # Memory
//!
//! No more than 16,384 requests wait here, however long the store and the disk are away. The rows of one are some 1.2
//! KB with one attempt (texts of callers are cut at 512 bytes, a label at 64), which makes 20 MB of them. Beside these
//! there are at most the batch that is being written, 16 batches of 1,000 rows that a hanging disk holds up, those that
//! it has given back, as many again, and 2,000 rows that are being replayed: 35,000 rows of some 600 bytes, 21 MB.

mod account;
mod brief;
mod codec;
mod decision;
mod journal;
mod lane;
mod pending;
mod readers;
mod record;
mod spool;
mod stored;
mod waits;
mod writer;

use std::sync::Arc;
use std::time::Duration;

pub use account::{Account, Request, Till, turned_away};
pub use decision::Decision;
pub use journal::{Clerk, Journal, Wanted};
pub use readers::Readers;
pub use record::OTHER;
pub use spool::Spool;
pub use stored::Stored;
pub use waits::{Wait, Waits};
pub use writer::{Sink, Writer};

use crate::state::Live;
use crate::state::flush::Flush;
use crate::telemetry::{Counter, catalogue as c};
use lane::Lane;
use pending::{Full, Pending};
use record::Record;

/// Where requests leave what they came to.
#[derive(Debug)]
pub struct Ledger {
    pending: Arc<Pending>,
    flush: Flush<usize>,
    lane: Arc<Lane>,
    lost: Lost,
}

/// How far behind it is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Requests that have ended and are neither in the store nor on disk.
    pub waiting: usize,
    /// On disk, until the store has them.
    pub spooled_batches: u64,
    pub spooled_bytes: u64,
    /// Age of the oldest that the store does not have; zero where it has all that was written.
    pub lag: Duration,
    /// Whether the disk takes what the store does not.
    pub disk: Disk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    Works,
    /// It is full, broken or hangs: rows stay in memory.
    Fails,
}

/// Rows that could be kept nowhere, by why.
#[derive(Clone, Debug)]
struct Lost {
    queue_full: Count,
    spool_full: Count,
    unreadable: Count,
}

/// A counter, for those who are shown.
#[derive(Clone)]
struct Count(Counter);

impl std::fmt::Debug for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Count")
    }
}

impl Count {
    fn add(&self, rows: usize) {
        self.0.increment(rows as u64);
    }
}

impl Lost {
    fn new(live: &Live) -> Self {
        let of = |reason| Count(live.metrics.counter(&c::LEDGER_LOST, &[reason]));
        Self { queue_full: of("queue_full"), spool_full: of("spool_full"), unreadable: of("unreadable") }
    }
}

impl Ledger {
    /// The front for requests, and who writes to `sink` what they leave; the writer's futures have to be run.
    pub fn open<S: Sink>(live: &Arc<Live>, sink: Arc<S>, spool: Spool) -> (Arc<Self>, Writer<S>) {
        let (flush, asked) = Flush::open();
        let lost = Lost::new(live);
        let lane = Arc::new(Lane::new(spool, live, lost.clone()));
        let pending = Arc::new(Pending::new(live.dice()));
        let writer = Writer::new(live, sink, Arc::clone(&lane), Arc::clone(&pending), asked);
        (Arc::new(Self { pending, flush, lane, lost }), writer)
    }

    pub fn standing(&self) -> Standing {
        self.lane.standing(self.pending.requests())
    }

    /// Never waits.
    fn take(&self, record: &Record) {
        if self.pending.put(record) == Err(Full) {
            self.lost.queue_full.add(record.rows());
        }
    }

    /// Returns once all that was left here before is in the store or on disk, or `patience` is over.
    pub async fn flush(&self, patience: Duration) {
        match self.flush.ask(patience).await {
            Ok(None | Some(0)) => {}
            Ok(Some(rows)) => {
                tracing::error!(rows, "neither the store nor the disk takes the ledger's last rows");
            }
            Err(_) => tracing::warn!("the ledger's last rows were not written in time"),
        }
    }
}
