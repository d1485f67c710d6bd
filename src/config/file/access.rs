//! Who may call: `access:`, the `keys:` section, and the tree above the keys.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::budgets::Budget;
use super::limits::Allowance;
use super::names::{EndpointName, PriorityName, ProviderName};
use crate::config::dollars::Dollars;

/// Whom requests are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum AccessName {
    /// Anybody who reaches the listener.
    Open,
    /// Only who proves to hold one of `keys`.
    Keys,
}

/// The top of the tree: organisation, team, user, key. What it says holds for all below it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Organisation {
    /// Labels of its requests; what stands further down the tree wins.
    pub tags: BTreeMap<String, String>,
    pub allow: Allow,
    /// What it and all below it may use together (no limits).
    pub limits: Allowance,
    /// What may be spent on its requests (no bounds).
    pub budgets: Vec<Budget>,
    /// What one of its requests may cost at most (no bound); the header `x-mainstay-max-cost` asks for less.
    pub max_cost: Option<Dollars>,
    /// When it and all below it end: a day (its first moment, UTC) or a time as in 2027-01-31T12:00:00Z.
    pub expires: Option<String>,
    /// The most that requests of whoever is below it may matter, whatever keys and routes say.
    pub max_priority: Option<PriorityName>,
    /// Whether all below may ask with `x-mainstay-explain` why their requests went where they went (false).
    pub explain: Option<bool>,
    /// Whether nothing that stands in the requests of all below, or in their answers, is written down anywhere (false).
    pub zero_log: Option<bool>,
}

/// A part of an organisation, or one that stands by itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Team {
    /// A name under `organisations`.
    pub organisation: Option<String>,
    /// Labels of its requests; what stands further down the tree wins.
    pub tags: BTreeMap<String, String>,
    pub allow: Allow,
    /// What it and all below it may use together (no limits).
    pub limits: Allowance,
    /// What may be spent on its requests (no bounds).
    pub budgets: Vec<Budget>,
    /// What one of its requests may cost at most (no bound); the header `x-mainstay-max-cost` asks for less.
    pub max_cost: Option<Dollars>,
    /// When it and all below it end: a day (its first moment, UTC) or a time as in 2027-01-31T12:00:00Z.
    pub expires: Option<String>,
    /// The most that requests of whoever is below it may matter, whatever keys and routes say.
    pub max_priority: Option<PriorityName>,
    /// Whether all below may ask with `x-mainstay-explain` why their requests went where they went (false).
    pub explain: Option<bool>,
    /// Whether nothing that stands in the requests of all below, or in their answers, is written down anywhere (false).
    pub zero_log: Option<bool>,
}

/// Somebody with one key or several.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    /// A name under `teams`.
    pub team: Option<String>,
    /// A name under `organisations`, for whoever is in none of its teams.
    pub organisation: Option<String>,
    /// Labels of his requests; what stands further down the tree wins.
    pub tags: BTreeMap<String, String>,
    pub allow: Allow,
    /// What his keys may use together (no limits).
    pub limits: Allowance,
    /// What may be spent on its requests (no bounds).
    pub budgets: Vec<Budget>,
    /// What one of its requests may cost at most (no bound); the header `x-mainstay-max-cost` asks for less.
    pub max_cost: Option<Dollars>,
    /// When he and his keys end: a day (its first moment, UTC) or a time as in 2027-01-31T12:00:00Z.
    pub expires: Option<String>,
    /// The most that requests of his keys may matter, whatever they and routes say.
    pub max_priority: Option<PriorityName>,
    /// Whether all below may ask with `x-mainstay-explain` why their requests went where they went (false).
    pub explain: Option<bool>,
    /// Whether nothing that stands in the requests of all below, or in their answers, is written down anywhere (false).
    pub zero_log: Option<bool>,
}

/// A key that callers prove themselves with. Its name is what metrics and logs call them, and the access key id
/// of AWS SDKs, which sign with the secret.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["secret"]))]
pub struct CallerKey {
    /// `${NAME}` or `file:/path`, of 16 characters or more; two while one replaces the other.
    pub secret: Option<Secrets>,
    /// Whose it is: a name under `users`.
    pub user: Option<String>,
    /// For a key of a whole team: a name under `teams`.
    pub team: Option<String>,
    /// For a key of a whole organisation: a name under `organisations`.
    pub organisation: Option<String>,
    /// Labels of its requests.
    pub tags: BTreeMap<String, String>,
    pub allow: Allow,
    /// What it may use (`defaults.key_limits`, or no limits).
    pub limits: Allowance,
    /// What may be spent on its requests (no bounds).
    pub budgets: Vec<Budget>,
    /// What one of its requests may cost at most (no bound); the header `x-mainstay-max-cost` asks for less.
    pub max_cost: Option<Dollars>,
    /// When it ends: a day (its first moment, UTC) or a time as in 2027-01-31T12:00:00Z.
    pub expires: Option<String>,
    /// How much its requests matter (the route's).
    pub priority: Option<PriorityName>,
    /// The most that it may ask for with the header `x-mainstay-priority` (its own, so that it may only ask for less).
    pub max_priority: Option<PriorityName>,
    /// Whether it may ask with `x-mainstay-explain` why its requests went where they went (what those above it say).
    pub explain: Option<bool>,
    /// Whether nothing that stands in its requests, or in their answers, is written down anywhere (what those above it say).
    pub zero_log: Option<bool>,
}

/// What may be asked for. What is not named here is not restricted here; every level above has its say as well.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Allow {
    /// Models as callers name them: a name, or its beginning and a `*`.
    #[schemars(length(min = 1))]
    pub models: Option<Vec<String>>,
    /// Routes that requests may come in by, by their `model` or `path`. (Where a route falls back to is its own affair.)
    #[schemars(length(min = 1))]
    pub routes: Option<Vec<String>>,
    /// Names under `upstreams`; channels of others are left out.
    #[schemars(length(min = 1))]
    pub upstreams: Option<Vec<String>>,
    /// Providers of upstreams; channels of others are left out.
    #[schemars(length(min = 1))]
    pub providers: Option<Vec<ProviderName>>,
    /// Regions of upstreams (their `region`); channels of others, and of those without one, are left out.
    #[schemars(length(min = 1))]
    pub regions: Option<Vec<String>>,
    /// What is asked for; lists of models always may be.
    #[schemars(length(min = 1))]
    pub endpoints: Option<Vec<EndpointName>>,
    /// Where connections come from, as blocks like 10.1.0.0/16.
    #[schemars(length(min = 1))]
    pub networks: Option<Vec<String>>,
}

/// One reference, or the old and the new one.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Secrets {
    One(String),
    Several(#[schemars(length(min = 1, max = 2))] Vec<String>),
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}
