//! The parts of a message's content.
//!
//! Beside chat's own there are those of responses (`input_text` …, from Cursor), Mistral's
//! (`document_url`, `thinking`, bare strings) and OpenRouter's `video_url`.

use super::cache_mark;
use crate::dialect::hub::{Content, Extras, Media, Part, Source, Text, Thought};
use crate::dialect::openai::thoughts;
use crate::dialect::tree::{Node, Wrong};

/// A text, or parts. An empty text is none.
pub fn read<'a>(content: &Node<'a>) -> Result<Vec<Part<'a>>, Wrong> {
    if let Some(text) = content.text() {
        return Ok(if text.is_empty() { Vec::new() } else { vec![Part::text(text)] });
    }
    if !content.is_array() {
        return Err(content.expected("a string or an array of parts"));
    }
    content.elements().iter().map(part).collect()
}

fn part<'a>(node: &Node<'a>) -> Result<Part<'a>, Wrong> {
    let kind = node.need("type")?.string()?;
    let (content, member) = match &*kind {
        "text" | "input_text" | "output_text" => (Content::Text(node.need("text")?.string()?), "text"),
        "refusal" => (Content::Refusal(node.need("refusal")?.string()?), "refusal"),
        "image_url" => (Content::Image(image(node.need("image_url")?, None)?), "image_url"),
        "input_image" => (Content::Image(input_image(node)?), "image_url"),
        "input_audio" => (Content::Audio(audio(node.need("input_audio")?)?), "input_audio"),
        "video_url" => (Content::Video(linked(node.need("video_url")?)?), "video_url"),
        "file" => (Content::File(file(node.need("file")?)?), "file"),
        "input_file" => (Content::File(file(node)?), "file_data"),
        "document_url" => (Content::File(document(node)?), "document_url"),
        "thinking" => {
            let text = thoughts::of_part(node);
            (Content::Thought(Thought { text, ..Thought::default() }), "thinking")
        }
        _ => (Content::Vendor { kind: kind.clone(), raw: node.raw() }, ""),
    };
    let mut known = vec!["type", "cache_control", "prompt_cache_breakpoint", member];
    match &*kind {
        "input_image" => known.extend(["detail", "file_id"]),
        "input_file" => known.extend(["filename", "file_id", "file_url"]),
        "document_url" => known.push("document_name"),
        // OpenAI's own answers, as they are sent back.
        "output_text" => known.extend(["annotations", "logprobs"]),
        _ => {}
    }
    let is_vendors = matches!(content, Content::Vendor { .. });
    let extras = if is_vendors { Extras::default() } else { Extras::of(node, &known) };
    let mark = node.at("cache_control").or_else(|| node.at("prompt_cache_breakpoint"));
    Ok(Part { cache: mark.filter(|_| !is_vendors).map(cache_mark), extras, ..Part::new(content) })
}

/// `{"url":…,"detail":…}`, or the URL alone.
fn image<'a>(said: &Node<'a>, detail: Option<Text<'a>>) -> Result<Media<'a>, Wrong> {
    let mut media = linked(said)?;
    media.detail = said.at("detail").map(Node::string).transpose()?.or(detail);
    Ok(media)
}

fn input_image<'a>(node: &Node<'a>) -> Result<Media<'a>, Wrong> {
    let detail = node.at("detail").map(Node::string).transpose()?;
    match node.at("file_id") {
        Some(id) => Ok(Media { detail, ..Media::new(Source::FileId(id.string()?), None) }),
        None => image(node.need("image_url")?, detail),
    }
}

fn linked<'a>(said: &Node<'a>) -> Result<Media<'a>, Wrong> {
    let url = if said.is_string() { said } else { said.need("url")? };
    sound(Media::of_url(url.string()?), url)
}

/// `{"data":…,"format":…}`; Mistral takes the data or a URL alone.
fn audio<'a>(said: &Node<'a>) -> Result<Media<'a>, Wrong> {
    let (node, format) = if said.is_string() {
        (said, None)
    } else {
        (said.need("data")?, Some(said.need("format")?.string()?))
    };
    let data = node.string()?;
    let mut media = if data.starts_with("data:") || data.starts_with("http") {
        Media::of_url(data)
    } else {
        Media::new(Source::Base64(data), None)
    };
    media.mime = media.mime.or_else(|| format.map(mime_of));
    sound(media, node)
}

/// OpenAI's word for a sound's format -> its media type.
fn mime_of(format: Text<'_>) -> Text<'_> {
    match &*format {
        "mp3" => Text::Borrowed("audio/mpeg"),
        "wav" => Text::Borrowed("audio/wav"),
        _ if format.contains('/') => format,
        _ => Text::Owned(format!("audio/{format}")),
    }
}

/// Data, a URL or a file that was left at the vendor.
fn file<'a>(said: &Node<'a>) -> Result<Media<'a>, Wrong> {
    let name = said.at("filename").map(Node::string).transpose()?;
    let media = if let Some(id) = said.at("file_id") {
        Media::new(Source::FileId(id.string()?), None)
    } else if let Some(url) = said.at("file_url") {
        sound(Media::of_url(url.string()?), url)?
    } else {
        let node = said.need("file_data")?;
        let data = node.string()?;
        let media = if data.starts_with("data:") || data.starts_with("http") {
            Media::of_url(data)
        } else {
            // Not as OpenAI wants it, but what it means is clear: a PDF begins like this.
            let mime = data.starts_with("JVBERi").then_some(Text::Borrowed("application/pdf"));
            Media::new(Source::Base64(data), mime)
        };
        sound(media, node)?
    };
    Ok(Media { name, ..media })
}

/// Mistral's document.
fn document<'a>(node: &Node<'a>) -> Result<Media<'a>, Wrong> {
    let name = node.at("document_name").map(Node::string).transpose()?;
    Ok(Media { name, ..linked(node.need("document_url")?)? })
}

/// Refuses what is not base64: no other dialect could say what the caller meant.
fn sound<'a>(media: Media<'a>, node: &Node<'a>) -> Result<Media<'a>, Wrong> {
    match &media.source {
        Source::Base64(data) if !is_base64(data) => {
            Err(node.wrong("not base64; use the standard alphabet, without line breaks"))
        }
        Source::Base64(_) | Source::Url(_) | Source::FileId(_) | Source::Text(_) => Ok(media),
    }
}

fn is_base64(data: &str) -> bool {
    let digits = data.trim_end_matches('=');
    data.len() - digits.len() <= 2
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}
