//! What every request came to, and what it cost: from the ends of attempts and requests to rows in the store.
//!
//! ```text
//! Permit ─ ended ─► Account ─ the last one lets go ─► queue ─► Writer ─┬─► store
//!                                                                      └─► Spool ─► replay ─► store
//! ```
//!
//! | file | job |
//! |---|---|
//! | `account` | collects a request's attempts and its end; prices each attempt |
//! | `record` | all of that together -> rows |
//! | `writer` | batches, off the path of requests; the spool instead while the store is away |
//! | `lane` | the spool's disk work, beside everything else, with deadlines |
//! | `spool` | whole batches on disk, in order, until the store has them |
//! | `codec` | a batch as bytes, and back |
//!
//! A request never waits for any of it: its record goes into a bounded queue or is counted as lost. Within a second
//! of its end it is in the store or on disk, so that `kill -9` loses at most the batch that was under way. A batch
//! has a name, and the store takes it once however often it is told. Without a store nothing is kept, but what attempts
//! cost is counted all the same. Never a word of a prompt or an answer comes here.

mod account;
mod codec;
mod lane;
mod record;
mod spool;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use metrics::Counter;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

pub use account::{Account, Request, Till};
pub use spool::Spool;
pub use writer::{Sink, Writer};

use crate::state::Live;
use crate::telemetry::catalogue as c;
use record::Record;

/// Most requests that have ended and are not written yet; some 20 MB of them. The writer empties it ten times a second.
const QUEUE: usize = 16 * 1024;

/// Where requests leave what they came to.
#[derive(Debug)]
pub struct Ledger {
    queue: mpsc::Sender<Record>,
    flushes: mpsc::Sender<oneshot::Sender<()>>,
    lost: Lost,
}

/// Rows that could be kept nowhere, by why.
#[derive(Clone, Debug)]
struct Lost {
    queue_full: Count,
    spool_full: Count,
    spool_failed: Count,
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
        Self {
            queue_full: of("queue_full"),
            spool_full: of("spool_full"),
            spool_failed: of("spool_failed"),
            unreadable: of("unreadable"),
        }
    }
}

impl Ledger {
    /// The front for requests, and who writes to `sink` what they leave; the writer's futures have to be run.
    pub fn open<S: Sink>(live: &Arc<Live>, sink: Arc<S>, spool: Spool) -> (Arc<Self>, Writer<S>) {
        let (queue, records) = mpsc::channel(QUEUE);
        let (flushes, asked) = mpsc::channel(1);
        let lost = Lost::new(live);
        let ledger = Self { queue, flushes, lost: lost.clone() };
        (Arc::new(ledger), Writer::new(live, sink, spool, lost, records, asked))
    }

    /// Never waits.
    fn take(&self, record: Record) {
        if let Err(refused) = self.queue.try_send(record) {
            let (mpsc::error::TrySendError::Full(record) | mpsc::error::TrySendError::Closed(record)) =
                refused;
            self.lost.queue_full.add(record.rows());
        }
    }

    /// Returns once all that was left here before is in the store or on disk, or `patience` is over.
    pub async fn flush(&self, patience: Duration) {
        let (done, is_done) = oneshot::channel();
        let flushed = async {
            if self.flushes.send(done).await.is_ok() {
                // Whoever went away without a word has nothing left to write.
                let _ = is_done.await;
            }
        };
        if timeout(patience, flushed).await.is_err() {
            tracing::warn!("the ledger's last rows were not written in time");
        }
    }
}
