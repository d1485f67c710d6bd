//! What is written down of requests, and where while the store is away.

use std::path::PathBuf;
use std::sync::Arc;

/// The `ledger:` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Callers' headers that are written down, in small letters.
    pub tags: Vec<Arc<str>>,
    pub spool: SpoolSettings,
}

/// Rows on disk that the store has still to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolSettings {
    /// A directory, relative to the configuration's own; beside the store's file, or the state file, where it is not
    /// said.
    pub path: Option<PathBuf>,
    pub max_bytes: u64,
}
