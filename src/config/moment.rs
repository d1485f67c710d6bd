//! A point in time as people write it: a day, or a day with its time (RFC 3339).

use std::time::Duration;

use crate::catalog::Date;

/// Reads `2027-01-31`, which is its first moment (UTC), or `2027-01-31T12:00:00Z`, with an offset instead of the `Z`
/// where there is one. Fractions of seconds are left out. `None` for anything else, and before 1970.
pub fn parse(text: &str) -> Option<Duration> {
    let (day, rest) = text.split_at_checked(10)?;
    let midnight = Date::parse(day)?.unix_seconds();
    if rest.is_empty() {
        return Some(Duration::from_secs(midnight));
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let clock = time(clock, 8)?;
    let rest = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let end = fraction.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
            fraction.get(end..)?
        }
    };
    let seconds = midnight.checked_add(clock)?;
    let seconds = match rest.split_at_checked(1)? {
        ("Z" | "z", "") => seconds,
        ("+", offset) => seconds.checked_sub(time(offset, 5)?)?,
        ("-", offset) => seconds.checked_add(time(offset, 5)?)?,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

/// The seconds of `12:34:56`, or `12:34` where that is all its length.
fn time(text: &str, length: usize) -> Option<u64> {
    let parts: Vec<u64> = text
        .split(':')
        .map(|part| part.parse().ok().filter(|_| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())))
        .collect::<Option<_>>()?;
    match parts[..] {
        _ if text.len() != length => None,
        [hour @ 0..24, minute @ 0..60] => Some(hour * 3600 + minute * 60),
        [hour @ 0..24, minute @ 0..60, second @ 0..60] => Some(hour * 3600 + minute * 60 + second),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_day_or_a_time_with_its_offset() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2026-11-20", 1_795_132_800),
            ("2026-11-20T00:00:00Z", 1_795_132_800),
            ("2026-11-20t12:34:56.789z", 1_795_132_800 + 45_296),
            ("2026-11-20 02:00:00+02:00", 1_795_132_800),
            ("2026-11-19T22:30:00-01:30", 1_795_132_800),
        ] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "tomorrow",
            "2026-11-31",
            "2026-11-20T",
            "2026-11-20T12:34",
            "2026-11-20T12:34:56",
            "2026-11-20T24:00:00Z",
            "2026-11-20T12:60:00Z",
            "2026-11-20T12:34:56.Z",
            "2026-11-20T12:34:56+2",
            "1970-01-01T00:00:00+01:00",
            "2026-11-20T+2:34:56Z",
            "2026-11-20T12:34:56Zulu",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
