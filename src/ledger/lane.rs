//! The spool's work on disk, beside everything else: on threads that may block, each piece with a deadline.
//!
//! A disk that hangs holds up the pieces that were begun, at most [`MOST_WAITING`] of them; what comes then is lost, and
//! counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use metrics::{Counter, Gauge};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Lost;
use super::spool::{Full, Spool};
use super::writer::rows_of;
use crate::state::Live;
use crate::store::rows::Batch;
use crate::telemetry::catalogue as c;

/// How long somebody waits for the disk; it goes on by itself then.
const PATIENCE: Duration = Duration::from_millis(400);
/// Batches that wait for a disk that hangs.
const MOST_WAITING: usize = 16;

pub(super) struct Lane {
    live: Arc<Live>,
    disk: Arc<Disk>,
    turns: Arc<Semaphore>,
    filled: Arc<Notify>,
    bytes: Gauge,
    batches: Gauge,
    lag: Gauge,
}

/// What the threads that may block share.
struct Disk {
    spool: Mutex<Spool>,
    /// What is in the spool, for those who do not wait for it.
    batches: AtomicU64,
    bytes: AtomicU64,
    /// When the oldest was made, in milliseconds since the Unix epoch; 0 while nobody knows.
    oldest: AtomicU64,
    spooled: Counter,
    lost: Lost,
}

impl Disk {
    /// One piece of work.
    fn with<T>(&self, work: impl FnOnce(&mut Spool) -> T) -> T {
        let mut spool = self.spool.lock();
        let done = work(&mut spool);
        self.batches.store(spool.batches(), Relaxed);
        self.bytes.store(spool.bytes(), Relaxed);
        if spool.batches() == 0 {
            self.oldest.store(0, Relaxed);
        }
        done
    }
}

impl Lane {
    pub fn new(spool: Spool, live: &Arc<Live>, lost: Lost) -> Self {
        let (batches, bytes) = (AtomicU64::new(spool.batches()), AtomicU64::new(spool.bytes()));
        let spooled = live.metrics.counter(&c::LEDGER_ROWS, &["spooled"]);
        let disk =
            Disk { spool: Mutex::new(spool), batches, bytes, oldest: AtomicU64::new(0), spooled, lost };
        let gauge = |metric| live.metrics.gauge(metric, &[]);
        let lane = Self {
            live: Arc::clone(live),
            disk: Arc::new(disk),
            turns: Arc::new(Semaphore::new(MOST_WAITING)),
            filled: Arc::default(),
            bytes: gauge(&c::LEDGER_SPOOL_BYTES),
            batches: gauge(&c::LEDGER_SPOOL_BATCHES),
            lag: gauge(&c::LEDGER_LAG),
        };
        lane.show();
        lane
    }

    /// Whether the store has everything.
    pub fn is_empty(&self) -> bool {
        self.disk.batches.load(Relaxed) == 0
    }

    /// Returns as soon as something is on disk.
    pub async fn filled(&self) {
        while self.is_empty() {
            self.filled.notified().await;
        }
    }

    /// Puts a batch on disk, or counts its rows as lost.
    pub async fn append(&self, batch: Batch) {
        let rows = rows_of(&batch);
        let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() else {
            self.disk.lost.spool_failed.add(rows);
            tracing::error!(rows, "the disk hangs, and so the ledger has lost rows");
            return;
        };
        let (disk, filled) = (Arc::clone(&self.disk), Arc::clone(&self.filled));
        let writing = spawn_blocking(move || {
            match disk.with(|spool| spool.append(&batch)) {
                Ok(()) => {
                    disk.spooled.increment(rows as u64);
                    disk.oldest.compare_exchange(0, made(batch.id), Relaxed, Relaxed).ok();
                    filled.notify_one();
                }
                Err(Full::Bytes) => {
                    disk.lost.spool_full.add(rows);
                    tracing::error!(rows, "ledger.spool.max_bytes are full, and so the ledger has lost rows");
                }
                Err(Full::Disk(error)) => {
                    disk.lost.spool_failed.add(rows);
                    tracing::error!(rows, %error, "the spool cannot be written, and so the ledger has lost rows");
                }
            }
            drop(turn);
        });
        if timeout(PATIENCE, writing).await.is_err() {
            tracing::warn!("the disk takes long to write the ledger's rows");
        }
    }

    /// The oldest batch.
    pub async fn first(&self) -> Option<Batch> {
        let disk = Arc::clone(&self.disk);
        let reading = spawn_blocking(move || {
            let first = disk.with(|spool| {
                let first = spool.first();
                disk.lost.unreadable.add(spool.take_unreadable());
                first
            });
            if let Ok(Some(batch)) = &first {
                disk.oldest.store(made(batch.id), Relaxed);
            }
            first
        });
        match timeout(PATIENCE, reading).await {
            Ok(Ok(Ok(first))) => first,
            Ok(Ok(Err(error))) => {
                tracing::error!(%error, "the spool cannot be read");
                None
            }
            // The disk hangs, or the process ends.
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// The store has taken the batch of this name.
    pub async fn written(&self, id: u128) {
        let disk = Arc::clone(&self.disk);
        let forgetting = spawn_blocking(move || disk.with(|spool| spool.forget(id)));
        // Should it not be forgotten in time, it is told once more and taken no second time.
        if let Ok(Ok(Err(error))) = timeout(PATIENCE, forgetting).await {
            tracing::error!(%error, "the spool cannot be cleared");
        }
    }

    /// Says how things stand.
    pub fn show(&self) {
        self.bytes.set(self.disk.bytes.load(Relaxed) as f64);
        self.batches.set(self.disk.batches.load(Relaxed) as f64);
        let oldest = Duration::from_millis(self.disk.oldest.load(Relaxed));
        let lag =
            if oldest.is_zero() { Duration::ZERO } else { self.live.clock.unix_now().saturating_sub(oldest) };
        self.lag.set(lag.as_secs_f64());
    }
}

/// When a batch was made, in milliseconds since the Unix epoch: its name begins with that.
fn made(id: u128) -> u64 {
    u64::try_from(id >> 80).unwrap_or(u64::MAX)
}
