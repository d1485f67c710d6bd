//! What a vendor wants back of its reasoning, in `encrypted_content`.
//!
//! OpenAI's own goes as it is, others' sealed (see the hub's `carry`). A thought of which nothing is
//! shown (Anthropic's `redacted_thinking`) has no mark on this wire, so its value has one inside the seal:
//! its vendor takes it back in another form than a thought's signature.

use crate::dialect::hub::{Family, Signature, Text};

/// No vendor's value holds a colon: all are base64.
const REDACTED: &str = "redacted:";

/// What goes with a thought that nobody has signed, as a seal around nothing: without any, Vercel's SDK and others send no
/// thought back where nothing is stored.
pub const UNSIGNED: &str = "bWFpbnN0YXkxOm90aGVyOg==";

/// A signature as it was carried.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried<'a> {
    pub signature: Signature<'a>,
    pub is_redacted: bool,
}

pub fn seal<'s>(signature: &'s Signature<'_>) -> Text<'s> {
    signature.seal(Family::OpenAi)
}

pub fn seal_redacted(signature: &Signature<'_>) -> Text<'static> {
    let value = Text::Owned([REDACTED, &signature.value].concat());
    Text::Owned(Signature { family: signature.family, value }.seal(Family::OpenAi).into_owned())
}

/// `None` for what stands for no signature.
pub fn unseal(text: Text<'_>) -> Option<Carried<'_>> {
    if text == UNSIGNED {
        return None;
    }
    let Signature { family, value } = Signature::unseal(text, Family::OpenAi);
    let inner = value.strip_prefix(REDACTED).map(str::to_owned);
    let is_redacted = inner.is_some();
    let value = inner.map_or(value, Text::Owned);
    Some(Carried { signature: Signature { family, value }, is_redacted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thought_comes_back_as_what_it_was() {
        for family in Family::ALL {
            let signature = Signature { family, value: "EqQBCg==".into() };
            let shown = Carried { signature: signature.clone(), is_redacted: false };
            assert_eq!(unseal(seal(&signature).into_owned().into()), Some(shown));
            let hidden = Carried { signature: signature.clone(), is_redacted: true };
            assert_eq!(unseal(seal_redacted(&signature)), Some(hidden));
        }
    }

    #[test]
    fn what_stands_for_no_signature_is_sealed_as_one() {
        assert_eq!(seal(&Signature { family: Family::Other, value: "".into() }), UNSIGNED);
        assert_eq!(unseal(UNSIGNED.into()), None);
    }
}
