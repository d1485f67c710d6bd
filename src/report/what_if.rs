//! What the same tokens would have cost at another model.
//!
//! An estimate in three respects, beside the one that another model would have said something else: its tokens are
//! counted otherwise, prices are those of the standard tier, and where prices rise with the prompt, all prompts of one
//! model count as long as their mean. What was used and has no price there makes the whole unknown.

use std::collections::BTreeSet;

use super::Failed;
use super::sheet::Cell;
use crate::catalog::{Catalog, Date, Entry, Together, Unit, cost_together};
use crate::config::did_you_mean;
use crate::store::Totals;
use crate::vocab::Money;

/// A model of the catalog.
pub struct Other<'c> {
    pub name: String,
    entry: Entry<'c>,
    on: Date,
}

/// What it would have cost there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhatIf {
    femto: u128,
    missing: BTreeSet<&'static str>,
}

/// The model that `said` means; its prices of the day `on`.
pub fn find<'c>(catalog: &'c Catalog, said: &str, on: Date) -> Result<Other<'c>, Failed> {
    let providers = catalog.providers();
    let exact = said.split_once('/').and_then(|(provider, model)| {
        let provider = providers.iter().find(|known| **known == provider)?;
        Some((*provider, catalog.find(provider, model)?))
    });
    let found: Vec<(&str, Entry<'c>)> = match exact {
        Some(found) => vec![found],
        None => {
            providers.iter().filter_map(|provider| Some((*provider, catalog.find(provider, said)?))).collect()
        }
    };
    match found.as_slice() {
        [(provider, entry)] => Ok(Other { name: format!("{provider}/{}", entry.name()), entry: *entry, on }),
        [] => {
            let names: Vec<String> = providers
                .iter()
                .flat_map(|provider| {
                    catalog.models_of(provider).map(move |(name, _)| format!("{provider}/{name}"))
                })
                .collect();
            let close = did_you_mean(said, names.iter().map(String::as_str));
            Failed::wrong(format!("the catalog has no {said}; {close}write it as in openai/gpt-5.4-mini"))
        }
        several => {
            let whose: Vec<&str> = several.iter().map(|(provider, _)| *provider).collect();
            Failed::wrong(format!(
                "{said} is sold by {}: name one, as in {}/{said}",
                whose.join(", "),
                whose[0]
            ))
        }
    }
}

impl Other<'_> {
    /// What attempts of one model used together.
    pub fn price(&self, totals: &Totals) -> WhatIf {
        let Totals { attempts, tokens, images, searches, characters, audio_millis, .. } = *totals;
        let used = Together { attempts, tokens, other: [images, searches, characters, audio_millis] };
        match cost_together(&self.entry.prices(self.on), &used) {
            Ok(femto) => WhatIf { femto, missing: BTreeSet::new() },
            Err(unit) => WhatIf { femto: 0, missing: BTreeSet::from([Unit::word(unit)]) },
        }
    }

    /// The names of its columns.
    pub fn columns(&self) -> [String; 3] {
        ["cost_usd", "difference_usd", "no_price_for"].map(|column| format!("at:{}:{column}", self.name))
    }
}

impl WhatIf {
    pub fn add(&mut self, other: &Self) {
        self.femto = self.femto.saturating_add(other.femto);
        self.missing.extend(&other.missing);
    }

    /// Beside what was paid. There is no difference where either is unknown in part.
    pub fn cells(&self, paid: &Totals) -> [Cell; 3] {
        if !self.missing.is_empty() {
            let missing: Vec<&str> = self.missing.iter().copied().collect();
            return [Cell::text("unknown"), Cell::None, Cell::text(missing.join(" "))];
        }
        let money = Money::of_femto(self.femto.min(u128::MAX / 2));
        let difference = i128::from(money.as_nano_usd()) - i128::from(paid.cost.as_nano_usd());
        let difference = if paid.unpriced == 0 { Cell::Difference(difference) } else { Cell::None };
        [Cell::Money(money), difference, Cell::None]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocab::Usage;

    fn totals(input: u64, cache_read: u64, output: u64, attempts: u64) -> Totals {
        Totals {
            attempts,
            tokens: Usage { input, cache_read, output, ..Usage::default() },
            cost: Money::nano_usd(5_000_000_000),
            ..Totals::default()
        }
    }

    fn other<'c>(catalog: &'c Catalog, said: &str) -> Other<'c> {
        find(catalog, said, catalog.as_of()).unwrap_or_else(|why| panic!("{why}"))
    }

    #[test]
    fn the_same_tokens_are_priced_elsewhere_and_a_missing_price_is_named() {
        let catalog = Catalog::embedded();
        let model = other(&catalog, "openai/gpt-5.4");
        // 900,000 x 2.5/M + 100,000 x 0.25/M + 100,000 x 15/M = 2.25 + 0.025 + 1.5.
        let used = totals(1_000_000, 100_000, 100_000, 1_000);
        let mut sum = model.price(&used);
        let money = |nano| Cell::Money(Money::nano_usd(nano));
        assert_eq!(sum.cells(&used), [money(3_775_000_000), Cell::Difference(-1_225_000_000), Cell::None]);
        assert_eq!(
            sum.cells(&Totals { unpriced: 1, ..used })[1],
            Cell::None,
            "what was paid is not all known"
        );
        // A sum is long; its prompts are not, and only where the mean one is are they dear: 272,001 x 5/M.
        let long = model.price(&totals(272_001 * 3, 0, 0, 3)).cells(&used);
        assert_eq!(long[0], money(272_001 * 3 * 5_000));
        // Searches have no price there.
        sum.add(&model.price(&Totals { searches: 1, ..used }));
        assert_eq!(sum.cells(&used), [Cell::text("unknown"), Cell::None, Cell::text("queries")]);
    }

    #[test]
    fn a_model_is_one_that_is_known_and_whose_seller_is_said() {
        let catalog = Catalog::embedded();
        let why = |said: &str| match find(&catalog, said, catalog.as_of()) {
            Err(Failed::Wrong(why)) => why,
            Ok(_) | Err(Failed::Store(_)) => panic!("{said} is found"),
        };
        assert!(why("openai/gpt-5.4-mnii").contains("did you mean `openai/gpt-5.4-mini`?"));
        assert!(why("gpt-5.4").contains("sold by azure, "), "{}", why("gpt-5.4"));
        assert_eq!(other(&catalog, "anthropic/claude-opus-5-20990101").name, "anthropic/claude-opus-5");
    }
}
