//! What callers asked and were answered, redacted, on disk for a while: where an operator has turned that on.
//!
//! ```text
//! request ─┐
//!          ├─ Taking ─ whichever ends last ─► queue ─► Writer ─ redacted ─► Segments
//! answer ──┘
//! ```
//!
//! | file | job |
//! |---|---|
//! | `taking` | one request on its way: what is seen of it |
//! | `record` | all of that -> a line of JSON |
//! | `body` | what is kept of a body |
//! | `json`, `joined` | the same of JSON, and of a stream's events |
//! | `redact` | what is struck out of every text |
//! | `writer` | off the path of requests: redacts, writes, clears away |
//! | `segments` | files by the hour, within a size and an age |
//!
//! Who is captured is not decided here (`proxy::capture`). A request never waits for any of it: what does not fit into
//! the bounds is dropped and counted. Nothing is written that was not redacted before, and nothing of it is in a log, a
//! metric or a `Debug`.
//!
//! # Memory
//!
//! All captures together hold [`MOST_HELD`] bytes, from a request's arrival until its line is written; a batch of lines
//! that is being made has at most [`writer::AT_ONCE`] of them.

mod body;
mod joined;
mod json;
mod record;
mod redact;
mod segments;
mod taking;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

pub use body::Language;
pub use record::Record;
pub use taking::{Arrived, Taking};
pub use writer::Writer;

use crate::config;
use crate::state::Live;
use crate::state::flush::Flush;
use crate::state::holding::{Holding, Holdings};
use crate::telemetry::{Counter, catalogue};
use segments::Place;
use taking::Left;

/// Bytes that all captures together hold in memory.
pub const MOST_HELD: u64 = 64 << 20;
/// Captures that wait to be written.
const QUEUE: usize = 4096;
/// For what has just ended to be on disk before somebody looks for it.
const SETTLING: Duration = Duration::from_secs(1);
/// For a look through all that is there.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where requests leave what was seen of them, and operators find it.
pub struct Captures {
    queue: mpsc::Sender<Left>,
    flush: Flush<()>,
    settings: watch::Sender<Option<Arc<config::Capture>>>,
    /// From where the file's paths are counted.
    beside: Beside,
    holdings: Arc<Holdings>,
    no_room: Counter,
    opted_out: Counter,
    /// One look at a time.
    turn: Semaphore,
}

/// Where a path of the configuration leads.
pub type Beside = Arc<dyn Fn(&std::path::Path) -> std::path::PathBuf + Send + Sync>;

/// Why nobody knows whether there is a capture.
#[derive(Debug, thiserror::Error)]
pub enum Unseen {
    #[error("{0}")]
    Disk(#[from] std::io::Error),
    #[error("it was not found within {} s, among all that is there", PATIENCE.as_secs())]
    Late,
}

impl std::fmt::Debug for Captures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Captures")
    }
}

impl Captures {
    /// The front, and who writes what is left there; its future has to be run.
    pub fn open(live: &Arc<Live>, beside: Beside) -> (Arc<Self>, Writer) {
        let (queue, left) = mpsc::channel(QUEUE);
        let (flush, asked) = Flush::open();
        let (settings, in_force) = watch::channel(None);
        let count = |result| {
            let counter = live.metrics.counter(&catalogue::CAPTURES, &[result]);
            // A counter that first appears at its first event hides that event from `increase()`.
            counter.increment(0);
            counter
        };
        let captures = Arc::new(Self {
            queue,
            flush,
            settings,
            beside: Arc::clone(&beside),
            holdings: Arc::default(),
            no_room: count("no_room"),
            opted_out: count("opted_out"),
            turn: Semaphore::new(1),
        });
        let results = writer::Results { written: count("written"), failed: count("failed") };
        (captures, Writer::new(live, beside, (left, asked, in_force), results))
    }

    /// What is captured from now on, and for how long it stays.
    pub fn follow(&self, settings: Option<&Arc<config::Capture>>) {
        self.settings.send_if_modified(|before| {
            let differs = before.as_ref() != settings;
            if differs {
                *before = settings.cloned();
            }
            differs
        });
    }

    /// Begins one; `None` where there is no room for it.
    pub fn begin(
        self: &Arc<Self>,
        settings: &Arc<config::Capture>,
        arrived: &Arrived<'_>,
    ) -> Option<Arc<Taking>> {
        Taking::begin(self, settings, arrived, self.holding())
    }

    /// A caller has refused.
    pub fn opted_out(&self) {
        self.opted_out.increment(1);
    }

    /// Returns once all that was left here before was written, or could not be, or `patience` is over.
    pub async fn flush(&self, patience: Duration) {
        if self.flush.ask(patience).await.is_err() {
            tracing::warn!("the last captures were not written in time");
        }
    }

    /// The last capture of a request of this id; `None` where there is none.
    ///
    /// # Errors
    /// The disk says nothing, or too slowly.
    pub async fn find(&self, request_id: &str) -> Result<Option<Value>, Unseen> {
        let Some(settings) = self.settings.borrow().clone() else { return Ok(None) };
        let place = Place::new((self.beside)(&settings.path));
        self.flush(SETTLING).await;
        let request_id = request_id.to_owned();
        let given_up = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&given_up);
        let found = async {
            // Nobody closes it.
            let _turn = self.turn.acquire().await;
            spawn_blocking(move || place.find(&request_id, || stop.load(Relaxed))).await
        };
        match timeout(PATIENCE, found).await {
            Ok(Ok(found)) => Ok(found?),
            Ok(Err(_)) => Err(Unseen::Disk(std::io::ErrorKind::Interrupted.into())),
            Err(_) => {
                given_up.store(true, Relaxed);
                Err(Unseen::Late)
            }
        }
    }

    /// Whether anything is captured, or lies where something was.
    pub fn is_anywhere(&self) -> bool {
        self.settings.borrow().is_some()
    }

    fn holding(&self) -> Holding {
        Holding::within(&self.holdings, MOST_HELD)
    }

    fn no_room(&self) {
        self.no_room.increment(1);
    }

    /// Never waits.
    fn leave(&self, left: Left) {
        if self.queue.try_send(left).is_err() {
            self.no_room.increment(1);
        }
    }
}
