//! Which route serves a request: a route's `rules`, its `split`, and the `mirror` beside it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::indexed::Named;
use crate::config::percent::Percent;

/// Requests that another route serves from the start. The first rule that holds is followed, and none of the rules
/// of the route that it leads to.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["use"]))]
pub struct Rule {
    /// What all has to hold; nothing holds always.
    pub when: When,
    /// The route (by model name) that serves the request; its own means that no further rule is looked at.
    #[serde(rename = "use")]
    #[schemars(length(min = 1))]
    pub to: Option<String>,
}

/// Conditions of a rule. All that are written have to hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// The caller proves himself with one of these keys.
    #[schemars(length(min = 1))]
    pub key: Option<Vec<String>>,
    /// The key is one of these users'.
    #[schemars(length(min = 1))]
    pub user: Option<Vec<String>>,
    /// The key belongs to one of these teams, or to a user of theirs.
    #[schemars(length(min = 1))]
    pub team: Option<Vec<String>>,
    /// The key belongs to one of these organisations, or to somebody below.
    #[schemars(length(min = 1))]
    pub organisation: Option<Vec<String>>,
    /// The request has these headers: a value, its beginning and a `*`, or `"*"` for any.
    pub header: BTreeMap<String, String>,
    /// About how long its prompt is.
    pub prompt_tokens: Option<Bounds>,
    /// Whether it brings tools.
    pub tools: Option<bool>,
    /// Whether it brings pictures.
    pub images: Option<bool>,
    /// Whether its answer is to be streamed.
    pub stream: Option<bool>,
    /// When it comes.
    pub time: Option<Time>,
}

/// A number between two others, as the gateway estimates it before anybody is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// It is greater than this.
    pub above: Option<u64>,
    /// It is less than this.
    pub below: Option<u64>,
}

/// Hours of the week.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Time {
    /// `18:00-08:00`; hours over midnight belong to the day on which they begin (the whole day).
    #[schemars(length(min = 1))]
    pub between: Option<String>,
    /// On these days only (all).
    #[schemars(length(min = 1))]
    pub days: Option<Vec<DayName>>,
    /// How far the clocks meant are ahead of UTC, as in `+02:00`; summer time is not followed (UTC).
    #[schemars(length(min = 1))]
    pub zone: Option<String>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "day"))]
pub enum DayName {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Requests that are shared out among arms, so that these can be compared. Rules come before.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["arms"]))]
pub struct Split {
    /// Who always gets the same arm: `key`, `user`, `team`, `organisation`, `session` (a conversation), or `header:NAME`;
    /// what has none of that goes by chance, as all does with `request` (request).
    #[schemars(length(min = 1))]
    pub by: Option<String>,
    /// By name, which metrics, logs and the header `x-mainstay-arm` have.
    pub arms: Named<Arm>,
}

/// An arm of a split.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["share"]))]
pub struct Arm {
    /// Of the requests; all arms together are 100%.
    pub share: Option<Percent>,
    /// The route (by model name) that serves them, none of whose rules or splits are followed (this one).
    #[serde(rename = "use")]
    #[schemars(length(min = 1))]
    pub to: Option<String>,
}

/// A share of the requests goes to another route as well, whose answers nobody gets. One attempt each, none of it
/// in a caller's way; nothing that refers to state at an upstream, or leaves some there.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["to", "share"]))]
pub struct Mirror {
    /// The route, by model name.
    #[schemars(length(min = 1))]
    pub to: Option<String>,
    /// Of the requests that an upstream is asked for.
    pub share: Option<Percent>,
    /// Most of them at the same moment; others are not mirrored (16).
    #[schemars(range(min = 1, max = 10_000))]
    pub max_in_flight: Option<u32>,
}
