//! Requests of a route that wait for a place, and how they hear that one came free.
//!
//! Whoever gives a place back at an upstream rings it; the upstream knows which routes wait for it, so that
//! giving back costs one look where nobody waits. The order of the line is `algo::line`'s. Nothing here
//! awaits: a waiter's bell is awaited by its owner, who has to have a deadline.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::sync::atomic::{
    AtomicU32,
    Ordering::{Relaxed, SeqCst},
    fence,
};
use super::sync::{Mutex, Notify};
use super::upstream;
use crate::algo::line::{Joined, Line, Place};
use crate::vocab::Priority;

#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    length: AtomicU32,
}

#[derive(Debug, Default)]
struct Inner {
    line: Line,
    bells: BTreeMap<Place, Arc<Notify>>,
}

/// A place in a queue; given up when it is dropped.
#[derive(Debug)]
pub struct Waiter {
    queue: Arc<Queue>,
    place: Place,
    bell: Arc<Notify>,
    at: SmallVec<[Arc<upstream::Memory>; 4]>,
    served: Served,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    Yes,
    No,
}

/// What a bell that rang means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// To try.
    Turn,
    /// Somebody more important has the place.
    Displaced,
}

impl Queue {
    /// Requests that wait.
    pub fn length(&self) -> u32 {
        self.length.load(Relaxed)
    }

    /// Joins, unless as many as `most` wait already and none of them matters less. Places of `upstreams`
    /// that come free from now on ring. Every waiter has at least one turn.
    pub fn join(
        self: &Arc<Self>,
        priority: Priority,
        most: usize,
        upstreams: SmallVec<[Arc<upstream::Memory>; 4]>,
    ) -> Option<Waiter> {
        let bell = Arc::new(Notify::new());
        for upstream in &upstreams {
            upstream.awaited.add(self);
        }
        let joined = self.change(|inner| {
            let Joined { place, displaced } = inner.line.join(priority.class(), most)?;
            inner.bells.insert(place, Arc::clone(&bell));
            if let Some(displaced) = displaced.and_then(|displaced| inner.bells.remove(&displaced)) {
                displaced.notify_one();
            }
            Some(place)
        });
        let Some(place) = joined else {
            for upstream in &upstreams {
                upstream.awaited.remove(self);
            }
            return None;
        };
        Some(Waiter { queue: Arc::clone(self), place, bell, at: upstreams, served: Served::No })
    }

    /// A place came free somewhere.
    fn freed(&self) {
        self.change(|inner| inner.line.freed());
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.lock();
        let changed = change(&mut inner);
        self.length.store(inner.line.len() as u32, Relaxed);
        if let Some(bell) = inner.line.call().and_then(|place| inner.bells.get(&place)) {
            bell.notify_one();
        }
        changed
    }
}

impl Waiter {
    /// Rings when it is its turn, or when it has lost its place.
    pub fn bell(&self) -> &Arc<Notify> {
        &self.bell
    }

    /// What it means that the bell rang.
    pub fn called(&self) -> Called {
        if self.queue.inner.lock().bells.contains_key(&self.place) { Called::Turn } else { Called::Displaced }
    }

    /// There was nothing for it yet.
    pub fn failed(&self) {
        self.queue.change(|inner| inner.line.failed(self.place));
    }

    /// It has what it waited for.
    pub fn served(mut self) {
        self.served = Served::Yes;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.queue.change(|inner| {
            inner.bells.remove(&self.place);
            match self.served {
                Served::Yes => inner.line.served(self.place),
                Served::No => inner.line.left(self.place),
            }
        });
        for upstream in &self.at {
            upstream.awaited.remove(&self.queue);
        }
    }
}

/// The queues that wait for places at an upstream.
#[derive(Debug, Default)]
pub struct Awaited {
    any: AtomicU32,
    queues: Mutex<Vec<(Arc<Queue>, u32)>>,
}

impl Awaited {
    fn add(&self, queue: &Arc<Queue>) {
        let mut queues = self.queues.lock();
        match queues.iter_mut().find(|(known, _)| Arc::ptr_eq(known, queue)) {
            Some((_, waiters)) => *waiters += 1,
            None => queues.push((Arc::clone(queue), 1)),
        }
        self.any.fetch_add(1, Relaxed);
        // Who joins looks for places after this; who frees one looks here after that. One of them sees the other.
        fence(SeqCst);
    }

    fn remove(&self, queue: &Arc<Queue>) {
        let mut queues = self.queues.lock();
        if let Some(index) = queues.iter().position(|(known, _)| Arc::ptr_eq(known, queue)) {
            queues[index].1 -= 1;
            if queues[index].1 == 0 {
                queues.swap_remove(index);
            }
        }
        self.any.fetch_sub(1, Relaxed);
    }

    /// A place came free here. To be called after the counts say so.
    pub fn ring(&self) {
        fence(SeqCst);
        if self.any.load(Relaxed) == 0 {
            return;
        }
        let queues: SmallVec<[Arc<Queue>; 4]> =
            self.queues.lock().iter().map(|(queue, _)| Arc::clone(queue)).collect();
        for queue in queues {
            queue.freed();
        }
    }
}
