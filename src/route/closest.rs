//! The configured names nearest to one that nobody has, for the answer to a typing error.

use std::cmp::Reverse;

/// Most names that an answer proposes.
const MOST: usize = 3;
/// Jaro-Winkler similarity below which a name is not a likely slip.
const SIMILAR: f64 = 0.7;

/// Up to three of `names` that resemble `asked`, nearest first.
pub fn closest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<(u32, &str)> = names
        .map(|name| (strsim::jaro_winkler(asked, name), name))
        .filter(|(score, _)| *score >= SIMILAR)
        .map(|(score, name)| ((score * 1e6) as u32, name))
        .collect();
    scored.sort_by_key(|(score, name)| (Reverse(*score), *name));
    scored.into_iter().take(MOST).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_none() {
        let names = ["gpt-5.4", "gpt-5.4-mini", "claude-sonnet-4-6", "demo"];
        assert_eq!(closest("gpt-5,4", names.into_iter()).first(), Some(&"gpt-5.4"));
        assert_eq!(closest("demoo", names.into_iter()), ["demo"]);
        assert!(closest("zzz", names.into_iter()).is_empty());
    }
}
