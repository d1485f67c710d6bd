//! The elements of one JSON array, as Gemini streams them without `alt=sse`: `[{…}\n,\n{…}\n]`.
//!
//! A frame ends behind an element, so that the comma before an element belongs to its own frame and
//! the closing bracket to the last one. Elements are not checked here; `watch` reads them.

use bytes::Bytes;

use super::{Boundary, Data, Frame, Joiner, Unframeable};

#[derive(Debug, Default)]
pub struct Splitter {
    pub(super) joiner: Joiner,
    nesting: Nesting,
}

#[derive(Debug, Default)]
struct Nesting {
    /// Open brackets, the array's own included.
    depth: usize,
    text: Text,
    /// Anything but white space has been seen.
    begun: bool,
}

/// Are we in a string?
#[derive(Debug, Default, PartialEq, Eq)]
enum Text {
    #[default]
    Outside,
    Inside,
    /// Behind a backslash.
    Escaped,
}

impl Splitter {
    pub fn push(&mut self, chunk: Bytes) {
        self.joiner.push(chunk);
    }

    pub fn next(&mut self) -> Result<Option<Frame>, Unframeable> {
        self.joiner.next(&mut self.nesting)
    }

    pub fn leftover(&mut self) -> Option<Frame> {
        let raw = self.joiner.rest();
        (!raw.is_empty()).then(|| parse(raw))
    }
}

impl Boundary for Nesting {
    fn end(&mut self, chunk: &[u8]) -> Result<Option<usize>, Unframeable> {
        for (at, byte) in chunk.iter().enumerate() {
            match (&self.text, byte) {
                (Text::Inside, b'\\') => self.text = Text::Escaped,
                (Text::Inside, b'"') => self.text = Text::Outside,
                (Text::Escaped, _) | (Text::Outside, b'"') => self.text = Text::Inside,
                (Text::Outside, b'[' | b'{') => {
                    // A bare object is an error that took the stream's place; it is one element.
                    self.depth += if !self.begun && *byte == b'{' { 2 } else { 1 };
                    self.begun = true;
                }
                (Text::Outside, b']' | b'}') => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth <= 1 {
                        return Ok(Some(at + 1));
                    }
                }
                (Text::Outside, byte) if !self.begun && !byte.is_ascii_whitespace() => {
                    return Err(Unframeable::NotAnArray);
                }
                (Text::Inside | Text::Outside, _) => {}
            }
        }
        Ok(None)
    }

    fn parse(&mut self, raw: Bytes) -> Frame {
        parse(raw)
    }
}

/// The element is what is left without the array's own punctuation.
fn parse(raw: Bytes) -> Frame {
    let own = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'[' | b',');
    let start = raw.iter().take_while(|byte| own(byte)).count();
    let data = match raw.get(start) {
        Some(b'{') => Data::At(start..raw.trim_ascii_end().len()),
        _ => Data::None,
    };
    Frame { raw, event: None, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> (Vec<u8>, Vec<String>) {
        let mut splitter = Splitter::default();
        let mut frames = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            while let Some(frame) = splitter.next().expect("an array") {
                frames.push(frame);
            }
        }
        frames.extend(splitter.leftover());
        let data = frames.iter().filter_map(Frame::data);
        let data = data.map(|data| String::from_utf8(data.to_vec()).expect("text")).collect();
        (frames.iter().flat_map(|frame| frame.raw.to_vec()).collect(), data)
    }

    #[test]
    fn elements_come_out_at_every_split() {
        let stream = br#" [{"a":["]}",{"b":"\"}"}]}
,
{"c":[[]]}
]
"#;
        let expected =
            (stream.to_vec(), vec![r#"{"a":["]}",{"b":"\"}"}]}"#.to_owned(), r#"{"c":[[]]}"#.to_owned()]);
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            assert_eq!(split(&[head, tail]), expected, "split at {at}");
        }
        assert_eq!(split(&stream.chunks(1).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn a_bare_object_is_one_element_and_text_is_refused() {
        assert_eq!(split(&[br#"{"error":{"code":1}}"#]).1, [r#"{"error":{"code":1}}"#]);
        let mut splitter = Splitter::default();
        splitter.push(Bytes::from_static(b"<html>"));
        assert_eq!(splitter.next().err(), Some(Unframeable::NotAnArray));
    }
}
