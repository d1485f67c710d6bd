//! Streamed answers.

use crate::dialect::hub::{Event, Manner};
use crate::dialect::tree::{Node, Wrong};

/// Reads an upstream's stream.
#[derive(Debug, Default)]
pub struct Reader {}

impl Reader {
    /// What one frame means, appended to `events`. `name` is the frame's event, where it has one.
    pub fn read<'f>(
        &mut self,
        _name: Option<&str>,
        _json: &Node<'f>,
        _events: &mut Vec<Event<'f>>,
    ) -> Result<(), Wrong> {
        Ok(())
    }

    /// The stream is whole: closes and finishes what is still open.
    pub fn end(&mut self, _events: &mut Vec<Event<'_>>) {}
}

/// Writes a caller's stream.
#[derive(Debug)]
pub struct Writer {
    _manner: Manner,
}

impl Writer {
    pub fn new(manner: Manner) -> Self {
        Self { _manner: manner }
    }

    /// Says one event, appended to `out`.
    pub fn write(&mut self, _event: &Event<'_>, _out: &mut Vec<u8>) {}
}
