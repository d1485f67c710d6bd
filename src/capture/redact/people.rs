//! E-mail addresses and telephone numbers.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// Any word at any host; letters of any alphabet.
static EMAIL: LazyLock<Regex> =
    LazyLock::new(|| shape(r#"(?:"[^"\s]+"|[\w.!#$%&'*+/=?^`{|}~-]+)@(?:[\w-]+\.)+[\w-]{2,}"#));

/// From `+` on, with what people put between the digits; ITU-T E.164 has 15 of them at most.
static INTERNATIONAL: LazyLock<Regex> =
    LazyLock::new(|| shape(r"(?:\+|\b00)[ ]?[1-9](?:[ ().\-/]{0,3}[0-9]){6,14}"));

/// With the trunk prefix of most countries, together or in groups.
static NATIONAL: LazyLock<Regex> = LazyLock::new(|| shape(r"\(?\b0[1-9](?:[ ().\-/]{0,2}[0-9]){7,10}\b"));

/// Of North America: 3, 3 and 4 digits, apart.
static AMERICAN: LazyLock<Regex> = LazyLock::new(|| {
    shape(r"(?:\b1[ .\-])?(?:\([2-9][0-9]{2}\)[ ]?|\b[2-9][0-9]{2}[ .\-])[2-9][0-9]{2}[ .\-][0-9]{4}\b")
});

fn shape(text: &str) -> Regex {
    Regex::new(text).expect("the shapes are written here, and tested")
}

/// Where e-mail addresses stand in `text`.
pub fn emails(text: &str) -> Vec<Range<usize>> {
    // Of most texts nothing has to be looked at.
    if !text.contains('@') {
        return Vec::new();
    }
    EMAIL.find_iter(text).map(|found| found.range()).collect()
}

/// Where telephone numbers stand in `text`.
pub fn phones(text: &str) -> Vec<Range<usize>> {
    let shapes = [&*INTERNATIONAL, &*NATIONAL, &*AMERICAN];
    shapes.into_iter().flat_map(|shape| shape.find_iter(text)).map(|found| found.range()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(find: impl Fn(&str) -> Vec<Range<usize>>, text: &str, expected: &[&str]) {
        let mut found: Vec<&str> = find(text).into_iter().map(|at| &text[at]).collect();
        found.dedup();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn addresses_are_found_in_any_alphabet() {
        check(
            emails,
            "write to ada.lovelace+ai@mail.example.co.uk.",
            &["ada.lovelace+ai@mail.example.co.uk"],
        );
        check(emails, "<jürgen@müller.de>, 用户@例子.广告", &["jürgen@müller.de", "用户@例子.广告"]);
        check(emails, "\"ada l\"@x and @mention, a@b", &[]);
    }

    #[test]
    fn numbers_are_found_as_people_write_them() {
        for number in [
            "+14155552671",
            "+49 (0) 30 123456-78",
            "+44 20 7946 0958",
            "0044 20 7946 0958",
            "030 12345678",
            "0171/1234567",
            "01 23 45 67 89",
            "(555) 234-5678",
            "1-800-234-5678",
            "555.234.5678",
        ] {
            check(phones, &format!("call {number}, please"), &[number]);
        }
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for text in [
            "2026-11-22 08:00:00",
            "1763791234",
            "127.0.0.1",
            "v1.2.3",
            "12 + 7 = 19",
            "00000000",
            "0.123456789",
        ] {
            check(phones, text, &[]);
        }
    }
}
