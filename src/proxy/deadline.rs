//! Deadlines that callers bring along (RESILIENCE §4.12, WIRE §2.2).

use std::time::Duration;

use http::{HeaderMap, HeaderName};

const UNTIL: HeaderName = HeaderName::from_static("x-request-deadline");
const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");
const SDK: HeaderName = HeaderName::from_static("x-stainless-timeout");

/// An SDK gives up on its own clock, so we have to be done a little earlier to be heard.
const SDK_MARGIN: Duration = Duration::from_secs(2);
/// What a deadline in the far future is taken as.
const LONGEST: Duration = Duration::from_hours(24);

/// The time that the caller leaves us, counted from now. Unreadable values count as absent.
pub fn from_headers(headers: &HeaderMap, unix_now: Duration) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let until = text(UNTIL).and_then(unix_time).map(|at| at.saturating_sub(unix_now));
    let grpc = text(GRPC).and_then(grpc_timeout);
    let sdk = text(SDK).and_then(seconds).map(|limit| limit.saturating_sub(SDK_MARGIN).max(SDK_MARGIN));
    [until, grpc, sdk].into_iter().flatten().min().map(|left| left.min(LONGEST))
}

/// Seconds since the epoch, or milliseconds where the number is too large to be seconds.
fn unix_time(text: &str) -> Option<Duration> {
    /// The year 5138 in seconds, 1973 in milliseconds.
    const MILLIS_FROM: f64 = 1e11;
    let number: f64 = text.parse().ok()?;
    let at = if number >= MILLIS_FROM { number / 1e3 } else { number };
    Duration::try_from_secs_f64(at).ok()
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number).ok())
        .filter(|limit| !limit.is_zero())
}

/// gRPC over HTTP/2, `Timeout`: at most eight digits and a unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &'static str, value: &str, expected: Option<Duration>) {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        assert_eq!(from_headers(&headers, Duration::from_secs(1_000)), expected, "{name}: {value}");
    }

    #[test]
    fn deadlines_are_read_in_every_spelling_and_nonsense_is_ignored() {
        let secs = |n| Some(Duration::from_secs(n));
        check("x-request-deadline", "1010", secs(10));
        check("x-request-deadline", "900", secs(0));
        check("x-request-deadline", "-1", None);
        check("x-request-deadline", "soon", None);
        check("grpc-timeout", "5S", secs(5));
        check("grpc-timeout", "1500m", Some(Duration::from_millis(1500)));
        check("grpc-timeout", "999999999S", None);
        check("grpc-timeout", "S", None);
        check("grpc-timeout", "é", None);
        check("x-stainless-timeout", "600", secs(598));
        check("x-stainless-timeout", "1", secs(2));
        check("x-stainless-timeout", "NOT_GIVEN", None);
        check("x-stainless-timeout", "1e300", None);
    }
}
