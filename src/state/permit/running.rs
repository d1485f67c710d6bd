//! What an attempt is told while it runs, up to its first content and after it.
//!
//! A stream has two moments of truth (D6): its first content is recorded at once, so that windows do
//! not wait for the end of ten-minute answers; what goes wrong later is a second signal when it
//! happens. A breaker's trial is the exception: it counts as good only after it has held for a while.
//! How long that is, `trial` says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::Notify;

use super::trial::{self, SoFar};
use super::{Permit, Phase};
use crate::algo::tick::Tick;
use crate::state::model::Shape;
use crate::telemetry::Pace;

/// Of the longest silence that is borne within a stream, 30 s unless `idle` says otherwise: after so small a part of it
/// the stream counts as stalled.
pub const STALLED: u32 = 6;

impl Permit {
    /// Another attempt may run for the same request: should it answer first, it sets `beaten`, and that this
    /// one had to wait is no evidence against its channel (RESILIENCE §4.11).
    pub fn race(&mut self, beaten: &Arc<AtomicBool>) {
        self.beaten = Some(Arc::clone(beaten));
    }

    /// Not a byte came over the kept connection that this attempt was given. Should the model have answered an
    /// attempt that began later, it was the connection that failed, and nobody is blamed for it.
    pub fn doubt_connection(&mut self) {
        self.doubtful = true;
    }

    /// Content rings this, should all of it be held back: from then on the channel is not silent any more.
    pub fn announce(&mut self, bell: &Arc<Notify>) {
        self.bell = Some(Arc::clone(bell));
    }

    /// The first content is here; whether it will do is not known yet.
    pub fn content_flows(&self) {
        if let Some(bell) = &self.bell {
            bell.notify_one();
        }
    }

    /// The first content (or a whole answer) came at `at`: the attempt has succeeded so far.
    pub fn first_content(&mut self, at: Tick) {
        if self.phase != Phase::Waiting {
            return;
        }
        let live = Arc::clone(self.live());
        let (now, mut dice) = (live.now(), live.dice());
        let ttft = at.since(self.begun);
        if let Some(entry) = &mut self.entry {
            entry.heard.first_content = Some(at);
        }
        self.model.answered(self.begun);
        self.model.observe(self.shape, now, ttft);
        self.channel.handles.ttft.record(ttft.as_secs_f64());
        self.channel.upstream.succeeded(self.begun, now);
        self.model.waiting.fetch_sub(1, Relaxed);
        self.model.streaming.fetch_add(1, Relaxed);
        self.silence().hear(now);
        self.silence().leave();
        if let Some(held) = self.held.take() {
            held.ok(now, &mut dice);
        }
        if self.room.as_ref().is_some_and(|room| room.succeeded(self.shape, ttft, now)) {
            self.channel.upstream.memory.awaited.ring();
        }
        if self.is_trial() && self.shape == Shape::Stream {
            self.phase = Phase::OnTrial { since: at };
        } else {
            self.phase = Phase::Streaming;
            self.tell_success(ttft, now);
        }
    }

    /// Something came of its stream, which has sent `events` content events by now and may break in the same breath.
    pub fn came(&mut self, events: u64) {
        self.events = events;
        self.flows_on();
    }

    /// Nothing has come of its stream for a [`STALLED`]th of what is borne. A hint and no evidence: where others stop as
    /// well, who chooses next goes elsewhere, long before their patience ends and the breaker hears of it.
    pub fn stalls(&mut self) {
        let flows = matches!(self.phase, Phase::Streaming | Phase::OnTrial { .. });
        if flows && !self.is_stalled {
            self.is_stalled = true;
            self.model.stalled.fetch_add(1, Relaxed);
        }
    }

    pub const fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    pub(super) fn flows_on(&mut self) {
        if std::mem::take(&mut self.is_stalled) {
            self.model.stalled.fetch_sub(1, Relaxed);
        }
    }

    /// This is how its stream came, now that no more of it will.
    pub fn streamed(&self, pace: Pace) {
        self.channel.handles.streamed(pace);
    }

    /// The stream goes on after what came. A trial that has held settles here.
    pub fn keeps_going(&mut self) {
        let Phase::OnTrial { since } = self.phase else { return };
        let now = self.live().now();
        let so_far = SoFar { events: self.events, ttft: since.since(self.begun), flowed: now.since(since) };
        let broke_after = self.streams_gate().broke_after();
        if trial::has_held(so_far, &self.channel.config.breaker.half_open, broke_after) {
            self.pass_trial(since, now);
        }
    }

    /// After how many content events its stream is well past where others of its channel broke, where some did and none
    /// has come to its end since.
    pub fn well_past(&self) -> Option<u64> {
        self.streams_gate().broke_after().map(trial::well_past)
    }

    /// Whether it is a trial that streams and has not held yet.
    pub fn is_on_trial(&self) -> bool {
        match self.phase {
            Phase::OnTrial { .. } => true,
            Phase::Waiting | Phase::Streaming | Phase::Settled => false,
        }
    }

    pub(super) fn pass_trial(&mut self, since: Tick, now: Tick) {
        self.phase = Phase::Streaming;
        self.tell_success(since.since(self.begun), now);
    }
}
