//! Tool calls: how requests and whole answers say them.

use std::borrow::Cow;

use crate::dialect::hub::{Call, CallKind, Family, Signature};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::Object;

/// One of `tool_calls`. Without an id it is the order that tells which result is its own.
pub fn read<'a>(node: &Node<'a>) -> Result<Call<'a>, Wrong> {
    let (kind, said, input) = match node.object()?.at("custom") {
        Some(custom) => (CallKind::Custom, custom, "input"),
        None => (CallKind::Function, node.need("function")?, "arguments"),
    };
    Ok(Call {
        id: node.at("id").map(Node::string).transpose()?.unwrap_or_default(),
        name: said.need("name")?.string()?,
        arguments: sound_arguments(said.at(input))?,
        kind,
        signature: signature(node),
    })
}

/// The older `function_call` of a message, if it calls anything: relays leave an empty one beside their answers.
pub fn legacy<'n, 'a>(message: &'n Node<'a>) -> Option<&'n Node<'a>> {
    let says = |node: &Node<'_>, key| node.at(key).is_some_and(|said| said.as_str() != Some(""));
    message
        .at("function_call")
        .filter(|call| !call.is_object() || says(call, "name") || says(call, "arguments"))
}

/// The older `function_call`, which has no id.
pub fn read_legacy<'a>(node: &Node<'a>) -> Result<Call<'a>, Wrong> {
    Ok(Call {
        id: Cow::Borrowed(""),
        name: node.need("name")?.string()?,
        arguments: sound_arguments(node.at("arguments"))?,
        kind: CallKind::Function,
        signature: None,
    })
}

/// The same, of a call that is here as a whole: nobody means a list or a number.
fn sound_arguments<'a>(said: Option<&Node<'a>>) -> Result<Cow<'a, str>, Wrong> {
    match said {
        Some(node) if !node.is_string() && !node.is_object() => Err(node.expected("a string")),
        said => Ok(arguments(said)),
    }
}

/// Some vendors send the object itself instead of its text.
pub fn arguments<'a>(said: Option<&Node<'a>>) -> Cow<'a, str> {
    said.map(|node| node.text().unwrap_or(Cow::Borrowed(node.raw()))).unwrap_or_default()
}

/// Gemini's signature, where Google's own compatible endpoint puts it.
pub fn signature<'a>(node: &Node<'a>) -> Option<Signature<'a>> {
    let text = node.at("extra_content")?.at("google")?.at("thought_signature")?.text()?;
    (!text.is_empty()).then(|| Signature::unseal(text, Family::Gemini))
}

/// The members of one of `tool_calls`. Callers' SDKs read the arguments as JSON, even if there are none.
pub fn write(call: &Call<'_>, id: &str, signature: Option<&str>, object: &mut Object<'_>) {
    object.str("id", id);
    match call.kind {
        CallKind::Function => {
            let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
            object.str("type", "function").object("function", |function| {
                function.str("name", &call.name).str("arguments", arguments);
            });
        }
        CallKind::Custom => {
            object.str("type", "custom").object("custom", |custom| {
                custom.str("name", &call.name).str("input", &call.arguments);
            });
        }
    }
    if let Some(signature) = signature {
        write_signature(signature, object);
    }
}

pub fn write_signature(signature: &str, object: &mut Object<'_>) {
    object.object("extra_content", |extra| {
        extra.object("google", |google| {
            google.str("thought_signature", signature);
        });
    });
}
