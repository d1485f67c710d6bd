//! One batch in a segment: `length of what follows u32 · checksum u32 · rows u32 · batch`, little-endian. The checksum
//! (CRC-32) is of all that stands behind it.

use crate::algo::crc::Crc;
use crate::ledger::codec::{self, Words};
use crate::ledger::writer::rows_of;
use crate::store::rows::Batch;

/// A batch has no more rows, about.
const MOST_ROWS: usize = 2_000;
/// Bytes before the batch.
pub const HEAD: usize = 12;
/// A length says what follows itself.
const LENGTH: usize = 4;
/// No batch is nearly as long; a length that is more is none.
const LONGEST: u64 = 256 << 20;
/// Bytes whose checksums are taken in search of the next frame: a second's work, and far more than it takes unless a
/// caller's words were made to look like frames.
const MOST_SUMMED: usize = 1 << 30;

/// A batch as a frame.
pub fn of(batch: &Batch) -> Vec<u8> {
    let mut frame = vec![0; HEAD];
    codec::write(batch, &mut frame);
    let length = u32::try_from(frame.len() - LENGTH).unwrap_or(u32::MAX);
    let rows = u32::try_from(rows_of(batch)).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[8..HEAD].copy_from_slice(&rows.to_le_bytes());
    let sum = sum(&frame[8..HEAD], &frame[HEAD..]);
    frame[4..8].copy_from_slice(&sum.to_le_bytes());
    frame
}

fn sum(rows: &[u8], payload: &[u8]) -> u32 {
    let mut crc = Crc::default();
    crc.add(rows);
    crc.add(payload);
    crc.value()
}

fn number(head: [u8; HEAD], at: usize) -> u32 {
    u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

/// Of the whole frame with this head, if it can be one's.
pub fn length(head: [u8; HEAD]) -> Option<u64> {
    let length = u64::from(number(head, 0)) + LENGTH as u64;
    (HEAD as u64..LONGEST).contains(&length).then_some(length)
}

/// How many rows are in it, as it says itself; no more than a batch has where that is damaged, too.
pub fn rows(head: [u8; HEAD]) -> usize {
    (number(head, 8) as usize).min(MOST_ROWS)
}

fn is_sound(head: [u8; HEAD], payload: &[u8]) -> bool {
    sum(&head[8..], payload) == number(head, 4)
}

/// What is in it, if it is what was written.
pub fn batch(head: [u8; HEAD], payload: &[u8], words: &mut Words) -> Option<Batch> {
    is_sound(head, payload).then(|| codec::read(payload, words)).flatten()
}

/// What stands at the beginning of some bytes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// A frame of so many bytes, as it was written.
    Whole(usize),
    /// So many bytes that are not what was written; the next frame stands behind them, or the segment ends.
    Damaged(usize),
    /// The beginning of a frame whose end was never written.
    Torn,
}

impl Stretch {
    pub fn of(bytes: &[u8]) -> Self {
        let Some((head, _)) = bytes.split_first_chunk::<HEAD>() else { return Self::Torn };
        let stated = length(*head).and_then(|length| usize::try_from(length).ok());
        if let Some(stated) = stated
            && let Some((frame, behind)) = bytes.split_at_checked(stated)
        {
            if is_sound(*head, &frame[HEAD..]) {
                return Self::Whole(stated);
            }
            // Its length is good if that leads to the next one.
            if behind.is_empty() || likely(behind).is_some() {
                return Self::Damaged(stated);
            }
        }
        match next(bytes) {
            Some(next) => Self::Damaged(next),
            None if is_torn(*head, bytes, stated) => Self::Torn,
            None => Self::Damaged(bytes.len()),
        }
    }
}

/// Whether a crash can have left this as the last of a segment: a frame's first bytes, or zeros that were to be one. A
/// frame that is whole but for its length is damaged: the checksum is not of that.
fn is_torn(head: [u8; HEAD], bytes: &[u8], stated: Option<usize>) -> bool {
    let is_cut = stated.is_some_and(|stated| stated > bytes.len()) && !is_sound(head, &bytes[HEAD..]);
    is_cut || bytes.iter().all(|byte| *byte == 0)
}

/// The length of the frame that these bytes begin with, as far as that can be told without its checksum.
fn likely(bytes: &[u8]) -> Option<usize> {
    let (head, payload) = bytes.split_first_chunk::<HEAD>()?;
    let length = length(*head).and_then(|length| usize::try_from(length).ok())?;
    // A row takes a byte at least.
    let is_one = length <= bytes.len() && number(*head, 8) as usize <= length && codec::is_ours(payload);
    is_one.then_some(length)
}

/// Where the next frame begins, where no length leads there.
fn next(bytes: &[u8]) -> Option<usize> {
    let mut left = MOST_SUMMED;
    for at in 1..bytes.len() {
        let rest = &bytes[at..];
        let Some(length) = likely(rest) else { continue };
        let (head, payload) = rest[..length].split_first_chunk::<HEAD>()?;
        left = left.checked_sub(length)?;
        if is_sound(*head, payload) {
            return Some(at);
        }
    }
    None
}

/// How many stretches there are, and how many bytes they take without a torn one at the end.
pub fn survey(bytes: &[u8]) -> (u64, usize) {
    let (mut stretches, mut at) = (0, 0);
    while let Stretch::Whole(length) | Stretch::Damaged(length) = Stretch::of(&bytes[at..]) {
        stretches += 1;
        at += length;
    }
    (stretches, at)
}
