//! One thing that is wrong with the file: where, what, and how to mend it.
//!
//! A problem carries the line that it quotes. That line was cleaned of credentials when the problem
//! was made (`Quote`), so whatever is done with a problem later, no secret is in it.

use std::fmt::Write as _;

use serde::Serialize;

use super::path::Path;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file is not used.
    Error,
    /// The file works, and will probably surprise somebody.
    Warning,
}

/// A problem, ready to be shown or serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub severity: Severity,
    /// The file that it is in, where that is not routing.yaml but one that it refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// `routes[0].channels[1].weight`; empty for the file as a whole.
    pub path: String,
    /// From 1; 0 where there is no place, as in an empty file.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong, lower case, without a full stop.
    pub message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(skip)]
    pub(super) quote: Option<Quote>,
}

/// The line that a problem is about, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quote {
    pub line: String,
    /// How many characters from the column on are meant.
    pub width: usize,
}

impl Severity {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl Problem {
    /// A warning about what a setting refers to, which only who looks at the disk can find.
    pub fn warning(path: &str, message: String, hint: &str) -> Self {
        Self {
            severity: Severity::Warning,
            file: None,
            path: path.to_owned(),
            line: 0,
            column: 0,
            message,
            hint: Some(hint.to_owned()),
            quote: None,
        }
    }

    /// Something that is wrong with what a setting refers to; `path` is empty for the file as a whole.
    pub fn error(path: &str, message: String) -> Self {
        Self { severity: Severity::Error, hint: None, ..Self::warning(path, message, "") }
    }

    /// The same, with how to mend it.
    #[must_use]
    pub fn hinted(self, hint: &str) -> Self {
        Self { hint: Some(hint.to_owned()), ..self }
    }

    /// The name that `did_you_mean` has proposed in its hint.
    pub fn nearest(&self) -> Option<&str> {
        let (_, name) = self.hint.as_deref()?.split_once("did you mean `")?;
        name.split_once('`').map(|(name, _)| name)
    }

    /// The problem as a compiler would show it. `file` is the name to show for routing.yaml.
    pub fn render(&self, file: &str) -> String {
        let file = self.file.as_deref().unwrap_or(file);
        let mut out = String::from(self.severity.name());
        let subject = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        let _ = writeln!(out, ": {subject}{}", self.message);
        let margin = " ".repeat(self.line.to_string().len());
        if self.line == 0 {
            let _ = writeln!(out, "{margin}--> {file}");
        } else {
            let _ = writeln!(out, "{margin}--> {file}:{}:{}", self.line, self.column);
        }
        if let Some(quote) = &self.quote {
            // Tabs would put the marks under the wrong characters.
            let line = quote.line.replace('\t', " ");
            let indent = " ".repeat(self.column.saturating_sub(1));
            let room = line.chars().count().saturating_sub(self.column.saturating_sub(1));
            let marks = "^".repeat(quote.width.min(room).max(1));
            let _ = writeln!(out, "{margin} |");
            let _ = writeln!(out, "{} | {}", self.line, line.trim_end());
            let _ = writeln!(out, "{margin} | {indent}{marks}");
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(out, "{margin} = help: {hint}");
        }
        out
    }
}

/// A problem before its place is looked up: what the checks write.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub severity: Severity,
    pub path: Path,
    pub spot: Spot,
    pub message: String,
    pub hint: Option<String>,
}

/// What of the value at a path is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// The value itself.
    Value,
    /// The key that it stands under.
    Key,
    /// A place that the parser named: no tree exists there.
    At(Mark),
}

/// A stretch of one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// From 1; 0 for nowhere.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// In characters; 1 for what goes over several lines.
    pub width: usize,
    /// The line that it ends on.
    pub last_line: usize,
}

/// What the checks have found so far, in any order.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub fn error(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Error, path, Spot::Value, message, hint);
    }

    pub fn error_at_key(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Error, path, Spot::Key, message, hint);
    }

    pub fn error_at(&mut self, mark: Mark, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Error, &Path::root(), Spot::At(mark), message, hint);
    }

    pub fn warn(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Warning, path, Spot::Value, message, hint);
    }

    pub fn warn_at_key(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Warning, path, Spot::Key, message, hint);
    }

    /// The line of the first that has one of its own, from 1; 0 where none has.
    pub fn first_line(&self) -> usize {
        let line = |finding: &Finding| match finding.spot {
            Spot::At(mark) => Some(mark.line),
            Spot::Value | Spot::Key => None,
        };
        self.0.iter().find_map(line).unwrap_or_default()
    }

    pub fn any_error(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Something was found where the parser stopped or left something out.
    pub fn any_without_a_tree(&self) -> bool {
        self.0.iter().any(|finding| matches!(finding.spot, Spot::At(_)))
    }

    /// Something at `path`, or within it, is already reported as an error.
    pub fn touches(&self, path: &Path) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error && finding.path.is_within(path))
    }

    pub fn into_vec(self) -> Vec<Finding> {
        self.0
    }

    fn push(
        &mut self,
        severity: Severity,
        path: &Path,
        spot: Spot,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        self.0.push(Finding { severity, path: path.clone(), spot, message: message.into(), hint });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown_with_its_place_its_line_and_its_remedy() {
        let problem = Problem {
            severity: Severity::Error,
            file: None,
            path: "routes[0].channels[1].weight".to_owned(),
            line: 14,
            column: 28,
            message: "0 is not allowed".to_owned(),
            hint: Some("use 1 to 1000".to_owned()),
            quote: Some(Quote { line: "      - {upstream: b, weight: 0}".to_owned(), width: 1 }),
        };
        assert_eq!(
            problem.render("routing.yaml"),
            "\
error: routes[0].channels[1].weight: 0 is not allowed
  --> routing.yaml:14:28
   |
14 |       - {upstream: b, weight: 0}
   |                            ^
   = help: use 1 to 1000
"
        );
    }

    #[test]
    fn the_name_that_was_probably_meant_is_the_one_of_the_hint() {
        let of = |hint: String| Problem::warning("", String::new(), &hint).nearest().map(str::to_owned);
        let hint = crate::config::did_you_mean("wieght", ["weight", "tier"]) + "known are weight and tier";
        assert_eq!(of(hint).as_deref(), Some("weight"));
        assert_eq!(of("use 1 to 1000".to_owned()), None);
    }

    #[test]
    fn a_problem_without_a_place_quotes_nothing() {
        let problem = Problem {
            severity: Severity::Warning,
            file: None,
            path: String::new(),
            line: 0,
            column: 0,
            message: "the file is empty".to_owned(),
            hint: None,
            quote: None,
        };
        assert_eq!(problem.render("x.yaml"), "warning: the file is empty\n --> x.yaml\n");
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["severity"], "warning");
        assert_eq!(json["line"], 0);
    }
}
