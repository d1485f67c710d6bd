//! Thought signatures on Google's wire.
//!
//! Gemini 3 and later refuse a turn whose first call has no signature (ai.google.dev,
//! "Thought signatures"). For calls that another model made, Google documents a word that stands for
//! one. Upstreams get it as it is; callers get it as base64, since SDKs decode the field: so that a
//! history with another model's calls is still accepted when it goes to Google byte for byte.

use crate::dialect::hub::{Family, Signature, Text, Thought};

use super::names;

/// Stands for the signature of a call that Gemini did not make.
pub const SENTINEL: &str = "skip_thought_signature_validator";
/// The same as base64.
pub const SENTINEL_BASE64: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

/// Every form in which the two documented words are seen.
const SENTINELS: [&str; 4] = [
    SENTINEL,
    SENTINEL_BASE64,
    "context_engineering_is_the_way_to_go",
    "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv",
];

/// Before the value of a thought that its vendor did not show at all: `thoughtSignature` has no place
/// for that, and the vendor wants it back as such.
const REDACTED: &str = "redacted:";

/// What a `thoughtSignature` means; nothing if it only stands for one.
pub fn read(text: Text<'_>) -> Option<Signature<'_>> {
    if text.is_empty() || SENTINELS.contains(&&*text) {
        return None;
    }
    Some(Signature::unseal(names::standard(text), Family::Gemini))
}

/// The signature of a thought, for a caller.
pub fn seal<'t>(thought: &'t Thought<'_>) -> Option<Text<'t>> {
    let signature = thought.signature.as_ref()?;
    Some(if thought.is_redacted { seal_redacted(signature) } else { signature.seal(Family::Gemini) })
}

/// The signature of a thought that is not shown.
pub fn seal_redacted<'s>(signature: &'s Signature<'_>) -> Text<'s> {
    let value = Text::Owned(format!("{REDACTED}{}", signature.value));
    Text::Owned(Signature { family: signature.family, value }.seal(Family::Gemini).into_owned())
}

/// Undoes [`seal_redacted`].
pub fn unredact(thought: &mut Thought<'_>) {
    let Some(signature) = thought.signature.as_mut().filter(|signature| signature.family != Family::Gemini)
    else {
        return;
    };
    if let Some(value) = signature.value.strip_prefix(REDACTED) {
        signature.value = Text::Owned(value.to_owned());
        thought.is_redacted = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_stands_for_a_signature_is_none() {
        for text in SENTINELS.into_iter().chain([""]) {
            assert_eq!(read(text.into()), None);
        }
        let kept = read("Cu-_".into()).expect("a signature");
        assert_eq!((kept.family, &*kept.value), (Family::Gemini, "Cu+/"));
    }

    #[test]
    fn a_foreign_signature_survives_the_python_sdk() {
        for value in ["EqQBCgIYAhIM/+==?>~", "ErUB>>??"] {
            let foreign = Signature { family: Family::Anthropic, value: value.into() };
            let url_safe = foreign.seal(Family::Gemini).replace('+', "-").replace('/', "_");
            assert_eq!(read(url_safe.into()), Some(foreign));
        }
    }

    #[test]
    fn a_redacted_thought_comes_back_as_one() {
        let signature = Some(Signature { family: Family::Anthropic, value: "EmwK".into() });
        let thought = Thought { signature, is_redacted: true, ..Thought::default() };
        let sealed = seal(&thought).expect("a signature").into_owned();
        let mut back = Thought { signature: read(sealed.into()), ..Thought::default() };
        unredact(&mut back);
        assert_eq!(back, thought);
    }
}
