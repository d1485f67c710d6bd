//! What systems other than Linux tell of a directory.
//!
//! They report by path, or at worst too much or late; what is missed is found by the poll of every minute.

use std::path::Path;
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::directory;

/// Watches one file's directory.
pub(super) struct Lookout {
    stirred: Arc<Notify>,
    /// Held: dropping it ends the watch.
    _watcher: RecommendedWatcher,
}

impl Lookout {
    /// Watches the directory of `file`, which must be there.
    pub fn at(file: &Path) -> notify::Result<Self> {
        let stirred = Arc::new(Notify::new());
        let bell = Arc::clone(&stirred);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // An error is a lost event, or a directory that is gone: worth a look.
            if event.is_err() || event.is_ok_and(|event| is_a_change(event.kind)) {
                bell.notify_one();
            }
        })?;
        watcher.watch(&directory(file), RecursiveMode::NonRecursive)?;
        Ok(Self { stirred, _watcher: watcher })
    }

    /// Returns when there may be something new. Dropped before that, it misses nothing.
    pub async fn stirred(&mut self) {
        self.stirred.notified().await;
    }
}

/// Our own reading makes events too.
const fn is_a_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if !matches!(access, AccessKind::Close(AccessMode::Write)))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind, RenameMode};

    use super::*;

    #[test]
    fn reading_is_no_change_and_everything_else_is() {
        assert!(!is_a_change(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!is_a_change(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(is_a_change(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(is_a_change(EventKind::Modify(ModifyKind::Name(RenameMode::To))));
        assert!(is_a_change(EventKind::Create(CreateKind::Any)));
    }
}
