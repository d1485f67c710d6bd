//! How many requests are with one key at one model, and how many may be.
//!
//! Without keys it is the upstream's, at one model. What the limit should be is `algo::aimd`'s question.

use std::time::Duration;

use super::model::Shape;
use super::sync::Mutex;
use super::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::algo::aimd::{Aimd, Settings};
use crate::algo::tick::Tick;

#[derive(Debug)]
pub struct Room {
    in_flight: AtomicU32,
    /// What `aimd` allows, to be read without its lock.
    most: AtomicU32,
    aimd: Mutex<Aimd>,
}

impl Room {
    pub fn new(settings: Settings) -> Self {
        let aimd = Aimd::new(settings);
        Self { in_flight: AtomicU32::new(0), most: AtomicU32::new(aimd.limit()), aimd: Mutex::new(aimd) }
    }

    pub fn reconfigure(&self, settings: Settings) {
        self.learn(|aimd| aimd.reconfigure(settings));
    }

    /// Most requests at the same moment.
    pub fn most(&self) -> u32 {
        self.most.load(Relaxed)
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    pub fn is_full(&self) -> bool {
        self.in_flight() >= self.most()
    }

    /// Takes a place, if there is one. It has to be given back with [`Room::leave`].
    pub fn take(&self) -> bool {
        let most = self.most();
        self.in_flight.fetch_update(Relaxed, Relaxed, |taken| (taken < most).then_some(taken + 1)).is_ok()
    }

    pub fn leave(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// An answer has begun well after `ttft`. Whether there are more places now.
    pub fn succeeded(&self, shape: Shape, ttft: Duration, now: Tick) -> bool {
        let (before, in_flight) = (self.most(), self.in_flight());
        self.learn(|aimd| {
            aimd.succeeded(in_flight, now);
            if shape == Shape::Stream {
                aimd.first_token(ttft, in_flight, now);
            }
        });
        self.most() > before
    }

    /// The upstream said that it was too much.
    pub fn overloaded(&self, now: Tick) {
        let in_flight = self.in_flight();
        self.learn(|aimd| aimd.overloaded(in_flight, now));
    }

    fn learn(&self, change: impl FnOnce(&mut Aimd)) {
        let mut aimd = self.aimd.lock();
        change(&mut aimd);
        self.most.store(aimd.limit(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algo::aimd::Mode;

    #[test]
    fn it_takes_as_many_as_it_has_places_and_again_when_one_leaves() {
        let settings = Settings { mode: Mode::Fixed, start: 1, min: 1, max: 3, ttft_rise: None };
        let room = Room::new(settings);
        assert_eq!((0..9).filter(|_| room.take()).count(), 3);
        assert!(room.is_full());
        room.leave();
        assert!(!room.is_full() && room.take() && !room.take());
        room.reconfigure(Settings { max: 4, ..settings });
        assert!(room.take() && !room.take());
    }
}
