//! A tier of service, by the words that providers have for it.
//!
//! OpenAI and who is like it: `service_tier`; Anthropic: the same in `usage`; Google: `serviceTier` and
//! `trafficType` in `usageMetadata`; Bedrock: `serviceTier: {type}`. In a request the same words are a wish.

use super::json::{Kind, Walked, Walker};
use crate::vocab::Tier;

/// The tier of this word. `None` where it leaves the choice to the provider, or says nothing; a word that nobody
/// knows is a tier of which nobody knows the price.
pub fn of(word: &str) -> Option<Tier> {
    const WORDS: [(&str, Option<Tier>); 17] = [
        ("", None),
        ("auto", None),
        ("traffic_type_unspecified", None),
        ("service_tier_unspecified", None),
        ("unspecified", None),
        ("default", Some(Tier::Standard)),
        ("standard", Some(Tier::Standard)),
        ("standard_only", Some(Tier::Standard)),
        ("on_demand", Some(Tier::Standard)),
        ("batch", Some(Tier::Batch)),
        ("flex", Some(Tier::Flex)),
        ("on_demand_flex", Some(Tier::Flex)),
        ("priority", Some(Tier::Priority)),
        ("on_demand_priority", Some(Tier::Priority)),
        // OpenAI's newer name; its answers say `priority` for both.
        ("fast", Some(Tier::Priority)),
        ("ultrafast", Some(Tier::Ultrafast)),
        ("decisions", Some(Tier::Decisions)),
    ];
    let known = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
    known.map_or(Some(Tier::Other), |(_, tier)| *tier)
}

/// Takes the value of a member that names a tier, be it a string or Bedrock's object.
pub fn read(walker: &mut Walker<'_>) -> Walked<Option<Tier>> {
    match walker.kind()? {
        Kind::String => Ok(of(&walker.string()?.decode().unwrap_or_default())),
        Kind::Object => {
            let mut tier = None;
            walker.object(|walker, key| {
                if key.is("type") && walker.kind()? == Kind::String {
                    tier = of(&walker.string()?.decode().unwrap_or_default());
                    return Ok(());
                }
                walker.skip().map(drop)
            })?;
            Ok(tier)
        }
        Kind::Array | Kind::Number | Kind::True | Kind::False | Kind::Null => walker.skip().map(|_| None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_providers_words_are_known_and_a_strange_one_is_no_standard() {
        for (json, expected) in [
            (r#""default""#, Some(Tier::Standard)),
            (r#""ON_DEMAND_FLEX""#, Some(Tier::Flex)),
            (r#""fast""#, Some(Tier::Priority)),
            (r#""auto""#, None),
            (r#""provisioned""#, Some(Tier::Other)),
            (r#"{"a":1,"type":"priority"}"#, Some(Tier::Priority)),
            ("null", None),
            ("[\"flex\"]", None),
        ] {
            assert_eq!(read(&mut Walker::new(json.as_bytes())).expect("JSON"), expected, "{json}");
        }
    }
}
