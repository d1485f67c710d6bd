//! Whether far more requests fail than usual, from two counts that only grow.
//!
//! Of the last five minutes the share that failed is compared with a bound, and with the share of the last day or so.
//! What is in the five minutes is no part of what is usual, and while too many fail nothing is learnt: a long outage
//! does not become the usual thing.

use std::time::Duration;

use super::Turn;
use crate::algo::tick::Tick;

/// The window is ten of these.
const SLOT: Duration = Duration::from_secs(30);
const SLOTS: usize = 10;
/// What is usual fades with this.
const FADES: Duration = Duration::from_hours(24);

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Fewer may always fail, 0..1.
    pub share: f64,
    /// And so many times the usual share.
    pub factor: f64,
    /// Of fewer requests nothing is concluded.
    pub least: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { share: 0.05, factor: 3.0, least: 20 }
    }
}

/// Requests that have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    pub all: u64,
    pub failed: u64,
}

impl Ended {
    /// 0 where there are none.
    pub fn share(&self) -> f64 {
        self.failed as f64 / self.all.max(1) as f64
    }

    fn add(&mut self, more: Self) {
        self.all = self.all.saturating_add(more.all);
        self.failed = self.failed.saturating_add(more.failed);
    }
}

/// The requests of one route.
#[derive(Clone, Debug)]
pub struct Failures {
    slots: [Ended; SLOTS],
    slot: u64,
    /// What has been counted so far.
    counted: Option<Ended>,
    /// Faded counts of what has left the window.
    usual: (f64, f64),
    on: bool,
}

impl Default for Failures {
    fn default() -> Self {
        Self { slots: [Ended::default(); SLOTS], slot: 0, counted: None, usual: (0.0, 0.0), on: false }
    }
}

impl Failures {
    /// Looks at what has been counted in all so far. What was before the first look says nothing.
    pub fn look(&mut self, total: Ended, settings: &Settings, now: Tick) -> Option<Turn> {
        self.advance(now);
        let before = self.counted.replace(total).unwrap_or(total);
        let new = Ended {
            all: total.all.saturating_sub(before.all),
            failed: total.failed.saturating_sub(before.failed),
        };
        self.slots[(self.slot % SLOTS as u64) as usize].add(new);
        let recent = self.recent();
        let (bound, end) = self.bounds(settings);
        if self.on {
            if recent.all > 0 && recent.share() > end {
                return None;
            }
            self.on = false;
            Some(Turn::Over)
        } else if recent.all >= settings.least && recent.share() > bound {
            self.on = true;
            Some(Turn::Begun)
        } else {
            None
        }
    }

    /// Of the last five minutes.
    pub fn recent(&self) -> Ended {
        let mut sum = Ended::default();
        self.slots.iter().for_each(|slot| sum.add(*slot));
        sum
    }

    /// The share that usually fails, 0..=1; nothing is known of it before so many have ended.
    pub fn usual(&self, least: u64) -> Option<f64> {
        let (all, failed) = self.usual;
        (all >= least as f64 && all > 0.0).then(|| failed / all)
    }

    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Above which it begins, and at which it is over: half-way back to what is usual. Where much fails as a rule, it
    /// begins half-way from there to everything at the latest.
    fn bounds(&self, settings: &Settings) -> (f64, f64) {
        let usual = self.usual(settings.least).unwrap_or(0.0);
        let bound = settings.share.max(usual * settings.factor).min(f64::midpoint(usual, 1.0));
        (bound, f64::midpoint(usual, bound))
    }

    fn advance(&mut self, now: Tick) {
        let slot = (now.since(Tick::ZERO).as_nanos() / SLOT.as_nanos()) as u64;
        let steps = slot.saturating_sub(self.slot).min(SLOTS as u64);
        for step in 0..steps {
            // The oldest, whose place is taken next.
            let place = ((slot - steps + 1 + step) % SLOTS as u64) as usize;
            let Ended { all, failed } = std::mem::take(&mut self.slots[place]);
            if !self.on {
                self.usual.0 += all as f64;
                self.usual.1 += failed as f64;
            }
        }
        if !self.on && slot > self.slot {
            let keep = (-(SLOT.as_secs_f64() * (slot - self.slot) as f64) / FADES.as_secs_f64()).exp();
            self.usual = (self.usual.0 * keep, self.usual.1 * keep);
        }
        self.slot = self.slot.max(slot);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Looks every five seconds at a route with so many requests between two looks.
    struct Route {
        failures: Failures,
        total: Ended,
        second: u64,
    }

    impl Route {
        fn new() -> Self {
            Self { failures: Failures::default(), total: Ended::default(), second: 0 }
        }

        fn goes_on(&mut self, seconds: u64, all: u64, failed: u64) -> Vec<(u64, Turn)> {
            let mut turns = Vec::new();
            for _ in 0..seconds / 5 {
                self.second += 5;
                self.total.add(Ended { all, failed });
                let now = Tick::ZERO + Duration::from_secs(self.second);
                let turn = self.failures.look(self.total, &Settings::default(), now);
                turns.extend(turn.map(|turn| (self.second, turn)));
            }
            turns
        }
    }

    #[test]
    fn an_outage_is_noticed_with_its_first_requests_and_over_once_they_are_few_in_five_minutes() {
        let mut route = Route::new();
        assert_eq!(route.goes_on(3600, 10, 0), []);
        let begun = route.goes_on(600, 10, 5);
        assert_eq!(begun.len(), 1, "{begun:?}");
        assert!(begun[0].0 - 3600 <= 40 && begun[0].1 == Turn::Begun, "{begun:?}");
        let over = route.goes_on(3600, 10, 0);
        assert_eq!(over.len(), 1, "{over:?}");
        assert!((240..=305).contains(&(over[0].0 - 4200)) && over[0].1 == Turn::Over, "{over:?}");
    }

    #[test]
    fn what_usually_fails_is_no_news_and_three_times_as_much_is() {
        let mut route = Route::new();
        let first = route.goes_on(1200, 100, 10);
        assert_eq!(first.first().map(|(_, turn)| *turn), Some(Turn::Begun), "nothing is known of it yet");
        let mut route = Route::new();
        // It grew slowly, and nobody was told: each step is below the bound.
        for failed in [4, 8, 12] {
            assert_eq!(route.goes_on(24 * 3600, 100, failed), [], "{failed}%");
        }
        assert_eq!(route.goes_on(1200, 100, 20), []);
        assert_eq!(route.goes_on(1200, 100, 60).len(), 1);
    }

    #[test]
    fn a_long_outage_does_not_become_usual() {
        let mut route = Route::new();
        route.goes_on(3600, 10, 0);
        assert_eq!(route.goes_on(48 * 3600, 10, 9).len(), 1);
        assert!(route.failures.is_on());
        assert_eq!(route.goes_on(600, 0, 0).len(), 1, "without requests nothing fails");
    }

    #[test]
    fn a_few_requests_say_nothing() {
        let mut route = Route::new();
        route.goes_on(3600, 10, 0);
        route.goes_on(600, 0, 0);
        route.total.add(Ended { all: 19, failed: 19 });
        assert_eq!(route.goes_on(300, 0, 0), []);
    }

    proptest! {
        #[test]
        fn turns_take_turns_and_the_window_is_what_a_list_would_say(
            looks in prop::collection::vec((0_u64..90, 0_u64..50, 0_u64..50), 1..150),
        ) {
            let (mut failures, mut total, mut now) = (Failures::default(), Ended::default(), 0_u64);
            let mut ended: Vec<(u64, Ended)> = Vec::new();
            let mut last = Turn::Over;
            // Whatever was there before does not count.
            failures.look(total, &Settings::default(), Tick::ZERO);
            for (gap, all, failed) in looks {
                now += gap;
                let more = Ended { all, failed: failed.min(all) };
                total.add(more);
                ended.push((now / 30, more));
                let turn = failures.look(total, &Settings::default(), Tick::ZERO + Duration::from_secs(now));
                let mut listed = Ended::default();
                for (_, more) in ended.iter().filter(|(slot, _)| slot + SLOTS as u64 > now / 30) {
                    listed.add(*more);
                }
                prop_assert_eq!(failures.recent(), listed);
                if let Some(turn) = turn {
                    prop_assert!(turn != last);
                    prop_assert!(turn == Turn::Over || listed.all >= 20 && listed.share() > 0.05);
                    last = turn;
                }
                if let Some(usual) = failures.usual(1) {
                    prop_assert!((0.0..=1.0).contains(&usual));
                }
            }
        }
    }
}
