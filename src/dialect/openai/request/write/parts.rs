//! A message's content.
//!
//! A text alone is written as a text, for some vendors take nothing else from anyone but the user.

use std::borrow::Cow;

use super::{CacheForm, Vendor, Way};
use crate::dialect::Dialect;
use crate::dialect::hub::{CacheMark, Content, Losses, Media, Part, Role, Source, Thought};
use crate::dialect::write::{Array, Object};

/// Writes `content`.
pub fn write(
    way: Way<'_, '_>,
    role: Role,
    parts: &[&Part<'_>],
    losses: &mut Losses,
    object: &mut Object<'_>,
) {
    // Blocks of an answer go on where the last one ended; instructions are paragraphs.
    let between = match role {
        Role::Assistant => Some(""),
        Role::System | Role::Developer => Some("\n\n"),
        Role::User => None,
    };
    write_content(way, Body { parts, between }, losses, object);
}

/// Writes the `content` of a tool's result. `cache` is the mark on the result as a whole.
pub fn write_result(
    way: Way<'_, '_>,
    parts: &[&Part<'_>],
    cache: Option<CacheMark>,
    losses: &mut Losses,
    object: &mut Object<'_>,
) {
    match (cache, way.cache_form()) {
        (Some(mark), Some(CacheForm::Control)) if way.is_own() => {
            write_content(way, Body { parts, between: None }, losses, object);
            CacheForm::Control.write(mark, object);
        }
        (Some(mark), Some(CacheForm::Control)) => {
            object.array("content", |array| {
                for (at, part) in parts.iter().enumerate() {
                    let is_last = at + 1 == parts.len();
                    let cache = part.cache.or(Some(mark).filter(|_| is_last));
                    let marked = Part { cache, ..(*part).clone() };
                    write_part(way, &marked, losses, array);
                }
            });
        }
        (cache, _) => {
            losses.drop_if(cache.as_ref(), "cache_control");
            write_content(way, Body { parts, between: Some("\n") }, losses, object);
        }
    }
}

/// What a `content` is made of.
#[derive(Clone, Copy)]
struct Body<'p, 'a> {
    parts: &'p [&'p Part<'a>],
    /// What goes between several texts when they are written as one.
    between: Option<&'static str>,
}

fn write_content(way: Way<'_, '_>, content: Body<'_, '_>, losses: &mut Losses, object: &mut Object<'_>) {
    match as_one_text(way, content, losses) {
        Some(text) => {
            object.str("content", &text);
        }
        None => {
            object.array("content", |array| {
                for part in content.parts {
                    write_part(way, part, losses, array);
                }
            });
        }
    }
}

/// The texts as one, if that says the same.
fn as_one_text<'p>(way: Way<'_, '_>, content: Body<'p, '_>, losses: &mut Losses) -> Option<Cow<'p, str>> {
    let says_caches = way.cache_form().is_some();
    let is_plain =
        |part: &Part<'_>| (part.cache.is_none() || !says_caches) && (part.extras.is_empty() || !way.is_own());
    let text_of = |part: &&'p Part<'_>| match &part.content {
        Content::Text(text) | Content::Refusal(text) if is_plain(part) => Some(&**text),
        _ => None,
    };
    let texts: Vec<_> = content.parts.iter().map(text_of).collect::<Option<_>>()?;
    let joined = match (texts.as_slice(), content.between) {
        ([], _) => Cow::Borrowed(""),
        ([text], _) => Cow::Borrowed(*text),
        (texts, Some(between)) if !way.is_own() => Cow::Owned(texts.join(between)),
        _ => return None,
    };
    for part in content.parts {
        losses.drop_if(part.cache.as_ref(), "cache_control");
    }
    Some(joined)
}

fn write_part(way: Way<'_, '_>, part: &Part<'_>, losses: &mut Losses, array: &mut Array<'_>) {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => {
            array.object(|object| {
                object.str("type", "text").str("text", text);
                write_rest(way, part, losses, object);
            });
        }
        Content::Image(media) => write_linked(way, "image_url", part, media, losses, array),
        Content::Video(_) if way.vendor == Vendor::OpenAi && !way.is_own() => {
            losses.refuse("video", "this model takes no videos; send single images of it");
        }
        Content::Video(media) => write_linked(way, "video_url", part, media, losses, array),
        Content::Audio(media) => write_audio(way, part, media, losses, array),
        Content::File(media) => write_file(way, part, media, losses, array),
        Content::Vendor { raw, .. } if way.is_own() => {
            array.raw(raw);
        }
        Content::Vendor { kind, .. } => losses.drop(kind.to_string()),
        Content::Thought(thought) => write_thought(way, part, thought, losses, array),
        // Messages and members of their own.
        Content::Call(_) | Content::Outcome(_) => {}
    }
}

pub fn media_name(content: &Content<'_>) -> Option<&'static str> {
    match content {
        Content::Image(_) => Some("image"),
        Content::Audio(_) => Some("audio"),
        Content::Video(_) => Some("video"),
        Content::File(_) => Some("file"),
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Thought(_)
        | Content::Call(_)
        | Content::Outcome(_)
        | Content::Vendor { .. } => None,
    }
}

fn write_rest(way: Way<'_, '_>, part: &Part<'_>, losses: &mut Losses, object: &mut Object<'_>) {
    // OpenAI takes breakpoints on texts and files, not on images (WIRE §3.1).
    let is_image = matches!(part.content, Content::Image(_) | Content::Video(_));
    match (part.cache, way.cache_form()) {
        (Some(mark), Some(form)) if form == CacheForm::Control || !is_image => form.write(mark, object),
        (Some(_), _) => losses.drop("cache_control"),
        (None, _) => {}
    }
    if way.is_own() {
        part.extras.write(object);
    }
}

fn write_linked(
    way: Way<'_, '_>,
    key: &str,
    part: &Part<'_>,
    media: &Media<'_>,
    losses: &mut Losses,
    array: &mut Array<'_>,
) {
    let Some(url) = media.as_url() else {
        return losses.refuse(
            key.to_owned(),
            "a file that was left at a vendor cannot be shown here; send its URL or its data",
        );
    };
    array.object(|object| {
        object.str("type", key).object(key, |object| {
            object.str("url", &url).str_if("detail", media.detail.as_deref());
        });
        write_rest(way, part, losses, object);
    });
}

fn write_audio(
    way: Way<'_, '_>,
    part: &Part<'_>,
    media: &Media<'_>,
    losses: &mut Losses,
    array: &mut Array<'_>,
) {
    let (data, is_url) = match &media.source {
        Source::Base64(data) => (data, false),
        Source::Url(url) => (url, true),
        Source::FileId(_) | Source::Text(_) => {
            return losses.refuse("input_audio", "audio has to come as base64 data");
        }
    };
    let takes_bare = way.vendor == Vendor::Mistral || way.is_own();
    if is_url && !takes_bare {
        return losses.refuse("input_audio", "audio has to come as base64 data, not as a URL");
    }
    array.object(|object| {
        object.str("type", "input_audio");
        if takes_bare && (is_url || media.mime.is_none()) {
            object.str("input_audio", data);
        } else {
            object.object("input_audio", |object| {
                object.str("data", data).str("format", format_of(media.mime.as_deref()));
            });
        }
        write_rest(way, part, losses, object);
    });
}

/// A media type -> OpenAI's word for it.
fn format_of(mime: Option<&str>) -> &str {
    match mime {
        None | Some("audio/mpeg" | "audio/mp3") => "mp3",
        Some("audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave") => "wav",
        Some(other) => {
            let name = other.strip_prefix("audio/").unwrap_or(other);
            name.strip_prefix("x-").unwrap_or(name)
        }
    }
}

fn write_file(
    way: Way<'_, '_>,
    part: &Part<'_>,
    media: &Media<'_>,
    losses: &mut Losses,
    array: &mut Array<'_>,
) {
    let is_openais = matches!(way.ask.dialect, Dialect::OpenAi | Dialect::Responses);
    match &media.source {
        Source::Text(text) => {
            losses.drop_if(media.name.as_ref(), "filename");
            array.object(|object| {
                object.str("type", "text").str("text", text);
                write_rest(way, part, losses, object);
            });
        }
        Source::FileId(_) if !is_openais => {
            losses.refuse("file_id", "a file that was left at another vendor is not there; send its data");
        }
        Source::Url(_) if way.vendor == Vendor::OpenAi && !way.is_own() => {
            losses.refuse("file_url", "files have to come as data, not as a URL");
        }
        Source::FileId(id) => array_file(way, part, losses, array, |file| {
            file.str("file_id", id);
        }),
        Source::Url(_) | Source::Base64(_) if way.vendor == Vendor::Mistral => {
            array.object(|object| {
                object.str("type", "document_url");
                object.str_if("document_url", media.as_url().as_deref());
                object.str_if("document_name", media.name.as_deref());
                write_rest(way, part, losses, object);
            });
        }
        Source::Url(_) | Source::Base64(_) => array_file(way, part, losses, array, |file| {
            // OpenAI refuses data without a name.
            let name = media.name.as_deref().or((!way.is_own()).then(|| default_name(media)));
            file.str_if("filename", name).str_if("file_data", media.as_url().as_deref());
        }),
    }
}

fn array_file(
    way: Way<'_, '_>,
    part: &Part<'_>,
    losses: &mut Losses,
    array: &mut Array<'_>,
    members: impl FnOnce(&mut Object<'_>),
) {
    array.object(|object| {
        object.str("type", "file").object("file", members);
        write_rest(way, part, losses, object);
    });
}

fn default_name(media: &Media<'_>) -> &'static str {
    match media.mime.as_deref() {
        Some("application/pdf") | None => "document.pdf",
        Some(_) => "document",
    }
}

/// Mistral's: nobody else has a part for it.
fn write_thought(
    way: Way<'_, '_>,
    part: &Part<'_>,
    thought: &Thought<'_>,
    losses: &mut Losses,
    array: &mut Array<'_>,
) {
    if thought.text.is_empty() {
        return;
    }
    array.object(|object| {
        object.str("type", "thinking").array("thinking", |array| {
            array.object(|text| {
                text.str("type", "text").str("text", &thought.text);
            });
        });
        write_rest(way, part, losses, object);
    });
}
