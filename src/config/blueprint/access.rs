//! Who may call, and with which keys.

use std::sync::Arc;

use crate::vocab::{Priority, Secret};

/// Whom requests are taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    #[default]
    Open,
    /// Who proves to hold a key.
    Keys,
}

/// One entry of `keys:` that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerKey {
    /// Its name in the file: a metric label, and the access key id of callers who sign.
    pub name: Arc<str>,
    /// One, or two while one replaces the other; no secret is anybody else's as well.
    pub secrets: Vec<Secret>,
    /// How much its requests matter, whatever the route says.
    pub priority: Option<Priority>,
    /// The most that it may ask for; what they have by themselves where it is not said.
    pub max_priority: Option<Priority>,
}
