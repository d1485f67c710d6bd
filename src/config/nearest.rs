//! What the writer probably meant.

use std::fmt::Write as _;

/// The candidate that differs least from `word`, if it is close enough to be a slip of the fingers.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may be wrong: `wieght` is `weight`, `cat` is not `dog`.
    let tolerance = (word.chars().count() / 3).max(1);
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`? ", or nothing.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default()
}

/// "a, b, c", cut after a dozen.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 24;
    let names: Vec<_> = names.into_iter().collect();
    let more = names.len().saturating_sub(SHOWN);
    let mut text = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_different_word_is_not() {
        let names = ["weight", "tier", "model", "upstream"];
        assert_eq!(nearest("wieght", names), Some("weight"));
        assert_eq!(nearest("Upstreams", names), Some("upstream"));
        assert_eq!(nearest("price", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(did_you_mean("teir", names), "did you mean `tier`? ");
        assert_eq!(did_you_mean("price", names), "");
    }
}
