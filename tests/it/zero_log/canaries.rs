//! Words that stand nowhere but in the requests of one caller, and the search for them in whatever is written.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;

/// What a caller, or somebody who answers him, writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Prompt,
    System,
    Tool,
    /// What an upstream answers.
    Answer,
    /// What an upstream says of a failure.
    Complaint,
    /// The end user, as fields of bodies name him.
    User,
    /// In a header that is a label.
    Tag,
    /// In all the other headers.
    Header,
    Idempotency,
    RequestId,
    Trace,
    /// In `tracestate`.
    State,
    /// A model under a pattern.
    Model,
    /// One that no route has.
    Unknown,
    Path,
    Query,
    File,
    /// In bodies that are no JSON.
    Broken,
}

impl Kind {
    pub const ALL: [Self; 18] = [
        Self::Prompt,
        Self::System,
        Self::Tool,
        Self::Answer,
        Self::Complaint,
        Self::User,
        Self::Tag,
        Self::Header,
        Self::Idempotency,
        Self::RequestId,
        Self::Trace,
        Self::State,
        Self::Model,
        Self::Unknown,
        Self::Path,
        Self::Query,
        Self::File,
        Self::Broken,
    ];
}

/// One caller's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canaries(pub &'static str);

impl Canaries {
    /// Small letters and digits only, so that no dialect and no log writes it in another way.
    pub fn word(self, kind: Kind) -> String {
        match kind {
            Kind::Trace => format!("{}{:04x}", "c0a7ea51deadca7a5eedfacefeed", kind as u16 + self.number()),
            _ => format!("canary{}zqx{}", format!("{kind:?}").to_lowercase(), self.0),
        }
    }

    fn number(self) -> u16 {
        self.0.bytes().map(u16::from).sum()
    }

    /// Which of them are in there: as they are, as hexadecimal digits or in Base64, or hashed as names of models are.
    pub fn found_in(self, bytes: &[u8]) -> BTreeSet<Kind> {
        let text = String::from_utf8_lossy(bytes);
        let low = text.to_lowercase();
        let stands = |kind: &Kind| {
            let word = self.word(*kind);
            low.contains(&word)
                || *kind == Kind::Trace && has(bytes, &from_hex(&word))
                || low.contains(&hex(word.as_bytes()))
                || low.contains(&hex(digest(&SHA256, word.as_bytes()).as_ref())[..12])
                || in_base64(&word).iter().any(|encoded| text.contains(encoded))
        };
        Kind::ALL.into_iter().filter(stands).collect()
    }
}

fn from_hex(word: &str) -> Vec<u8> {
    let digits: Vec<u8> = word.chars().map(|digit| digit.to_digit(16).expect("a digit") as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// The word within Base64, wherever in a group of three bytes it begins.
fn in_base64(word: &str) -> [String; 3] {
    [0, 1, 2].map(|before| {
        let encoded = BASE64_STANDARD_NO_PAD.encode(format!("{}{word}", "x".repeat(before)));
        // Without the digits that depend on what stands beside it.
        encoded[before + usize::from(before > 0)..encoded.len() - 2].to_owned()
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn a_canary_is_found_however_it_is_written() {
    let canaries = Canaries("one");
    let word = canaries.word(Kind::Prompt);
    let only = BTreeSet::from([Kind::Prompt]);
    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}{word} and more");
        assert_eq!(canaries.found_in(text.as_bytes()), only);
        assert_eq!(canaries.found_in(BASE64_STANDARD_NO_PAD.encode(&text).as_bytes()), only, "{before}");
    }
    let hash = digest(&SHA256, word.as_bytes());
    let hex = hex(hash.as_ref());
    assert_eq!(canaries.found_in(format!("sha256:{}", &hex[..12]).as_bytes()), only);
    assert_eq!(canaries.found_in(word.to_uppercase().as_bytes()), only);
    assert_eq!(Canaries("two").found_in(word.as_bytes()), BTreeSet::new());
    assert_ne!(canaries.word(Kind::Trace), Canaries("two").word(Kind::Trace));
    let trace = canaries.word(Kind::Trace);
    assert_eq!(trace.len(), 32);
    assert_eq!(canaries.found_in(&from_hex(&trace)), BTreeSet::from([Kind::Trace]));
}
