//! What is to happen, in the order in which it will: by time, and at the same moment by when it was planned.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::watch;
use crate::algo::tick::Tick;
use crate::route::Failure;
use crate::vocab::Fault;

#[derive(Default)]
pub struct Queue {
    heap: BinaryHeap<Reverse<Planned>>,
    planned: u64,
}

impl Queue {
    pub fn plan(&mut self, at: Tick, event: Event) {
        self.planned += 1;
        self.heap.push(Reverse(Planned { at, order: self.planned, event }));
    }

    /// The next event, and when it is due.
    pub fn next(&mut self) -> Option<(Tick, Event)> {
        self.heap.pop().map(|Reverse(Planned { at, event, .. })| (at, event))
    }
}

/// Something that is to happen.
struct Planned {
    at: Tick,
    order: u64,
    event: Event,
}

#[derive(Clone, Copy, Debug)]
pub enum Event {
    Arrive,
    Turn { slot: usize, number: u64, turn: Turn },
    Expire,
    Recheck,
    Watch(watch::Call),
    Reload(usize),
    Freeze(usize),
    StepWall(usize),
}

/// What happens to a request, and to which of its attempts.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    Choose,
    Send(u32),
    Hedge(u32),
    Fail(u32, Failure),
    Commit(u32),
    Beat(u32),
    /// Nothing has come of its stream for a while.
    Stall(u32),
    End(u32),
    Break(u32, Fault),
    HangUp,
    /// Its bell has rung.
    Called,
    /// It has waited in this line for long enough.
    InVain(u32),
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
