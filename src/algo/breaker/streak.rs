//! The run of failures since the last success, remembered by when each of them happened.
//!
//! A count and the time of the first failure would not do: once the first is too old the count must
//! restart, and then *more* failures in the past make the breaker trip *later*. With the last `n`
//! times kept, "the last n failures all lie within `max_age`" is exact, and one more failure can only
//! bring the trip forward.

use std::time::Duration;

use crate::algo::tick::Tick;

/// Bounds the memory of a breaker; a run longer than this says nothing new.
const LONGEST: u32 = 1024;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Streak {
    /// The last `len()` failures of the run, a ring.
    times: Box<[Tick]>,
    /// Where the next failure goes: the oldest one, once the run is full.
    next: usize,
    /// Failures since the last success.
    run: u32,
}

impl Streak {
    /// A run that is full at `limit` failures; 0 never is.
    pub fn new(limit: u32) -> Self {
        Self { times: vec![Tick::ZERO; limit.min(LONGEST) as usize].into_boxed_slice(), next: 0, run: 0 }
    }

    /// A run of so many failures, the last of which were then, the oldest first.
    pub fn of(limit: u32, run: u32, times: &[Tick]) -> Self {
        let mut streak = Self::new(limit);
        for &at in times {
            streak.push(at);
        }
        // Of a run whose beginning is not known no more may be believed than what is.
        let is_whole = times.len() >= streak.times.len() || times.len() >= run as usize;
        streak.run = if is_whole { run } else { streak.run };
        streak
    }

    /// When its last failures were, the oldest first.
    pub fn times(&self) -> Vec<Tick> {
        let known = self.times.len().min(self.run as usize);
        let before = |back: usize| self.times[(self.next + self.times.len() - back) % self.times.len()];
        (1..=known).rev().map(before).collect()
    }

    pub fn push(&mut self, now: Tick) {
        self.run = self.run.saturating_add(1);
        if let Some(oldest) = self.times.get_mut(self.next) {
            *oldest = now;
            self.next = if self.next + 1 == self.times.len() { 0 } else { self.next + 1 };
        }
    }

    pub const fn end(&mut self) {
        self.run = 0;
    }

    pub const fn run(&self) -> u32 {
        self.run
    }

    /// Whether the run has reached its limit within `max_age`.
    pub fn is_full(&self, max_age: Duration, now: Tick) -> bool {
        self.run as usize >= self.times.len()
            && self.times.get(self.next).is_some_and(|&oldest| now.since(oldest) <= max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_its_last_failures_from_the_oldest_on() {
        let at = |second| Tick::ZERO + Duration::from_secs(second);
        let mut streak = Streak::new(3);
        assert_eq!(streak.times(), []);
        for second in 1..10 {
            streak.push(at(second));
            let oldest = second.saturating_sub(2).max(1);
            assert_eq!(streak.times(), (oldest..=second).map(at).collect::<Vec<_>>());
        }
        streak.end();
        streak.push(at(10));
        assert_eq!(streak.times(), [at(10)], "the run before it has ended");
    }
}
