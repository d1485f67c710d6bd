//! The idle HTTP/1.1 connections of a pool, the one used last on top.
//!
//! Last in, first out keeps few connections warm and lets the others grow old and go.

use std::time::Duration;

use tokio::time::Instant;

use super::h1::Connection;

pub(super) struct Shelf {
    parked: Vec<Parked>,
    max: usize,
    stage: Stage,
}

/// A pool's, of which the shelf is the one to know: it lies under the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Kept,
    /// Nothing is kept any more.
    Retired,
}

pub(super) struct Parked {
    pub(super) connection: Box<Connection>,
    pub(super) since: Instant,
    /// Not used after this: idle too long, too old, or about to be closed by the peer.
    pub(super) until: Instant,
}

impl Shelf {
    pub(super) fn new(max: usize) -> Self {
        Self { parked: Vec::new(), max, stage: Stage::Kept }
    }

    pub(super) fn len(&self) -> usize {
        self.parked.len()
    }

    /// Puts a connection on top, and hands out the bottom one where that makes one too many; or this one,
    /// after the end.
    pub(super) fn push(&mut self, parked: Parked) -> Option<Parked> {
        if self.is_retired() {
            return Some(parked);
        }
        self.parked.push(parked);
        if self.parked.len() > self.max { Some(self.parked.remove(0)) } else { None }
    }

    /// The top connection, unless it has been idle for `max_idle` or longer; those below it have been
    /// idle for longer still. Those past their time go to `expired`.
    pub(super) fn pop(
        &mut self,
        now: Instant,
        max_idle: Duration,
        expired: &mut Vec<Parked>,
    ) -> Option<Parked> {
        while let Some(top) = self.parked.pop() {
            if top.until <= now {
                expired.push(top);
            } else if now.saturating_duration_since(top.since) >= max_idle {
                self.parked.push(top);
                return None;
            } else {
                return Some(top);
            }
        }
        None
    }

    pub(super) fn pop_oldest(&mut self) -> Option<Parked> {
        if self.parked.is_empty() { None } else { Some(self.parked.remove(0)) }
    }

    /// Takes out those past their time and those that their peer has closed.
    pub(super) fn sweep(&mut self, now: Instant) -> Vec<Swept> {
        let (mut kept, mut swept) = (Vec::with_capacity(self.parked.len()), Vec::new());
        for mut parked in self.parked.drain(..) {
            if parked.until <= now {
                swept.push(Swept { _parked: parked, closed_at_age: None });
            } else if parked.connection.is_fit() {
                kept.push(parked);
            } else {
                let age = now.saturating_duration_since(parked.since);
                swept.push(Swept { _parked: parked, closed_at_age: Some(age) });
            }
        }
        self.parked = kept;
        swept
    }

    /// Those that nobody has used since `before`, all of them at the bottom.
    pub(super) fn take_parked_before(&mut self, before: Instant) -> Vec<Parked> {
        let newer = self.parked.iter().position(|parked| parked.since >= before);
        self.parked.drain(..newer.unwrap_or(self.parked.len())).collect()
    }

    pub(super) fn take_all(&mut self) -> Vec<Parked> {
        std::mem::take(&mut self.parked)
    }

    /// Hands out all, and keeps nothing that comes later.
    pub(super) fn retire(&mut self) -> Vec<Parked> {
        self.stage = Stage::Retired;
        self.take_all()
    }

    pub(super) fn is_retired(&self) -> bool {
        self.stage == Stage::Retired
    }
}

/// A connection on its way out: to be dropped outside of any lock.
pub(super) struct Swept {
    _parked: Parked,
    /// How long it had been idle when the peer was found to have closed it.
    pub(super) closed_at_age: Option<Duration>,
}
