//! The months by which PostgreSQL keeps requests and attempts apart, so that old ones are dropped and not deleted.
//!
//! Months are made ahead, two from now, so that none is missing when it begins. What belongs to none (a clock that is
//! far off, a spool that is older than the last month) goes to a table for all others. Months begin at midnight UTC.

use std::time::Duration;

/// Tables that are kept by month.
pub const TABLES: [&str; 2] = ["requests", "attempts"];

const DAY: i64 = 86_400;
const MICROS: i64 = 1_000_000;

/// A month, counted from the year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(i64);

impl Month {
    pub fn of(unix: Duration) -> Self {
        let days = i64::try_from(unix.as_secs()).unwrap_or(0) / DAY;
        // No month is longer than 31 days, so that this is never too late.
        let mut month = Self(1970 * 12 + days / 31);
        while month.next().first_day() <= days {
            month = month.next();
        }
        month
    }

    const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Days since the epoch. After Howard Hinnant, "chrono-compatible low-level date algorithms".
    const fn first_day(self) -> i64 {
        let (year, month) = (self.0.div_euclid(12), self.0.rem_euclid(12) + 1);
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    const fn begins_micros(self) -> i64 {
        self.first_day() * DAY * MICROS
    }

    /// The name of its part of `table`.
    fn part(self, table: &str) -> String {
        format!("{table}_{:04}_{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }

    /// The month whose part of `table` has this name.
    pub fn of_part(table: &str, name: &str) -> Option<Self> {
        let (year, month) = name.strip_prefix(table)?.strip_prefix('_')?.split_once('_')?;
        let (year, month): (i64, i64) = (year.parse().ok()?, month.parse().ok()?);
        (1..=12).contains(&month).then_some(Self(year * 12 + month - 1))
    }

    /// Whether all of it is before that moment.
    pub fn is_before(self, micros: i64) -> bool {
        self.next().begins_micros() <= micros
    }
}

/// Makes the months from the last one to the one after the next.
pub fn ahead(unix: Duration) -> Vec<String> {
    let this = Month::of(unix).0;
    let months = (this - 1..=this + 2).map(Month);
    let parts = months.flat_map(|month| TABLES.map(|table| (month, table)));
    let made = parts.map(|(month, table)| {
        let (name, from, to) = (month.part(table), month.begins_micros(), month.next().begins_micros());
        format!("CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} FOR VALUES FROM ({from}) TO ({to})")
    });
    made.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_when_they_do() {
        let check = |seconds: u64, name: &str, begins: i64, ends: i64| {
            let month = Month::of(Duration::from_secs(seconds));
            assert_eq!(month.part("x"), name);
            assert_eq!(
                (month.begins_micros(), month.next().begins_micros()),
                (begins * MICROS, ends * MICROS)
            );
            assert_eq!(Month::of_part("x", name), Some(month));
            assert!(month.is_before(ends * MICROS) && !month.is_before(ends * MICROS - 1));
        };
        check(0, "x_1970_01", 0, 2_678_400);
        check(2_678_399, "x_1970_01", 0, 2_678_400);
        check(951_782_400, "x_2000_02", 949_363_200, 951_868_800);
        check(1_795_132_800, "x_2026_11", 1_793_491_200, 1_796_083_200);
        check(4_107_542_399, "x_2100_02", 4_105_123_200, 4_107_542_400);
    }

    #[test]
    fn every_day_is_in_its_month() {
        for day in 0..60_000 {
            let month = Month::of(Duration::from_secs(day * 86_400));
            let day = i64::try_from(day).expect("few");
            assert!(month.first_day() <= day && day < month.next().first_day(), "{day}: {month:?}");
        }
    }

    #[test]
    fn four_months_are_made_of_each_table() {
        let made = ahead(Duration::from_hours(498_648));
        assert_eq!(made.len(), 8);
        assert!(
            made[0].starts_with("CREATE TABLE IF NOT EXISTS requests_2026_10 PARTITION OF requests"),
            "{made:?}"
        );
        assert!(made[7].starts_with("CREATE TABLE IF NOT EXISTS attempts_2027_01"), "{made:?}");
        assert_eq!(Month::of_part("requests", "requests_other"), None);
    }
}
