//! Which automatic route a bare model's name means: the one of exactly those providers that have it.

use crate::catalog::Catalog;

/// The automatic routes for bare names, by the providers that each is for.
#[derive(Debug, Default)]
pub struct Listed {
    /// Every provider of them, once; its place here is its bit in a set.
    providers: Vec<&'static str>,
    routes: Vec<(u64, usize)>,
}

impl Listed {
    /// More providers than a set has bits are more than the vendor table has.
    const MOST: usize = u64::BITS as usize;

    /// Route `index` takes what exactly `providers` have.
    pub fn add(&mut self, providers: &[&'static str], index: usize) {
        for provider in providers {
            if !self.providers.contains(provider) && self.providers.len() < Self::MOST {
                self.providers.push(provider);
            }
        }
        let set = self.set(|provider| providers.contains(&provider));
        self.routes.push((set, index));
    }

    /// The route of `model`: by its own name, or by the name under which the first provider knows it.
    pub fn route_of(&self, catalog: &Catalog, model: &str) -> Option<usize> {
        let by_name = |name: &str| {
            let has =
                |provider: &str| catalog.exactly(provider, name).is_some_and(|entry| entry.is_callable());
            let set = self.set(has);
            self.routes.iter().find(|(known, _)| *known == set).map(|(_, index)| *index)
        };
        by_name(model).or_else(|| {
            let known = self.providers.iter().find_map(|provider| catalog.find(provider, model))?;
            by_name(known.name())
        })
    }

    /// Every name that one of the routes takes by the catalog, once, in order.
    pub fn names<'a>(&self, catalog: &'a Catalog) -> Vec<&'a str> {
        let models = self.providers.iter().flat_map(|provider| catalog.models_of(provider));
        let mut names: Vec<&str> = models.map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn set(&self, has: impl Fn(&'static str) -> bool) -> u64 {
        let bits = self.providers.iter().enumerate().filter(|(_, provider)| has(provider));
        bits.fold(0, |set, (place, _)| set | 1 << place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Own, OwnModel};

    #[test]
    fn a_name_means_the_route_of_those_who_have_it() {
        let mut own = Own::default();
        for (provider, model) in [("pa", "x"), ("pa", "both"), ("pb", "both"), ("pc", "both"), ("pb", "y")] {
            own.add(provider, model, OwnModel::default());
        }
        let catalog = Catalog::embedded().overridden_by(own);
        let mut listed = Listed::default();
        for (index, set) in [&["pa"][..], &["pb"], &["pa", "pb"]].into_iter().enumerate() {
            listed.add(set, index);
        }
        let check = |model: &str, route: Option<usize>| {
            assert_eq!(listed.route_of(&catalog, model), route, "{model}");
        };
        check("x", Some(0));
        check("y", Some(1));
        check("both", Some(2));
        check("both-2026-01-01", Some(2));
        check("neither", None);
        check("gpt-5.4", None);
        assert_eq!(listed.names(&catalog), ["both", "x", "y"]);
    }
}
