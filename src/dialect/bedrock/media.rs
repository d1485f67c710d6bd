//! What Amazon calls the formats of images, documents, sounds and films, and what others call them.

use crate::dialect::hub::Text;

/// The block that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    Image,
    Document,
    Audio,
    Video,
}

type Format = (&'static str, &'static str);

/// Of several types with one format, and several formats of one type, the first counts.
const IMAGES: &[Format] =
    &[("png", "image/png"), ("jpeg", "image/jpeg"), ("gif", "image/gif"), ("webp", "image/webp")];

const DOCUMENTS: &[Format] = &[
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
];

const SOUNDS: &[Format] = &[
    ("wav", "audio/wav"),
    ("mp3", "audio/mpeg"),
    ("opus", "audio/opus"),
    ("aac", "audio/aac"),
    ("flac", "audio/flac"),
    ("ogg", "audio/ogg"),
    ("m4a", "audio/x-m4a"),
    ("mp4", "audio/mp4"),
    ("mka", "audio/x-matroska"),
    ("webm", "audio/webm"),
    ("pcm", "audio/pcm"),
    ("wav", "audio/x-wav"),
    ("mp3", "audio/mp3"),
    ("m4a", "audio/m4a"),
    ("x-aac", "audio/x-aac"),
    ("mkv", "audio/mkv"),
    ("mpga", "audio/mpga"),
    ("mpeg", "audio/x-mpeg"),
];

const FILMS: &[Format] = &[
    ("mp4", "video/mp4"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
    ("flv", "video/x-flv"),
    ("mpeg", "video/mpeg"),
    ("wmv", "video/x-ms-wmv"),
    ("three_gp", "video/3gpp"),
    ("mpg", "video/mpg"),
];

impl Medium {
    /// The name of its block.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Document => "document",
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }

    const fn formats(self) -> &'static [Format] {
        match self {
            Self::Image => IMAGES,
            Self::Document => DOCUMENTS,
            Self::Audio => SOUNDS,
            Self::Video => FILMS,
        }
    }

    /// `image/png` for `png`. A format that is not in the table is kept as a type of its own, so that
    /// it is the same again for Amazon.
    pub fn mime(self, format: &str) -> Text<'static> {
        let known = self.formats().iter().find(|(name, _)| *name == format);
        known.map_or_else(|| Text::Owned([self.family(), format].concat()), |(_, mime)| Text::Borrowed(mime))
    }

    /// `png` for `image/png`.
    pub fn format(self, mime: &str) -> Option<&'static str> {
        let essence = mime.split(';').next().unwrap_or_default().trim();
        let known = self.formats().iter().find(|(_, name)| name.eq_ignore_ascii_case(essence));
        known.map(|(format, _)| *format)
    }

    /// The same for a type that [`Medium::mime`] has made, of whatever format.
    pub fn own_format(self, mime: &str) -> Option<&str> {
        self.format(mime).or_else(|| mime.strip_prefix(self.family()))
    }

    /// The format by the end of a file's name.
    pub fn format_of_name(self, name: &str) -> Option<&'static str> {
        let (_, end) = name.rsplit_once('.')?;
        self.formats().iter().map(|(format, _)| *format).find(|format| format.eq_ignore_ascii_case(end))
    }

    const fn family(self) -> &'static str {
        match self {
            Self::Image => "image/",
            Self::Document => "application/",
            Self::Audio => "audio/",
            Self::Video => "video/",
        }
    }
}

/// The format of an image whose type nobody has told, by how its base64 begins.
pub fn image_by_looks(base64: &str) -> Option<&'static str> {
    const LOOKS: &[(&str, &str)] =
        &[("iVBORw", "png"), ("/9j/", "jpeg"), ("R0lGOD", "gif"), ("UklGR", "webp")];
    LOOKS.iter().find(|(begin, _)| base64.starts_with(begin)).map(|(_, format)| *format)
}

/// The format of a sound whose type nobody has told. What has no header is bare samples.
pub fn sound_by_looks(base64: &str) -> &'static str {
    const LOOKS: &[(&str, &str)] =
        &[("UklGR", "wav"), ("SUQz", "mp3"), ("//", "mp3"), ("T2dnU", "ogg"), ("ZkxhQ", "flac")];
    LOOKS.iter().find(|(begin, _)| base64.starts_with(begin)).map_or("pcm", |(_, format)| *format)
}

/// Standard base64 with its padding, as Amazon takes it.
pub fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.len().is_multiple_of(4) && padding <= 2 && digits.bytes().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_types_and_back() {
        for medium in [Medium::Image, Medium::Document, Medium::Audio, Medium::Video] {
            for (format, _) in medium.formats() {
                assert_eq!(medium.format(&medium.mime(format)), Some(*format), "{medium:?}");
            }
        }
        assert_eq!(Medium::Image.format("image/JPEG; q=1"), Some("jpeg"));
        assert_eq!(Medium::Image.format("image/svg+xml"), None);
        assert_eq!(Medium::Document.own_format(&Medium::Document.mime("epub")), Some("epub"));
        assert_eq!(Medium::Audio.format("audio/x-wav"), Some("wav"));
        assert_eq!(Medium::Document.format_of_name("a.b.PDF"), Some("pdf"));
    }

    #[test]
    fn base64_is_told_from_what_is_none() {
        for (text, expected) in
            [("", true), ("AAAA", true), ("AA==", true), ("A===", false), ("AAA", false), ("A-_A", false)]
        {
            assert_eq!(is_base64(text), expected, "{text}");
        }
    }
}
