//! Writes protocol buffers (<https://protobuf.dev/programming-guides/encoding/>): the few kinds of fields that OTLP
//! has. By hand, since a handful of messages is less code than what would generate theirs.

/// A message that is being written.
#[derive(Debug, Default)]
pub struct Message(Vec<u8>);

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;

impl Message {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub fn uint(&mut self, field: u32, value: u64) {
        self.tag(field, VARINT);
        self.varint(value);
    }

    pub fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub fn double(&mut self, field: u32, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    pub fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        self.tag(field, LENGTH);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// Numbers of eight bytes each, packed.
    pub fn packed(&mut self, field: u32, values: impl ExactSizeIterator<Item = u64>) {
        self.tag(field, LENGTH);
        self.varint(values.len() as u64 * 8);
        for value in values {
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    pub fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    /// A `KeyValue` with a text.
    pub fn attribute(&mut self, field: u32, key: &str, value: &str) {
        self.message(field, |pair| {
            pair.text(1, key);
            pair.message(2, |any| any.text(1, value));
        });
    }

    /// A `KeyValue` with a number.
    pub fn counted(&mut self, field: u32, key: &str, value: u64) {
        self.message(field, |pair| {
            pair.text(1, key);
            pair.message(2, |any| any.uint(3, value));
        });
    }

    /// A `KeyValue` that is true.
    pub fn flagged(&mut self, field: u32, key: &str) {
        self.message(field, |pair| {
            pair.text(1, key);
            pair.message(2, |any| any.uint(2, 1));
        });
    }

    fn tag(&mut self, field: u32, kind: u32) {
        self.varint((field << 3 | kind).into());
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the encoding's own documentation.
    #[test]
    fn fields_are_written_as_the_documentation_has_them() {
        let written = |write: &dyn Fn(&mut Message)| {
            let mut message = Message::default();
            write(&mut message);
            message.into_bytes()
        };
        assert_eq!(written(&|m| m.uint(1, 150)), [0x08, 0x96, 0x01]);
        assert_eq!(written(&|m| m.text(2, "testing")), b"\x12\x07testing");
        assert_eq!(written(&|m| m.message(3, |m| m.uint(1, 150))), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(written(&|m| m.double(1, 1.0)), [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        assert_eq!(written(&|m| m.uint(16, u64::MAX))[..2], [0x80, 0x01]);
        assert_eq!(written(&|m| m.uint(1, u64::MAX)).len(), 11);
    }
}
