//! Writes a message.

use super::{PRELUDE, TRAILER};
use crate::algo::crc::Crc;

/// The type of a value that is text.
const STRING: u8 = 7;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    Event,
    /// The SDK raises it; nothing follows.
    Exception,
}

/// Appends one message whose payload is JSON. `event` is its type, which our own code names.
pub fn message(event: &str, kind: MessageKind, payload: &[u8], out: &mut Vec<u8>) {
    let (type_header, message_type) = match kind {
        MessageKind::Event => (":event-type", "event"),
        MessageKind::Exception => (":exception-type", "exception"),
    };
    let begin = out.len();
    out.reserve(PRELUDE + 128 + payload.len());
    out.extend_from_slice(&[0; PRELUDE]);
    header(type_header, event, out);
    header(":content-type", "application/json", out);
    header(":message-type", message_type, out);
    let headers = out.len() - begin - PRELUDE;
    out.extend_from_slice(payload);
    let total = out.len() - begin + TRAILER;
    if let Some(message) = out.get_mut(begin..) {
        prelude(message, total, headers);
    }
    let mut crc = Crc::default();
    crc.add(out.get(begin..).unwrap_or_default());
    out.extend_from_slice(&crc.value().to_be_bytes());
}

fn header(name: &str, value: &str, out: &mut Vec<u8>) {
    // Names and types are short words of ours.
    out.push(name.len() as u8);
    out.extend_from_slice(name.as_bytes());
    out.push(STRING);
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value.as_bytes());
}

/// Fills in the lengths and their checksum.
fn prelude(message: &mut [u8], total: usize, headers: usize) {
    let Some(prelude) = message.first_chunk_mut::<PRELUDE>() else { return };
    let mut crc = Crc::default();
    let lengths = [(total as u32).to_be_bytes(), (headers as u32).to_be_bytes()];
    crc.add(lengths.as_flattened());
    let words = [lengths[0], lengths[1], crc.value().to_be_bytes()];
    prelude.copy_from_slice(words.as_flattened());
}
