//! The parts of contents, which requests and answers share.
//!
//! A signature on a text (or an image) has no place in the hub, so it becomes a thought of its own
//! behind it, without text. `is_summary` tells the two of them apart that Google knows: false for a
//! signature that shares its part, true for one with an empty text of its own, which streams end with.

mod media;
mod outcome;

use crate::dialect::hub::{Call, CallKind, Content, Extras, Part, Signature, Text, Thought};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::{self, Object};

use super::names::{self, camel, member};
use super::signature;

pub use media::{reaches, write_media};
pub use outcome::write_outcome;

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
    let held = node
        .object()?
        .members()
        .iter()
        .find(|(name, value)| !value.is_null() && !BESIDE.iter().any(|beside| names::is(name, beside)));
    let signature = member(node, "thoughtSignature").map(Node::string).transpose()?.and_then(signature::read);
    let Some((name, value)) = held else {
        return match (signature, reading) {
            (Some(signature), _) => {
                parts.push(signed_alone(signature));
                Ok(())
            }
            (None, Reading::Lenient) => Ok(()),
            (None, Reading::Strict) => {
                Err(node.wrong("an empty part; give it text, inlineData, functionCall or the like"))
            }
        };
    };
    let thinks = member(node, "thought").map(Node::boolean).transpose()? == Some(true);
    let mut part = match &*camel(name) {
        "text" => {
            let text = value.string()?;
            match (thinks, signature) {
                (true, signature) => {
                    parts.push(think(text, signature));
                    return Ok(());
                }
                (false, Some(signature)) if text.is_empty() => {
                    parts.push(signed_alone(signature));
                    return Ok(());
                }
                (false, signature) => {
                    let mut part = Part::text(text);
                    beside(node, "text", &mut part.extras);
                    parts.push(part);
                    parts.extend(signature.map(signed));
                    return Ok(());
                }
            }
        }
        "functionCall" => {
            let mut part = Part::new(Content::Call(Call { signature, ..call(value)? }));
            names::keep(&mut part.extras, "functionCall.", value, &["id", "name", "args"]);
            beside(node, "functionCall", &mut part.extras);
            parts.push(part);
            return Ok(());
        }
        "functionResponse" => outcome::read(value, reading)?,
        "inlineData" => media::read_inline(value, reading)?,
        "fileData" => media::read_file(value)?,
        kind => {
            parts.push(Part::new(Content::Vendor { kind: Text::Owned(kind.to_owned()), raw: node.raw() }));
            return Ok(());
        }
    };
    beside(node, name, &mut part.extras);
    parts.push(part);
    parts.extend(signature.map(signed));
    Ok(())
}

/// Keeps what stood beside `held`.
fn beside<'a>(node: &Node<'a>, held: &str, extras: &mut Extras<'a>) {
    let held = camel(&Text::Borrowed(held)).into_owned();
    names::keep(extras, "", node, &["thought", "thoughtSignature", &held]);
}

/// A signature that shares its part with what is before it.
fn signed(signature: Signature<'_>) -> Part<'_> {
    Part::new(Content::Thought(Thought { signature: Some(signature), ..Thought::default() }))
}

/// A signature with an empty text of its own.
fn signed_alone(signature: Signature<'_>) -> Part<'_> {
    let mut thought = Thought { signature: Some(signature), is_summary: true, ..Thought::default() };
    signature::unredact(&mut thought);
    Part::new(Content::Thought(thought))
}

/// Is it a signature that belongs to the part before it?
pub fn as_signed<'p, 'a>(part: &'p Part<'a>) -> Option<&'p Thought<'a>> {
    match &part.content {
        Content::Thought(thought) if thought.text.is_empty() && !thought.is_summary => Some(thought),
        _ => None,
    }
}

fn think<'a>(text: Text<'a>, signature: Option<Signature<'a>>) -> Part<'a> {
    let mut thought = Thought { text, is_summary: true, signature, ..Thought::default() };
    signature::unredact(&mut thought);
    Part::new(Content::Thought(thought))
}

fn call<'a>(value: &Node<'a>) -> Result<Call<'a>, Wrong> {
    let name = match member(value, "name") {
        Some(name) => name.string()?,
        None => value.need("name")?.string()?,
    };
    Ok(Call {
        id: member(value, "id").map(Node::string).transpose()?.unwrap_or_default(),
        name,
        arguments: member(value, "args").map_or(Ok("{}"), |args| args.object().map(Node::raw))?.into(),
        kind: CallKind::Function,
        signature: None,
    })
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
            CallKind::Function => o.raw("args", &write::object_or(&call.arguments, "{}")),
            CallKind::Custom => o.object("args", |o| {
                o.str("input", &call.arguments);
            }),
        };
        rest(o);
    });
    o.str_if("thoughtSignature", signature);
}
