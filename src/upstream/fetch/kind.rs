//! What was fetched, by what its server says of it and by how it begins.

use http::HeaderValue;

/// Longest media type that is taken over.
const LONGEST: usize = 100;

/// The media type, in small letters and without parameters. `Err` has what the server called it, where that
/// can be shown.
pub(super) fn of(said: Option<&HeaderValue>, bytes: &[u8]) -> Result<String, Option<String>> {
    let looks = looks(bytes);
    let said = said.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let said = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if matches!(said.as_str(), "" | "application/octet-stream" | "binary/octet-stream") {
        return looks.map(str::to_owned).ok_or(None);
    }
    if !is_media(&said) {
        return Err(is_type(&said).then_some(said));
    }
    // Servers go by the file's name, and models refuse a picture of another kind than they were told.
    let same = |looks: &&str| looks.split('/').next() == Some("image") && said.starts_with("image/");
    Ok(looks.filter(same).map_or(said.clone(), str::to_owned))
}

/// May it go to a model?
fn is_media(kind: &str) -> bool {
    let family = kind.split('/').next().unwrap_or_default();
    is_type(kind) && (matches!(family, "image" | "audio" | "video" | "text") || kind == "application/pdf")
}

fn is_type(text: &str) -> bool {
    let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.' | b'_');
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(sound);
    text.len() <= LONGEST
        && text.split_once('/').is_some_and(|(family, kind)| is_word(family) && is_word(kind))
}

/// By the first bytes (WHATWG MIME Sniffing §6 and the formats' own specifications).
fn looks(bytes: &[u8]) -> Option<&'static str> {
    const BEGINNINGS: [(&[u8], &str); 10] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"%PDF-", "application/pdf"),
        (b"ID3", "audio/mpeg"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (b"BM", "image/bmp"),
    ];
    if let Some((_, kind)) = BEGINNINGS.iter().find(|(begin, _)| bytes.starts_with(begin)) {
        return Some(kind);
    }
    match (bytes.get(..4), bytes.get(4..8), bytes.get(8..12)) {
        (Some(b"RIFF"), _, Some(b"WEBP")) => Some("image/webp"),
        (Some(b"RIFF"), _, Some(b"WAVE")) => Some("audio/wav"),
        (_, Some(b"ftyp"), Some(b"avif")) => Some("image/avif"),
        (_, Some(b"ftyp"), Some(b"heic" | b"heix")) => Some("image/heic"),
        (_, Some(b"ftyp"), Some(b"M4A ")) => Some("audio/mp4"),
        (_, Some(b"ftyp"), Some(b"qt  ")) => Some("video/quicktime"),
        (_, Some(b"ftyp"), Some(_)) => Some("video/mp4"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: Option<&str>, bytes: &[u8], expected: Result<&str, Option<&str>>) {
        let value = said.map(|said| HeaderValue::from_str(said).expect("a value"));
        let expected = expected.map(str::to_owned).map_err(|said| said.map(str::to_owned));
        assert_eq!(of(value.as_ref(), bytes), expected, "{said:?}");
    }

    #[test]
    fn the_server_is_believed_unless_it_says_nothing() {
        check(Some("image/png"), b"?", Ok("image/png"));
        check(Some("Text/Plain; charset=utf-8"), b"hi", Ok("text/plain"));
        check(Some("application/pdf"), b"%PDF-1.7", Ok("application/pdf"));
        check(None, b"%PDF-1.7", Ok("application/pdf"));
        check(Some("application/octet-stream"), b"\x89PNG\r\n\x1a\n..", Ok("image/png"));
        check(Some("binary/octet-stream"), b"RIFF\0\0\0\0WAVEfmt ", Ok("audio/wav"));
        check(Some(""), b"\0\0\0\x20ftypisom", Ok("video/mp4"));
        check(None, b"anything", Err(None));
        check(None, b"", Err(None));
    }

    #[test]
    fn a_picture_of_another_kind_than_its_name_is_what_it_looks_like() {
        check(Some("image/jpg"), b"\xff\xd8\xff\xe0", Ok("image/jpeg"));
        check(Some("image/png"), b"RIFF\0\0\0\0WEBPVP8 ", Ok("image/webp"));
        check(Some("text/html"), b"GIF89a", Ok("text/html"));
    }

    #[test]
    fn what_no_model_reads_is_refused() {
        check(Some("application/json"), b"{}", Err(Some("application/json")));
        check(Some("application/x-sh"), b"%PDF-1", Err(Some("application/x-sh")));
        check(Some("image"), b"GIF89a", Err(None));
        check(Some("image/\"x\""), b"GIF89a", Err(None));
    }
}
