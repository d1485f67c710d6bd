//! A model's prices, read once: for whoever charges for every attempt. The embedded text is read at each look
//! otherwise.

use super::markup::Markup;
use super::price::{Meter, Price, Prices};
use super::{Date, Entry};

type Read = Box<[(Meter, Price)]>;

/// All prices of one model, of all days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    provider: &'static str,
    markup: Markup,
    always: Read,
    /// From a day on, in the order of days.
    later: Box<[(Date, Read)]>,
}

impl Rates {
    pub fn of(entry: &Entry<'_>) -> Self {
        let all = |on: Date| entry.prices(on).all().collect();
        Self {
            provider: entry.prices(Date::FIRST).provider(),
            markup: entry.prices(Date::FIRST).markup(),
            always: all(Date::FIRST),
            later: entry.price_changes().map(|from| (from, all(from))).collect(),
        }
    }

    /// Those of a day (UTC).
    pub fn prices(&self, on: Date) -> Prices<'_> {
        let last = self.later.iter().rev().find(|(from, _)| *from <= on);
        Prices::read(self.provider, last.map_or(&self.always, |(_, prices)| prices), self.markup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, DatedPrices, Own, OwnModel, Tier, Unit};

    #[test]
    fn what_was_read_once_is_what_stands_in_the_catalog() {
        let day = |text: &str| Date::parse(text).expect("a day");
        let input = |femto: u64| [(Meter::by_word("input").expect("a unit"), Price::new(femto))].into();
        let mut own = Own::default();
        let dated = DatedPrices::new([(None, input(7)), (Some(day("2026-10-01")), input(9))]);
        own.add("openai", "gpt-5.4", OwnModel { prices: dated, ..OwnModel::default() });
        own.mark_up("anthropic", Markup::parse("-12.5%").expect("a markup"));
        let catalog = Catalog::embedded().overridden_by(own);
        for provider in catalog.providers() {
            for (model, entry) in catalog.models_of(provider) {
                let rates = Rates::of(&entry);
                for on in [day("2026-09-30"), day("2026-10-01")] {
                    let (prices, read) = (entry.prices(on), rates.prices(on));
                    assert!(
                        prices.all().eq(read.all()) && prices.provider() == read.provider(),
                        "{provider}/{model}"
                    );
                    let of = |prices: &Prices<'_>| prices.of(Unit::Input, Tier::Standard, 300_000);
                    assert_eq!(of(&prices), of(&read), "{provider}/{model}");
                }
            }
        }
        let rates = Rates::of(&catalog.exactly("openai", "gpt-5.4").expect("known"));
        let of = |on| rates.prices(day(on)).of(Unit::Input, Tier::Standard, 0);
        assert_eq!((of("2026-09-30"), of("2026-10-01")), (Some(Price::new(7)), Some(Price::new(9))));
    }
}
