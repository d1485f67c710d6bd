//! What a model's name tells, where nothing else does.
//!
//! Only for models of which `Facts` say neither yes nor no. Sources: WIRE §0.1 and §3.1, and Anthropic's pages
//! "Migrating to Claude 4.6", "Adaptive thinking" and "Structured outputs".

use crate::dialect::claude;
use crate::dialect::hub::Terms;
use crate::vocab::Ability;

/// A line of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// Not Claude: another vendor's model that is served in this dialect.
    Other,
    /// Claude, generation and step. A name without a number is newer than any.
    Claude(u32, u32),
}

impl Line {
    pub fn of(model: &str) -> Self {
        claude::generation(model).map_or(Self::Other, |(generation, step)| Self::Claude(generation, step))
    }

    /// `temperature`, `top_p` and `top_k` are taken.
    pub fn samples(self, terms: &Terms<'_>) -> bool {
        terms.knows(Ability::Sampling, self < Self::Claude(4, 7))
    }

    /// `temperature` and `top_p` may not both be said, since Opus 4.1.
    pub fn samples_once(self) -> bool {
        self >= Self::Claude(4, 1)
    }

    /// An answer that the request has begun is continued.
    pub fn continues(self, terms: &Terms<'_>) -> bool {
        terms.knows(Ability::Prefill, self < Self::Claude(4, 6))
    }

    /// Answers and strict tools follow a schema.
    pub fn structures(self, terms: &Terms<'_>) -> bool {
        terms.knows(Ability::StructuredOutput, self == Self::Other || self >= Self::Claude(4, 1))
    }

    /// The most tokens of an answer that can be asked for safely.
    pub fn output(self) -> u64 {
        match self {
            Self::Other | Self::Claude(..3, _) | Self::Claude(3, ..5) => 4_096,
            Self::Claude(3, _) => 8_192,
            Self::Claude(4.., _) => 32_000,
        }
    }
}
