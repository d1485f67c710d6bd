//! Server-sent events, as the WHATWG HTML standard (§9.2.6) has them and as vendors send them.
//!
//! Lines end with LF, CRLF or CR; comments, unknown fields and a byte order mark are ignored;
//! several `data:` lines are joined. A blank line ends an event the moment its first byte is seen:
//! waiting for the LF of a CRLF would hold an event back, so that LF may open the next frame.

use bytes::Bytes;

use super::{Boundary, Data, Frame, Joiner, Unframeable};

const BOM: &[u8] = b"\xef\xbb\xbf";

#[derive(Debug, Default)]
pub struct Splitter {
    pub(super) joiner: Joiner,
    lines: Lines,
}

/// Where in an event the last chunk stopped.
#[derive(Debug, Default)]
struct Lines {
    /// Bytes of the current line, a byte order mark not counted.
    length: usize,
    /// The last byte was a CR that ended a line: a LF would belong to it.
    after_cr: bool,
    /// Bytes of a possible byte order mark seen at the very beginning.
    mark: Mark,
    /// A frame has been read: a mark any later is text.
    begun: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Mark {
    /// So many bytes of it have been seen.
    #[default]
    Unseen,
    First,
    Second,
    /// It is past, or was not there.
    Over,
}

impl Splitter {
    pub fn push(&mut self, chunk: Bytes) {
        self.joiner.push(chunk);
    }

    /// The next complete event, comment block or blank line.
    #[expect(clippy::should_implement_trait, reason = "it fails, and goes on after `None`")]
    pub fn next(&mut self) -> Result<Option<Frame>, Unframeable> {
        self.joiner.next(&mut self.lines)
    }

    /// At the end of the stream: an event that no blank line ended. The standard drops it; vendors
    /// forget the blank line after `[DONE]`.
    pub fn leftover(&mut self) -> Option<Frame> {
        let raw = self.joiner.rest();
        (!raw.is_empty()).then(|| self.lines.parse(raw))
    }
}

impl Boundary for Lines {
    fn end(&mut self, chunk: &[u8]) -> Result<Option<usize>, Unframeable> {
        let mut at = self.skip_mark(chunk);
        loop {
            if self.after_cr && chunk.get(at).is_some() {
                self.after_cr = false;
                at += usize::from(chunk.get(at) == Some(&b'\n'));
            }
            let rest = chunk.get(at..).unwrap_or_default();
            let Some(stop) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.length += rest.len();
                return Ok(None);
            };
            let blank = self.length + stop == 0;
            self.length = 0;
            at += stop + 1;
            if rest.get(stop) == Some(&b'\r') {
                match rest.get(stop + 1) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if blank {
                return Ok(Some(at));
            }
        }
    }

    fn parse(&mut self, raw: Bytes) -> Frame {
        let first = !std::mem::replace(&mut self.begun, true);
        let start = if first && raw.starts_with(BOM) { BOM.len() } else { 0 };
        parse(raw, start)
    }
}

impl Lines {
    /// Steps over a byte order mark, which may come in pieces. Returns where the line goes on.
    fn skip_mark(&mut self, chunk: &[u8]) -> usize {
        let mut at = 0;
        while self.mark != Mark::Over && at < chunk.len() {
            let (expected, seen, next) = match self.mark {
                Mark::Unseen => (0xef, 0, Mark::First),
                Mark::First => (0xbb, 1, Mark::Second),
                Mark::Second | Mark::Over => (0xbf, 2, Mark::Over),
            };
            if chunk.get(at) == Some(&expected) {
                at += 1;
                self.mark = next;
            } else {
                // No mark after all: what looked like one is the line's beginning.
                self.length = seen;
                self.mark = Mark::Over;
            }
        }
        at
    }
}

/// Reads the fields of one event; the lines begin at `at`.
fn parse(raw: Bytes, mut at: usize) -> Frame {
    let mut event = None;
    let mut data = Data::None;
    while at < raw.len() {
        let rest = raw.get(at..).unwrap_or_default();
        let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = rest.get(..length).unwrap_or_default();
        let name = memchr::memchr(b':', line).unwrap_or(length);
        let space = usize::from(line.get(name + 1) == Some(&b' '));
        let value = at + (name + 1 + space).min(length)..at + length;
        match line.get(..name) {
            Some(b"data") => {
                data = match data {
                    Data::None => Data::At(value),
                    earlier => Data::Joined(join(&raw, &earlier, raw.get(value).unwrap_or_default())),
                };
            }
            Some(b"event") => event = Some(value),
            _ => {}
        }
        at += length + 1;
    }
    Frame { raw, event, data }
}

fn join(raw: &Bytes, earlier: &Data, line: &[u8]) -> Bytes {
    let earlier = match earlier {
        Data::None => &[],
        Data::At(range) => raw.get(range.clone()).unwrap_or_default(),
        Data::Joined(bytes) => &**bytes,
    };
    [earlier, b"\n", line].concat().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Event = (Option<String>, Option<String>);

    fn text(bytes: Option<&[u8]>) -> Option<String> {
        bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Feeds the chunks; answers the joined raw bytes and the events that say anything.
    fn split(chunks: &[&[u8]]) -> (Vec<u8>, Vec<Event>) {
        let mut splitter = Splitter::default();
        let mut frames = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            while let Some(frame) = splitter.next().expect("short enough") {
                frames.push(frame);
            }
        }
        frames.extend(splitter.leftover());
        let raw = frames.iter().flat_map(|frame| frame.raw.to_vec()).collect();
        let said = frames.iter().map(|frame| (text(frame.event()), text(frame.data())));
        (raw, said.filter(|(event, data)| event.is_some() || data.is_some()).collect())
    }

    fn data(lines: &str) -> Event {
        (None, Some(lines.to_owned()))
    }

    #[test]
    fn every_way_to_write_an_event_is_read() {
        for (stream, expected) in [
            ("data: a\n\ndata: b\n\n", vec![data("a"), data("b")]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", vec![data("a"), data("b")]),
            ("data: a\r\rdata: b\r\r", vec![data("a"), data("b")]),
            ("\u{feff}data:a\n\n", vec![data("a")]),
            ("\n\u{feff}data: a\n\n", vec![]),
            (": comment\n\ndata:  a\n\n", vec![data(" a")]),
            ("data: a\ndata\ndata: b\n\n", vec![data("a\n\nb")]),
            ("event: e\ndata: a\nid: 1\n\n", vec![(Some("e".into()), Some("a".into()))]),
            ("event: ping\n\n", vec![(Some("ping".into()), None)]),
            ("data: a\n\ndata: [DONE]", vec![data("a"), data("[DONE]")]),
            ("data: [DONE]\n", vec![data("[DONE]")]),
            ("\n\n\ndata: a\n\n\n", vec![data("a")]),
            ("datax: a\n\n", vec![]),
        ] {
            let (raw, events) = split(&[stream.as_bytes()]);
            assert_eq!(events, expected, "{stream:?}");
            assert_eq!(raw, stream.as_bytes());
        }
    }

    #[test]
    fn an_event_within_a_chunk_shares_its_buffer() {
        let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\n");
        let mut splitter = Splitter::default();
        splitter.push(chunk.clone());
        let first = splitter.next().expect("short").expect("a frame");
        let second = splitter.next().expect("short").expect("a frame");
        assert_eq!(first.raw.as_ptr(), chunk.as_ptr());
        assert_eq!(second.raw.as_ptr(), chunk[9..].as_ptr());
    }

    #[test]
    fn an_event_is_out_with_the_first_byte_of_its_blank_line() {
        let mut splitter = Splitter::default();
        splitter.push(Bytes::from_static(b"data: a\r\n\r"));
        assert_eq!(splitter.next().expect("short").expect("a frame").data(), Some(&b"a"[..]));
        splitter.push(Bytes::from_static(b"\ndata: b\r\n\r\n"));
        assert_eq!(splitter.next().expect("short").expect("a frame").data(), Some(&b"b"[..]));
        assert!(splitter.next().expect("short").is_none());
    }

    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just("data: {\"a\":\"é\"}"),
            Just("event: x"),
            Just(": c"),
            Just("data:"),
            Just("\n"),
            Just("\r\n"),
            Just("\r"),
            Just("\n\n"),
            Just("\r\n\r\n"),
            Just("\u{feff}"),
            Just("data"),
            Just("x")
        ];
        proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn joined_again_it_is_the_stream_at_every_split(stream in streams()) {
            let whole = split(&[&stream]);
            prop_assert_eq!(&whole.0, &stream);
            for at in 0..=stream.len() {
                let (head, tail) = stream.split_at(at);
                prop_assert_eq!(split(&[head, tail]), whole.clone());
            }
            let bytes: Vec<_> = stream.chunks(1).collect();
            prop_assert_eq!(split(&bytes), whole);
        }

        #[test]
        fn any_bytes_come_out_as_they_went_in(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..8))
        {
            let slices: Vec<_> = chunks.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(split(&slices).0, chunks.concat());
        }
    }
}
