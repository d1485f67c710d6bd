//! One request's entry in the memory, from its arrival to its end, booked exactly once.

use std::sync::Arc;

use super::line::Orders;
use super::rule::Fault;
use super::seen::{Outcome, Seen};
use super::server::Core;

/// Lives as long as the request does. Dropped before [`Visit::end`], the peer has gone away.
#[derive(Debug)]
pub(super) struct Visit {
    core: Arc<Core>,
    orders: Arc<Orders>,
    serial: u64,
    /// How it will have ended once it ends as intended.
    intended: Outcome,
    events: u32,
    open: bool,
}

impl Visit {
    pub(super) fn arrive(core: Arc<Core>, orders: Arc<Orders>, seen: Seen) -> Self {
        orders.begin();
        let serial = core.control.arrived(seen);
        Self { core, orders, serial, intended: Outcome::Completed, events: 0, open: true }
    }

    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    pub(super) fn read(&mut self, body_bytes: u64, model: Option<&str>) {
        self.core.control.note(self.serial, |seen| {
            seen.body_bytes = body_bytes;
            seen.model = model.map(str::to_owned);
        });
    }

    /// A rule has chosen this fault for it.
    pub(super) fn suffer(&mut self, fault: &Fault) {
        if !fault.answers() {
            self.intended = Outcome::Faulted(fault.name());
        }
        self.core.control.note(self.serial, |seen| seen.fault = Some(fault.name()));
    }

    /// It is refused for lack of capacity.
    pub(super) fn turn_away(&mut self) {
        self.intended = Outcome::Faulted("capacity");
    }

    /// A content event has been written.
    pub(super) fn event(&mut self) {
        self.events = self.events.saturating_add(1);
    }

    /// All that was meant to be written has been.
    pub(super) fn end(&mut self) {
        self.settle(self.intended);
    }

    fn settle(&mut self, outcome: Outcome) {
        if std::mem::take(&mut self.open) {
            self.core.control.settled(self.serial, outcome);
            self.orders.finish();
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.settle(Outcome::Aborted { after_events: self.events });
    }
}
