//! The file in which live memory outlasts the process (`server.state_file`): read once before the first
//! table, written every ten seconds when there is something new, and at the end.
//!
//! A file that cannot be believed is ignored with a warning, and a file that cannot be written is one: the
//! gateway serves without. What the file holds and when it is believed is `state::memoir`'s business.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::algo::tick::Tick;
use crate::proxy::Gateway;
use crate::state::Live;
use crate::state::memoir::{MOST_BYTES, Memoir};

/// How old the file is at most when the process is killed.
const EVERY: Duration = Duration::from_secs(10);
/// A file that says the same is written again after this, or it would grow too old to be believed.
const ANEW: Duration = Duration::from_mins(5);
/// Nobody else's: it tells which providers are used, and how they are doing.
const MODE: u32 = 0o600;

pub(super) struct Keeper {
    path: PathBuf,
    last: tokio::sync::Mutex<Last>,
}

#[derive(Default)]
struct Last {
    written: Option<(Memoir, Tick)>,
    /// The last failure, so that a full disk is said once.
    failed: Option<String>,
}

/// Whether what has not changed is written too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    IfChanged,
    Always,
}

impl Keeper {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, last: tokio::sync::Mutex::default() }
    }

    /// What the process before has left, after setting the clock on from where it would be; and where files and
    /// batches are, which is true for longer.
    pub(super) fn recall(&self, live: &Live) -> (Option<Memoir>, Vec<[u64; 4]>) {
        let name = self.path.display();
        let text = match read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (None, Vec::new()),
            Err(error) => {
                tracing::warn!(file = %name, %error, "the state file cannot be read: health starts anew");
                return (None, Vec::new());
            }
        };
        let unix = live.clock.unix_now();
        let left = Memoir::lasting(&text);
        let memoir = match Memoir::decode(&text, unix) {
            Ok(memoir) => {
                live.clock.resume(memoir.resumes_at(unix));
                tracing::info!(file = %name, "health, cooldowns and quotas go on where they were left");
                Some(memoir)
            }
            Err(unfit) => {
                tracing::warn!(file = %name, why = %unfit, "the state file is ignored: health starts anew");
                None
            }
        };
        (memoir, left)
    }

    /// Writes the file for as long as the process lives.
    pub(super) async fn follow(self: Arc<Self>, gateway: Arc<Gateway>) {
        loop {
            sleep(EVERY).await;
            self.write(&gateway, Write::IfChanged).await;
        }
    }

    pub(super) async fn write(&self, gateway: &Gateway, when: Write) {
        let table = Arc::clone(&gateway.snapshot().table);
        let (now, unix) = (table.live.now(), table.live.clock.unix_now());
        let mut memoir = Memoir::of(&table, unix);
        memoir.left = gateway.places();
        let mut last = self.last.lock().await;
        if let (Write::IfChanged, Some((written, at))) = (when, &last.written)
            && now.since(*at) < ANEW
            && !memoir.differs(written)
        {
            return;
        }
        let path = self.path.clone();
        let text = memoir.encode();
        let done = tokio::task::spawn_blocking(move || {
            text.and_then(|encoded| replace(&path, &encoded.text).map_err(|error| error.to_string()))
        });
        match done.await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(()) => *last = Last { written: Some((memoir, now)), failed: None },
            Err(why) => {
                if last.failed.as_ref() != Some(&why) {
                    let name = self.path.display();
                    tracing::warn!(file = %name, why, "the state file cannot be written: a restart would forget");
                }
                last.failed = Some(why);
            }
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    // One byte more than allowed is enough to be told that it is too large.
    let read = File::open(path)?.take(MOST_BYTES as u64 + 1).read_to_string(&mut text);
    match read {
        // Not text, so not ours; judged like any other foreign file.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(String::new()),
        Err(error) => Err(error),
        Ok(_) => Ok(text),
    }
}

/// The whole of `text`, or the file as it was.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut beside = name.to_owned();
    beside.push(".new");
    let beside = path.with_file_name(beside);
    // What an interrupted write has left may be anybody's; it is not written through.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_write_replaces_all_of_the_file_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        fs::write(directory.path().join("state.json.new"), "half a fi").unwrap();
        for text in ["a longer text", "short"] {
            replace(&path, text).unwrap();
            assert_eq!(read(&path).unwrap(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
        assert_eq!(read(&path).unwrap(), "", "what is no text is no state");
        assert!(replace(&directory.path().join("none/state.json"), "x").is_err());
    }
}
