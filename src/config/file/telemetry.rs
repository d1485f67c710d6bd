//! The `telemetry:` section.

use schemars::JsonSchema;
use serde::Deserialize;

/// What the outside sees of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    pub journal: Journal,
    pub metrics: Metrics,
}

/// The last requests: what became of each, and why; never a prompt or an answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// How many are at hand in memory, some 1.5 KB each (10000; 0: none).
    #[schemars(range(max = 1_000_000))]
    pub requests: Option<u32>,
}

/// What Prometheus scrapes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Combinations of names (of routes, upstreams, models, keys) that one metric may have; what is counted of others
    /// goes to `__overflow__` (2000).
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_series: Option<u32>,
}
