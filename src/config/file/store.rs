//! The `store:` section.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::units::Span;

/// Where the ledger, managed keys and the audit trail are kept. Without it there is none of them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["url"]))]
pub struct Store {
    /// `sqlite:PATH`, beside routing.yaml unless absolute, for one gateway; or
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, for any number of them. `?sslmode=require` (the default, save
    /// on this machine) is TLS with certificates checked, `?sslmode=disable` none.
    pub url: Option<String>,
    /// PEM file of the roots to trust instead of the system's, for PostgreSQL over TLS.
    pub ca_file: Option<String>,
    pub retention: Retention,
}

/// How long things are kept. Keys and the audit trail stay.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Each request and its attempts (30d); PostgreSQL drops whole months of them, so up to a month later.
    pub requests: Option<Span>,
    /// Sums by hour (400d); after that there are sums by day.
    pub hours: Option<Span>,
    /// Sums by day (for good), and the combinations of key, route, model and tag that nothing is left of.
    pub days: Option<Span>,
}
