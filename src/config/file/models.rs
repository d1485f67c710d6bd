//! The file of `catalog.file` as it is written: what an operator knows of models.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::indexed::Named;
use super::names::{AbilityName, ModeName};

/// Facts about models, over those that the program brings.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "models.yaml")]
pub struct Models {
    /// The day on which this was true, as in 2026-11-20 (that of the program's own catalog).
    pub as_of: Option<String>,
    /// Models by name, by provider.
    pub providers: Named<Named<Model>>,
    /// What is put on all prices of a provider, as in `{openai: 20%}`, or taken off them, as in `{azure: -12.5%}` (nothing).
    pub markups: BTreeMap<String, String>,
}

/// What things cost: always, or each time with the first day (UTC) on which that holds, as in `from: 2026-10-01`. What
/// does not change on that day goes on, and what is without a day holds before.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Prices {
    Always(BTreeMap<String, String>),
    ByDay(#[schemars(length(min = 1))] Vec<BTreeMap<String, String>>),
}

impl Default for Prices {
    fn default() -> Self {
        Self::Always(BTreeMap::new())
    }
}

/// What is known of one model. What is not said stays as the program's own catalog has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// The model of this provider that it is, as in `anthropic.claude-opus-4-7`, where its own name tells nothing: the ARN
    /// of an inference profile.
    pub like: Option<String>,
    /// Most tokens of prompt and answer together.
    #[schemars(range(min = 1))]
    pub context: Option<u64>,
    /// Most tokens of an answer.
    #[schemars(range(min = 1))]
    pub max_output: Option<u64>,
    /// Entries of an embedding.
    #[schemars(range(min = 1))]
    pub dimensions: Option<u32>,
    pub mode: Option<ModeName>,
    /// What it can do.
    pub supports: Vec<AbilityName>,
    /// What it cannot do.
    pub lacks: Vec<AbilityName>,
    /// Dollars for a million tokens, characters or pixels, or for one of anything else.
    pub price: Prices,
    /// Tokens below which nothing is cached.
    pub cache_min_tokens: Option<u64>,
    /// The day on which it is turned off, as in 2026-11-20.
    pub deprecated_on: Option<String>,
}
