//! A JSON text, whole or cut, without what must not be written down. It is walked token by token and no tree is built,
//! so that what was cut off anywhere is redacted as well as what is whole: every text within it is unescaped, looked
//! through and escaped again, members' names included; everything else stays as it was written, but for the blanks
//! between.
//!
//! Left out are things in which nothing could be found: base64, long lists of numbers, and the probabilities of tokens,
//! which say a text again in pieces.

use super::redact::{self, Label};
use crate::config::Redact;

/// Members that say a text again, token by token.
const PIECES: [&str; 7] = [
    "logprobs",
    "logprobsResult",
    "logprobs_result",
    "prompt_logprobs",
    "token_ids",
    "prompt_token_ids",
    "top_logprobs",
];
/// Padding of streams, which says nothing.
const PADDING: &str = "obfuscation";
/// Numbers that one list may have: vectors have hundreds, and prompts may be lists of tokens.
const MOST_NUMBERS: usize = 16;
/// Characters of a telephone's number, at least.
const SHORTEST_NUMBER: usize = 7;
/// Characters from which on base64 is left out.
const LONG_BASE64: usize = 256;
/// Objects and lists within each other.
const DEEPEST: usize = 128;

/// `text` without what is to be struck out; `None` where it is no JSON, as far as it goes.
pub fn clean(text: &str, what: &Redact) -> Option<String> {
    if !text.trim_start().starts_with(['{', '[', '"']) {
        return None;
    }
    let mut walk = Walk { text, at: 0, out: String::with_capacity(text.len()), what, open: Vec::new() };
    walk.all().then_some(walk.out)
}

/// What stands for a text that nothing could be found in; `None` for one that is looked through.
pub fn left_out(text: &str) -> Option<String> {
    let content = match text.strip_prefix("data:").and_then(|rest| rest.split_once(',')) {
        Some((head, content)) if head.ends_with(";base64") => content,
        _ => text,
    };
    let is_base64 = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=' | b'\r' | b'\n')
    };
    let is_long = content.len() >= LONG_BASE64 && content.bytes().all(is_base64);
    is_long.then(|| format!("[{} characters of base64]", content.len()))
}

/// Whether what stands under this name says a text again in pieces, or nothing.
pub fn is_left_out(member: &str) -> bool {
    PIECES.contains(&member) || member == PADDING
}

/// What a value is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Object,
    Array,
}

/// What may come now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// A comma, a colon, or the end of what is open.
    Separator,
}

struct Walk<'t, 'w> {
    text: &'t str,
    at: usize,
    out: String,
    what: &'w Redact,
    open: Vec<Open>,
}

impl Walk<'_, '_> {
    /// Whether all of it was JSON. What stands between values is copied, and must not be more than that.
    fn all(&mut self) -> bool {
        // The name of the member whose value comes next.
        let mut member: Option<String> = None;
        let mut next = Next::Value;
        while let Some(byte) = self.byte() {
            // A capture is one line.
            if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                self.at += 1;
                continue;
            }
            match (byte, next) {
                (b',' | b':', _) => {
                    self.copy(1);
                    next = Next::Value;
                    if byte == b',' {
                        member = None;
                    }
                    continue;
                }
                (b'}' | b']', _) => {
                    self.open.pop();
                    self.copy(1);
                }
                (_, Next::Separator) => return false,
                (b'"', Next::Value) => {
                    let text = self.string();
                    if self.names_a_member() {
                        self.write(&redact::clean(&text, self.what));
                        member = Some(text);
                        next = Next::Separator;
                        continue;
                    }
                    self.value(member.as_deref(), &text);
                }
                (_, Next::Value) if member.as_deref().is_some_and(is_left_out) => {
                    self.skip();
                    self.out.push_str("\"[left out]\"");
                }
                (b'[', Next::Value) if self.left_out_numbers() => {}
                (b'{' | b'[', Next::Value) => {
                    if self.open.len() >= DEEPEST {
                        return false;
                    }
                    self.open.push(if byte == b'{' { Open::Object } else { Open::Array });
                    self.copy(1);
                    member = None;
                    continue;
                }
                (b'-' | b'0'..=b'9', Next::Value) => {
                    if !self.number() {
                        return false;
                    }
                }
                (_, Next::Value) => {
                    if !self.word() {
                        return false;
                    }
                }
            }
            member = None;
            next = Next::Separator;
        }
        true
    }

    /// Steps over `true`, `false` or `null`, the last of which may be cut; whether one is there.
    fn word(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let fits = |word: &&str| rest.starts_with(word) || word.starts_with(rest);
        let word = ["true", "false", "null"].into_iter().find(fits);
        if let Some(word) = word {
            self.copy(word.len().min(rest.len()));
        }
        word.is_some()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn copy(&mut self, length: usize) {
        self.out.push_str(&self.text[self.at..self.at + length]);
        self.at += length;
    }

    /// The text that begins here, unescaped; what cannot be is taken as it is written.
    fn string(&mut self) -> String {
        let begin = self.at + 1;
        let mut end = begin;
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(end) {
            match byte {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        // An escape at the end may be cut, in the middle of a character.
        let end = self.text.floor_char_boundary(end.min(self.text.len()));
        self.at = (end + 1).min(self.text.len());
        let raw = &self.text[begin..end];
        if raw.contains('\\') {
            serde_json::from_str(&format!("\"{raw}\"")).unwrap_or_else(|_| raw.to_owned())
        } else {
            raw.to_owned()
        }
    }

    /// Whether the text before this was a member's name.
    fn names_a_member(&self) -> bool {
        self.open.last() == Some(&Open::Object) && self.text[self.at..].trim_start().starts_with(':')
    }

    fn value(&mut self, member: Option<&str>, text: &str) {
        match member {
            Some(member) if is_left_out(member) => self.write("[left out]"),
            Some(member) if self.what.keys && redact::is_secret_member(member) => {
                self.write(Label::Key.text());
            }
            _ => match left_out(text) {
                Some(instead) => self.write(&instead),
                None => self.write(&redact::clean(text, self.what)),
            },
        }
    }

    fn write(&mut self, text: &str) {
        // A text is always JSON.
        self.out.push_str(&serde_json::to_string(text).unwrap_or_default());
    }

    /// Takes the number that begins here; whether it is one.
    fn number(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !is_of_a_number(c));
        let number = &rest[..end.unwrap_or(rest.len())];
        // The last one may be cut.
        if end.is_some() && number.parse::<f64>().is_err() {
            return false;
        }
        // Most are too short to be anybody's.
        if number.len() < SHORTEST_NUMBER && self.what.patterns.is_empty() {
            self.copy(number.len());
            return true;
        }
        // A fraction is no card's number.
        let what =
            Redact { cards: self.what.cards && !number.contains(['.', 'e', 'E']), ..self.what.clone() };
        match redact::find(number, &what).first() {
            Some(found) => self.write(found.label.text()),
            None => self.out.push_str(number),
        }
        self.at += number.len();
        true
    }

    /// Leaves out a list of many numbers that begins here.
    fn left_out_numbers(&mut self) -> bool {
        let rest = &self.text[self.at + 1..];
        let end = rest.find(|c: char| !(is_of_a_number(c) || c == ',' || c.is_ascii_whitespace()));
        let (end, closed) = match end {
            Some(end) if rest[end..].starts_with(']') => (end, 1),
            Some(_) => return false,
            None => (rest.len(), 0),
        };
        let numbers = rest[..end].split(',').count();
        if numbers <= MOST_NUMBERS {
            return false;
        }
        self.write(&format!("[{numbers} numbers]"));
        self.at += 1 + end + closed;
        true
    }

    /// Steps over the value that begins here.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.byte() {
            match byte {
                b'"' => {
                    self.string();
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' | b',' if depth == 0 => return,
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                _ => self.at += self.text[self.at..].chars().next().map_or(1, char::len_utf8),
            }
            if depth == 0 && matches!(byte, b'}' | b']') {
                return;
            }
        }
    }
}

fn is_of_a_number(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Redact = Redact { keys: true, email: true, cards: true, phone: true, patterns: Vec::new() };

    fn check(text: &str, cleaned: Option<&str>) {
        assert_eq!(clean(text, &ALL).as_deref(), cleaned, "{text}");
    }

    #[test]
    fn texts_are_redacted_and_all_else_stays_as_it_was_written() {
        let plain = r#"{"model":"m","n":1.50,"stop":[],"a":[true,false,null,"é\n"],"o":{}}"#;
        check(plain, Some(plain));
        check("\r\n{\t\"a\" : \n[1 , 2]}\n", Some(r#"{"a":[1,2]}"#));
        check(r#"{"a":"x \u0034111 1111 1111 1111"}"#, Some(r#"{"a":"x [CARD]"}"#));
        check(r#"{"ada@example.com":["ada@example.com"]}"#, Some(r#"{"[EMAIL]":["[EMAIL]"]}"#));
        check(
            r#"{"arguments":"{\"n\":\"\\u0034111-1111-1111-1111\"}"}"#,
            Some(r#"{"arguments":"{\"n\":\"[CARD]\"}"}"#),
        );
        check("[4111111111111111,0.4111111111111111]", Some(r#"["[CARD]",0.4111111111111111]"#));
        check(r#"{"password": "a", "token":"a"}"#, Some(r#"{"password":"[KEY]","token":"a"}"#));
    }

    #[test]
    fn what_nothing_can_be_found_in_is_left_out() {
        let vector = format!("[{}]", vec!["1"; 17].join(", "));
        check(&format!(r#"{{"v":{vector},"w":[1,2]}}"#), Some(r#"{"v":"[17 numbers]","w":[1,2]}"#));
        let picture = "QUJD".repeat(100);
        check(&format!(r#"["data:image/png;base64,{picture}"]"#), Some(r#"["[400 characters of base64]"]"#));
        check(
            r#"{"logprobs":{"content":[{"token":"4111"}]},"b":1}"#,
            Some(r#"{"logprobs":"[left out]","b":1}"#),
        );
        check(r#"{"logprobs":true}"#, Some(r#"{"logprobs":"[left out]"}"#));
    }

    #[test]
    fn what_is_cut_is_redacted_as_far_as_it_goes() {
        check(r#"{"a":["ada@example.com", "4111 1111 1111 1111"#, Some(r#"{"a":["[EMAIL]","[CARD]""#));
        check(r#"{"a":tr"#, Some(r#"{"a":tr"#));
        check(r#"{"a":"x\u00"#, Some(r#"{"a":"x\\u00""#));
        check(r#"{"logprobs":{"a":"#, Some(r#"{"logprobs":"[left out]""#));
    }

    #[test]
    fn what_is_no_json_is_not_taken_for_any() {
        for text in [
            "{ my card is 4111 }",
            "hello",
            "",
            "{\"a\": x4111}",
            "[1] and 2 é",
            "[4111 - 1111 1111]",
            "[\"4111\" \"1111\"]",
        ] {
            check(text, None);
        }
    }
}
