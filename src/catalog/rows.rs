//! The embedded text: one model a line, sorted by `provider/model`, searched where it lies.
//!
//! The first line is the day, the number of models and the number of prices.

use memchr::{memchr, memrchr};

use super::date::Date;
use super::row::Row;

/// A catalog's text. Copying it copies a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    as_of: Date,
    models: usize,
    /// Without the first line.
    lines: &'static str,
}

impl Rows {
    /// Panics on a text whose first line is broken, which `scripts/catalog` does not write.
    pub fn new(text: &'static str) -> Self {
        let (head, lines) = text.split_once('\n').expect("a catalog has a first line");
        let mut head = head.split('\t');
        let as_of = head.next().and_then(Date::parse).expect("a catalog begins with its day");
        let models = head.next().and_then(|count| count.parse().ok()).expect("a catalog counts its models");
        Self { as_of, models, lines }
    }

    pub fn as_of(&self) -> Date {
        self.as_of
    }

    pub fn models(&self) -> usize {
        self.models
    }

    pub fn find(&self, provider: &str, model: &str) -> Option<Row> {
        let rest = self.from(provider, model);
        let row = Row::new(rest.split('\n').next()?);
        (row.name() == (provider, model)).then_some(row)
    }

    /// The models of `provider`, in the order of their names.
    pub fn of(&self, provider: &str) -> impl Iterator<Item = (&'static str, Row)> + use<> {
        let provider = provider.to_owned();
        let rows = self.from(&provider, "").lines().map(Row::new);
        rows.map_while(move |row| {
            let (found, model) = row.name();
            (found == provider).then_some((model, row))
        })
    }

    /// Whose models they are, a name for each of them.
    pub fn providers(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.lines.lines().map(|line| Row::new(line).name().0)
    }

    /// The lines from the first one on that is not before `provider/model`.
    fn from(&self, provider: &str, model: &str) -> &'static str {
        let text = self.lines.as_bytes();
        // Both are always the beginning of a line, or the end of the text.
        let (mut low, mut high) = (0, text.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let begin = memrchr(b'\n', &text[low..middle]).map_or(low, |at| low + at + 1);
            let end = memchr(b'\n', &text[begin..high]).map_or(high, |at| begin + at + 1);
            let line = &text[begin..end];
            let key = &line[..memchr(b'\t', line).unwrap_or(line.len())];
            let sought = provider.bytes().chain([b'/']).chain(model.bytes());
            if key.iter().copied().lt(sought) { low = end } else { high = begin }
        }
        self.lines.get(low..).unwrap_or_default()
    }
}
