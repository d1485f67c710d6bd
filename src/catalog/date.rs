//! Days, as the catalog counts them.

use std::fmt;

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The first that there is.
    pub const FIRST: Self = Self { year: 1970, month: 1, day: 1 };

    /// Reads `2026-11-20`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut part = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u16>().ok())?
        };
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        let is_real = year >= 1970 && (1..=days_in(year, month)).contains(&day) && parts.next().is_none();
        is_real.then_some(Self { year, month: month as u8, day: day as u8 })
    }

    /// The day (UTC) in which so many seconds have passed since the epoch. After Howard Hinnant, "chrono-compatible
    /// low-level date algorithms"; the last day that there is stays the last.
    pub fn of_unix(seconds: u64) -> Self {
        const LAST: u64 = 22_870_000;
        let days = (seconds / 86_400).min(LAST) + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let of_four = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * of_four + of_four / 4 - of_four / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = (of_year - (153 * shifted + 2) / 5 + 1) as u8;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u8;
        let year = era * 400 + of_four + u64::from(month <= 2);
        Self { year: year as u16, month, day }
    }

    #[must_use]
    pub const fn first_of_month(self) -> Self {
        Self { day: 1, ..self }
    }

    /// Its midnight (UTC) in seconds since the epoch.
    pub fn unix_seconds(self) -> u64 {
        let (year, month) = (u64::from(self.year), u16::from(self.month));
        let leaps = |year: u64| year / 4 - year / 100 + year / 400;
        let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
        let months: u64 = (1..month).map(|month| u64::from(days_in(self.year, month))).sum();
        (years + months + u64::from(self.day) - 1) * 86_400
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

fn days_in(year: u16, month: u16) -> u16 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        // No day is in it.
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_second_and_is_written_as_it_is_read() {
        let check = |text: &str, seconds: u64| {
            let date = Date::parse(text).expect(text);
            assert_eq!((date.unix_seconds(), date.to_string().as_str()), (seconds, text));
        };
        check("1970-01-01", 0);
        check("2000-02-29", 951_782_400);
        check("2000-03-01", 951_868_800);
        check("2026-11-20", 1_795_132_800);
        check("2100-03-01", 4_107_542_400);
    }

    #[test]
    fn every_second_has_its_day() {
        for day in 0..90_000 {
            let date = Date::of_unix(day * 86_400 + day % 86_400);
            assert_eq!(date.unix_seconds(), day * 86_400, "{date}");
            assert_eq!(Date::parse(&date.to_string()), Some(date));
        }
        assert!(Date::of_unix(u64::MAX) > Date::of_unix(90_000 * 86_400));
    }

    #[test]
    fn what_is_no_day_is_none() {
        for text in
            ["", "2026", "2026-13-01", "2026-02-29", "2026-00-10", "2026-1-1", "2026-01-01-01", "+026-01-01"]
        {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }
}
