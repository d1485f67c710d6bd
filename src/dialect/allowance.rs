//! What a caller has left of his limits, in the headers in which his dialect says it (WIRE §2.2): SDKs and agents pace
//! themselves by them. Dialects whose vendors say nothing of the kind have none.

use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;

use super::Dialect;
use crate::algo::sigv4::Stamp;

/// Bytes of all values together, as a rule.
const ROOM: usize = 160;

/// How a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    pub limit: u64,
    pub remaining: u64,
    /// Until all of it is there again, if nothing more is used.
    pub whole_in: Duration,
}

/// Of the limits of requests, and of tokens, the one of which least is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub requests: Option<Left>,
    pub tokens: Option<Left>,
}

/// Says it, in place of what an upstream has said of the gateway's own account there.
pub fn say(headers: &mut HeaderMap, dialect: Dialect, standing: &Standing, unix_now: Duration) {
    let beginning = match dialect {
        Dialect::OpenAi | Dialect::Responses => "x-ratelimit-",
        Dialect::Anthropic => "anthropic-ratelimit-",
        Dialect::Gemini | Dialect::Cohere | Dialect::Bedrock | Dialect::Ollama | Dialect::Http => return,
    };
    if headers.keys().any(|name| name.as_str().starts_with(beginning)) {
        let theirs: Vec<HeaderName> =
            headers.keys().filter(|name| name.as_str().starts_with(beginning)).cloned().collect();
        for name in theirs {
            headers.remove(name);
        }
    }
    let mut said = Said { text: String::with_capacity(ROOM), values: SmallVec::new() };
    for (names, left) in [(&REQUESTS, standing.requests), (&TOKENS, standing.tokens)] {
        let Some(Left { limit, remaining, whole_in }) = left else { continue };
        let [limits, remains, resets] =
            if dialect == Dialect::Anthropic { &names.anthropic } else { &names.openai };
        said.add(limits, |text| number(text, limit));
        said.add(remains, |text| number(text, remaining));
        said.add(resets, |text| match dialect {
            Dialect::Anthropic => text.push_str(&Stamp::at(unix_now + whole_in).rfc3339()),
            _ => span(text, whole_in),
        });
    }
    said.put(headers);
}

/// Values that share one piece of memory.
struct Said {
    text: String,
    /// Where each ends, and what it is called.
    values: SmallVec<[(&'static HeaderName, usize); 6]>,
}

impl Said {
    fn add(&mut self, name: &'static HeaderName, write: impl FnOnce(&mut String)) {
        write(&mut self.text);
        self.values.push((name, self.text.len()));
    }

    fn put(self, headers: &mut HeaderMap) {
        let text = Bytes::from(self.text);
        let mut begin = 0;
        headers.reserve(self.values.len());
        for (name, end) in self.values {
            if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(begin..end)) {
                headers.insert(name, value);
            }
            begin = end;
        }
    }
}

/// Limit, what remains, and when it is whole.
struct Names {
    openai: [HeaderName; 3],
    anthropic: [HeaderName; 3],
}

static REQUESTS: Names = Names {
    openai: [
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ],
    anthropic: [
        HeaderName::from_static("anthropic-ratelimit-requests-limit"),
        HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
        HeaderName::from_static("anthropic-ratelimit-requests-reset"),
    ],
};

static TOKENS: Names = Names {
    openai: [
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ],
    anthropic: [
        HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
        HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
        HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
    ],
};

fn number(text: &mut String, number: u64) {
    text.push_str(itoa::Buffer::new().format(number));
}

/// As OpenAI writes it: `1h2m3s`, `6m0s`, `1.5s`, `20ms`.
fn span(text: &mut String, duration: Duration) {
    let millis = duration.as_millis() as u64;
    if (1..1000).contains(&millis) {
        number(text, millis);
        return text.push_str("ms");
    }
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    if hours > 0 {
        number(text, hours);
        text.push('h');
    }
    if hours > 0 || minutes > 0 {
        number(text, minutes);
        text.push('m');
    }
    number(text, millis / 1000 % 60);
    let rest = millis % 1000;
    if rest > 0 {
        text.push('.');
        // With its zeros in front, and none behind: OpenAI writes none.
        text.push_str(itoa::Buffer::new().format(1000 + rest)[1..].trim_end_matches('0'));
    }
    text.push('s');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(dialect: Dialect, before: &[&'static str]) -> Vec<String> {
        let left =
            |limit, remaining, secs| Some(Left { limit, remaining, whole_in: Duration::from_secs(secs) });
        let standing = Standing { requests: left(60, 59, 60), tokens: left(1000, 7, 86_400) };
        let mut headers: HeaderMap =
            before.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from(1))).collect();
        say(&mut headers, dialect, &standing, Duration::from_mins(24_015_636));
        let mut said: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        said.sort();
        said
    }

    #[test]
    fn every_dialect_says_it_as_its_vendor_does() {
        assert_eq!(
            said(
                Dialect::OpenAi,
                &["x-ratelimit-limit-requests", "x-ratelimit-reset-project-tokens", "date"]
            ),
            [
                "date: 1",
                "x-ratelimit-limit-requests: 60",
                "x-ratelimit-limit-tokens: 1000",
                "x-ratelimit-remaining-requests: 59",
                "x-ratelimit-remaining-tokens: 7",
                "x-ratelimit-reset-requests: 1m0s",
                "x-ratelimit-reset-tokens: 24h0m0s",
            ]
        );
        assert_eq!(
            said(Dialect::Anthropic, &["anthropic-ratelimit-input-tokens-limit"]),
            [
                "anthropic-ratelimit-requests-limit: 60",
                "anthropic-ratelimit-requests-remaining: 59",
                "anthropic-ratelimit-requests-reset: 2015-08-30T12:37:00Z",
                "anthropic-ratelimit-tokens-limit: 1000",
                "anthropic-ratelimit-tokens-remaining: 7",
                "anthropic-ratelimit-tokens-reset: 2015-08-31T12:36:00Z",
            ]
        );
        assert_eq!(said(Dialect::Gemini, &["date"]), ["date: 1"]);
    }

    #[test]
    fn spans_are_written_as_openai_writes_them() {
        let check = |millis, expected: &str| {
            let mut text = String::new();
            span(&mut text, Duration::from_millis(millis));
            assert_eq!(text, expected);
        };
        check(0, "0s");
        check(20, "20ms");
        check(1500, "1.5s");
        check(2_007, "2.007s");
        check(60_500, "1m0.5s");
        check(360_000, "6m0s");
        check(3_723_000, "1h2m3s");
    }
}
