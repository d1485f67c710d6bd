//! A walk over JSON bytes that builds nothing.
//!
//! The caller says at each member what he wants of it; everything else is checked and skipped. The
//! grammar is RFC 8259's, strictly. Not here: UTF-8 (one pass over the whole body does that faster)
//! and the pairing of `\u` surrogates (only a text that is decoded has to be sound there).

mod base64;

use std::borrow::Cow;
use std::ops::Range;

pub(super) use base64::{LONG, Media};

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

impl<'a> Text<'a> {
    /// Equal to `plain` once decoded: `"mod\u0065l"` is the key `model` for whoever parses it later.
    pub fn is(&self, plain: &str) -> bool {
        if self.escaped {
            self.decode().is_some_and(|text| text == plain)
        } else {
            self.raw == plain.as_bytes()
        }
    }

    /// The text for good; `None` as with [`Text::decode`].
    pub fn into_str(self) -> Option<Cow<'a, str>> {
        if self.escaped {
            self.decode().map(|text| Cow::Owned(text.into_owned()))
        } else {
            std::str::from_utf8(self.raw).ok().map(Cow::Borrowed)
        }
    }

    /// The text for good, U+FFFD in the place of each half of a surrogate pair; `None` when it is not UTF-8.
    pub fn into_lossy(self) -> Option<Cow<'a, str>> {
        let halved = self.escaped.then_some(self.raw);
        self.into_str().or_else(|| lossy(halved?).map(Cow::Owned))
    }

    /// The text as bytes, for a `match` of several keys. What cannot be decoded stays as it stands.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self.escaped.then(|| self.decode()).flatten() {
            Some(text) => Cow::Owned(text.into_owned().into_bytes()),
            None => Cow::Borrowed(self.raw),
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

/// A text with escapes, of which some are half a character (RFC 8259, section 8.2): what JavaScript and UTF-8 make of
/// them. `None` when it is not UTF-8.
fn lossy(raw: &[u8]) -> Option<String> {
    let mut rest = std::str::from_utf8(raw).ok()?;
    let mut text = String::with_capacity(rest.len());
    let mut units: Vec<u16> = Vec::new();
    let end = |units: &mut Vec<u16>, text: &mut String| {
        text.extend(
            char::decode_utf16(units.drain(..)).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)),
        );
    };
    while let Some((plain, escape)) = rest.split_once('\\') {
        if !plain.is_empty() {
            end(&mut units, &mut text);
            text.push_str(plain);
        }
        let unit = escape.strip_prefix('u').and_then(|digits| u16::from_str_radix(digits.get(..4)?, 16).ok());
        if let Some(unit) = unit {
            units.push(unit);
            rest = escape.get(5..)?;
            continue;
        }
        end(&mut units, &mut text);
        text.push(match escape.bytes().next()? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            itself => itself.into(),
        });
        rest = escape.get(1..)?;
    }
    end(&mut units, &mut text);
    text.push_str(rest);
    Some(text)
}

/// A position in a text, always in front of the next token.
pub(super) struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u8,
    values: usize,
    media: Media,
}

impl<'a> Walker<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0, values: 1, media: Media::default() }
    }

    /// The offset of the next token.
    pub fn offset(&mut self) -> usize {
        self.blank();
        self.at
    }

    /// The offset behind the last token.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Where the key stands whose value is next, quotes included.
    pub fn place_of(&self, key: &Text<'_>) -> Range<usize> {
        let before = self.bytes.get(..self.at).unwrap_or_default().trim_ascii_end();
        let end = before.strip_suffix(b":").unwrap_or(before).trim_ascii_end().len();
        end.saturating_sub(key.raw.len() + 2)..end
    }

    /// How many values it has come to: the whole, and each element and member.
    pub fn values(&self) -> usize {
        self.values
    }

    /// What looks like media among the strings so far.
    pub fn media(&self) -> Media {
        self.media
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
                self.values += 1;
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

    /// Walks an object like [`Walker::object`]; any other value is taken as well. Was it an object?
    pub fn if_object(&mut self, member: impl FnMut(&mut Self, &Text<'a>) -> Walked) -> Walked<bool> {
        if self.kind()? == Kind::Object {
            self.object(member).map(|_| true)
        } else {
            self.skip().map(|_| false)
        }
    }

    /// Walks an array; `element` has to take each value.
    pub fn array(&mut self, mut element: impl FnMut(&mut Self) -> Walked) -> Walked {
        self.open(b'[', "an array")?;
        if !self.next_is(b']') {
            loop {
                self.values += 1;
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
                    self.media.see(raw);
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

    /// Takes any value; its number when it is one without sign, fraction and exponent.
    pub fn integer(&mut self) -> Walked<Option<u64>> {
        let (_, span) = self.value()?;
        Ok(std::str::from_utf8(self.slice(span)).ok().and_then(|text| text.parse().ok()))
    }

    /// Takes any value; the count when it is one. Some vendors compute theirs in floating point, and JSON that is made
    /// of protocol buffers has 64-bit numbers in quotes.
    pub fn count(&mut self) -> Walked<Option<u64>> {
        let (kind, span) = self.value()?;
        if !matches!(kind, Kind::Number | Kind::String) {
            return Ok(None);
        }
        let text = std::str::from_utf8(self.slice(span)).unwrap_or_default().trim_matches('"');
        let rounded = || text.parse().ok().filter(|count: &f64| count.is_finite() && *count >= 0.0);
        Ok(text.parse().ok().or_else(|| rounded().map(|count| count as u64)))
    }

    /// Takes exactly these bytes, whatever they are; `false` when others come.
    pub fn passes(&mut self, bytes: &[u8]) -> bool {
        let passes = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(bytes));
        if passes {
            self.at += bytes.len();
        }
        passes
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

/// How many bytes go by before a quote, a backslash or a control character. Word by word at first, as
/// most runs are short: keys, and prompts full of line breaks and quotes.
#[inline]
fn plain(bytes: &[u8]) -> usize {
    /// Where blocks begin to pay.
    const SHORT: usize = 4;
    let mut at = 0;
    for _ in 0..SHORT {
        let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) else { break };
        let hits = special(*word);
        if hits != 0 {
            return at + place(hits);
        }
        at += WORD;
    }
    at + plain_in_blocks(bytes.get(at..).unwrap_or_default())
}

/// The same for a long run, in blocks that the compiler puts into vector registers. Apart, so that
/// short runs do not have to set these up.
#[inline(never)]
fn plain_in_blocks(bytes: &[u8]) -> usize {
    /// In a block: a line of the cache.
    const WORDS: usize = 8;
    let (words, rest) = bytes.as_chunks();
    let (blocks, last) = words.as_chunks::<WORDS>();
    let free = |block: &[[u8; WORD]; WORDS]| block.iter().fold(0, |hits, word| hits | special(*word)) == 0;
    let free = blocks.iter().take_while(|block| free(block)).count();
    let mut at = free * WORDS * WORD;
    for word in blocks.get(free).map_or(last, |block| block) {
        let hits = special(*word);
        if hits != 0 {
            return at + place(hits);
        }
        at += WORD;
    }
    let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    at + stop.unwrap_or(rest.len())
}

const WORD: usize = 8;

/// The high bit of each special byte, by the carries of a subtraction (Anderson, "Bit Twiddling
/// Hacks", "Determine if a word has a byte less than n"). Bytes above the lowest one may be marked
/// wrongly; the lowest never is.
fn special(word: [u8; WORD]) -> u64 {
    const ONES: u64 = u64::from_le_bytes([0x01; WORD]);
    const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; WORD]);
    let word = u64::from_le_bytes(word);
    // This bit moves the quote, 0x22, next to the control characters, and the space away from them.
    let flipped = word ^ (ONES * 0x02);
    let backslash = word ^ BACKSLASHES;
    (flipped.wrapping_sub(ONES * 0x21) | backslash.wrapping_sub(ONES)) & !word & (ONES << 7)
}

fn place(hits: u64) -> usize {
    (hits.trailing_zeros() / 8) as usize
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

    #[test]
    fn a_count_is_any_number_that_is_not_negative_also_in_quotes() {
        for (text, count) in [
            ("7", Some(7)),
            ("5.0", Some(5)),
            ("2e2", Some(200)),
            ("-0", Some(0)),
            ("-1", None),
            ("18446744073709551616", Some(u64::MAX)),
            ("1e999", None),
            ("null", None),
            ("\"7\"", Some(7)),
            ("\"7 tokens\"", None),
            ("\"\"", None),
            ("[7]", None),
        ] {
            assert_eq!(Walker::new(text.as_bytes()).count().expect(text), count, "{text}");
        }
        let integer = |text: &str| Walker::new(text.as_bytes()).integer().expect("a value");
        assert_eq!(
            [integer("7"), integer("7.0"), integer("-7"), integer("\"7\"")],
            [Some(7), None, None, None]
        );
    }

    proptest! {
        #[test]
        fn plain_text_ends_at_the_first_special_byte(
            run in proptest::collection::vec(
                any::<u8>().prop_filter("plain", |byte| !matches!(byte, b'"' | b'\\' | 0..0x20)), 0..250),
            rest in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), 0u8..0x30], 0..20))
        {
            let bytes = [run, rest].concat();
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
