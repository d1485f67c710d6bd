//! The parts of contents, which requests and answers share.
//!
//! A signature on a text (or an image) has no place in the hub, so it becomes a thought of its own
//! behind it, without text. `is_summary` tells the two of them apart that Google knows: false for a
//! signature that shares its part, true for one with an empty text of its own, which streams end with.

mod media;
mod outcome;

use crate::dialect::hub::{Call, CallKind, Content, Part, Signature, Text, Thought};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::Object;

use super::names::{self, camel, member};
use super::signature;

pub use media::{opens, reaches, write_media};
pub use outcome::write_outcome;

/// What a part holds that others know, too.
const HELD: [&str; 5] = ["text", "functionCall", "functionResponse", "inlineData", "fileData"];
/// Members beside what a part holds.
const BESIDE: [&str; 6] =
    ["thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata", "mediaProcessing"];

/// How much is forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A caller's request.
    Strict,
    /// An upstream's answer.
    Lenient,
}

/// Appends what a part holds.
pub fn read<'a>(node: &Node<'a>, reading: Reading, parts: &mut Vec<Part<'a>>) -> Result<(), Wrong> {
    let held = HELD.iter().find_map(|kind| member(node, kind).map(|value| (*kind, value)));
    let signature = member(node.object()?, "thoughtSignature").map(Node::string).transpose()?;
    let signature = signature.and_then(signature::read);
    let Some((kind, value)) = held else { return read_other(node, signature, reading, parts) };
    let (mut part, beside_it) = match kind {
        "functionCall" => (read_call(value, signature)?, None),
        "functionResponse" => (outcome::read(value, reading)?, signature),
        "inlineData" => (media::read_inline(value, reading)?, signature),
        "fileData" => (media::read_file(value)?, signature),
        _ => {
            let thinks = member(node, "thought").map(Node::boolean).transpose()? == Some(true);
            match (value.string()?, signature) {
                (text, signature) if thinks => (think(text, signature), None),
                (text, Some(signature)) if text.is_empty() => (think(text, Some(signature)), None),
                (text, signature) => (Part::text(text), signature),
            }
        }
    };
    if node.members().len() > 1 && !matches!(part.content, Content::Thought(_)) {
        names::keep(&mut part.extras, "", node, &["thought", "thoughtSignature", kind]);
    }
    parts.push(part);
    // It shares the part with what was read before it.
    parts.extend(beside_it.map(|signature| {
        Part::new(Content::Thought(Thought { signature: Some(signature), ..Thought::default() }))
    }));
    Ok(())
}

/// A part that only Google knows, or one with nothing but a signature.
fn read_other<'a>(
    node: &Node<'a>,
    signature: Option<Signature<'a>>,
    reading: Reading,
    parts: &mut Vec<Part<'a>>,
) -> Result<(), Wrong> {
    let beside = |name: &str| BESIDE.iter().any(|beside| names::is(name, beside));
    let vendors = node.members().iter().find(|(name, value)| !value.is_null() && !beside(name));
    match (vendors, signature, reading) {
        (Some((name, _)), _, _) => {
            parts.push(Part::new(Content::Vendor { kind: camel(name), raw: node.raw() }));
        }
        (None, signature @ Some(_), _) => parts.push(think(Text::Borrowed(""), signature)),
        (None, None, Reading::Lenient) => {}
        (None, None, Reading::Strict) => {
            return Err(node.wrong("an empty part; give it text, inlineData, functionCall or the like"));
        }
    }
    Ok(())
}

/// Is it a signature that belongs to the part before it?
pub fn as_signed<'p, 'a>(part: &'p Part<'a>) -> Option<&'p Thought<'a>> {
    match &part.content {
        Content::Thought(thought) if thought.text.is_empty() && !thought.is_summary => Some(thought),
        _ => None,
    }
}

/// A thought, or a signature with an empty text of its own.
fn think<'a>(text: Text<'a>, signature: Option<Signature<'a>>) -> Part<'a> {
    let mut thought = Thought { text, is_summary: true, signature, ..Thought::default() };
    signature::unredact(&mut thought);
    Part::new(Content::Thought(thought))
}

fn read_call<'a>(value: &Node<'a>, signature: Option<Signature<'a>>) -> Result<Part<'a>, Wrong> {
    let name = match member(value, "name") {
        Some(name) => name.string()?,
        None => value.need("name")?.string()?,
    };
    let mut part = Part::new(Content::Call(Call {
        id: member(value, "id").map(Node::string).transpose()?.unwrap_or_default(),
        name,
        arguments: member(value, "args").map_or(Ok("{}"), |args| args.object().map(Node::raw))?.into(),
        kind: CallKind::Function,
        signature,
    }));
    names::keep(&mut part.extras, "functionCall.", value, &["id", "name", "args"]);
    Ok(part)
}

/// Says a call, and the `rest` of its object. Google's arguments are always an object.
pub fn write_call(
    o: &mut Object<'_>,
    call: &Call<'_>,
    id: Option<&str>,
    signature: Option<&str>,
    rest: impl FnOnce(&mut Object<'_>),
) {
    o.object("functionCall", |o| {
        o.str_if("id", id).str("name", &call.name);
        match call.kind {
            CallKind::Function => o.raw("args", call.input()),
            CallKind::Custom => o.object("args", |o| {
                o.str("input", &call.arguments);
            }),
        };
        rest(o);
    });
    o.str_if("thoughtSignature", signature);
}
