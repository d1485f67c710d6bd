//! Batches on disk until the store has them: appended, synced one by one, taken out in order.
//!
//! A directory of segments, each a row of frames ([`frame`]). A frame that was written is on disk when
//! [`Spool::append`] returns; one that a crash or a full disk has cut is cut off when the directory is opened, and never
//! taken for a batch. What was taken out is not written down: a segment goes when all of it is gone, and what is left of
//! one after a crash is told again, which is harmless because a batch has a name. When `most_bytes` are full, what comes is
//! refused and what is there stays: it was promised to be kept. Blocks; reads no clock.

mod frame;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::codec::Words;
use crate::store::rows::Batch;

/// A segment is closed before it gets larger; a larger batch has one to itself.
const SEGMENT: u64 = 4 << 20;
/// How names of segments end.
const SUFFIX: &str = "rows";
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
    /// The first batch as it was read: its name and its frame's length.
    read: Option<(u128, u64)>,
    words: Words,
    unreadable: usize,
    _lock: File,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    /// Of whole frames.
    length: u64,
    /// Where the first frame is that is still wanted.
    at: u64,
    /// How many are.
    frames: u64,
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
    /// Opens `directory`, or makes it, and cuts off what a crash has left half written. Fails where another process has it.
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
            read: None,
            words: Words::default(),
            unreadable: 0,
            _lock: lock,
        };
        for number in spool.numbers()? {
            spool.next = number + 1;
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

    /// The segments in the directory, in order.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.strip_suffix('.'));
            numbers.extend(number.and_then(|number| u64::from_str_radix(number, 16).ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Cuts a segment to its whole frames.
    fn mend(&mut self, number: u64) -> io::Result<()> {
        let path = self.path(number);
        let bytes = fs::read(&path)?;
        let (frames, length) = frame::whole(&bytes);
        if length == 0 {
            return fs::remove_file(&path);
        }
        if length < bytes.len() {
            let file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(length as u64)?;
            file.sync_all()?;
        }
        self.segments.push_back(Segment { number, length: length as u64, at: 0, frames });
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(file_name(number))
    }

    /// Batches that are still wanted.
    pub(super) fn batches(&self) -> u64 {
        self.segments.iter().map(|segment| segment.frames).sum()
    }

    /// What it takes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// Puts a batch behind all others. It is on disk when this returns.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<(), Full> {
        let frame = frame::of(batch);
        let length = frame.len() as u64;
        if self.bytes() + length > self.most_bytes {
            return Err(Full::Bytes);
        }
        let is_full = self.segments.back().is_some_and(|last| last.length + length > SEGMENT);
        if is_full || self.writing.is_none() {
            self.begin().map_err(Full::Disk)?;
        }
        let (Some(file), Some(last)) = (&mut self.writing, self.segments.back_mut()) else {
            return Err(Full::Disk(io::ErrorKind::NotFound.into()));
        };
        if let Err(error) = file.write_all(&frame).and_then(|()| file.sync_data()) {
            // Half a frame may be there; nothing is ever written behind it.
            let (number, is_blank) = (last.number, last.length == 0);
            self.writing = None;
            if is_blank {
                self.segments.pop_back();
                // It holds nothing that anybody would miss, and is mended away when it stays.
                let _ = fs::remove_file(self.path(number));
            }
            return Err(Full::Disk(error));
        }
        last.length += length;
        last.frames += 1;
        Ok(())
    }

    /// Begins a segment.
    fn begin(&mut self) -> io::Result<()> {
        self.writing = None;
        let number = self.next;
        let file = OpenOptions::new().create_new(true).append(true).open(self.path(number))?;
        self.next += 1;
        // Its name has to outlast a crash as well as its bytes.
        File::open(&self.directory)?.sync_all()?;
        self.segments.push_back(Segment { number, length: 0, at: 0, frames: 0 });
        self.writing = Some(file);
        Ok(())
    }

    /// The first batch, which stays.
    pub(super) fn first(&mut self) -> io::Result<Option<Batch>> {
        while let Some(first) = self.segments.front().filter(|first| first.frames > 0) {
            let mut file = File::open(self.path(first.number))?;
            file.seek(SeekFrom::Start(first.at))?;
            let left = first.length - first.at;
            let mut head = [0; frame::HEAD];
            file.read_exact(&mut head)?;
            let length = frame::length(head).filter(|length| *length <= left);
            if let Some(length) = length {
                let mut payload = vec![0; usize::try_from(length).unwrap_or_default() - frame::HEAD];
                file.read_exact(&mut payload)?;
                if let Some(batch) = frame::batch(head, &payload, &mut self.words) {
                    self.read = Some((batch.id, length));
                    return Ok(Some(batch));
                }
            }
            // It was whole when it was written or opened: the disk has changed it, or a later version wrote it.
            self.unreadable += frame::rows(head);
            if let Some(length) = length {
                self.pass(length)?;
            } else {
                // Where the next one begins cannot be told; how many rows the others had neither.
                self.unreadable += self.segments.front().map_or(0, |first| first.frames as usize - 1);
                self.drop_first()?;
            }
        }
        Ok(None)
    }

    /// Rows that could not be read since this was asked last.
    pub(super) fn take_unreadable(&mut self) -> usize {
        std::mem::take(&mut self.unreadable)
    }

    /// The store has the first batch, if that has this name.
    pub(super) fn forget(&mut self, id: u128) -> io::Result<()> {
        match self.read.take() {
            Some((read, length)) if read == id => self.pass(length),
            _ => Ok(()),
        }
    }

    /// The first frame, of this length, is not wanted any more.
    fn pass(&mut self, length: u64) -> io::Result<()> {
        let Some(first) = self.segments.front_mut() else { return Ok(()) };
        first.at += length;
        first.frames = first.frames.saturating_sub(1);
        if first.frames == 0 { self.drop_first() } else { Ok(()) }
    }

    fn drop_first(&mut self) -> io::Result<()> {
        let Some(first) = self.segments.pop_front() else { return Ok(()) };
        if self.segments.is_empty() {
            self.writing = None;
        }
        fs::remove_file(self.path(first.number))
    }
}

fn file_name(number: u64) -> String {
    format!("{number:016x}.{SUFFIX}")
}
