//! Writes what requests leave, in batches: into the store, or onto disk while that is away or behind.
//!
//! What waits is taken five times a second, and when a batch of it is whole, instead of waking somebody for every
//! request. What the store has not taken within [`PATIENCE`] is put on disk; that it may have taken it after all does
//! no harm. As long as anything is on disk, everything goes there first, so that the store gets it in order and is
//! asked by one only. What neither of them takes stays in memory and is tried again with every tick; nothing more is
//! taken meanwhile, so that no more than that and what may wait is ever held.

use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::{sleep, timeout, timeout_at};

use super::lane::Lane;
use super::pending::Pending;
use crate::algo::tick::Tick;
use crate::state::Live;
use crate::state::flush::Flushes;
use crate::store::rows::{Batch, RowId};
use crate::store::{self, Store};
use crate::telemetry::{Counter, Gauge, catalogue as c};

/// How often what waits is written. A transaction costs a database as much as some hundred rows.
const TICK: Duration = Duration::from_millis(200);
/// What the store may take for all that has come since the last tick before the rest goes to disk. With a tick and the
/// disk's own deadline it is less than a second.
const PATIENCE: Duration = Duration::from_millis(350);
/// The same for a batch that is on disk already.
const REPLAY_PATIENCE: Duration = Duration::from_secs(6);
/// Between tries at a store that is away.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Where batches end up: each whole and once, however often it is told.
pub trait Sink: Send + Sync + 'static {
    /// Why a batch was not written, without any secret.
    type Error: Display + Send;

    /// All that are not there yet are, where it goes well; where it does not, nobody knows of any.
    fn write(&self, batches: &[Arc<Batch>]) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Takes what waits, and what is on disk, to the store.
pub struct Writer<S> {
    live: Arc<Live>,
    sink: Arc<S>,
    lane: Arc<Lane>,
    pending: Arc<Pending>,
    flushes: Flushes<usize>,
    direct: Counter,
    replayed: Counter,
    queue: Gauge,
    /// The log has heard that the store takes nothing, and it has taken nothing since.
    is_told: AtomicBool,
}

impl<S: Sink> Writer<S> {
    pub(super) fn new(
        live: &Arc<Live>,
        sink: Arc<S>,
        lane: Arc<Lane>,
        pending: Arc<Pending>,
        flushes: Flushes<usize>,
    ) -> Self {
        let rows = |way| live.metrics.counter(&c::LEDGER_ROWS, &[way]);
        Self {
            live: Arc::clone(live),
            sink,
            lane,
            pending,
            flushes,
            direct: rows("direct"),
            replayed: rows("replayed"),
            queue: live.metrics.gauge(&c::LEDGER_QUEUE, &[]),
            is_told: AtomicBool::new(false),
        }
    }

    /// Works until it is dropped.
    pub async fn run(mut self) {
        let replay = Replay {
            live: Arc::clone(&self.live),
            sink: Arc::clone(&self.sink),
            lane: Arc::clone(&self.lane),
            replayed: self.replayed.clone(),
        };
        let mut replay = pin!(replay.run());
        let mut write = pin!(self.write());
        tokio::select! {
            () = &mut replay => {}
            () = &mut write => {}
        }
    }

    async fn write(&mut self) {
        loop {
            let asked = tokio::select! {
                () = sleep(TICK) => None,
                () = self.pending.whole() => None,
                asked = self.flushes.recv() => match asked {
                    Some(asked) => Some(asked),
                    // Nobody leaves anything any more, or asks for it.
                    None => return self.empty().await,
                },
            };
            self.empty().await;
            self.lane.show();
            if let Some(asked) = asked {
                // Whoever asked may have lost his patience.
                let _ = asked.send(self.lane.held().1);
            }
        }
    }

    /// Writes all that waits now, after what could not be written before.
    async fn empty(&mut self) {
        self.show_queue();
        let until = self.live.now() + PATIENCE;
        while let Some(batch) = self.lane.back() {
            let before = self.lane.held();
            self.deliver(batch, until).await;
            if self.lane.held() > before {
                return self.show_queue();
            }
        }
        let mut left = self.pending.requests();
        while left > 0 && self.lane.held().1 == 0 {
            let Some(batch) = self.pending.take(self.chance_name()) else { break };
            left = left.saturating_sub(batch.requests.len());
            self.deliver(Arc::new(batch), until).await;
        }
        self.show_queue();
    }

    fn show_queue(&self) {
        self.queue.set((self.pending.requests() + self.lane.held().0) as f64);
    }

    async fn deliver(&self, batch: Arc<Batch>, until: Tick) {
        if self.lane.is_empty() {
            let written = self.sink.write(std::slice::from_ref(&batch));
            match timeout_at(self.live.clock.instant(until), written).await {
                Ok(Ok(())) => {
                    self.direct.increment(rows_of(&batch) as u64);
                    self.lane.is_not_needed();
                    self.is_told.store(false, Relaxed);
                    if let Some(batch) = Arc::into_inner(batch) {
                        self.pending.give_back(batch);
                    }
                    return;
                }
                _ if self.is_told.swap(true, Relaxed) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the store takes no rows; they are kept beside it, on disk where that takes them");
                }
                Err(_) => tracing::warn!(
                    "the store does not answer; the ledger's rows are kept beside it, on disk where that takes them"
                ),
            }
        }
        self.lane.append(batch).await;
    }

    fn chance_name(&self) -> u128 {
        let mut dice = self.live.dice();
        let chance = u128::from(dice.next_u64()) << 64 | u128::from(dice.next_u64());
        RowId::new(self.live.clock.unix_now(), chance).0
    }
}

impl Sink for Store {
    type Error = store::Error;

    async fn write(&self, batches: &[Arc<Batch>]) -> Result<(), store::Error> {
        self.write_all(batches).await
    }
}

pub(super) fn rows_of(batch: &Batch) -> usize {
    batch.requests.iter().filter(|row| row.is_own()).count() + batch.attempts.len()
}

/// Takes what is on disk to the store, the oldest first.
struct Replay<S> {
    live: Arc<Live>,
    sink: Arc<S>,
    lane: Arc<Lane>,
    replayed: Counter,
}

impl<S: Sink> Replay<S> {
    async fn run(self) {
        let (least, most) = PAUSES;
        let mut pause = least;
        loop {
            self.lane.filled().await;
            if self.some().await {
                pause = least;
            } else {
                // Not with all other replicas at the same moment.
                sleep(pause.mul_f64(self.live.dice().between(0.8, 1.2))).await;
                pause = (pause * 2).min(most);
            }
        }
    }

    /// Whether the store has taken some.
    async fn some(&self) -> bool {
        let batches = self.lane.first().await;
        if batches.is_empty() {
            return false;
        }
        match timeout(REPLAY_PATIENCE, self.sink.write(&batches)).await {
            Ok(Ok(())) => {
                self.replayed.increment(batches.iter().map(|batch| rows_of(batch)).sum::<usize>() as u64);
                self.lane.written(batches.iter().map(|batch| batch.id).collect()).await;
                true
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "the store is still away");
                false
            }
            Err(_) => false,
        }
    }
}
