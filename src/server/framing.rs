//! Follows where one HTTP/1.1 request ends and the next begins, to see heads as they were sent.
//!
//! hyper quietly drops `Content-Length` where `Transfer-Encoding` is present, so a service never
//! learns that a request had both. A proxy in front that believed the other one would see other
//! requests than we do (request smuggling, RFC 9112 §6.1 and §11.2), so such a request must be refused,
//! and for that somebody has to look at the head itself. This is that somebody: it is fed every byte
//! that is read, keeps the bytes of the head that is arriving and skips bodies. It parses nothing that
//! it does not need and refuses nothing by itself; where it loses track it says so, and then no
//! chunked request of that connection is believed.

use memchr::memchr_iter;

/// What HTTP/2 begins with (RFC 9113 §3.4). No HTTP/1.1 request begins so.
const HTTP2: &[u8] = b"PRI * HTTP/2";
/// Capacity that is kept from head to head: most heads fit, and ten thousand idle callers cost 10 MB.
const KEPT: usize = 1024;

/// The body of the request whose head is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// This many bytes, 0 included.
    Sized(u64),
    Chunked,
}

/// What bytes that were read meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The first bytes of a head.
    HeadBegan,
    More,
    /// Not HTTP/1.1, or lost: nothing needs to be fed any more.
    Nothing,
}

/// Why a chunked request is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It has a `Content-Length` too.
    TwoLengths,
    /// A line of its head ends in a bare LF.
    BareLineFeed,
    /// The head was not seen as it was sent.
    Unseen,
}

#[derive(Debug)]
pub(super) struct Framing {
    place: Place,
    /// The head that is arriving, and whatever came with it.
    record: Vec<u8>,
    record_max: usize,
}

#[derive(Debug)]
enum Place {
    Head,
    Body {
        left: u64,
    },
    Chunks(Chunks),
    /// Another protocol.
    Off,
    Lost,
}

impl Framing {
    /// For a connection whose parser holds at most `record_max` bytes that it has not understood yet.
    pub(super) const fn new(record_max: usize) -> Self {
        Self { place: Place::Head, record: Vec::new(), record_max }
    }

    /// Takes in what was read.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Heard {
        loop {
            if bytes.is_empty() {
                return Heard::More;
            }
            match &mut self.place {
                Place::Off | Place::Lost => return Heard::Nothing,
                Place::Head => return self.head(bytes),
                Place::Body { left } => {
                    let here = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    *left -= here as u64;
                    bytes = bytes.get(here..).unwrap_or_default();
                    if *left == 0 {
                        self.place = Place::Head;
                    }
                }
                Place::Chunks(chunks) => match chunks.skip(bytes) {
                    Skipped::All => return Heard::More,
                    Skipped::End(rest) => {
                        bytes = rest;
                        self.place = Place::Head;
                    }
                    Skipped::Malformed => {
                        self.place = Place::Lost;
                        return Heard::Nothing;
                    }
                },
            }
        }
    }

    fn head(&mut self, bytes: &[u8]) -> Heard {
        let first = self.record.is_empty();
        if self.record.len().saturating_add(bytes.len()) > self.record_max {
            self.forget(Place::Lost);
            return Heard::Nothing;
        }
        self.record.extend_from_slice(bytes);
        if self.record.starts_with(HTTP2) {
            self.forget(Place::Off);
            return Heard::Nothing;
        }
        if first { Heard::HeadBegan } else { Heard::More }
    }

    fn forget(&mut self, place: Place) {
        self.place = place;
        self.record = Vec::new();
    }

    /// The parser has understood a head, and this is the body that it announced. What came behind the
    /// head is taken in as that body, and as the beginning of the next head ([`Heard::HeadBegan`]).
    pub(super) fn head_seen(&mut self, body: Body) -> (Result<(), Doubt>, Heard) {
        let end = match self.place {
            Place::Head => head_end(&self.record),
            Place::Body { .. } | Place::Chunks(_) | Place::Off | Place::Lost => None,
        };
        let Some(end) = end else {
            // For a request with one length there is nothing to doubt.
            let verdict = if body == Body::Chunked { Err(Doubt::Unseen) } else { Ok(()) };
            self.forget(Place::Lost);
            return (verdict, Heard::Nothing);
        };
        let mut record = std::mem::take(&mut self.record);
        let (head, rest) = record.split_at(end.min(record.len()));
        let verdict = match body {
            Body::Sized(left) => {
                self.place = if left == 0 { Place::Head } else { Place::Body { left } };
                Ok(())
            }
            Body::Chunked => {
                self.place = Place::Chunks(Chunks::default());
                believe(head)
            }
        };
        let heard = self.read(rest);
        if self.record.is_empty() && record.capacity() <= KEPT {
            record.clear();
            self.record = record;
        }
        (verdict, heard)
    }
}

/// Where the first head of `record` ends, empty lines before it included (RFC 9112 §2.2).
fn head_end(record: &[u8]) -> Option<usize> {
    let begin = record.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    memchr_iter(b'\n', record.get(begin..)?).find_map(|newline| {
        let next = begin + newline + 1;
        match record.get(next..)? {
            [b'\n', ..] => Some(next + 1),
            [b'\r', b'\n', ..] => Some(next + 2),
            _ => None,
        }
    })
}

/// Looks at the head of a chunked request.
fn believe(head: &[u8]) -> Result<(), Doubt> {
    let mut lines = head.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let is_line = lines.peek().is_some();
        if is_line && !line.ends_with(b"\r") {
            return Err(Doubt::BareLineFeed);
        }
        if let Some(colon) = memchr::memchr(b':', line)
            && line.get(..colon).is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"content-length"))
        {
            return Err(Doubt::TwoLengths);
        }
    }
    Ok(())
}

/// A chunked body that is being skipped (RFC 9112 §7.1).
#[derive(Debug)]
struct Chunks {
    at: At,
    left: u64,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { at: At::Size { digits: 0 }, left: 0 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size {
        digits: u8,
    },
    /// White space or an extension behind the size.
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerEnd,
    BodyEnd,
}

enum Skipped<'a> {
    /// The body goes on.
    All,
    /// It has ended before these.
    End(&'a [u8]),
    Malformed,
}

impl Chunks {
    fn skip<'a>(&mut self, mut bytes: &'a [u8]) -> Skipped<'a> {
        loop {
            if self.at == At::Data {
                let here = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.left -= here as u64;
                bytes = bytes.get(here..).unwrap_or_default();
                if self.left == 0 {
                    self.at = At::DataCr;
                }
            }
            let Some((&byte, rest)) = bytes.split_first() else { return Skipped::All };
            bytes = rest;
            self.at = match (self.at, byte) {
                (At::Size { digits }, byte) if byte.is_ascii_hexdigit() && digits < 16 => {
                    let digit = char::from(byte).to_digit(16).unwrap_or_default();
                    self.left = self.left << 4 | u64::from(digit);
                    At::Size { digits: digits + 1 }
                }
                (At::Size { digits: 1.. } | At::Extension, b'\r') => At::SizeEnd,
                (At::Size { digits: 1.. }, b' ' | b'\t' | b';') => At::Extension,
                (At::Extension, byte) if byte != b'\n' => At::Extension,
                (At::SizeEnd, b'\n') => {
                    if self.left == 0 {
                        At::TrailerStart
                    } else {
                        At::Data
                    }
                }
                (At::DataCr, b'\r') => At::DataLf,
                (At::DataLf, b'\n') => At::Size { digits: 0 },
                (At::TrailerStart, b'\r') => At::BodyEnd,
                (At::BodyEnd, b'\n') => return Skipped::End(bytes),
                (At::Trailer, b'\r') => At::TrailerEnd,
                (At::TrailerEnd, b'\n') => At::TrailerStart,
                (At::TrailerStart | At::Trailer, byte) if byte != b'\n' => At::Trailer,
                _ => return Skipped::Malformed,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHUNKED: &[u8] = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    const SIZED: &[u8] = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n";

    fn framing() -> Framing {
        Framing::new(64 * 1024)
    }

    fn doubt(head: &str) -> Result<(), Doubt> {
        let mut framing = framing();
        framing.read(head.as_bytes());
        framing.head_seen(Body::Chunked).0
    }

    #[test]
    fn a_chunked_request_is_believed_only_without_another_length() {
        assert_eq!(doubt("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), Ok(()));
        let both = "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(doubt(both), Err(Doubt::TwoLengths));
        let both = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncOnTent-LENGTH:0\r\n\r\n";
        assert_eq!(doubt(both), Err(Doubt::TwoLengths));
        let bare = "POST / HTTP/1.1\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(doubt(bare), Err(Doubt::BareLineFeed));
    }

    #[test]
    fn what_a_body_says_is_not_taken_for_a_head() {
        let body = "5\r\nhello\r\n0\r\n\r\n";
        let mut framing = framing();
        let first = [CHUNKED, b"25\r\n\r\n\r\nContent-Length: 5\r\n\r\nContent-Len:\r\n0\r\n\r\n"].concat();
        framing.read(&first);
        assert_eq!(framing.head_seen(Body::Chunked).0, Ok(()));
        framing.read(CHUNKED);
        framing.read(body.as_bytes());
        assert_eq!(framing.head_seen(Body::Chunked).0, Ok(()));
    }

    #[test]
    fn a_head_that_was_not_seen_is_not_believed() {
        let mut framing = framing();
        assert_eq!(framing.head_seen(Body::Chunked), (Err(Doubt::Unseen), Heard::Nothing));
        // And the connection stays lost.
        framing.read(CHUNKED);
        assert_eq!(framing.head_seen(Body::Chunked).0, Err(Doubt::Unseen));
        assert_eq!(framing.head_seen(Body::Sized(0)).0, Ok(()));
    }

    #[test]
    fn a_malformed_chunk_loses_the_thread() {
        for malformed in ["5\nhello", "x", "5\r\nhelloX", ";\r\n", "5;a\n", "00000000000000005\r\n"] {
            let mut framing = framing();
            framing.read(CHUNKED);
            assert_eq!(framing.head_seen(Body::Chunked).0, Ok(()));
            assert_eq!(framing.read(malformed.as_bytes()), Heard::Nothing, "{malformed:?}");
        }
    }

    #[test]
    fn http2_is_left_alone() {
        let mut framing = framing();
        assert_eq!(framing.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Heard::Nothing);
        assert!(framing.record.is_empty());
    }

    #[test]
    fn the_record_is_bounded() {
        let mut framing = Framing::new(100);
        assert_eq!(framing.read(&[b'x'; 100]), Heard::HeadBegan);
        assert_eq!(framing.read(b"x"), Heard::Nothing);
        assert_eq!(framing.record.capacity(), 0);
    }

    proptest! {
        /// However the bytes are cut, pipelined requests of every kind are told apart, and a second
        /// length is found exactly where it is.
        #[test]
        fn requests_are_told_apart_at_every_cut(
            kinds in prop::collection::vec(0..4_u8, 1..6), cuts in prop::collection::vec(1..40_usize, 1..60),
        ) {
            let mut stream = Vec::new();
            for kind in &kinds {
                match kind {
                    0 => stream.extend_from_slice(b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n"),
                    1 => stream.extend_from_slice(&[SIZED, b"\r\n\r\nX"].concat()),
                    2 => stream.extend_from_slice(
                        &[CHUNKED, b"A;q=1\r\n0\r\n\r\nGET /\r\n0\r\nT: r\r\n\r\n"].concat(),
                    ),
                    _ => stream.extend_from_slice(
                        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                    ),
                }
            }
            let mut framing = framing();
            let mut expected = kinds.iter();
            let mut cuts = cuts.iter().cycle();
            let mut bytes = &stream[..];
            loop {
                // As the parser does: understand every head that is complete, then read on.
                while matches!(framing.place, Place::Head) && head_end(&framing.record).is_some() {
                    let kind = *expected.next().expect("no more requests than were sent");
                    let body = match kind { 0 => Body::Sized(0), 1 => Body::Sized(5), _ => Body::Chunked };
                    let verdict = framing.head_seen(body).0;
                    prop_assert_eq!(verdict, if kind == 3 { Err(Doubt::TwoLengths) } else { Ok(()) });
                }
                if bytes.is_empty() { break }
                let (now, later) = bytes.split_at((*cuts.next().unwrap()).min(bytes.len()));
                framing.read(now);
                bytes = later;
            }
            prop_assert!(expected.next().is_none());
            prop_assert!(framing.record.is_empty());
        }
    }
}
