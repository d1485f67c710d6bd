//! Batches on disk until the store has them: appended, synced one by one, taken out in order.
//!
//! A directory of segments, each a row of frames ([`frame`]). A frame that was written is on disk when
//! [`Spool::append`] returns; one that a crash or a full disk has cut is cut off when the directory is opened, and
//! never taken for a batch. What was taken out is not written down: a segment goes when all of it is gone, and what is
//! left of one after a crash is told again, which is harmless because a batch has a name. When `most_bytes` are full,
//! what comes is refused and what is there stays: it was promised to be kept. Should somebody remove files of it, their
//! batches are counted as unreadable and new ones begin. What a disk has changed costs the batches that it is in, which
//! are counted as well, and the segment is put aside for people when the rest of it is gone. Blocks; reads no clock.

mod frame;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use self::frame::Stretch;
use super::codec::Words;
use crate::store::rows::Batch;

/// A segment is closed before it gets larger; a larger batch has one to itself.
const SEGMENT: u64 = 4 << 20;
/// How names of segments end.
const SUFFIX: &str = "rows";
/// How names of segments end that could not be read: they stay for people, and nothing here looks at them again.
const ASIDE: &str = "unreadable";
/// What Linux says of a place of a disk that cannot be read.
const EIO: i32 = 5;
/// Held as long as a process has the directory.
const LOCK: &str = "lock";

/// A directory of batches.
#[derive(Debug)]
pub struct Spool {
    directory: PathBuf,
    most_bytes: u64,
    segments: VecDeque<Segment>,
    /// The last segment, while it is written to.
    writing: Option<File>,
    next: u64,
    /// The first batches as they were read: their names and their frames' lengths.
    read: VecDeque<(u128, u64)>,
    words: Words,
    unreadable: usize,
    _lock: File,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    /// Without what a crash has left half written at its end.
    length: u64,
    /// Where the first frame is that is still wanted.
    at: u64,
    /// How many are; damaged ones that cannot be told from each other are one.
    frames: u64,
    when_done: WhenDone,
}

/// What becomes of a segment of which nothing is wanted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhenDone {
    Removed,
    /// There is more in it than could be read.
    PutAside,
}

/// Where a frame is that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    OnDisk,
    /// In a file that somebody has removed.
    Nowhere,
}

/// Why a batch is not on disk.
#[derive(Debug)]
pub(super) enum Full {
    /// `most_bytes` are.
    Bytes,
    /// The disk is, or does not work.
    Disk(io::Error),
}

impl Spool {
    /// Opens `directory`, or makes it, and cuts off what a crash has left half written. Fails where another process has
    /// it.
    pub fn open(directory: &Path, most_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(directory.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why =
                    format!("another process spools into {}; give each a directory", directory.display());
                return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut spool = Self {
            directory: directory.to_owned(),
            most_bytes,
            segments: VecDeque::new(),
            writing: None,
            next: 0,
            read: VecDeque::new(),
            words: Words::default(),
            unreadable: 0,
            _lock: lock,
        };
        // Nor is a number taken again while what was put aside has it.
        let numbers = spool.numbers(SUFFIX)?;
        let last = spool.numbers(ASIDE)?.into_iter().chain(numbers.iter().copied()).max();
        spool.next = last.map_or(0, |last| last + 1);
        for number in numbers {
            spool.mend(number)?;
        }
        Ok(spool)
    }

    /// Takes over what `other` holds, which nobody writes to any more; its batches come after those that are here.
    pub fn adopt(&mut self, other: Self) -> io::Result<()> {
        for mut segment in other.segments {
            let number = self.next;
            fs::rename(other.directory.join(file_name(segment.number)), self.path(number))?;
            self.next += 1;
            segment.number = number;
            self.segments.push_back(segment);
        }
        self.writing = None;
        File::open(&self.directory)?.sync_all()
    }

    /// The segments in the directory whose names end so, in order.
    fn numbers(&self, suffix: &str) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(suffix)?.strip_suffix('.'));
            let number = number.and_then(|number| u64::from_str_radix(number, 16).ok());
            // Larger ones nobody here has given, and there would be none behind them.
            numbers.extend(number.filter(|number| *number < u64::MAX / 2));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Cuts off what a crash has left half written. What is damaged otherwise stays until its turn comes.
    fn mend(&mut self, number: u64) -> io::Result<()> {
        let path = self.path(number);
        let bytes = fs::read(&path)?;
        let (frames, length) = frame::survey(&bytes);
        if length == 0 {
            return fs::remove_file(&path);
        }
        if length < bytes.len() {
            let file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(length as u64)?;
            file.sync_all()?;
        }
        self.segments.push_back(Segment {
            number,
            length: length as u64,
            at: 0,
            frames,
            when_done: WhenDone::Removed,
        });
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(file_name(number))
    }

    /// Batches that are still wanted.
    pub(super) fn batches(&self) -> u64 {
        self.segments.iter().map(|segment| segment.frames).sum()
    }

    /// What it may take on disk.
    pub(super) fn most_bytes(&self) -> u64 {
        self.most_bytes
    }

    /// What it takes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// Puts a batch behind all others. It is on disk when this returns.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<(), Full> {
        let frame = frame::of(batch);
        if self.bytes() + frame.len() as u64 > self.most_bytes {
            return Err(Full::Bytes);
        }
        if self.put(&frame).map_err(Full::Disk)? == Put::Nowhere {
            // A new segment has a name again, unless somebody goes on removing them.
            self.put(&frame).map_err(Full::Disk)?;
        }
        Ok(())
    }

    fn put(&mut self, frame: &[u8]) -> io::Result<Put> {
        let length = frame.len() as u64;
        let is_full = self.segments.back().is_some_and(|last| last.length + length > SEGMENT);
        if is_full || self.writing.is_none() {
            self.begin()?;
        }
        let (Some(file), Some(last)) = (&mut self.writing, self.segments.back_mut()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let written = file.write_all(frame).and_then(|()| file.sync_data()).and_then(|()| file.metadata());
        match written {
            Ok(file) if file.nlink() > 0 => {
                last.length += length;
                last.frames += 1;
                Ok(Put::OnDisk)
            }
            Ok(_) => {
                self.writing = None;
                self.unreadable += last.frames as usize;
                self.segments.pop_back();
                if self.segments.is_empty() {
                    self.read.clear();
                }
                Ok(Put::Nowhere)
            }
            Err(error) => {
                // Half a frame may be there; nothing is ever written behind it.
                let (number, is_blank) = (last.number, last.length == 0);
                self.writing = None;
                if is_blank {
                    self.segments.pop_back();
                    // It holds nothing that anybody would miss, and is mended away when it stays.
                    let _ = fs::remove_file(self.path(number));
                }
                Err(error)
            }
        }
    }

    /// Begins a segment.
    fn begin(&mut self) -> io::Result<()> {
        self.writing = None;
        fs::create_dir_all(&self.directory)?;
        let number = self.next;
        let file = OpenOptions::new().create_new(true).append(true).open(self.path(number))?;
        self.next += 1;
        // Its name has to outlast a crash as well as its bytes.
        File::open(&self.directory)?.sync_all()?;
        let when_done = WhenDone::Removed;
        self.segments.push_back(Segment { number, length: 0, at: 0, frames: 0, when_done });
        self.writing = Some(file);
        Ok(())
    }

    /// The first batches, which stay: one at least where there is any, and no more than have about so many rows.
    pub(super) fn first(&mut self, most_rows: usize) -> io::Result<Vec<Batch>> {
        self.read.clear();
        let mut batches = Vec::new();
        while let Some(first) = self.segments.front().filter(|first| first.frames > 0) {
            let file = match File::open(self.path(first.number)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                file => Some(file?),
            };
            let Some(mut file) = file else {
                self.unreadable += first.frames as usize;
                self.drop_first()?;
                continue;
            };
            let at = first.at;
            file.seek(SeekFrom::Start(at))?;
            let (mut left, mut rows) = (first.length - at, 0);
            while left > 0 {
                let mut head = [0; frame::HEAD];
                if let Err(error) = file.read_exact(&mut head) {
                    self.fails(error, &batches)?;
                    break;
                }
                let length = frame::length(head).filter(|length| *length <= left);
                rows += frame::rows(head);
                if !batches.is_empty() && rows > most_rows {
                    return Ok(batches);
                }
                if let Some(length) = length {
                    let mut payload = vec![0; usize::try_from(length).unwrap_or_default() - frame::HEAD];
                    if let Err(error) = file.read_exact(&mut payload) {
                        self.fails(error, &batches)?;
                        break;
                    }
                    if let Some(batch) = frame::batch(head, &payload, &mut self.words) {
                        self.read.push_back((batch.id, length));
                        batches.push(batch);
                        left -= length;
                        continue;
                    }
                }
                // What can be read before it goes first.
                if !batches.is_empty() {
                    return Ok(batches);
                }
                if let Err(error) = self.skip(&mut file, frame::rows(head)) {
                    self.fails(error, &batches)?;
                }
                break;
            }
            if !batches.is_empty() {
                break;
            }
        }
        Ok(batches)
    }

    /// The first frame that is wanted, of so many rows as it says, is not what was written, or a later version wrote
    /// it: what stands behind it goes on.
    fn skip(&mut self, file: &mut File, rows: usize) -> io::Result<()> {
        let Some(first) = self.segments.front_mut() else { return Ok(()) };
        let mut rest = vec![0; usize::try_from(first.length - first.at).unwrap_or_default()];
        file.seek(SeekFrom::Start(first.at))?;
        file.read_exact(&mut rest)?;
        let length = match Stretch::of(&rest) {
            Stretch::Whole(length) | Stretch::Damaged(length) => length,
            Stretch::Torn => rest.len(),
        };
        if first.when_done == WhenDone::Removed {
            first.when_done = WhenDone::PutAside;
            let file = file_name(first.number);
            tracing::warn!(file, at = first.at, "rows of the ledger are damaged on disk and are lost");
        }
        // Where it says that there is none it is damaged there.
        self.unreadable += rows.max(1);
        self.pass(length as u64)
    }

    /// The first segment cannot be read any further. What was read of it before goes first; then it is put aside, since
    /// whatever stands behind it would wait for good.
    fn fails(&mut self, error: io::Error, read: &[Batch]) -> io::Result<()> {
        if !is_for_good(&error) {
            return Err(error);
        }
        if !read.is_empty() {
            return Ok(());
        }
        let Some(first) = self.segments.front_mut() else { return Ok(()) };
        self.unreadable += first.frames as usize;
        first.when_done = WhenDone::PutAside;
        tracing::error!(%error, file = file_name(first.number), "rows of the ledger cannot be read");
        self.drop_first()
    }

    /// Rows that could not be read since this was asked last.
    pub(super) fn take_unreadable(&mut self) -> usize {
        std::mem::take(&mut self.unreadable)
    }

    /// The store has the first batch, if that has this name.
    pub(super) fn forget(&mut self, id: u128) -> io::Result<()> {
        match self.read.pop_front() {
            Some((read, length)) if read == id => self.pass(length),
            Some(_) | None => {
                self.read.clear();
                Ok(())
            }
        }
    }

    /// The first frame, of this length, is not wanted any more.
    fn pass(&mut self, length: u64) -> io::Result<()> {
        let Some(first) = self.segments.front_mut() else { return Ok(()) };
        first.at += length;
        if first.at >= first.length {
            return self.drop_first();
        }
        first.frames = first.frames.saturating_sub(1).max(1);
        Ok(())
    }

    fn drop_first(&mut self) -> io::Result<()> {
        let Some(first) = self.segments.pop_front() else { return Ok(()) };
        self.read.clear();
        if self.segments.is_empty() {
            self.writing = None;
        }
        let path = self.path(first.number);
        if first.when_done == WhenDone::PutAside {
            let aside = path.with_extension(ASIDE);
            match fs::rename(&path, &aside) {
                Ok(()) => {
                    tracing::warn!(file = %aside.display(), "what could not be read of the ledger's rows is put aside");
                    return Ok(());
                }
                // Or it would be read again and again.
                Err(error) => {
                    tracing::error!(%error, file = %path.display(), "it cannot be put aside and is removed");
                }
            }
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

/// Whether a file that says so will say so again: it is shorter than it was, or its disk is damaged there.
fn is_for_good(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof || error.raw_os_error().is_some_and(|code| code == EIO)
}

fn file_name(number: u64) -> String {
    format!("{number:016x}.{SUFFIX}")
}
