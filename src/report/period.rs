//! From when until when: two moments, a time back from now, or a month.

use std::time::Duration;

use super::Failed;
use crate::catalog::Date;
use crate::config::{duration, moment};

const DAY: u64 = 86_400;

/// Unix time in microseconds: from the first moment to before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    pub from: i64,
    pub to: i64,
}

/// As it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub from: Option<String>,
    pub to: Option<String>,
    pub last: Option<String>,
    /// Empty for the present one.
    pub month: Option<String>,
}

impl Said {
    /// Without a word it is the present month, so far.
    pub fn period(&self, now: Duration) -> Result<Period, Failed> {
        let now_seconds = now.as_secs();
        let (from, to) = match (&self.from, &self.to, &self.last, &self.month) {
            (None, None, None, month) => {
                let month = month.as_deref().unwrap_or_default();
                let first = match month {
                    "" => Date::of_unix(now_seconds).first_of_month(),
                    month => Date::parse(&format!("{month}-01")).ok_or_else(|| {
                        Failed::Wrong(format!("`{month}` is no month; write it as in 2026-10"))
                    })?,
                };
                // No month has more than 31 days, and the next begins before its 32nd.
                let next = Date::of_unix(first.unix_seconds() + 31 * DAY).first_of_month();
                let end = if month.is_empty() { now_seconds + 1 } else { next.unix_seconds() };
                (first.unix_seconds(), end)
            }
            (None, None, Some(last), None) => {
                let span =
                    duration(last).map_err(|why| Failed::Wrong(format!("`last` {why}; as in 7d or 24h")))?;
                (now_seconds.saturating_sub(span.as_secs()), now_seconds + 1)
            }
            (from, to, None, None) => {
                let Some(from) = from else {
                    return Failed::wrong("`to` says when it ends; say with `from` when it begins");
                };
                let end = to.as_deref().map(|to| at("to", to)).transpose()?;
                (at("from", from)?, end.unwrap_or(now_seconds + 1))
            }
            _ => {
                return Failed::wrong(
                    "say when with `from` and `to`, with `last` or with `month`: with one of them",
                );
            }
        };
        if from >= to {
            return Failed::wrong("`from` is not before `to`, which is the first moment that counts no more");
        }
        Ok(Period { from: micros(from), to: micros(to) })
    }
}

impl Period {
    /// The hours that it touches: sums are by whole ones. None of those to come, but where they were asked for.
    #[must_use]
    pub fn in_whole_hours(self, now: Duration) -> Self {
        let hour = micros(3600);
        let end = self.to.saturating_add(hour - 1) / hour * hour;
        let present = micros(now.as_secs() + 1);
        Self { from: self.from / hour * hour, to: end.min(present).max(self.to) }
    }

    /// The day that its last moment is in.
    pub fn last_day(&self) -> Date {
        Date::of_unix((self.to - 1).max(0).unsigned_abs() / 1_000_000)
    }
}

fn at(word: &str, said: &str) -> Result<u64, Failed> {
    let moment = moment::parse(said).ok_or_else(|| {
        Failed::Wrong(format!("`{word}` is no time: {said}; write 2026-11-01, or 2026-11-01T12:00:00Z"))
    })?;
    Ok(moment.as_secs())
}

fn micros(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX)
}

/// `2026-11-20T12:34:56.000001Z`; what is before 1970 is its first moment.
pub fn moment_of(at_micros: i64) -> String {
    let micros = at_micros.max(0).unsigned_abs();
    let fraction = format!(".{:06}", micros % 1_000_000);
    clock(micros / 1_000_000, if micros.is_multiple_of(1_000_000) { "" } else { &fraction })
}

fn clock(seconds: u64, fraction: &str) -> String {
    let of_day = seconds % DAY;
    format!(
        "{}T{:02}:{:02}:{:02}{fraction}Z",
        Date::of_unix(seconds),
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 November 2026, 13:00.
    const NOW: Duration = Duration::from_hours(498_648 + 13);

    fn said(text: &str) -> Said {
        let mut said = Said::default();
        for (word, value) in text.split(' ').filter_map(|pair| pair.split_once('=')) {
            let field = match word {
                "from" => &mut said.from,
                "to" => &mut said.to,
                "last" => &mut said.last,
                _ => &mut said.month,
            };
            *field = Some(value.to_owned());
        }
        said
    }

    #[test]
    fn a_time_is_said_in_three_ways() {
        let check = |text: &str, from: &str, to: &str| {
            let period = said(text).period(NOW).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(
                (moment_of(period.from).as_str(), moment_of(period.to).as_str()),
                (from, to),
                "{text}"
            );
        };
        check("", "2026-11-01T00:00:00Z", "2026-11-20T13:00:01Z");
        check("month=", "2026-11-01T00:00:00Z", "2026-11-20T13:00:01Z");
        check("month=2026-02", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z");
        check("month=2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z");
        check("last=24h", "2026-11-19T13:00:00Z", "2026-11-20T13:00:01Z");
        check("from=2026-11-01", "2026-11-01T00:00:00Z", "2026-11-20T13:00:01Z");
        check("from=2026-11-01 to=2026-11-02T12:30:00+02:00", "2026-11-01T00:00:00Z", "2026-11-02T10:30:00Z");
    }

    #[test]
    fn hours_count_whole() {
        let check = |text: &str, from: &str, to: &str| {
            let period = said(text).period(NOW).expect("a time").in_whole_hours(NOW);
            assert_eq!((&*moment_of(period.from), &*moment_of(period.to)), (from, to), "{text}");
        };
        check(
            "from=2026-11-20T09:30:04Z to=2026-11-20T10:30:00Z",
            "2026-11-20T09:00:00Z",
            "2026-11-20T11:00:00Z",
        );
        check(
            "from=2026-11-20T09:00:00Z to=2026-11-20T10:00:00Z",
            "2026-11-20T09:00:00Z",
            "2026-11-20T10:00:00Z",
        );
        check("last=90m", "2026-11-20T11:00:00Z", "2026-11-20T13:00:01Z");
        check("from=2026-11-20 to=2026-11-21", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z");
        check("month=", "2026-11-01T00:00:00Z", "2026-11-20T13:00:01Z");
    }

    #[test]
    fn what_is_no_time_is_refused_with_a_way_out() {
        for (text, why) in [
            ("month=2026-13", "no month"),
            ("last=week", "no duration"),
            ("last=7", "7s"),
            ("from=yesterday", "2026-11-01T12:00:00Z"),
            ("to=2026-11-01", "when it begins"),
            ("from=2026-11-02 to=2026-11-02", "not before"),
            ("from=2026-11-02 last=7d", "with one of them"),
            ("month= last=7d", "with one of them"),
        ] {
            let Err(Failed::Wrong(said)) = said(text).period(NOW) else { panic!("{text} is a time") };
            assert!(said.contains(why) || why == "no duration", "{text}: {said}");
        }
    }
}
