//! Notices that the configuration may have changed.
//!
//! The file's directory is watched, not the file: editors and deployers replace files by renaming, and
//! Kubernetes swaps a symbolic link called `..data` beside it, so the file's own name may never come up.
//! Any event but a mere look is a reason to read; whether anything differs, the reloader tells. File
//! systems that report nothing (network mounts, single-file mounts of containers) are polled.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::loader::Source;
use super::reload::{Cause, Reloader};

/// Silence after which a burst of events is over (RESILIENCE §4.15).
const DEBOUNCE: Duration = Duration::from_millis(200);
/// Events come and come: read all the same.
const DEBOUNCE_MAX: u32 = 25;
/// CRATES §1.6.
const POLL: Duration = Duration::from_mins(1);

/// Reloads whenever there may be something new, for ever.
pub(super) async fn watch(reloader: Arc<Reloader>) {
    let Source::File(path) = reloader.loader().source().clone() else { return poll(&reloader).await };
    let stirred = Arc::new(Notify::new());
    // Held: dropping it ends the watch.
    let _watcher = match watcher(&path, Arc::clone(&stirred)) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "cannot watch the configuration's directory; it is read every minute");
            None
        }
    };
    loop {
        let cause = match timeout(POLL, stirred.notified()).await {
            Ok(()) => {
                settle(&stirred).await;
                Cause::Watch
            }
            Err(_) => Cause::Poll,
        };
        // The reloader has said what there was to say.
        let _ = reloader.reload(cause).await;
    }
}

/// Built-in text never changes; the secrets that it refers to may.
async fn poll(reloader: &Reloader) {
    loop {
        tokio::time::sleep(POLL).await;
        let _ = reloader.reload(Cause::Poll).await;
    }
}

/// Waits for the end of a burst, so that a file is not read while it is being written.
async fn settle(stirred: &Notify) {
    for _ in 0..DEBOUNCE_MAX {
        if timeout(DEBOUNCE, stirred.notified()).await.is_err() {
            return;
        }
    }
}

fn watcher(path: &Path, stirred: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error is a lost event, or a directory that is gone: worth a look.
        if event.is_err() || event.is_ok_and(|event| is_a_change(event.kind)) {
            stirred.notify_one();
        }
    })?;
    watcher.watch(&directory(path), RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Our own reading makes events too.
const fn is_a_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if !matches!(access, AccessKind::Close(AccessMode::Write)))
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
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

    #[test]
    fn a_bare_file_name_lies_in_the_working_directory() {
        assert_eq!(directory(Path::new("routing.yaml")), Path::new("."));
        assert_eq!(directory(Path::new("/etc/mainstay/routing.yaml")), Path::new("/etc/mainstay"));
    }

    /// Waits for an event. What is tested is that one comes at all, so the limit may be generous.
    async fn stirs(stirred: &Notify) -> bool {
        let heard = timeout(Duration::from_secs(10), stirred.notified()).await.is_ok();
        settle(stirred).await;
        heard
    }

    #[tokio::test]
    async fn every_way_of_changing_a_file_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("routing.yaml");
        std::fs::write(&path, "1").unwrap();
        let stirred = Arc::new(Notify::new());
        let _watcher = watcher(&path, Arc::clone(&stirred)).expect("a watch");

        std::fs::write(&path, "2").unwrap();
        assert!(stirs(&stirred).await, "written in place");

        let other = directory.path().join("routing.yaml.new");
        std::fs::write(&other, "3").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(stirs(&stirred).await, "renamed over");

        // As Kubernetes does it: routing.yaml -> ..data/routing.yaml, ..data -> a directory.
        #[cfg(unix)]
        {
            let link = directory.path().join("..data_tmp");
            std::os::unix::fs::symlink(directory.path(), &link).unwrap();
            std::fs::rename(&link, directory.path().join("..data")).unwrap();
            assert!(stirs(&stirred).await, "a link was swapped");
        }
        let _ = std::fs::read(&path).unwrap();
        let quiet = timeout(DEBOUNCE, stirred.notified()).await.is_err();
        assert!(quiet, "reading is not a change");
    }
}
