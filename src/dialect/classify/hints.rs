//! What headers say about limits, in one form (RESILIENCE §5.2, WIRE §3.6).
//!
//! Any vendor's names are looked for on any answer: compatible vendors mix them.

use std::time::Duration;

use http::HeaderMap;

use super::moments;
use crate::vocab::RateHint;
use crate::vocab::hint::Allowance;

/// No wait is longer: the longest window that vendors have is a day.
pub const MAX_WAIT: Duration = Duration::from_hours(24);

/// The statuses whose `retry-after` means "not before": Anthropic sends one with successes too
/// (WIRE §0.6).
pub(super) const WAITING: [u16; 3] = [429, 503, 529];

/// Header names of one allowance: what is left, when it is full again, and how much that is.
type Names = (&'static str, &'static str, &'static str);

const REQUESTS: &[Names] = &[
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", "x-ratelimit-limit-requests"),
    (
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
        "anthropic-ratelimit-requests-limit",
    ),
    ("x-ratelimit-remaining", "x-ratelimit-reset", "x-ratelimit-limit"),
];

const TOKENS: &[Names] = &[
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", "x-ratelimit-limit-tokens"),
    (
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
        "anthropic-ratelimit-tokens-limit",
    ),
];

const INPUT: &[Names] = &[(
    "anthropic-ratelimit-input-tokens-remaining",
    "anthropic-ratelimit-input-tokens-reset",
    "anthropic-ratelimit-input-tokens-limit",
)];

const OUTPUT: &[Names] = &[(
    "anthropic-ratelimit-output-tokens-remaining",
    "anthropic-ratelimit-output-tokens-reset",
    "anthropic-ratelimit-output-tokens-limit",
)];

/// What a success says. There is no wait in it, whatever `retry-after` says.
pub fn hints(headers: &HeaderMap, now_unix: Duration) -> RateHint {
    // Most answers have none of these names; that is told from the few they have.
    if !headers.keys().any(|name| name.as_str().contains("ratelimit")) {
        return RateHint::default();
    }
    RateHint {
        retry_after: None,
        requests: scarcest(REQUESTS, headers, now_unix),
        input: scarcest(INPUT, headers, now_unix),
        output: scarcest(OUTPUT, headers, now_unix),
        tokens: scarcest(TOKENS, headers, now_unix),
        daily: false,
    }
}

/// The wait that headers ask for, if the status is one that asks.
pub fn asked_wait(status: u16, headers: &HeaderMap, now_unix: Duration) -> Option<Duration> {
    if !WAITING.contains(&status) {
        return None;
    }
    let millis = text(headers, "retry-after-ms").and_then(moments::millis);
    let wait = || {
        let value = text(headers, "retry-after")?;
        moments::seconds(value)
            .or_else(|| moments::duration(value))
            .or_else(|| moments::instant(value).map(|at| at.saturating_sub(now_unix)))
    };
    millis.or_else(wait).map(cap)
}

/// When every exhausted limit is full again, of those that are counted and of a plan's.
pub(super) fn exhausted_until(hint: &RateHint, headers: &HeaderMap, now_unix: Duration) -> Option<Duration> {
    [hint.requests, hint.input, hint.output, hint.tokens]
        .into_iter()
        .flatten()
        .filter(|allowance| allowance.remaining == 0)
        .filter_map(|allowance| allowance.reset_after)
        .max()
        .max(plan_until(headers, now_unix))
}

/// Until when Anthropic's plans are used up: they count hours and weeks in shares of what nobody says.
fn plan_until(headers: &HeaderMap, now_unix: Duration) -> Option<Duration> {
    let used_up = text(headers, "anthropic-ratelimit-unified-status") == Some("rejected");
    let reset = text(headers, "anthropic-ratelimit-unified-reset").filter(|_| used_up)?;
    until(reset, now_unix).map(cap)
}

pub(super) fn cap(wait: Duration) -> Duration {
    wait.min(MAX_WAIT)
}

fn scarcest(names: &[Names], headers: &HeaderMap, now_unix: Duration) -> Option<Allowance> {
    let allowances = names.iter().filter_map(|(remaining, reset, limit)| {
        let remaining = text(headers, remaining)?.parse().ok()?;
        let reset_after = text(headers, reset).and_then(|value| until(value, now_unix)).map(cap);
        let limit = text(headers, limit).and_then(|value| value.parse().ok());
        Some(Allowance { remaining, limit, reset_after })
    });
    allowances.min_by_key(|allowance| allowance.remaining)
}

/// A reset is a Go duration, a date, an epoch, or bare seconds.
fn until(value: &str, now_unix: Duration) -> Option<Duration> {
    moments::duration(value)
        .or_else(|| moments::instant(value).map(|at| at.saturating_sub(now_unix)))
        .or_else(|| moments::seconds(value))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderName, HeaderValue};

    use super::*;

    /// 2023-11-14T22:13:20Z
    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    fn wait(pairs: &[(&'static str, &'static str)]) -> Option<u64> {
        asked_wait(429, &headers(pairs), NOW).map(|wait| wait.as_millis() as u64)
    }

    #[test]
    fn the_first_valid_wait_wins() {
        assert_eq!(wait(&[("retry-after", "2"), ("retry-after-ms", "1500")]), Some(1_500));
        assert_eq!(wait(&[("retry-after", "2"), ("retry-after-ms", "soon")]), Some(2_000));
        assert_eq!(wait(&[("retry-after", "0.5")]), Some(500));
        assert_eq!(wait(&[("retry-after", "Tue, 14 Nov 2023 22:13:30 GMT")]), Some(10_000));
        assert_eq!(wait(&[("retry-after", "Tue, 14 Nov 2023 22:13:00 GMT")]), Some(0));
        for nonsense in ["-1", "NaN", "inf", "1e9", "", "soon"] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
    }

    #[test]
    fn a_hostile_wait_is_capped() {
        for hostile in ["31536000", "9999999999999999", "999999h"] {
            assert_eq!(wait(&[("retry-after", hostile)]), Some(86_400_000), "{hostile}");
        }
    }

    #[test]
    fn a_success_tells_its_allowance_and_no_wait() {
        let hint = hints(
            &headers(&[
                ("retry-after", "61"),
                ("x-ratelimit-remaining-requests", "9"),
                ("x-ratelimit-reset-requests", "6m0s"),
            ]),
            NOW,
        );
        assert_eq!(hint.retry_after, None);
        assert_eq!(
            hint.requests,
            Some(Allowance { remaining: 9, limit: None, reset_after: Some(Duration::from_mins(6)) })
        );
        assert_eq!(hint.tokens, None);
    }

    #[test]
    fn a_plan_that_is_used_up_says_until_when() {
        let of_plan = |status, reset| {
            let headers = headers(&[
                ("anthropic-ratelimit-unified-status", status),
                ("anthropic-ratelimit-unified-reset", reset),
                ("anthropic-ratelimit-unified-representative-claim", "five_hour"),
            ]);
            exhausted_until(&hints(&headers, NOW), &headers, NOW).map(|wait| wait.as_secs())
        };
        assert_eq!(of_plan("rejected", "1700003600"), Some(3_600));
        assert_eq!(of_plan("rejected", "2023-11-14T23:13:20Z"), Some(3_600));
        assert_eq!(of_plan("rejected", "1790000000"), Some(86_400), "bounded as any wait");
        assert_eq!(of_plan("rejected", "soon"), None);
        assert_eq!(of_plan("allowed_warning", "1700003600"), None);
    }

    #[test]
    fn the_scarcer_of_two_names_of_one_limit_counts() {
        let hint = hints(
            &headers(&[
                ("x-ratelimit-remaining-requests", "7"),
                ("anthropic-ratelimit-requests-remaining", "3"),
            ]),
            NOW,
        );
        assert_eq!(hint.requests.map(|left| left.remaining), Some(3));
    }

    #[test]
    fn what_goes_in_and_what_comes_out_are_limits_of_their_own() {
        let hint = hints(
            &headers(&[
                ("anthropic-ratelimit-tokens-remaining", "100"),
                ("anthropic-ratelimit-input-tokens-remaining", "450000"),
                ("anthropic-ratelimit-output-tokens-remaining", "0"),
                ("anthropic-ratelimit-output-tokens-limit", "8000"),
                ("anthropic-ratelimit-output-tokens-reset", "2023-11-14T22:13:25Z"),
            ]),
            NOW,
        );
        let known = |remaining, limit, reset_after| Some(Allowance { remaining, limit, reset_after });
        assert_eq!(hint.output, known(0, Some(8000), Some(Duration::from_secs(5))));
        assert_eq!(hint.input, known(450_000, None, None));
        assert_eq!(hint.tokens, known(100, None, None), "of both together");
        assert_eq!(exhausted_until(&hint, &HeaderMap::new(), NOW), Some(Duration::from_secs(5)));
    }
}
