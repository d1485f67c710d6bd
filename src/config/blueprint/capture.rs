//! What is captured of requests and answers, for how long, and what is struck out of it.

use std::path::PathBuf;
use std::time::Duration;

use regex::{Regex, RegexBuilder};

use crate::config::percent::Percent;

/// Memory that one expression may take once it is compiled, in bytes; as much again while it searches.
const EXPRESSION_SIZE: usize = 1 << 20;

/// Requests and answers on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// Where it is off, what is there is still shown, and goes in its time.
    pub enabled: bool,
    /// The directory, as the file names it.
    pub path: PathBuf,
    /// Only of these; of all where there is none.
    pub routes: Vec<Box<str>>,
    /// Only of these; of all where there is none.
    pub keys: Vec<Box<str>>,
    pub share: Percent,
    pub only: Captured,
    /// Of a request or an answer, in bytes.
    pub max_body: usize,
    /// Of all that is on disk, in bytes.
    pub max_total: u64,
    pub retention: Duration,
    /// Whether callers may refuse.
    pub opt_out: bool,
    pub redact: Redact,
}

/// Which requests are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Captured {
    All,
    /// Those that went wrong.
    Failed,
}

/// What is struck out.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Redact {
    pub keys: bool,
    pub email: bool,
    pub cards: bool,
    pub phone: bool,
    pub patterns: Vec<Expression>,
}

/// A regular expression that takes linear time, and memory within a bound.
#[derive(Clone, Debug)]
pub struct Expression(Regex);

impl Expression {
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut builder = RegexBuilder::new(text);
        let regex = builder.size_limit(EXPRESSION_SIZE).dfa_size_limit(EXPRESSION_SIZE).build();
        let regex = regex.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it takes more than 1 MiB once it is compiled".to_owned(),
            // Its last line says what; those before draw a picture of where.
            error => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.strip_prefix("error: ").unwrap_or(last).to_owned()
            }
        })?;
        if regex.is_match("") {
            return Err("it fits where there is nothing".to_owned());
        }
        Ok(Self(regex))
    }

    pub fn regex(&self) -> &Regex {
        &self.0
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}
