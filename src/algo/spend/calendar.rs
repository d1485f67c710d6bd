//! Days, weeks and months of UTC, as seconds since the Unix epoch.
//!
//! Weeks begin on Monday. Of time zones and summer time nothing is known: the store's sums are by hours of UTC, and all
//! of these windows begin with one.

use std::time::Duration;

const DAY: u64 = 86_400;
/// The epoch was a Thursday.
const MONDAY: u64 = 3;

/// For how long what is spent counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Per {
    Day,
    Week,
    Month,
    Total,
}

/// One of them: from its first second to before `ends`, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub begins: u64,
    /// `None`: never.
    pub ends: Option<u64>,
}

impl Per {
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Total];

    /// As the configuration and metrics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// The one that `now`, the time since the Unix epoch, is in; of all time, the part from `starts` on.
    pub fn span(self, starts: Option<Duration>, now: Duration) -> Span {
        let today = now.as_secs() / DAY;
        let days = |first: u64, last: u64| Span { begins: first * DAY, ends: Some(last * DAY) };
        match self {
            Self::Day => days(today, today + 1),
            Self::Week => {
                let monday = today - (today + MONDAY) % 7;
                // The epoch's own week began before it.
                if (today + MONDAY) % 7 > today { days(0, 7 - MONDAY) } else { days(monday, monday + 7) }
            }
            Self::Month => {
                let (year, month) = month_of(today);
                let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                days(first_day(year, month), first_day(next.0, next.1))
            }
            Self::Total => Span { begins: starts.unwrap_or_default().as_secs(), ends: None },
        }
    }
}

impl Span {
    pub fn has(&self, now: Duration) -> bool {
        self.begins <= now.as_secs() && self.ends.is_none_or(|ends| now.as_secs() < ends)
    }
}

/// Days from the epoch to the first of a month. Of the civil calendar, whose years begin in March so that the day
/// that some of them have more is their last.
fn first_day(year: u64, month: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The year and the month, 1..=12, that a day since the epoch is in.
fn month_of(day: u64) -> (u64, u64) {
    let (year, month, _) = date_of(day);
    (year, month)
}

/// The same with the day of the month.
fn date_of(day: u64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year, if month < 10 { month + 3 } else { month - 9 });
    (if month <= 2 { year + 1 } else { year }, month, of_month)
}

/// `2026-11-22`: the day that a second since the epoch is in.
pub fn day(seconds: u64) -> String {
    let (year, month, day) = date_of(seconds / DAY);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(per: Per, seconds: u64) -> (u64, Option<u64>) {
        let Span { begins, ends } = per.span(None, Duration::from_secs(seconds));
        (begins, ends)
    }

    #[test]
    fn windows_are_those_of_the_calendar() {
        // 2026-11-21T20:54:29Z, a Saturday.
        let now = 1_795_294_469;
        assert_eq!(span(Per::Day, now), (1_795_219_200, Some(1_795_305_600)));
        assert_eq!(span(Per::Week, now), (1_794_787_200, Some(1_795_392_000)), "Monday the 16th to the 23rd");
        assert_eq!(span(Per::Month, now), (1_793_491_200, Some(1_796_083_200)), "the whole of November");
        assert_eq!(span(Per::Total, now), (0, None));
        // A leap day, and the turn of a year.
        assert_eq!(span(Per::Month, 1_709_208_000), (1_706_745_600, Some(1_709_251_200)));
        assert_eq!(span(Per::Month, 1_798_761_599), (1_796_083_200, Some(1_798_761_600)));
        assert_eq!(span(Per::Month, 1_798_761_600).0, 1_798_761_600);
        assert_eq!(day(now), "2026-11-21");
        assert_eq!(
            (day(1_709_208_000), day(1_798_761_599), day(0)),
            ("2024-02-29".into(), "2026-12-31".into(), "1970-01-01".into())
        );
        let from = Some(Duration::from_hours(7));
        assert_eq!(Per::Total.span(from, Duration::ZERO), Span { begins: 7 * 3600, ends: None });
    }

    proptest! {
        #[test]
        fn every_second_is_in_one_window_and_the_next_begins_where_it_ends(at in 0_u64..10_000_000_000, per in 0..3_usize) {
            let per = Per::ALL[per];
            let now = Duration::from_secs(at);
            let span = per.span(None, now);
            prop_assert!(span.has(now));
            prop_assert_eq!(span.begins % 3600, 0);
            let ends = span.ends.expect("only all time never ends");
            prop_assert!(!span.has(Duration::from_secs(ends)));
            prop_assert_eq!(per.span(None, Duration::from_secs(ends)).begins, ends);
            prop_assert_eq!(per.span(None, Duration::from_secs(span.begins)), span);
            let days = (ends - span.begins) / DAY;
            let lengths = match per { Per::Day => 1..=1, Per::Week => 4..=7, Per::Month | Per::Total => 28..=31 };
            prop_assert!(lengths.contains(&days), "{days}");
        }
    }
}
