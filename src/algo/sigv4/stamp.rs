//! A moment as signatures write it: `20150830T123600Z`.

use std::fmt;
use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;

/// A second of UTC between the years 1970 and 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(u64);

impl Stamp {
    /// The last second of the year 9999.
    const MAX: u64 = 253_402_300_799;

    /// The time since the Unix epoch, to the second.
    pub fn at(since_epoch: Duration) -> Self {
        Self(since_epoch.as_secs().min(Self::MAX))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
        let number =
            |text: Option<&str>| text.filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?.parse().ok();
        if day.len() != 8 || time.len() != 6 {
            return None;
        }
        let (year, month, date) = (number(day.get(..4))?, number(day.get(4..6))?, number(day.get(6..))?);
        let (hour, minute, second): (u64, u64, u64) =
            (number(time.get(..2))?, number(time.get(2..4))?, number(time.get(4..))?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let stamp = Self(days(year, month, date)? * DAY + hour * 3600 + minute * 60 + second);
        // A day that the month does not have comes out as another one.
        (stamp.to_string() == text).then_some(stamp)
    }

    /// The day alone: `20150830`.
    pub fn day(self) -> String {
        let (year, month, date) = civil(self.0 / DAY);
        format!("{year:04}{month:02}{date:02}")
    }

    /// As headers and people have it: `2015-08-30T12:36:00Z`.
    pub fn rfc3339(self) -> String {
        let (year, month, date) = civil(self.0 / DAY);
        let second = self.0 % DAY;
        let (hour, minute) = (second / 3600, second / 60 % 60);
        format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
    }

    /// How far apart two moments are.
    pub fn apart(self, other: Self) -> Duration {
        Duration::from_secs(self.0.abs_diff(other.0))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, date) = civil(self.0 / DAY);
        let second = self.0 % DAY;
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{year:04}{month:02}{date:02}T{hour:02}{minute:02}{:02}Z", second % 60)
    }
}

/// Year, month and day of the month of a day since the epoch. Years begin in March here, so that the
/// leap day is the last (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, date)
}

fn days(year: u64, month: u64, date: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&date) {
        return None;
    }
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let day = 365 * (year % 400) + year % 400 / 4 - year % 400 / 100 + (153 * month + 2) / 5 + date - 1;
    (year / 400 * 146_097 + day).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_written_as_the_calendar_has_them() {
        let check = |second, text: &str| {
            assert_eq!(Stamp(second).to_string(), text);
            assert_eq!(Stamp::parse(text), Some(Stamp(second)), "{text}");
        };
        check(0, "19700101T000000Z");
        check(951_782_400, "20000229T000000Z");
        check(1_440_938_160, "20150830T123600Z");
        check(4_107_542_399, "21000228T235959Z");
        check(Stamp::MAX, "99991231T235959Z");
        for text in
            ["", "20150830", "20150230T000000Z", "20151301T000000Z", "20150830T240000Z", "+0150830T123600Z"]
        {
            assert_eq!(Stamp::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(second in 0..=Stamp::MAX) {
            prop_assert_eq!(Stamp::parse(&Stamp(second).to_string()), Some(Stamp(second)));
        }

        #[test]
        fn no_text_breaks_the_reading(text in ".{0,20}") {
            if let Some(stamp) = Stamp::parse(&text) {
                prop_assert_eq!(stamp.to_string(), text);
            }
        }
    }
}
