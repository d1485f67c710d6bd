//! The `alerts:` section.

use schemars::JsonSchema;
use serde::Deserialize;

use super::indexed::Named;
use super::names::AlertName;
use crate::config::percent::Percent;
use crate::config::units::Span;

/// What operators are told of without asking.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// Who is told, by name (nobody; `/admin/alerts` and metrics know all the same).
    pub webhooks: Named<Webhook>,
    /// For how long an upstream, a model of one, or the store has to be away (60s).
    pub down_after: Option<Span>,
    pub error_spike: ErrorSpike,
    pub spend_spike: SpendSpike,
}

/// Somebody who is told, by a POST.
#[derive(Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["url"]))]
pub struct Webhook {
    /// Where to; redirects are not followed.
    pub url: Option<String>,
    /// What messages are signed with: `${NAME}` or `file:/path`, of 16 characters or more; `whsec_` and base64, or a text (none; needed with `format: mainstay`).
    pub secret: Option<String>,
    /// What it is told of (everything).
    #[schemars(length(min = 1))]
    pub kinds: Option<Vec<AlertName>>,
    pub format: Option<FormatName>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("kinds", &self.kinds)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// What messages look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum FormatName {
    /// JSON, signed as Standard Webhooks has it.
    Mainstay,
    /// A text for Slack and whatever takes what Slack does; not signed.
    Slack,
}

/// Too many requests of a route fail.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorSpike {
    /// More than this of the last five minutes' (5%).
    pub share: Option<Percent>,
    /// And more than so many times the share of the last day (3).
    #[schemars(range(min = 1, max = 1000))]
    pub factor: Option<f64>,
    /// Of fewer requests than these nothing is concluded (20).
    #[schemars(range(min = 1))]
    pub requests: Option<u32>,
}

/// Too much is spent in an hour.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpendSpike {
    /// More than so many times what is usual for that hour of the day (3).
    #[schemars(range(min = 1, max = 1000))]
    pub factor: Option<f64>,
    /// US dollars; less in an hour is never too much (1).
    #[schemars(range(min = 0, max = 1_000_000))]
    pub floor: Option<f64>,
}
