//! What is counted of the store. Registered only where there is one; then every series begins at 0.

use super::catalogue as c;
use super::cell::{Counter, Gauge, Histogram};
use super::registry::Metrics;

/// Why something was not done. The label `kind` of `mainstay_store_errors_total`.
const KINDS: [&str; 3] = ["away", "late", "refused"];

pub struct StoreHandles {
    pub up: Gauge,
    /// Of writes that were done.
    pub seconds: Histogram,
    /// Rows that were spooled for so long that nobody can tell whether they are in it.
    pub too_old: Counter,
    errors: [Counter; 3],
}

impl StoreHandles {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            up: metrics.gauge(&c::STORE_UP, &[]),
            seconds: metrics.histogram(&c::STORE_SECONDS, &[]),
            too_old: {
                let counter = metrics.counter(&c::LEDGER_LOST, &["too_old"]);
                counter.increment(0);
                counter
            },
            errors: KINDS.map(|kind| {
                let counter = metrics.counter(&c::STORE_ERRORS, &[kind]);
                counter.increment(0);
                counter
            }),
        }
    }

    pub fn failed(&self, kind: &str) {
        if let Some(at) = KINDS.iter().position(|known| *known == kind) {
            self.errors[at].increment(1);
        }
    }
}
