//! Where alerts are raised, wherever they happen, and whoever tells operators takes them from.
//!
//! Raising one never waits: what nobody takes is dropped, the oldest first.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::vocab::Alert;

/// As many wait to be taken.
const MOST: usize = 1024;

#[derive(Debug, Default)]
pub struct Alerts {
    waiting: Mutex<VecDeque<Alert>>,
    raised: Notify,
}

impl Alerts {
    pub fn raise(&self, alert: Alert) {
        let mut waiting = self.waiting.lock();
        if waiting.len() == MOST {
            waiting.pop_front();
        }
        waiting.push_back(alert);
        drop(waiting);
        self.raised.notify_one();
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
