//! What stands in for things that this dialect cannot say.
//!
//! Between a request and its answer nothing is kept, so each stand-in is known by its own looks:
//!
//! - A tool named [`ANSWER`] stands for an answer of a given form, where the model knows no structured
//!   output: it has to be called, and its input is the answer's text.
//! - A tool whose name begins with [`CUSTOM`] stands for OpenAI's custom tool: its input is an object
//!   with one string, and that string is what the custom tool gets.
//! - A thinking block without text whose signature begins with [`OF_CALL`] carries the signature of a
//!   tool call (Gemini's), with the call's id: `mainstay-call:toolu_1:<sealed>`. Anthropic's callers send
//!   thinking blocks back as they are, Claude Code included, while they drop members of a tool call that
//!   they do not know; and an id of some kilobytes would not survive everywhere.

pub use crate::dialect::hub::custom::{CUSTOM, CUSTOM_SCHEMA, FreeText, custom_input, free_text};
use crate::dialect::hub::{Family, Signature, Text};

/// The tool whose input is the answer.
pub const ANSWER: &str = "mainstay_answer";
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_signature_knows_its_call() {
        let signature = Signature { family: Family::Gemini, value: "EqQBCg==:x".into() };
        for id in ["toolu_1", "call:with:colons", ""] {
            assert_eq!(carried(&carry(id, &signature)), Some((id, signature.clone())));
        }
        assert_eq!(carried("EqQBCgIYAhIM"), None);
    }
}
