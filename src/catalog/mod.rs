//! What is known of models: limits, abilities, prices, as of a date.
//!
//! | file | job |
//! |---|---|
//! | `rows` | the embedded text, searched where it lies; nothing of it is parsed at start or kept |
//! | `row` | one line of it |
//! | [`own`] | what an operator's file says, over it |
//! | `markup` | what an operator puts on a provider's prices |
//! | `names` | under which other names a model's row may stand |
//! | [`price`], [`mod@unit`] | what one of what costs |
//! | `rates` | the prices of one model, read once |
//! | [`mod@cost`] | what a usage costs at those prices |
//! | `words` | letters and words of modes, abilities and endpoints |
//! | [`date`] | days |
//!
//! `scripts/catalog` makes the text from a collection of what the providers publish. A model that is not
//! here is unknown, and so is what a row does not say: nothing is guessed by likeness. Reading the
//! operator's file is `config`'s affair.

pub mod cost;
pub mod date;
mod markup;
mod names;
pub mod own;
pub mod price;
mod rates;
mod row;
mod rows;
pub mod unit;
mod words;

use std::iter::Peekable;
use std::sync::Arc;

pub use cost::{By, Cost, Line, Together, charge, cost, cost_together};
pub use date::Date;
pub use markup::Markup;
pub use names::base as base_name;
pub use own::{DatedPrices, Own, OwnModel};
pub use price::{Meter, Price, Prices};
pub use rates::Rates;
pub use unit::Unit;
pub use words::{ABILITIES, MODES};

pub use crate::vocab::Tier;
use crate::vocab::{Facts, Mode};
use row::Row;
use rows::Rows;

const EMBEDDED: &str = include_str!("models.txt");

/// Everything that is known of models.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalog {
    rows: Rows,
    own: Arc<Own>,
    as_of: Date,
    models: usize,
}

impl Default for Catalog {
    fn default() -> Self {
        Self::embedded()
    }
}

impl Catalog {
    /// As the program brings it.
    pub fn embedded() -> Self {
        Self::of(Rows::new(EMBEDDED))
    }

    fn of(rows: Rows) -> Self {
        let (as_of, models) = (rows.as_of(), rows.models());
        Self { rows, own: Arc::default(), as_of, models }
    }

    /// What is embedded, with `own` over it, model by model and field by field.
    #[must_use]
    pub fn overridden_by(&self, own: Own) -> Self {
        let new = |(provider, model): &(&str, &str)| self.rows.find(provider, model).is_none();
        let models = self.rows.models() + own.names().filter(new).count();
        Self { rows: self.rows, as_of: own.as_of.unwrap_or(self.rows.as_of()), own: Arc::new(own), models }
    }

    /// The day on which this was true.
    pub fn as_of(&self) -> Date {
        self.as_of
    }

    /// How many models are in it, price rows included.
    pub fn models(&self) -> usize {
        self.models
    }

    /// What is known of `model` as `provider` serves it, under this name or one that says the same: without
    /// `models/`, a Bedrock inference profile's region, a Bedrock version, a tuned model's owner, or the date of a
    /// snapshot.
    pub fn find(&self, provider: &str, model: &str) -> Option<Entry<'_>> {
        let (names, markup) = (names::of(provider, model), self.own.markup(provider));
        let mut own = names.iter().map(|name| self.own.find(provider, name));
        let like = |(_, own): &(&str, &OwnModel)| self.row_of(provider, own.like.as_deref()?);
        let mut rows = names.iter().map(|name| self.rows.find(provider, name));
        // What an operator wrote about a name lies over the nearest row, and never over a nearer one.
        let said = own.position_some();
        let at = rows.position_some();
        match (said, at) {
            (None, None) => None,
            (Some((near, own)), row) if row.as_ref().is_none_or(|(far, _)| near <= *far) => {
                let row = like(&own).or_else(|| row.map(|(_, row)| row));
                Some(Entry { row, own: Some(own), markup })
            }
            (_, row) => Some(Entry { row: row.map(|(_, row)| row), own: None, markup }),
        }
    }

    fn row_of(&self, provider: &str, model: &str) -> Option<Row> {
        names::of(provider, model).iter().find_map(|name| self.rows.find(provider, name))
    }

    /// The name that tells which model it is: that of the one that the operator says it is `like`, or else its own.
    pub fn known_as<'m>(&'m self, provider: &str, model: &'m str) -> &'m str {
        let said = names::of(provider, model).iter().find_map(|name| self.own.find(provider, name));
        said.and_then(|(_, own)| own.like.as_deref()).unwrap_or(model)
    }

    /// The model of exactly this name.
    pub fn exactly(&self, provider: &str, model: &str) -> Option<Entry<'_>> {
        let (row, own) = (self.rows.find(provider, model), self.own.find(provider, model));
        let entry = Entry { row, own, markup: self.own.markup(provider) };
        (entry.row.is_some() || entry.own.is_some()).then_some(entry)
    }

    /// Limits and abilities of `model` at `provider`: [`Catalog::find`], and for those who relay to other
    /// vendors (`anthropic/claude-…`) what is known of the model at its own vendor. Prices differ there, so
    /// they are not looked for.
    pub fn facts(&self, provider: &str, model: &str) -> Facts {
        let entry = self.find(provider, model).or_else(|| {
            let (vendor, name) = names::at_vendor(model)?;
            self.find(vendor, &name)
        });
        entry.map(|entry| entry.facts()).unwrap_or_default()
    }

    /// Everybody of whose models anything is known, in order.
    pub fn providers(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.rows.providers().collect();
        all.extend(self.own.names().map(|(provider, _)| provider));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether anything is known of models of `provider`.
    pub fn knows(&self, provider: &str) -> bool {
        self.models_of(provider).next().is_some()
    }

    /// The models that can be asked for at `provider`, by name, in order. Rows that are mere prices (of a
    /// region, of a picture's size) are left out.
    pub fn models_of(&self, provider: &str) -> impl Iterator<Item = (&str, Entry<'_>)> {
        let markup = self.own.markup(provider);
        let rows = self
            .rows
            .of(provider)
            .map(move |(name, row)| (name, Entry { row: Some(row), own: None, markup }));
        let own = self
            .own
            .of(provider)
            .map(move |(name, own)| (name, Entry { row: None, own: Some((name, own)), markup }));
        Merged { rows: rows.peekable(), own: own.peekable() }.filter(|(_, entry)| entry.is_callable())
    }
}

/// What is known of one model.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    row: Option<Row>,
    /// What the operator says, and of whom.
    own: Option<(&'a str, &'a OwnModel)>,
    markup: Markup,
}

impl<'a> Entry<'a> {
    /// The name that it stands under.
    pub fn name(&self) -> &'a str {
        self.own.map(|(name, _)| name).or_else(|| self.row.map(|row| row.name().1)).unwrap_or_default()
    }

    pub fn facts(&self) -> Facts {
        let mut facts = self.row.map(Row::facts).unwrap_or_default();
        if let Some((_, own)) = self.own {
            own.teach(&mut facts);
        }
        facts
    }

    pub fn mode(&self) -> Option<Mode> {
        self.own.and_then(|(_, own)| own.mode).or_else(|| self.row.and_then(Row::mode))
    }

    /// What the provider's own row says it costs, with the operator's prices of that day (UTC) over it, one by one. The
    /// row knows the prices of its own day only, and they stand for all others. The operator's markup is in all of
    /// them.
    pub fn prices(&self, on: Date) -> Prices<'a> {
        let (provider, row) = self.row.map_or(("", ""), |row| (row.name().0, row.prices()));
        Prices::new(provider, row, self.own.map(|(_, own)| own.prices.on(on)), self.markup)
    }

    /// The days on which its prices change, in order.
    pub fn price_changes(&self) -> impl Iterator<Item = Date> + use<'a> {
        self.own.into_iter().flat_map(|(_, own)| own.prices.changes())
    }

    /// Tokens below which nothing is cached.
    pub fn cache_min_tokens(&self) -> Option<u64> {
        self.own
            .and_then(|(_, own)| own.cache_min_tokens)
            .or_else(|| self.row.and_then(Row::cache_min_tokens))
    }

    /// The day on which the provider turns it off, or did.
    pub fn deprecated_on(&self) -> Option<Date> {
        self.own.and_then(|(_, own)| own.deprecated_on).or_else(|| self.row.and_then(Row::deprecated_on))
    }

    /// Paths of OpenAI's that serve it, where that is known; empty says nothing.
    pub fn endpoints(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.row.map(Row::endpoints).into_iter().flatten()
    }

    /// Whether its name is a model's, and not that of a price.
    pub fn is_callable(&self) -> bool {
        self.own.is_some() || self.row.is_some_and(Row::is_callable)
    }
}

/// Two sorted lists as one; a name of both is one entry.
struct Merged<R: Iterator, O: Iterator> {
    rows: Peekable<R>,
    own: Peekable<O>,
}

impl<'a, R, O> Iterator for Merged<R, O>
where
    R: Iterator<Item = (&'a str, Entry<'a>)>,
    O: Iterator<Item = (&'a str, Entry<'a>)>,
{
    type Item = (&'a str, Entry<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (Some((row, _)), Some((own, _))) = (self.rows.peek(), self.own.peek()) else {
            return self.rows.next().or_else(|| self.own.next());
        };
        match row.cmp(own) {
            std::cmp::Ordering::Less => self.rows.next(),
            std::cmp::Ordering::Greater => self.own.next(),
            std::cmp::Ordering::Equal => {
                let (name, row) = self.rows.next()?;
                let (_, own) = self.own.next()?;
                Some((name, Entry { row: row.row, own: own.own, markup: row.markup }))
            }
        }
    }
}

/// The first that is there, and its place.
trait PositionSome<T> {
    fn position_some(&mut self) -> Option<(usize, T)>;
}

impl<T, I: Iterator<Item = Option<T>>> PositionSome<T> for I {
    fn position_some(&mut self) -> Option<(usize, T)> {
        self.enumerate().find_map(|(at, one)| one.map(|one| (at, one)))
    }
}

#[cfg(test)]
mod tests;
