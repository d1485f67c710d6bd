//! A chunked answer -> frames, whatever divides it.
//!
//! Joined again, the frames' raw bytes are the answer, byte for byte, however it was chunked. A frame
//! that lies within one chunk shares that chunk's buffer.

mod array;
mod begin;
pub mod eventstream;
mod lines;
pub mod sse;

use std::ops::Range;

use bytes::{Bytes, BytesMut};

pub use begin::{Begin, begin};

use super::{Dialect, Operation};

/// A longer frame is refused: nothing legitimate comes near, and it has to be held in memory.
pub const MAX_FRAME: usize = 16 * 1024 * 1024;

/// What divides a stream into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// The elements of one JSON array: Gemini's stream when nobody asked for `alt=sse`.
    JsonArray,
    /// One JSON text a line: Ollama's.
    Lines,
    /// Amazon's binary messages: Bedrock's.
    EventStream,
    /// Nothing that we know; a chunk is a frame.
    Opaque,
}

impl Framing {
    /// The framing of a successful answer with this content type.
    pub fn of(dialect: Dialect, operation: Operation, content_type: Option<&str>) -> Self {
        let essence = content_type.and_then(|text| text.split(';').next()).map_or("", str::trim);
        if dialect == Dialect::Http {
            Self::Opaque
        } else if essence.eq_ignore_ascii_case("text/event-stream") {
            Self::Sse
        } else if essence.eq_ignore_ascii_case("application/x-ndjson") {
            Self::Lines
        } else if essence.eq_ignore_ascii_case("application/vnd.amazon.eventstream") {
            Self::EventStream
        } else if operation == Operation::StreamGenerate && essence.eq_ignore_ascii_case("application/json") {
            Self::JsonArray
        } else {
            Self::Opaque
        }
    }
}

/// One event of a stream, with all the bytes that belong to it.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Exactly as received, separators included.
    pub raw: Bytes,
    event: Option<Range<usize>>,
    data: Data,
}

#[derive(Clone, Debug, Default)]
enum Data {
    #[default]
    None,
    /// A part of `raw`.
    At(Range<usize>),
    /// Several `data:` lines, joined.
    Joined(Bytes),
}

impl Frame {
    /// The event's name, where it has one.
    pub fn event(&self) -> Option<&[u8]> {
        self.raw.get(self.event.clone()?)
    }

    /// The payload; `None` for comments and the like.
    pub fn data(&self) -> Option<&[u8]> {
        match &self.data {
            Data::None => None,
            Data::At(range) => self.raw.get(range.clone()),
            Data::Joined(bytes) => Some(bytes),
        }
    }

    /// Whether it says only that somebody is there: a comment, an event without data, a ping.
    pub fn is_sign_of_life(&self) -> bool {
        const NAMES: [&[u8]; 3] = [b"ping", b"keepalive", b"heartbeat"];
        if self.event().is_some_and(|name| NAMES.contains(&name)) {
            return true;
        }
        match self.data().map(<[u8]>::trim_ascii) {
            // JSON that stands in the stream without `data:` says something (`Watch::bare`).
            None => !matches!(self.raw.trim_ascii(), [b'{' | b'[', ..]),
            Some(data) => data.is_empty() || NAMES.iter().any(|name| is_typed(data, name)),
        }
    }
}

/// Whether JSON begins with its type, and that is `name`. Whoever writes it otherwise says an event like others.
fn is_typed(json: &[u8], name: &[u8]) -> bool {
    let tokens = [b"{".as_slice(), b"\"type\"", b":", b"\"", name, b"\""];
    let mut rest = json;
    for token in tokens {
        let Some(after) = rest.trim_ascii_start().strip_prefix(token) else { return false };
        rest = after;
    }
    true
}

/// The stream cannot be framed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unframeable {
    #[error("a frame is longer than 16 MiB")]
    TooLong,
    #[error("the stream is not a JSON array")]
    NotAnArray,
    #[error("a message of the event stream is damaged")]
    Damaged,
}

/// What finds the ends of frames, resumable at every byte.
trait Boundary {
    /// How many bytes of `chunk` complete the current frame; `None` when all of it belongs to it.
    fn end(&mut self, chunk: &[u8]) -> Result<Option<usize>, Unframeable>;
    /// Reads a complete frame.
    fn parse(&mut self, raw: Bytes) -> Frame;
}

/// Joins what was cut and cuts what was joined.
#[derive(Debug, Default)]
struct Joiner {
    /// The beginning of a frame, from earlier chunks.
    held: BytesMut,
    /// What has not been looked at.
    chunk: Bytes,
}

impl Joiner {
    fn push(&mut self, chunk: Bytes) {
        self.chunk = if self.chunk.is_empty() { chunk } else { [&*self.chunk, &*chunk].concat().into() };
    }

    fn next(&mut self, boundary: &mut impl Boundary) -> Result<Option<Frame>, Unframeable> {
        let end = boundary.end(&self.chunk)?;
        let part = self.chunk.split_to(end.unwrap_or(self.chunk.len()));
        if self.held.len() + part.len() > MAX_FRAME {
            return Err(Unframeable::TooLong);
        }
        if end.is_some() && self.held.is_empty() {
            return Ok(Some(boundary.parse(part)));
        }
        self.held.extend_from_slice(&part);
        Ok(end.map(|_| boundary.parse(self.held.split().freeze())))
    }

    fn held(&self) -> usize {
        self.held.len() + self.chunk.len()
    }

    fn rest(&mut self) -> Bytes {
        self.held.extend_from_slice(&self.chunk);
        self.chunk = Bytes::new();
        self.held.split().freeze()
    }
}

/// The splitter for a framing.
#[derive(Debug)]
pub enum Splitter {
    Sse(sse::Splitter),
    JsonArray(array::Splitter),
    Lines(lines::Splitter),
    EventStream(eventstream::Splitter),
    Opaque(Bytes),
}

impl Splitter {
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Sse => Self::Sse(sse::Splitter::default()),
            Framing::JsonArray => Self::JsonArray(array::Splitter::default()),
            Framing::Lines => Self::Lines(lines::Splitter::default()),
            Framing::EventStream => Self::EventStream(eventstream::Splitter::default()),
            Framing::Opaque => Self::Opaque(Bytes::new()),
        }
    }

    /// Takes the next chunk; the frames before it should have been taken with [`Splitter::next`].
    pub fn push(&mut self, chunk: Bytes) {
        match self {
            Self::Sse(splitter) => splitter.push(chunk),
            Self::JsonArray(splitter) => splitter.push(chunk),
            Self::Lines(splitter) => splitter.push(chunk),
            Self::EventStream(splitter) => splitter.push(chunk),
            Self::Opaque(held) if held.is_empty() => *held = chunk,
            Self::Opaque(held) => *held = [&**held, &*chunk].concat().into(),
        }
    }

    /// The next complete frame, if there is one.
    #[expect(clippy::should_implement_trait, reason = "it fails, and goes on after `None`")]
    pub fn next(&mut self) -> Result<Option<Frame>, Unframeable> {
        match self {
            Self::Sse(splitter) => splitter.next(),
            Self::JsonArray(splitter) => splitter.next(),
            Self::Lines(splitter) => splitter.next(),
            Self::EventStream(splitter) => splitter.next(),
            Self::Opaque(held) if held.is_empty() => Ok(None),
            Self::Opaque(held) => Ok(Some(Frame { raw: std::mem::take(held), ..Frame::default() })),
        }
    }

    /// Bytes that were pushed and have not come out.
    pub fn held(&self) -> usize {
        match self {
            Self::Sse(splitter) => splitter.joiner.held(),
            Self::JsonArray(splitter) => splitter.joiner.held(),
            Self::Lines(splitter) => splitter.joiner.held(),
            Self::EventStream(splitter) => splitter.joiner.held(),
            Self::Opaque(held) => held.len(),
        }
    }

    /// At the end of the stream: what came after the last complete frame, read as one.
    pub fn leftover(&mut self) -> Option<Frame> {
        match self {
            Self::Sse(splitter) => splitter.leftover(),
            Self::JsonArray(splitter) => splitter.leftover(),
            Self::Lines(splitter) => splitter.leftover(),
            Self::EventStream(splitter) => splitter.leftover(),
            Self::Opaque(held) => {
                let raw = std::mem::take(held);
                (!raw.is_empty()).then(|| Frame { raw, ..Frame::default() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_tells_the_framing() {
        let of = |operation, kind| Framing::of(Dialect::Gemini, operation, Some(kind));
        assert_eq!(of(Operation::StreamGenerate, "text/event-stream; charset=utf-8"), Framing::Sse);
        assert_eq!(of(Operation::StreamGenerate, "application/json"), Framing::JsonArray);
        assert_eq!(of(Operation::Generate, "application/json"), Framing::Opaque);
        assert_eq!(Framing::of(Dialect::Http, Operation::Opaque, Some("text/event-stream")), Framing::Opaque);
    }

    #[test]
    fn an_opaque_frame_is_the_chunk_itself() {
        let chunk = Bytes::from_static(b"abc");
        let mut splitter = Splitter::new(Framing::Opaque);
        splitter.push(chunk.clone());
        assert_eq!(splitter.next().expect("framed").expect("a frame").raw.as_ptr(), chunk.as_ptr());
        assert!(splitter.next().expect("framed").is_none());
        assert!(splitter.leftover().is_none());
    }

    #[test]
    fn a_sign_of_life_says_nothing_else() {
        let frame = |text: &'static str| {
            let mut splitter = Splitter::new(Framing::Sse);
            splitter.push(Bytes::from_static(text.as_bytes()));
            splitter.next().expect("framed").expect("a frame")
        };
        for sign in [
            ": OPENROUTER PROCESSING\n\n",
            "\n",
            "data:\n\n",
            "id: 7\n\n",
            "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            "data: {\"type\":\"ping\"}\n\n",
            "data: { \"type\" : \"keepalive\", \"sequence_number\": 3}\n\n",
        ] {
            assert!(frame(sign).is_sign_of_life(), "{sign}");
        }
        for event in [
            "data: [DONE]\n\n",
            "data: {}\n\n",
            "data: {\"type\":\"pinged\"}\n\n",
            "data: {\"type\":\"response.created\"}\n\n",
            "data: {\"text\":\"ping\"}\n\n",
            "{\"error\":{}}\n\n",
            "event: message_start\ndata: {}\n\n",
        ] {
            assert!(!frame(event).is_sign_of_life(), "{event}");
        }
    }

    #[test]
    fn a_frame_without_end_is_refused_at_the_limit() {
        let mut splitter = Splitter::new(Framing::Sse);
        splitter.push(Bytes::from(vec![b'x'; MAX_FRAME]));
        assert!(matches!(splitter.next(), Ok(None)));
        splitter.push(Bytes::from_static(b"x"));
        assert_eq!(splitter.next().err(), Some(Unframeable::TooLong));
    }
}
