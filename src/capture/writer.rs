//! Redacts what requests leave, and writes it: off their path, on threads that may block, one batch at a time. A disk
//! that hangs holds up this alone; the queue fills meanwhile, and what does not fit is counted.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::Beside;
use super::segments::{Bounds, Segments};
use super::taking::Left;
use crate::config;
use crate::state::Live;
use crate::state::flush::Flushes;
use crate::telemetry::{Counter, Gauge, catalogue};

/// Captures that are redacted and written together.
pub const AT_ONCE: usize = 32;
/// What is too old is looked for, with or without traffic.
const TEND: Duration = Duration::from_mins(1);

type Settings = watch::Receiver<Option<Arc<config::Capture>>>;

/// What comes in: captures, questions whether all is written, and other settings.
type Ways = (mpsc::Receiver<Left>, Flushes<()>, Settings);

/// What became of captures.
pub(super) struct Results {
    pub written: Counter,
    pub failed: Counter,
}

/// Who writes captures.
pub struct Writer {
    left: mpsc::Receiver<Left>,
    flushes: Flushes<()>,
    settings: Settings,
    desk: Arc<Desk>,
}

/// What the threads that may block share.
struct Desk {
    live: Arc<Live>,
    beside: Beside,
    disk: Mutex<Disk>,
    results: Results,
    bytes: Gauge,
}

struct Disk {
    segments: Segments,
    health: Health,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Well,
    /// It was said that the disk does not take what is written.
    Failing,
}

impl Writer {
    pub(super) fn new(
        live: &Arc<Live>,
        beside: Beside,
        (left, flushes, settings): Ways,
        results: Results,
    ) -> Self {
        let disk = Disk { segments: Segments::new(PathBuf::new()), health: Health::Well };
        let bytes = live.metrics.gauge(&catalogue::CAPTURE_BYTES, &[]);
        let desk = Desk { live: Arc::clone(live), beside, disk: Mutex::new(disk), results, bytes };
        Self { left, flushes, settings, desk: Arc::new(desk) }
    }

    /// Works until nobody leaves anything any more.
    pub async fn run(mut self) {
        let mut tended = self.desk.live.now();
        loop {
            let rest = TEND.saturating_sub(self.desk.live.now().since(tended));
            let is_anywhere = self.settings.borrow().is_some();
            let mut batch = Vec::new();
            // Each of them loses nothing when another one is first: what is received stays where it is until then.
            let asked = tokio::select! {
                biased;
                changed = self.settings.changed() => match changed {
                    Ok(()) => None,
                    Err(_) => return,
                },
                asked = self.flushes.recv() => asked,
                _ = self.left.recv_many(&mut batch, AT_ONCE) => None,
                () = sleep(rest), if is_anywhere => None,
            };
            let is_idle = batch.is_empty() && asked.is_none();
            self.write(batch).await;
            if let Some(asked) = asked {
                self.write_all().await;
                // He may have lost his patience.
                let _ = asked.send(());
            }
            if is_idle || self.desk.live.now().since(tended) >= TEND {
                self.tend().await;
                tended = self.desk.live.now();
            }
        }
    }

    async fn write(&self, batch: Vec<Left>) {
        if batch.is_empty() {
            return;
        }
        let desk = Arc::clone(&self.desk);
        // A panic there was logged, and is of one batch.
        let _ = spawn_blocking(move || desk.write(&batch)).await;
    }

    /// All that was left by now.
    async fn write_all(&mut self) {
        let mut waiting = self.left.len();
        while waiting > 0 {
            let mut batch = Vec::new();
            waiting = waiting.saturating_sub(self.left.recv_many(&mut batch, AT_ONCE.min(waiting)).await);
            self.write(batch).await;
        }
    }

    async fn tend(&mut self) {
        let Some(settings) = self.settings.borrow_and_update().clone() else {
            self.desk.bytes.set(0.0);
            return;
        };
        let desk = Arc::clone(&self.desk);
        let _ = spawn_blocking(move || desk.tend(&settings)).await;
    }
}

impl Desk {
    fn write(&self, batch: &[Left]) {
        for Left { taken, settings, .. } in batch {
            let line = taken.line(settings);
            let now = self.live.clock.unix_now();
            let mut disk = self.disk.lock();
            let written = disk.at((self.beside)(&settings.path)).write(&line, now, bounds(settings));
            match written {
                Ok(bytes) => {
                    self.results.written.increment(1);
                    self.bytes.set(bytes as f64);
                    disk.works();
                }
                Err(error) => {
                    self.results.failed.increment(1);
                    disk.fails(&error);
                }
            }
        }
    }

    /// Clears away what is too old, and makes the place where something is to be written.
    fn tend(&self, settings: &config::Capture) {
        let now = self.live.clock.unix_now();
        let mut disk = self.disk.lock();
        let segments = disk.at((self.beside)(&settings.path));
        let prepared = if settings.enabled { segments.prepare() } else { Ok(()) };
        match prepared.and_then(|()| segments.clear(now, bounds(settings), 0)) {
            Ok(bytes) => self.bytes.set(bytes as f64),
            Err(error) => disk.fails(&error),
        }
    }
}

impl Disk {
    /// What is at `directory`, whatever was written to before.
    fn at(&mut self, directory: PathBuf) -> &mut Segments {
        if !self.segments.is_at(&directory) {
            self.segments = Segments::new(directory);
        }
        &mut self.segments
    }

    /// Said once.
    fn fails(&mut self, error: &std::io::Error) {
        if self.health == Health::Well {
            self.health = Health::Failing;
            tracing::error!(
                %error,
                "captures cannot be written; make room, or let the gateway's user write into telemetry.capture.path"
            );
        }
    }

    fn works(&mut self) {
        if self.health == Health::Failing {
            self.health = Health::Well;
            tracing::info!("captures are written again");
        }
    }
}

fn bounds(settings: &config::Capture) -> Bounds {
    Bounds { bytes: settings.max_total, age: settings.retention }
}
