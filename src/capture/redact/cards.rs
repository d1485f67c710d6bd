//! Numbers of payment cards: 13 to 19 digits (ISO/IEC 7812) whose last one checks the others (Luhn), written together
//! or in groups.

use std::ops::Range;

const LEAST: usize = 13;
const MOST: usize = 19;
/// Characters between two groups, at most.
const WIDEST: usize = 3;
/// First digits of cards; others are of airlines, or times since 1970.
const FIRST: [u8; 7] = [2, 3, 4, 5, 6, 8, 9];

/// Digits that stand together.
struct Group {
    at: Range<usize>,
    /// How many digits stand before it in its run, and how many with it.
    digits: Range<usize>,
}

/// Where numbers of cards stand in `text`.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut groups, mut digits): (Vec<Group>, Vec<u8>) = (Vec::new(), Vec::new());
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(begin) = bytes[at..].iter().position(u8::is_ascii_digit).map(|skipped| at + skipped) {
        if groups.last().is_some_and(|last| !is_gap(&bytes[last.at.end..begin])) {
            among(&groups, &digits, &mut found);
            groups.clear();
            digits.clear();
        }
        let length = bytes[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let before = digits.len();
        digits.extend(bytes[begin..begin + length].iter().map(|byte| byte - b'0'));
        groups.push(Group { at: begin..begin + length, digits: before..digits.len() });
        at = begin + length;
    }
    among(&groups, &digits, &mut found);
    found
}

/// Whether groups with this between them may belong together.
fn is_gap(between: &[u8]) -> bool {
    let joins = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'-' | b'.' | b'_' | b'/');
    between.len() <= WIDEST && between.iter().all(joins)
}

/// Finds the numbers in a run of groups: each of the longest that begin and end with a group.
fn among(groups: &[Group], digits: &[u8], found: &mut Vec<Range<usize>>) {
    for (first, begin) in groups.iter().enumerate() {
        let fits = |end: &&Group| {
            let number = digits.get(begin.digits.start..end.digits.end).unwrap_or_default();
            (LEAST..=MOST).contains(&number.len()) && FIRST.contains(&number[0]) && is_checked(number)
        };
        // More groups than digits of a card are none.
        let last = groups[first..].iter().take(MOST).rfind(fits);
        found.extend(last.map(|last| begin.at.start..last.at.end));
    }
}

/// Whether the last digit is what the others make it.
pub fn is_checked(number: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let digits = number.iter().rev().enumerate();
    let sum: u32 =
        digits.map(|(at, digit)| u32::from(if at % 2 == 1 { doubled(*digit) } else { *digit })).sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = find(text).into_iter().map(|at| &text[at]).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn cards_are_found_however_they_are_written() {
        check("my card is 4111111111111111.", &["4111111111111111"]);
        check("4111 1111 1111 1111", &["4111 1111 1111 1111"]);
        check("378282246310005 and 3782-822463-10005", &["378282246310005", "3782-822463-10005"]);
        check("5555.5555.5555.4444, 2223 0031 2200 3222", &["5555.5555.5555.4444", "2223 0031 2200 3222"]);
        check("no 7: 4111 1111\n1111 1111 (12/29)", &["4111 1111\n1111 1111"]);
        check("paid 5 4111 1111 1111 1111 and 3", &["4111 1111 1111 1111"]);
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for text in
            ["4111 1111 1111 1112", "1763791234567", "411111111111", "41111111111111111111111", "12:30", ""]
        {
            check(text, &[]);
        }
    }
}
