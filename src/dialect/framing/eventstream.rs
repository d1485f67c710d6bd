//! Amazon's event stream: binary messages, each with headers and two checksums.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the message, all of it |
//! | 4 | length of the headers |
//! | 4 | CRC-32 of the eight bytes before |
//! | … | headers: length of the name (1), name, type of the value (1), value |
//! | … | payload |
//! | 4 | CRC-32 of everything before |
//!
//! Numbers are big endian. Source: Smithy's specification "Amazon Event Stream" and botocore's
//! `eventstream.py`. A message's name is its `:event-type`, an exception's its `:exception-type`; an
//! error that the service has no type for has its `:error-code`, and its `:error-message` stands for
//! the payload that it lacks.

mod encode;
mod headers;

use bytes::Bytes;

use super::{Boundary, Data, Frame, Joiner, MAX_FRAME, Unframeable};
use crate::algo::crc::Crc;
pub use encode::{MessageKind, message};
use headers::Headers;

/// Both lengths and their checksum.
const PRELUDE: usize = 12;
/// The checksum at the end.
const TRAILER: usize = 4;
/// The specification's own limit.
const MAX_HEADERS: usize = 128 * 1024;

#[derive(Debug, Default)]
pub struct Splitter {
    pub(super) joiner: Joiner,
    message: Message,
}

/// How far into a message the last chunk reached.
#[derive(Debug, Default)]
struct Message {
    /// Bytes of it so far.
    seen: usize,
    prelude: [u8; PRELUDE],
    /// Its length, once the prelude is there.
    total: usize,
    /// Of what has been seen, but for the checksum itself.
    crc: Crc,
    trailer: [u8; TRAILER],
    /// Nothing can be framed behind a damaged message.
    broken: Option<Unframeable>,
}

impl Splitter {
    pub fn push(&mut self, chunk: Bytes) {
        self.joiner.push(chunk);
    }

    #[expect(clippy::should_implement_trait, reason = "it fails, and goes on after `None`")]
    pub fn next(&mut self) -> Result<Option<Frame>, Unframeable> {
        self.joiner.next(&mut self.message)
    }

    /// The beginning of a message that never ended, or what could not be framed: it says nothing.
    pub fn leftover(&mut self) -> Option<Frame> {
        let raw = self.joiner.rest();
        (!raw.is_empty()).then(|| Frame { raw, ..Frame::default() })
    }
}

impl Boundary for Message {
    fn end(&mut self, chunk: &[u8]) -> Result<Option<usize>, Unframeable> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let end = self.advance(chunk);
        self.broken = end.err();
        end
    }

    fn parse(&mut self, raw: Bytes) -> Frame {
        parse(raw)
    }
}

impl Message {
    fn advance(&mut self, chunk: &[u8]) -> Result<Option<usize>, Unframeable> {
        let mut at = 0;
        if self.seen < PRELUDE {
            at = fill(self.prelude.get_mut(self.seen..), chunk);
            self.seen += at;
            if self.seen < PRELUDE {
                return Ok(None);
            }
            self.open()?;
        }
        let rest = chunk.get(at..).unwrap_or_default();
        let body = (self.total - TRAILER).saturating_sub(self.seen).min(rest.len());
        self.crc.add(rest.get(..body).unwrap_or_default());
        self.seen += body;
        let rest = rest.get(body..).unwrap_or_default();
        let place = (self.seen + TRAILER).checked_sub(self.total);
        let last = place.map_or(0, |place| fill(self.trailer.get_mut(place..), rest));
        self.seen += last;
        if self.seen < self.total {
            return Ok(None);
        }
        if u32::from_be_bytes(self.trailer) != self.crc.value() {
            return Err(Unframeable::Damaged);
        }
        *self = Self::default();
        Ok(Some(at + body + last))
    }

    /// The prelude is there.
    fn open(&mut self) -> Result<(), Unframeable> {
        let prelude = Prelude::read(&self.prelude);
        let mut crc = Crc::default();
        crc.add(self.prelude.first_chunk::<8>().expect("a prelude has twelve bytes"));
        if crc.value() != prelude.crc {
            return Err(Unframeable::Damaged);
        }
        crc.add(self.prelude.last_chunk::<4>().expect("a prelude has twelve bytes"));
        if prelude.total > MAX_FRAME {
            return Err(Unframeable::TooLong);
        }
        let fits = prelude.headers <= MAX_HEADERS && PRELUDE + prelude.headers + TRAILER <= prelude.total;
        if !fits {
            return Err(Unframeable::Damaged);
        }
        self.total = prelude.total;
        self.crc = crc;
        Ok(())
    }
}

/// The first twelve bytes.
struct Prelude {
    total: usize,
    headers: usize,
    crc: u32,
}

impl Prelude {
    fn read(bytes: &[u8; PRELUDE]) -> Self {
        let (words, _) = bytes.as_chunks();
        let mut words = words.iter().map(|word| u32::from_be_bytes(*word));
        let mut next = || words.next().unwrap_or_default();
        Self { total: next() as usize, headers: next() as usize, crc: next() }
    }
}

/// Copies as much of `bytes` as there is room for; returns how much.
fn fill(room: Option<&mut [u8]>, bytes: &[u8]) -> usize {
    room.unwrap_or_default().iter_mut().zip(bytes).map(|(slot, byte)| *slot = *byte).count()
}

/// Reads a message whose lengths and checksums are right.
fn parse(raw: Bytes) -> Frame {
    let headers = raw.first_chunk().map_or(0, |prelude| Prelude::read(prelude).headers);
    let begin = PRELUDE + headers;
    let payload = begin..raw.len().saturating_sub(TRAILER);
    let headers = Headers::read(raw.get(PRELUDE..begin).unwrap_or_default());
    let event = headers.name().map(|at| at.start + PRELUDE..at.end + PRELUDE);
    let data = match headers.error_message() {
        Some(text) if payload.is_empty() => Data::Joined(message_object(text)),
        _ if payload.is_empty() => Data::None,
        _ => Data::At(payload),
    };
    Frame { raw, event, data }
}

/// What a payload would have said.
fn message_object(text: &[u8]) -> Bytes {
    serde_json::json!({ "message": String::from_utf8_lossy(text) }).to_string().into()
}

#[cfg(test)]
mod tests;
