//! A batch as bytes, and back. Only the spool has them: what one version writes, a later one reads, or says that it
//! cannot.
//!
//! Numbers are LEB128, texts have their length in front, what may be missing has a byte that says so. Nothing is
//! trusted on the way back: any bytes give a batch or `None`.

mod eye;
mod pen;
#[cfg(test)]
pub mod tests;

use std::collections::HashSet;

use eye::Eye;
use pen::Pen;

use crate::store::rows::Batch;

/// The first byte. Another one when the form changes.
const VERSION: u8 = 1;

/// Our own words in rows: so many there may be, and so long.
const MOST_WORDS: usize = 1_000;
const LONGEST_WORD: usize = 64;

/// Words that live as long as the process, each once: rows have `&'static str` for those that the program knows, and a
/// spool may bring those of another version.
#[derive(Debug, Default)]
pub struct Words(HashSet<&'static str>);

impl Words {
    fn word(&mut self, text: &str) -> Option<&'static str> {
        if let Some(known) = self.0.get(text) {
            return Some(known);
        }
        if self.0.len() == MOST_WORDS || text.len() > LONGEST_WORD {
            return None;
        }
        let word: &'static str = Box::leak(text.into());
        self.0.insert(word);
        Some(word)
    }
}

/// Writes `batch` behind what is in `to`.
pub fn write(batch: &Batch, to: &mut Vec<u8>) {
    let Batch { id, requests, attempts } = batch;
    let mut pen = Pen(to);
    pen.0.push(VERSION);
    pen.wide(*id);
    pen.number(requests.len() as u64);
    for row in requests {
        pen.request(row);
    }
    pen.number(attempts.len() as u64);
    for row in attempts {
        pen.attempt(row);
    }
}

/// Whether this may be the beginning of what [`write()`] wrote.
pub fn is_ours(bytes: &[u8]) -> bool {
    bytes.first() == Some(&VERSION)
}

/// Reads what [`write()`] wrote.
pub fn read(bytes: &[u8], words: &mut Words) -> Option<Batch> {
    let mut eye = Eye { rest: bytes, words };
    (eye.byte()? == VERSION).then_some(())?;
    let id = eye.wide()?;
    // No row takes less than a byte, so that nobody is made to reserve more than there is.
    let count = eye.count()?;
    let requests = (0..count).map(|_| eye.request()).collect::<Option<_>>()?;
    let count = eye.count()?;
    let attempts = (0..count).map(|_| eye.attempt()).collect::<Option<_>>()?;
    eye.rest.is_empty().then_some(Batch { id, requests, attempts })
}
