//! One part of a message.

use super::documents::Names;
use super::turns::Placed;
use super::{Draft, Origin, custom};
use crate::dialect::anthropic::stand_in;
use crate::dialect::bedrock::block::{self, CITED, GUARDED, JSON};
use crate::dialect::bedrock::media::{Medium, image_by_looks};
use crate::dialect::hub::{
    CallKind, Content, Extras, Losses, Media, Outcome, Part, Role, Source, Text, Thought,
};
use crate::dialect::write::Array;

/// Is there anything of it to be written? Reports what is not.
pub fn is_said(draft: &Draft<'_, '_>, part: &Part<'_>, role: Role, losses: &mut Losses) -> bool {
    if let Content::Thought(thought) = &part.content {
        return is_thought_back(draft, thought);
    }
    if draft.origin == Origin::Own {
        return true;
    }
    if let Some((medium, media)) = medium(part) {
        return is_media_said(draft, medium, media, role, losses);
    }
    match &part.content {
        // Blank texts are refused.
        Content::Text(text) | Content::Refusal(text) => !text.trim().is_empty(),
        Content::Call(_) | Content::Outcome(_) => role != Role::System,
        Content::Vendor { kind, .. } => {
            losses.drop(kind.clone().into_owned());
            false
        }
        Content::Thought(_)
        | Content::Image(_)
        | Content::Audio(_)
        | Content::Video(_)
        | Content::File(_) => true,
    }
}

/// Reasoning goes back to the model that can read it: Claude wants its signature with it, and others of
/// this dialect's own callers get what they had.
fn is_thought_back(draft: &Draft<'_, '_>, thought: &Thought<'_>) -> bool {
    match &thought.signature {
        Some(signature) => signature.for_family(draft.terms.family).is_some(),
        None => draft.origin == Origin::Own && !draft.maker.is_claude() && !thought.is_redacted,
    }
}

/// The medium of a part that is no text.
fn medium<'p, 'a>(part: &'p Part<'a>) -> Option<(Medium, &'p Media<'a>)> {
    match &part.content {
        Content::Image(media) => Some((Medium::Image, media)),
        Content::File(media) => Some((Medium::Document, media)),
        Content::Audio(media) => Some((Medium::Audio, media)),
        Content::Video(media) => Some((Medium::Video, media)),
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Thought(_)
        | Content::Call(_)
        | Content::Outcome(_)
        | Content::Vendor { .. } => None,
    }
}

fn is_media_said(
    draft: &Draft<'_, '_>,
    medium: Medium,
    media: &Media<'_>,
    role: Role,
    losses: &mut Losses,
) -> bool {
    if role != Role::User {
        losses.drop(medium.key());
        return false;
    }
    let deaf = draft.maker.is_claude() && matches!(medium, Medium::Audio | Medium::Video);
    let why = match &media.source {
        _ if deaf => {
            Some("this model takes neither audio nor video; send a transcript or another model's name")
        }
        Source::Url(url) if !url.starts_with("s3://") => {
            Some("the upstream fetches nothing but s3:// URLs; send the content itself, as base64")
        }
        Source::FileId(_) => Some("the upstream does not have this file; send its content as base64"),
        Source::Text(_) if medium == Medium::Document => None,
        Source::Base64(_) | Source::Url(_) | Source::Text(_) => {
            format(medium, media).is_none().then_some("its type is not known or not taken by the upstream")
        }
    };
    if let Some(why) = why {
        losses.refuse(medium.key(), why);
        return false;
    }
    losses.drop_if(media.detail.as_ref(), "image.detail");
    true
}

/// What Amazon calls the format, as far as the type, the name or the content itself tells.
fn format<'m>(medium: Medium, media: &'m Media<'_>) -> Option<&'m str> {
    // What is said of a picture may be wrong, and is refused then.
    let by_looks = media.picture_by_looks().filter(|_| medium == Medium::Image);
    let by_mime = by_looks.or(media.mime.as_deref()).and_then(|mime| medium.format(mime));
    let by_name = || media.name.as_deref().and_then(|name| medium.format_of_name(name));
    by_mime.or_else(by_name).or_else(|| match &media.source {
        Source::Base64(data) if medium == Medium::Image => image_by_looks(data),
        Source::Base64(data) if medium == Medium::Document && data.starts_with("JVBERi") => Some("pdf"),
        Source::Url(url) => medium.format_of_name(url),
        Source::Text(_) => Some("txt"),
        Source::Base64(_) | Source::FileId(_) => None,
    })
}

pub fn write(
    draft: &Draft<'_, '_>,
    placed: &Placed<'_, '_>,
    names: &mut Names,
    losses: &mut Losses,
    blocks: &mut Array<'_>,
) {
    match &placed.part.content {
        Content::Thought(thought) => {
            let signature = thought.signature.as_ref();
            block::thought(thought, signature.and_then(|s| s.for_family(draft.terms.family)), blocks);
        }
        Content::Call(call) => {
            let extras = draft.own(placed.part);
            match call.kind {
                CallKind::Function => block::call(&placed.id, &call.name, call.input(), &extras, blocks),
                CallKind::Custom => {
                    let (name, input) = (custom(&call.name), stand_in::custom_input(&call.arguments));
                    block::call(&placed.id, &name, &input, &extras, blocks);
                }
            }
        }
        Content::Outcome(outcome) => {
            blocks.object(|block| {
                block.object("toolResult", |result| {
                    result.str("toolUseId", &placed.id);
                    result.array("content", |blocks| self::outcome(draft, outcome, names, losses, blocks));
                    result.str_if("status", status(draft, outcome, losses));
                    draft.own(placed.part).write(result);
                });
            });
        }
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Image(_)
        | Content::Audio(_)
        | Content::Video(_)
        | Content::File(_)
        | Content::Vendor { .. } => plain(draft, placed.part, names, blocks),
    }
}

/// A part as messages and tools' results have it.
fn plain(draft: &Draft<'_, '_>, part: &Part<'_>, names: &mut Names, blocks: &mut Array<'_>) {
    let extras = draft.own(part);
    if let Some((key, raw)) = extras.all().find(|(key, _)| [JSON, GUARDED, CITED].contains(key)) {
        blocks.object(|block| {
            block.raw(key, raw);
        });
        return;
    }
    if let Some((medium, media)) = medium(part) {
        return self::media(draft, medium, media, &extras, names, blocks);
    }
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => {
            blocks.object(|block| {
                block.str("text", text);
            });
        }
        Content::Vendor { raw, .. } => {
            blocks.raw(raw);
        }
        Content::Thought(_)
        | Content::Call(_)
        | Content::Outcome(_)
        | Content::Image(_)
        | Content::Audio(_)
        | Content::Video(_)
        | Content::File(_) => {}
    }
}

fn media(
    draft: &Draft<'_, '_>,
    medium: Medium,
    media: &Media<'_>,
    extras: &Extras<'_>,
    names: &mut Names,
    blocks: &mut Array<'_>,
) {
    if draft.origin == Origin::Own {
        let format = media.mime.as_deref().and_then(|mime| medium.own_format(mime));
        return block::media(medium, format, media.name.as_deref(), &media.source, extras, blocks);
    }
    let format = format(medium, media);
    let name =
        (medium == Medium::Document).then(|| names.name(media.name.as_deref(), format.unwrap_or_default()));
    // Every model takes bytes, and only some take text as a document.
    let encoded = match &media.source {
        Source::Text(text) => Some(Source::Base64(Text::Owned(base64_of(text)))),
        Source::Base64(_) | Source::Url(_) | Source::FileId(_) => None,
    };
    block::media(medium, format, name.as_deref(), encoded.as_ref().unwrap_or(&media.source), extras, blocks);
}

/// The content of a tool's result. It has to have some.
fn outcome(
    draft: &Draft<'_, '_>,
    outcome: &Outcome<'_>,
    names: &mut Names,
    losses: &mut Losses,
    blocks: &mut Array<'_>,
) {
    for part in &outcome.content {
        if draft.origin == Origin::Foreign {
            losses.drop_if(part.cache.as_ref(), "cache_control");
            if matches!(part.content, Content::Audio(_)) {
                losses.drop("audio");
                continue;
            }
            // What a tool found in words is words to every model; documents some do not take here.
            if let Content::File(Media { source: Source::Text(text), .. }) = &part.content {
                blocks.object(|block| {
                    block.str("text", text);
                });
                continue;
            }
        }
        if is_said(draft, part, Role::User, losses) {
            plain(draft, part, names, blocks);
        }
        if let (Origin::Own, Some(mark)) = (draft.origin, part.cache) {
            block::cache_point(mark, blocks);
        }
    }
    if blocks.is_empty() && draft.origin == Origin::Foreign {
        blocks.object(|block| {
            block.raw("json", "{}");
        });
    }
}

/// Claude and Nova are told whether the tool failed; others refuse the field.
fn status(draft: &Draft<'_, '_>, outcome: &Outcome<'_>, losses: &mut Losses) -> Option<&'static str> {
    let is_error = outcome.is_error?;
    if draft.origin == Origin::Own || draft.maker.is_claude() || draft.maker.is_nova() {
        return Some(if is_error { "error" } else { "success" });
    }
    if is_error {
        losses.drop("is_error");
    }
    None
}

fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(text)
}

impl Draft<'_, '_> {
    /// What only this dialect knows of a part, if the part is from here.
    fn own<'p>(&self, part: &Part<'p>) -> Extras<'p> {
        if self.origin == Origin::Own { part.extras.clone() } else { Extras::default() }
    }
}
