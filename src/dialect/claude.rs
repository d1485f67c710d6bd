//! Which Claude a model is, as far as its name tells.
//!
//! Names are `claude-3-7-sonnet-20250219`, `claude-opus-4-1@20250805`, `anthropic/claude-opus-4.6`,
//! `us.anthropic.claude-sonnet-4-5-20250929-v1:0`, `claude-fable-5`: the first small number is the generation, a small
//! number behind it the step. The first two generations are `claude-v2:1` and `claude-instant-v1`. What a generation
//! can do is the business of those who ask.

/// Generation and step, `(4, 5)`; `None` if it is no Claude. A name without a number is newer than any.
pub fn generation(model: &str) -> Option<(u32, u32)> {
    let (_, name) = model.split_once("claude")?;
    let mut words = name.split(['-', '.', '@', ':', '_', '/']).filter(|word| !word.is_empty()).peekable();
    if words.peek().is_some_and(|word| matches!(*word, "v2" | "instant")) {
        return Some((2, 0));
    }
    let mut words = words.skip_while(|word| small(word).is_none());
    let generation = words.next().and_then(small);
    Some((generation.unwrap_or(u32::MAX), words.next().and_then(small).unwrap_or(0)))
}

/// A number of at most two digits: dates are longer.
pub fn small(word: &str) -> Option<u32> {
    (word.len() <= 2).then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_generation_and_step() {
        for (name, expected) in [
            ("claude-3-haiku-20240307", Some((3, 0))),
            ("claude-3-7-sonnet-20250219", Some((3, 7))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-opus-4-1@20250805", Some((4, 1))),
            ("anthropic/claude-opus-4.6", Some((4, 6))),
            ("us.anthropic.claude-opus-4-6-v1:0", Some((4, 6))),
            ("anthropic.claude-v2:1", Some((2, 0))),
            ("claude-instant-1.2", Some((2, 0))),
            ("claude-2.1", Some((2, 1))),
            ("claude-fable-5", Some((5, 0))),
            ("claude-mythos-preview", Some((u32::MAX, 0))),
            ("kimi-k2.5", None),
        ] {
            assert_eq!(generation(name), expected, "{name}");
        }
    }
}
