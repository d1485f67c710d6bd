//! Where what outlives the process is kept.

use std::path::PathBuf;
use std::time::Duration;

use crate::vocab::Secret;

/// The `store:` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    pub place: StorePlace,
    pub retention: Retention,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// A file; relative to the configuration's own directory.
    Sqlite(PathBuf),
    Postgres {
        /// As libpq reads it, with `sslmode` said.
        url: Secret,
        /// `host:port/database`, for messages.
        shown: String,
        tls: bool,
        /// PEM file of the roots to trust instead of the system's.
        ca_file: Option<String>,
    },
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub requests: Duration,
    pub hours: Duration,
    /// `None` for good.
    pub days: Option<Duration>,
}
