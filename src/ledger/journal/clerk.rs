//! Reads what requests leave, ten times a second or when there are many: nothing on their path wakes anybody otherwise.
//! Each goes into the journal, and, where the log wants it, becomes a line there; and spans, where a collector is told
//! of it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::spending::Spending;
use super::tracer::{self, Tracer};
use super::{Journal, line};
use crate::ledger::decision::Decision;
use crate::ledger::record::Record;
use crate::state::Live;
use crate::state::flush::Flushes;
use crate::telemetry::logs::{self, Timestamps};

const TICK: Duration = Duration::from_millis(100);
/// Requests that are read before others that run on the same thread have their turn: some 100 µs.
const AT_ONCE: usize = 32;

/// Who writes the journal.
pub struct Clerk {
    journal: Arc<Journal>,
    records: mpsc::Receiver<Box<Record>>,
    flushes: Flushes<()>,
    lines: logs::Lines,
    times: Timestamps,
    spending: Spending,
    tracer: Tracer,
}

impl Clerk {
    pub(super) fn new(
        live: &Arc<Live>,
        journal: Arc<Journal>,
        records: mpsc::Receiver<Box<Record>>,
        flushes: Flushes<()>,
    ) -> Self {
        Self {
            journal,
            records,
            flushes,
            lines: logs::Lines::new(&live.metrics),
            times: Timestamps::default(),
            spending: Spending::new(live),
            tracer: Tracer::default(),
        }
    }

    /// Works until it is dropped.
    pub async fn run(mut self) {
        let mut tick = pin!(sleep(TICK));
        loop {
            let asked = tokio::select! {
                () = &mut tick => None,
                () = self.journal.many.notified() => {
                    self.read().await;
                    continue;
                }
                asked = self.flushes.recv() => asked,
            };
            self.read().await;
            self.spending.count();
            self.lines.flush();
            tick.set(sleep(TICK));
            if let Some(outlet) = self.journal.outlet.get() {
                match asked {
                    Some(_) => self.tracer.send(outlet),
                    None => self.tracer.looked(outlet),
                }
            }
            // Whoever asked may have lost his patience.
            let _ = asked.map(|asked| asked.send(()));
        }
    }

    /// All that was left by now.
    pub(super) async fn read(&mut self) {
        let mut read = 0_usize;
        for _ in 0..self.records.len() {
            let Ok(record) = self.records.try_recv() else { break };
            self.spending.add(&record);
            self.tell(&record);
            self.journal.put(record);
            read += 1;
            if read.is_multiple_of(AT_ONCE) {
                yield_now().await;
            }
        }
    }

    /// Tells the log and the collector, as far as they want to know.
    fn tell(&mut self, record: &Record) {
        let level = line::level(record).filter(|level| logs::wants_request(*level));
        let outlet = self.journal.outlet.get().filter(|_| tracer::wants(record));
        if level.is_none() && outlet.is_none() {
            return;
        }
        let Some(decision) = Decision::of(record) else { return };
        if let Some(level) = level {
            let times = &mut self.times;
            self.lines.add(|text, manner| line::write(text, &decision, level, manner, times));
        }
        if let Some(outlet) = outlet {
            self.tracer.add(record, &decision, outlet);
        }
    }
}
