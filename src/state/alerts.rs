//! Where alerts are raised, wherever they happen, and whoever tells operators takes them from.
//!
//! Raising one never waits: what nobody takes is dropped, the oldest first. Those about budgets have a room of their
//! own, for callers bring them about, any number of them: only so many fire at a time, the end of one that does not is
//! nobody's news, and that of one that does is never dropped. The others go before them.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::vocab::{Alert, AlertKind, AlertState};

/// As many wait to be taken.
const MOST: usize = 1024;
/// Budgets' alerts that fire at a time; as many that begin wait, and as many that end.
const MOST_OF_BUDGETS: usize = 512;

#[derive(Debug, Default)]
pub struct Alerts {
    waiting: Mutex<Waiting>,
    raised: Notify,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    budgets: VecDeque<Alert>,
    others: VecDeque<Alert>,
    /// Subjects of those about budgets that fire.
    firing: HashSet<Box<str>>,
}

/// What became of one that was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    Waits,
    /// For another one, or because there was no room for it, something is lost.
    Dropped,
    /// Nobody knows that it ever began.
    NoNews,
}

impl Alerts {
    pub fn raise(&self, alert: Alert) {
        let put = self.waiting.lock().put(alert);
        match put {
            Put::Waits => {}
            Put::Dropped => {
                self.dropped.fetch_add(1, Relaxed);
            }
            Put::NoNews => return,
        }
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
            if let Some(alert) = self.waiting.lock().take() {
                return alert;
            }
            raised.await;
        }
    }
}

impl Waiting {
    fn put(&mut self, alert: Alert) -> Put {
        match (alert.kind, alert.state) {
            (AlertKind::Budget, AlertState::Firing) => {
                let is_full = self.firing.len() >= MOST_OF_BUDGETS && !self.firing.contains(&alert.subject);
                // Those that end have room behind those that begin: each of them has begun.
                if is_full || self.budgets.len() >= MOST_OF_BUDGETS {
                    return Put::Dropped;
                }
                self.firing.insert(alert.subject.clone());
                self.budgets.push_back(alert);
                Put::Waits
            }
            (AlertKind::Budget, AlertState::Resolved) => {
                if !self.firing.remove(&alert.subject) {
                    return Put::NoNews;
                }
                self.budgets.push_back(alert);
                Put::Waits
            }
            (
                AlertKind::SpendSpike
                | AlertKind::ErrorSpike
                | AlertKind::ChannelDown
                | AlertKind::CredentialDead
                | AlertKind::StoreAway,
                _,
            ) => {
                let is_full = self.others.len() == MOST;
                if is_full {
                    self.others.pop_front();
                }
                self.others.push_back(alert);
                if is_full { Put::Dropped } else { Put::Waits }
            }
        }
    }

    fn take(&mut self) -> Option<Alert> {
        self.others.pop_front().or_else(|| self.budgets.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: usize) -> Alert {
        let subject = number.to_string().into();
        Alert { kind: AlertKind::ChannelDown, subject, text: String::new(), state: AlertState::Firing }
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

    #[tokio::test]
    async fn budgets_crowd_nobody_out_and_what_fires_of_them_is_taken_back() {
        let alerts = Alerts::default();
        let budget = |number, state| Alert { kind: AlertKind::Budget, state, ..numbered(number) };
        alerts.raise(numbered(7));
        for number in 0..10 * MOST {
            alerts.raise(budget(number, AlertState::Firing));
        }
        assert_eq!(alerts.dropped(), (10 * MOST - MOST_OF_BUDGETS) as u64);
        // The ends of those that nobody has heard of are no news.
        for number in (0..10 * MOST).rev() {
            alerts.raise(budget(number, AlertState::Resolved));
        }
        assert_eq!((alerts.dropped(), alerts.next().await), (0, numbered(7)));
        for number in 0..MOST_OF_BUDGETS {
            assert_eq!(alerts.next().await, budget(number, AlertState::Firing));
        }
        for number in (0..MOST_OF_BUDGETS).rev() {
            assert_eq!(alerts.next().await, budget(number, AlertState::Resolved));
        }
        alerts.raise(budget(9999, AlertState::Firing));
        assert_eq!(alerts.next().await, budget(9999, AlertState::Firing), "there is room again");
        assert!(alerts.waiting.lock().take().is_none());
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
