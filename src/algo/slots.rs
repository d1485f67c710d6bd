//! A sliding window cut into `B` equal slots that are reused in turn.
//!
//! What every window of this room stands on: the breaker's rings, the retry budget, the panic throttle
//! and the latency histogram differ only in what a slot holds. There is no running total that could
//! drift from its parts, and no timer: a slot is wiped when time comes round to it again, so a gap of a
//! century costs as much as one of `B` slots. A `now` that lies before the newest slot counts there:
//! time that runs backwards neither revives nor ages anything.

use std::time::Duration;

use super::tick::Tick;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slots<T, const B: usize> {
    /// Nanoseconds a slot; never 0.
    width: u64,
    /// Start of the newest slot, a whole multiple of `width`.
    began: u64,
    /// Where the newest slot lies.
    head: usize,
    ring: [T; B],
}

/// A window for the time between two processes: how wide its slots are, where the newest one begins, and
/// all of them from that one back. Nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSlots<T> {
    pub width: u64,
    pub began: u64,
    pub slots: Vec<T>,
}

impl<T> KeptSlots<T> {
    pub fn map<U>(self, change: impl Fn(T) -> U) -> KeptSlots<U> {
        let Self { width, began, slots } = self;
        KeptSlots { width, began, slots: slots.into_iter().map(change).collect() }
    }
}

impl<T: Copy + Default, const B: usize> Slots<T, B> {
    pub fn keep(&self) -> KeptSlots<T> {
        let (old, new) = self.ring.split_at(self.head + 1);
        let slots = old.iter().rev().chain(new.iter().rev()).copied().collect();
        KeptSlots { width: self.width, began: self.began, slots }
    }

    /// `None` where they were cut for another window.
    pub fn restore(window: Duration, kept: &KeptSlots<T>) -> Option<Self> {
        let mut slots = Self::new(window);
        if kept.slots.len() != B || kept.width != slots.width || !kept.began.is_multiple_of(kept.width) {
            return None;
        }
        slots.began = kept.began;
        slots.head = B - 1;
        for (place, value) in slots.ring.iter_mut().rev().zip(&kept.slots) {
            *place = *value;
        }
        Some(slots)
    }

    /// Slots that together cover `window`; a window shorter than `B` nanoseconds is taken as that.
    pub fn new(window: Duration) -> Self {
        let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        Self { width: (nanos / B as u64).max(1), began: 0, head: 0, ring: [T::default(); B] }
    }

    /// The slot that `now` falls into, after wiping those that time has come round to.
    pub fn current(&mut self, now: Tick) -> &mut T {
        let steps = self.steps(now);
        for _ in 0..steps.min(B as u64) {
            self.head = if self.head + 1 == B { 0 } else { self.head + 1 };
            self.ring[self.head] = T::default();
        }
        // Never beyond `now`, so it cannot overflow.
        self.began += steps * self.width;
        &mut self.ring[self.head]
    }

    /// The slots still inside the window at `now`, newest first.
    pub fn live(&self, now: Tick) -> impl Iterator<Item = &T> {
        self.newest(now, B)
    }

    /// Those of them that lie within the last `count` slots.
    pub fn newest(&self, now: Tick, count: usize) -> impl Iterator<Item = &T> {
        let gone = usize::try_from(self.steps(now)).unwrap_or(usize::MAX);
        let (old, new) = self.ring.split_at(self.head + 1);
        old.iter().rev().chain(new.iter().rev()).take(count.min(B).saturating_sub(gone))
    }

    /// The slots still inside the window at `now`, oldest first, each with the time at which it leaves it.
    pub fn leaving(&self, now: Tick) -> impl Iterator<Item = (Tick, &T)> {
        let gone = usize::try_from(self.steps(now)).unwrap_or(usize::MAX);
        let (new, old) = self.ring.split_at(self.head + 1);
        let end = |place: usize| self.began.saturating_add((place as u64 + 1).saturating_mul(self.width));
        let slots = old.iter().chain(new).enumerate().skip(gone);
        slots.map(move |(place, slot)| (Tick::from_nanos(end(place)), slot))
    }

    /// As [`live`](Self::live), to correct what was written.
    pub fn live_mut(&mut self, now: Tick) -> impl Iterator<Item = &mut T> {
        self.current(now);
        let (old, new) = self.ring.split_at_mut(self.head + 1);
        old.iter_mut().rev().chain(new.iter_mut().rev())
    }

    /// The slot that `then` fell into, to correct what was written; `None` once it has left the window.
    pub fn of(&mut self, then: Tick, now: Tick) -> Option<&mut T> {
        self.current(now);
        let back = self.began.saturating_sub(then.nanos()).div_ceil(self.width);
        let back = usize::try_from(back).ok().filter(|back| *back < B)?;
        Some(&mut self.ring[(self.head + B - back) % B])
    }

    pub fn clear(&mut self) {
        self.ring = [T::default(); B];
    }

    /// How many slots have begun since the newest one.
    fn steps(&self, now: Tick) -> u64 {
        now.nanos().saturating_sub(self.began) / self.width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_and_what_is_corrected_comes_newest_first() {
        let mut slots = Slots::<u64, 3>::new(Duration::from_secs(3));
        for second in 1..20 {
            let now = Tick::ZERO + Duration::from_secs(second);
            *slots.current(now) = second;
            let expected = [second, second.saturating_sub(1), second.saturating_sub(2)];
            assert_eq!(slots.live(now).copied().collect::<Vec<_>>(), expected);
            assert_eq!(slots.live_mut(now).map(|slot| *slot).collect::<Vec<_>>(), expected);
        }
    }
}
