//! What stands in for things that this dialect cannot say.
//!
//! Between a request and its answer nothing is kept, so each stand-in is known by its own looks:
//!
//! - A tool named [`ANSWER`] stands for an answer of a given form, where the model knows no structured
//!   output: it has to be called, and its input is the answer's text.
//! - A tool whose name begins with [`CUSTOM`] stands for OpenAI's custom tool: its input is an object
//!   with one string, [`INPUT`], and that string is what the custom tool gets.
//! - A thinking block without text whose signature begins with [`OF_CALL`] carries the signature of a
//!   tool call (Gemini's), with the call's id: `mainstay-call:toolu_1:<sealed>`. Anthropic's callers send
//!   thinking blocks back as they are, Claude Code included, while they drop members of a tool call that
//!   they do not know; and an id of some kilobytes would not survive everywhere.

use crate::dialect::hub::{Family, Signature, Text};
use crate::dialect::tree::{self, Node};
use crate::dialect::write;

/// The tool whose input is the answer.
pub const ANSWER: &str = "mainstay_answer";
/// What the names of tools with free text begin with.
pub const CUSTOM: &str = "mainstay_custom_";
/// The one member of such a tool's input.
pub const INPUT: &str = "input";
/// The schema of such a tool's input.
pub const CUSTOM_SCHEMA: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;
const OF_CALL: &str = "mainstay-call:";

/// The signature field that carries a call's signature.
pub fn carry(call_id: &str, signature: &Signature<'_>) -> String {
    [OF_CALL, call_id, ":", &signature.seal(Family::Anthropic)].concat()
}

/// The call's id and signature, if that is what the field carries.
pub fn carried<'a>(field: &str) -> Option<(&str, Signature<'a>)> {
    let (call_id, sealed) = field.strip_prefix(OF_CALL)?.rsplit_once(':')?;
    Some((call_id, Signature::unseal(Text::Owned(sealed.to_owned()), Family::Anthropic)))
}

/// The free text in a custom tool's input. Anything else that the model made up is passed as it is.
pub fn free_text<'a>(input: &Node<'a>) -> Text<'a> {
    input.at(INPUT).and_then(Node::text).unwrap_or(Text::Borrowed(input.raw()))
}

/// The input with this free text.
pub fn custom_input(text: &str) -> String {
    write::text(|out| {
        write::object(out, |input| {
            input.str(INPUT, text);
        });
    })
}

/// Takes the free text out of a custom tool's input while it streams. The input is short of nothing but
/// the escapes of one string, so what is there can be said at once.
#[derive(Debug)]
pub struct FreeText {
    place: Place,
    /// An escape sequence that is not whole yet.
    escape: String,
}

#[derive(Debug)]
enum Place {
    /// Before the text: the quotes that were passed so far.
    Before(u8),
    Inside,
    After,
}

/// `{"input":"`: the text begins behind the third quote.
const QUOTES_BEFORE: u8 = 3;

impl Default for FreeText {
    fn default() -> Self {
        Self { place: Place::Before(0), escape: String::new() }
    }
}

impl FreeText {
    /// What this much more of the input adds to the text.
    pub fn more(&mut self, input: &str) -> String {
        let mut text = String::with_capacity(input.len());
        for char in input.chars() {
            match &mut self.place {
                Place::Before(quotes) => {
                    *quotes += u8::from(char == '"');
                    if *quotes == QUOTES_BEFORE {
                        self.place = Place::Inside;
                    }
                }
                Place::Inside if !self.escape.is_empty() => self.escaped(char, &mut text),
                Place::Inside if char == '\\' => self.escape.push(char),
                Place::Inside if char == '"' => self.place = Place::After,
                Place::Inside => text.push(char),
                Place::After => {}
            }
        }
        text
    }

    fn escaped(&mut self, char: char, text: &mut String) {
        self.escape.push(char);
        if self.is_cut_escape() {
            return;
        }
        let quoted = ["\"", &self.escape, "\""].concat();
        if let Some(plain) =
            tree::parse(quoted.as_bytes()).ok().and_then(|node| node.text().map(Text::into_owned))
        {
            text.push_str(&plain);
        }
        self.escape.clear();
    }

    /// `\n` is whole, `\u00e9` at six characters; a high surrogate waits for the low one.
    fn is_cut_escape(&self) -> bool {
        if !self.escape.starts_with("\\u") {
            return false;
        }
        let is_high = self.escape.get(2..4).is_some_and(|digits| {
            u8::from_str_radix(digits, 16).is_ok_and(|byte| (0xd8..0xdc).contains(&byte))
        });
        self.escape.chars().count() < if is_high { 12 } else { 6 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_call_signature_knows_its_call() {
        let signature = Signature { family: Family::Gemini, value: "EqQBCg==:x".into() };
        for id in ["toolu_1", "call:with:colons", ""] {
            assert_eq!(carried(&carry(id, &signature)), Some((id, signature.clone())));
        }
        assert_eq!(carried("EqQBCgIYAhIM"), None);
    }

    proptest! {
        #[test]
        fn free_text_comes_out_of_its_input_however_it_is_cut(
            text in "\\PC{0,20}|[\\\\\"\n\u{0}\u{1f600}u0-9]{0,20}", at in 0_usize..60)
        {
            let input = custom_input(&text);
            prop_assert_eq!(free_text(&tree::parse(input.as_bytes()).expect("JSON")), text.as_str());
            for input in [input.clone(), serde_json::json!({ "input": text }).to_string()] {
                let at = (0..=at.min(input.len())).rev().find(|at| input.is_char_boundary(*at)).unwrap_or(0);
                let (head, tail) = input.split_at(at);
                let mut reader = FreeText::default();
                prop_assert_eq!(reader.more(head) + &reader.more(tail), text.as_str());
            }
        }

        #[test]
        fn any_input_is_survived(input in "[\\\\\"ud89a:{}é]{0,40}") {
            FreeText::default().more(&input);
        }
    }

    #[test]
    fn surrogates_are_one_character() {
        let mut reader = FreeText::default();
        assert_eq!(reader.more(r#"{"input":"\ud83d"#) + &reader.more(r#"\ude00\n"}"#), "\u{1f600}\n");
    }
}
