//! Hours of the week: between two times of the day, on some days, at a fixed distance from UTC.
//!
//! Of summer time nothing is known here: whoever wants it writes two rules. Hours that go over midnight belong to
//! the day on which they begin.

use std::time::Duration;

const DAY: i64 = 24 * 60;

/// Hours of every week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hours {
    /// Minutes after midnight, 0..=1439.
    begin: u16,
    /// 1..=1440. Not after `begin`: it is the next day's.
    end: u16,
    days: Days,
    /// Minutes that the place's clocks are ahead of UTC.
    east: i16,
}

/// Some days of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Days(u8);

impl Days {
    pub const ALL: Self = Self(0b111_1111);

    /// `day` counts from Monday, 0..=6.
    pub fn add(&mut self, day: u8) {
        self.0 |= 1 << (day % 7);
    }

    fn has(self, day: i64) -> bool {
        self.0 >> day.rem_euclid(7) & 1 == 1
    }
}

impl Hours {
    /// `begin` and `end` in minutes after midnight, `east` in minutes.
    pub fn new(begin: u16, end: u16, days: Days, east: i16) -> Self {
        Self { begin, end, days, east }
    }

    /// Whether `unix`, the time since the Unix epoch, is one of them.
    pub fn include(&self, unix: Duration) -> bool {
        let minutes = i64::try_from(unix.as_secs() / 60).unwrap_or(i64::MAX / 2) + i64::from(self.east);
        // The epoch was a Thursday.
        let (today, minute) = (minutes.div_euclid(DAY) + 3, minutes.rem_euclid(DAY));
        let (begin, end) = (i64::from(self.begin), i64::from(self.end));
        if begin < end {
            return self.days.has(today) && (begin..end).contains(&minute);
        }
        (self.days.has(today) && minute >= begin) || (self.days.has(today - 1) && minute < end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Monday, 2026-11-23, 00:00 UTC.
    const MONDAY: u64 = 1_795_392_000;

    fn at(day: u64, hour: u64, minute: u64) -> Duration {
        Duration::from_secs(MONDAY + ((day * 24 + hour) * 60 + minute) * 60)
    }

    fn workdays() -> Days {
        let mut days = Days::default();
        (0..5).for_each(|day| days.add(day));
        days
    }

    #[test]
    fn nights_belong_to_the_day_on_which_they_begin() {
        let nights = Hours::new(18 * 60, 8 * 60, workdays(), 0);
        for (when, expected) in [
            (at(0, 7, 59), false),
            (at(0, 18, 0), true),
            (at(1, 7, 59), true),
            (at(1, 8, 0), false),
            (at(4, 23, 0), true),
            (at(5, 7, 0), true),
            (at(5, 19, 0), false),
            (at(6, 3, 0), false),
        ] {
            assert_eq!(nights.include(when), expected, "{when:?}");
        }
    }

    #[test]
    fn a_place_has_its_own_midnight() {
        let mut monday = Days::default();
        monday.add(0);
        let east = Hours::new(0, 1440, monday, 120);
        assert!(east.include(at(0, 21, 59)) && !east.include(at(0, 22, 0)));
        assert!(!east.include(at(0, 0, 0).saturating_sub(Duration::from_mins(121))));
        assert!(east.include(at(0, 0, 0).saturating_sub(Duration::from_hours(2))));
        let west = Hours::new(0, 1440, monday, -300);
        assert!(!west.include(at(0, 4, 59)) && west.include(at(1, 4, 59)));
    }

    proptest! {
        /// What begins where the other ends is all the rest of the week.
        #[test]
        fn every_minute_is_in_the_hours_or_in_those_between_them(
            (begin, end) in (0_u16..1440, 0_u16..1440).prop_filter("apart", |(a, b)| a != b),
            east in -720_i16..=840,
            minute in 0_u64..60_000_000,
        ) {
            let when = Duration::from_secs(minute * 60);
            let inside = Hours::new(begin, end, Days::ALL, east).include(when);
            let outside = Hours::new(end, begin, Days::ALL, east).include(when);
            prop_assert!(inside != outside);
        }

        #[test]
        fn a_week_later_nothing_is_different(
            begin in 0_u16..1440, end in 1_u16..=1440, days in 0_u8..128, east in -720_i16..=840, minute in 0_u64..60_000_000,
        ) {
            let hours = Hours::new(begin, end, Days(days), east);
            let when = Duration::from_secs(minute * 60);
            prop_assert_eq!(hours.include(when), hours.include(when + Duration::from_hours(7 * 24)));
        }
    }
}
