//! What a request is called.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use smallvec::SmallVec;

/// Bytes of the names that we give: `req_` and 24 hexadecimal digits. Four more, since memory comes in eights.
const USUAL: usize = 32;

/// Before the digits of the names that we give.
const BEGINNING: &str = "req_";
/// Of those digits, the ones that say when the request came.
const TIME: usize = 12;
/// How all of them begin until the year 2527. No other name that a caller may give begins so: each is known for what it
/// is.
const OURS: &str = "req_0";

/// As it stands in the answer's `x-mainstay-request-id`. Every request has one and hands it on from room to room; one
/// of usual length takes no memory of its own.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(SmallVec<[u8; USUAL]>);

impl RequestId {
    /// A name that we give: 48 bits of the Unix time in milliseconds, and as many of `chance`. So they are in the order
    /// in which requests came, and stand beside each other in an index.
    pub fn given(unix: Duration, chance: u64) -> Self {
        let name = unix.as_millis() << 48 | u128::from(chance >> 16);
        let mut text = *b"req_000000000000000000000000";
        for (at, digit) in text[BEGINNING.len()..].iter_mut().rev().enumerate() {
            *digit = b"0123456789abcdef"[(name >> (4 * at)) as usize & 15];
        }
        Self(SmallVec::from_slice(&text))
    }

    /// Whether a caller may give this name: none that could be taken for one of ours, but for those that another
    /// Mainstay has given.
    pub fn may_be_callers(text: &str) -> bool {
        !text.starts_with(OURS) || Self::arrival(text).is_some()
    }

    /// When the request came, in whole milliseconds of Unix time, where `text` is a name that we give; callers may give
    /// their own.
    pub fn arrival(text: &str) -> Option<Duration> {
        let ours = text.strip_prefix(BEGINNING).filter(|_| text.starts_with(OURS));
        let digits = ours.filter(|digits| digits.len() == 2 * TIME)?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
        let millis = is_hex.then(|| u64::from_str_radix(&digits[..TIME], 16).ok()).flatten()?;
        Some(Duration::from_millis(millis))
    }
}

impl Clone for RequestId {
    fn clone(&self) -> Self {
        // At once, and not byte by byte as the list itself does it.
        Self(SmallVec::from_slice(&self.0))
    }
}

impl Deref for RequestId {
    type Target = str;

    fn deref(&self) -> &str {
        // It was made of a text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<&str> for RequestId {
    fn from(text: &str) -> Self {
        Self(SmallVec::from_slice(text.as_bytes()))
    }
}

impl From<String> for RequestId {
    fn from(text: String) -> Self {
        Self::from(&*text)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_text_that_it_was_made_of(text in any::<String>()) {
            let id = RequestId::from(&*text);
            prop_assert_eq!((&*id, id.to_string(), format!("{id:?}")), (&*text, text.clone(), format!("{text:?}")));
        }

        #[test]
        fn a_name_that_we_give_says_when_its_request_came(millis in 0_u64..1 << 44, chance: u64) {
            let came = Duration::from_millis(millis);
            let id = RequestId::given(came + Duration::from_micros(999), chance);
            prop_assert_eq!(RequestId::arrival(&id), Some(came));
            prop_assert!(id <= RequestId::given(came, u64::MAX));
            prop_assert!(!id.0.spilled());
        }
    }

    #[test]
    fn names_that_callers_give_say_nothing_of_the_time() {
        for name in [
            "",
            "a",
            "req_1",
            "req_zzzzzzzzzzzzzzzzzzzzzzzz",
            "req_65f1c0ffee00a203725dbf31",
            "req_01A203725DBF31E703A03746",
            "req_011CSHoEeqs5C35K2UUqR7Fy",
        ] {
            assert_eq!(RequestId::arrival(name), None, "{name}");
            assert_eq!(RequestId::may_be_callers(name), !name.starts_with("req_0"), "{name}");
        }
        assert!(RequestId::may_be_callers("req_01a203725dbf31e703a03746"));
    }
}
