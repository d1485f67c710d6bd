//! Signatures of reasoning, and how they travel through a dialect that is not theirs.
//!
//! A vendor wants its signature back untouched, and no other vendor can read it. So each signature
//! knows its family. A dialect that belongs to the family carries the bare value; any other dialect
//! carries it sealed, with the family's name, so that it is known when the caller sends it back: to a
//! channel of the same family it goes again as it was, to any other it does not go at all.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use memchr::memmem;

use super::Text;
use crate::dialect::Dialect;

/// Whose signatures a model makes and takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    OpenAi,
    /// Claude, wherever it is served: Anthropic, Bedrock, Vertex.
    Anthropic,
    Gemini,
    /// Grok: encrypted as OpenAI's, and of no use to OpenAI.
    Xai,
    /// Signs nothing, or nothing that is known.
    Other,
}

/// What a vendor wants back with a piece of its reasoning.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature<'a> {
    pub family: Family,
    pub value: Text<'a>,
}

/// What every sealed signature begins with once it is decoded.
const SEAL: &str = "mainstay1:";

/// What the id of a reasoning item begins with that was made up here.
pub const MADE_UP: &str = "rs_made_";

/// What every sealed signature begins with as it stands: the seal's first nine bytes.
const BEGIN: &str = "bWFpbnN0YXkx";

impl Family {
    pub const ALL: [Self; 5] = [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Xai, Self::Other];

    const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Xai => "xai",
            Self::Other => "other",
        }
    }

    /// Whether its signature is the thought itself, encrypted, beside which there is at most a summary.
    pub const fn encrypts(self) -> bool {
        matches!(self, Self::OpenAi | Self::Xai)
    }
}

impl<'a> Signature<'a> {
    /// The text for a dialect that belongs to `native`. Base64, as Google's SDK decodes the field.
    pub fn seal(&self, native: Family) -> Text<'_> {
        if self.family == native {
            return Text::Borrowed(&self.value);
        }
        Text::Owned(BASE64_STANDARD.encode(format!("{SEAL}{}:{}", self.family.name(), self.value)))
    }

    /// Whether a body may hold what only we can read: a sealed signature, an empty one of a thought that had
    /// none, an item's id that we made up. Then its bytes must not pass as they are: the vendor would refuse
    /// them.
    pub fn may_be_ours(dialect: Dialect, body: &[u8]) -> bool {
        let marks: &[&str] = match dialect {
            Dialect::Anthropic => &[BEGIN, "\"signature\":\"\"", "\"signature\": \"\""],
            Dialect::Responses => &[BEGIN, MADE_UP],
            Dialect::Gemini | Dialect::Bedrock => &[BEGIN],
            // Chat says whose a signature is; the others carry none.
            Dialect::OpenAi | Dialect::Cohere | Dialect::Ollama | Dialect::Http => &[],
        };
        marks.iter().any(|mark| memmem::find(body, mark.as_bytes()).is_some())
    }

    /// The same of sealed signatures alone.
    pub fn may_be_sealed(body: &[u8]) -> bool {
        memmem::find(body, BEGIN.as_bytes()).is_some()
    }

    /// What the text of a dialect that belongs to `native` means.
    pub fn unseal(text: Text<'a>, native: Family) -> Self {
        let opened = text.starts_with(BEGIN).then(|| BASE64_STANDARD.decode(&*text).ok()).flatten();
        let opened = opened.and_then(|bytes| String::from_utf8(bytes).ok());
        let sealed = opened.as_deref().and_then(|text| text.strip_prefix(SEAL)?.split_once(':'));
        let known = sealed.and_then(|(name, value)| {
            let family = Family::ALL.into_iter().find(|family| family.name() == name)?;
            Some(Self { family, value: Text::Owned(value.to_owned()) })
        });
        known.unwrap_or(Self { family: native, value: text })
    }

    /// Tells whose it is where an upstream's answer does not: what responses carry bare is their own vendor's.
    pub fn made_by(&mut self, family: Family, dialect: Dialect) {
        if dialect == Dialect::Responses && self.family == Family::OpenAi {
            self.family = family;
        }
    }

    /// The value, for a channel of this family only.
    pub fn for_family(&self, family: Family) -> Option<&str> {
        (self.family == family && family != Family::Other).then_some(&*self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_comes_back_through_any_dialect() {
        for family in Family::ALL {
            for native in Family::ALL {
                let signature = Signature { family, value: "EqQBCgIYAhIM/+==:x".into() };
                let text = signature.seal(native).into_owned();
                assert_eq!(Signature::may_be_ours(Dialect::Gemini, text.as_bytes()), family != native);
                assert_eq!(Signature::unseal(text.into(), native), signature);
            }
        }
    }

    #[test]
    fn whatever_is_not_sealed_is_the_dialects_own() {
        for text in ["", "abc", "bWFpbnN0YXkx", "bWFpbnN0YXkxOg=="] {
            let signature = Signature::unseal(text.into(), Family::Gemini);
            assert_eq!((signature.family, &*signature.value), (Family::Gemini, text));
        }
        let foreign = Signature { family: Family::Gemini, value: "s".into() };
        assert_eq!(foreign.for_family(Family::Anthropic), None);
        assert_eq!(foreign.for_family(Family::Gemini), Some("s"));
    }
}
