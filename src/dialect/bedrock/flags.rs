//! Which of Anthropic's beta flags a Claude takes here, among its additional fields. It refuses a request for any other
//! ("invalid beta flag"). Source: Bedrock's guide, "Anthropic Claude Messages API", `anthropic_beta`. Flags for members
//! that Converse cannot say are not among them.

use super::maker::Maker;
use crate::dialect::hub::Terms;

/// A generation of Claude, and a step of it.
type Line = (u32, u32);

/// From and up to which Claude.
const TAKEN: [(&str, Line, Line); 7] = [
    ("computer-use-2025-01-24", (3, 7), NEWEST),
    ("computer-use-2025-11-24", (4, 5), NEWEST),
    ("context-1m-2025-08-07", (4, 0), NEWEST),
    ("effort-2025-11-24", (4, 5), (4, 5)),
    ("interleaved-thinking-2025-05-14", (4, 0), NEWEST),
    ("output-128k-2025-02-19", (3, 7), (3, 7)),
    ("token-efficient-tools-2025-02-19", (3, 7), (4, 1)),
];
const NEWEST: Line = (u32::MAX, u32::MAX);

/// A caller's flags, joined by commas: those that this model takes, and the others. None at all of no Claude.
pub fn sort<'f>(flags: &'f str, terms: &Terms<'_>) -> (Vec<&'f str>, Vec<&'f str>) {
    let Maker::Claude(generation, step) = Maker::of(terms) else { return (Vec::new(), Vec::new()) };
    let is_taken = |flag: &&str| {
        let row = TAKEN.iter().find(|(name, ..)| name == flag);
        row.is_some_and(|(_, since, until)| (since..=until).contains(&&(generation, step)))
    };
    let flags = flags.split(',').map(str::trim).filter(|flag| !flag.is_empty());
    flags.partition(is_taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::hub::{Family, samples};
    use crate::dialect::quirks::Quirks;

    #[test]
    fn each_claude_takes_its_own_flags_and_nobody_else_any() {
        let check = |model, flags, taken: &[&str], others: &[&str]| {
            let terms = Terms { model, ..samples::terms(Family::Other, &Quirks::COMPATIBLE) };
            assert_eq!(sort(flags, &terms), (taken.to_vec(), others.to_vec()), "{model} {flags}");
        };
        let flags = "claude-code-20250219, interleaved-thinking-2025-05-14,effort-2025-11-24";
        let (code, thinking, effort) =
            ("claude-code-20250219", "interleaved-thinking-2025-05-14", "effort-2025-11-24");
        check("us.anthropic.claude-opus-4-5-20251101-v1:0", flags, &[thinking, effort], &[code]);
        check("us.anthropic.claude-opus-4-7", flags, &[thinking], &[code, effort]);
        check("anthropic.claude-3-7-sonnet-20250219-v1:0", flags, &[], &[code, thinking, effort]);
        check("us.amazon.nova-2-lite-v1:0", flags, &[], &[]);
        check("us.anthropic.claude-opus-4-7", " , ", &[], &[]);
    }
}
