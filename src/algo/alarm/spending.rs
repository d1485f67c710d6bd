//! Whether far more is spent in an hour than is usual for that hour of the day.
//!
//! An hour is one of the clock's: what has been spent in it so far only grows, so that it is too much once and stays
//! so. It is over when a whole hour has gone by that was not.

use super::{Turn, Week};

/// Amounts are in nano-USD.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// So many times the usual.
    pub factor: f64,
    /// Less is never too much.
    pub floor: u64,
}

/// What somebody spends.
#[derive(Clone, Debug, Default)]
pub struct Spending {
    pub week: Week,
    /// The hour of the last look.
    hour: i64,
    /// Whether it has been too much in that hour.
    over: bool,
    on: bool,
}

impl Spending {
    /// Looks at `hour`, an hour since the Unix epoch that goes on, as far as `week` has it.
    pub fn look(&mut self, hour: i64, settings: &Settings) -> Option<Turn> {
        let calm = hour != self.hour && !std::mem::take(&mut self.over);
        self.hour = hour;
        let spent = self.week.of(hour);
        // Where nothing is known of other days nothing is unusual.
        let is_much =
            self.week.usual(hour).is_some_and(|usual| spent as f64 > usual as f64 * settings.factor);
        self.over |= is_much && spent > settings.floor;
        if self.over && !self.on {
            self.on = true;
            return Some(Turn::Begun);
        }
        if self.on && calm && !self.over {
            self.on = false;
            return Some(Turn::Over);
        }
        None
    }

    pub const fn is_on(&self) -> bool {
        self.on
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USD: u64 = 1_000_000_000;
    const SETTINGS: Settings = Settings { factor: 3.0, floor: USD };

    /// A week of a dollar an hour.
    fn steady() -> Spending {
        let mut spending = Spending::default();
        for hour in 0..168 {
            spending.week.put(hour, USD);
            assert_eq!(spending.look(hour, &SETTINGS), None);
        }
        spending
    }

    #[test]
    fn three_times_the_usual_is_told_once_and_over_after_a_calm_hour() {
        let mut spending = steady();
        for (hour, sum, turn) in [
            (168, 2 * USD, None),
            (168, 3 * USD, None),
            (168, 3 * USD + 1, Some(Turn::Begun)),
            (168, 9 * USD, None),
            (169, 0, None),
            (169, 4 * USD, None),
            (170, USD, None),
            (170, 2 * USD, None),
            (171, USD, Some(Turn::Over)),
            (171, 2 * USD, None),
        ] {
            spending.week.put(hour, sum);
            assert_eq!(spending.look(hour, &SETTINGS), turn, "hour {hour}, {sum}");
        }
    }

    #[test]
    fn small_amounts_and_first_days_are_no_news() {
        let mut spending = Spending::default();
        for hour in 0..48 {
            let sum = if hour < 24 { 1000 * USD } else { USD };
            spending.week.put(hour, sum);
            assert_eq!(spending.look(hour, &SETTINGS), None);
        }
        let mut idle = Spending::default();
        idle.week.known_from(0);
        idle.week.put(100, USD);
        assert_eq!(idle.look(100, &SETTINGS), None, "the floor");
        idle.week.put(100, USD + 1);
        assert_eq!(idle.look(100, &SETTINGS), Some(Turn::Begun), "of an hour that is usually idle");
    }

    proptest! {
        #[test]
        fn turns_take_turns_and_one_is_over_after_an_hour_at_the_earliest(
            hours in prop::collection::vec((0_u64..8 * USD, 0_u64..8 * USD), 1..60),
        ) {
            let mut spending = steady();
            let (mut last, mut begun) = (Turn::Over, 0);
            for (hour, (first, more)) in (168..).zip(hours) {
                for sum in [first, first + more] {
                    spending.week.put(hour, sum);
                    let Some(turn) = spending.look(hour, &SETTINGS) else { continue };
                    prop_assert!(turn != last);
                    match turn {
                        Turn::Begun => {
                            prop_assert!(sum > USD, "the floor");
                            begun = hour;
                        }
                        Turn::Over => prop_assert!(hour >= begun + 2, "a whole calm hour has gone by"),
                    }
                    last = turn;
                }
            }
        }
    }
}
