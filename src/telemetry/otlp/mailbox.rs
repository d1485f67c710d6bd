//! What waits to be sent to the collector. Putting something in never waits; where there is no room, what has waited
//! longest goes: of metrics it is what matters least, since each batch holds all that the one before it did; of traces
//! it is what fewest will ask for.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Signal;
use crate::telemetry::catalogue as c;
use crate::telemetry::cell::{Counter, Gauge};
use crate::telemetry::registry::Metrics;

/// Batches that may wait.
const MOST: usize = 64;
/// And their bytes together.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// What came of a try to deliver a batch. The label `result` of `mainstay_otlp_batches_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    Sent,
    /// Not, and it will be tried again.
    Retried,
    /// The collector does not want it.
    Refused,
    /// The last try failed.
    GivenUp,
    /// More waited than may.
    QueueFull,
}

impl Delivered {
    pub const ALL: [Self; 5] = [Self::Sent, Self::Retried, Self::Refused, Self::GivenUp, Self::QueueFull];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Retried => "retried",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
            Self::QueueFull => "queue_full",
        }
    }
}

pub struct Mailbox {
    pub signal: Signal,
    waiting: Mutex<Waiting>,
    news: Notify,
    counts: [Counter; Delivered::ALL.len()],
    length: Gauge,
}

#[derive(Default)]
struct Waiting {
    batches: VecDeque<Bytes>,
    bytes: usize,
    /// Somebody took one and has not said what came of it.
    is_posting: bool,
}

impl Mailbox {
    pub fn new(signal: Signal, metrics: &Metrics) -> Self {
        Self {
            signal,
            waiting: Mutex::default(),
            news: Notify::new(),
            length: metrics.gauge(&c::OTLP_QUEUE, &[signal.name()]),
            counts: Delivered::ALL
                .map(|result| metrics.counter(&c::OTLP_BATCHES, &[signal.name(), result.name()])),
        }
    }

    pub fn put(&self, batch: Vec<u8>) {
        let mut waiting = self.waiting.lock();
        waiting.bytes += batch.len();
        waiting.batches.push_back(batch.into());
        while waiting.batches.len() > MOST || (waiting.bytes > MOST_BYTES && waiting.batches.len() > 1) {
            let oldest = waiting.batches.pop_front();
            waiting.bytes -= oldest.map_or(0, |oldest| oldest.len());
            self.count(Delivered::QueueFull);
        }
        self.length.set(waiting.batches.len() as f64);
        drop(waiting);
        self.news.notify_one();
    }

    /// The one that has waited longest, once there is one.
    pub async fn next(&self) -> Bytes {
        loop {
            if let Some(batch) = self.take() {
                return batch;
            }
            self.news.notified().await;
        }
    }

    fn take(&self) -> Option<Bytes> {
        let mut waiting = self.waiting.lock();
        let batch = waiting.batches.pop_front()?;
        waiting.bytes -= batch.len();
        waiting.is_posting = true;
        self.length.set(waiting.batches.len() as f64);
        Some(batch)
    }

    pub fn len(&self) -> usize {
        self.waiting.lock().batches.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all that was put in is with the collector, or lost.
    pub fn is_settled(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.batches.is_empty() && !waiting.is_posting
    }

    /// The batch that was taken last is with the collector, or nobody wants it.
    pub fn settle(&self) {
        self.waiting.lock().is_posting = false;
    }

    pub fn count(&self, result: Delivered) {
        self.counts[result as usize].increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_waited_longest_goes_where_there_is_no_room() {
        let metrics = Metrics::new();
        let mailbox = Mailbox::new(Signal::Metrics, &metrics);
        for number in 0..=MOST {
            mailbox.put(vec![number as u8]);
        }
        assert_eq!(mailbox.len(), MOST);
        assert_eq!(mailbox.take().as_deref(), Some(&[1][..]));
        let full = r#"mainstay_otlp_batches_total{signal="metrics",result="queue_full"} "#;
        assert!(metrics.render().contains(&format!("{full}1\n")));
        // Large ones fill it, too, and one that is too large for it is sent all the same.
        while mailbox.take().is_some() {}
        mailbox.put(vec![0; MOST_BYTES]);
        assert_eq!(mailbox.len(), 1);
        mailbox.put(vec![1]);
        assert_eq!((mailbox.len(), mailbox.take().as_deref()), (1, Some(&[1][..])));
        mailbox.put(vec![0; MOST_BYTES + 1]);
        assert_eq!((mailbox.len(), mailbox.waiting.lock().bytes), (1, MOST_BYTES + 1));
    }

    #[tokio::test]
    async fn what_is_put_in_comes_out_in_its_order() {
        let mailbox = Mailbox::new(Signal::Metrics, &Metrics::new());
        mailbox.put(vec![1]);
        mailbox.put(vec![2]);
        assert_eq!((mailbox.next().await[0], mailbox.next().await[0]), (1, 2));
        let (taken, ()) = tokio::join!(mailbox.next(), async { mailbox.put(vec![3]) });
        assert_eq!(taken[0], 3);
        assert!(!mailbox.is_settled());
        mailbox.settle();
        assert!(mailbox.is_settled());
    }
}
