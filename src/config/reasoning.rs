//! Which models think before they speak, by their names.
//!
//! Only a guess for a default: a wrong "yes" means more patience with a stalled channel, a wrong
//! "no" leaves a thinking model too early, so doubt counts as yes. `reasoning:` on a channel decides.

/// Beginnings of names, after a vendor prefix such as `openai/`. Source: the vendors' model lists.
const FAMILIES: [&str; 12] = [
    "o1",
    "o3",
    "o4",
    "gpt-5",
    "gpt-oss",
    "deepseek-r",
    "qwq",
    "magistral",
    "grok-4",
    "gemini-2.5-pro",
    "gemini-3",
    "kimi-k2-thinking",
];

/// Parts of names that vendors use for the same.
const MARKS: [&str; 3] = ["reason", "thinking", "-r1"];

/// Names of these families that answer at once.
const EXCEPTIONS: [&str; 2] = ["-chat", "non-reasoning"];

/// A model of this name is expected to think.
pub fn by_name(model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    let bare = model.rsplit('/').next().unwrap_or(&model);
    if EXCEPTIONS.iter().any(|exception| bare.contains(exception)) {
        return false;
    }
    MARKS.iter().any(|mark| bare.contains(mark)) || FAMILIES.iter().any(|family| begins(bare, family))
}

/// Some model whose name begins with `prefix` is expected to think.
pub fn possible_below(prefix: &str) -> bool {
    let prefix = prefix.to_ascii_lowercase();
    let bare = prefix.rsplit('/').next().unwrap_or(&prefix);
    by_name(&prefix) || FAMILIES.iter().any(|family| family.starts_with(bare))
}

/// `o1` begins `o1-mini` and `o1`, not `o10`.
fn begins(model: &str, family: &str) -> bool {
    model.strip_prefix(family).is_some_and(|rest| {
        !rest.starts_with(|c: char| c.is_ascii_digit()) || !family.ends_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_models_are_known_by_their_names() {
        for model in
            ["o1", "o3-mini", "gpt-5.4", "openai/gpt-5", "deepseek-reasoner", "deepseek-r1", "X-Thinking"]
        {
            assert!(by_name(model), "{model}");
        }
        for model in
            ["gpt-4o", "gpt-5-chat-latest", "o10", "claude-haiku-4-5", "demo", "text-embedding-3-small", ""]
        {
            assert!(!by_name(model), "{model}");
        }
    }

    #[test]
    fn a_pattern_counts_as_thinking_when_one_of_its_models_may() {
        for prefix in ["", "gpt-", "o", "openai/", "openai/gpt-", "gpt-5"] {
            assert!(possible_below(prefix), "{prefix}");
        }
        for prefix in ["gpt-4", "demo-", "text-"] {
            assert!(!possible_below(prefix), "{prefix}");
        }
    }
}
