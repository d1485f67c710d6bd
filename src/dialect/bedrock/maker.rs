//! Whose model it is, which its id tells: every maker has its own fields beside what Converse has for
//! all of them.
//!
//! Ids are `anthropic.claude-sonnet-4-5-20250929-v1:0`, with a region's or `global.` before them, or an
//! ARN. An application inference profile's ARN tells nothing; then the operator may (`like`), or the terms' family.

use crate::dialect::claude;
use crate::dialect::hub::{Family, Terms};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// Anthropic's, with generation and step: 4 and 5. A name without numbers is newer than any.
    Claude(u32, u32),
    /// Amazon's, with its generation.
    Nova(u32),
    /// OpenAI's open models.
    GptOss,
    Qwen,
    Other,
}

impl Maker {
    pub fn of(terms: &Terms<'_>) -> Self {
        let id = terms.kind();
        if let Some((generation, step)) = claude::generation(id) {
            return Self::Claude(generation, step);
        }
        if terms.family == Family::Anthropic || id.contains("anthropic.") {
            return Self::Claude(u32::MAX, 0);
        }
        if let Some((_, name)) = id.split_once("nova") {
            // The first generation has no number: `amazon.nova-lite-v1:0`, `amazon.nova-2-lite-v1:0`.
            return Self::Nova(
                name.trim_start_matches('-').split('-').next().and_then(claude::small).unwrap_or(1),
            );
        }
        if id.contains("gpt-oss") || id.contains("openai.") {
            Self::GptOss
        } else if id.contains("qwen") {
            Self::Qwen
        } else {
            Self::Other
        }
    }

    pub const fn is_claude(self) -> bool {
        matches!(self, Self::Claude(..))
    }

    pub const fn is_nova(self) -> bool {
        matches!(self, Self::Nova(_))
    }

    /// Claude of at least this generation and step.
    pub fn is_claude_since(self, since: (u32, u32)) -> bool {
        matches!(self, Self::Claude(generation, step) if (generation, step) >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::hub::samples;
    use crate::dialect::quirks::Quirks;

    #[test]
    fn ids_tell_their_maker() {
        for (model, expected) in [
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Maker::Claude(4, 5)),
            ("anthropic.claude-3-5-sonnet-20240620-v1:0", Maker::Claude(3, 5)),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", Maker::Claude(4, 0)),
            ("global.anthropic.claude-opus-4-6-v1", Maker::Claude(4, 6)),
            ("us.anthropic.claude-sonnet-4-6", Maker::Claude(4, 6)),
            ("anthropic.claude-v2:1", Maker::Claude(2, 0)),
            ("anthropic.claude-mythos-preview", Maker::Claude(u32::MAX, 0)),
            ("us.amazon.nova-2-lite-v1:0", Maker::Nova(2)),
            ("amazon.nova-lite-v1:0", Maker::Nova(1)),
            ("openai.gpt-oss-120b-1:0", Maker::GptOss),
            ("qwen.qwen3-32b-v1:0", Maker::Qwen),
            ("us.deepseek.r1-v1:0", Maker::Other),
        ] {
            let terms = Terms { model, ..samples::terms(Family::Other, &Quirks::COMPATIBLE) };
            assert_eq!(Maker::of(&terms), expected, "{model}");
        }
        let profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3";
        let terms = Terms { model: profile, ..samples::terms(Family::Anthropic, &Quirks::COMPATIBLE) };
        assert!(Maker::of(&terms).is_claude_since((4, 7)));
        let like = Some("anthropic.claude-sonnet-4-5-20250929-v1:0");
        assert_eq!(Maker::of(&Terms { like, ..terms }), Maker::Claude(4, 5));
    }
}
