//! The file in which live memory outlasts the process (`server.state_file`): read once before the first
//! table, written every ten seconds when there is something new, and at the end.
//!
//! A file that cannot be believed is ignored with a warning, and a file that cannot be written is one: the
//! gateway serves without. What is there and is no state file is never written over, and what a newer version has
//! written is set aside. All that takes time, the disk's and our own, is spent on threads that may block. What the
//! file holds and when it is believed is `state::memoir`'s business.

mod file;
pub(super) mod place;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use crate::algo::tick::Tick;
use crate::proxy::Gateway;
use crate::state::Live;
use crate::state::memoir::{Lasting, LeftOut, Memoir, Unfit};
use crate::telemetry::catalogue;

/// How old the file is at most when the process is killed.
const EVERY: Duration = Duration::from_secs(10);
/// A file that says the same is written again after this, or it would grow too old to be believed.
const ANEW: Duration = Duration::from_mins(5);
/// How long the end of the process waits for the disk, and for a write before that hangs on it.
const AT_THE_END: Duration = Duration::from_secs(5);

/// What of a file that is too old is true all the same.
const STILL: &str =
    "; where files and batches are, and what operators have said, is believed however old it is";

pub(super) struct Keeper {
    path: PathBuf,
    /// What was written last. Held while a write is under way.
    written: tokio::sync::Mutex<Option<Written>>,
    /// The last failure, so that a full disk is said once.
    failed: Mutex<Option<String>>,
}

struct Written {
    memoir: Memoir,
    at: Tick,
    left_out: LeftOut,
}

/// Whether what has not changed is written too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    IfChanged,
    Always,
}

/// What came of a write.
enum Done {
    Unchanged(Written),
    Anew(Written),
    Failed(String),
}

/// What an earlier process has left.
#[derive(Default)]
pub(super) struct Recalled {
    pub(super) memoir: Option<Memoir>,
    /// What is true for longer than the rest.
    pub(super) lasting: Lasting,
}

impl Keeper {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, written: tokio::sync::Mutex::default(), failed: Mutex::default() }
    }

    /// What the process before has left, after setting the clock on from where it would be.
    pub(super) fn recall(&self, live: &Live) -> Recalled {
        let name = self.path.display();
        live.metrics.gauge(&catalogue::STATE_FILE_FAILED, &[]).set(0.0);
        let text = match file::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Recalled::default(),
            Err(error) => {
                tracing::warn!(file = %name, %error, "the state file cannot be read: health starts anew");
                self.note_failure(live, error.to_string());
                return Recalled::default();
            }
        };
        let unix = live.clock.unix_now();
        let lasting = Memoir::lasting(&text);
        let memoir = match Memoir::decode(&text, unix) {
            Ok(memoir) => {
                live.clock.resume(memoir.resumes_at(unix));
                note_written(live, Duration::from_nanos(memoir.saved));
                tracing::info!(file = %name, "health, cooldowns and quotas go on where they were left");
                Some(memoir)
            }
            Err(unfit) => {
                self.note_unfit(live, &unfit, if lasting.is_empty() { "" } else { STILL });
                None
            }
        };
        Recalled { memoir, lasting }
    }

    /// Writes the file for as long as the process lives.
    pub(super) async fn follow(self: Arc<Self>, gateway: Arc<Gateway>) {
        loop {
            // What an operator says is not left to the next time.
            tokio::select! {
                () = sleep(EVERY) => {}
                () = gateway.live.overrides.changed.notified() => {}
            }
            self.write(&gateway, Write::IfChanged).await;
        }
    }

    /// Writes it once more, for the next process. No disk keeps this one for longer than a few seconds.
    pub(super) async fn leave(&self, gateway: &Arc<Gateway>) {
        if timeout(AT_THE_END, self.write(gateway, Write::Always)).await.is_err() {
            let (name, seconds) = (self.path.display(), AT_THE_END.as_secs());
            tracing::warn!(
                file = %name,
                "the state file was not written within {seconds} s: the next start goes by the one before"
            );
        }
    }

    async fn write(&self, gateway: &Arc<Gateway>, when: Write) {
        let mut written = self.written.lock().await;
        let (before, path, of) = (written.take(), self.path.clone(), Arc::clone(gateway));
        let had_all = before.as_ref().is_none_or(|before| before.left_out == LeftOut::default());
        let done = tokio::task::spawn_blocking(move || look(&of, &path, before, when)).await;
        let live = &gateway.live;
        *written = match done.unwrap_or_else(|error| Done::Failed(error.to_string())) {
            Done::Unchanged(as_before) => Some(as_before),
            Done::Anew(anew) => {
                note_written(live, live.clock.unix_now());
                self.note_success(live);
                let LeftOut { models, places } = anew.left_out;
                if had_all && models + places > 0 {
                    let name = self.path.display();
                    tracing::warn!(
                        file = %name, models, places,
                        "the state file would be too large: what was used longest ago is left out"
                    );
                }
                Some(anew)
            }
            Done::Failed(why) => {
                self.note_failure_to_write(live, why);
                None
            }
        };
    }

    fn note_success(&self, live: &Live) {
        live.metrics.gauge(&catalogue::STATE_FILE_FAILED, &[]).set(0.0);
        if self.failed.lock().take().is_some() {
            tracing::info!(file = %self.path.display(), "the state file is written again");
        }
    }

    fn note_failure_to_write(&self, live: &Live, why: String) {
        if self.failed.lock().as_ref() != Some(&why) {
            let name = self.path.display();
            tracing::warn!(file = %name, why, "the state file cannot be written: a restart would forget");
        }
        self.note_failure(live, why);
    }

    fn note_failure(&self, live: &Live, why: String) {
        live.metrics.gauge(&catalogue::STATE_FILE_FAILED, &[]).set(1.0);
        *self.failed.lock() = Some(why);
    }

    /// A file that is there and is not believed, but for what `still` says.
    fn note_unfit(&self, live: &Live, unfit: &Unfit, still: &str) {
        let name = self.path.display();
        match file::found(&self.path) {
            // Said here, and not again by the first write.
            Ok(file::Found::Foreign) => {
                tracing::warn!(file = %name, why = file::FOREIGN, "the state file is ignored: nothing is kept");
                self.note_failure(live, file::FOREIGN.to_owned());
            }
            Ok(file::Found::Newer(version)) => self.set_aside(live, version),
            Ok(file::Found::Nothing | file::Found::Ours) | Err(_) => {
                tracing::warn!(file = %name, why = %unfit, "the state file is ignored: health starts anew{still}");
                let damaged = match unfit {
                    // Nobody has done anything wrong.
                    Unfit::Old(_) => 0.0,
                    Unfit::Foreign | Unfit::Version(_) | Unfit::Checksum | Unfit::Future | Unfit::Large => {
                        1.0
                    }
                };
                live.metrics.gauge(&catalogue::STATE_FILE_FAILED, &[]).set(damaged);
            }
        }
    }

    /// Keeps what a newer version has left, for when its operator goes back to it.
    fn set_aside(&self, live: &Live, version: u32) {
        let name = self.path.display();
        match file::set_aside(&self.path, version) {
            Ok(aside) => {
                tracing::warn!(
                    file = %name, version, aside = %aside.display(),
                    "a newer version of Mainstay has written the state file: it is set aside, and health starts anew"
                );
                live.metrics.gauge(&catalogue::STATE_FILE_FAILED, &[]).set(1.0);
            }
            Err(error) => {
                tracing::warn!(
                    file = %name, version, %error,
                    "a newer version of Mainstay has written the state file, and it cannot be set aside: nothing is kept"
                );
                // Said here, and not again by the first write.
                self.note_failure(live, file::NEWER.to_owned());
            }
        }
    }
}

/// Looks at everything and writes it down. Blocks.
fn look(gateway: &Gateway, path: &Path, before: Option<Written>, when: Write) -> Done {
    let table = Arc::clone(&gateway.snapshot().table);
    let (now, unix) = (table.live.now(), table.live.clock.unix_now());
    let mut memoir = Memoir::of(&table, unix);
    memoir.left = gateway.places();
    if when == Write::IfChanged
        && let Some(before) = before
        && now.since(before.at) < ANEW
        && !memoir.differs(&before.memoir)
    {
        return Done::Unchanged(before);
    }
    let encoded = match memoir.encode() {
        Ok(encoded) => encoded,
        Err(why) => return Done::Failed(why),
    };
    match file::replace(path, &encoded.text) {
        Ok(()) => Done::Anew(Written { memoir, at: now, left_out: encoded.left_out }),
        Err(error) => Done::Failed(error.to_string()),
    }
}

fn note_written(live: &Live, unix: Duration) {
    live.metrics.gauge(&catalogue::STATE_FILE_WRITTEN, &[]).set(unix.as_secs_f64());
}
