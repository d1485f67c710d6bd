//! `usageMetadata`. Cached tokens are inside the prompt; thoughts stand beside the candidates.

use crate::dialect::json::{Kind, Walked, Walker};
use crate::dialect::tier;
use crate::dialect::tree::Node;
use crate::dialect::write::Object;
use crate::vocab::{Tier, Usage};

use super::names::member;

/// The counts as Google names them.
#[derive(Default)]
struct Counts {
    prompt: Option<u64>,
    candidates: Option<u64>,
    tools: Option<u64>,
    thoughts: Option<u64>,
    cached: Option<u64>,
    /// What of the prompt, of what tools brought and of the answer is sound or a picture.
    heard: Modes,
    fetched: Modes,
    made: Modes,
    cached_audio: u64,
    tier: Option<Tier>,
}

/// A list of `{modality, tokenCount}`, as far as it is priced apart.
#[derive(Default)]
struct Modes {
    audio: u64,
    image: u64,
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
            b"promptTokensDetails" => return counts.heard.read(walker),
            b"toolUsePromptTokensDetails" => return counts.fetched.read(walker),
            b"candidatesTokensDetails" => return counts.made.read(walker),
            b"cacheTokensDetails" => {
                let mut modes = Modes::default();
                modes.read(walker)?;
                counts.cached_audio = modes.audio;
                return Ok(());
            }
            // Vertex AI's word and the Gemini API's.
            b"trafficType" | b"serviceTier" => {
                counts.tier = tier::read(walker)?.or(counts.tier);
                return Ok(());
            }
            _ => return walker.skip().map(drop),
        };
        *count = walker.count()?;
        Ok(())
    })?;
    Ok(counts.sum())
}

/// The token counts of a tree; what they are of is for the meter only.
pub fn of(metadata: &Node<'_>) -> Option<Usage> {
    let count = |name| member(metadata, name).and_then(Node::as_integer);
    Counts {
        prompt: count("promptTokenCount"),
        candidates: count("candidatesTokenCount"),
        tools: count("toolUsePromptTokenCount"),
        thoughts: count("thoughtsTokenCount"),
        cached: count("cachedContentTokenCount"),
        ..Counts::default()
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

impl Modes {
    fn read(&mut self, walker: &mut Walker<'_>) -> Walked {
        *self = Self::default();
        if walker.kind()? != Kind::Array {
            return walker.skip().map(drop);
        }
        walker.array(|walker| {
            let mut modality: &[u8] = b"";
            let mut count = None;
            walker.if_object(|walker, key| {
                if key.is("tokenCount") {
                    count = walker.count()?;
                    return Ok(());
                }
                let (_, span) = walker.value()?;
                if key.is("modality") {
                    modality = walker.slice(span);
                }
                Ok(())
            })?;
            let sum = match modality {
                b"\"AUDIO\"" => &mut self.audio,
                b"\"IMAGE\"" => &mut self.image,
                _ => return Ok(()),
            };
            *sum = sum.saturating_add(count.unwrap_or(0));
            Ok(())
        })
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
            input_audio: self.heard.audio.saturating_add(self.fetched.audio),
            cache_read_audio: self.cached_audio,
            output_audio: self.made.audio,
            input_image: self.heard.image.saturating_add(self.fetched.image),
            output_image: self.made.image,
            tier: self.tier,
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
