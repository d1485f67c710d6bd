//! What an operator's file says of models, over what is embedded.

use std::collections::BTreeMap;

use super::date::Date;
use super::price::{Meter, Price};
use crate::vocab::{Ability, Facts, Mode};

/// Everything that the file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    /// Instead of the embedded day.
    pub as_of: Option<Date>,
    models: BTreeMap<Box<str>, BTreeMap<Box<str>, OwnModel>>,
}

/// What it says of one model; the rest stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnModel {
    pub context: Option<u64>,
    pub max_output: Option<u64>,
    pub dimensions: Option<u32>,
    pub mode: Option<Mode>,
    /// What it can and what it cannot do.
    pub abilities: Vec<(Ability, bool)>,
    pub prices: BTreeMap<Meter, Price>,
    pub cache_min_tokens: Option<u64>,
    pub deprecated_on: Option<Date>,
}

impl Own {
    pub fn add(&mut self, provider: &str, model: &str, said: OwnModel) {
        self.models.entry(provider.into()).or_default().insert(model.into(), said);
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
