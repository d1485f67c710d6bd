//! Who a request turned out to come from: the holder of a key, or nobody.

use std::sync::Arc;

use super::own::OwnKey;
use super::ring::Key;
use crate::config::{Level, Lineage, Urgency};

/// Somebody with a proven key, or nobody.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    key: Option<Arc<Key>>,
    /// Where what he leaves behind is his under another key of his own to a provider than others'.
    scope: Option<Arc<str>>,
    own: Option<Arc<OwnKey>>,
}

impl Caller {
    pub fn key(&self) -> Option<&Arc<Key>> {
        self.key.as_ref()
    }

    /// What his key is called.
    pub fn name(&self) -> Option<&str> {
        self.key.as_ref().map(|key| &*key.name)
    }

    /// Whose what he leaves behind is: no later key has the same, whatever its name.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref().or_else(|| self.key.as_ref().map(|key| &*key.scope))
    }

    /// Whose what a provider stores for him is, by a level and a name there: his organisation's if he has any, else
    /// that of the topmost above his key, else the key's, and with a key of his own to a provider nobody else's. `None`
    /// is everybody's who has no key.
    pub fn household(&self) -> Option<(&'static str, &str)> {
        if let Some(own) = &self.scope {
            return Some(("own", own));
        }
        let key = self.key.as_ref()?;
        let top = key.lineage.members().first().filter(|top| top.level != Level::Key);
        Some(top.map_or((Level::Key.name(), &*key.scope), |top| (top.level.name(), &*top.name)))
    }

    /// His key with all above it in the tree.
    pub fn lineage(&self) -> Option<&Lineage> {
        self.key.as_ref().map(|key| &key.lineage)
    }

    /// The key to a provider that he has brought along.
    pub fn own(&self) -> Option<&OwnKey> {
        self.own.as_deref()
    }

    /// The same, with this scope for what he leaves behind.
    #[must_use]
    pub fn apart(self, scope: Arc<str>) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// The same, with a key of his own.
    #[must_use]
    pub fn bringing(self, own: OwnKey) -> Self {
        Self { own: Some(Arc::new(own)), ..self }
    }

    pub fn urgency(&self) -> Urgency {
        self.key.as_ref().map(|key| key.urgency).unwrap_or_default()
    }
}

impl From<Arc<Key>> for Caller {
    fn from(key: Arc<Key>) -> Self {
        Self { key: Some(key), ..Self::default() }
    }
}
