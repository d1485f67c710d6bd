//! The spool's work on disk, beside everything else: on threads that may block, each piece with a deadline.
//!
//! A disk that hangs holds up the pieces that were begun, at most [`MOST_WAITING`] of them. What it does not take,
//! because it is full, broken or hangs, comes back ([`Lane::back`]): it is for the writer to keep it in memory until it
//! does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::spool::{Full, Spool};
use super::writer::rows_of;
use super::{Lost, Standing};
use crate::state::Live;
use crate::store::rows::Batch;
use crate::telemetry::{Counter, Gauge, catalogue as c};

/// How long somebody waits for the disk; it goes on by itself then.
const PATIENCE: Duration = Duration::from_millis(400);
/// Pieces that wait for a disk that hangs, each on a thread of its own; the batches among them are some 10 MB.
const MOST_WAITING: usize = 16;
/// Rows that are read and told the store at once.
const MOST_ROWS: usize = 2_000;

pub(super) struct Lane {
    live: Arc<Live>,
    disk: Arc<Disk>,
    turns: Arc<Semaphore>,
    filled: Arc<Notify>,
    bytes: Gauge,
    batches: Gauge,
    lag: Gauge,
    failed: Gauge,
}

/// What the threads that may block share.
struct Disk {
    spool: Mutex<Spool>,
    /// What is in the spool, for those who do not wait for it.
    batches: AtomicU64,
    bytes: AtomicU64,
    /// When the oldest was made, in milliseconds since the Unix epoch; 0 while nobody knows.
    oldest: AtomicU64,
    /// What it did not take, the oldest first.
    back: Mutex<VecDeque<Arc<Batch>>>,
    failed: AtomicBool,
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

    /// It has not taken a batch; said once.
    fn fails(&self, batch: Arc<Batch>, why: &str) {
        self.back.lock().push_back(batch);
        if !self.failed.swap(true, Relaxed) {
            tracing::error!(why, "the ledger's rows are kept in memory: the disk does not take them");
        }
    }

    fn works(&self) {
        if self.failed.swap(false, Relaxed) {
            tracing::info!("the disk takes the ledger's rows again");
        }
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lane")
    }
}

impl Lane {
    pub fn new(spool: Spool, live: &Arc<Live>, lost: Lost) -> Self {
        let (batches, bytes) = (AtomicU64::new(spool.batches()), AtomicU64::new(spool.bytes()));
        live.metrics.gauge(&c::LEDGER_SPOOL_LIMIT, &[]).set(spool.most_bytes() as f64);
        let spooled = live.metrics.counter(&c::LEDGER_ROWS, &["spooled"]);
        let disk = Disk {
            spool: Mutex::new(spool),
            batches,
            bytes,
            oldest: AtomicU64::new(0),
            back: Mutex::default(),
            failed: AtomicBool::new(false),
            spooled,
            lost,
        };
        let gauge = |metric| live.metrics.gauge(metric, &[]);
        let lane = Self {
            live: Arc::clone(live),
            disk: Arc::new(disk),
            turns: Arc::new(Semaphore::new(MOST_WAITING)),
            filled: Arc::default(),
            bytes: gauge(&c::LEDGER_SPOOL_BYTES),
            batches: gauge(&c::LEDGER_SPOOL_BATCHES),
            lag: gauge(&c::LEDGER_LAG),
            failed: gauge(&c::LEDGER_SPOOL_FAILED),
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

    /// What the disk has not taken, the oldest first.
    pub fn back(&self) -> Option<Arc<Batch>> {
        self.disk.back.lock().pop_front()
    }

    /// Requests and rows of it.
    pub fn held(&self) -> (usize, usize) {
        let back = self.disk.back.lock();
        (back.iter().map(|batch| batch.requests.len()).sum(), back.iter().map(|batch| rows_of(batch)).sum())
    }

    /// The store has taken something without it.
    pub fn is_not_needed(&self) {
        self.disk.works();
    }

    /// Puts a batch on disk, or [back](Lane::back); what is more than `ledger.spool.max_bytes` is counted as lost.
    pub async fn append(&self, batch: Arc<Batch>) {
        let rows = rows_of(&batch);
        let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() else {
            self.disk.fails(batch, "it hangs");
            return;
        };
        let (disk, filled) = (Arc::clone(&self.disk), Arc::clone(&self.filled));
        let writing = spawn_blocking(move || {
            let _turn = turn;
            match disk.with(|spool| spool.append(&batch)) {
                Ok(()) => {
                    disk.works();
                    disk.spooled.increment(rows as u64);
                    disk.oldest.compare_exchange(0, made(batch.id), Relaxed, Relaxed).ok();
                    filled.notify_one();
                }
                Err(Full::Bytes) => {
                    disk.lost.spool_full.add(rows);
                    tracing::error!(rows, "ledger.spool.max_bytes are full, and so the ledger has lost rows");
                }
                Err(Full::Disk(error)) => disk.fails(batch, &error.to_string()),
            }
        });
        if timeout(PATIENCE, writing).await.is_err() {
            tracing::warn!("the disk takes long to write the ledger's rows");
        }
    }

    /// The oldest batches, as many as are told at once; none where they cannot be read now.
    pub async fn first(&self) -> Vec<Arc<Batch>> {
        let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() else { return Vec::new() };
        let disk = Arc::clone(&self.disk);
        let reading = spawn_blocking(move || {
            let _turn = turn;
            let first = disk.with(|spool| {
                let first = spool.first(MOST_ROWS);
                disk.lost.unreadable.add(spool.take_unreadable());
                first
            });
            if let Some(batch) = first.as_ref().ok().and_then(|first| first.first()) {
                disk.oldest.store(made(batch.id), Relaxed);
            }
            first
        });
        match timeout(PATIENCE, reading).await {
            Ok(Ok(Ok(first))) => first.into_iter().map(Arc::new).collect(),
            Ok(Ok(Err(error))) => {
                tracing::error!(%error, "the spool cannot be read");
                Vec::new()
            }
            // The disk hangs, or the process ends.
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }

    /// The store has taken the batches of these names.
    pub async fn written(&self, ids: Vec<u128>) {
        // Should it not be forgotten, or not in time, it is told once more and taken no second time.
        let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() else { return };
        let disk = Arc::clone(&self.disk);
        let forgetting = spawn_blocking(move || {
            let _turn = turn;
            disk.with(|spool| ids.into_iter().try_for_each(|id| spool.forget(id)))
        });
        if let Ok(Ok(Err(error))) = timeout(PATIENCE, forgetting).await {
            tracing::error!(%error, "the spool cannot be cleared");
        }
    }

    /// Says how things stand.
    pub fn show(&self) {
        self.bytes.set(self.disk.bytes.load(Relaxed) as f64);
        self.batches.set(self.disk.batches.load(Relaxed) as f64);
        self.lag.set(self.lag().as_secs_f64());
        self.failed.set(if self.disk.failed.load(Relaxed) { 1.0 } else { 0.0 });
    }

    /// Age of the oldest batch on disk or in memory; zero without any.
    fn lag(&self) -> Duration {
        let held = self.disk.back.lock().iter().map(|batch| made(batch.id)).min();
        let spooled = Some(self.disk.oldest.load(Relaxed)).filter(|oldest| *oldest > 0);
        let oldest = held.into_iter().chain(spooled).min().map(Duration::from_millis);
        oldest.map_or(Duration::ZERO, |oldest| self.live.clock.unix_now().saturating_sub(oldest))
    }

    /// The same for people, with so many requests in the queue.
    pub fn standing(&self, queued: usize) -> Standing {
        let disk = &self.disk;
        Standing {
            waiting: queued + self.held().0,
            spooled_batches: disk.batches.load(Relaxed),
            spooled_bytes: disk.bytes.load(Relaxed),
            lag: self.lag(),
            disk: if disk.failed.load(Relaxed) { super::Disk::Fails } else { super::Disk::Works },
        }
    }
}

/// When a batch was made, in milliseconds since the Unix epoch: its name begins with that.
fn made(id: u128) -> u64 {
    u64::try_from(id >> 80).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use super::*;

    /// Whether it is done at once.
    fn is_done<T>(work: &mut Pin<Box<impl Future<Output = T>>>) -> bool {
        work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn a_disk_that_hangs_holds_so_many_threads_and_no_more() {
        let live = Arc::new(Live::seeded(1));
        let directory = tempfile::tempdir().expect("there is room");
        let spool = Spool::open(directory.path(), 1 << 20).expect("it can be opened");
        let lane = Lane::new(spool, &live, Lost::new(&live));
        let disk = Arc::clone(&lane.disk);
        let hangs = disk.spool.lock();
        let mut pieces: Vec<_> = (0..MOST_WAITING).map(|_| Box::pin(lane.first())).collect();
        assert!(!pieces.iter_mut().any(is_done));
        assert!(is_done(&mut Box::pin(lane.first())), "nobody waits in vain");
        assert!(is_done(&mut Box::pin(lane.written(vec![1]))));
        drop(hangs);
        for piece in pieces {
            assert!(piece.await.is_empty());
        }
        assert_eq!(lane.turns.available_permits(), MOST_WAITING);
    }
}
