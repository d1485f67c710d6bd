//! Who a request turned out to come from: the holder of a key, or nobody.

use std::sync::Arc;

use super::ring::Key;
use crate::config::{Lineage, Urgency};

/// Somebody with a proven key, or nobody.
#[derive(Clone, Debug, Default)]
pub struct Caller(Option<Arc<Key>>);

impl Caller {
    pub fn key(&self) -> Option<&Arc<Key>> {
        self.0.as_ref()
    }

    /// What his key is called.
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|key| &*key.name)
    }

    /// Whose what he leaves behind is: no later key has the same, whatever its name.
    pub fn scope(&self) -> Option<&str> {
        self.0.as_ref().map(|key| &*key.scope)
    }

    /// His key with all above it in the tree.
    pub fn lineage(&self) -> Option<&Lineage> {
        self.0.as_ref().map(|key| &key.lineage)
    }

    pub fn urgency(&self) -> Urgency {
        self.0.as_ref().map(|key| key.urgency).unwrap_or_default()
    }
}

impl From<Arc<Key>> for Caller {
    fn from(key: Arc<Key>) -> Self {
        Self(Some(key))
    }
}
