//! Where alerts are raised, wherever they happen, and whoever tells operators takes them from.
//!
//! Raising one never waits: what nobody takes is dropped, the oldest first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::vocab::Alert;

/// As many wait to be taken.
const MOST: usize = 1024;

#[derive(Debug, Default)]
pub struct Alerts {
    waiting: Mutex<VecDeque<Alert>>,
    raised: Notify,
    dropped: AtomicU64,
}

impl Alerts {
    pub fn raise(&self, alert: Alert) {
        let mut waiting = self.waiting.lock();
        if waiting.len() == MOST {
            waiting.pop_front();
            self.dropped.fetch_add(1, Relaxed);
        }
        waiting.push_back(alert);
        drop(waiting);
        self.raised.notify_one();
    }

    /// How many were dropped since somebody asked.
    pub fn dropped(&self) -> u64 {
        self.dropped.swap(0, Relaxed)
    }

    /// The oldest that nobody has taken, once there is one.
    pub async fn next(&self) -> Alert {
        loop {
            let raised = self.raised.notified();
            if let Some(alert) = self.waiting.lock().pop_front() {
                return alert;
            }
            raised.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocab::{AlertKind, AlertState};

    fn numbered(number: usize) -> Alert {
        let subject = number.to_string().into();
        Alert { kind: AlertKind::Budget, subject, text: String::new(), state: AlertState::Firing }
    }

    #[tokio::test]
    async fn they_are_taken_in_their_order_and_the_oldest_go_where_there_are_too_many() {
        let alerts = Alerts::default();
        for number in 0..MOST + 3 {
            alerts.raise(numbered(number));
        }
        assert_eq!((alerts.dropped(), alerts.dropped()), (3, 0));
        for number in 3..MOST + 3 {
            assert_eq!(alerts.next().await, numbered(number));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_woken() {
        let alerts = std::sync::Arc::new(Alerts::default());
        let taker = std::sync::Arc::clone(&alerts);
        let taking = tokio::spawn(async move { taker.next().await });
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        alerts.raise(numbered(7));
        assert_eq!(taking.await.expect("taken"), numbered(7));
    }
}
