//! One line of the catalog: columns behind tabs, those at the end left out when empty.
//!
//! `provider/model`, mode (with `!` where the name is a price's and not a model's), context, most output,
//! abilities, lacking abilities, prices, dimensions, cache minimum, last day, endpoints. Numbers are plain,
//! modes, abilities and endpoints letters of [`words`], prices `meter=femto-USD` with blanks
//! between them ([`price`](super::price)).

use super::date::Date;
use super::words;
use crate::vocab::{Facts, Mode};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row(&'static str);

#[derive(Clone, Copy)]
enum Column {
    Name,
    Mode,
    Context,
    MaxOutput,
    Has,
    Lacks,
    Prices,
    Dimensions,
    CacheMin,
    Deprecated,
    Endpoints,
}

impl Row {
    pub fn new(line: &'static str) -> Self {
        Self(line)
    }

    /// Provider and model.
    pub fn name(self) -> (&'static str, &'static str) {
        self.column(Column::Name).split_once('/').unwrap_or_default()
    }

    pub fn facts(self) -> Facts {
        let mut columns = [""; Column::Endpoints as usize + 1];
        columns.iter_mut().zip(self.0.split('\t')).for_each(|(column, text)| *column = text);
        let column = |column: Column| columns[column as usize];
        let mut facts = Facts::default();
        facts.context = column(Column::Context).parse().ok();
        facts.max_output = column(Column::MaxOutput).parse().ok();
        facts.dimensions = column(Column::Dimensions).parse().ok();
        facts.mode = column(Column::Mode).bytes().next().and_then(words::mode);
        for (of, able) in [(Column::Has, true), (Column::Lacks, false)] {
            for ability in column(of).bytes().filter_map(words::ability) {
                facts.learn(ability, able);
            }
        }
        facts
    }

    pub fn mode(self) -> Option<Mode> {
        words::mode(*self.column(Column::Mode).as_bytes().first()?)
    }

    pub fn is_callable(self) -> bool {
        !self.column(Column::Mode).ends_with('!')
    }

    pub fn prices(self) -> &'static str {
        self.column(Column::Prices)
    }

    pub fn cache_min_tokens(self) -> Option<u64> {
        self.number(Column::CacheMin)
    }

    pub fn deprecated_on(self) -> Option<Date> {
        Date::parse(self.column(Column::Deprecated))
    }

    pub fn endpoints(self) -> impl Iterator<Item = &'static str> {
        self.column(Column::Endpoints).bytes().filter_map(words::endpoint)
    }

    fn column(self, column: Column) -> &'static str {
        self.0.split('\t').nth(column as usize).unwrap_or_default()
    }

    fn number(self, column: Column) -> Option<u64> {
        self.column(column).parse().ok()
    }

    /// The columns as they stand, for tests.
    #[cfg(test)]
    pub fn columns(self) -> Vec<&'static str> {
        self.0.split('\t').collect()
    }
}
