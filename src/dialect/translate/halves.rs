//! Halves of characters in JSON.
//!
//! An escape has room for 65,536 characters; all others take two of them, a surrogate pair (RFC 8259, section 7).
//! Vendors that cut their texts as UTF-16 may put the first half at the end of one event and the second at the
//! beginning of the next: valid JSON, but no text. What a stream's events have cut is joined again; any other half is
//! U+FFFD, as is usual.

use memchr::memmem;

/// `\ud83d`
type Escape = [u8; 6];

const REPLACEMENT: &Escape = br"\ufffd";

/// Joins what a stream's events have cut.
#[derive(Debug, Default)]
pub(super) struct Halves {
    /// The high half that a text ended with; it is told with the low one, or never.
    held: Option<Escape>,
}

impl Halves {
    /// An event without halves; `None` when it has none.
    pub fn join(&mut self, json: &[u8]) -> Option<Vec<u8>> {
        let held = self.held;
        mend(json, |half, out| match half {
            Half { kind: Kind::High, is_last: true, escape, .. } => self.held = Some(escape),
            // What was held stays for another text of the same event: probabilities tell it once more.
            Half { kind: Kind::Low, is_first: true, escape, .. } if let Some(high) = held => {
                self.held = self.held.filter(|now| *now != high);
                out.extend(high.into_iter().chain(escape));
            }
            Half { .. } => out.extend(REPLACEMENT),
        })
    }
}

/// An answer in one piece without halves; `None` when it has none.
pub(super) fn replace(json: &[u8]) -> Option<Vec<u8>> {
    mend(json, |_, out| out.extend(REPLACEMENT))
}

/// A request without halves. What was read of the caller's has none any more; they are in what goes on as it stood:
/// arguments, schemas.
pub(super) fn replace_some(json: Vec<u8>) -> Vec<u8> {
    let may_have = [&br"\ud"[..], br"\uD"].iter().any(|begin| memmem::find(&json, begin).is_some());
    if may_have { replace(&json).unwrap_or(json) } else { json }
}

/// An escape that is half a character, and stands alone.
struct Half {
    kind: Kind,
    escape: Escape,
    /// Its text begins with it.
    is_first: bool,
    /// Its text ends with it.
    is_last: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    High,
    Low,
}

/// `json` with what `say` puts into the place of each half.
fn mend(json: &[u8], mut say: impl FnMut(Half, &mut Vec<u8>)) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    // How far it is looked through, how far it stands in `out`, and where the last quote was that is none of a text.
    let (mut at, mut copied, mut quote) = (0, 0, None);
    while let Some(byte) = json.get(at) {
        if *byte != b'\\' {
            quote = if *byte == b'"' { Some(at) } else { quote };
            at += 1;
            continue;
        }
        let Some((kind, escape)) = half(json, at) else {
            at += 2;
            continue;
        };
        let behind = at + escape.len();
        if kind == Kind::High && half(json, behind).is_some_and(|(next, _)| next == Kind::Low) {
            at = behind + escape.len();
            continue;
        }
        let is_first = quote.is_some_and(|quote| quote + 1 == at);
        let is_last = json.get(behind) == Some(&b'"');
        out.extend_from_slice(json.get(copied..at).unwrap_or_default());
        say(Half { kind, escape, is_first, is_last }, &mut out);
        (at, copied) = (behind, behind);
    }
    out.extend_from_slice(json.get(copied..).unwrap_or_default());
    (copied > 0).then_some(out)
}

/// The half that stands there as an escape.
fn half(json: &[u8], at: usize) -> Option<(Kind, Escape)> {
    let escape: &Escape = json.get(at..)?.first_chunk()?;
    let digits = std::str::from_utf8(escape.strip_prefix(br"\u")?).ok()?;
    let kind = match u16::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Kind::High,
        0xdc00..=0xdfff => Kind::Low,
        _ => return None,
    };
    Some((kind, *escape))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::tree;

    /// Events that are texts -> what is told of them, joined.
    fn check(events: &[&str], expected: &str) {
        let mut halves = Halves::default();
        let mut told = String::new();
        for event in events {
            let joined = halves.join(event.as_bytes()).unwrap_or_else(|| event.as_bytes().to_vec());
            let root = tree::parse(&joined).expect("JSON");
            let texts = root.members().iter().map(|(_, text)| text).chain([&root]);
            told.extend(texts.filter_map(tree::Node::text));
        }
        assert_eq!(told, expected, "{events:?}");
    }

    #[test]
    fn what_two_events_have_cut_is_one_character() {
        check(&[r#""100 \ud83d""#, r#""\ude00 not 200""#], "100 \u{1f600} not 200");
        check(&[r#""\ud83d""#, r#""""#, "7", r#""\ude00\ud83c""#, r#""\udf89""#], "\u{1f600}\u{1f389}");
        // The text comes once more beside itself.
        check(
            &[r#"{"a":"x\ud83d","b":"\ud83d"}"#, r#"{"a":"\ude00y","b":"\ude00"}"#],
            "x\u{1f600}y\u{1f600}",
        );
    }

    #[test]
    fn a_half_without_its_other_is_no_character() {
        check(&[r#""a\ud83db""#, r#""\ude00""#], "a\u{fffd}b\u{fffd}");
        check(&[r#""a\ud83d""#, r#""b\ude00""#], "ab\u{fffd}");
        check(&[r#""\ud83d""#, r#""\ude00""#, r#""\ude00""#], "\u{1f600}\u{fffd}");
        check(&[r#""\"\ude00\\\ud83d\"""#], "\"\u{fffd}\\\u{fffd}\"");
        let whole = replace(br#"{"a":"Hello \ud83c world","b":["\udf89"]}"#).expect("halves");
        assert_eq!(whole, br#"{"a":"Hello \ufffd world","b":["\ufffd"]}"#);
    }

    #[test]
    fn what_has_no_halves_stays_as_it_is() {
        for sound in [r#"{"a":"\ud83d\ude00\u00e9\\ud83d"}"#, "{", r#""\u12"#, r#""\ud83d\ude0"#, ""] {
            let lone = sound == r#""\ud83d\ude0"#;
            assert_eq!(replace(sound.as_bytes()).is_some(), lone, "{sound}");
        }
    }

    proptest! {
        #[test]
        fn a_text_comes_out_of_its_halves_however_it_is_cut(
            text in "[a\u{1f600}\u{1f389}\\\\\"]{0,12}", cuts in proptest::collection::vec(0_usize..24, 0..4))
        {
            let units: Vec<u16> = text.encode_utf16().collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(units.len())).collect();
            cuts.extend([0, units.len()]);
            cuts.sort_unstable();
            let events: Vec<String> = cuts.windows(2).map(|cut| {
                let escapes = units[cut[0]..cut[1]].iter().map(|unit| format!("\\u{unit:04x}"));
                format!("\"{}\"", escapes.collect::<String>())
            }).collect();
            check(&events.iter().map(String::as_str).collect::<Vec<_>>(), &text);
        }

        #[test]
        fn any_bytes_are_survived(json in "(\"|\\\\|\\\\u|\\\\ud83d|\\\\ude00|d8|x|:){0,20}") {
            Halves::default().join(json.as_bytes());
        }
    }
}
