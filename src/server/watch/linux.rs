//! What Linux tells of a directory, and of the names that lead to it.
//!
//! The kernel follows a directory, not its name: when one is moved aside and another put in its place, the watch
//! stays with the old one. So every directory above is watched as well, for nothing but a new bearer of the next
//! name, and then all is watched anew. Writes to files that stay open (logs) are not even asked for; a file
//! is news when it is closed after writing, made, renamed, deleted, or its permissions change.
//!
//! A directory that is reached through symbolic links is followed as far as the names of the path itself go.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use inotify::{Event, EventMask, Inotify, WatchDescriptor, WatchMask};
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

use super::directory;

/// Events are read together, so that a busy directory above (`/tmp`) wakes us this often at most.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes read at once; one event takes 16 and its name.
const ROOM: usize = 4_096;
/// What makes news of a file. No `MODIFY`: it would come with every line of a log.
const OWN: WatchMask = WatchMask::CREATE
    .union(WatchMask::CLOSE_WRITE)
    .union(WatchMask::MOVED_FROM)
    .union(WatchMask::MOVED_TO)
    .union(WatchMask::DELETE)
    .union(WatchMask::ATTRIB)
    .union(WatchMask::MOVE_SELF)
    .union(WatchMask::DELETE_SELF)
    .union(WatchMask::ONLYDIR);
/// What can put another directory under a name.
const ABOVE: WatchMask = WatchMask::CREATE.union(WatchMask::MOVED_TO).union(WatchMask::ONLYDIR);

/// Watches one file's directory.
pub(super) struct Lookout {
    queue: AsyncFd<Inotify>,
    directory: PathBuf,
    watched: Vec<Watched>,
}

struct Watched {
    id: WatchDescriptor,
    /// The only name that matters there; none in the directory itself.
    name: Option<OsString>,
}

/// What a reading of the queue came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Nothing,
    Change,
    /// The path leads to another directory by now, or to none.
    Moved,
}

impl Lookout {
    /// Watches the directory of `file`, which must be there.
    pub fn at(file: &Path) -> io::Result<Self> {
        #[expect(deprecated, reason = "its successor is unsafe; an Inotify owns its descriptor to its end")]
        let queue = AsyncFd::new(Inotify::init()?)?;
        let mut lookout = Self { queue, directory: directory(file), watched: Vec::new() };
        lookout.arm()?;
        Ok(lookout)
    }

    /// Returns when there may be something new. Dropped before that, it misses nothing.
    pub async fn stirred(&mut self) {
        loop {
            let Ok(mut ready) = self.queue.readable_mut().await else {
                // The runtime is going down, and we with it.
                return std::future::pending().await;
            };
            sleep(PAUSE).await;
            ready.clear_ready();
            if self.look() != Seen::Nothing {
                return;
            }
        }
    }

    /// Reads all that the kernel has, and goes along when the directory is another one.
    fn look(&mut self) -> Seen {
        let seen = self.read();
        if seen == Seen::Moved {
            // Where there is no directory now, one of those above tells when there is.
            if let Err(error) = self.arm()
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "cannot watch the configuration's directory any more; it is read every minute");
            }
        }
        seen
    }

    fn read(&mut self) -> Seen {
        let mut seen = Seen::Nothing;
        let mut room = [0; ROOM];
        loop {
            let events = match self.queue.get_mut().read_events(&mut room) {
                Ok(events) => events,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return seen,
                // What was lost may have been anything.
                Err(_) => return Seen::Moved,
            };
            for event in events {
                seen = seen.max(judge(&self.watched, &event));
            }
        }
    }

    /// Watches what the path leads through now, from the top, so that whatever is exchanged meanwhile is told by
    /// a directory that is watched already.
    fn arm(&mut self) -> io::Result<()> {
        let mut watches = self.queue.get_ref().watches();
        let mut watched = Vec::new();
        let mut steps: Vec<_> = steps(&self.directory).collect();
        steps.reverse();
        for (above, name) in steps {
            // One that may not be read is one where nobody but its owner exchanges anything.
            if let Ok(id) = watches.add(above, ABOVE) {
                watched.push(Watched { id, name: Some(name.to_owned()) });
            }
        }
        // Last: where it is one of those above as well, it takes the larger mask.
        let own = watches.add(&self.directory, OWN);
        if let Ok(id) = &own {
            watched.push(Watched { id: id.clone(), name: None });
        }
        for old in self.watched.drain(..) {
            if watched.iter().all(|new| new.id != old.id) {
                // Fails where the directory is gone, and its watch with it.
                let _ = watches.remove(old.id);
            }
        }
        self.watched = watched;
        own.map(drop)
    }
}

/// What an event says. Those of watches that are given up say nothing.
fn judge(watched: &[Watched], event: &Event<&OsStr>) -> Seen {
    if event.mask.contains(EventMask::Q_OVERFLOW) {
        return Seen::Moved;
    }
    let gone = EventMask::MOVE_SELF | EventMask::DELETE_SELF | EventMask::IGNORED | EventMask::UNMOUNT;
    let about = watched.iter().filter(|watched| watched.id == event.wd);
    about
        .map(|watched| match &watched.name {
            _ if event.mask.intersects(gone) => Seen::Moved,
            None => Seen::Change,
            Some(name) if event.name == Some(name) => Seen::Moved,
            Some(_) => Seen::Nothing,
        })
        .max()
        .unwrap_or(Seen::Nothing)
}

/// Every directory above, from the nearest, and the name in it that leads to ours.
fn steps(directory: &Path) -> impl Iterator<Item = (&Path, &OsStr)> {
    directory.ancestors().filter_map(|step| {
        let (above, name) = (step.parent()?, step.file_name()?);
        Some((if above.as_os_str().is_empty() { Path::new(".") } else { above }, name))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use tokio::time::timeout;

    use super::*;

    impl Lookout {
        /// How many events one reading brings of the directory and the one above it; further up others make their own.
        fn queued(&mut self) -> usize {
            let mut room = [0; ROOM];
            let near = &self.watched[self.watched.len() - 2..];
            let is_near = |event: &Event<&OsStr>| near.iter().any(|watched| watched.id == event.wd);
            match self.queue.get_mut().read_events(&mut room) {
                Ok(events) => events.filter(is_near).count(),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    0
                }
            }
        }
    }

    /// A file in a directory of its own, below another one, and its lookout.
    fn set_up() -> (tempfile::TempDir, PathBuf, Lookout) {
        let root = tempfile::tempdir().expect("a directory");
        let file = root.path().join("conf/routing.yaml");
        fs::create_dir(root.path().join("conf")).expect("made");
        fs::write(&file, "1").expect("written");
        let lookout = Lookout::at(&file).expect("a watch");
        (root, file, lookout)
    }

    #[tokio::test]
    async fn a_directory_that_is_exchanged_is_noticed_and_so_is_what_happens_in_the_new_one() {
        let (root, file, mut lookout) = set_up();
        for round in 0..3 {
            let name = |what: &str| root.path().join(what);
            fs::create_dir(name("conf.new")).expect("made");
            fs::write(name("conf.new/routing.yaml"), "2").expect("written");
            assert_eq!(lookout.look(), Seen::Nothing, "beside it");
            fs::rename(name("conf"), name(&format!("conf.{round}"))).expect("moved");
            assert_eq!(lookout.look(), Seen::Moved, "aside");
            fs::rename(name("conf.new"), name("conf")).expect("moved");
            assert_eq!(lookout.look(), Seen::Moved, "into its place");
            assert_eq!(lookout.look(), Seen::Nothing, "the watch that was given up is no news");
            fs::write(&file, "3").expect("written");
            assert_eq!(lookout.look(), Seen::Change, "in the new one");
            fs::write(name(&format!("conf.{round}/routing.yaml")), "4").expect("written");
            assert_eq!(lookout.look(), Seen::Nothing, "in the old one");
        }
    }

    #[tokio::test]
    async fn a_directory_that_is_deleted_and_made_again_is_watched_again() {
        let (root, file, mut lookout) = set_up();
        fs::remove_dir_all(root.path().join("conf")).expect("deleted");
        assert_eq!(lookout.look(), Seen::Moved);
        fs::create_dir(root.path().join("conf")).expect("made");
        assert_eq!(lookout.look(), Seen::Moved);
        fs::write(&file, "2").expect("written");
        assert_eq!(lookout.look(), Seen::Change);
    }

    #[tokio::test]
    async fn a_link_on_the_way_that_leads_elsewhere_is_noticed() {
        let root = tempfile::tempdir().expect("a directory");
        let name = |what: &str| root.path().join(what);
        for release in ["1", "2"] {
            fs::create_dir_all(name(release).join("conf")).expect("made");
            fs::write(name(release).join("conf/routing.yaml"), release).expect("written");
        }
        std::os::unix::fs::symlink("1", name("current")).expect("linked");
        let mut lookout = Lookout::at(&name("current/conf/routing.yaml")).expect("a watch");
        std::os::unix::fs::symlink("2", name("next")).expect("linked");
        fs::rename(name("next"), name("current")).expect("moved");
        assert_eq!(lookout.look(), Seen::Moved);
        fs::write(name("2/conf/routing.yaml"), "3").expect("written");
        assert_eq!(lookout.look(), Seen::Change);
    }

    #[tokio::test]
    async fn a_log_beside_the_file_and_a_crowd_above_it_are_no_news() {
        let (root, file, mut lookout) = set_up();
        let mut log = fs::File::create(file.with_file_name("log")).expect("made");
        assert_eq!(lookout.look(), Seen::Change, "it was made");
        for _ in 0..1_000 {
            log.write_all(b"a line\n").expect("written");
        }
        assert_eq!(lookout.queued(), 0, "not one event");
        for each in 0..1_000 {
            fs::write(root.path().join(each.to_string()), "").expect("written");
        }
        assert_eq!(lookout.look(), Seen::Nothing);
        assert_eq!(steps(Path::new("/etc/mainstay")).count(), 2);
        assert_eq!(steps(Path::new("conf")).collect::<Vec<_>>(), [(Path::new("."), OsStr::new("conf"))]);
        assert_eq!(steps(Path::new(".")).count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_above_is_read_together_and_not_file_by_file() {
        let (root, _file, mut lookout) = set_up();
        for each in 0..1_000 {
            fs::write(root.path().join(each.to_string()), "").expect("written");
        }
        let woke = timeout(PAUSE / 2, lookout.stirred()).await;
        assert!(woke.is_err() && lookout.queued() > 0, "woken, and waiting for more");
        for each in 0..1_000 {
            fs::rename(root.path().join(each.to_string()), root.path().join(format!("{each}'")))
                .expect("moved");
        }
        let woke = timeout(PAUSE * 3 / 2, lookout.stirred()).await;
        assert!(woke.is_err(), "nothing of it was news");
        assert_eq!(lookout.queued(), 0, "read by one look");
    }
}
