//! How much a model may think.
//!
//! Gemini 2.5 takes a budget of tokens, Gemini 3 and later a level, and no model takes all of either
//! (ai.google.dev, "Thinking", and the guides of the models). Which it is depends on the model's name:
//! what is unknown is treated as the newest, with the levels that all of them have.

use crate::dialect::hub::{Effort, Losses, Reasoning, Summary, Terms};
use crate::dialect::write::Object;
use crate::vocab::{Ability, Facts};

/// What a model's name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model<'t> {
    name: &'t str,
    /// `(2, 5)`; unknown for aliases like `gemini-flash-latest`.
    version: Option<(u32, u32)>,
}

/// How a model is told how much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Steering {
    /// It does not think, or cannot be told.
    None,
    /// Tokens, and whether it may be none.
    Budget {
        least: u64,
        most: u64,
        off: bool,
    },
    Level {
        minimal: bool,
        medium: bool,
        xhigh: bool,
    },
}

impl<'t> Model<'t> {
    pub fn of(name: &'t str) -> Self {
        let family = name.rfind("gemini-").and_then(|at| name.get(at + "gemini-".len()..));
        Self { name, version: family.and_then(version) }
    }

    /// Gemini 3 or later, as far as is known.
    pub fn is_three(&self) -> bool {
        self.version.is_none_or(|version| version >= (3, 0))
    }

    /// Gemini 3 or later, by its name.
    pub fn is_surely_three(&self) -> bool {
        self.version.is_some_and(|version| version >= (3, 0))
    }

    /// Known to refuse a request that ends with the model's own words.
    pub fn refuses_prefill(&self, facts: &Facts) -> bool {
        let since = if self.name.contains("flash-lite") { (3, 5) } else { (3, 6) };
        facts.lacks(Ability::Prefill) || self.version.is_some_and(|version| version >= since)
    }

    fn steering(&self, facts: &Facts) -> Steering {
        if facts.lacks(Ability::Reasoning) {
            return Steering::None;
        }
        match self.version {
            Some((0..=1, _) | (2, 0..=4)) => Steering::None,
            Some((2, _)) if self.name.contains("flash-lite") => {
                Steering::Budget { least: 512, most: 24_576, off: true }
            }
            Some((2, _)) if self.name.contains("pro") => {
                Steering::Budget { least: 128, most: 32_768, off: false }
            }
            Some((2, _)) => Steering::Budget { least: 1, most: 24_576, off: true },
            Some(_) | None => Steering::Level {
                minimal: !facts.lacks(Ability::EffortMinimal)
                    && (facts.has(Ability::EffortMinimal) || self.has_minimal()),
                medium: !(self.version == Some((3, 0)) && self.name.contains("pro")),
                xhigh: facts.has(Ability::EffortXhigh),
            },
        }
    }

    /// The flash models from 3 to 3.6.
    fn has_minimal(&self) -> bool {
        self.name.contains("flash")
            && self.version.is_some_and(|version| ((3, 0)..=(3, 6)).contains(&version))
    }
}

/// The first number of `2.5-flash`, `flash-3` or `3-1-pro`.
fn version(family: &str) -> Option<(u32, u32)> {
    let mut words = family.split(['-', '@', ':', '/']);
    let word = words.find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()))?;
    let (major, minor) = match word.split_once('.') {
        Some((major, minor)) => (major, minor.parse().ok()?),
        None => (
            word,
            words.next().filter(|word| word.len() == 1).and_then(|word| word.parse().ok()).unwrap_or(0),
        ),
    };
    // Dates are no versions: `gemini-exp-1206`.
    Some((major.parse().ok().filter(|major| *major < 100)?, minor))
}

/// Is it a model that knows tokens and no levels, which it refuses?
pub fn tells_levels_in_vain(model: &str) -> bool {
    matches!(Model::of(model).steering(&Facts::default()), Steering::None | Steering::Budget { .. })
}

/// Says what was asked for as far as the model can be told. For requests of other dialects.
pub fn write(o: &mut Object<'_>, reasoning: &Reasoning, terms: &Terms<'_>, losses: &mut Losses) {
    let off = reasoning.is_off();
    match Model::of(terms.kind()).steering(&terms.facts) {
        Steering::None => {
            if !off && reasoning.as_effort().is_some() {
                losses.drop("reasoning_effort");
            }
            return;
        }
        Steering::Budget { least, most, off: possible } => {
            if off && !possible {
                losses.drop("reasoning_effort");
            }
            match reasoning.as_budget() {
                Some(_) if off && possible => o.number("thinkingBudget", 0),
                Some(tokens) => o.number("thinkingBudget", tokens.clamp(least, most)),
                None if reasoning.adaptive => o.number("thinkingBudget", -1),
                None => o,
            };
        }
        Steering::Level { minimal, medium, xhigh } => {
            if off && !minimal {
                losses.drop("reasoning_effort");
            }
            let level = reasoning.as_effort().map(|effort| match effort {
                Effort::None | Effort::Minimal if minimal => "MINIMAL",
                Effort::None | Effort::Minimal | Effort::Low => "LOW",
                Effort::Medium if medium => "MEDIUM",
                Effort::Xhigh | Effort::Max if xhigh => "XHIGH",
                Effort::Medium | Effort::High | Effort::Xhigh | Effort::Max => "HIGH",
            });
            o.str_if("thinkingLevel", level);
        }
    }
    // Whoever asks for thoughts, in whatever words, has a place where they can be shown.
    if !off && reasoning.summary != Some(Summary::Omitted) {
        o.bool("includeThoughts", true);
    }
}

/// Says it in the words in which Google's own caller said it.
pub fn repeat(o: &mut Object<'_>, reasoning: &Reasoning) {
    let level = reasoning.effort.map(|effort| effort.name().to_ascii_uppercase());
    o.str_if("thinkingLevel", level.as_deref()).number_if("thinkingBudget", reasoning.budget);
    if reasoning.adaptive {
        o.number("thinkingBudget", -1);
    }
    if let Some(summary) = reasoning.summary {
        o.bool("includeThoughts", summary != Summary::Omitted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::hub::{Family, samples};
    use crate::dialect::quirks::Quirks;
    use crate::dialect::write;

    fn said(model: &str, reasoning: &Reasoning, facts: Facts) -> (String, bool) {
        let terms = Terms { model, facts, ..samples::terms(Family::Gemini, &Quirks::COMPATIBLE) };
        let mut losses = Losses::default();
        let text = write::text(|out| write::object(out, |o| write(o, reasoning, &terms, &mut losses)));
        (text, losses.names().is_empty())
    }

    fn check(model: &str, effort: Effort, expected: &str) {
        let reasoning = Reasoning { effort: Some(effort), ..Reasoning::default() };
        let (text, lossless) = said(model, &reasoning, Facts::default());
        let loss = if lossless { "" } else { " loss" };
        assert_eq!(format!("{}{loss}", text.replace(",\"includeThoughts\":true", "")), expected, "{model}");
    }

    #[test]
    fn the_name_tells_the_version() {
        for (name, expected) in [
            ("gemini-2.5-flash", Some((2, 5))),
            ("models/gemini-3-pro-preview", Some((3, 0))),
            ("publishers/google/models/gemini-3.1-pro-preview", Some((3, 1))),
            ("databricks-gemini-3-1-pro", Some((3, 1))),
            ("gemini-live-2.5-flash-preview-native-audio-09-2025", Some((2, 5))),
            ("gemini-4-argon", Some((4, 0))),
            ("gemini-flash-latest", None),
            ("gemini-exp-1206", None),
            ("gemini-", None),
            ("test-model", None),
        ] {
            assert_eq!(Model::of(name).version, expected, "{name}");
        }
    }

    #[test]
    fn budgets_stay_within_what_the_model_allows() {
        check("gemini-2.5-pro", Effort::None, r#"{"thinkingBudget":128} loss"#);
        check("gemini-2.5-pro", Effort::Max, r#"{"thinkingBudget":32768}"#);
        check("gemini-2.5-flash", Effort::None, r#"{"thinkingBudget":0}"#);
        check("gemini-2.5-flash", Effort::Max, r#"{"thinkingBudget":24576}"#);
        check("gemini-2.5-flash-lite", Effort::Minimal, r#"{"thinkingBudget":1024}"#);
        check("gemini-2.0-flash", Effort::High, "{} loss");
        check("gemini-2.0-flash", Effort::None, "{}");
        let tiny = Reasoning { budget: Some(1), ..Reasoning::default() };
        let (text, _) = said("gemini-2.5-flash-lite", &tiny, Facts::default());
        assert_eq!(text, r#"{"thinkingBudget":512,"includeThoughts":true}"#);
    }

    #[test]
    fn levels_are_those_that_the_model_has() {
        check("gemini-3-pro-preview", Effort::Medium, r#"{"thinkingLevel":"HIGH"}"#);
        check("gemini-3.1-pro-preview", Effort::Medium, r#"{"thinkingLevel":"MEDIUM"}"#);
        check("gemini-3.1-pro-preview", Effort::None, r#"{"thinkingLevel":"LOW"} loss"#);
        check("gemini-3.6-flash", Effort::None, r#"{"thinkingLevel":"MINIMAL"}"#);
        check("gemini-3.8-flash", Effort::Minimal, r#"{"thinkingLevel":"LOW"}"#);
        check("gemini-4-argon", Effort::Max, r#"{"thinkingLevel":"HIGH"}"#);
        check("gemini-flash-latest", Effort::Minimal, r#"{"thinkingLevel":"LOW"}"#);
        let mut facts = Facts::default();
        facts.learn(Ability::EffortXhigh, true);
        let most = Reasoning { effort: Some(Effort::Max), ..Reasoning::default() };
        assert_eq!(said("gemini-5", &most, facts).0, r#"{"thinkingLevel":"XHIGH","includeThoughts":true}"#);
    }

    #[test]
    fn thoughts_are_shown_unless_they_are_not_wanted() {
        let adaptive = Reasoning { adaptive: true, ..Reasoning::default() };
        let hidden = Reasoning { summary: Some(Summary::Omitted), ..adaptive };
        assert_eq!(said("gemini-4-argon", &adaptive, Facts::default()).0, r#"{"includeThoughts":true}"#);
        assert_eq!(said("gemini-4-argon", &hidden, Facts::default()).0, "{}");
        assert_eq!(said("gemini-2.5-pro", &hidden, Facts::default()).0, r#"{"thinkingBudget":-1}"#);
    }
}
