//! `usageMetadata`. Cached tokens are inside the prompt; thoughts stand beside the candidates.

use crate::dialect::json::{Walked, Walker};
use crate::dialect::tree::Node;
use crate::dialect::write::Object;
use crate::vocab::Usage;

use super::names::member;

/// The counts as Google names them.
#[derive(Default)]
struct Counts {
    prompt: Option<u64>,
    candidates: Option<u64>,
    tools: Option<u64>,
    thoughts: Option<u64>,
    cached: Option<u64>,
}

pub fn read(walker: &mut Walker<'_>) -> Walked<Option<Usage>> {
    let mut counts = Counts::default();
    walker.object(|walker, key| {
        let count = match &*key.bytes() {
            b"promptTokenCount" => &mut counts.prompt,
            b"candidatesTokenCount" => &mut counts.candidates,
            b"toolUsePromptTokenCount" => &mut counts.tools,
            b"thoughtsTokenCount" => &mut counts.thoughts,
            b"cachedContentTokenCount" => &mut counts.cached,
            _ => return walker.skip().map(drop),
        };
        *count = walker.count()?;
        Ok(())
    })?;
    Ok(counts.sum())
}

/// The same of a tree.
pub fn of(metadata: &Node<'_>) -> Option<Usage> {
    let count = |name| member(metadata, name).and_then(Node::as_integer);
    Counts {
        prompt: count("promptTokenCount"),
        candidates: count("candidatesTokenCount"),
        tools: count("toolUsePromptTokenCount"),
        thoughts: count("thoughtsTokenCount"),
        cached: count("cachedContentTokenCount"),
    }
    .sum()
}

/// Says `usageMetadata`. Tokens that were written to a cache have no place there.
pub fn write(o: &mut Object<'_>, usage: &Usage, tier: Option<&str>) {
    let some = |count: u64| Some(count).filter(|count| *count > 0);
    o.object("usageMetadata", |o| {
        o.number("promptTokenCount", usage.input);
        o.number_if("cachedContentTokenCount", some(usage.cache_read));
        o.number("candidatesTokenCount", usage.output.saturating_sub(usage.reasoning));
        o.number_if("thoughtsTokenCount", some(usage.reasoning));
        o.number("totalTokenCount", usage.input.saturating_add(usage.output));
        o.str_if("serviceTier", tier.and_then(tier_name));
    });
}

/// Google's word for a tier, where there is one; cases differ.
fn tier_name(word: &str) -> Option<&str> {
    match word {
        "default" | "on_demand" => Some("standard"),
        word if ["standard", "flex", "priority"].iter().any(|name| word.eq_ignore_ascii_case(name)) => {
            Some(word)
        }
        _ => None,
    }
}

impl Counts {
    fn sum(self) -> Option<Usage> {
        if self.prompt.is_none() && self.candidates.is_none() {
            return None;
        }
        let reasoning = self.thoughts.unwrap_or(0);
        Some(Usage {
            input: self.prompt.unwrap_or(0).saturating_add(self.tools.unwrap_or(0)),
            cache_read: self.cached.unwrap_or(0),
            cache_write: 0,
            cache_write_1h: 0,
            output: self.candidates.unwrap_or(0).saturating_add(reasoning),
            reasoning,
            ..Usage::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_tier_is_named_where_google_has_a_word_for_it() {
        for (word, expected) in [
            ("default", Some("standard")),
            ("STANDARD", Some("STANDARD")),
            ("flex", Some("flex")),
            ("provisioned", None),
        ] {
            assert_eq!(tier_name(word), expected, "{word}");
        }
    }
}
