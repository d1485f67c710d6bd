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
    fn what_is_no_day_is_none() {
        for text in
            ["", "2026", "2026-13-01", "2026-02-29", "2026-00-10", "2026-1-1", "2026-01-01-01", "+026-01-01"]
        {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }
}
