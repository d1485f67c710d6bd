//! Names of documents: Amazon wants one for each, of few characters, and no two alike.

/// The names that were given in one request.
#[derive(Debug, Default)]
pub struct Names {
    given: Vec<String>,
}

impl Names {
    /// Letters, digits, single spaces, hyphens, parentheses and brackets of ASCII remain, at most 200;
    /// the ending, which `format` says as well, does not.
    pub fn name(&mut self, wanted: Option<&str>, format: &str) -> String {
        const MAX: usize = 190;
        let wanted = wanted.unwrap_or_default();
        let stem = match wanted.rsplit_once('.') {
            Some((stem, end)) if end.eq_ignore_ascii_case(format) => stem,
            _ => wanted,
        };
        let mut name = String::with_capacity(stem.len().min(MAX));
        for char in stem.chars().take(MAX) {
            match char {
                ' ' | '\t' | '\n' if name.ends_with(' ') || name.is_empty() => {}
                ' ' | '\t' | '\n' => name.push(' '),
                'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '(' | ')' | '[' | ']' => name.push(char),
                _ => name.push('-'),
            }
        }
        let tidy = name.trim_matches([' ', '-']);
        let stem = if tidy.is_empty() { "document" } else { tidy };
        let mut unlike = stem.to_owned();
        let mut count = 1;
        while self.given.contains(&unlike) {
            count += 1;
            unlike = format!("{stem} {count}");
        }
        self.given.push(unlike.clone());
        unlike
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_made_fit_and_unlike_any_other() {
        let mut names = Names::default();
        let mut name = |wanted| names.name(wanted, "pdf");
        assert_eq!(name(Some("paper.pdf")), "paper");
        assert_eq!(name(Some("paper.PDF")), "paper 2");
        assert_eq!(name(Some("Q3_report v1.2 (final).docx")), "Q3-report v1-2 (final)-docx");
        assert_eq!(name(None), "document");
        assert_eq!(name(Some(" ../.. ")), "document 2");
    }

    proptest! {
        #[test]
        fn any_name_becomes_one_that_is_taken(wanted in proptest::collection::vec("\\PC{0,250}", 0..4)) {
            let mut names = Names::default();
            let given: Vec<String> = wanted.iter().map(|wanted| names.name(Some(wanted), "pdf")).collect();
            for name in &given {
                let fits = |char: char| char.is_ascii_alphanumeric() || " -()[]".contains(char);
                prop_assert!(!name.is_empty() && name.len() <= 200 && name.chars().all(fits) && !name.contains("  "));
                prop_assert_eq!(given.iter().filter(|other| *other == name).count(), 1);
            }
        }
    }
}
