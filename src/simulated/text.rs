//! The words that a simulated upstream says, and the oracle that checks them.
//!
//! A text is numbered words, each naming the upstream and the serial number of the request, and at
//! the end, as the last word, the SHA-256 of all that came before the last space:
//! `sim-a.17.1 sim-a.17.2 … sim-a.17.24 9f86d0…`. So a test that has nothing but the text can tell
//! whether a word is lost, doubled or changed, and whether two answers were stitched together, even
//! two of the same upstream. There is no natural language here, and nothing of the caller's prompt.

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;

/// One answer's text, made piece by piece.
#[derive(Clone, Debug)]
pub(super) struct Text {
    tag: String,
    words: u32,
    /// These pieces instead: what continues another text.
    said: Option<Arc<[String]>>,
}

impl Text {
    /// `words` numbered words (at least one) of request `serial` on the upstream `name`.
    pub(super) fn new(name: &str, serial: u64, words: u32) -> Self {
        Self { tag: format!("{}.{serial}", word_safe(name)), words: words.max(1), said: None }
    }

    /// The text, of `words` words, that begins with `begun`; `None` when none does.
    pub(super) fn of_begun(begun: &str, words: u32) -> Option<Self> {
        let first = begun.split(' ').next()?;
        let (tag, number) = first.rsplit_once('.')?;
        let text = Self { tag: tag.to_owned(), words: words.max(1), said: None };
        (number == "1" && text.whole().starts_with(begun)).then_some(text)
    }

    /// Another text, said word by word.
    #[must_use]
    pub(super) fn saying(&self, text: &str) -> Self {
        let said = text.split_inclusive([' ', '\n']).map(str::to_owned).collect();
        Self { said: Some(said), ..self.clone() }
    }

    /// The pieces in order: each word with the space before it, then the seal. Joined, they are the text.
    pub(super) fn pieces(&self) -> Pieces {
        let said = self.said.clone().map(|said| (said, 0));
        Pieces { tag: self.tag.clone(), words: self.words, next: 1, seal: Sha256::new(), said }
    }

    pub(super) fn whole(&self) -> String {
        self.pieces().collect()
    }

    /// A word is a token here, and so is the seal.
    pub(super) fn tokens(&self) -> u64 {
        match &self.said {
            Some(said) => said.len() as u64,
            None => u64::from(self.words) + 1,
        }
    }
}

/// A name as part of a word: no spaces, nothing that JSON or SSE would have to escape.
fn word_safe(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    name.chars().map(safe).collect()
}

#[derive(Debug)]
pub(super) struct Pieces {
    tag: String,
    words: u32,
    next: u32,
    seal: Sha256,
    said: Option<(Arc<[String]>, usize)>,
}

impl Iterator for Pieces {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if let Some((said, next)) = &mut self.said {
            *next += 1;
            return said.get(*next - 1).cloned();
        }
        if self.next > self.words {
            if self.next == u32::MAX {
                return None;
            }
            self.next = u32::MAX;
            let seal = std::mem::take(&mut self.seal);
            return Some(format!(" {}", hex(&seal.finalize())));
        }
        let space = if self.next == 1 { "" } else { " " };
        let piece = format!("{space}{}.{}", self.tag, self.next);
        self.seal.update(piece.as_bytes());
        self.next += 1;
        Some(piece)
    }
}

/// What a whole text says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoken<'a> {
    /// The name of the upstream that spoke (other characters than ASCII letters, digits, `-` and `_` as `_`).
    pub upstream: &'a str,
    /// The serial number of the request there, as in [`Seen::serial`](super::Seen::serial).
    pub serial: u64,
    /// How many words came before the seal.
    pub words: u32,
}

/// Why a text is not exactly what a simulated upstream said.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Broken {
    #[error("the last word is not a sha-256: the text was cut short")]
    Unsealed,
    #[error("word {at} is missing, doubled or of another answer")]
    WrongWord { at: u32 },
    #[error("the words are in order but their bytes do not match the seal")]
    WrongSeal,
}

/// Check a text against itself: complete, in order, byte for byte, of one answer.
pub fn oracle(text: &str) -> Result<Spoken<'_>, Broken> {
    let (words, seal) = text.rsplit_once(' ').ok_or(Broken::Unsealed)?;
    if seal.len() != 64 || !seal.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Broken::Unsealed);
    }
    let mut spoken: Option<Spoken<'_>> = None;
    for (at, word) in (1_u32..).zip(words.split(' ')) {
        let (upstream, serial) = parse_word(word, at).ok_or(Broken::WrongWord { at })?;
        let first = *spoken.get_or_insert(Spoken { upstream, serial, words: 0 });
        if (first.upstream, first.serial) != (upstream, serial) {
            return Err(Broken::WrongWord { at });
        }
        spoken = Some(Spoken { words: at, ..first });
    }
    if hex(&Sha256::digest(words.as_bytes())) != seal {
        return Err(Broken::WrongSeal);
    }
    spoken.ok_or(Broken::Unsealed)
}

fn parse_word(word: &str, at: u32) -> Option<(&str, u64)> {
    let (tag, number) = word.rsplit_once('.')?;
    let (upstream, serial) = tag.rsplit_once('.')?;
    if number.parse::<u32>().ok()? == at { Some((upstream, serial.parse().ok()?)) } else { None }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String never fails");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_text_passes_the_oracle_and_names_its_origin() {
        let text = Text::new("sim a", 17, 24).whole();
        assert_eq!(oracle(&text), Ok(Spoken { upstream: "sim_a", serial: 17, words: 24 }));
        assert_eq!(Text::new("sim", 1, 24).pieces().count(), 25);
        assert!(oracle(&Text::new("sim", 1, 0).whole()).is_ok(), "at least one word");
    }

    #[test]
    fn every_truncation_is_found() {
        let text = Text::new("a", 1, 5).whole();
        for end in 0..text.len() {
            assert!(oracle(&text[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn stitched_doubled_and_changed_texts_are_found() {
        let (one, two) = (Text::new("a", 1, 4), Text::new("a", 2, 4));
        let stitched: String = one.pieces().take(2).chain(two.pieces().skip(2)).collect();
        assert_eq!(oracle(&stitched), Err(Broken::WrongWord { at: 3 }));
        let doubled = one.whole().replacen("a.1.2", "a.1.2 a.1.2", 1);
        assert_eq!(oracle(&doubled), Err(Broken::WrongWord { at: 3 }));
        let seal = "0".repeat(64);
        assert_eq!(oracle(&format!("a.1.1 a.1.2 {seal}")), Err(Broken::WrongSeal));
        assert_eq!(oracle("a.1.1 a.1.2"), Err(Broken::Unsealed));
    }
}
