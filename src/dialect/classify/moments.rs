//! Durations and dates as vendors write them, total over any text.
//!
//! Go durations (`6m0s`, `12ms`), plain seconds, HTTP dates (RFC 9110 §5.6.7, the form that servers
//! send), RFC 3339 and epochs. Negative, infinite and nonsensical values are `None`, never a panic.

use std::time::Duration;

const DAY: i64 = 86_400;

/// A number of seconds, fractions allowed.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(decimal(text)?).ok()
}

/// A number of milliseconds, fractions allowed.
pub(super) fn millis(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(decimal(text)? / 1e3).ok()
}

/// `1h2m3.5s`, `900ms`: numbers with units, at least one.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| c.is_ascii_alphabetic() || c == 'µ')?;
        let (value, tail) = rest.split_at_checked(number)?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_end)?;
        let scale = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(decimal(value)? * scale).ok()?)?;
        rest = tail;
    }
    Some(total)
}

/// A point in time as time since 1970: an HTTP date, RFC 3339, or an epoch in seconds or
/// milliseconds.
pub fn instant(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unix = http_date(text).or_else(|| rfc3339(text));
    match unix {
        Some(unix) => u64::try_from(unix).ok().map(Duration::from_secs),
        None => epoch(text),
    }
}

/// Epochs are told from waits by their size: 10^9 seconds are 2001, 10^12 milliseconds too.
fn epoch(text: &str) -> Option<Duration> {
    let value = decimal(text)?;
    match value {
        1e9..1e12 => seconds(text),
        1e12..1e15 => millis(text),
        _ => None,
    }
}

/// Digits with a fraction; not what Rust's parser also takes: signs, `inf`, `nan`, exponents.
fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, date) = text.split_once(", ")?;
    let mut words = date.split(' ');
    let day = whole(words.next()?)?;
    let name = words.next()?;
    let month = MONTHS.iter().zip(1..).find(|(month, _)| **month == name)?.1;
    let year = whole(words.next()?)?;
    let seconds = clock(words.next()?)?;
    (words.next() == Some("GMT")).then_some(())?;
    civil(year, month, day).map(|days| days * DAY + seconds)
}

/// `2026-01-27T12:00:00.5Z`, `…+01:00`
fn rfc3339(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut parts = date.split('-');
    let days = civil(whole(parts.next()?)?, whole(parts.next()?)?, whole(parts.next()?)?)?;
    parts.next().is_none().then_some(())?;
    let at = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at_checked(at)?;
    let seconds = clock(time.split('.').next()?)?;
    let offset = match zone {
        "Z" | "z" => 0,
        zone => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let offset = clock(&format!("{hours}:{minutes}:00"))?;
            if zone.starts_with('-') { -offset } else { offset }
        }
    };
    Some(days * DAY + seconds - offset)
}

/// `08:49:37` in seconds.
fn clock(text: &str) -> Option<i64> {
    let mut parts = text.split(':').map(whole);
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    (parts.next().is_none() && hours < 24 && minutes < 60 && seconds <= 60)
        .then_some(hours * 3600 + minutes * 60 + seconds)
}

/// At most four digits, so that no arithmetic on them can overflow.
fn whole(text: &str) -> Option<i64> {
    ((1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// Days from 1970 to a date of the proleptic Gregorian calendar (Howard Hinnant's
/// `days_from_civil`).
fn civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_of_all_vendors_are_read() {
        for (text, expected) in [
            ("1s", Some(1_000)),
            ("6m0s", Some(360_000)),
            ("12ms", Some(12)),
            ("1h2m3.5s", Some(3_723_500)),
            ("7", None),
            ("s", None),
            ("-1s", None),
            ("", None),
            ("1x", None),
            ("99999999999999999999999d", None),
        ] {
            assert_eq!(duration(text), expected.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn dates_of_all_vendors_are_read() {
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("1994-11-06T08:49:37Z", Some(784_111_777)),
            ("1994-11-06T09:49:37.123+01:00", Some(784_111_777)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800)),
            ("1700000000", Some(1_700_000_000)),
            ("1700000000000", Some(1_700_000_000)),
            ("30", None),
            ("1969-12-31T23:59:59Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("tomorrow", None),
        ] {
            assert_eq!(instant(text), expected.map(Duration::from_secs), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC{0,40}", soup in "[0-9TZ:+. a-zµ-]{0,40}") {
            for text in [text, soup] {
                let _ = (duration(&text), instant(&text), seconds(&text), millis(&text));
            }
        }
    }
}
