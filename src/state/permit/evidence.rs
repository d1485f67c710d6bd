//! What the breakers hear of an attempt: one verdict, and of one that was well at first perhaps a second word later.
//! One that was forced past them says nothing, but when it goes well.
//!
//! Nothing here knows how the attempt ended; `running` and `ending` do.

use std::time::Duration;

use super::{Passage, Permit};
use crate::algo::breaker::{Settled, Signal};
use crate::algo::tick::Tick;
use crate::state::blame::Blame;
use crate::state::gate::Gate;
use crate::state::model::{Model, Shape};

impl Permit {
    /// A success that was slow is both; of a trial, whose one verdict it is, only the worse counts.
    pub(super) fn tell_success(&self, ttft: Duration, now: Tick) {
        let slow = self.is_slow(ttft);
        let model = if slow && self.is_trial() { Signal::Slow } else { Signal::Success };
        self.tell(Blame { transport: Signal::Success, model }, now);
        if slow && !self.is_trial() {
            self.tell_later(Blame { transport: Signal::Neutral, model: Signal::Slow }, now);
        }
    }

    pub(super) fn tell(&self, blame: Blame, now: Tick) {
        let Passage::Admitted { transport, model } = self.passage else { return };
        let mut dice = self.live().dice();
        let gate = &self.channel.upstream.memory.gate;
        if let (Some(over_model), Some(permit)) = (&self.model.gate, model) {
            let settled = gate.settle(transport, blame.transport, self.begun, now, &mut dice);
            self.note(None, settled, now);
            let settled = over_model.settle(permit, blame.model, self.begun, now, &mut dice);
            self.note(Some(&self.model), settled, now);
        } else {
            let settled = gate.settle(transport, blame.merged(), self.begun, now, &mut dice);
            self.note(None, settled, now);
        }
    }

    pub(super) fn tell_later(&self, blame: Blame, now: Tick) {
        let Passage::Admitted { transport, model } = self.passage else { return };
        let signal = blame.merged();
        if signal == Signal::Neutral {
            return;
        }
        let mut dice = self.live().dice();
        let (model, settled) = match (&self.model.gate, model) {
            (Some(gate), Some(permit)) => {
                (Some(&*self.model), gate.later(permit, signal, self.begun, now, &mut dice))
            }
            (None, _) | (_, None) => {
                (None, self.channel.upstream.memory.gate.later(transport, signal, self.begun, now, &mut dice))
            }
        };
        self.note(model, settled, now);
    }

    fn note(&self, model: Option<&Model>, settled: Settled, now: Tick) {
        let upstream = &self.channel.upstream;
        if settled.late {
            upstream.handles.late.increment(1);
        }
        upstream.note(model, settled.transition, now);
    }

    /// An attempt past closed gates went well: a live proof that is worth at least an active probe's.
    pub(super) fn disprove(&self) {
        let now = self.live().now();
        let upstream = &self.channel.upstream;
        upstream.note(None, upstream.memory.gate.probe_rose(now), now);
        if let Some(gate) = &self.model.gate {
            upstream.note(Some(&self.model), gate.probe_rose(now), now);
        }
    }

    /// The gate that hears of broken streams.
    pub(super) fn streams_gate(&self) -> &Gate {
        self.model.gate.as_ref().unwrap_or(&self.channel.upstream.memory.gate)
    }

    /// Whether its answer goes out in pieces as it comes. Plain HTTP's always do.
    pub(super) fn flows(&self) -> bool {
        self.shape == Shape::Stream || self.model.gate.is_none()
    }

    pub(super) fn is_slow(&self, ttft: Duration) -> bool {
        self.channel.config.breaker.slow_call.as_ref().is_some_and(|slow| ttft >= slow.ttfb)
    }
}
