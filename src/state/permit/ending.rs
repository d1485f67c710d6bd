//! How an attempt ends, and who is told: once, whatever befalls it. A permit that is let go of without a word
//! settles as cancelled.
//!
//! Which memory hears of a fault is `blame`'s affair; how it is put to a breaker, `evidence`'s.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{Permit, Phase};
use crate::algo::breaker::Signal;
use crate::state::blame::{Blame, Repeat};
use crate::state::books::Verdict;
use crate::state::gate::Completed;
use crate::state::network::Guilt;
use crate::vocab::{Class, Fault, RateHint, Stage};

impl Permit {
    /// The answer ended well.
    pub fn finish(mut self) {
        match self.phase {
            Phase::Waiting => self.first_content(self.live().now()),
            Phase::Streaming | Phase::OnTrial { .. } | Phase::Settled => {}
        }
        if let Phase::OnTrial { since } = self.phase {
            let now = self.live().now();
            self.pass_trial(since, now);
        }
        self.channel.handles.succeeded(self.took());
        let completed = if self.flows() { Completed::Stream } else { Completed::Whole };
        self.channel.upstream.memory.gate.completed(completed, self.begun);
        if let Some(gate) = &self.model.gate {
            gate.completed(completed, self.begun);
        }
        if self.is_forced() {
            self.disprove();
        }
        self.book(Verdict::Ok, Stage::Committed);
        self.leave();
    }

    /// The attempt failed; before content this is its verdict, after content the second signal.
    pub fn fail(mut self, fault: Fault, stage: Stage, hint: &RateHint, repeat: Repeat) {
        let live = Arc::clone(self.live());
        let now = live.now();
        self.channel.handles.failed(&live.metrics, fault, stage, self.took());
        self.heard(hint);
        match stage {
            Stage::NotSent | Stage::Sending | Stage::Waiting => {}
            Stage::Headers | Stage::Committed => self.silence().hear(now),
        }
        if stage == Stage::NotSent {
            self.refund(now);
        }
        if let (Class::Overload | Class::Throttled, Some(room)) = (fault.class(), &self.room) {
            room.overloaded(now);
        }
        let excused = self.doubtful && self.model.has_answered_since(self.begun);
        let blame = match self.channel.upstream.guilt(fault, now) {
            Guilt::Usual if excused => Blame::NOBODY,
            Guilt::Usual if self.credential.is_none() => Blame::of_keyless(fault, hint, repeat),
            Guilt::Usual => Blame::of(fault, hint, repeat),
            Guilt::Network => Blame::NOBODY,
        };
        let counts =
            matches!(blame.merged(), Signal::Failure | Signal::Overload { .. } | Signal::StreamFailure);
        if counts {
            self.model.penalise(self.shape, now);
        }
        if blame.merged() == Signal::StreamFailure && self.flows() && !self.is_forced() {
            self.streams_gate().broke(self.events);
        }
        match self.phase {
            Phase::Waiting => {
                self.tell_credential(fault, hint, now);
                self.tell(blame, now);
            }
            // The trial's one verdict.
            Phase::OnTrial { .. } => {
                self.tell(Blame { transport: blame.transport, model: as_failure(blame.model) }, now);
            }
            // The run of broken streams ends with complete ones, so nothing else may add to it.
            Phase::Streaming if !self.flows() => {
                self.tell_later(Blame { transport: blame.transport, model: as_failure(blame.model) }, now);
            }
            Phase::Streaming => self.tell_later(blame, now),
            Phase::Settled => {}
        }
        if let (true, Some(fate)) = (counts, &self.channel.upstream.fate) {
            fate.failed(fault, &live.metrics, now);
        }
        self.book(Verdict::Failed(fault), stage);
        self.leave();
    }

    /// The attempt failed at something that says nothing about the channel: it is counted, and nobody
    /// is told (WIRE §0.7).
    pub fn fail_quietly(mut self, fault: Fault, stage: Stage) {
        let live = Arc::clone(self.live());
        let (now, mut dice) = (live.now(), live.dice());
        self.channel.handles.failed(&live.metrics, fault, stage, self.took());
        if let Some(held) = self.held.take() {
            held.neutral(now, &mut dice);
        }
        self.tell(Blame::NOBODY, now);
        self.book(Verdict::Failed(fault), stage);
        self.leave();
    }

    /// Nothing was asked of the channel, and it is not yet clear that anything will be: all is given back, and
    /// nothing counted.
    pub fn withdraw(mut self) {
        let live = Arc::clone(self.live());
        let (now, mut dice) = (live.now(), live.dice());
        if let Some(held) = self.held.take() {
            held.neutral(now, &mut dice);
        }
        self.refund(now);
        self.tell(Blame::NOBODY, now);
        self.leave();
    }

    /// Nobody's verdict: the caller hung up, our own limits ended it, or another attempt was faster.
    fn cancel(&mut self) {
        let live = Arc::clone(self.live());
        let (now, mut dice) = (live.now(), live.dice());
        let mut stage = Stage::Committed;
        match self.phase {
            Phase::Waiting => {
                stage = Stage::Waiting;
                self.channel.handles.failed(&live.metrics, Fault::Cancelled, Stage::Waiting, self.took());
                let waited = now.since(self.begun);
                self.model.at_least(self.shape, now, waited);
                if let Some(held) = self.held.take() {
                    held.neutral(now, &mut dice);
                }
                let beaten = self.beaten.as_ref().is_some_and(|beaten| beaten.load(Relaxed));
                if beaten {
                    self.channel.handles.unpriced(&live.metrics);
                }
                let slow = !beaten && self.is_slow(waited);
                let model = if slow { Signal::Slow } else { Signal::Neutral };
                self.tell(Blame { transport: Signal::Neutral, model }, now);
            }
            Phase::OnTrial { .. } => {
                self.channel.handles.failed(&live.metrics, Fault::Cancelled, Stage::Committed, self.took());
                self.tell(Blame::NOBODY, now);
            }
            Phase::Streaming => {
                self.channel.handles.failed(&live.metrics, Fault::Cancelled, Stage::Committed, self.took());
            }
            Phase::Settled => return,
        }
        self.book(Verdict::Cancelled, stage);
        self.leave();
    }

    fn took(&self) -> Duration {
        self.live().now().since(self.begun)
    }

    fn leave(&mut self) {
        if self.go() {
            self.channel.upstream.memory.awaited.ring();
        }
    }

    /// Gives back what it counts for; whether it had not done so before.
    pub(super) fn go(&mut self) -> bool {
        self.flows_on();
        let count = match self.phase {
            Phase::Waiting => {
                self.silence().leave();
                &self.model.waiting
            }
            Phase::Streaming | Phase::OnTrial { .. } => &self.model.streaming,
            Phase::Settled => return false,
        };
        if let Some(room) = self.room.take() {
            room.leave();
        }
        count.fetch_sub(1, Relaxed);
        self.channel.upstream.memory.in_flight.fetch_sub(1, Relaxed);
        self.phase = Phase::Settled;
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.cancel();
    }
}

fn as_failure(signal: Signal) -> Signal {
    if signal == Signal::StreamFailure { Signal::Failure } else { signal }
}
