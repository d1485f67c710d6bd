//! Notices that the configuration may have changed.
//!
//! The file's directory is watched, not the file: editors and deployers replace files by renaming, and
//! Kubernetes swaps a symbolic link called `..data` beside it, so the file's own name may never come up.
//! Directories are exchanged whole, too: the watch goes along. Any file there that changed is a reason to read;
//! whether anything differs, the reloader tells. File systems that report nothing (network mounts, single-file
//! mounts of containers) are polled.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

#[cfg(not(target_os = "linux"))]
use self::elsewhere::Lookout;
#[cfg(target_os = "linux")]
use self::linux::Lookout;
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
    let Ok(mut lookout) = Lookout::at(&path).inspect_err(|error| {
        tracing::warn!(%error, "cannot watch the configuration's directory; it is read every minute");
    }) else {
        return poll(&reloader).await;
    };
    loop {
        let cause = match timeout(POLL, lookout.stirred()).await {
            Ok(()) => {
                settle(&mut lookout).await;
                Cause::Watch
            }
            Err(_) => Cause::Poll,
        };
        // The reloader has said what there was to say.
        let _ = reloader.reload(cause).await;
    }
}

/// Where nothing can be watched. Built-in text never changes; the secrets that it refers to may.
async fn poll(reloader: &Reloader) {
    loop {
        tokio::time::sleep(POLL).await;
        let _ = reloader.reload(Cause::Poll).await;
    }
}

/// Waits for the end of a burst, so that a file is not read while it is being written.
async fn settle(lookout: &mut Lookout) {
    for _ in 0..DEBOUNCE_MAX {
        if timeout(DEBOUNCE, lookout.stirred()).await.is_err() {
            return;
        }
    }
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_file_name_lies_in_the_working_directory() {
        assert_eq!(directory(Path::new("routing.yaml")), Path::new("."));
        assert_eq!(directory(Path::new("/etc/mainstay/routing.yaml")), Path::new("/etc/mainstay"));
    }

    /// Waits for an event. What is tested is that one comes at all, so the limit may be generous.
    async fn stirs(lookout: &mut Lookout) -> bool {
        let heard = timeout(Duration::from_secs(10), lookout.stirred()).await.is_ok();
        settle(lookout).await;
        heard
    }

    #[tokio::test]
    async fn every_way_of_changing_a_file_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("routing.yaml");
        std::fs::write(&path, "1").unwrap();
        let mut lookout = Lookout::at(&path).expect("a watch");

        std::fs::write(&path, "2").unwrap();
        assert!(stirs(&mut lookout).await, "written in place");

        let other = directory.path().join("routing.yaml.new");
        std::fs::write(&other, "3").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(stirs(&mut lookout).await, "renamed over");

        // As Kubernetes does it: routing.yaml -> ..data/routing.yaml, ..data -> a directory.
        #[cfg(unix)]
        {
            let link = directory.path().join("..data_tmp");
            std::os::unix::fs::symlink(directory.path(), &link).unwrap();
            std::fs::rename(&link, directory.path().join("..data")).unwrap();
            assert!(stirs(&mut lookout).await, "a link was swapped");
        }
        let _ = std::fs::read(&path).unwrap();
        let quiet = timeout(DEBOUNCE, lookout.stirred()).await.is_err();
        assert!(quiet, "reading is not a change");
    }
}
