//! Who may call: `access:` and the `keys:` section.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::names::PriorityName;

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

/// A key that callers prove themselves with. Its name is what metrics and logs call them, and the access key id
/// of AWS SDKs, which sign with the secret.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["secret"]))]
pub struct CallerKey {
    /// `${NAME}` or `file:/path`, of 16 characters or more; two while one replaces the other.
    pub secret: Option<Secrets>,
    /// How much its requests matter (the route's).
    pub priority: Option<PriorityName>,
    /// The most that it may ask for with the header `x-mainstay-priority` (its own, so that it may only ask for less).
    pub max_priority: Option<PriorityName>,
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
