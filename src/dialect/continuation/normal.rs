//! Texts as somebody repeats them who does not copy: other white space, other quotes, other markup.
//!
//! A normal form that is never shown: it only tells where a repetition ends.

/// What one character is for the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// White space, however much.
    Space,
    Char(char),
}

/// How a repetition compares with what should be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aligned {
    /// All of it is there and ends at this byte.
    Whole(usize),
    /// It has begun, and nothing contradicts so far.
    Begun,
    Not,
}

/// Characters that mark text up and may come and go.
pub fn is_markup(char: char) -> bool {
    matches!(char, '*' | '_' | '`' | '#' | '~')
}

fn unit(char: char) -> Option<Unit> {
    match char {
        char if is_markup(char) => None,
        char if char.is_whitespace() => Some(Unit::Space),
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{2032}' => Some(Unit::Char('\'')),
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' | '\u{2033}' => Some(Unit::Char('"')),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some(Unit::Char('-')),
        char => Some(Unit::Char(char)),
    }
}

/// The units of a text with the byte behind each, runs of space being one.
fn units(text: &str) -> impl Iterator<Item = (Unit, usize)> {
    let mut spaced = false;
    text.char_indices().filter_map(move |(at, char)| {
        let unit = unit(char)?;
        let again = spaced && unit == Unit::Space;
        spaced = unit == Unit::Space;
        (!again).then_some((unit, at + char.len_utf8()))
    })
}

/// Whether `text` begins with `wanted`, and where that ends.
pub fn align(text: &str, wanted: &str) -> Aligned {
    let mut theirs = units(text);
    let mut end = 0;
    for (unit, _) in units(wanted) {
        match theirs.next() {
            None => return Aligned::Begun,
            Some((other, at)) if other == unit => end = at,
            Some(_) => return Aligned::Not,
        }
    }
    Aligned::Whole(end)
}

/// The normal form of a text.
pub fn normal(text: &str) -> String {
    let word = |unit| match unit {
        Unit::Space => ' ',
        Unit::Char(char) => char,
    };
    units(text).map(|(unit, _)| word(unit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_quotes_and_markup_do_not_matter() {
        let check = |text: &str, wanted: &str, aligned| assert_eq!(align(text, wanted), aligned, "{text}");
        check("a  b\nc rest", "a b c", Aligned::Whole(6));
        check("“a” **b** rest", "\"a\" b", Aligned::Whole(11));
        check("a b", "a b c", Aligned::Begun);
        check("a c", "a b c", Aligned::Not);
        check("it\u{2019}s", "it's", Aligned::Whole(6));
        assert_eq!(normal(" a \n *b*"), " a b");
    }
}
