//! What an operator's file says of models, over what is embedded.

use std::collections::BTreeMap;

use super::date::Date;
use super::markup::Markup;
use super::price::{Meter, Price};
use crate::vocab::{Ability, Facts, Mode};

/// Everything that the file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    /// Instead of the embedded day.
    pub as_of: Option<Date>,
    models: BTreeMap<Box<str>, BTreeMap<Box<str>, OwnModel>>,
    /// By provider.
    markups: BTreeMap<Box<str>, Markup>,
}

/// What it says of one model; the rest stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnModel {
    /// The model of the same provider that it is: what is known of that one is known of this.
    pub like: Option<Box<str>>,
    pub context: Option<u64>,
    pub max_output: Option<u64>,
    pub dimensions: Option<u32>,
    pub mode: Option<Mode>,
    /// What it can and what it cannot do.
    pub abilities: Vec<(Ability, bool)>,
    pub prices: DatedPrices,
    pub cache_min_tokens: Option<u64>,
    pub deprecated_on: Option<Date>,
}

/// Prices in the course of time: what holds from a day on lies over what held before, one by one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DatedPrices {
    /// Of every day before the first.
    always: BTreeMap<Meter, Price>,
    /// All that hold from a day on, in the order of days.
    later: Vec<(Date, BTreeMap<Meter, Price>)>,
}

impl DatedPrices {
    /// Prices by the day from which they hold; those without one hold from ever.
    pub fn new(said: impl IntoIterator<Item = (Option<Date>, BTreeMap<Meter, Price>)>) -> Self {
        let mut said: Vec<_> = said.into_iter().collect();
        said.sort_by_key(|(from, _)| *from);
        let mut all = Self::default();
        for (from, prices) in said {
            match from {
                None => all.always.extend(prices),
                Some(from) => {
                    let mut whole = all.later.last().map_or(&all.always, |(_, last)| last).clone();
                    whole.extend(prices);
                    all.later.push((from, whole));
                }
            }
        }
        all
    }

    /// Those of a day.
    pub(super) fn on(&self, day: Date) -> &BTreeMap<Meter, Price> {
        let last = self.later.iter().rev().find(|(from, _)| *from <= day);
        last.map_or(&self.always, |(_, prices)| prices)
    }

    /// The days on which they change.
    pub(super) fn changes(&self) -> impl Iterator<Item = Date> {
        self.later.iter().map(|(from, _)| *from)
    }
}

impl<const N: usize> From<[(Meter, Price); N]> for DatedPrices {
    fn from(prices: [(Meter, Price); N]) -> Self {
        Self { always: prices.into(), later: Vec::new() }
    }
}

impl Own {
    pub fn add(&mut self, provider: &str, model: &str, said: OwnModel) {
        self.models.entry(provider.into()).or_default().insert(model.into(), said);
    }

    /// On all prices of `provider`, those of this file too.
    pub fn mark_up(&mut self, provider: &str, markup: Markup) {
        self.markups.insert(provider.into(), markup);
    }

    pub(super) fn markup(&self, provider: &str) -> Markup {
        self.markups.get(provider).copied().unwrap_or_default()
    }

    pub(super) fn find(&self, provider: &str, model: &str) -> Option<(&str, &OwnModel)> {
        self.models.get(provider)?.get_key_value(model).map(|(name, said)| (&**name, said))
    }

    pub(super) fn of(&self, provider: &str) -> impl Iterator<Item = (&str, &OwnModel)> {
        self.models.get(provider).into_iter().flatten().map(|(name, model)| (&**name, model))
    }

    /// Provider and model of everything in it.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.models.iter().flat_map(|(provider, models)| models.keys().map(|name| (&**provider, &**name)))
    }
}

impl OwnModel {
    pub(super) fn teach(&self, facts: &mut Facts) {
        facts.context = self.context.or(facts.context);
        facts.max_output = self.max_output.or(facts.max_output);
        facts.dimensions = self.dimensions.or(facts.dimensions);
        facts.mode = self.mode.or(facts.mode);
        for (ability, able) in &self.abilities {
            facts.learn(*ability, *able);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_holds_from_its_day_on_and_the_others_stay() {
        let day = |text: &str| Date::parse(text).expect("a day");
        let meter = |word: &str| Meter::by_word(word).expect("a unit");
        let of = |word: &str, femto: u64| (meter(word), Price::new(femto));
        let prices = DatedPrices::new([
            (Some(day("2026-10-01")), [of("input", 3)].into()),
            (None, [of("input", 1), of("output", 10)].into()),
            (Some(day("2026-06-01")), [of("input", 2), of("cache_read", 5)].into()),
        ]);
        for (on, input, cached) in [
            ("2026-05-31", 1, None),
            ("2026-06-01", 2, Some(5)),
            ("2026-09-30", 2, Some(5)),
            ("2026-10-01", 3, Some(5)),
            ("2030-01-01", 3, Some(5)),
        ] {
            let held = prices.on(day(on));
            assert_eq!(held.get(&meter("input")), Some(&Price::new(input)), "{on}");
            assert_eq!(held.get(&meter("cache_read")), cached.map(Price::new).as_ref(), "{on}");
            assert_eq!(held.get(&meter("output")), Some(&Price::new(10)), "{on}");
        }
        assert!(prices.changes().eq([day("2026-06-01"), day("2026-10-01")]));
    }
}
