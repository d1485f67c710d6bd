//! The headers of a message, as far as they name it.

use std::ops::Range;

/// Where the headers that tell something stand, in the bytes that they were read from.
#[derive(Debug, Default)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    event_type: Option<Range<usize>>,
    exception_type: Option<Range<usize>>,
    error_code: Option<Range<usize>>,
    error_message: Option<Range<usize>>,
}

impl<'a> Headers<'a> {
    /// Reads until the end, or until something is no header.
    pub fn read(bytes: &'a [u8]) -> Self {
        let mut headers = Self { bytes, ..Self::default() };
        let mut at = 0;
        while let Some((name, value, end)) = header(bytes, at) {
            match name {
                b":event-type" => headers.event_type = Some(value),
                b":exception-type" => headers.exception_type = Some(value),
                b":error-code" => headers.error_code = Some(value),
                b":error-message" => headers.error_message = Some(value),
                _ => {}
            }
            at = end;
        }
        headers
    }

    /// What the message is called.
    pub fn name(&self) -> Option<Range<usize>> {
        self.exception_type.clone().or_else(|| self.error_code.clone()).or_else(|| self.event_type.clone())
    }

    /// The sentence of an error that has no type.
    pub fn error_message(&self) -> Option<&'a [u8]> {
        self.error_code.as_ref()?;
        Some(self.error_message.clone().and_then(|at| self.bytes.get(at)).unwrap_or_default())
    }
}

/// The header at `at`: its name, where its value stands, and where the next one begins.
fn header(bytes: &[u8], at: usize) -> Option<(&[u8], Range<usize>, usize)> {
    let name_begin = at + 1;
    let name_end = name_begin + usize::from(*bytes.get(at)?);
    let name = bytes.get(name_begin..name_end)?;
    let begin = name_end + 1;
    let (begin, length) = match *bytes.get(name_end)? {
        0 | 1 => (begin, 0),
        2 => (begin, 1),
        3 => (begin, 2),
        4 => (begin, 4),
        5 | 8 => (begin, 8),
        6 | 7 => {
            let length = bytes.get(begin..)?.first_chunk()?;
            (begin + 2, usize::from(u16::from_be_bytes(*length)))
        }
        9 => (begin, 16),
        _ => return None,
    };
    let value = begin..begin + length;
    bytes.get(value.clone())?;
    Some((name, value.clone(), value.end))
}
