//! Secrets as callers and models write them, and harmless words round them.

use std::fmt::Write;

use proptest::prelude::*;

use crate::capture::redact::Label;

/// Something that must not be kept.
#[derive(Clone, Debug)]
pub struct Secret {
    pub text: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Card,
    Email,
    Key,
    Pattern,
}

impl Secret {
    /// Whether `kept` says it, in whatever grouping.
    pub fn is_in(&self, kept: &str) -> bool {
        match self.kind {
            Kind::Card => digits(kept).contains(&digits(&self.text)),
            Kind::Email | Kind::Key | Kind::Pattern => kept.contains(&self.text),
        }
    }

    pub fn label(&self) -> &'static str {
        match self.kind {
            Kind::Card => Label::Card.text(),
            Kind::Email => Label::Email.text(),
            Kind::Key => Label::Key.text(),
            Kind::Pattern => Label::Pattern.text(),
        }
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

pub fn secret() -> impl Strategy<Value = Secret> {
    prop_oneof![card(), email(), key(), "ACME-[A-Z]{4}".prop_map(|text| Secret { text, kind: Kind::Pattern })]
}

/// 13 to 19 digits that Luhn's sum holds for, in groups of one size or another.
fn card() -> impl Strategy<Value = Secret> {
    let gap = prop_oneof![Just(""), Just(" "), Just("-"), Just("\u{a0}"), Just("\u{2011}"), Just(" - ")];
    ("[2-6][0-9]{11,17}", gap, 3_usize..6).prop_map(|(number, gap, size)| {
        let number: Vec<u8> = number.bytes().map(|digit| digit - b'0').collect();
        let last = (0..10).map(|last| [&*number, &[last]].concat());
        let number = last.into_iter().find(|number| super::super::redact::is_checked(number));
        let number: String =
            number.expect("one of ten fits").iter().map(|digit| char::from(digit + b'0')).collect();
        let groups: Vec<&str> =
            number.as_bytes().chunks(size).map(|group| std::str::from_utf8(group).expect("digits")).collect();
        Secret { text: groups.join(gap), kind: Kind::Card }
    })
}

fn email() -> impl Strategy<Value = Secret> {
    "[a-z][a-z0-9._+-]{0,12}[a-z0-9]@[a-z0-9]{1,10}(\\.[a-z]{2,8}){1,3}"
        .prop_map(|text| Secret { text, kind: Kind::Email })
}

fn key() -> impl Strategy<Value = Secret> {
    let shapes = prop_oneof![
        "ms-[A-Za-z0-9_-]{42}[a-z]",
        "sk-(ant-api03-|proj-|)[A-Za-z0-9_-]{20,60}[a-z]",
        "AIza[A-Za-z0-9_-]{34}[a-z]",
        "(gsk|hf|ghp)_[A-Za-z0-9]{30}",
        "xai-[A-Za-z0-9]{40}",
        "(AKIA|ASIA)[A-Z0-9]{16}",
        "eyJ[A-Za-z0-9_-]{20,60}\\.eyJ[A-Za-z0-9_-]{20,60}\\.[A-Za-z0-9_-]{20,43}[a-z]",
        "[a-f]{5}[0-9]{5}[a-f0-9]{22}",
    ];
    shapes.prop_map(|text| Secret { text, kind: Kind::Key })
}

/// Words that are nothing but words.
pub fn prose() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z]{1,9}",
        Just("no 7:".to_owned()),
        Just("\"quoted\"".to_owned()),
        Just("grüße, 世界".to_owned()),
        Just("100%".to_owned()),
        Just("a/b\\c".to_owned()),
        Just("😀".to_owned()),
    ];
    prop::collection::vec(word, 0..8).prop_map(|words| words.join(" "))
}

/// `text` as JSON has it between quotes, with some of its characters as `\u....` where `marks` say so.
pub fn escaped(text: &str, marks: &[bool]) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if marks[n % marks.len()] {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            let plain = serde_json::to_string(&c).expect("a character is JSON");
            out.push_str(&plain[1..plain.len() - 1]);
        }
    }
    out
}
