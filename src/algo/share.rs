//! A share of the requests: each first attempt earns a part of one further attempt, which is spent whole
//! within a window or lost.
//!
//! Not the retry [`budget`](super::budget), which counts in any ten seconds what was given and taken in them:
//! that allows less than the share when requests come evenly, and a cap at a twentieth is there for a
//! twentieth of the requests. Here what is spent was earned before, once: over any time, what is spent is
//! at most the share of the first attempts of that time and of one window before it.

use std::time::Duration;

use super::slots::Slots;
use super::tick::Tick;

const SLOTS: usize = 10;
/// What one attempt costs; shares are counted in millionths, so that nothing is lost by adding up.
const WHOLE: u64 = 1_000_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Millionths that a first attempt earns.
    earned: u64,
    window: Duration,
    /// Millionths that are left of what was earned in each slot.
    left: Slots<u64, SLOTS>,
}

impl Share {
    /// `share` of 0 to 1.
    pub fn new(share: f64, window: Duration) -> Self {
        let earned = (share.clamp(0.0, 1.0) * WHOLE as f64).round() as u64;
        Self { earned, window, left: Slots::new(window) }
    }

    /// A first attempt was made.
    pub fn deposit(&mut self, now: Tick) {
        let slot = self.left.current(now);
        *slot = slot.saturating_add(self.earned);
    }

    /// Takes one attempt, if it was earned; what would be lost soonest goes first.
    pub fn withdraw(&mut self, now: Tick) -> bool {
        if self.left.live(now).sum::<u64>() < WHOLE {
            return false;
        }
        let mut slots: Vec<&mut u64> = self.left.live_mut(now).collect();
        let mut owed = WHOLE;
        for left in slots.iter_mut().rev() {
            let part = owed.min(**left);
            **left -= part;
            owed -= part;
        }
        true
    }

    /// Gives back an attempt that never left us.
    pub fn refund(&mut self, now: Tick) {
        let slot = self.left.current(now);
        *slot = slot.saturating_add(WHOLE);
    }

    /// A new share. What was earned stays, unless it was within another window.
    pub fn reconfigure(&mut self, share: f64, window: Duration) {
        let new = Self::new(share, window);
        if self.window == window {
            self.earned = new.earned;
        } else {
            *self = new;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn tick(ms: u64) -> Tick {
        Tick::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn one_in_twenty_evenly_and_what_is_not_spent_is_lost() {
        let mut share = Share::new(0.05, WINDOW);
        let mut spent = 0;
        for request in 1..=4_000_u64 {
            share.deposit(tick(request * 25));
            spent += u64::from(share.withdraw(tick(request * 25)));
            assert_eq!(spent, request / 20, "after {request}");
        }
        for _ in 0..400 {
            share.deposit(tick(200_000));
        }
        assert!((0..20).all(|_| share.withdraw(tick(208_900))));
        assert!(!share.withdraw(tick(208_900)));
        share.refund(tick(208_900));
        assert!(share.withdraw(tick(209_000)));
        share.deposit(tick(220_000));
        assert!(!share.withdraw(tick(220_000)));
    }

    #[test]
    fn no_more_is_taken_than_one_attempt_costs_wherever_it_was_earned() {
        let mut share = Share::new(1.0, WINDOW);
        for second in 0..3 {
            share.deposit(tick(second * 1_000));
        }
        assert_eq!((0..9).filter(|_| share.withdraw(tick(3_000))).count(), 3);
    }

    #[test]
    fn a_new_share_holds_at_once_and_keeps_what_was_earned() {
        let mut share = Share::new(1.0, WINDOW);
        share.deposit(tick(0));
        share.reconfigure(0.0, WINDOW);
        share.deposit(tick(0));
        assert!(share.withdraw(tick(1)));
        assert!(!share.withdraw(tick(1)), "nothing is earned any more");
        assert_eq!(Share::new(f64::NAN, WINDOW).earned, 0);
    }

    proptest! {
        #[test]
        fn never_more_is_spent_than_the_share_of_that_time_and_a_window_before(
            steps in prop::collection::vec((0..3_000_u64, 0..60_u64, 0..9_u64), 1..80), from in 0..200_000_u64,
        ) {
            let (mut share, mut now) = (Share::new(0.05, WINDOW), 0);
            let (mut firsts, mut spent) = (0, 0);
            for (gap, first, wanted) in steps {
                now += gap;
                for _ in 0..first {
                    share.deposit(tick(now));
                }
                let took = (0..wanted).filter(|_| share.withdraw(tick(now))).count() as u64;
                firsts += if now + 10_000 >= from { first } else { 0 };
                spent += if now >= from { took } else { 0 };
                prop_assert!(spent * 20 <= firsts, "{spent} of {firsts} at {now}");
            }
        }
    }
}
