//! The mould of a stream's deltas: what one frame has in common with the next.
//!
//! The deltas of an answer are the same bytes over and over but for a few words. So when a whole walk
//! has found a delta, its text is kept with holes where the words were; a frame that fits means what
//! the kept one meant, and needs no walk. This guesses nothing: the bytes around the holes are
//! compared, and what is in a hole is read by the same [`Walker`]. A frame that does not fit says
//! nothing about itself and is walked.

use std::ops::Range;

use crate::dialect::json::{Kind, Walked, Walker};

/// Strings that differ from delta to delta. No dialect's walk looks at a text under these names: it
/// only asks whether there is any, so a text that is not empty may stand in for another.
const WORDS: &[&[u8]] = &[
    b"content",
    b"text",
    b"delta",
    b"obfuscation",
    b"arguments",
    b"partial_json",
    b"thinking",
    b"reasoning_content",
    b"reasoning",
];

/// The one number that differs from delta to delta, at the top of a response's events.
const SEQUENCE: &[u8] = b"sequence_number";

/// Longer frames are not kept. Vendors' deltas have 100 to 600 bytes around their words.
const MAX_BYTES: usize = 2 * 1024;

/// So many frames in a row are kept in vain before a stream is taken for one whose deltas differ
/// elsewhere (log probabilities, usage in every chunk, several choices taking turns).
const PATIENCE: u8 = 8;

/// A frame with holes, or nothing yet.
#[derive(Debug)]
pub(super) struct Mould {
    /// A frame that was walked.
    text: Vec<u8>,
    /// In the order in which they stand.
    holes: Vec<Hole>,
    patience: u8,
}

#[derive(Debug)]
struct Hole {
    shape: Shape,
    /// Where the value stood, quotes included.
    at: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Words,
    Sequence,
}

/// What a frame that fits has of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cast {
    pub sequence: Option<u64>,
}

impl Default for Mould {
    fn default() -> Self {
        Self { text: Vec::new(), holes: Vec::new(), patience: PATIENCE }
    }
}

impl Mould {
    /// One that never keeps anything: what comes out of walking every frame.
    #[cfg(test)]
    pub fn never() -> Self {
        Self { patience: 0, ..Self::default() }
    }

    /// Would a walk find in `json` what it found in the kept frame?
    pub fn fits(&mut self, json: &[u8]) -> Option<Cast> {
        if self.holes.is_empty() {
            return None;
        }
        let mut cast = Cast::default();
        let mut walker = Walker::new(json);
        let mut at = 0;
        for hole in &self.holes {
            walker.passes(self.text.get(at..hole.at.start)?).then_some(())?;
            at = hole.at.end;
            match hole.shape {
                Shape::Words => (!walker.string().ok()?.raw.is_empty()).then_some(())?,
                Shape::Sequence => {
                    (walker.kind().ok()? == Kind::Number).then_some(())?;
                    cast.sequence = walker.integer().ok()?;
                }
            }
        }
        walker.passes(self.text.get(at..)?).then_some(())?;
        walker.end().ok()?;
        self.patience = PATIENCE;
        Some(cast)
    }

    /// Keeps a frame in which a walk has found content and no usage. `numbered`: it has found a
    /// sequence number as well.
    pub fn keep(&mut self, json: &[u8], numbered: bool) {
        self.holes.clear();
        if json.len() > MAX_BYTES || self.patience == 0 {
            return;
        }
        self.patience -= 1;
        self.text.clear();
        self.text.extend_from_slice(json);
        let mut holes = std::mem::take(&mut self.holes);
        let mut note = |key: &[u8], depth: u8, kind: Kind, at: Range<usize>| {
            // An empty text means something else than any other.
            let words = kind == Kind::String && at.len() > 2 && WORDS.contains(&key);
            if words {
                holes.push(Hole { shape: Shape::Words, at });
            } else if numbered && kind == Kind::Number && depth == 1 && key == SEQUENCE {
                holes.push(Hole { shape: Shape::Sequence, at });
            }
        };
        if leaves(&mut Walker::new(json), b"", 0, &mut note).is_ok() {
            self.holes = holes;
        }
    }
}

/// Bytes of the words in a whole answer: what somebody would count who was not told its tokens.
pub fn words(json: &[u8]) -> usize {
    let mut bytes = 0;
    let mut note = |key: &[u8], _: u8, kind: Kind, at: Range<usize>| {
        if kind == Kind::String && key != b"obfuscation" && WORDS.contains(&key) {
            bytes += at.len().saturating_sub(2);
        }
    };
    // What cannot be read to its end counts as far as it could.
    let _ = leaves(&mut Walker::new(json), b"", 0, &mut note);
    bytes
}

/// Takes one value and tells every leaf of it: the name that it stands under, how deep, what, where.
fn leaves(
    walker: &mut Walker<'_>,
    key: &[u8],
    depth: u8,
    tell: &mut impl FnMut(&[u8], u8, Kind, Range<usize>),
) -> Walked {
    match walker.kind()? {
        Kind::Object => {
            walker.object(|walker, key| leaves(walker, key.raw, depth + 1, tell))?;
        }
        Kind::Array => walker.array(|walker| leaves(walker, b"", depth + 1, tell))?,
        _ => {
            let (kind, at) = walker.value()?;
            tell(key, depth, kind, at);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELTA: &str = r#"{"id":"a","choices":[{"delta":{"content":"Hi"}}],"obfuscation":"x"}"#;

    fn kept(json: &str) -> Mould {
        let mut mould = Mould::default();
        mould.keep(json.as_bytes(), json.contains("sequence_number"));
        mould
    }

    #[test]
    fn only_the_words_may_differ() {
        let mut mould = kept(DELTA);
        let mut fits = |from: &str, to: &str| mould.fits(DELTA.replace(from, to).as_bytes()).is_some();
        assert!(fits("", ""));
        assert!(fits("Hi", r#" there, \"error\":{} \u00e9"#));
        assert!(fits(r#""x""#, r#""longer""#));
        assert!(!fits("Hi", ""), "an empty delta is no content");
        assert!(!fits(r#""Hi""#, "null"));
        assert!(!fits(r#""Hi""#, r#""Hi","role":"x""#));
        assert!(!fits("Hi", "H\ni"), "a control character");
        assert!(!fits("Hi", r"\x"));
        assert!(!fits(r#""a""#, r#""b""#));
        assert!(!fits("x\"}", "x\""));
        assert!(!fits("x\"}", "x\"}}"));
    }

    #[test]
    fn a_sequence_number_is_read_where_a_walk_reads_it() {
        let mut mould = kept(r#"{"sequence_number":7,"delta":"x","item":{"sequence_number":1}}"#);
        let mut fits = |json: &str| mould.fits(json.as_bytes()).map(|cast| cast.sequence);
        assert_eq!(
            fits(r#"{"sequence_number":81,"delta":"y","item":{"sequence_number":1}}"#),
            Some(Some(81))
        );
        assert_eq!(fits(r#"{"sequence_number":1.5,"delta":"y","item":{"sequence_number":1}}"#), Some(None));
        assert_eq!(fits(r#"{"sequence_number":"8","delta":"y","item":{"sequence_number":1}}"#), None);
        assert_eq!(fits(r#"{"sequence_number":8,"delta":"y","item":{"sequence_number":2}}"#), None);
    }

    #[test]
    fn the_words_of_a_whole_answer_are_counted_and_nothing_else_of_it() {
        let openai = r#"{"id":"text","model":"content","choices":[{"message":{"role":"assistant","content":"Hello"}}],"obfuscation":"xxx"}"#;
        let anthropic =
            r#"{"content":[{"type":"text","text":"Hel"},{"type":"tool_use","input":{"text":"lo"}}]}"#;
        let gemini = r#"{"candidates":[{"content":{"parts":[{"text":"Hel"},{"text":"lo"}]}}]}"#;
        for (json, bytes) in
            [(openai, 5), (anthropic, 5), (gemini, 5), (r#"{"content":null}"#, 0), ("no json", 0)]
        {
            assert_eq!(words(json.as_bytes()), bytes, "{json}");
        }
    }

    #[test]
    fn what_no_frame_fits_is_kept_no_longer() {
        let mut mould = Mould::default();
        for _ in 0..PATIENCE {
            mould.keep(DELTA.as_bytes(), false);
            assert!(!mould.holes.is_empty());
        }
        mould.keep(DELTA.as_bytes(), false);
        assert_eq!(mould.fits(DELTA.as_bytes()), None);
        let mut mould = kept(DELTA);
        for _ in 0..=PATIENCE {
            assert!(mould.fits(DELTA.as_bytes()).is_some());
            mould.keep(DELTA.as_bytes(), false);
        }
        assert!(mould.fits(DELTA.as_bytes()).is_some());
        let long = DELTA.replace("Hi", &"x".repeat(MAX_BYTES));
        mould.keep(long.as_bytes(), false);
        assert_eq!(mould.fits(long.as_bytes()), None);
    }
}
