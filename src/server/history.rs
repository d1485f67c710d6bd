//! Which configurations were in force: the last of them, in memory and beside the state file, so that an operator can
//! go back to one.
//!
//! Texts are kept without their secrets, which have stand-ins there (`config::veil`). What stand-ins stand for is known
//! for as long as the process lives, and of what is in force: a text of an earlier process whose secret was taken out
//! since says so when somebody goes back to it.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::admin::Past;
use crate::config::Problem;
use crate::config::veil::{Lifted, Veil};

/// Configurations that are kept.
const KEPT: usize = 32;
/// How its file begins.
const BEGIN: &str = "{\"mainstay_history\":";
/// Largest file: texts of the largest configurations, and what JSON makes of them.
const MOST_BYTES: u64 = 64 << 20;
/// Nobody else's: it tells which providers are used.
const MODE: u32 = 0o600;
/// The form of the file.
const VERSION: u32 = 1;

/// All of them.
pub(super) struct History {
    /// The oldest first.
    entries: VecDeque<Entry>,
    veil: Veil,
    path: Option<PathBuf>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    revision: String,
    /// Unix time in seconds.
    at: f64,
    by: String,
    /// With stand-ins.
    text: String,
}

#[derive(Serialize, Deserialize)]
struct Form {
    mainstay_history: u32,
    salt: [u8; 32],
    entries: VecDeque<Entry>,
}

/// A file that is to be written.
pub(super) struct Page {
    path: PathBuf,
    text: String,
}

impl History {
    /// In memory only.
    pub(super) fn new() -> Self {
        let mut salt = [0; 32];
        SystemRandom::new().fill(&mut salt).expect("a system without randomness had no hash maps either");
        Self { entries: VecDeque::new(), veil: Veil::new(salt), path: None }
    }

    /// What an earlier process has left beside its state file. Blocks.
    pub(super) fn beside(state_file: &Path) -> Self {
        let path = file_of(state_file);
        let mut history = Self::new();
        match read(&path) {
            Ok(Some(form)) => {
                history.veil = Veil::new(form.salt);
                history.entries = form.entries;
                while history.entries.len() > KEPT {
                    history.entries.pop_front();
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "the history of configurations begins anew");
            }
        }
        history.path = Some(path);
        history
    }

    /// `text` is in force now.
    pub(super) fn note(&mut self, revision: &str, text: &str, at: f64, by: &str) {
        let text = self.veil.lower(text);
        if let Some(last) = self.entries.back().filter(|last| last.revision == revision) {
            // What it refers to has changed: whoever wrote the text has still written it, and then.
            if last.text == text {
                return self.forget();
            }
            self.entries.pop_back();
        }
        if self.entries.len() >= KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { revision: revision.to_owned(), at, by: by.to_owned(), text });
        self.forget();
    }

    /// What is in force, as it may be shown.
    pub(super) fn current(&self) -> &str {
        self.entries.back().map_or("", |entry| &entry.text)
    }

    /// The text of a revision, as it may be shown.
    pub(super) fn text_of(&self, revision: &str) -> Option<&str> {
        self.entries.iter().rev().find(|entry| entry.revision == revision).map(|entry| entry.text.as_str())
    }

    pub(super) fn all(&self) -> Vec<Past> {
        let last = self.entries.len().saturating_sub(1);
        let of = |(index, entry): (usize, &Entry)| Past {
            revision: entry.revision.clone(),
            at: entry.at,
            by: entry.by.clone(),
            is_current: index == last,
            text: entry.text.clone(),
        };
        self.entries.iter().enumerate().map(of).collect()
    }

    /// A text as it may be shown.
    pub(super) fn lower(&mut self, text: &str) -> String {
        let shown = self.veil.lower(text);
        self.forget();
        shown
    }

    pub(super) fn lift(&self, text: &str) -> Result<Lifted, Vec<Problem>> {
        self.veil.lift(text)
    }

    /// What is to be written, if anything is.
    pub(super) fn page(&self) -> Option<Page> {
        let path = self.path.clone()?;
        let form = Form { mainstay_history: VERSION, salt: *self.veil.salt(), entries: self.entries.clone() };
        let text = serde_json::to_string(&form).ok()?;
        Some(Page { path, text })
    }

    fn forget(&mut self) {
        let Self { entries, veil, .. } = self;
        veil.keep(entries.iter().map(|entry| entry.text.as_str()));
    }
}

impl Page {
    /// The whole of it, or the file as it was. Blocks.
    pub(super) fn write(&self) {
        if let Err(error) = replace(&self.path, &self.text) {
            tracing::warn!(
                file = %self.path.display(), %error,
                "the history of configurations cannot be written: a restart would forget it"
            );
        }
    }
}

fn file_of(state_file: &Path) -> PathBuf {
    let mut name = state_file.file_name().unwrap_or_default().to_owned();
    name.push(".history");
    state_file.with_file_name(name)
}

fn read(path: &Path) -> io::Result<Option<Form>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        // A pipe would be waited for.
        Ok(about) if !about.is_file() => return Err(foreign()),
        Ok(about) if about.len() > MOST_BYTES => return Err(io::ErrorKind::FileTooLarge.into()),
        Ok(_) => {}
    }
    let text = fs::read_to_string(path)?;
    if text.is_empty() {
        return Ok(None);
    }
    let form: Form = serde_json::from_str(&text).map_err(|_| foreign())?;
    if form.mainstay_history == VERSION { Ok(Some(form)) } else { Err(foreign()) }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let is_ours = match fs::read(path) {
        Ok(bytes) => bytes.is_empty() || bytes.starts_with(format!("{BEGIN}{VERSION},").as_bytes()),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !is_ours {
        return Err(foreign());
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // What an interrupted write has left. A link is not written through.
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

fn foreign() -> io::Error {
    io::Error::other(
        "what is there is no history of Mainstay's, or another version's, and is not written over",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(word: &str) -> String {
        format!("version: 1 # {word}\nserver: {{admin_token: secret-of-{word}}}\n")
    }

    #[test]
    fn the_last_are_kept_without_secrets_and_found_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let state_file = directory.path().join("state.json");
        let mut history = History::beside(&state_file);
        for number in 0..KEPT + 3 {
            history.note(
                &format!("r{number}"),
                &text(&format!("n{number}")),
                number as f64,
                "gateway: start",
            );
        }
        history.note("r34", &(text("n34") + "# other words\n"), 99.0, "somebody");
        history.note("r34", &(text("n34") + "# other words\n"), 100.0, "gateway: the file was changed");
        let all = history.all();
        assert_eq!((all.len(), &*all[0].revision), (KEPT, "r3"), "what says the same is one entry");
        let last = all.last().expect("the last");
        assert_eq!(
            (&*last.by, last.at, last.is_current),
            ("somebody", 99.0, true),
            "who wrote the text, and when"
        );
        history.page().expect("there is a place for it").write();
        let file = fs::read_to_string(file_of(&state_file)).expect("a file");
        assert!(!file.contains("secret-of") && file.contains("REDACTED-"), "{file}");

        let mut next = History::beside(&state_file);
        assert_eq!(next.all(), all);
        let shown = next.text_of("r20").expect("it is kept").to_owned();
        assert!(next.lift(&shown).is_err(), "nobody has told this process");
        next.note("r99", &text("n20"), 100.0, "gateway: start");
        assert_eq!(next.lift(&shown).map(|lifted| lifted.text).ok(), Some(text("n20")));
    }

    #[test]
    fn what_is_no_history_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let state_file = directory.path().join("state.json");
        for theirs in ["version: 1", "{\"mainstay_history\":2,\"salt\":[]}"] {
            fs::write(file_of(&state_file), theirs).expect("a file");
            let mut history = History::beside(&state_file);
            history.note("r", "version: 1", 1.0, "somebody");
            history.page().expect("a page").write();
            assert_eq!(fs::read_to_string(file_of(&state_file)).expect("a file"), theirs);
        }
    }
}
