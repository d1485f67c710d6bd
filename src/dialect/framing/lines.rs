//! One JSON text a line, as Ollama streams them (ndjson.org): `{…}\n{…}\n`.
//!
//! A frame ends behind its line feed. JSON escapes line feeds inside its strings, so the next one is
//! always a boundary; what stands on the line is not checked here, `watch` reads it. A carriage return
//! before the line feed is white space, and a blank line says nothing.

use bytes::Bytes;

use super::{Boundary, Data, Frame, Joiner, Unframeable};

#[derive(Debug, Default)]
pub struct Splitter {
    pub(super) joiner: Joiner,
}

/// Nothing has to be remembered from one chunk to the next.
struct Line;

impl Splitter {
    pub fn push(&mut self, chunk: Bytes) {
        self.joiner.push(chunk);
    }

    /// The next complete line.
    pub fn next(&mut self) -> Result<Option<Frame>, Unframeable> {
        self.joiner.next(&mut Line)
    }

    /// At the end of the stream: a last line that no line feed ended.
    pub fn leftover(&mut self) -> Option<Frame> {
        let raw = self.joiner.rest();
        (!raw.is_empty()).then(|| parse(raw))
    }
}

impl Boundary for Line {
    fn end(&mut self, chunk: &[u8]) -> Result<Option<usize>, Unframeable> {
        Ok(memchr::memchr(b'\n', chunk).map(|at| at + 1))
    }

    fn parse(&mut self, raw: Bytes) -> Frame {
        parse(raw)
    }
}

/// The text is what is left without the white space around it.
fn parse(raw: Bytes) -> Frame {
    let start = raw.len() - raw.trim_ascii_start().len();
    let end = raw.trim_ascii_end().len();
    let data = if start < end { Data::At(start..end) } else { Data::None };
    Frame { raw, event: None, data }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MAX_FRAME;
    use super::*;

    /// Feeds the chunks; answers the joined raw bytes and what the lines say.
    fn split(chunks: &[&[u8]]) -> (Vec<u8>, Vec<Option<String>>) {
        let mut splitter = Splitter::default();
        let mut frames = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            while let Some(frame) = splitter.next().expect("short enough") {
                frames.push(frame);
            }
        }
        frames.extend(splitter.leftover());
        let text = |frame: &Frame| frame.data().map(|data| String::from_utf8_lossy(data).into_owned());
        (frames.iter().flat_map(|frame| frame.raw.to_vec()).collect(), frames.iter().map(text).collect())
    }

    #[test]
    fn each_line_is_a_frame_and_a_blank_one_says_nothing() {
        for (stream, expected) in [
            ("{\"a\":1}\n{\"b\":2}\n", vec![Some("{\"a\":1}"), Some("{\"b\":2}")]),
            ("{\"a\":1}\r\n{\"b\":2}", vec![Some("{\"a\":1}"), Some("{\"b\":2}")]),
            ("\n \n{}\n\n", vec![None, None, Some("{}"), None]),
            ("  {\"a\": \"x y\"} \t\n", vec![Some("{\"a\": \"x y\"}")]),
            ("", vec![]),
        ] {
            let (raw, lines) = split(&[stream.as_bytes()]);
            let lines: Vec<_> = lines.iter().map(Option::as_deref).collect();
            assert_eq!(lines, expected, "{stream:?}");
            assert_eq!(raw, stream.as_bytes());
        }
    }

    #[test]
    fn a_line_within_a_chunk_shares_its_buffer() {
        let chunk = Bytes::from_static(b"{\"a\":1}\n{\"b\":2}\n");
        let mut splitter = Splitter::default();
        splitter.push(chunk.clone());
        let first = splitter.next().expect("short").expect("a frame");
        let second = splitter.next().expect("short").expect("a frame");
        assert_eq!(first.raw.as_ptr(), chunk.as_ptr());
        assert_eq!(second.raw.as_ptr(), chunk[8..].as_ptr());
        assert!(splitter.next().expect("short").is_none());
    }

    #[test]
    fn a_line_without_end_is_refused_behind_the_limit() {
        let mut splitter = Splitter::default();
        splitter.push(Bytes::from(vec![b'x'; MAX_FRAME]));
        assert!(matches!(splitter.next(), Ok(None)));
        splitter.push(Bytes::from_static(b"x"));
        assert_eq!(splitter.next().err(), Some(Unframeable::TooLong));
    }

    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just("{\"a\":\"é\"}"),
            Just("{\"b\":\"\\n\"}"),
            Just("\n"),
            Just("\r\n"),
            Just("\r"),
            Just(" "),
            Just("x")
        ];
        proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn every_split_yields_the_same_frames(stream in streams()) {
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
