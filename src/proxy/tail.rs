//! Reads the usage at the end of a JSON answer that is too large to hold (embeddings, mostly).
//!
//! Providers put `usage` behind the data, so the last few KiB have it. Inside a JSON string its quotes
//! would be escaped, so an unescaped `"usage"` is the member itself, or one of a nested object that the
//! later one of the whole answer overrides.

use memchr::memmem;

use crate::dialect::billed::Wish;
use crate::dialect::{Dialect, Operation, meter};
use crate::vocab::Usage;

/// More than any provider writes behind its data.
const KEPT: usize = 8 * 1024;

pub struct Tail {
    dialect: Dialect,
    bytes: Vec<u8>,
}

impl Tail {
    pub fn new(dialect: Dialect, begin: &[u8]) -> Self {
        let mut tail = Self { dialect, bytes: Vec::new() };
        tail.push(begin);
        tail
    }

    pub fn push(&mut self, data: &[u8]) {
        let data = &data[data.len().saturating_sub(KEPT)..];
        let surplus = (self.bytes.len() + data.len()).saturating_sub(KEPT);
        // Moved only now and then: the buffer may grow to twice what is kept.
        if surplus > KEPT || data.len() == KEPT {
            self.bytes.drain(..surplus.min(self.bytes.len()));
        }
        self.bytes.extend_from_slice(data);
    }

    pub fn usage(&self) -> Option<Usage> {
        let member: &[u8] = if self.dialect == Dialect::Gemini { b"\"usageMetadata\"" } else { b"\"usage\"" };
        let at =
            memmem::rfind_iter(&self.bytes, member).find(|&at| at == 0 || self.bytes[at - 1] != b'\\')?;
        let value = self.bytes[at + member.len()..].trim_ascii_start().strip_prefix(b":")?;
        meter::usage_at(self.dialect, value.trim_ascii_start())
    }
}

/// What is counted of an answer whose bytes pass: its own words where it has any, and its request's.
pub struct Counted {
    pub tail: Option<Tail>,
    pub operation: Operation,
    pub wish: Wish,
}

impl Counted {
    pub fn push(&mut self, data: &[u8]) {
        if let Some(tail) = &mut self.tail {
            tail.push(data);
        }
    }

    pub fn usage(&self) -> Option<Usage> {
        self.wish.complete(self.operation, self.tail.as_ref().and_then(Tail::usage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_behind_megabytes_is_read_however_they_are_cut() {
        let body = format!(
            r#"{{"data":["{}"],"note":"\"usage\":1","usage":{{"prompt_tokens":77,"total_tokens":77}}}}"#,
            "x".repeat(300_000)
        );
        for size in [1_000, 8_192, 100_000] {
            let mut tail = Tail::new(Dialect::OpenAi, b"");
            for piece in body.as_bytes().chunks(size) {
                tail.push(piece);
            }
            assert_eq!(tail.usage().map(|usage| usage.input), Some(77), "{size}");
            assert!(tail.bytes.len() <= 3 * KEPT);
        }
    }
}
