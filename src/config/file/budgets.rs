//! `budgets:` of keys, of those above them, and of routes.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::dollars::Dollars;
use crate::config::percent::Percent;

/// What may be spent in a window of time, by whoever says it and all below together.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["per", "limit"]))]
pub struct Budget {
    /// For how long it counts: a day, a week from Monday, a month (all of UTC), or for good.
    pub per: Option<PerName>,
    /// In US dollars: 30, or 30.00 USD.
    pub limit: Option<Dollars>,
    /// Shares of it at which operators are told, one or several (80% and 100%).
    pub soft: Option<Thresholds>,
    /// With `per: total`, from when on what is spent counts: a day, or a time as in 2027-01-31T12:00:00Z (always).
    pub starts: Option<String>,
    /// What becomes of requests when it is spent (refuse).
    pub on_exceeded: Option<ExceededName>,
    /// The route, by model name, that serves requests when it is spent, instead of refusing them.
    #[schemars(length(min = 1))]
    pub downgrade_to: Option<String>,
    /// What becomes of requests that no channel has a price for (allow).
    pub unpriced: Option<UnpricedName>,
}

/// A window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "window"))]
pub enum PerName {
    Day,
    Week,
    Month,
    Total,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum ExceededName {
    /// They are refused.
    Refuse,
    /// They are served all the same; operators are told.
    Alert,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum UnpricedName {
    /// They are served, and nothing is booked for them.
    Allow,
    /// They are refused.
    Refuse,
}

/// One share, or several.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Thresholds {
    One(Percent),
    Several(#[schemars(length(min = 1, max = 8))] Vec<Percent>),
}
