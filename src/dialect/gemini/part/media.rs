//! Images, sounds, videos and documents: `inlineData` and `fileData`.
//!
//! A file's name has no place on Google's public wire (`displayName` is Vertex's alone), so it stays
//! here unless the request is Google's own; it only labels what is there in full.

use crate::dialect::hub::{Content, Media, Part, Source};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::Object;

use super::Reading;
use crate::dialect::gemini::names::{self, is_base64, member, standard};

pub fn read_inline<'a>(node: &Node<'a>, reading: Reading) -> Result<Part<'a>, Wrong> {
    let data = match member(node, "data") {
        Some(data) => data,
        None => node.need("data")?,
    };
    let text = standard(data.string()?);
    if reading == Reading::Strict && !is_base64(&text) {
        return Err(data.wrong("not base64; encode the file's bytes without a data: prefix"));
    }
    named(node, "inlineData.", Source::Base64(text), &["data", "mimeType", "displayName"])
}

pub fn read_file<'a>(node: &Node<'a>) -> Result<Part<'a>, Wrong> {
    let uri = match member(node, "fileUri") {
        Some(uri) => uri.string()?,
        None => node.need("fileUri")?.string()?,
    };
    let source = if is_googles(&uri) { Source::FileId(uri) } else { Source::Url(uri) };
    named(node, "fileData.", source, &["fileUri", "mimeType", "displayName"])
}

fn named<'a>(node: &Node<'a>, prefix: &str, source: Source<'a>, known: &[&str]) -> Result<Part<'a>, Wrong> {
    let mut media = Media::new(source, member(node, "mimeType").map(Node::string).transpose()?);
    media.name = member(node, "displayName").map(Node::string).transpose()?;
    let mut part = Part::new(sort(media));
    names::keep(&mut part.extras, prefix, node, known);
    Ok(part)
}

/// What kind of media it is, by its type.
fn sort(media: Media<'_>) -> Content<'_> {
    let mime = media.mime.as_deref().or_else(|| match &media.source {
        Source::Url(url) if is_video_page(url) => Some("video/*"),
        Source::Url(url) | Source::FileId(url) => guess(url),
        Source::Base64(_) | Source::Text(_) => None,
    });
    match mime.and_then(|mime| mime.split('/').next()) {
        Some("image") => Content::Image(media),
        Some("audio") => Content::Audio(media),
        Some("video") => Content::Video(media),
        _ => Content::File(media),
    }
}

/// Can Google open it? Not when it lies at another vendor.
pub fn reaches(media: &Media<'_>) -> bool {
    match &media.source {
        Source::FileId(uri) => is_googles(uri),
        Source::Base64(_) | Source::Url(_) | Source::Text(_) => true,
    }
}

/// Does Google open this address where it lies? What it cannot be relied upon to fetch is better sent.
pub fn opens(uri: &str) -> bool {
    is_googles(uri) || is_video_page(uri)
}

/// Says media and the `rest` of their object. `otherwise` is the type of data when nothing tells it.
pub fn write_media(
    o: &mut Object<'_>,
    media: &Media<'_>,
    otherwise: &str,
    rest: impl FnOnce(&mut Object<'_>),
) {
    match &media.source {
        Source::Base64(data) => {
            o.object("inlineData", |o| {
                o.str("mimeType", known(media.mime.as_deref().unwrap_or(otherwise))).str("data", data);
                rest(o);
            });
        }
        Source::Url(uri) | Source::FileId(uri) => {
            let guessed = (!is_video_page(uri)).then(|| guess(uri)).flatten();
            o.object("fileData", |o| {
                o.str_if("mimeType", media.mime.as_deref().map(known).or(guessed)).str("fileUri", uri);
                rest(o);
            });
        }
        Source::Text(text) => {
            o.str("text", text);
        }
    }
}

/// Google refuses the wrong name that many have for it.
fn known(mime: &str) -> &str {
    if mime == "image/jpg" { "image/jpeg" } else { mime }
}

/// Something that only Google can open.
fn is_googles(uri: &str) -> bool {
    uri.starts_with("gs://")
        || uri.starts_with("files/")
        || (uri.starts_with("https://generativelanguage.googleapis.com/") && uri.contains("/files/"))
}

/// Google takes the pages of videos, without a type.
fn is_video_page(uri: &str) -> bool {
    ["https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/"]
        .iter()
        .any(|page| uri.starts_with(page))
}

/// The type that a file's name tells.
pub fn guess(uri: &str) -> Option<&'static str> {
    let path = uri.split(['?', '#']).next()?;
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" | "md" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "wav" => "audio/wav",
        "mp3" => "audio/mp3",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "aac" => "audio/aac",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "mpeg" | "mpg" => "video/mpeg",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::hub::Text;

    #[test]
    fn a_name_tells_the_type() {
        for (uri, mime) in [
            ("https://example.com/a/cat.PNG?x=1.pdf", Some("image/png")),
            ("https://example.com/paper.pdf#p2", Some("application/pdf")),
            ("https://example.com/", None),
            ("https://example.com/cat", None),
            ("", None),
        ] {
            assert_eq!(guess(uri), mime, "{uri}");
        }
    }

    #[test]
    fn the_type_or_else_the_name_sorts_media() {
        let kind = |uri: &'static str, mime: Option<&'static str>| match sort(Media::new(
            Source::Url(uri.into()),
            mime.map(Text::Borrowed),
        )) {
            Content::Image(_) => "image",
            Content::Audio(_) => "audio",
            Content::Video(_) => "video",
            _ => "file",
        };
        assert_eq!(kind("https://a/b", Some("image/png")), "image");
        assert_eq!(kind("https://a/b.mp3", None), "audio");
        assert_eq!(kind("https://youtu.be/x", None), "video");
        assert_eq!(kind("https://a/b.pdf", None), "file");
    }
}
