//! A text as whoever looks for something in it should see it: digits, spaces and dashes of other alphabets as ASCII's,
//! what has no width left out, and, if that is asked for, escapes undone, however often they were escaped. It knows
//! where everything that it shows stands in the original.

use std::borrow::Cow;
use std::ops::Range;

/// What is done with `\u0034`, `\"` and `%40`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escapes {
    Kept,
    Undone,
}

pub struct View<'t> {
    text: Cow<'t, str>,
    /// One for each character that is shown; none where the text is shown as it is.
    units: Vec<Unit>,
}

/// Where a character stands, in bytes.
struct Unit {
    shown: usize,
    original: Range<usize>,
}

impl<'t> View<'t> {
    pub fn of(text: &'t str, escapes: Escapes) -> Self {
        let has_escapes = escapes == Escapes::Undone && has_escapes(text);
        if text.is_ascii() && !has_escapes {
            return Self { text: Cow::Borrowed(text), units: Vec::new() };
        }
        let (mut shown, mut units) = (String::with_capacity(text.len()), Vec::new());
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let (c, length) = Some(at)
                .filter(|_| has_escapes)
                .and_then(|at| undone(&text[at..]))
                .unwrap_or((c, c.len_utf8()));
            if let Some(c) = folded(c) {
                units.push(Unit { shown: shown.len(), original: at..at + length });
                shown.push(c);
            }
            at += length;
        }
        Self { text: Cow::Owned(shown), units }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where in the original that stands which is shown there.
    pub fn original(&self, shown: Range<usize>) -> Range<usize> {
        if self.units.is_empty() {
            return shown;
        }
        let first = self.units.partition_point(|unit| unit.shown < shown.start);
        let last = self.units.partition_point(|unit| unit.shown < shown.end);
        let first = self.units.get(first).map_or(0, |unit| unit.original.start);
        let last = last.checked_sub(1).and_then(|last| self.units.get(last));
        first..last.map_or(first, |unit| unit.original.end)
    }
}

/// Whether the two views of a text may differ.
pub fn has_escapes(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, b'\\' | b'%'))
}

/// The character that an escape at the beginning of `text` stands for, and how long the escape is.
fn undone(text: &str) -> Option<(char, usize)> {
    if let Some(rest) = text.strip_prefix('%') {
        let byte = hex(rest.get(..2)?)?;
        return u8::try_from(byte).ok().filter(u8::is_ascii).map(|byte| (char::from(byte), 3));
    }
    let rest = text.trim_start_matches('\\');
    let slashes = text.len() - rest.len();
    if slashes == 0 {
        return None;
    }
    let c = match rest.chars().next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        c @ ('"' | '/' | '\'') => c,
        'u' => return utf16(rest).map(|(c, length)| (c, slashes + length)),
        'x' => {
            let c = hex(rest.get(1..3)?).and_then(char::from_u32)?;
            return Some((c, slashes + 3));
        }
        _ => return None,
    };
    Some((c, slashes + 1))
}

/// `u0034`, or two halves of one character with backslashes between them.
fn utf16(text: &str) -> Option<(char, usize)> {
    let first = hex(text.get(1..5)?)?;
    if let Some(c) = char::from_u32(first) {
        return Some((c, 5));
    }
    let rest = &text[5..];
    let second = rest.trim_start_matches('\\');
    let slashes = rest.len() - second.len();
    let low = (slashes > 0 && second.starts_with('u')).then(|| hex(second.get(1..5)?)).flatten();
    let both = low.map(|low| [first as u16, low as u16]);
    let whole = both.and_then(|both| char::decode_utf16(both).next()?.ok());
    Some(whole.map_or((char::REPLACEMENT_CHARACTER, 5), |c| (c, 5 + slashes + 5)))
}

fn hex(digits: &str) -> Option<u32> {
    let all = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    all.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// What a character looks like, or means; `None` for one that nobody sees.
fn folded(c: char) -> Option<char> {
    if c.is_ascii() {
        return Some(c);
    }
    let digit = |first: u32| char::from_digit((c as u32).saturating_sub(first) % 10, 10);
    match c {
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => None,
        '\u{660}'..='\u{669}' => digit(0x660),
        '\u{6f0}'..='\u{6f9}' => digit(0x6f0),
        '\u{966}'..='\u{96f}' => digit(0x966),
        '\u{1d7ce}'..='\u{1d7ff}' => digit(0x1d7ce),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xff01 + 0x21),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => Some('-'),
        _ if c.is_whitespace() => Some(' '),
        _ => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, escapes: Escapes, shown: &str) {
        let view = View::of(text, escapes);
        assert_eq!(view.text(), shown, "{text}");
        let whole = view.original(0..view.text().len());
        assert!(view.text().is_empty() || whole == (0..text.len()), "{text}: {whole:?}");
    }

    #[test]
    fn digits_of_other_alphabets_are_digits() {
        check("\u{ff14}\u{ff11}\u{2011}\u{664}\u{6f1}\u{a0}\u{967}\u{1d7d9}", Escapes::Kept, "41-41 11");
        check("4\u{200b}1", Escapes::Kept, "41");
    }

    #[test]
    fn escapes_are_undone_however_often_they_were_made() {
        check(r"\u0034\\u0031\\\\u0031%31", Escapes::Undone, "4111");
        check(r"a\nb\\\/c\x40d", Escapes::Undone, "a\nb/c@d");
        check(r"\ud83d\ude00\\ud83d\\ude00", Escapes::Undone, "\u{1f600}\u{1f600}");
        check(r"\ud83d", Escapes::Undone, "\u{fffd}");
        for text in [r"C:\dir 100% %zz %ff \u12", r"\", "%", r"\x4"] {
            check(text, Escapes::Undone, text);
        }
        check(r"\u0034", Escapes::Kept, r"\u0034");
    }

    #[test]
    fn a_place_in_the_view_is_a_place_in_the_text() {
        let text = "é \\u0034\u{200b}1 x";
        let view = View::of(text, Escapes::Undone);
        assert_eq!(view.text(), "é 41 x");
        let at = view.text().find("41").expect("it is shown");
        assert_eq!(&text[view.original(at..at + 2)], "\\u0034\u{200b}1");
        assert_eq!(view.original(0..0), 0..0);
    }
}
