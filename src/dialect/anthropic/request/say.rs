//! Parts -> content blocks.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::arrange::Item;
use super::marks::Marks;
use super::tools;
use crate::dialect::Dialect;
use crate::dialect::anthropic::{block, stand_in};
use crate::dialect::hub::{
    CacheMark, Call, CallKind, Content, Extras, Losses, Media, Outcome, Part, Source, Terms, Thought,
};
use crate::dialect::write::{Array, Object};

const PDF: &str = "application/pdf";

/// What saying a part takes.
pub struct Voice<'v> {
    pub from: Dialect,
    pub terms: &'v Terms<'v>,
    pub marks: &'v mut Marks,
    pub losses: &'v mut Losses,
}

impl Voice<'_> {
    fn is_own(&self) -> bool {
        self.from == Dialect::Anthropic
    }

    pub fn item(&mut self, item: &Item<'_, '_>, blocks: &mut Array<'_>) {
        match item {
            Item::Text(text, cache) => {
                blocks.object(|block| {
                    block.str("type", "text").str("text", text);
                    mark(self.marks.next(*cache), None, block);
                });
            }
            Item::Part(part, id) => self.part(part, id, blocks),
        }
    }

    fn part(&mut self, part: &Part<'_>, id: &str, blocks: &mut Array<'_>) {
        if let Some(whole) = part.extras.find(block::WHOLE).filter(|_| self.is_own()) {
            blocks.raw(whole);
            return;
        }
        match &part.content {
            Content::Text(text) | Content::Refusal(text) => self.block(part, blocks, |_, block| {
                block.str("type", "text").str("text", text);
            }),
            Content::Image(media) | Content::File(media) => self.media(part, media, blocks),
            Content::Thought(thought) => self.thought(part, thought, blocks),
            Content::Call(call) => self.block(part, blocks, |_, block| write_call(call, id, block)),
            Content::Outcome(outcome) => {
                self.block(part, blocks, |voice, block| {
                    voice.outcome(outcome, id, block);
                });
            }
            Content::Vendor { raw, .. } if self.is_own() => {
                blocks.raw(raw);
            }
            Content::Vendor { kind, .. } => self.losses.drop(kind.to_string()),
            Content::Audio(_) => self.refuse("audio"),
            Content::Video(_) => self.refuse("video"),
        }
    }

    /// A block with the mark and the extras of its part.
    fn block(
        &mut self,
        part: &Part<'_>,
        blocks: &mut Array<'_>,
        members: impl FnOnce(&mut Self, &mut Object<'_>),
    ) {
        blocks.object(|block| {
            members(self, block);
            mark(self.marks.next(part.cache), self.is_own().then_some(&part.extras), block);
            if self.is_own() {
                extras(&part.extras, block);
            }
        });
    }

    fn refuse(&mut self, what: &'static str) {
        let message = format!("{what} cannot be sent to an Anthropic model; send text, an image or a PDF");
        self.losses.refuse("messages", message);
    }

    fn thought(&mut self, part: &Part<'_>, thought: &Thought<'_>, blocks: &mut Array<'_>) {
        // One without any is here only where it is wanted back as it was.
        let signature = match &thought.signature {
            Some(signature) => signature.for_family(self.terms.family),
            None => self.is_own().then_some(""),
        };
        let Some(signature) = signature else { return };
        self.block(part, blocks, |_, block| {
            if thought.is_redacted {
                block.str("type", "redacted_thinking").str("data", signature);
            } else {
                block.str("type", "thinking").str("thinking", &thought.text).str("signature", signature);
            }
        });
    }

    fn outcome(&mut self, outcome: &Outcome<'_>, id: &str, block: &mut Object<'_>) {
        block.str("type", "tool_result").str("tool_use_id", id);
        match &outcome.content[..] {
            // An error has to say something.
            [] if outcome.is_error == Some(true) => {
                block.str("content", "error");
            }
            [] => {}
            [Part { content: Content::Text(text), cache: None, extras, .. }] if extras.is_empty() => {
                let text = if text.is_empty() && outcome.is_error == Some(true) { "error" } else { text };
                block.str("content", text);
            }
            parts => {
                block.array("content", |blocks| {
                    for part in parts {
                        let is_blank = part.as_text().is_some_and(|text| text.trim().is_empty());
                        if self.is_own() || !is_blank {
                            self.part(part, "", blocks);
                        }
                    }
                });
            }
        }
        if let Some(is_error) = outcome.is_error {
            block.bool("is_error", is_error);
        }
    }

    fn media(&mut self, part: &Part<'_>, media: &Media<'_>, blocks: &mut Array<'_>) {
        let is_image = matches!(part.content, Content::Image(_));
        if self.is_own() {
            let mime = media.mime.as_deref().unwrap_or_default();
            return self.medium(part, media, &media.source, (mime, is_image), blocks);
        }
        let mime = kind_of(media, is_image);
        let is_image = mime.starts_with("image/") || (is_image && mime.is_empty());
        if mime.starts_with("audio/") || mime.starts_with("video/") {
            return self.refuse(if mime.starts_with("audio/") { "audio" } else { "video" });
        }
        if matches!(media.source, Source::FileId(_)) {
            let message = "a file that was left at another vendor cannot be sent to an Anthropic model; send its content";
            return self.losses.refuse("messages", message);
        }
        let Some(source) = source(media, &mime, is_image) else {
            let message = format!(
                "a file of type {mime} cannot be sent to an Anthropic model; send a PDF, an image or plain text"
            );
            return self.losses.refuse("messages", message);
        };
        if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
            self.losses.drop("image.detail");
        }
        self.medium(part, media, &source, (&mime, is_image), blocks);
    }

    fn medium(
        &mut self,
        part: &Part<'_>,
        media: &Media<'_>,
        source: &Source<'_>,
        (mime, is_image): (&str, bool),
        blocks: &mut Array<'_>,
    ) {
        let own_source = part.extras.find("source").filter(|_| self.is_own());
        self.block(part, blocks, |_, block| {
            block.str("type", if is_image { "image" } else { "document" });
            match own_source {
                Some(raw) => block.raw("source", raw),
                None => block.object("source", |object| write_source(source, mime, object)),
            };
            if !is_image {
                block.str_if("title", media.name.as_deref());
            }
        });
    }
}

fn write_call(call: &Call<'_>, id: &str, block: &mut Object<'_>) {
    block.str("type", "tool_use").str("id", id);
    match call.kind {
        CallKind::Function => {
            block.str("name", &call.name).raw("input", call.input());
        }
        CallKind::Custom => {
            block.str("name", &tools::custom(&call.name));
            block.raw("input", &stand_in::custom_input(&call.arguments));
        }
    }
}

/// The media type that is said, or that its first bytes tell: a picture that is said to be of another kind than it is
/// would be refused. Empty for a URL of unknown kind.
fn kind_of<'m>(media: &'m Media<'_>, is_image: bool) -> Cow<'m, str> {
    let said = media.mime.as_deref().map(|mime| mime.split(';').next().unwrap_or_default().trim());
    let is_picture = is_image || said.is_some_and(|mime| mime.starts_with("image/"));
    if let Some(looks) = media.picture_by_looks().filter(|_| is_picture) {
        return Cow::Borrowed(looks);
    }
    match (said, &media.source) {
        (Some("image/jpg"), _) => Cow::Borrowed("image/jpeg"),
        (Some(mime), _) if !mime.is_empty() && mime != "application/octet-stream" => Cow::Borrowed(mime),
        (_, Source::Base64(data)) => Cow::Borrowed(sniffed(media, data, is_image)),
        (_, Source::Text(_)) => Cow::Borrowed("text/plain"),
        (_, Source::Url(_) | Source::FileId(_)) => Cow::Borrowed(""),
    }
}

/// By the first bytes, encoded.
fn sniffed(media: &Media<'_>, data: &str, is_image: bool) -> &'static str {
    let is_pdf = data.starts_with("JVBERi");
    let looks = if is_pdf { Some(PDF) } else { media.picture_by_looks() };
    looks.unwrap_or(if is_image { "image/png" } else { PDF })
}

/// How the content of a block is said; `None` for a kind of file that the API does not take.
fn source<'m>(media: &'m Media<'_>, mime: &str, is_image: bool) -> Option<Source<'m>> {
    Some(match &media.source {
        Source::Base64(data) if is_image || mime == PDF => Source::Base64(Cow::Borrowed(data)),
        Source::Base64(data) if is_text(mime) => {
            let bytes = BASE64_STANDARD.decode(data.as_bytes()).ok()?;
            Source::Text(Cow::Owned(String::from_utf8(bytes).ok()?))
        }
        Source::Base64(_) => return None,
        Source::Url(url) => Source::Url(Cow::Borrowed(url)),
        Source::FileId(id) => Source::FileId(Cow::Borrowed(id)),
        Source::Text(text) => Source::Text(Cow::Borrowed(text)),
    })
}

fn is_text(mime: &str) -> bool {
    let also =
        ["application/json", "application/xml", "application/yaml", "application/x-yaml", "application/toml"];
    mime.starts_with("text/") || also.contains(&mime)
}

fn write_source(source: &Source<'_>, mime: &str, object: &mut Object<'_>) {
    match source {
        Source::Base64(data) => {
            let mime = if mime.is_empty() { PDF } else { mime };
            object.str("type", "base64").str("media_type", mime).str("data", data)
        }
        Source::Url(url) => object.str("type", "url").str("url", url),
        Source::FileId(id) => object.str("type", "file").str("file_id", id),
        Source::Text(text) => object.str("type", "text").str("media_type", "text/plain").str("data", text),
    };
}

/// `cache_control`, with what else a caller of this dialect said in it.
pub fn mark(mark: Option<CacheMark>, own: Option<&Extras<'_>>, block: &mut Object<'_>) {
    let Some(mark) = mark else { return };
    block.object("cache_control", |control| {
        control.str("type", "ephemeral");
        if mark == CacheMark::Hour {
            control.str("ttl", "1h");
        }
        if let Some(extras) = own {
            inner_extras(extras, "cache_control", control);
        }
    });
}

/// The extras that stood beside the members.
pub fn extras(extras: &Extras<'_>, object: &mut Object<'_>) {
    extras_but(extras, None, object);
}

/// The same without one of them.
pub fn extras_but(extras: &Extras<'_>, lost: Option<&str>, object: &mut Object<'_>) {
    for (key, raw) in extras.all() {
        if !key.contains('.') && !matches!(key, "source" | block::WHOLE) && Some(key) != lost {
            object.raw(key, raw);
        }
    }
}

/// The extras that stood in the inner object at `way`.
pub fn inner_extras(extras: &Extras<'_>, way: &str, object: &mut Object<'_>) {
    for (key, raw) in extras.all() {
        if let Some((_, member)) = key.rsplit_once('.').filter(|(at, _)| *at == way) {
            object.raw(member, raw);
        }
    }
}
