//! The parts of a message and of a tool's output, read and written.

use super::write::Origin;
use crate::dialect::hub::{CacheMark, Content, Losses, Media, Part, Role, Source, Terms, Text};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::{Array, Object};
use crate::vocab::Ability;

/// What a part means. Of an unknown type it stays as it is.
pub fn read<'a>(part: &Node<'a>) -> Result<Part<'a>, Wrong> {
    let kind = part.need("type")?.string()?;
    let (content, known): (_, &[&str]) = match &*kind {
        "input_text" | "output_text" | "text" => (Content::Text(part.need("text")?.string()?), &["text"]),
        "refusal" => (Content::Refusal(part.need("refusal")?.string()?), &["refusal"]),
        "input_image" => (image(part)?, &["image_url", "file_id", "detail"]),
        "input_file" => (file(part)?, &["file_data", "file_url", "file_id", "filename"]),
        "input_audio" => (audio(part)?, &["input_audio"]),
        _ => return Ok(Part::new(Content::Vendor { kind, raw: part.raw() })),
    };
    let mut read = Part::new(content);
    for (key, value) in part.members().iter().filter(|(_, value)| !value.is_null()) {
        match &**key {
            "type" => {}
            "prompt_cache_breakpoint" => read.cache = Some(cache_mark(value)),
            "annotations" | "logprobs" if value.elements().is_empty() => {
                read.extras.keep_aside(key.clone(), value.raw());
            }
            key if known.contains(&key) => {}
            _ => read.extras.keep(key.clone(), value.raw()),
        }
    }
    Ok(read)
}

/// Half an hour is what it is when nothing is said.
fn cache_mark(mark: &Node<'_>) -> CacheMark {
    if mark.at("ttl").and_then(Node::as_str) == Some("12h") { CacheMark::Hour } else { CacheMark::Short }
}

fn image<'a>(part: &Node<'a>) -> Result<Content<'a>, Wrong> {
    let mut media = match (part.at("image_url"), part.at("file_id")) {
        (Some(url), _) => {
            let media = Media::of_url(url.string()?);
            sound(&media, url)?;
            media
        }
        (None, Some(id)) => Media::new(Source::FileId(id.string()?), None),
        (None, None) => return Err(part.wrong("an image needs an image_url or a file_id")),
    };
    media.detail = part.at("detail").map(Node::string).transpose()?;
    Ok(Content::Image(media))
}

fn file<'a>(part: &Node<'a>) -> Result<Content<'a>, Wrong> {
    let mut media = match (part.at("file_data"), part.at("file_url"), part.at("file_id")) {
        (Some(data), ..) => {
            let mut media = Media::of_url(data.string()?);
            // Without `data:` it is the data itself.
            if let Source::Url(text) = media.source {
                media.source = Source::Base64(text);
            }
            sound(&media, data)?;
            media
        }
        (None, Some(url), _) => {
            let media = Media::of_url(url.string()?);
            sound(&media, url)?;
            media
        }
        (None, None, Some(id)) => Media::new(Source::FileId(id.string()?), None),
        (None, None, None) => return Err(part.wrong("a file needs a file_data, a file_url or a file_id")),
    };
    media.name = part.at("filename").map(Node::string).transpose()?;
    Ok(Content::File(media))
}

fn audio<'a>(part: &Node<'a>) -> Result<Content<'a>, Wrong> {
    let audio = part.need("input_audio")?;
    let data = audio.need("data")?;
    let mime = match &*audio.need("format")?.string()? {
        "mp3" => Text::Borrowed("audio/mpeg"),
        format => Text::Owned(format!("audio/{format}")),
    };
    let media = Media::new(Source::Base64(data.string()?), Some(mime));
    sound(&media, data)?;
    Ok(Content::Audio(media))
}

/// Data has to be base64: other dialects pass it on as that, and name no place if it is not.
fn sound(media: &Media<'_>, place: &Node<'_>) -> Result<(), Wrong> {
    let Source::Base64(data) = &media.source else { return Ok(()) };
    let digits = data.trim_end_matches('=');
    let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    if plain && digits.len() % 4 != 1 && data.len() - digits.len() <= 2 {
        Ok(())
    } else {
        Err(place.wrong("not base64; send standard base64, after `data:<type>;base64,`"))
    }
}

/// Writes parts for one role.
pub struct Parts<'w> {
    pub role: Role,
    pub origin: Origin,
    pub terms: &'w Terms<'w>,
}

impl Parts<'_> {
    /// The text, if these parts are no more than one plain text: it needs no array.
    pub fn as_text<'p>(&self, parts: &[&'p Part<'_>], losses: &mut Losses) -> Option<&'p str> {
        let [part] = parts else { return None };
        let marked = part.cache.is_some() && self.marks_caches();
        let bare = !marked && (self.origin != Origin::Here || part.extras.is_empty());
        let text = part.as_text().filter(|_| bare)?;
        losses.drop_if(part.cache.as_ref(), "cache_control");
        Some(text)
    }

    pub fn write(&self, part: &Part<'_>, array: &mut Array<'_>, losses: &mut Losses) {
        match &part.content {
            Content::Text(text) => {
                let kind = if self.role == Role::Assistant { "output_text" } else { "input_text" };
                array.object(|o| {
                    o.str("type", kind).str("text", text);
                    self.rest(part, o, losses);
                });
            }
            Content::Refusal(text) if self.role == Role::Assistant => {
                array.object(|o| {
                    o.str("type", "refusal").str("refusal", text);
                    self.rest(part, o, losses);
                });
            }
            Content::Refusal(text) => {
                array.object(|o| {
                    o.str("type", "input_text").str("text", text);
                });
            }
            Content::Image(media) if self.role != Role::Assistant => self.image(part, media, array, losses),
            Content::File(media) if self.role != Role::Assistant => self.file(part, media, array, losses),
            Content::Audio(media) if self.role != Role::Assistant => self.audio(part, media, array, losses),
            Content::Image(_) => losses.drop("image"),
            Content::File(_) => losses.drop("file"),
            Content::Audio(_) => losses.drop("audio"),
            Content::Video(_) => losses.refuse("video", "this model's API takes no video; send images of it"),
            Content::Vendor { raw, .. } if self.origin == Origin::Here => {
                array.raw(raw);
            }
            Content::Vendor { kind, .. } => losses.drop(kind.clone().into_owned()),
            // Items of their own: whoever writes turns has seen to them.
            Content::Thought(_) | Content::Call(_) | Content::Outcome(_) => {}
        }
    }

    fn image(&self, part: &Part<'_>, media: &Media<'_>, array: &mut Array<'_>, losses: &mut Losses) {
        let url = media.as_url();
        let id = self.file_id(media);
        if url.is_none() && id.is_none() {
            return losses.refuse("image", "the image lies at another vendor; send its data or a URL");
        }
        array.object(|o| {
            o.str("type", "input_image").str_if("image_url", url.as_deref()).str_if("file_id", id);
            match &media.detail {
                Some(detail) => {
                    o.str("detail", detail);
                }
                // The SDK's types require it; to leave it out means the same.
                None if self.origin != Origin::Here => {
                    o.str("detail", "auto");
                }
                None => {}
            }
            self.rest(part, o, losses);
        });
    }

    fn file(&self, part: &Part<'_>, media: &Media<'_>, array: &mut Array<'_>, losses: &mut Losses) {
        let named = media.name.as_deref();
        let data = match &media.source {
            Source::Base64(data) if self.origin == Origin::Here && media.mime.is_none() => {
                Some(Text::Borrowed(&**data))
            }
            Source::Base64(_) => media.as_url(),
            // Plain text needs no file: it is said in so many words.
            Source::Text(text) => {
                array.object(|o| {
                    o.str("type", "input_text").str("text", text);
                    self.rest(part, o, losses);
                });
                return;
            }
            Source::Url(_) | Source::FileId(_) => None,
        };
        let url = if let Source::Url(url) = &media.source { Some(&**url) } else { None };
        let id = self.file_id(media);
        if data.is_none() && url.is_none() && id.is_none() {
            return losses.refuse("file", "the file lies at another vendor; send its data or a URL");
        }
        // Data without a name is refused.
        let made_up = (self.origin != Origin::Here && data.is_some()).then(|| file_name(media));
        array.object(|o| {
            o.str("type", "input_file").str_if("filename", named.or(made_up));
            o.str_if("file_data", data.as_deref()).str_if("file_url", url).str_if("file_id", id);
            self.rest(part, o, losses);
        });
    }

    fn audio(&self, part: &Part<'_>, media: &Media<'_>, array: &mut Array<'_>, losses: &mut Losses) {
        let Source::Base64(data) = &media.source else {
            return losses.refuse("audio", "this model's API takes audio as data only; send it as base64");
        };
        let format = match media.mime.as_deref().and_then(|mime| mime.strip_prefix("audio/")).unwrap_or("wav")
        {
            "mpeg" | "mp3" => "mp3",
            "wav" | "x-wav" | "wave" | "vnd.wave" => "wav",
            other => other,
        };
        array.object(|o| {
            o.str("type", "input_audio").object("input_audio", |o| {
                o.str("data", data).str("format", format);
            });
            self.rest(part, o, losses);
        });
    }

    /// A file's id means something only at the vendor that gave it: it is kept where the caller already
    /// spoke one of OpenAI's dialects.
    fn file_id<'m>(&self, media: &'m Media<'_>) -> Option<&'m str> {
        match &media.source {
            Source::FileId(id) if self.origin != Origin::Elsewhere => Some(id),
            Source::FileId(_) | Source::Base64(_) | Source::Url(_) | Source::Text(_) => None,
        }
    }

    /// A part's cache mark and extras.
    fn rest(&self, part: &Part<'_>, o: &mut Object<'_>, losses: &mut Losses) {
        match part.cache {
            Some(mark) if self.marks_caches() => {
                o.object("prompt_cache_breakpoint", |o| {
                    o.str("mode", "explicit");
                    if mark == CacheMark::Hour {
                        o.str("ttl", "12h");
                    }
                });
            }
            Some(_) => losses.drop("cache_control"),
            None => {}
        }
        if self.origin == Origin::Here {
            part.extras.write(o);
        }
    }

    /// GPT-5.6 and later know cache marks, and whoever does not refuses them.
    fn marks_caches(&self) -> bool {
        self.terms.facts.has(Ability::CacheBreakpoint) || self.origin == Origin::Here
    }
}

fn file_name(media: &Media<'_>) -> &'static str {
    match media.mime.as_deref() {
        Some("application/pdf") | None => "document.pdf",
        Some("text/plain") => "document.txt",
        Some("text/csv") => "document.csv",
        Some("text/markdown") => "document.md",
        Some(_) => "document",
    }
}
