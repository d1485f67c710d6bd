//! Captures on disk: a line each, in files by the hour, `capture-2026-11-22T08-0001.jsonl`. Files are only ever
//! appended to by the process that made them, and removed whole: by age, and the oldest first where all of them are too
//! large.
//!
//! Nothing is synced: what was written survives the process, and the end of the machine loses some seconds. A line that
//! a killed process has left half-written is at the end of its file, and stands for nothing.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;

use memchr::memmem;
use serde_json::Value;

use super::record::beginning;
use crate::telemetry::logs;
use crate::vocab::RequestId;

const PREFIX: &str = "capture-";
const SUFFIX: &str = ".jsonl";
/// Of a time in a name: `2026-11-22T08`.
const HOUR: usize = 13;
/// A file is never larger than this, unless one line is, so that it can be read at once.
const LARGEST: u64 = 16 << 20;
/// A file has no more than such a part of all that may be there, so that little goes when the oldest does.
const PART: u64 = 8;
/// Files of one hour.
const MOST_NUMBERS: u32 = 9_999;
/// Between the arrival that an id of ours tells of and the time by which its capture is filed: clocks are put right.
const SLACK: Duration = Duration::from_hours(1);

/// A directory with captures.
pub(super) struct Place {
    directory: PathBuf,
}

/// The one that is written to.
pub(super) struct Segments {
    place: Place,
    open: Option<Open>,
    /// How many bytes are there, as far as it is known.
    total: Option<u64>,
}

struct Open {
    file: File,
    name: String,
    bytes: u64,
}

/// A file that is there.
struct Segment {
    name: String,
    bytes: u64,
}

/// How much may be there, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub bytes: u64,
    pub age: Duration,
}

impl Place {
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Those that are there, the oldest first; none where there is no directory.
    fn list(&self) -> io::Result<Vec<Segment>> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !name.starts_with(PREFIX) || !name.ends_with(SUFFIX) {
                continue;
            }
            match entry.metadata() {
                Ok(metadata) => found.push(Segment { name, bytes: metadata.len() }),
                // Another process has cleared it away.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The last line of a request of this id, unless `is_given_up` says meanwhile that nobody wants it any more.
    pub fn find(&self, request_id: &str, is_given_up: impl Fn() -> bool) -> io::Result<Option<Value>> {
        let line = beginning(request_id);
        let earliest = RequestId::arrival(request_id).map(|at| name_of(at.saturating_sub(SLACK), 0));
        for segment in self.list()?.iter().rev() {
            if is_given_up() || earliest.as_ref().is_some_and(|earliest| segment.name < *earliest) {
                break;
            }
            let content = match fs::read(self.directory.join(&segment.name)) {
                Ok(content) => content,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if let Some(found) = last_line(&content, line.as_bytes()) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Removes what is too old, and as much of the oldest that `more` bytes fit in. Returns how many bytes are left.
    pub fn clear(&self, now: Duration, bounds: Bounds, more: u64) -> io::Result<u64> {
        let segments = self.list()?;
        let oldest = name_of(now.saturating_sub(bounds.age), 0);
        let mut left: u64 = segments.iter().map(|segment| segment.bytes).sum();
        for segment in segments {
            if segment.name >= oldest && left.saturating_add(more) <= bounds.bytes {
                break;
            }
            match fs::remove_file(self.directory.join(&segment.name)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            left = left.saturating_sub(segment.bytes);
        }
        Ok(left)
    }
}

impl Segments {
    pub fn new(directory: PathBuf) -> Self {
        Self { place: Place::new(directory), open: None, total: None }
    }

    /// Removes what is too old, and as much of the oldest that `more` bytes fit in. Returns how many bytes are left.
    pub fn clear(&mut self, now: Duration, bounds: Bounds, more: u64) -> io::Result<u64> {
        self.total = None;
        let left = self.place.clear(now, bounds, more)?;
        self.total = Some(left);
        Ok(left)
    }

    pub fn is_at(&self, directory: &std::path::Path) -> bool {
        self.place.directory == directory
    }

    /// Makes the directory, where there is none.
    pub fn prepare(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.place.directory)
    }

    /// Writes one line, its end included. Returns how many bytes are there now.
    pub fn write(&mut self, line: &str, now: Duration, bounds: Bounds) -> io::Result<u64> {
        let written = self.try_write(line, now, bounds);
        if written.is_err() {
            // It may end with half a line, to which nothing may be added.
            self.open = None;
            self.total = None;
        }
        written
    }

    fn try_write(&mut self, line: &str, now: Duration, bounds: Bounds) -> io::Result<u64> {
        let length = line.len() as u64;
        if length > bounds.bytes {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "one capture is larger than max_total"));
        }
        // Looked for anew only where it matters: others who write here, or take away, are rare.
        let left = match self.total.filter(|total| total + length <= bounds.bytes) {
            Some(total) => total,
            None => self.clear(now, bounds, length)?,
        };
        let hour = name_of(now, 0);
        let largest = LARGEST.min(bounds.bytes / PART);
        let goes_on = |open: &Open| {
            open.name[..PREFIX.len() + HOUR] == hour[..PREFIX.len() + HOUR]
                && open.bytes + length <= largest
                && self.place.directory.join(&open.name).exists()
        };
        if !self.open.as_ref().is_some_and(goes_on) {
            self.open = Some(self.create(now)?);
        }
        let open = self.open.as_mut().expect("one was opened, if none was");
        open.file.write_all(line.as_bytes())?;
        open.bytes += length;
        self.total = Some(left + length);
        Ok(left + length)
    }

    fn create(&self, now: Duration) -> io::Result<Open> {
        self.prepare()?;
        let hour = &name_of(now, 0)[..PREFIX.len() + HOUR];
        let listed = self.place.list()?;
        let last = listed.iter().rev().find_map(|segment| segment.name.strip_prefix(hour));
        let last = last.and_then(|rest| rest.strip_prefix('-')?.strip_suffix(SUFFIX)?.parse().ok());
        for number in last.map_or(1, |last: u32| last.saturating_add(1))..=MOST_NUMBERS {
            let name = name_of(now, number);
            let file = OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(self.place.directory.join(&name));
            match file {
                Ok(file) => return Ok(Open { file, name, bytes: 0 }),
                // Another process was first.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("there are too many files of this hour"))
    }
}

/// Names of later times come later.
fn name_of(at: Duration, number: u32) -> String {
    let time = logs::timestamp(at);
    format!("{PREFIX}{}-{number:04}{SUFFIX}", &time[..HOUR])
}

/// The last whole line that begins so.
fn last_line(content: &[u8], beginning: &[u8]) -> Option<Value> {
    let mut to = content.len();
    while let Some(at) = memmem::rfind(&content[..to], beginning) {
        let rest = &content[at..];
        let is_line = at == 0 || content[at - 1] == b'\n';
        let end = memchr::memchr(b'\n', rest);
        if let Some(found) = end.filter(|_| is_line).and_then(|end| serde_json::from_slice(&rest[..end]).ok())
        {
            return Some(found);
        }
        to = at;
    }
    None
}

#[cfg(test)]
mod tests;
