//! Frames.

use bytes::Bytes;

use super::{Frame, Unframeable};

#[derive(Debug, Default)]
pub struct Splitter(Bytes);

impl Splitter {
    pub fn push(&mut self, chunk: Bytes) {
        self.0 = chunk;
    }

    pub fn next(&mut self) -> Result<Option<Frame>, Unframeable> {
        Ok(None)
    }

    pub fn leftover(&mut self) -> Option<Frame> {
        None
    }
}
