//! What a model's name tells, where nothing else does.
//!
//! Only for models of which `Facts` say neither yes nor no. Names are `claude-3-7-sonnet-20250219`,
//! `claude-opus-4-1@20250805`, `anthropic/claude-opus-4.6`, `claude-fable-5`: the first small number is
//! the generation, a small number behind it the step. Sources: WIRE §0.1 and §3.1, and Anthropic's pages
//! "Migrating to Claude 4.6", "Adaptive thinking" and "Structured outputs".

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
        let Some((_, name)) = model.split_once("claude") else { return Self::Other };
        let mut words = name.split(['-', '.', '@', ':', '_', '/']).skip_while(|word| small(word).is_none());
        let generation = words.next().and_then(small);
        let step = words.next().and_then(small);
        Self::Claude(generation.unwrap_or(u32::MAX), step.unwrap_or(0))
    }

    /// `temperature`, `top_p` and `top_k` are taken.
    pub fn samples(self, terms: &Terms<'_>) -> bool {
        knows(terms, Ability::Sampling, self < Self::Claude(4, 7))
    }

    /// `temperature` and `top_p` may not both be said, since Opus 4.1.
    pub fn samples_once(self) -> bool {
        self >= Self::Claude(4, 1)
    }

    /// An answer that the request has begun is continued.
    pub fn continues(self, terms: &Terms<'_>) -> bool {
        knows(terms, Ability::Prefill, self < Self::Claude(4, 6))
    }

    /// Answers and strict tools follow a schema.
    pub fn structures(self, terms: &Terms<'_>) -> bool {
        knows(terms, Ability::StructuredOutput, self == Self::Other || self >= Self::Claude(4, 1))
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

/// What is known of the model, else what its name lets expect.
fn knows(terms: &Terms<'_>, ability: Ability, otherwise: bool) -> bool {
    terms.facts.has(ability) || (otherwise && !terms.facts.lacks(ability))
}

/// A number of at most two digits: dates are longer.
fn small(word: &str) -> Option<u32> {
    (word.len() <= 2).then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_generation_and_step() {
        for (name, line) in [
            ("claude-3-haiku-20240307", Line::Claude(3, 0)),
            ("claude-3-7-sonnet-20250219", Line::Claude(3, 7)),
            ("claude-sonnet-4-20250514", Line::Claude(4, 0)),
            ("claude-opus-4-1@20250805", Line::Claude(4, 1)),
            ("anthropic/claude-opus-4.6", Line::Claude(4, 6)),
            ("us.anthropic.claude-opus-4-6-v1:0", Line::Claude(4, 6)),
            ("claude-fable-5", Line::Claude(5, 0)),
            ("claude-mythos-preview", Line::Claude(u32::MAX, 0)),
            ("kimi-k2.5", Line::Other),
        ] {
            assert_eq!(Line::of(name), line, "{name}");
        }
    }
}
