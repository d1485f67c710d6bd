//! Lines about requests, gathered and written together by a thread of their own: whoever reads standard error may do so
//! as slowly as he likes, or not at all, and no request waits for him.
//!
//! At most [`MOST`] bytes wait for it; lines beyond that are lost, and counted.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::super::Counter;

use super::Manner;
use crate::telemetry::{Metrics, catalogue};

/// Bytes after which a batch is handed on, give or take a line: what is larger is new memory to the system each time.
const BATCH: usize = 64 * 1024;
/// Batches that are handed on together, but for the last ones: waking whoever writes takes as long as some twenty
/// lines.
const TOGETHER: usize = 4;
/// Most bytes that wait to be written.
const MOST: usize = 16 << 20;

/// The thread of this process.
static WRITER: OnceLock<Option<Sender<Piece>>> = OnceLock::new();
/// Bytes that wait for it.
static WAITING: AtomicUsize = AtomicUsize::new(0);

enum Piece {
    Texts(Vec<Vec<u8>>),
    /// Says once that all before it is written.
    Done(SyncSender<()>),
}

/// One gateway's lines until they are written.
pub struct Lines {
    text: Vec<u8>,
    /// Batches that are full.
    full: Vec<Vec<u8>>,
    count: u64,
    lost: Counter,
}

impl Lines {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            text: Vec::new(),
            full: Vec::new(),
            count: 0,
            lost: metrics.counter(&catalogue::LOG_LOST, &[]),
        }
    }

    /// Has a line added.
    pub fn add(&mut self, write: impl FnOnce(&mut Vec<u8>, Manner)) {
        write(&mut self.text, Manner::now());
        self.count += 1;
        if self.text.len() >= BATCH {
            self.full.push(std::mem::replace(&mut self.text, Vec::with_capacity(BATCH + BATCH / 8)));
            if self.full.len() == TOGETHER {
                self.hand_on();
            }
        }
    }

    /// Has what was added written.
    pub fn flush(&mut self) {
        if !self.text.is_empty() {
            self.full.push(std::mem::take(&mut self.text));
        }
        if !self.full.is_empty() {
            self.hand_on();
        }
    }

    fn hand_on(&mut self) {
        let texts = std::mem::take(&mut self.full);
        let count = std::mem::take(&mut self.count);
        let bytes = texts.iter().map(Vec::len).sum();
        let has_room = WAITING.fetch_add(bytes, Relaxed) + bytes <= MOST;
        let writer = WRITER.get_or_init(start).as_ref().filter(|_| has_room);
        if writer.is_none_or(|writer| writer.send(Piece::Texts(texts)).is_err()) {
            WAITING.fetch_sub(bytes, Relaxed);
            self.lost.increment(count);
        }
    }
}

/// `None` where the system gives no thread.
fn start() -> Option<Sender<Piece>> {
    let (pieces, taken) = channel();
    let work = move || {
        for piece in taken {
            match piece {
                // As everything that standard error does not take, it is lost.
                Piece::Texts(texts) => {
                    for text in texts {
                        drop(std::io::stderr().write_all(&text));
                        WAITING.fetch_sub(text.len(), Relaxed);
                    }
                }
                Piece::Done(done) => drop(done.send(())),
            }
        }
    };
    thread::Builder::new().name("request log".to_owned()).spawn(work).ok().map(|_| pieces)
}

/// Waits until all that was flushed is written, or `patience` is over. For the very end of the process.
pub fn finish(patience: Duration) {
    let Some(Some(writer)) = WRITER.get() else { return };
    let (done, is_done) = sync_channel(1);
    if writer.send(Piece::Done(done)).is_ok() {
        match is_done.recv_timeout(patience) {
            Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}
