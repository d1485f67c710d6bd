//! The `telemetry:` section.

use schemars::JsonSchema;
use serde::Deserialize;

/// What can be seen of the gateway from outside.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    pub journal: Journal,
}

/// The last requests: what became of each, and why; never a prompt or an answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// How many are at hand in memory, some 1.5 KB each (10000; 0: none).
    #[schemars(range(max = 1_000_000))]
    pub requests: Option<u32>,
}
