//! By its first bytes, what a stream is whose content type does not say it: servers that send sound events as
//! `text/plain`, as JSON or as nothing at all, since no SDK looks at that.

/// Fields of an event, and a comment.
const LINES: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];
const BOM: &[u8] = b"\xef\xbb\xbf";
/// Whoever begins with more blanks than this is not understood.
const MOST_BLANKS: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Server-sent events.
    Events,
    Other,
}

/// What begins with these bytes; `None` while they do not tell.
pub fn begin(said: &[u8]) -> Option<Begin> {
    let text = said.strip_prefix(BOM).unwrap_or(said).trim_ascii_start();
    if LINES.iter().any(|line| text.starts_with(line)) {
        return Some(Begin::Events);
    }
    let is_cut = LINES.iter().any(|line| line.starts_with(text)) || BOM.starts_with(said);
    (!is_cut || said.len() > MOST_BLANKS).then_some(Begin::Other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn events_begin_with_a_field_or_a_comment() {
        for (said, is) in [
            ("data: {}\n\n", Some(Begin::Events)),
            ("\u{feff}\r\n event: x", Some(Begin::Events)),
            (": OPENROUTER PROCESSING", Some(Begin::Events)),
            ("id:1", Some(Begin::Events)),
            ("retry: 3", Some(Begin::Events)),
            ("{\"error\":{}}", Some(Begin::Other)),
            ("[{", Some(Begin::Other)),
            ("\u{feff}{", Some(Begin::Other)),
            ("<html>", Some(Begin::Other)),
            ("database", Some(Begin::Other)),
            ("data", None),
            ("\n", None),
            ("", None),
        ] {
            assert_eq!(begin(said.as_bytes()), is, "{said:?}");
        }
        assert_eq!(begin(&[b' '; MOST_BLANKS]), None);
        assert_eq!(begin(&[b' '; MOST_BLANKS + 1]), Some(Begin::Other));
    }

    proptest! {
        /// More bytes never change what is known.
        #[test]
        fn it_is_known_for_good(parts in proptest::collection::vec(
            prop_oneof![Just("data"), Just(":"), Just("\u{feff}"), Just("\n"), Just("event"), Just("{"), Just("i"), Just("d")], 0..6))
        {
            let said = parts.concat().into_bytes();
            let known: Vec<_> = (0..=said.len()).map(|end| begin(&said[..end])).collect();
            for pair in known.windows(2) {
                prop_assert!(pair[0].is_none() || pair[0] == pair[1], "{:?}", known);
            }
        }
    }
}
