//! The `ledger:` section.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::units::Size;

/// What is written down of every request and attempt, where there is a store for it: never a prompt or an answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ledger {
    /// Callers' headers that become labels of their requests, as in `[x-customer]` (none); a value of more than 64 bytes, or with others than visible characters, is left out.
    #[schemars(length(max = 16))]
    pub tags: Option<Vec<String>>,
    pub spool: Spool,
}

/// Rows on disk while the store is away or behind.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Spool {
    /// A directory for this gateway alone, beside routing.yaml unless absolute (mainstay-spool, beside the store's file or
    /// else the state file where there is one).
    #[schemars(length(min = 1))]
    pub path: Option<String>,
    /// Most of them (1GiB, a million requests or so); what comes when they are full is lost, and counted.
    pub max_bytes: Option<Size>,
}
