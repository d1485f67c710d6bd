//! Reads content blocks: of both sides' messages, and of answers.
//!
//! Blocks that only Anthropic knows stay as they are. Three of them tell something to any model and are
//! read as that, with the block itself kept aside for this dialect: a search result and a document of
//! several pieces are documents, and the reference to a tool that was found is the tool's name (Claude
//! Code's tool search answers with it).

use super::stand_in;
use crate::dialect::hub::{
    CacheMark, Call, CallKind, Citation, Content, Extras, Family, Media, Outcome, Part, Signature, Source,
    Text, Thought,
};
use crate::dialect::tree::{Node, Wrong};

/// Where a block that is kept aside as a whole is found again.
pub const WHOLE: &str = "block";
/// What every sealed signature begins with (see `hub::carry`): citations that we made up carry one.
const SEALED: &str = "bWFpbnN0YXkx";

/// What blocks may stand at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// A request's: what is missing is wrong.
    Asked,
    /// An answer's: upstreams may say what they like.
    Answered,
}

/// Reads `content`: a text or a list of blocks.
pub fn contents<'a>(content: &Node<'a>) -> Result<Vec<Part<'a>>, Wrong> {
    if let Some(text) = content.text() {
        return Ok(vec![Part::text(text)]);
    }
    if !content.is_array() {
        return Err(content.expected("a string or an array of content blocks"));
    }
    parts(content.elements(), Strictness::Asked)
}

/// Reads a list of blocks.
pub fn parts<'a>(blocks: &[Node<'a>], strictness: Strictness) -> Result<Vec<Part<'a>>, Wrong> {
    let mut parts = Vec::with_capacity(blocks.len());
    let mut carried = Vec::new();
    for block in blocks {
        if let Some(field) = block.at("signature").and_then(Node::text)
            && let Some((call_id, signature)) = stand_in::carried(&field)
        {
            carried.push((call_id.to_owned(), signature));
            continue;
        }
        match part(block) {
            Ok(part) => parts.push(part),
            Err(wrong) if strictness == Strictness::Asked || !block.is_object() => return Err(wrong),
            Err(_) => parts.push(told(block).unwrap_or_else(|| vendor(block))),
        }
    }
    for (call_id, signature) in carried {
        if let Some(call) = calls(&mut parts).find(|call| call.id == call_id) {
            call.signature = Some(signature);
        }
    }
    Ok(parts)
}

/// The tool calls among these.
fn calls<'p, 'a>(parts: &'p mut [Part<'a>]) -> impl Iterator<Item = &'p mut Call<'a>> {
    parts
        .iter_mut()
        .filter_map(|part| if let Content::Call(call) = &mut part.content { Some(call) } else { None })
}

fn part<'a>(block: &Node<'a>) -> Result<Part<'a>, Wrong> {
    let kind = block.need("type")?.string()?;
    match &*kind {
        "text" => text(block),
        "image" => image(block),
        "document" => document(block),
        "search_result" => search_result(block),
        "tool_reference" => reference(block),
        "compaction" => Ok(compaction(block)),
        "thinking" => thinking(block),
        "redacted_thinking" => redacted(block),
        "tool_use" => call(block),
        "tool_result" => outcome(block),
        _ => Ok(vendor(block)),
    }
}

/// A call whose input some vendors send as a text.
fn told<'a>(block: &Node<'a>) -> Option<Part<'a>> {
    let text = |key: &str| block.at(key).and_then(Node::text);
    let is_call = block.at("type").and_then(Node::as_str) == Some("tool_use");
    let (id, signature) = (text("id").unwrap_or_default(), None);
    let (name, arguments) = (text("name")?, text("input").filter(|_| is_call)?);
    Some(Part::new(Content::Call(Call { id, name, arguments, kind: CallKind::Function, signature })))
}

fn vendor<'a>(block: &Node<'a>) -> Part<'a> {
    let kind = block.at("type").and_then(Node::text).unwrap_or(Text::Borrowed("content block"));
    Part::new(Content::Vendor { kind, raw: block.raw() })
}

/// The part with its cache mark, and with all members that are not `known`.
fn part_of<'a>(block: &Node<'a>, known: &[&str], content: Content<'a>) -> Part<'a> {
    let mut part = Part::new(content);
    for (key, value) in block.members() {
        match &**key {
            "type" => {}
            "cache_control" if !value.is_null() => part.cache = mark(value, &mut part.extras),
            key if known.contains(&key) || value.is_null() => {}
            // What a past answer was based on, and who called the tool, is for its vendor only.
            key @ ("citations" | "caller" | "toolset_name") => keep_aside(&mut part.extras, key, value),
            key => part.extras.keep(key.to_owned(), value.raw()),
        }
    }
    part
}

fn keep_aside<'a>(extras: &mut Extras<'a>, key: &str, value: &Node<'a>) {
    if !value.raw().contains(SEALED) {
        extras.keep_aside(key.to_owned(), value.raw());
    }
}

/// Reads `cache_control`.
pub fn mark<'a>(node: &Node<'a>, extras: &mut Extras<'a>) -> Option<CacheMark> {
    if node.at("type").and_then(Node::as_str) != Some("ephemeral") {
        extras.keep("cache_control", node.raw());
        return None;
    }
    for (key, value) in node.members() {
        if !matches!(&**key, "type" | "ttl") && !value.is_null() {
            extras.keep_aside(format!("cache_control.{key}"), value.raw());
        }
    }
    let is_hour = node.at("ttl").and_then(Node::as_str) == Some("1h");
    Some(if is_hour { CacheMark::Hour } else { CacheMark::Short })
}

fn text<'a>(block: &Node<'a>) -> Result<Part<'a>, Wrong> {
    let text = block.need("text")?.string()?;
    let citations = block.at("citations").map_or(&[][..], Node::elements).iter().map(cite).collect();
    Ok(Part { citations, ..part_of(block, &["text"], Content::Text(text)) })
}

/// One of a text's `citations`.
pub fn cite<'a>(citation: &Node<'a>) -> Citation<'a> {
    let text = |key| citation.at(key).and_then(Node::text);
    let title = text("title").or_else(|| text("document_title"));
    Citation { url: text("url"), title, place: None, raw: citation.raw() }
}

fn image<'a>(block: &Node<'a>) -> Result<Part<'a>, Wrong> {
    let source = block.need("source")?;
    let Some(media) = media(source)? else { return Ok(vendor(block)) };
    Ok(part_of(block, &["source"], Content::Image(media)))
}

fn document<'a>(block: &Node<'a>) -> Result<Part<'a>, Wrong> {
    let source = block.need("source")?;
    let name = block.at("title").map(Node::string).transpose()?;
    if source.at("type").and_then(Node::as_str) == Some("content") {
        let Some(text) = source.at("content").and_then(plain_text) else { return Ok(vendor(block)) };
        let media = Media { name, ..Media::new(Source::Text(text), None) };
        let mut part = part_of(block, &["source", "title"], Content::File(media));
        part.extras.keep_aside("source", source.raw());
        return Ok(part);
    }
    let Some(media) = media(source)? else { return Ok(vendor(block)) };
    Ok(part_of(block, &["source", "title"], Content::File(Media { name, ..media })))
}

/// `None` for a source of a type that is not known.
fn media<'a>(source: &Node<'a>) -> Result<Option<Media<'a>>, Wrong> {
    let mime = source.at("media_type").map(Node::string).transpose()?;
    let said = match &*source.need("type")?.string()? {
        "base64" => Source::Base64(base64(source.need("data")?)?),
        "url" => {
            let media = Media::of_url(source.need("url")?.string()?);
            return Ok(Some(Media { mime: mime.or(media.mime), ..media }));
        }
        "file" => Source::FileId(source.need("file_id")?.string()?),
        "text" => Source::Text(source.need("data")?.string()?),
        _ => return Ok(None),
    };
    Ok(Some(Media::new(said, mime)))
}

fn base64<'a>(node: &Node<'a>) -> Result<Text<'a>, Wrong> {
    let data = node.string()?;
    let digits = data.trim_end_matches('=');
    let is_sound = data.len().is_multiple_of(4)
        && data.len() - digits.len() <= 2
        && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    if !is_sound {
        return Err(
            node.wrong("not valid base64; send the bytes encoded, without a data: prefix or line breaks")
        );
    }
    Ok(data)
}

/// The text of a string or of text blocks; `None` if there is anything else.
fn plain_text<'a>(content: &Node<'a>) -> Option<Text<'a>> {
    if let Some(text) = content.text() {
        return Some(text);
    }
    let texts: Option<Vec<&str>> =
        content.elements().iter().map(|block| block.at("text")?.as_str()).collect();
    Some(Text::Owned(texts.filter(|texts| !texts.is_empty())?.join("\n")))
}

fn search_result<'a>(block: &Node<'a>) -> Result<Part<'a>, Wrong> {
    let Some(text) = plain_text(block.need("content")?) else { return Ok(vendor(block)) };
    let name = block.at("title").or_else(|| block.at("source")).and_then(Node::text);
    let file = Content::File(Media { name, ..Media::new(Source::Text(text), None) });
    Ok(whole(block, file))
}

fn reference<'a>(block: &Node<'a>) -> Result<Part<'a>, Wrong> {
    let name = block.need("tool_name")?.string()?;
    Ok(whole(block, Content::Text(name)))
}

/// What stands for all that was said before it.
fn compaction<'a>(block: &Node<'a>) -> Part<'a> {
    let summary = block.at("content").and_then(Node::text).filter(|text| !text.is_empty());
    summary.map_or_else(|| vendor(block), |summary| whole(block, Content::Text(summary)))
}

/// The part with its block kept aside.
fn whole<'a>(block: &Node<'a>, content: Content<'a>) -> Part<'a> {
    let mut part = Part::new(content);
    part.extras.keep_aside(WHOLE, block.raw());
    part
}

fn thinking<'a>(block: &Node<'a>) -> Result<Part<'a>, Wrong> {
    let text = block.need("thinking")?.string()?;
    let signature = block.at("signature").map(Node::string).transpose()?;
    let thought = Thought { text, signature: signature.and_then(sealed), ..Thought::default() };
    Ok(part_of(block, &["thinking", "signature"], Content::Thought(thought)))
}

fn redacted<'a>(block: &Node<'a>) -> Result<Part<'a>, Wrong> {
    let signature = sealed(block.need("data")?.string()?);
    let thought = Thought { signature, is_redacted: true, ..Thought::default() };
    Ok(part_of(block, &["data"], Content::Thought(thought)))
}

/// An empty signature is none.
pub fn sealed(text: Text<'_>) -> Option<Signature<'_>> {
    (!text.is_empty()).then(|| Signature::unseal(text, Family::Anthropic))
}

fn call<'a>(block: &Node<'a>) -> Result<Part<'a>, Wrong> {
    let input = block.at("input").map(Node::object).transpose()?;
    let call = Call {
        id: block.need("id")?.string()?,
        name: block.need("name")?.string()?,
        arguments: Text::Borrowed(input.map_or("{}", Node::raw)),
        kind: CallKind::Function,
        signature: None,
    };
    Ok(part_of(block, &["id", "name", "input"], Content::Call(call)))
}

fn outcome<'a>(block: &Node<'a>) -> Result<Part<'a>, Wrong> {
    let outcome = Outcome {
        call_id: block.need("tool_use_id")?.string()?,
        name: None,
        content: block.at("content").map(contents).transpose()?.unwrap_or_default(),
        is_error: block.at("is_error").map(Node::boolean).transpose()?,
        kind: CallKind::Function,
    };
    Ok(part_of(block, &["tool_use_id", "content", "is_error"], Content::Outcome(outcome)))
}
