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

/// How many whole frames stand at the beginning, and how many bytes they take.
pub fn whole(bytes: &[u8]) -> (u64, usize) {
    let (mut frames, mut at) = (0, 0);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(head) = rest.first_chunk::<HEAD>() else { return (frames, at) };
        let length = length(*head).and_then(|length| usize::try_from(length).ok());
        let Some((length, payload)) = length.and_then(|length| Some((length, rest.get(HEAD..length)?)))
        else {
            return (frames, at);
        };
        if !is_sound(*head, payload) {
            return (frames, at);
        }
        frames += 1;
        at += length;
    }
}
