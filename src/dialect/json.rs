//! A walk over JSON bytes that builds nothing.
//!
//! The caller says at each member what he wants of it; everything else is checked and skipped. The
//! grammar is RFC 8259's, strictly. Not here: UTF-8 (one pass over the whole body does that faster)
//! and the pairing of `\u` surrogates (only a text that is decoded has to be sound there).

use std::borrow::Cow;
use std::ops::Range;

/// Deeper nesting is refused, so that hostile input cannot exhaust the stack. serde_json's own limit.
const MAX_DEPTH: u8 = 128;

/// Where the bytes stop being JSON, and what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub at: usize,
    pub expected: &'static str,
}

pub(super) type Walked<T = ()> = Result<T, Malformed>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// A string as it stands between its quotes.
#[derive(Clone, Debug)]
pub(super) struct Text<'a> {
    pub raw: &'a [u8],
    escaped: bool,
}

impl Text<'_> {
    /// Equal to `plain` once decoded: `"mod\u0065l"` is the key `model` for whoever parses it later.
    pub fn is(&self, plain: &str) -> bool {
        if self.escaped {
            self.decode().is_some_and(|text| text == plain)
        } else {
            self.raw == plain.as_bytes()
        }
    }

    /// The text; `None` when it is not UTF-8 or holds half a surrogate pair.
    pub fn decode(&self) -> Option<Cow<'_, str>> {
        if !self.escaped {
            return std::str::from_utf8(self.raw).ok().map(Cow::Borrowed);
        }
        let mut quoted = Vec::with_capacity(self.raw.len() + 2);
        quoted.push(b'"');
        quoted.extend_from_slice(self.raw);
        quoted.push(b'"');
        serde_json::from_slice(&quoted).ok().map(Cow::Owned)
    }
}

/// A position in a text, always in front of the next token.
pub(super) struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u8,
}

impl<'a> Walker<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    /// The offset of the next token.
    pub fn offset(&mut self) -> usize {
        self.blank();
        self.at
    }

    /// The kind of the next value.
    pub fn kind(&mut self) -> Walked<Kind> {
        self.blank();
        match self.peek() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't') => Ok(Kind::True),
            Some(b'f') => Ok(Kind::False),
            Some(b'n') => Ok(Kind::Null),
            _ => Err(self.expected("a value")),
        }
    }

    /// Walks an object; `member` has to take the value that belongs to each key. Returns the offset
    /// of the closing brace.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, &Text<'a>) -> Walked) -> Walked<usize> {
        self.open(b'{', "an object")?;
        if !self.next_is(b'}') {
            loop {
                let key = self.string()?;
                self.take(b':', "`:`")?;
                member(self, &key)?;
                if !self.next_is(b',') {
                    break;
                }
                self.at += 1;
            }
        }
        let end = self.at;
        self.close(b'}', "`,` or `}`")?;
        Ok(end)
    }

    /// Walks an array; `element` has to take each value.
    pub fn array(&mut self, mut element: impl FnMut(&mut Self) -> Walked) -> Walked {
        self.open(b'[', "an array")?;
        if !self.next_is(b']') {
            loop {
                element(self)?;
                if !self.next_is(b',') {
                    break;
                }
                self.at += 1;
            }
        }
        self.close(b']', "`,` or `]`")
    }

    pub fn string(&mut self) -> Walked<Text<'a>> {
        self.take(b'"', "a string")?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    let raw = self.bytes.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(Text { raw, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.expected("no control character in a string")),
                None => return Err(self.expected("the end of a string")),
            }
        }
    }

    /// Takes any value and says where it stood.
    pub fn value(&mut self) -> Walked<(Kind, Range<usize>)> {
        let start = self.offset();
        let kind = self.skip()?;
        Ok((kind, start..self.at))
    }

    /// Takes any value and says whether it holds anything: `null`, `""`, `[]` and `{}` do not.
    pub fn is_blank(&mut self) -> Walked<bool> {
        let (kind, span) = self.value()?;
        Ok(match kind {
            Kind::Null => true,
            Kind::String => span.len() == 2,
            Kind::Object | Kind::Array => {
                let inner = self.bytes.get(span.start + 1..span.end - 1).unwrap_or_default();
                inner.iter().all(u8::is_ascii_whitespace)
            }
            Kind::Number | Kind::True | Kind::False => false,
        })
    }

    /// Takes any value.
    pub fn skip(&mut self) -> Walked<Kind> {
        let kind = self.kind()?;
        match kind {
            Kind::Object => drop(self.object(|walker, _| walker.skip().map(drop))?),
            Kind::Array => self.array(|walker| walker.skip().map(drop))?,
            Kind::String => {
                self.string()?;
            }
            Kind::Number => self.number()?,
            Kind::True => self.word(b"true")?,
            Kind::False => self.word(b"false")?,
            Kind::Null => self.word(b"null")?,
        }
        Ok(kind)
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Walked {
        self.blank();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.expected("the end of the body")) }
    }

    pub fn slice(&self, span: Range<usize>) -> &'a [u8] {
        self.bytes.get(span).unwrap_or_default()
    }

    fn escape(&mut self) -> Walked {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 1..self.at + 5).unwrap_or_default();
                if digits.len() != 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(self.expected("four hexadecimal digits"));
                }
                self.at += 5;
            }
            _ => return Err(self.expected("an escape")),
        }
        Ok(())
    }

    fn number(&mut self) -> Walked {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Walked {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn word(&mut self, word: &'static [u8]) -> Walked {
        if self.bytes.get(self.at..).unwrap_or_default().starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.expected("a value"))
        }
    }

    fn open(&mut self, bracket: u8, expected: &'static str) -> Walked {
        if self.depth == MAX_DEPTH {
            return Err(self.expected("at most 128 levels of nesting"));
        }
        self.take(bracket, expected)?;
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, bracket: u8, expected: &'static str) -> Walked {
        self.take(bracket, expected)?;
        self.depth -= 1;
        Ok(())
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Walked {
        if self.next_is(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.expected(expected))
        }
    }

    fn next_is(&mut self, byte: u8) -> bool {
        self.blank();
        self.peek() == Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn expected(&self, expected: &'static str) -> Malformed {
        Malformed { at: self.at, expected }
    }
}

/// How many bytes go by before a quote, a backslash or a control character. Eight at a time, by the
/// carries of a subtraction (Anderson, "Bit Twiddling Hacks", "Determine if a word has a byte less
/// than n"): prompts are full of short runs, where a call of `memchr` costs more than it saves.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let word = u64::from_le_bytes(word.try_into().expect("chunks of eight"));
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        // Bytes above the lowest hit may be marked wrongly; the lowest never is.
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let hits =
            (quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash) | control;
        let hits = hits & HIGHS;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = words.remainder();
    let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    at + stop.unwrap_or(rest.len())
}

/// Is this one whole JSON value and nothing else?
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let mut walker = Walker::new(bytes);
    walker.skip().and_then(|_| walker.end()).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_takes_what_serde_json_takes() {
        for text in [
            "{}",
            "[]",
            " [ 1 , -0.5e+3, true,false , null ] ",
            r#"{"a":{"b":[{}]},"c":"\"\u00e9\\"}"#,
            "0",
            r#""""#,
            "",
            "{",
            "[1,]",
            r#"{"a":1,}"#,
            "01",
            "-",
            "1.",
            "1e",
            "tru",
            "nul",
            "{1:2}",
            r#"{"a" 1}"#,
            "\"\u{1}\"",
            r#""\x""#,
            r#""\u12g4""#,
            "[1 2]",
            "[] []",
            "]",
        ] {
            let ours = is_whole(text.as_bytes());
            assert_eq!(ours, serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn nesting_stops_at_the_limit() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_whole(nested(128).as_bytes()));
        assert!(!is_whole(nested(129).as_bytes()));
        assert!(!is_whole("[".repeat(1_000_000).as_bytes()));
    }

    #[test]
    fn an_escaped_key_is_the_key_that_it_spells() {
        let mut found = false;
        let mut walker = Walker::new(br#"{"mod\u0065l":1}"#);
        walker
            .object(|walker, key| {
                found = key.is("model");
                walker.skip().map(drop)
            })
            .expect("an object");
        assert!(found);
    }

    proptest! {
        #[test]
        fn plain_text_ends_at_the_first_special_byte(
            bytes in proptest::collection::vec(prop_oneof![6 => 0x1eu8..=0xff, 1 => any::<u8>()], 0..40))
        {
            let stop = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(plain(&bytes), stop.unwrap_or(bytes.len()));
        }

        #[test]
        fn any_bytes_are_answered_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let ours = is_whole(&bytes);
            // Stricter we are nowhere: serde_json also checks UTF-8 and surrogates, we do not.
            if serde_json::from_slice::<&serde_json::value::RawValue>(&bytes).is_ok() {
                prop_assert!(ours);
            }
        }

        #[test]
        fn any_soup_of_json_tokens_is_judged_as_by_serde_json(tokens in proptest::collection::vec(
            prop_oneof![Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\"a\""),
                Just("1"), Just("null"), Just(" "), Just("-2.5E1")], 0..12))
        {
            let text = tokens.concat();
            prop_assert_eq!(is_whole(text.as_bytes()),
                serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        }
    }
}
