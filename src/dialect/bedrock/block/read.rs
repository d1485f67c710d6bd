//! Reads content blocks.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{CITED, GUARDED, JSON};
use crate::dialect::anthropic::stand_in;
use crate::dialect::bedrock::media::{Medium, is_base64};
use crate::dialect::hub::{
    CacheMark, Call, CallKind, Citation, Content, Extras, Family, Media, Outcome, Part, Role, Signature,
    Source, Text, Thought,
};
use crate::dialect::tree::{Node, Wrong};

/// Who wrote it: callers are told what is wrong, upstreams are taken as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Caller,
    Upstream,
}

/// The blocks of a message, cache points put to what they mark.
pub fn parts<'a>(content: &Node<'a>, role: Role, side: Side) -> Result<Vec<Part<'a>>, Wrong> {
    let mut parts: Vec<Part<'a>> = Vec::with_capacity(content.elements().len());
    let mut carried = Vec::new();
    for block in content.items()? {
        let (key, value) = member(block, side)?;
        if let Some(field) = value.at("reasoningText").and_then(|text| text.at("signature")?.text())
            && let Some((call_id, signature)) = stand_in::carried(&field)
        {
            carried.push((call_id.to_owned(), signature));
            continue;
        }
        match (cache_mark(key, value), parts.last_mut()) {
            (Some(mark), Some(last)) if last.cache.is_none() => last.cache = Some(mark),
            _ => parts.push(part(key, value, block, role, side)?),
        }
    }
    for (call_id, signature) in carried {
        give(&mut parts, &call_id, signature);
    }
    Ok(parts)
}

/// Gives a call the signature that another block has carried.
fn give<'a>(parts: &mut [Part<'a>], call_id: &str, signature: Signature<'a>) {
    for part in parts {
        if let Content::Call(call) = &mut part.content
            && call.id == call_id
        {
            call.signature = Some(signature);
            return;
        }
    }
}

/// The mark that a cache point stands for.
pub fn cache_mark(key: &str, value: &Node<'_>) -> Option<CacheMark> {
    let hour = || value.at("ttl").and_then(Node::as_str) == Some("1h");
    (key == "cachePoint").then(|| if hour() { CacheMark::Hour } else { CacheMark::Short })
}

/// The one member of a block.
fn member<'n, 'a>(block: &'n Node<'a>, side: Side) -> Result<(&'n str, &'n Node<'a>), Wrong> {
    let mut members = block.object()?.members().iter().filter(|(_, value)| !value.is_null());
    let wrong = || block.wrong("expected an object with one member, such as {\"text\": \"…\"}");
    let (key, value) = members.next().ok_or_else(wrong)?;
    if side == Side::Caller && members.next().is_some() {
        return Err(wrong());
    }
    Ok((key, value))
}

fn part<'a>(
    key: &str,
    value: &Node<'a>,
    block: &Node<'a>,
    role: Role,
    side: Side,
) -> Result<Part<'a>, Wrong> {
    let medium = match key {
        "text" => return Ok(Part::text(value.string()?)),
        "image" => Medium::Image,
        "document" => Medium::Document,
        "audio" => Medium::Audio,
        "video" => Medium::Video,
        "toolUse" if value.at("type").and_then(Node::as_str) != Some("server_tool_use") => {
            return call(value);
        }
        // An assistant's results are of tools that the vendor ran.
        "toolResult" if role != Role::Assistant => return outcome(value, side),
        "reasoningContent" => return Ok(thought(value)?.unwrap_or_else(|| vendor(key, block))),
        "json" => return Ok(kept(Content::Text(Text::Borrowed(value.raw())), JSON, value)),
        GUARDED => return guarded(value, block, side),
        CITED => {
            let cited = cited(value);
            // Sources alone, as we give them beside their text, say nothing to anybody else.
            let says_nothing = matches!(&cited.content, Content::Text(text) if text.is_empty());
            return Ok(if says_nothing && side == Side::Caller { vendor(key, block) } else { cited });
        }
        _ => return Ok(vendor(key, block)),
    };
    media(medium, value, block, side)
}

fn vendor<'a>(key: &str, block: &Node<'a>) -> Part<'a> {
    Part::new(Content::Vendor { kind: Text::Owned(key.to_owned()), raw: block.raw() })
}

/// A part that says what others understand, with its own dialect's words aside.
fn kept<'a>(content: Content<'a>, key: &'static str, value: &Node<'a>) -> Part<'a> {
    let mut part = Part::new(content);
    part.extras.keep_aside(key, value.raw());
    part
}

fn media<'a>(medium: Medium, value: &Node<'a>, block: &Node<'a>, side: Side) -> Result<Part<'a>, Wrong> {
    let source = value.need("source")?.object()?;
    let mut extras = Extras::of(value, &["format", "source", "name"]);
    let found = if let Some(bytes) = source.at("bytes") {
        let text = bytes.string()?;
        if side == Side::Caller && !is_base64(&text) {
            return Err(bytes.wrong("not base64; it needs the standard alphabet and its padding"));
        }
        Source::Base64(text)
    } else if let Some(place) = source.at("s3Location") {
        if let Some(owner) = place.at("bucketOwner") {
            extras.keep("bucketOwner", owner.raw());
        }
        Source::Url(place.need("uri")?.string()?)
    } else if let Some(text) = source.at("text") {
        Source::Text(text.string()?)
    } else if source.at("content").is_some() {
        return Ok(vendor(medium.key(), block));
    } else {
        return Err(source.wrong("expected bytes or s3Location"));
    };
    let mime = match value.at("format") {
        Some(format) => Some(medium.mime(&format.string()?)),
        None => None,
    };
    let name = value.at("name").map(Node::string).transpose()?;
    let media = Media { name, ..Media::new(found, mime) };
    let content = match medium {
        Medium::Image => Content::Image(media),
        Medium::Document => Content::File(media),
        Medium::Audio => Content::Audio(media),
        Medium::Video => Content::Video(media),
    };
    Ok(Part { extras, ..Part::new(content) })
}

fn call<'a>(value: &Node<'a>) -> Result<Part<'a>, Wrong> {
    let call = Call {
        id: value.need("toolUseId")?.string()?,
        name: value.need("name")?.string()?,
        arguments: Text::Borrowed(value.at("input").map_or("{}", Node::raw)),
        kind: CallKind::Function,
        signature: None,
    };
    let mut extras = Extras::of(value, &["toolUseId", "name", "input", "type"]);
    if let Some(kind) = value.at("type") {
        // `tool_use`: a default that is said aloud.
        extras.keep_aside("type", kind.raw());
    }
    Ok(Part { extras, ..Part::new(Content::Call(call)) })
}

fn outcome<'a>(value: &Node<'a>, side: Side) -> Result<Part<'a>, Wrong> {
    let outcome = Outcome {
        call_id: value.need("toolUseId")?.string()?,
        name: None,
        content: parts(value.need("content")?, Role::User, side)?,
        is_error: value.at("status").and_then(Node::as_str).map(|status| status == "error"),
        kind: CallKind::Function,
    };
    let extras = Extras::of(value, &["toolUseId", "content", "status"]);
    Ok(Part { extras, ..Part::new(Content::Outcome(outcome)) })
}

/// Reasoning; `None` for what cannot be understood but may be passed on.
fn thought<'a>(value: &Node<'a>) -> Result<Option<Part<'a>>, Wrong> {
    let thought = if let Some(text) = value.at("reasoningText") {
        let sign = |signature| Signature::unseal(signature, Family::Anthropic);
        Thought {
            text: text.need("text")?.string()?,
            signature: text.at("signature").and_then(Node::text).map(sign),
            ..Thought::default()
        }
    } else if let Some(signature) = value.at("redactedContent").and_then(Node::as_str).and_then(redacted) {
        Thought { signature: Some(signature), is_redacted: true, ..Thought::default() }
    } else {
        return Ok(None);
    };
    Ok(Some(Part::new(Content::Thought(thought))))
}

/// What redacted reasoning carries: Anthropic's text as bytes, which JSON has as base64 of them.
pub fn redacted(base64: &str) -> Option<Signature<'static>> {
    let text = String::from_utf8(BASE64_STANDARD.decode(base64).ok()?).ok()?;
    Some(Signature::unseal(Text::Owned(text), Family::Anthropic))
}

/// What a guardrail shall look at: a text or an image like any other.
fn guarded<'a>(value: &Node<'a>, block: &Node<'a>, side: Side) -> Result<Part<'a>, Wrong> {
    if let Some(text) = value.at("text") {
        return Ok(kept(Content::Text(text.need("text")?.string()?), GUARDED, value));
    }
    let Some(image) = value.at("image") else { return Ok(vendor(GUARDED, block)) };
    let part = media(Medium::Image, image, block, side)?;
    Ok(kept(part.content, GUARDED, value))
}

/// Text with its citations; the text is what others understand.
fn cited<'a>(value: &Node<'a>) -> Part<'a> {
    let texts = value.at("content").map(Node::elements).unwrap_or_default();
    let mut texts = texts.iter().filter_map(|text| text.at("text")?.text());
    let first = texts.next().unwrap_or_default();
    let text = texts.fold(first, |all, text| all + text);
    let citations = value.at("citations").map(Node::elements).unwrap_or_default().iter().map(cite).collect();
    Part { citations, ..kept(Content::Text(text), CITED, value) }
}

/// One of a text's `citations`.
pub fn cite<'a>(citation: &Node<'a>) -> Citation<'a> {
    let text = |key: &str| citation.at(key).and_then(Node::text);
    let web = citation.at("location").and_then(|place| place.at("web")?.at("url")?.text());
    let is_url = |source: &Text<'_>| source.starts_with("https://") || source.starts_with("http://");
    let url = web.or_else(|| text("source").filter(is_url));
    Citation { url, title: text("title"), place: None, raw: citation.raw() }
}
