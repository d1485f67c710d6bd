//! The retry budget: retries are a share of the requests of the last ten seconds, and a few a second.
//!
//! Finagle's and tower's idea. A budget on *concurrent* retries (Envoy's) shrinks exactly when requests
//! fail fast. Deposits of first attempts expire after the window; withdrawals are remembered one
//! slot longer, so that no ten seconds see more than they were given: retries within the 10 s
//! before any retry <= `ratio` * first attempts within them + `reserve` * 10.

use std::time::Duration;

use super::slots::Slots;
use super::tick::Tick;

/// Slots that make up the window, and one more that remembers.
const WINDOW_SLOTS: usize = 10;
const SLOTS: usize = WINDOW_SLOTS + 1;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Retries a first attempt pays for.
    pub ratio: f64,
    /// Retries a second that need no first attempt.
    pub reserve_per_sec: f64,
    pub window: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        // 1.4 times the load at 10 requests a second, where Finagle's 10/s reserve makes it 2.2.
        Self { ratio: 0.2, reserve_per_sec: 2.0, window: Duration::from_secs(10) }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    settings: Settings,
    slots: Slots<Slot, SLOTS>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Slot {
    deposits: u32,
    withdrawals: u32,
}

impl Budget {
    pub fn new(settings: Settings) -> Self {
        let window = settings.window.saturating_mul(SLOTS as u32) / WINDOW_SLOTS as u32;
        Self { settings, slots: Slots::new(window) }
    }

    /// A first attempt was made.
    pub fn deposit(&mut self, now: Tick) {
        let slot = self.slots.current(now);
        slot.deposits = slot.deposits.saturating_add(1);
    }

    /// Takes one retry, if there is one. To be asked when the retry is decided, before any backoff.
    pub fn withdraw(&mut self, now: Tick) -> bool {
        let granted = self.balance(now) >= 1.0;
        if granted {
            let slot = self.slots.current(now);
            slot.withdrawals = slot.withdrawals.saturating_add(1);
        }
        granted
    }

    /// Gives back a retry that never left us.
    pub fn refund(&mut self, now: Tick) {
        if let Some(slot) = self.slots.live_mut(now).find(|slot| slot.withdrawals > 0) {
            slot.withdrawals -= 1;
        }
    }

    /// Retries left at this moment; never below 0.
    pub fn balance(&self, now: Tick) -> f64 {
        let deposits: f64 = self.slots.newest(now, WINDOW_SLOTS).map(|slot| f64::from(slot.deposits)).sum();
        let withdrawals: f64 = self.slots.live(now).map(|slot| f64::from(slot.withdrawals)).sum();
        let reserve = self.settings.reserve_per_sec * self.settings.window.as_secs_f64();
        (reserve + deposits * self.settings.ratio - withdrawals).max(0.0)
    }

    /// New numbers. What was counted stays, unless it was counted in another window.
    pub fn reconfigure(&mut self, settings: Settings) {
        if self.settings.window == settings.window {
            self.settings = settings;
        } else {
            *self = Self::new(settings);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tick(ms: u64) -> Tick {
        Tick::ZERO + Duration::from_millis(ms)
    }

    fn drain(budget: &mut Budget, now: Tick) -> usize {
        (0..1_000).take_while(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn twenty_in_reserve_and_one_for_five_requests() {
        let mut budget = Budget::new(Settings::default());
        for _ in 0..100 {
            budget.deposit(tick(500));
        }
        assert_eq!(budget.balance(tick(500)), 40.0);
        assert_eq!(drain(&mut budget, tick(500)), 40);
        assert_eq!(drain(&mut budget, tick(9_000)), 0);
        assert_eq!(drain(&mut budget, tick(12_000)), 20, "deposits and withdrawals are forgotten");
    }

    #[test]
    fn a_retry_that_never_left_is_given_back() {
        let mut budget = Budget::new(Settings::default());
        drain(&mut budget, tick(0));
        budget.refund(tick(3_000));
        assert_eq!(drain(&mut budget, tick(3_000)), 1);
        let mut fresh = Budget::new(Settings::default());
        fresh.refund(tick(0));
        assert_eq!(fresh.balance(tick(0)), 20.0, "nothing to give back");
    }

    #[test]
    fn without_a_ratio_and_a_reserve_nothing_is_retried() {
        let mut budget = Budget::new(Settings { ratio: 0.0, reserve_per_sec: 0.0, ..Settings::default() });
        budget.deposit(tick(0));
        assert!(!budget.withdraw(tick(0)));
    }

    #[test]
    fn new_numbers_keep_what_was_counted_but_not_in_another_window() {
        let mut budget = Budget::new(Settings::default());
        for _ in 0..100 {
            budget.deposit(tick(0));
        }
        drain(&mut budget, tick(0));
        budget.reconfigure(Settings { ratio: 0.5, ..Settings::default() });
        assert_eq!(budget.balance(tick(0)), 30.0, "20 and half of a hundred, less 40");
        budget.reconfigure(Settings { window: Duration::from_secs(20), ..Settings::default() });
        assert_eq!(budget.balance(tick(0)), 40.0, "two a second");
    }

    proptest! {
            #[test]
            fn p_r05_the_ten_seconds_before_a_retry_never_see_more_than_they_were_given(
                steps in prop::collection::vec((0..3_000_u64, 0..20_u32, 0..20_u32), 1..80),
            ) {
                let (mut budget, mut now) = (Budget::new(Settings::default()), 0);
                let (mut firsts, mut retries) = (vec![], vec![]);
                for (gap, first, wanted) in steps {
                    now += gap;
                    for _ in 0..first {
                        budget.deposit(tick(now));
                        firsts.push(now);
                    }
                    for _ in 0..wanted {
                        if budget.withdraw(tick(now)) {
                            retries.push(now);
                        }
                    }
                    let within = |times: &[u64]| times.iter().filter(|&&at| now - at <= 10_000).count() as f64;
    if retries.last() == Some(&now) {
                        prop_assert!(within(&retries) <= 0.2 * within(&firsts) + 20.0);
                    }
                    prop_assert!(budget.balance(tick(now)) >= 0.0);
                }
            }
        }
}
