//! A model's prices, read once: for whoever charges for every attempt. The embedded text is read at each look
//! otherwise.

use super::price::{Meter, Price, Prices};

/// All prices of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    provider: &'static str,
    all: Box<[(Meter, Price)]>,
}

impl Rates {
    pub fn of(prices: &Prices<'_>) -> Self {
        Self { provider: prices.provider(), all: prices.all().collect() }
    }

    pub fn prices(&self) -> Prices<'_> {
        Prices::read(self.provider, &self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Tier, Unit};

    #[test]
    fn what_was_read_once_is_what_stands_in_the_catalog() {
        let catalog = Catalog::embedded();
        for provider in catalog.providers() {
            for (model, entry) in catalog.models_of(provider) {
                let (prices, rates) = (entry.prices(), Rates::of(&entry.prices()));
                let read = rates.prices();
                assert!(
                    prices.all().eq(read.all()) && prices.provider() == read.provider(),
                    "{provider}/{model}"
                );
                let of = |prices: &Prices<'_>| prices.of(Unit::Input, Tier::Standard, 300_000);
                assert_eq!(of(&prices), of(&read), "{provider}/{model}");
            }
        }
    }
}
