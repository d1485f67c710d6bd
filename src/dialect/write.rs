//! Writes JSON straight into a buffer: what translation answers with.
//!
//! No tree is built and nothing is kept; members leave in the order in which they are said. Text that
//! came as JSON (arguments, schemas) goes in as it is.

use std::fmt::Display;
use std::io::Write;

/// Writes an object.
pub fn object(out: &mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    members(&mut Object { out, first: true });
    out.push(b'}');
}

/// Writes an object for a stream, whose events end with their lines.
pub fn line(out: &mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
    let begin = out.len();
    object(out, members);
    unbreak(&mut out[begin..]);
}

/// Makes one line of JSON: texts have their line ends escaped, so that those left are white space of what came as it is.
pub fn unbreak(json: &mut [u8]) {
    for byte in json {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// An object that is being written.
pub struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

/// An array that is being written.
pub struct Array<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl Object<'_> {
    pub fn str(&mut self, key: &str, value: &str) -> &mut Self {
        string(self.key(key), value);
        self
    }

    /// A member only when there is something to say.
    pub fn str_if(&mut self, key: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.str(key, value);
        }
        self
    }

    /// JSON that is written already.
    pub fn raw(&mut self, key: &str, json: &str) -> &mut Self {
        self.key(key).extend_from_slice(json.as_bytes());
        self
    }

    pub fn raw_if(&mut self, key: &str, json: Option<&str>) -> &mut Self {
        if let Some(json) = json {
            self.raw(key, json);
        }
        self
    }

    pub fn bool(&mut self, key: &str, value: bool) -> &mut Self {
        self.raw(key, if value { "true" } else { "false" })
    }

    pub fn null(&mut self, key: &str) -> &mut Self {
        self.raw(key, "null")
    }

    /// A number; it has to be finite.
    pub fn number(&mut self, key: &str, value: impl Display) -> &mut Self {
        number(self.key(key), value);
        self
    }

    pub fn number_if(&mut self, key: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.number(key, value);
        }
        self
    }

    pub fn object(&mut self, key: &str, members: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        object(self.key(key), members);
        self
    }

    pub fn array(&mut self, key: &str, items: impl FnOnce(&mut Array<'_>)) -> &mut Self {
        array(self.key(key), items);
        self
    }

    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        comma(self.out, &mut self.first);
        string(self.out, key);
        self.out.push(b':');
        self.out
    }
}

impl Array<'_> {
    pub fn str(&mut self, value: &str) -> &mut Self {
        string(self.item(), value);
        self
    }

    pub fn raw(&mut self, json: &str) -> &mut Self {
        self.item().extend_from_slice(json.as_bytes());
        self
    }

    pub fn number(&mut self, value: impl Display) -> &mut Self {
        number(self.item(), value);
        self
    }

    pub fn object(&mut self, members: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        object(self.item(), members);
        self
    }

    pub fn array(&mut self, items: impl FnOnce(&mut Array<'_>)) -> &mut Self {
        array(self.item(), items);
        self
    }

    /// Nothing was written so far.
    pub fn is_empty(&self) -> bool {
        self.first
    }

    fn item(&mut self) -> &mut Vec<u8> {
        comma(self.out, &mut self.first);
        self.out
    }
}

/// Writes an array.
pub fn array(out: &mut Vec<u8>, items: impl FnOnce(&mut Array<'_>)) {
    out.push(b'[');
    items(&mut Array { out, first: true });
    out.push(b']');
}

/// Writes a string with its quotes (RFC 8259, section 7). Characters beyond ASCII stay as they are.
pub fn string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    // Room for what follows a long one, which must not double the buffer.
    out.reserve(text.len() + text.len() / 64 + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&special, tail)) = tail.split_first() else { break };
        match special {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.extend([HEX[usize::from(control >> 4)], HEX[usize::from(control & 15)]]);
            }
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// A JSON text of what `write` writes. The writers only ever write UTF-8.
pub fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The one whole JSON object that `text` is, if it is one.
pub fn as_object(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| text.starts_with('{') && super::json::is_whole(text.as_bytes()))
}

fn number(out: &mut Vec<u8>, value: impl Display) {
    // A Vec takes whatever is written to it.
    let _ = write!(out, "{value}");
}

fn comma(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::replace(first, false) {
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_said_stands_there_in_its_order() {
        let said = text(|out| {
            object(out, |o| {
                o.str("b", "x\"y").number("n", 1.5).bool("t", true).null("z").raw("r", "{\"k\":[]}");
                o.object("o", |o| {
                    o.str_if("no", None).number_if("yes", Some(3));
                });
                o.array("a", |a| {
                    a.str("s").number(2).object(|_| {}).array(|a| {
                        a.raw("null");
                    });
                });
            });
        });
        assert_eq!(
            said,
            r#"{"b":"x\"y","n":1.5,"t":true,"z":null,"r":{"k":[]},"o":{"yes":3},"a":["s",2,{},[null]]}"#
        );
        assert_eq!(serde_json::from_str::<Value>(&said).expect("JSON")["a"], json!(["s", 2, {}, [null]]));
    }

    #[test]
    fn a_text_is_an_object_when_it_is_one_whole_one() {
        assert_eq!(as_object(" {\"a\":1}\n"), Some("{\"a\":1}"));
        for text in ["", "[1]", "{\"a\":", "null", "{} {}"] {
            assert_eq!(as_object(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC*|[\u{0}-\u{40}\\\\\"é\u{1f600}]{0,40}") {
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), text);
        }
    }
}
