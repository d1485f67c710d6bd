//! The canonical request: one spelling for what may be written in many ways.

use std::fmt;

use aws_lc_rs::digest::{self, SHA256};
use smallvec::SmallVec;

use super::{Asked, Hash};

/// The hash of the canonical request. `fields` and `names` in the same order; `payload` is the body's hash
/// in hexadecimal, or the word that stands for none.
pub(super) fn hash<'a>(
    asked: &Asked<'_>,
    fields: impl Iterator<Item = (&'a str, &'a str)>,
    names: impl Iterator<Item = &'a str>,
    payload: &str,
) -> Hash {
    let mut out = Sink(digest::Context::new(&SHA256));
    out.text(asked.method);
    out.text("\n");
    out.path(asked.path);
    out.text("\n");
    out.query(asked.query.unwrap_or_default());
    out.text("\n");
    for (name, value) in fields {
        out.text(name);
        out.text(":");
        out.value(value);
        out.text("\n");
    }
    out.text("\n");
    for (index, name) in names.enumerate() {
        if index > 0 {
            out.text(";");
        }
        out.text(name);
    }
    out.text("\n");
    out.text(payload);
    Hash::finish(out.0)
}

struct Sink(digest::Context);

impl Sink {
    fn text(&mut self, text: &str) {
        self.0.update(text.as_bytes());
    }

    /// Encoded once more than it came, its slashes as they are.
    fn path(&mut self, path: &str) {
        if path.is_empty() {
            return self.text("/");
        }
        for byte in path.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
                self.0.update(&[byte]);
            } else {
                self.0.update(&[b'%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }

    /// Sorted; taken as encoded by whoever sent it. A name without `=` gets one.
    fn query(&mut self, query: &str) {
        let mut pairs: SmallVec<[(&str, &str); 8]> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .collect();
        pairs.sort_unstable();
        for (index, (name, value)) in pairs.into_iter().enumerate() {
            if index > 0 {
                self.text("&");
            }
            self.text(name);
            self.text("=");
            self.text(value);
        }
    }

    /// Trimmed, with one blank for several.
    fn value(&mut self, value: &str) {
        for (index, word) in value.split(' ').filter(|word| !word.is_empty()).enumerate() {
            if index > 0 {
                self.text(" ");
            }
            self.text(word);
        }
    }
}

fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
}

/// Bytes in lower-case hexadecimal.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_of_sixteen_and_in_upper_case() {
        assert_eq!((0..16).map(digit).collect::<Vec<_>>(), b"0123456789ABCDEF");
    }
}
