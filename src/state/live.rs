//! What all live memory of one gateway shares: its clock, its chance, its metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;

use super::alerts::Alerts;
use super::chance::Chance;
use super::clock::{Clock, Hand};
use super::holding::Holdings;
use super::network::Network;
use super::overrides::Overrides;
use crate::algo::dice::Dice;
use crate::algo::tick::Tick;
use crate::telemetry::Metrics;
use crate::vocab::RequestId;

#[derive(Debug, Default)]
pub struct Live {
    pub clock: Clock,
    pub metrics: Metrics,
    pub network: Network,
    pub holdings: Arc<Holdings>,
    /// Rung when a key begins to rest, for whoever tells other replicas.
    pub resting: Notify,
    /// What operators should know.
    pub alerts: Alerts,
    /// What operators have said of upstreams.
    pub overrides: Overrides,
    /// What attempts have cost since the start, in nano-USD, as far as anybody knows.
    pub spent: AtomicU64,
    chance: Chance,
    /// When this process was last seen to be starved of CPU, in nanoseconds; 0 is never.
    starved_at: AtomicU64,
}

/// A timer that fires this late means that the process did not run, so what it timed out proves
/// nothing about anybody else (RESILIENCE §4.2 rule 4).
pub const STARVED_AFTER: Duration = Duration::from_millis(250);

impl Live {
    /// As [`Live::default`], but every draw follows from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self { chance: Chance::seeded(seed), ..Self::default() }
    }

    /// As [`Live::seeded`], in a time that `hand` moves.
    pub fn moved_by(hand: &Hand, seed: u64) -> Self {
        Self { clock: Clock::moved_by(hand), ..Self::seeded(seed) }
    }

    pub fn now(&self) -> Tick {
        self.clock.now()
    }

    pub fn dice(&self) -> Dice {
        self.chance.dice()
    }

    /// A name for a request.
    pub fn name_request(&self) -> RequestId {
        RequestId::given(self.clock.unix_now(), self.dice().next_u64())
    }

    /// What ids of answers that have none are made of.
    pub fn nonce(&self) -> String {
        format!("{:016x}", self.dice().next_u64())
    }

    /// A timer that should have fired `late` ago has just fired.
    pub fn pulse(&self, late: Duration) {
        if late > STARVED_AFTER {
            self.starved_at.store(self.now().nanos().max(1), Relaxed);
        }
    }

    /// Whether this process was starved at some time since `begun`.
    pub fn starved_since(&self, begun: Tick) -> bool {
        let at = self.starved_at.load(Relaxed);
        at != 0 && at >= begun.nanos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_requests_are_in_the_order_of_time() {
        let hand = Hand::default();
        let live = Live::moved_by(&hand, 1);
        let first = live.name_request();
        assert_eq!((first.len(), &first[..4]), (28, "req_"));
        let millis = u64::from_str_radix(&first[4..16], 16).map(Duration::from_millis);
        assert_eq!(millis, Ok(hand.true_wall()));
        hand.move_to(Tick::ZERO + Duration::from_millis(1));
        let names: Vec<_> = (0..100).map(|_| live.name_request()).collect();
        assert!(names.iter().all(|name| first < *name && name[..16] == names[0][..16]), "{names:?}");
    }
}
