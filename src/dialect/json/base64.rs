//! Tells a picture, a sound or a file that stands in a JSON string from a text, by a look at three places of it.
//!
//! For estimates only: what a medium costs has nothing to do with how many bytes it has. Nothing is decoded, and
//! which medium it is stays unknown. A text that is all base64 is taken for a medium.

use crate::dialect::tokens;

/// Shorter strings cost no more as texts than as media, so nobody has to know.
pub(in crate::dialect) const LONG: usize = 4 * tokens::PER_MEDIUM as usize;

/// Bytes that are looked at in each place. No prose and no program goes on for so long without a blank or a sign.
const LOOK: usize = 128;

/// Where the data of a URL (RFC 2397) begins at the latest: types and their parameters are short.
const LATEST_DATA: usize = 256;

/// Strings that look like media, and how long they are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::dialect) struct Media {
    pub count: u64,
    pub bytes: usize,
}

impl Media {
    /// Takes in a string as it stands between its quotes.
    #[inline]
    pub fn see(&mut self, raw: &[u8]) {
        if raw.len() > LONG && is_base64(raw) {
            self.count += 1;
            self.bytes += raw.len();
        }
    }
}

fn is_base64(raw: &[u8]) -> bool {
    let data = if raw.starts_with(b"data:") {
        let begin = raw.get(..LATEST_DATA).unwrap_or(raw);
        let Some(comma) = memchr::memchr(b',', begin) else { return false };
        raw.get(comma + 1..).unwrap_or_default()
    } else {
        raw
    };
    let middle = data.len() / 2;
    let end = data.len().saturating_sub(LOOK);
    let places = [0, middle, end].map(|at| data.get(at..).unwrap_or_default());
    places.iter().all(|place| place.iter().copied().take(LOOK).all(is_digit))
}

/// Of either alphabet (RFC 4648), of its padding, or of the escaped line breaks of MIME.
const fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(text: &str) -> u64 {
        let mut media = Media::default();
        media.see(text.as_bytes());
        media.count
    }

    #[test]
    fn media_are_told_from_texts() {
        let picture = "iVBORw0KGgo+/9=".repeat(2_000);
        assert_eq!(media(&picture), 1);
        assert_eq!(media(&format!("data:image/png;base64,{picture}")), 1);
        assert_eq!(media(&format!("data:image\\/png;name=a b;base64,{picture}")), 1);
        assert_eq!(media(&picture.replace("=iV", "=\\r\\niV")), 1);
        for text in
            ["Well said, and twice. ", "function(){return a[0].b}", "{\\\"a\\\":1},", "語", "data:,no media"]
        {
            assert_eq!(media(&text.repeat(5_000)), 0, "{text}");
        }
        assert_eq!(media(&format!("What is this? {picture}")), 0, "a text that quotes one is read as a text");
        assert_eq!(media(&"A".repeat(LONG)), 0, "short");
    }
}
