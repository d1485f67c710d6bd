//! A file's text as operators may read, edit and send it back: whatever is secret in it has a stand-in, which becomes
//! that secret again when the text comes back.
//!
//! What is secret is `redact`'s judgement. A stand-in is a hash of the secret and of a salt that nobody sees, so it
//! tells nothing, is the same wherever the secret stands, and may be moved about with its line. References (`${NAME}`,
//! `file:`) are no secrets and stay as they are written.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::problem::{Findings, Mark, Problem, Severity};
use super::redact::{Redactor, Tree};
use super::tree;

/// How every stand-in begins. Nothing in YAML has a meaning in it.
const BEGINS: &str = "REDACTED-";
/// Hex digits behind that.
const DIGITS: usize = 12;

/// What stand-ins stand for.
pub struct Veil {
    salt: [u8; 32],
    secrets: HashMap<String, String>,
}

/// A text with its secrets in their places.
pub struct Lifted {
    pub text: String,
    /// Where stand-ins were, and what is there now: in the order of the text.
    moved: Vec<(Range<usize>, Range<usize>)>,
}

impl Veil {
    pub fn new(salt: [u8; 32]) -> Self {
        Self { salt, secrets: HashMap::new() }
    }

    pub const fn salt(&self) -> &[u8; 32] {
        &self.salt
    }

    /// `text` without secrets. What it has of them is remembered.
    pub fn lower(&mut self, text: &str) -> String {
        let Some(root) = tree::parse(text, &mut Findings::default()) else { return struck(text) };
        let redactor = Redactor::new(Some(&root), Tree::Whole);
        let mut shown = String::with_capacity(text.len());
        let mut from = 0;
        for secret in merged(ranges(&redactor, text)) {
            shown.push_str(&text[from..secret.start]);
            from = secret.end;
            let secret = &text[secret];
            let stand_in = self.stand_in(secret);
            shown.push_str(&stand_in);
            self.secrets.insert(stand_in, secret.to_owned());
        }
        shown.push_str(&text[from..]);
        shown
    }

    /// `text` with the secrets that its stand-ins mean.
    ///
    /// # Errors
    /// Where there are stand-ins that mean nothing here, a problem for each of them.
    pub fn lift(&self, text: &str) -> Result<Lifted, Vec<Problem>> {
        let mut lifted = Lifted { text: String::with_capacity(text.len()), moved: Vec::new() };
        let (mut from, mut unknown) = (0, Vec::new());
        for stand_in in stand_ins(text) {
            lifted.text.push_str(&text[from..stand_in.start]);
            from = stand_in.end;
            match self.secrets.get(&text[stand_in.clone()]) {
                Some(secret) => {
                    let begins = lifted.text.len();
                    lifted.text.push_str(secret);
                    lifted.moved.push((stand_in, begins..lifted.text.len()));
                }
                None => unknown.push(meaningless(text, &stand_in)),
            }
        }
        lifted.text.push_str(&text[from..]);
        if unknown.is_empty() { Ok(lifted) } else { Err(unknown) }
    }

    /// Forgets the secrets that none of these texts has.
    pub fn keep<'t>(&mut self, shown: impl Iterator<Item = &'t str>) {
        let mut before = std::mem::take(&mut self.secrets);
        for text in shown {
            for stand_in in stand_ins(text) {
                if let Some((stand_in, secret)) = before.remove_entry(&text[stand_in]) {
                    self.secrets.insert(stand_in, secret);
                }
            }
        }
    }

    fn stand_in(&self, secret: &str) -> String {
        let hash = Sha256::new().chain_update(self.salt).chain_update(secret).finalize();
        let mut stand_in = BEGINS.to_owned();
        for byte in &hash[..DIGITS / 2] {
            let _ = write!(stand_in, "{byte:02x}");
        }
        stand_in
    }
}

impl Lifted {
    /// Moves the places of problems to where they are in the text that was sent, which is `shown`.
    pub fn replace(&self, shown: &str, problems: &mut [Problem]) {
        if self.moved.is_empty() {
            return;
        }
        for problem in problems.iter_mut().filter(|problem| problem.line > 0 && problem.file.is_none()) {
            let at = self.sent(offset(&self.text, problem.line, problem.column));
            (problem.line, problem.column) = place(shown, at);
        }
    }

    /// Where a byte of the text was in the one that was sent.
    fn sent(&self, at: usize) -> usize {
        let before = self.moved.iter().rev().find(|(_, lifted)| lifted.start <= at);
        match before {
            None => at,
            Some((shown, lifted)) if at < lifted.end => shown.start,
            Some((shown, lifted)) => at - lifted.end + shown.end,
        }
    }
}

/// What is no YAML is not edited further; nobody learns secrets by that.
fn struck(text: &str) -> String {
    let redactor = Redactor::new(None, Tree::Partial);
    let lines: Vec<&str> = text.lines().collect();
    let clean = lines.iter().enumerate().map(|(at, line)| redactor.clean_line(at + 1, line, &lines[..at]));
    clean.fold(String::new(), |text, line| text + &line + "\n")
}

/// Where secrets stand, in any order.
fn ranges(redactor: &Redactor, text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (mark, raw) in redactor.places() {
        at_place(text, *mark, raw, &mut found);
    }
    for (mark, secret) in redactor.within() {
        let mut whole = Vec::new();
        at_place(text, *mark, secret, &mut whole);
        // Written as it reads, it is found below, and the rest stays.
        if whole.iter().all(|range| !text[range.clone()].contains(secret.as_str())) {
            found.extend(whole);
        }
    }
    for secret in redactor.secrets() {
        found.extend(text.match_indices(secret.as_str()).map(|(at, _)| at..at + secret.len()));
    }
    found.extend(redactor.keylike(text));
    found.retain(|range| !range.is_empty());
    found
}

/// One value that is a secret by where it stands: without its quotes, which go on to keep what is in them together.
fn at_place(text: &str, mark: Mark, raw: &str, found: &mut Vec<Range<usize>>) {
    let start = offset(text, mark.line, mark.column);
    let rest = &text[start..];
    if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        found.push(start + 1..start + 1 + closing(&rest[1..], quote));
    } else if mark.line == mark.last_line {
        let width: usize = rest.chars().take(mark.width).map(char::len_utf8).sum();
        found.push(start..start + rest[..width].trim_end().len());
    } else {
        // A value of several lines: each of them by itself, so that its indentation stays.
        let parts: Vec<&str> =
            raw.split(['\n', ' ']).map(str::trim).filter(|part| !part.is_empty()).collect();
        let lines = text.split_inclusive('\n').scan(0, |at, line| {
            *at += line.len();
            Some((*at - line.len(), line))
        });
        for (at, line) in lines.skip(mark.line - 1).take(mark.last_line + 1 - mark.line) {
            let from = if at < start { start - at } else { line.len() - line.trim_start().len() };
            let part = line.get(from..).unwrap_or_default().trim_end();
            let is_its = part.split(' ').filter(|word| !word.is_empty()).all(|word| parts.contains(&word));
            if is_its {
                found.push(at + from..at + from + part.len());
            }
        }
    }
}

/// How many bytes there are before the quote that ends a text.
fn closing(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote == '"' => drop(chars.next()),
            c if c != quote => {}
            // Twice is one of them, and no end.
            '\'' if chars.peek().is_some_and(|(_, next)| *next == '\'') => drop(chars.next()),
            _ => return at,
        }
    }
    text.len()
}

/// In their order, and none in another.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            Some(_) | None => merged.push(range),
        }
    }
    merged
}

/// Where there are stand-ins.
fn stand_ins(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    text.match_indices(BEGINS).filter_map(|(at, _)| {
        let digits = text.as_bytes().get(at + BEGINS.len()..at + BEGINS.len() + DIGITS)?;
        let are_digits = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        are_digits.then(|| at..at + BEGINS.len() + DIGITS)
    })
}

fn meaningless(text: &str, stand_in: &Range<usize>) -> Problem {
    let (line, column) = place(text, stand_in.start);
    Problem {
        severity: Severity::Error,
        file: None,
        path: String::new(),
        line,
        column,
        message: format!("{} stands for no secret that is known here", &text[stand_in.clone()]),
        hint: Some("write the secret itself, or better a reference to it: ${NAME} or file:PATH".to_owned()),
        quote: None,
    }
}

/// The byte at a line and a column, both from 1, or the end of what there is of it.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let within = text[before..].chars().take(column.saturating_sub(1)).take_while(|c| *c != '\n');
    before + within.map(char::len_utf8).sum::<usize>()
}

/// The line and the column of a byte.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests;
